//! `#[remote_object]` on a struct: what it says and whether it may.

use proc_macro2::{TokenStream, TokenTree};
use quote::format_ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Fields, Generics, Ident, ItemStruct, Meta, Path, Token};

use crate::args::{self, DERIVES, StateKeys};
use crate::faults::Faults;
use crate::words;

/// A struct that is the state of an object.
pub(crate) struct State {
    pub(crate) item: ItemStruct,
    pub(crate) krate: Path,
    pub(crate) keys: StateKeys,
    pub(crate) type_name: String,
    pub(crate) doc: String,
    /// The typed reference.
    pub(crate) reference: Ident,
    /// The derives to add.
    pub(crate) missing: Vec<&'static str>,
    /// Where the derives of serde find it, unless the struct says so itself.
    pub(crate) point_serde: bool,
    /// The same for schemars.
    pub(crate) point_schemars: bool,
    /// `#[cfg]` of the struct, for what is generated beside it.
    pub(crate) cfgs: Vec<Attribute>,
}

/// Reads the struct. `None` when it cannot be a state at all.
pub(crate) fn read(keys: TokenStream, item: &ItemStruct, faults: &mut Faults) -> Option<State> {
    let keys = StateKeys::read(keys, faults);
    let generic = check_generics(&item.generics, "the state of an object", faults);
    match &item.fields {
        Fields::Named(_) => {}
        Fields::Unnamed(fields) => faults.at(
            fields,
            format!("the state of an object is a JSON object: give the fields names, `struct {} {{ … }}`", item.ident),
        ),
        Fields::Unit => faults
            .at(&item.ident, format!("the state of an object is a JSON object: write `struct {} {{}}`", item.ident)),
    }
    let type_name = match &keys.name {
        Some(name) => name.value(),
        None => from_ident(&item.ident, faults),
    };
    if generic {
        return None;
    }
    let has = |name: &str| keys.manual.iter().any(|manual| manual == name);
    let written = derived(&item.attrs);
    let missing: Vec<_> =
        DERIVES.into_iter().filter(|name| !has(name) && !written.iter().any(|other| other == name)).collect();
    let derives = |name: &str| missing.contains(&name) || written.iter().any(|other| other == name);
    let point_serde = (derives("Serialize") || derives("Deserialize")) && !says_crate(&item.attrs, "serde");
    let point_schemars = derives("JsonSchema") && !says_crate(&item.attrs, "schemars");
    Some(State {
        krate: keys.krate.clone().unwrap_or_else(args::default_crate),
        type_name,
        doc: words::docs(&item.attrs),
        reference: format_ident!("{}Remote", item.ident),
        point_serde,
        point_schemars,
        missing,
        cfgs: cfgs(&item.attrs),
        item: item.clone(),
        keys,
    })
}

/// Says what is wrong with generics, wherever they cannot be.
pub(crate) fn check_generics(generics: &Generics, what: &str, faults: &mut Faults) -> bool {
    let found = !generics.params.is_empty() || generics.where_clause.is_some();
    if found {
        let why = format!("{what} is one concrete type: leave the generics out (one struct for each type you need)");
        match generics.params.is_empty() {
            true => faults.at(&generics.where_clause, why),
            false => faults.at(generics, why),
        }
    }
    found
}

/// The `#[cfg]` among the attributes.
pub(crate) fn cfgs(attrs: &[Attribute]) -> Vec<Attribute> {
    attrs.iter().filter(|attr| attr.path().is_ident("cfg")).cloned().collect()
}

fn from_ident(ident: &Ident, faults: &mut Faults) -> String {
    let name = words::kebab(&words::text(ident));
    if let Err(why) = words::check_name(&name) {
        faults.at(ident, format!("the type name {name:?} {why}; give another: `#[remote_object(name = \"…\")]`"));
    }
    name
}

/// The last segments of what is derived already.
fn derived(attrs: &[Attribute]) -> Vec<String> {
    let lists = attrs.iter().filter(|attr| attr.path().is_ident("derive"));
    lists
        .filter_map(|attr| attr.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok())
        .flatten()
        .filter_map(|path| path.segments.last().map(|last| last.ident.to_string()))
        .collect()
}

/// Whether `#[helper(crate = …)]` is written.
fn says_crate(attrs: &[Attribute], helper: &str) -> bool {
    attrs.iter().filter(|attr| attr.path().is_ident(helper)).any(|attr| match &attr.meta {
        Meta::List(list) => {
            list.tokens.clone().into_iter().any(|token| matches!(token, TokenTree::Ident(ident) if ident == "crate"))
        }
        _ => false,
    })
}
