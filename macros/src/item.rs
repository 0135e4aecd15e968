//! Which kind of item an attribute stands on. Whatever is wrong with it, the user's item comes out again, so that its
//! name is known to the rest of his code.

use proc_macro2::TokenStream;
use syn::{DeriveInput, Item};

use crate::faults::Faults;
use crate::{errors, expand, methods, state};

pub(crate) fn remote_object(keys: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let mut out = match syn::parse2::<Item>(tokens.clone()) {
        Ok(Item::Struct(item)) => match state::read(keys, item.into(), &mut faults) {
            Some(state) => expand::state(&state),
            None => tokens,
        },
        Ok(Item::Impl(mut item)) => {
            let block = methods::read(keys, &mut item, &mut faults);
            let mut out = expand::block(&item);
            out.extend(block.map(|block| expand::methods(&block)));
            out
        }
        Ok(other) => {
            refuse(&other, &mut faults);
            tokens
        }
        Err(error) => {
            faults.take(error);
            tokens
        }
    };
    out.extend(faults.into_tokens());
    out
}

pub(crate) fn remote_value(keys: TokenStream, tokens: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let item = match syn::parse2::<Item>(tokens.clone()) {
        Ok(Item::Struct(item)) => Some(item.into()),
        Ok(Item::Enum(item)) => Some(item.into()),
        Ok(other) => {
            faults.at(&other, "`#[remote_value]` stands on a struct or an enum");
            None
        }
        Err(error) => {
            faults.take(error);
            None
        }
    };
    let mut out = item.map_or(tokens, |item| expand::value(&state::read_value(keys, item, &mut faults)));
    out.extend(faults.into_tokens());
    out
}

pub(crate) fn remote_error(tokens: TokenStream) -> TokenStream {
    let mut faults = Faults::default();
    let mut out = TokenStream::new();
    match syn::parse2::<DeriveInput>(tokens) {
        Ok(input) => out.extend(errors::read(&input, &mut faults).map(|errors| expand::errors(&errors))),
        Err(error) => faults.take(error),
    }
    out.extend(faults.into_tokens());
    out
}

fn refuse(item: &Item, faults: &mut Faults) {
    const RIGHT: &str = "`#[remote_object]` stands on a struct with named fields and on its impl block";
    match item {
        Item::Enum(item) => faults.at(
            &item.ident,
            format!(
                "{RIGHT}: an enum is not a state, but can be a field of one, or an argument or reply: write \
                 `#[remote_value]` on it"
            ),
        ),
        Item::Union(item) => faults.at(&item.ident, format!("{RIGHT}: a union is not a state, write a struct")),
        Item::Trait(item) => {
            faults.at(&item.ident, format!("{RIGHT}: a trait is not needed, the methods stand in `impl Type {{ … }}`"))
        }
        Item::Fn(item) => faults.at(
            &item.sig.ident,
            format!("{RIGHT}: a function becomes remote as a `pub` method in `impl Type {{ … }}`"),
        ),
        other => faults.at(other, RIGHT),
    }
}
