//! Questions about types as they are written.

use proc_macro2::{Group, TokenStream, TokenTree};
use quote::{ToTokens, format_ident};
use syn::visit::{self, Visit};
use syn::{Ident, Lifetime, Path, Type, TypeImplTrait, TypeReference};

use crate::faults::Faults;

/// A context parameter.
pub(crate) struct Context {
    pub(crate) name: &'static str,
    pub(crate) of_view: bool,
    pub(crate) by_reference: bool,
    pub(crate) by_mut: bool,
}

/// The context this type is, if it is one: known by its name, wherever it is imported from.
pub(crate) fn context(ty: &Type) -> Option<Context> {
    let (inner, reference) = match bare(ty) {
        Type::Reference(of) => (bare(&of.elem), Some(of)),
        other => (other, None),
    };
    let Type::Path(path) = inner else { return None };
    let last = path.path.segments.last().filter(|last| last.arguments.is_none())?;
    let of_view = match &last.ident {
        name if name == "Context" => false,
        name if name == "ViewContext" => true,
        _ => return None,
    };
    Some(Context {
        name: if of_view { "ViewContext" } else { "Context" },
        of_view,
        by_reference: reference.is_some(),
        by_mut: reference.is_some_and(|of| of.mutability.is_some()),
    })
}

/// The type without parentheses, and without the invisible ones that `macro_rules!` puts round it.
pub(crate) fn bare(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => bare(&group.elem),
        Type::Paren(paren) => bare(&paren.elem),
        other => other,
    }
}

/// The last name of a path.
pub(crate) fn last_ident(ty: &Type) -> Option<&Ident> {
    match bare(ty) {
        Type::Path(path) => path.path.segments.last().map(|last| &last.ident),
        _ => None,
    }
}

pub(crate) fn is_unit(ty: &Type) -> bool {
    matches!(bare(ty), Type::Tuple(tuple) if tuple.elems.is_empty())
}

pub(crate) fn is_self(ty: &Type) -> bool {
    matches!(bare(ty), Type::Path(path) if path.qself.is_none() && path.path.is_ident("Self"))
}

/// `inner::Account` and `"Remote"` make `inner::AccountRemote`.
pub(crate) fn beside(path: &Path, suffix: &str) -> Path {
    let mut path = path.clone();
    if let Some(last) = path.segments.last_mut() {
        last.ident = format_ident!("{}{suffix}", last.ident);
    }
    path
}

/// The type with `Self` spelled out, so that it means the same outside the impl block.
pub(crate) fn without_self(ty: &Type, self_ty: Option<&Path>) -> TokenStream {
    match self_ty {
        Some(path) => replaced(ty.to_token_stream(), &path.to_token_stream()),
        None => ty.to_token_stream(),
    }
}

fn replaced(tokens: TokenStream, path: &TokenStream) -> TokenStream {
    let each = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(ident) if ident == "Self" => path.clone(),
        TokenTree::Group(group) => {
            let mut inner = Group::new(group.delimiter(), replaced(group.stream(), path));
            inner.set_span(group.span());
            TokenTree::from(inner).into()
        }
        other => other.into(),
    });
    each.collect()
}

/// Says where a type borrows, or is none: it crosses from one process to another.
pub(crate) fn check_owned(ty: &Type, what: &'static str, faults: &mut Faults) {
    Owned { what, faults }.visit_type(ty);
}

struct Owned<'a> {
    what: &'static str,
    faults: &'a mut Faults,
}

impl<'ast> Visit<'ast> for Owned<'_> {
    fn visit_type_reference(&mut self, of: &'ast TypeReference) {
        let owned = match &*of.elem {
            Type::Path(path) if path.path.is_ident("str") => "String".to_owned(),
            Type::Slice(slice) => format!("Vec<{}>", spelled(&slice.elem)),
            other => spelled(other),
        };
        self.faults.at(of, format!("{} owns what it holds, since it crosses processes: use `{owned}`", self.what));
    }

    fn visit_type_impl_trait(&mut self, of: &'ast TypeImplTrait) {
        let more = if self.what == "a reply" { " (for a future, write `async fn`)" } else { "" };
        self.faults.at(of, format!("{} is of one concrete type, not `impl Trait`: name it{more}", self.what));
    }

    fn visit_lifetime(&mut self, lifetime: &'ast Lifetime) {
        if lifetime.ident != "static" {
            self.faults.at(
                lifetime,
                format!("{} owns what it holds, since it crosses processes: leave the lifetime out", self.what),
            );
        }
        visit::visit_lifetime(self, lifetime);
    }
}

/// A type as a person writes it.
fn spelled(ty: &Type) -> String {
    let text = ty.to_token_stream().to_string();
    [(" :: ", "::"), (" < ", "<"), (" >", ">"), (" ,", ","), ("& ", "&")]
        .iter()
        .fold(text, |text, (from, to)| text.replace(from, to))
}
