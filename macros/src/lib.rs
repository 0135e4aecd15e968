//! The attributes of remote-object. Reached through `remote_object::{remote_object, RemoteError}`.

mod args;
mod errors;
mod expand;
mod faults;
mod item;
mod methods;
mod state;
mod types;
mod words;

use proc_macro::TokenStream;

/// Makes a struct a type of durable objects.
#[proc_macro_attribute]
pub fn remote_object(keys: TokenStream, item: TokenStream) -> TokenStream {
    item::remote_object(keys.into(), item.into()).into()
}

/// Makes an enum the errors of remote methods.
#[proc_macro_derive(RemoteError, attributes(status, code, transparent, remote_error))]
pub fn remote_error(item: TokenStream) -> TokenStream {
    item::remote_error(item.into()).into()
}
