//! The code that is generated: thin shims round `remote_object::__private`. Nothing quotes outside of it.
//!
//! Every path is absolute and every local name is of the macro's own hygiene, so that nothing in the user's module can
//! change what it means. Types of the user keep their place in his code, so that a bound they do not meet is told there.

mod problems;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{DeriveInput, ItemImpl};

pub(crate) use self::problems::errors;
use crate::methods::{Argument, Input, Method, Methods, Output};
use crate::state::{Derives, State, Value, cfgs};

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
    let State { item, krate, keys, type_name, doc, reference, derives } = state;
    let cfgs = cfgs(&item.attrs);
    let ro = quote!(#krate::__private);
    let with_derives = with_derives(item, derives, &ro);
    let (ident, vis) = (&item.ident, &item.vis);
    let (replace, delete, require_match) = (keys.replace, keys.delete, keys.require_match);
    let keyed_calls = keys.keyed_calls.map(|n| quote!(keyed_calls: #n,));
    let keyed_bytes = keys.keyed_bytes.map(|n| quote!(keyed_bytes: #n,));
    let cache_pool = keys.cache_pool.as_ref().map(|pool| quote!(cache_pool: #ro::std_names::Option::Some(#pool),));
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
                #cache_pool
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

/// A type that is no state, with its derives.
pub(crate) fn value(value: &Value) -> TokenStream {
    let ro = &value.krate;
    with_derives(&value.item, &value.derives, &quote!(#ro::__private))
}

/// The user's type with the derives it lacks, pointed at our re-exports.
fn with_derives(item: &DeriveInput, derives: &Derives, ro: &TokenStream) -> TokenStream {
    let missing = derives.missing.iter().map(|name| match *name {
        "Clone" => quote!(::core::clone::Clone),
        "Default" => quote!(::core::default::Default),
        "Serialize" => quote!(#ro::serde::Serialize),
        "Deserialize" => quote!(#ro::serde::Deserialize),
        _ => quote!(#ro::schemars::JsonSchema),
    });
    let path = ro.to_string().replace(' ', "");
    let serde = derives.point_serde.then(|| format!("{path}::serde")).map(|path| quote!(#[serde(crate = #path)]));
    let schemars =
        derives.point_schemars.then(|| format!("{path}::schemars")).map(|path| quote!(#[schemars(crate = #path)]));
    // What schemars derives calls methods of the prelude's traits, and a module may have none.
    let traits = derives.point_schemars.then(|| {
        let cfgs = cfgs(&item.attrs);
        quote! {
            #(#cfgs)*
            #[allow(unused_imports)]
            use #ro::prelude_traits::*;
        }
    });
    let derive = (!derives.missing.is_empty()).then(|| quote!(#[derive(#(#missing),*)]));
    let mut item = item.clone();
    let attrs = std::mem::take(&mut item.attrs);
    quote! {
        #traits
        #derive
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
        Output::Fallible { ty, unit } => {
            let ((reply, error), first) = (parts(ty, ro), ends(ty).0);
            let (some, schema) = (placed(&some, first), of_type(&reply, "Reply", "schema", ro));
            let schema =
                if *unit { quote!(#ro::std_names::Option::None) } else { quote_spanned!(first=> #some(#schema)) };
            (schema, error)
        }
    };
    let problems = of_type(&error, "RemoteError", "problems", ro);
    let run = shim(method, self_ty, ro);
    quote! {
        #(#cfgs)*
        #ro::Method {
            name: #name,
            doc: #doc,
            params: &[#(#params),*],
            context: #context,
            reply: #reply,
            problems: #problems,
            run: #run,
        }
    }
}

/// The first and the last token of a type.
fn ends(ty: &TokenStream) -> (Span, Span) {
    let mut spans = ty.clone().into_iter().map(|token| token.span());
    let first = spans.next().unwrap_or_else(Span::call_site);
    (first, spans.last().unwrap_or(first))
}

/// The reply and the error of a `Result`, both told to stand where it stands, so that what they lack is told there.
fn parts(ty: &TokenStream, ro: &TokenStream) -> (TokenStream, TokenStream) {
    let (first, last) = ends(ty);
    let ro = placed(ro, first);
    let part = |name: &str| {
        let name = Ident::new(name, last);
        quote_spanned!(first=> <#ty as #ro::Fallible>::#name)
    };
    (part("Ok"), part("Err"))
}

/// The same tokens, told to stand somewhere else.
fn placed(tokens: &TokenStream, span: Span) -> TokenStream {
    let each = tokens.clone().into_iter().map(|mut token| {
        token.set_span(span);
        token
    });
    each.collect()
}

/// `<ty as trait>::name`, told to stand where the type stands.
fn of_type(ty: &TokenStream, of: &str, name: &str, ro: &TokenStream) -> TokenStream {
    let (first, last) = ends(ty);
    let (ro, of, name) = (placed(ro, first), Ident::new(of, first), Ident::new(name, last));
    quote_spanned!(first=> <#ty as #ro::#of>::#name)
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
        Output::Fallible { ty, unit: true } => {
            let answer = of_type(ty, "Fallible", "answer", ro);
            let ro = placed(ro, ends(ty).0);
            quote_spanned!(ends(ty).0=> #ro::reply_unit(#answer(#call)?))
        }
        Output::Fallible { ty, unit: false } => {
            let (reply, _) = parts(ty, ro);
            let (write, answer) = (of_type(&reply, "Reply", "write", ro), of_type(ty, "Fallible", "answer", ro));
            quote_spanned!(ends(ty).0=> #write(&#answer(#call)?))
        }
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
    let self_ty = placed(&self_ty.to_token_stream(), ident.span());
    let call = quote_spanned!(ident.span()=> <#self_ty>::#ident(#state, #(#inputs),*));
    match method.is_async {
        true => {
            let ro = placed(ro, ident.span());
            quote_spanned!(ident.span()=> #ro::send(#call).await)
        }
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
    let kind = if method.edit { quote!(#ro::Edit) } else { quote!(#ro::View) };
    let call = match &method.output {
        Output::Unit => quote!(#ro::Call<(), #ro::NoError, #kind>),
        Output::Value(ty) => quote!(#ro::Call<#ty, #ro::NoError, #kind>),
        Output::Fallible { ty, .. } => {
            let ((first, last), (reply, error)) = (ends(ty), parts(ty, ro));
            let (ro, end) = (placed(ro, first), quote_spanned!(last=> >));
            quote_spanned!(first=> #ro::Call<#reply, #error, #kind #end)
        }
    };
    let doc = if doc.is_empty() { format!("Makes a call of `{name}`.") } else { doc.clone() };
    quote! {
        #(#cfgs)*
        #[doc = #doc]
        #deprecated
        pub fn #ident(&self, #(#params),*) -> #call {
            let #args = <#ro::ArgsText as ::core::default::Default>::default();
            #(#writes)*
            #ro::Call::new(<#reference as #ro::RemoteMethods>::uri(self), #name, #args)
        }
    }
}
