//! Names and texts: kebab-case, the names that URIs allow, doc comments.

use syn::ext::IdentExt;
use syn::{Attribute, Expr, ExprLit, Ident, Lit, Meta};

/// An identifier's text without `r#`.
pub(crate) fn text(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// `check_out` and `CheckOut` are `check-out`, `HTTPServer` is `http-server`.
pub(crate) fn kebab(name: &str) -> String {
    let chars: Vec<char> = name.chars().collect();
    let mut out = String::with_capacity(name.len() + 4);
    for (at, &c) in chars.iter().enumerate() {
        let before = at.checked_sub(1).map(|at| chars[at]);
        let begins_word = c.is_uppercase()
            && before.is_some_and(|before| {
                let ends_acronym = before.is_uppercase() && chars.get(at + 1).is_some_and(|next| next.is_lowercase());
                before.is_lowercase() || before.is_ascii_digit() || ends_acronym
            });
        if (begins_word || c == '_') && !out.is_empty() && !out.ends_with('-') {
            out.push('-');
        }
        if c != '_' {
            out.extend(c.to_lowercase());
        }
    }
    out.truncate(out.trim_end_matches('-').len());
    out
}

/// `OutOfStock` is `Out of stock`.
pub(crate) fn in_words(name: &str) -> String {
    let words = kebab(name).replace('-', " ");
    let mut chars = words.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Why `name` cannot stand in a URI or be a code, if it cannot: the half sentence after the name.
pub(crate) fn check_name(name: &str) -> Result<(), &'static str> {
    let bytes = name.as_bytes();
    match bytes.first() {
        None => return Err("is empty"),
        Some(b'_') => return Err("begins with `_`, and such names are kept for the library"),
        Some(first) if !first.is_ascii_lowercase() => return Err("does not begin with a lower-case letter a-z"),
        Some(_) => {}
    }
    if bytes.len() > 64 {
        return Err("is longer than 64 bytes");
    }
    if !bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-') {
        return Err("is not kebab-case (a-z, 0-9 and `-`)");
    }
    Ok(())
}

/// The doc comment as text.
pub(crate) fn docs(attrs: &[Attribute]) -> String {
    let mut lines = Vec::new();
    for attr in attrs.iter().filter(|attr| attr.path().is_ident("doc")) {
        let Meta::NameValue(pair) = &attr.meta else { continue };
        let Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) = &pair.value else { continue };
        let text = text.value();
        match text.contains('\n') {
            false => lines.push(text.strip_prefix(' ').unwrap_or(&text).trim_end().to_owned()),
            true => block(&text, &mut lines),
        }
    }
    lines.join("\n").trim().to_owned()
}

/// The lines of a `/** … */` without their indentation and their stars.
fn block(text: &str, lines: &mut Vec<String>) {
    let starred = text.lines().skip(1).all(|line| line.trim().is_empty() || line.trim_start().starts_with('*'));
    let indent = |line: &str| line.len() - line.trim_start().len();
    let common = text.lines().skip(1).filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
    for (at, line) in text.lines().enumerate() {
        let line = match (at, starred) {
            (0, _) => line.trim(),
            (_, true) => {
                let line = line.trim_start().trim_start_matches('*');
                line.strip_prefix(' ').unwrap_or(line)
            }
            (_, false) => line.get(common..).unwrap_or(""),
        };
        lines.push(line.trim_end().to_owned());
    }
}

/// The first paragraph of a text on one line.
pub(crate) fn first_paragraph(text: &str) -> String {
    text.lines().map(str::trim).take_while(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_kebab_case() {
        for (name, kebabbed) in [
            ("Account", "account"),
            ("ShoppingCart", "shopping-cart"),
            ("HTTPServer", "http-server"),
            ("Sha256Sum", "sha256-sum"),
            ("check_out", "check-out"),
            ("give__back_", "give-back"),
            ("_hidden", "hidden"),
            ("A", "a"),
        ] {
            assert_eq!(kebab(name), kebabbed);
        }
        assert_eq!(in_words("OutOfStock"), "Out of stock");
    }

    #[test]
    fn a_doc_comment_reads_the_same_in_both_spellings() {
        let lines: syn::ItemStruct = syn::parse_str("/// One.\n///\n/// * two\nstruct A {}").expect("a struct");
        assert_eq!(docs(&lines.attrs), "One.\n\n* two");
        let block: syn::ItemStruct =
            syn::parse_str("/** One.\n     *\n     * * two\n     */\nstruct A {}").expect("a struct");
        assert_eq!(docs(&block.attrs), "One.\n\n* two");
        assert_eq!(first_paragraph("One\nline.\n\nMore."), "One line.");
    }
}
