//! The code that is generated: thin shims round `remote_object::__private`. The only file that quotes.
//!
//! Every path is absolute and every local name is of the macro's own hygiene, so that nothing in the user's module can
//! change what it means. Types of the user keep their place in his code, so that a bound they do not meet is told there.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};

use syn::ItemImpl;

use crate::errors::{Errors, Shape, Variant};
use crate::methods::{Argument, Input, Method, Methods, Output};
use crate::state::State;

/// Lints that judge style or use, which nobody can change in generated code.
fn quiet() -> TokenStream {
    quote! {
        #[allow(dead_code, deprecated, private_interfaces, unreachable_pub)]
        #[allow(clippy::all, clippy::nursery, clippy::pedantic)]
    }
}

/// A local name that no user can see. Hygiene hides it from his locals, the underscores from his constants, which a
/// pattern would take it for.
fn own(name: &str) -> Ident {
    format_ident!("__{name}", span = Span::mixed_site())
}

/// The struct with its derives, its state and its typed reference.
pub(crate) fn state(state: &State) -> TokenStream {
    let State { item, krate, keys, type_name, doc, reference, cfgs, .. } = state;
    let ro = quote!(#krate::__private);
    let with_derives = with_derives(state, &ro);
    let (ident, vis) = (&item.ident, &item.vis);
    let (replace, delete, require_match) = (keys.replace, keys.delete, keys.require_match);
    let keyed_calls = keys.keyed_calls.map(|n| quote!(keyed_calls: #n,));
    let keyed_bytes = keys.keyed_bytes.map(|n| quote!(keyed_bytes: #n,));
    let about = format!("The remote methods of `{ident}`, each making a call: what a `Remote<{ident}>` has.");
    let (uri, generator) = (own("uri"), own("generator"));
    let quiet = quiet();
    quote! {
        #with_derives

        #(#cfgs)*
        #quiet
        #[automatically_derived]
        impl #ro::RemoteState for #ident {
            const TYPE: &'static str = #type_name;
            const OPTIONS: #ro::Options = #ro::Options {
                replace: #replace,
                delete: #delete,
                require_match: #require_match,
                #keyed_calls
                #keyed_bytes
                ..#ro::Options::DEFAULT
            };
            const DOC: &'static str = #doc;
            type Methods = #reference;

            fn schema(#generator: &mut #ro::SchemaGenerator) -> #ro::Schema {
                #ro::schema_of::<Self>(#generator)
            }
        }

        #(#cfgs)*
        #[doc = #about]
        #[derive(::core::fmt::Debug)]
        #quiet
        #vis struct #reference {
            uri: #ro::ObjectUri,
        }

        #(#cfgs)*
        #quiet
        #[automatically_derived]
        impl #ro::RemoteMethods for #reference {
            fn at(#uri: #ro::ObjectUri) -> Self {
                Self { uri: #uri }
            }

            fn uri(&self) -> &#ro::ObjectUri {
                &self.uri
            }
        }
    }
}

/// The user's struct with the derives it lacks, pointed at our re-exports.
fn with_derives(state: &State, ro: &TokenStream) -> TokenStream {
    let derives = state.missing.iter().map(|name| match *name {
        "Clone" => quote!(::core::clone::Clone),
        "Default" => quote!(::core::default::Default),
        "Serialize" => quote!(#ro::serde::Serialize),
        "Deserialize" => quote!(#ro::serde::Deserialize),
        _ => quote!(#ro::schemars::JsonSchema),
    });
    let path = ro.to_string().replace(' ', "");
    let serde = state.point_serde.then(|| format!("{path}::serde")).map(|path| quote!(#[serde(crate = #path)]));
    let schemars =
        state.point_schemars.then(|| format!("{path}::schemars")).map(|path| quote!(#[schemars(crate = #path)]));
    let mut item = state.item.clone();
    let attrs = std::mem::take(&mut item.attrs);
    // What schemars derives calls methods of the prelude's traits, and a module may have none.
    let traits = state.point_schemars.then(|| {
        let cfgs = &state.cfgs;
        quote! {
            #(#cfgs)*
            #[allow(unused_imports)]
            use #ro::prelude_traits::*;
        }
    });
    quote! {
        #traits
        #[derive(#(#derives),*)]
        #(#attrs)*
        #serde
        #schemars
        #item
    }
}

/// The user's impl block. `pub` is how a method is made remote, in a program that exports nothing too.
pub(crate) fn block(item: &ItemImpl) -> TokenStream {
    quote! {
        #[allow(unreachable_pub)]
        #item
    }
}

/// The table of methods, the methods of the typed reference, and the registration.
pub(crate) fn methods(block: &Methods) -> TokenStream {
    let Methods { krate, self_ty, reference, methods, cfgs } = block;
    let ro = quote!(#krate::__private);
    let entries = methods.iter().map(|method| entry(method, self_ty, &ro));
    let calls = methods.iter().map(|method| call(method, reference, &ro));
    let quiet = quiet();
    quote! {
        #(#cfgs)*
        #quiet
        #[automatically_derived]
        impl #ro::RemoteObject for #self_ty {
            fn methods() -> &'static [#ro::Method] {
                static METHODS: &[#ro::Method] = &[#(#entries),*];
                METHODS
            }
        }

        #(#cfgs)*
        #quiet
        impl #reference {
            #(#calls)*
        }

        #(#cfgs)*
        #ro::inventory::submit! {
            #ro::Registration { make: #ro::TypeDef::of::<#self_ty> }
        }
    }
}

/// A method's line in the table.
fn entry(method: &Method, self_ty: &syn::Path, ro: &TokenStream) -> TokenStream {
    let Method { name, doc, cfgs, .. } = method;
    let context = method.has_context();
    let params = method.arguments().map(|Argument { name, ty, optional, .. }| {
        quote!(#ro::Param { name: #name, schema: <#ty as #ro::Argument>::schema, optional: #optional })
    });
    let some = quote!(#ro::std_names::Option::Some);
    let (reply, error) = match &method.output {
        Output::Unit => (quote!(#ro::std_names::Option::None), quote!(#ro::NoError)),
        Output::Value(ty) => (quote!(#some(<#ty as #ro::Reply>::schema)), quote!(#ro::NoError)),
        Output::Fallible { ty, unit: true } => {
            (quote!(#ro::std_names::Option::None), quote!(<#ty as #ro::Fallible>::Err))
        }
        Output::Fallible { ty, unit: false } => {
            (quote!(#some(<<#ty as #ro::Fallible>::Ok as #ro::Reply>::schema)), quote!(<#ty as #ro::Fallible>::Err))
        }
    };
    let run = shim(method, self_ty, ro);
    quote! {
        #(#cfgs)*
        #ro::Method {
            name: #name,
            doc: #doc,
            params: &[#(#params),*],
            context: #context,
            reply: #reply,
            problems: <#error as #ro::RemoteError>::problems,
            run: #run,
        }
    }
}

/// Reads the arguments, calls the method, writes the reply.
fn shim(method: &Method, self_ty: &syn::Path, ro: &TokenStream) -> TokenStream {
    let (state, cx, args) = (own("state"), own("cx"), own("args"));
    let (copy, answer_of) = (own("copy"), own("answer"));
    let args_ref = if method.is_async { quote!(&#args) } else { quote!(#args) };
    let reads = method.arguments().enumerate().map(|(at, argument)| {
        let (local, ty) = (own(&format!("a{at}")), &argument.ty);
        quote!(let #local = <#ty as #ro::Argument>::read(#args_ref, #at)?;)
    });
    let call = invoke(method, self_ty, ro);
    let answer = match &method.output {
        Output::Unit => quote!(#ro::reply_unit(#call)),
        Output::Value(ty) => quote!(<#ty as #ro::Reply>::write(&#call)),
        Output::Fallible { ty, unit: true } => quote!(#ro::reply_unit(<#ty as #ro::Fallible>::answer(#call)?)),
        Output::Fallible { ty, unit: false } => quote! {
            <<#ty as #ro::Fallible>::Ok as #ro::Reply>::write(&<#ty as #ro::Fallible>::answer(#call)?)
        },
    };
    let body = quote!(#(#reads)* #answer);
    let cx_pattern = if method.has_context() { quote!(#cx) } else { quote!(_) };
    let args_pattern = if method.arguments().next().is_some() { quote!(#args) } else { quote!(_) };
    match (method.edit, method.is_async) {
        (false, false) => quote! {
            #ro::Run::View(|#state, #cx_pattern, #args_pattern| {
                let #state = #ro::state::<#self_ty>(#state);
                #body
            })
        },
        (true, false) => quote! {
            #ro::Run::Edit(|#state, #cx_pattern, #args_pattern| {
                let #state = #ro::state_mut::<#self_ty>(#state);
                #body
            })
        },
        (false, true) => quote! {
            #ro::Run::AsyncView(|#state, #cx_pattern, #args_pattern| #ro::view_future(async move {
                let #state = &*#ro::state_arc::<#self_ty>(#state);
                #body
            }))
        },
        (true, true) => quote! {
            #ro::Run::AsyncEdit(|#state, #cx_pattern, #args_pattern| #ro::edit_future(async move {
                let mut #copy = #ro::state_box::<#self_ty>(#state);
                let #state = &mut *#copy;
                let #answer_of = async { #body }.await;
                (#ro::erase(#copy), #answer_of)
            }))
        },
    }
}

/// The call of the user's method.
fn invoke(method: &Method, self_ty: &syn::Path, ro: &TokenStream) -> TokenStream {
    let (state, cx) = (own("state"), own("cx"));
    let mut at = 0_usize;
    let inputs = method.inputs.iter().map(|input| match input {
        Input::Context { by_reference: true } if method.is_async => quote!(&#cx),
        Input::Context { by_reference: true } => quote!(#cx),
        Input::Context { by_reference: false } => quote!(::core::clone::Clone::clone(&#cx)),
        Input::Argument(_) => {
            let local = own(&format!("a{at}"));
            at += 1;
            quote!(#local)
        }
    });
    let ident = &method.ident;
    let call = quote!(<#self_ty>::#ident(#state, #(#inputs),*));
    match method.is_async {
        true => quote_spanned!(ident.span()=> #ro::send(#call).await),
        false => call,
    }
}

/// The method of the typed reference.
fn call(method: &Method, reference: &syn::Path, ro: &TokenStream) -> TokenStream {
    let Method { ident, name, doc, cfgs, deprecated, .. } = method;
    let args = own("args");
    let params = method.arguments().map(|Argument { ident, ty, .. }| quote!(#ident: #ty));
    let writes = method.arguments().map(
        |Argument { ident, name, ty, .. }| quote!(let #args = <#ty as #ro::Argument>::write(&#ident, #args, #name);),
    );
    let (reply, error) = match &method.output {
        Output::Unit => (quote!(()), quote!(#ro::NoError)),
        Output::Value(ty) => (quote!(#ty), quote!(#ro::NoError)),
        Output::Fallible { ty, .. } => (quote!(<#ty as #ro::Fallible>::Ok), quote!(<#ty as #ro::Fallible>::Err)),
    };
    let kind = if method.edit { quote!(Edit) } else { quote!(View) };
    let doc = if doc.is_empty() { format!("Makes a call of `{name}`.") } else { doc.clone() };
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #deprecated
        pub fn #ident(&self, #(#params),*) -> #ro::Call<#reply, #error, #ro::#kind> {
            let #args = <#ro::ArgsText as ::core::default::Default>::default();
            #(#writes)*
            #ro::Call::new(<#reference as #ro::RemoteMethods>::uri(self), #name, #args)
        }
    }
}

/// `RemoteError` for an enum, and what its transparent variant converts from.
pub(crate) fn errors(errors: &Errors) -> TokenStream {
    let Errors { krate, ident, variants } = errors;
    let ro = quote!(#krate::__private);
    let arms = |arm: fn(&Variant, &TokenStream) -> TokenStream| {
        let arms = variants.iter().map(|variant| arm(variant, &ro)).collect::<Vec<_>>();
        quote!(#(#arms)*)
    };
    let (into, codes, from, problems) = (arms(into_arm), arms(code_arm), arms(from_code), arms(problem));
    let checks = arms(check_code);
    let (error, generator) = (own("error"), own("generator"));
    let conversions = variants.iter().filter(|variant| matches!(variant.shape, Shape::Transparent));
    let conversions = conversions.map(|variant| conversion(ident, variant, &ro));
    let quiet = quiet();
    quote! {
        #quiet
        #[automatically_derived]
        impl #ro::RemoteError for #ident {
            fn into_error(self) -> #ro::Error {
                match self { #into }
            }

            fn from_error(#error: #ro::Error) -> #ro::std_names::Result<Self, #ro::Error> {
                #from
                #ro::std_names::Result::Err(#error)
            }

            fn code(&self) -> #ro::std_names::Cow<'_, str> {
                match *self { #codes }
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
