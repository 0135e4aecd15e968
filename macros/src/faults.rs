//! What is wrong with a user's code: collected, so that all of it is said at once, each at its own place.

use std::fmt::Display;

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// The mistakes found so far.
#[derive(Default)]
pub(crate) struct Faults(Option<syn::Error>);

impl Faults {
    /// A mistake at these tokens.
    pub(crate) fn at(&mut self, what: &dyn ToTokens, message: impl Display) {
        self.take(syn::Error::new_spanned(what.to_token_stream(), message));
    }

    /// A mistake at this place.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Display) {
        self.take(syn::Error::new(span, message));
    }

    /// A mistake the parser found.
    pub(crate) fn take(&mut self, error: syn::Error) {
        match &mut self.0 {
            Some(first) => first.combine(error),
            None => self.0 = Some(error),
        }
    }

    /// Whether something was found since there were `before`.
    pub(crate) fn more_than(&self, before: usize) -> bool {
        self.count() > before
    }

    /// How many there are.
    pub(crate) fn count(&self) -> usize {
        self.0.as_ref().map_or(0, |error| error.into_iter().count())
    }

    /// The items that make the compiler say it.
    pub(crate) fn into_tokens(self) -> TokenStream {
        self.0.map(|error| error.to_compile_error()).unwrap_or_default()
    }
}
