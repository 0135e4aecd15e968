//! The keys of the attributes: which there are, what they may be set to.

use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, LitInt, LitStr, Meta, Path, Token};

use crate::faults::Faults;
use crate::words;

/// The traits the attribute derives where they are not.
pub(crate) const DERIVES: [&str; 5] = ["Clone", "Default", "Serialize", "Deserialize", "JsonSchema"];

/// `#[remote_object(…)]` on a struct.
#[derive(Default)]
pub(crate) struct StateKeys {
    pub(crate) name: Option<LitStr>,
    pub(crate) replace: bool,
    pub(crate) delete: bool,
    pub(crate) require_match: bool,
    pub(crate) keyed_calls: Option<u32>,
    pub(crate) keyed_bytes: Option<u32>,
    pub(crate) cache_pool: Option<LitStr>,
    pub(crate) manual: Vec<String>,
    pub(crate) krate: Option<Path>,
}

impl StateKeys {
    pub(crate) fn read(tokens: TokenStream, faults: &mut Faults) -> Self {
        let mut keys = Self::default();
        const LEGAL: [&str; 9] = [
            "name",
            "replace",
            "delete",
            "require_match",
            "keyed_calls",
            "keyed_bytes",
            "cache_pool",
            "manual",
            "crate",
        ];
        for (key, meta) in metas(tokens, "`#[remote_object]` on a struct", &LEGAL, faults) {
            match key {
                "name" => keys.name = kebab_name(&meta, "name", "the name", faults),
                "replace" => keys.replace = flag(&meta, key, faults),
                "delete" => keys.delete = flag(&meta, key, faults),
                "require_match" => keys.require_match = flag(&meta, key, faults),
                "keyed_calls" => keys.keyed_calls = number(&meta, key, faults),
                "keyed_bytes" => keys.keyed_bytes = number(&meta, key, faults),
                "cache_pool" => keys.cache_pool = kebab_name(&meta, key, "the pool", faults),
                "manual" => keys.manual = manual(&meta, faults),
                _ => keys.krate = krate(&meta, faults),
            }
        }
        keys
    }
}

/// `#[remote_value(…)]`: what is written by hand, and where the library is.
pub(crate) fn value_keys(tokens: TokenStream, faults: &mut Faults) -> (Vec<String>, Option<Path>) {
    let (mut by_hand, mut path) = (Vec::new(), None);
    for (key, meta) in metas(tokens, "`#[remote_value]`", &["manual", "crate"], faults) {
        match key {
            "manual" => by_hand = manual(&meta, faults),
            _ => path = krate(&meta, faults),
        }
    }
    (by_hand, path)
}

/// `#[remote_object(…)]` on an impl block.
pub(crate) fn impl_keys(tokens: TokenStream, faults: &mut Faults) -> Option<Path> {
    let mut path = None;
    for (_, meta) in metas(tokens, "`#[remote_object]` on an impl block", &["crate"], faults) {
        path = krate(&meta, faults);
    }
    path
}

/// `#[remote(…)]` on a method.
#[derive(Default)]
pub(crate) struct MethodKeys {
    pub(crate) name: Option<LitStr>,
    pub(crate) skip: bool,
}

impl MethodKeys {
    /// Reads the attributes and takes them off.
    pub(crate) fn take(attrs: &mut Vec<Attribute>, faults: &mut Faults) -> Option<Self> {
        let (ours, others) = attrs.drain(..).partition(|attr| attr.path().is_ident("remote"));
        *attrs = others;
        let ours: Vec<Attribute> = ours;
        let mut keys = (!ours.is_empty()).then(Self::default)?;
        for attr in ours {
            let Some(tokens) = list(&attr, "`#[remote(name = \"…\")]` or `#[remote(skip)]`", faults) else {
                continue;
            };
            for (key, meta) in metas(tokens, "`#[remote]`", &["name", "skip"], faults) {
                match key {
                    "name" => keys.name = kebab_name(&meta, "name", "the name", faults),
                    _ => keys.skip = flag(&meta, key, faults),
                }
            }
        }
        Some(keys)
    }
}

/// `#[remote_error(…)]` beside `#[derive(RemoteError)]`.
pub(crate) fn error_keys(attrs: &[Attribute], faults: &mut Faults) -> Option<Path> {
    let mut path = None;
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("remote_error")) {
        let Some(tokens) = list(attr, "`#[remote_error(crate = \"…\")]`", faults) else { continue };
        for (_, meta) in metas(tokens, "`#[remote_error]`", &["crate"], faults) {
            path = krate(&meta, faults);
        }
    }
    path
}

/// The one attribute of this name, if there is one.
pub(crate) fn single<'a>(attrs: &'a [Attribute], name: &str, faults: &mut Faults) -> Option<&'a Attribute> {
    let mut found = attrs.iter().filter(|attr| attr.path().is_ident(name));
    let first = found.next()?;
    for again in found {
        faults.at(again, format!("`#[{name}]` stands here twice: leave one out"));
    }
    Some(first)
}

/// `#[status(402)]`.
pub(crate) fn status(attrs: &[Attribute], faults: &mut Faults) -> Option<u16> {
    const LEGAL: &str = "a status is a number from 400 to 599 and not 500, which is a fault of the server: \
                         `#[status(409)]`";
    let attr = single(attrs, "status", faults)?;
    let Ok(number) = attr.parse_args::<LitInt>() else {
        faults.at(attr, LEGAL);
        return None;
    };
    match number.base10_parse::<u16>() {
        Ok(status) if (400..=599).contains(&status) && status != 500 => Some(status),
        _ => {
            faults.at(&number, LEGAL);
            None
        }
    }
}

/// `#[code("sold-out")]`.
pub(crate) fn code(attrs: &[Attribute], faults: &mut Faults) -> Option<LitStr> {
    let attr = single(attrs, "code", faults)?;
    let Ok(code) = attr.parse_args::<LitStr>() else {
        faults.at(attr, "a code is kebab-case text: `#[code(\"sold-out\")]`");
        return None;
    };
    check(code, "the code", faults)
}

/// Where the library is, when no key says so: its name in the user's `Cargo.toml`.
pub(crate) fn default_crate() -> Path {
    let name = match crate_name("remote-object") {
        Ok(FoundCrate::Name(name)) => name,
        // The library names itself as others do; and what no manifest names may still be at hand.
        Ok(FoundCrate::Itself) | Err(_) => "remote_object".to_owned(),
    };
    let mut path = Path::from(Ident::new(&name, Span::call_site()));
    path.leading_colon = Some(Token![::](Span::call_site()));
    path
}

/// The keys that are legal and stand once, each with its name from `legal`.
fn metas<'a>(tokens: TokenStream, place: &str, legal: &[&'a str], faults: &mut Faults) -> Vec<(&'a str, Meta)> {
    let metas = match Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens) {
        Ok(metas) => metas,
        Err(error) => {
            faults.take(error);
            return Vec::new();
        }
    };
    let mut found: Vec<(&str, Meta)> = Vec::new();
    for meta in metas {
        let Some(&key) = legal.iter().find(|key| meta.path().is_ident(key)) else {
            let named: Vec<_> = legal.iter().map(|key| format!("`{key}`")).collect();
            let (verb, keys) = if named.len() == 1 { ("is", "key") } else { ("are", "keys") };
            faults.at(meta.path(), format!("{place} has no such key; its {keys} {verb} {}", named.join(", ")));
            continue;
        };
        if found.iter().any(|(other, _)| *other == key) {
            faults.at(&meta, format!("the key `{key}` stands here twice: leave one out"));
            continue;
        }
        found.push((key, meta));
    }
    found
}

fn list(attr: &Attribute, usage: &str, faults: &mut Faults) -> Option<TokenStream> {
    match &attr.meta {
        Meta::List(list) => Some(list.tokens.clone()),
        _ => {
            faults.at(attr, format!("write {usage}"));
            None
        }
    }
}

fn flag(meta: &Meta, key: &str, faults: &mut Faults) -> bool {
    if !matches!(meta, Meta::Path(_)) {
        faults.at(meta, format!("`{key}` takes no value: write `{key}`, or leave it out"));
    }
    true
}

fn literal(meta: &Meta) -> Option<&Lit> {
    match meta {
        Meta::NameValue(pair) => match &pair.value {
            Expr::Lit(ExprLit { lit, .. }) => Some(lit),
            _ => None,
        },
        _ => None,
    }
}

fn number(meta: &Meta, key: &str, faults: &mut Faults) -> Option<u32> {
    let value = match literal(meta) {
        Some(Lit::Int(number)) => number.base10_parse().ok(),
        _ => None,
    };
    if value.is_none() {
        faults.at(meta, format!("`{key}` is a whole number up to {}: `{key} = 256`", u32::MAX));
    }
    value
}

fn kebab_name(meta: &Meta, key: &str, what: &str, faults: &mut Faults) -> Option<LitStr> {
    match literal(meta) {
        Some(Lit::Str(name)) => check(name.clone(), what, faults),
        _ => {
            faults.at(meta, format!("`{key}` is kebab-case text: `{key} = \"some-name\"`"));
            None
        }
    }
}

fn check(text: LitStr, what: &str, faults: &mut Faults) -> Option<LitStr> {
    match words::check_name(&text.value()) {
        Ok(()) => Some(text),
        Err(why) => {
            faults.at(&text, format!("{what} {:?} {why}", text.value()));
            None
        }
    }
}

fn krate(meta: &Meta, faults: &mut Faults) -> Option<Path> {
    let path = match literal(meta) {
        Some(Lit::Str(text)) => text.parse_with(Path::parse_mod_style).ok(),
        _ => None,
    };
    if path.is_none() {
        faults.at(meta, "`crate` is the path of this library as text: `crate = \"some_crate::remote_object\"`");
    }
    path
}

fn manual(meta: &Meta, faults: &mut Faults) -> Vec<String> {
    let usage =
        || format!("`manual` lists traits you implement yourself, of {}: `manual(Default)`", DERIVES.join(", "));
    let Some(paths) = meta
        .require_list()
        .ok()
        .and_then(|list| list.parse_args_with(Punctuated::<Path, Token![,]>::parse_terminated).ok())
    else {
        faults.at(meta, usage());
        return Vec::new();
    };
    let mut names = Vec::new();
    for path in paths {
        match path.segments.last().map(|last| last.ident.to_string()) {
            Some(name) if DERIVES.contains(&name.as_str()) => names.push(name),
            _ => faults.at(&path, usage()),
        }
    }
    names
}
