//! What `#[derive(RemoteError)]` generates: a problem on the way out, the same variant on the way in.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};

use super::{own, quiet};
use crate::errors::{Errors, Shape, Variant};

/// `RemoteError` for an enum, and what its transparent variant converts from.
pub(crate) fn errors(errors: &Errors) -> TokenStream {
    let Errors { krate, ident, variants, complete } = errors;
    let ro = quote!(#krate::__private);
    let arms = |arm: fn(&Variant, &TokenStream) -> TokenStream| {
        let arms = variants.iter().map(|variant| arm(variant, &ro)).collect::<Vec<_>>();
        quote!(#(#arms)*)
    };
    let (into, codes, from, problems) = (arms(into_arm), arms(code_arm), arms(from_code), arms(problem));
    let checks = arms(check_code);
    // Where a variant is wrong nothing will run, and its absence is no second mistake.
    let rest = (!complete).then(|| quote!(_ => loop {},));
    let (error, generator) = (own("error"), own("generator"));
    let conversions = variants.iter().filter(|variant| matches!(variant.shape, Shape::Transparent));
    let conversions = conversions.map(|variant| conversion(ident, variant, &ro));
    let quiet = quiet();
    quote! {
        #quiet
        #[automatically_derived]
        impl #ro::RemoteError for #ident {
            fn into_error(self) -> #ro::Error {
                match self { #into #rest }
            }

            fn from_error(#error: #ro::Error) -> #ro::std_names::Result<Self, #ro::Error> {
                #from
                #ro::std_names::Result::Err(#error)
            }

            fn code(&self) -> #ro::std_names::Cow<'_, str> {
                match *self { #codes #rest }
            }

            fn problems(#generator: &mut #ro::SchemaGenerator) -> #ro::std_names::Vec<#ro::ProblemDef> {
                let _ = &#generator;
                #ro::list([#problems])
            }
        }

        #checks
        #(#conversions)*
    }
}

fn into_arm(variant: &Variant, ro: &TokenStream) -> TokenStream {
    let Variant { ident, status, code, message, shape, .. } = variant;
    match shape {
        Shape::Transparent => {
            let error = own("error");
            quote!(Self::#ident(#error) => #error,)
        }
        Shape::Fields(fields) => {
            let names = fields.iter().map(|field| &field.ident);
            let locals: Vec<_> = locals(fields.len()).collect();
            let members = fields.iter().zip(&locals).map(|(field, local)| {
                let (name, ty) = (&field.name, &field.ty);
                quote!((#name, <#ty as #ro::Member>::write(&#local)))
            });
            quote! {
                Self::#ident { #(#names: #locals),* } => #ro::method_error(#status, #code, #message, [#(#members),*]),
            }
        }
    }
}

fn code_arm(variant: &Variant, ro: &TokenStream) -> TokenStream {
    let Variant { ident, code, shape, .. } = variant;
    match shape {
        Shape::Transparent => {
            let error = own("error");
            quote!(Self::#ident(ref #error) => <#ro::Error as #ro::RemoteError>::code(#error),)
        }
        Shape::Fields(_) => quote!(Self::#ident { .. } => #ro::std_names::Cow::Borrowed(#code),),
    }
}

fn from_code(variant: &Variant, ro: &TokenStream) -> TokenStream {
    let Variant { ident, code, shape, .. } = variant;
    let Shape::Fields(fields) = shape else { return TokenStream::new() };
    let error = own("error");
    let some = quote!(#ro::std_names::Option::Some);
    let names = fields.iter().map(|field| &field.ident);
    let locals: Vec<_> = locals(fields.len()).collect();
    let reads = fields.iter().map(|field| {
        let (name, ty) = (&field.name, &field.ty);
        quote!(<#ty as #ro::Member>::read(&#error, #name))
    });
    quote! {
        if #ro::has_code(&#error, #code) {
            if let (#(#some(#locals),)*) = (#(#reads,)*) {
                return #ro::std_names::Result::Ok(Self::#ident { #(#names: #locals),* });
            }
        }
    }
}

fn problem(variant: &Variant, ro: &TokenStream) -> TokenStream {
    let Variant { status, code, doc, shape, .. } = variant;
    let Shape::Fields(fields) = shape else { return TokenStream::new() };
    let generator = own("generator");
    let members = fields.iter().map(|field| {
        let (name, ty) = (&field.name, &field.ty);
        quote!((#name, <#ty as #ro::Member>::schema(#generator)))
    });
    quote! {
        #ro::ProblemDef {
            status: #status,
            code: #code,
            doc: #doc,
            fields: #ro::list([#(#members),*]),
        },
    }
}

/// The codes of the library itself are known to it alone, so the compiler asks it.
fn check_code(variant: &Variant, ro: &TokenStream) -> TokenStream {
    let Variant { code, code_span, shape, .. } = variant;
    if matches!(shape, Shape::Transparent) {
        return TokenStream::new();
    }
    let message = format!("the code `{code}` is one of the library's own: give another, `#[code(\"…\")]`");
    quote_spanned!(*code_span=> const _: () = ::core::assert!(#ro::is_free_code(#code), #message);)
}

fn conversion(of: &Ident, variant: &Variant, ro: &TokenStream) -> TokenStream {
    let ident = &variant.ident;
    let error = own("error");
    let quiet = quiet();
    quote! {
        #quiet
        #[automatically_derived]
        impl ::core::convert::From<#ro::Error> for #of {
            fn from(#error: #ro::Error) -> Self {
                Self::#ident(#error)
            }
        }

        #quiet
        #[automatically_derived]
        impl<__E: #ro::RemoteError> ::core::convert::From<#ro::CallError<__E>> for #of {
            fn from(#error: #ro::CallError<__E>) -> Self {
                Self::#ident(::core::convert::From::from(#error))
            }
        }
    }
}

fn locals(count: usize) -> impl Iterator<Item = Ident> {
    (0..count).map(|at| own(&format!("f{at}")))
}
