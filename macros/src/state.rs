//! `#[remote_object]` on a struct, and `#[remote_value]`: what they say and whether they may.

use proc_macro2::{TokenStream, TokenTree};
use quote::format_ident;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DataStruct, DeriveInput, Fields, Generics, Ident, Meta, Path, Token};

use crate::args::{self, DERIVES, StateKeys};
use crate::faults::Faults;
use crate::words;

/// A struct that is the state of an object.
pub(crate) struct State {
    pub(crate) item: DeriveInput,
    pub(crate) krate: Path,
    pub(crate) keys: StateKeys,
    pub(crate) type_name: String,
    pub(crate) doc: String,
    /// The typed reference.
    pub(crate) reference: Ident,
    pub(crate) derives: Derives,
}

/// A type that is part of states, arguments, replies or errors.
pub(crate) struct Value {
    pub(crate) item: DeriveInput,
    pub(crate) krate: Path,
    pub(crate) derives: Derives,
}

/// What is to be derived.
pub(crate) struct Derives {
    /// The derives to add.
    pub(crate) missing: Vec<&'static str>,
    /// The derives of serde are to find it at our re-export.
    pub(crate) point_serde: bool,
    /// The same for schemars.
    pub(crate) point_schemars: bool,
}

impl Derives {
    /// Of what is wanted, what is neither derived already nor written by hand.
    fn of(wanted: &[&'static str], item: &DeriveInput, manual: &[String]) -> Self {
        let written = derived(&item.attrs);
        let has = |names: &[String], name: &str| names.iter().any(|other| other == name);
        let missing: Vec<_> =
            wanted.iter().copied().filter(|name| !has(manual, name) && !has(&written, name)).collect();
        let derives = |name: &str| missing.contains(&name) || has(&written, name);
        Self {
            point_serde: (derives("Serialize") || derives("Deserialize")) && !says_crate(&item.attrs, "serde"),
            point_schemars: derives("JsonSchema") && !says_crate(&item.attrs, "schemars"),
            missing,
        }
    }
}

/// Reads the struct. `None` when it cannot be a state at all.
pub(crate) fn read(keys: TokenStream, item: DeriveInput, faults: &mut Faults) -> Option<State> {
    let keys = StateKeys::read(keys, faults);
    let generic = check_generics(&item.generics, "the state of an object", faults);
    match &item.data {
        Data::Struct(DataStruct { fields: Fields::Unnamed(fields), .. }) => faults.at(
            fields,
            format!("the state of an object is a JSON object: give the fields names, `struct {} {{ … }}`", item.ident),
        ),
        Data::Struct(DataStruct { fields: Fields::Unit, .. }) => faults
            .at(&item.ident, format!("the state of an object is a JSON object: write `struct {} {{}}`", item.ident)),
        _ => {}
    }
    let type_name = match &keys.name {
        Some(name) => name.value(),
        None => from_ident(&item.ident, faults),
    };
    (!generic).then(|| State {
        krate: keys.krate.clone().unwrap_or_else(args::default_crate),
        type_name,
        doc: words::docs(&item.attrs),
        reference: format_ident!("{}Remote", item.ident),
        derives: Derives::of(&DERIVES, &item, &keys.manual),
        item,
        keys,
    })
}

/// Reads a type that is no state of its own.
pub(crate) fn read_value(keys: TokenStream, item: DeriveInput, faults: &mut Faults) -> Value {
    let (manual, krate) = args::value_keys(keys, faults);
    let wanted: Vec<_> = DERIVES.into_iter().filter(|name| *name != "Default").collect();
    let derives = Derives::of(&wanted, &item, &manual);
    Value { krate: krate.unwrap_or_else(args::default_crate), derives, item }
}

/// Says what is wrong with generics, wherever they cannot be.
pub(crate) fn check_generics(generics: &Generics, what: &str, faults: &mut Faults) -> bool {
    let found = !generics.params.is_empty() || generics.where_clause.is_some();
    if found {
        let why = format!("{what} is not generic: leave the generics out, and write one for each type you need");
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
