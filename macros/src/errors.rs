//! `#[derive(RemoteError)]`: what the enum says and whether it may.

use proc_macro2::Span;
use syn::{Data, DeriveInput, Fields, Ident, Path, Type};

use crate::args;
use crate::faults::Faults;
use crate::words;

/// The status of a problem that names none.
const DEFAULT_STATUS: u16 = 422;

/// Members of a problem that have a meaning already: RFC 9457's, and those every problem has here.
const RESERVED: [&str; 9] = ["type", "title", "status", "detail", "instance", "code", "retryable", "outcome", "cycle"];

/// An enum of errors.
pub(crate) struct Errors {
    pub(crate) krate: Path,
    pub(crate) ident: Ident,
    pub(crate) variants: Vec<Variant>,
    /// Every variant of the enum is among them.
    pub(crate) complete: bool,
}

/// One error.
pub(crate) struct Variant {
    pub(crate) ident: Ident,
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) code_span: Span,
    pub(crate) doc: String,
    /// The sentence for clients.
    pub(crate) message: String,
    pub(crate) shape: Shape,
}

/// What a variant holds.
pub(crate) enum Shape {
    Fields(Vec<Field>),
    /// The library's own error, handed on as it is.
    Transparent,
}

/// A member of the problem.
pub(crate) struct Field {
    pub(crate) ident: Ident,
    pub(crate) name: String,
    pub(crate) ty: Type,
}

/// Reads the enum. `None` when it is none.
pub(crate) fn read(input: &DeriveInput, faults: &mut Faults) -> Option<Errors> {
    let krate = args::error_keys(&input.attrs, faults).unwrap_or_else(args::default_crate);
    let generic = crate::state::check_generics(&input.generics, "an enum of errors", faults);
    let Data::Enum(data) = &input.data else {
        let what =
            "`RemoteError` is derived on an enum, each variant one problem: `enum BankError { Insufficient { … } }`";
        faults.at(&input.ident, what);
        return None;
    };
    for name in ["code", "transparent"] {
        for attr in input.attrs.iter().filter(|attr| attr.path().is_ident(name)) {
            faults.at(attr, format!("`#[{name}]` stands on a variant"));
        }
    }
    let default_status = args::status(&input.attrs, faults).unwrap_or(DEFAULT_STATUS);
    let mut variants: Vec<Variant> = Vec::new();
    for variant in &data.variants {
        let Some(variant) = read_variant(variant, default_status, faults) else { continue };
        let twin = variants.iter().find(|other| match (&other.shape, &variant.shape) {
            (Shape::Transparent, Shape::Transparent) => true,
            (Shape::Fields(_), Shape::Fields(_)) => other.code == variant.code,
            _ => false,
        });
        match (twin, &variant.shape) {
            (None, _) => variants.push(variant),
            (Some(twin), Shape::Fields(_)) => faults.at_span(
                variant.code_span,
                format!(
                    "`{}` and `{}` have one code, `{}`: give one of them another, `#[code(\"…\")]`",
                    variant.ident, twin.ident, variant.code
                ),
            ),
            (Some(twin), Shape::Transparent) => faults.at(
                &variant.ident,
                format!("`{}` hands on errors already: one transparent variant is enough", twin.ident),
            ),
        }
    }
    let complete = variants.len() == data.variants.len();
    (!generic).then(|| Errors { krate, ident: input.ident.clone(), variants, complete })
}

fn read_variant(variant: &syn::Variant, default_status: u16, faults: &mut Faults) -> Option<Variant> {
    let before = faults.count();
    let attrs = &variant.attrs;
    let transparent = args::single(attrs, "transparent", faults);
    let status = args::status(attrs, faults);
    let code = args::code(attrs, faults);
    if let Some(attr) = transparent {
        if attr.meta.require_path_only().is_err() {
            faults.at(attr, "`#[transparent]` takes no value");
        }
        for attr in attrs.iter().filter(|attr| attr.path().is_ident("status") || attr.path().is_ident("code")) {
            faults.at(attr, "a transparent variant keeps the status and code of what it hands on: leave this out");
        }
    }
    let shape = match transparent {
        Some(_) => transparent_shape(variant, faults),
        None => fields(variant, faults).map(Shape::Fields),
    };
    let name = words::text(&variant.ident);
    let kebab = words::kebab(&name);
    let named = transparent.is_some() || attrs.iter().any(|attr| attr.path().is_ident("code"));
    match words::check_name(&kebab) {
        Err(why) if !named => {
            faults.at(&variant.ident, format!("the code {kebab:?} {why}; give another: `#[code(\"…\")]`"));
        }
        _ => {}
    }
    let doc = words::docs(attrs);
    let first = words::first_paragraph(&doc);
    let variant = Variant {
        ident: variant.ident.clone(),
        status: status.unwrap_or(default_status),
        code_span: code.as_ref().map_or(variant.ident.span(), syn::LitStr::span),
        code: code.map_or(kebab, |code| code.value()),
        message: if first.is_empty() { words::in_words(&name) } else { first },
        doc,
        shape: shape?,
    };
    (!faults.more_than(before)).then_some(variant)
}

fn transparent_shape(variant: &syn::Variant, faults: &mut Faults) -> Option<Shape> {
    match &variant.fields {
        Fields::Unnamed(fields) if fields.unnamed.len() == 1 => Some(Shape::Transparent),
        _ => {
            let ident = &variant.ident;
            faults.at(
                ident,
                format!("a transparent variant holds the error it hands on: `{ident}(remote_object::Error)`"),
            );
            None
        }
    }
}

fn fields(variant: &syn::Variant, faults: &mut Faults) -> Option<Vec<Field>> {
    let ident = &variant.ident;
    let named = match &variant.fields {
        Fields::Unit => return Some(Vec::new()),
        Fields::Named(named) => named,
        Fields::Unnamed(unnamed) => {
            faults.at(
                unnamed,
                format!(
                    "what a problem tells has names: write `{ident} {{ name: Type }}`, or \
                     `#[transparent] {ident}(remote_object::Error)` to hand on the error of another call"
                ),
            );
            return None;
        }
    };
    let mut fields = Vec::new();
    for field in &named.named {
        let Some(ident) = &field.ident else { continue };
        let name = words::text(ident);
        if RESERVED.contains(&name.as_str()) {
            faults.at(
                ident,
                format!(
                    "`{name}` is a member every problem has: name the field otherwise (not one of {})",
                    RESERVED.join(", ")
                ),
            );
        }
        crate::types::check_owned(&field.ty, "a member of a problem", faults);
        fields.push(Field { ident: ident.clone(), name, ty: field.ty.clone() });
    }
    Some(fields)
}
