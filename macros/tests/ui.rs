//! What the compiler says of a misuse of the attributes: each at its own place, with what would be right.
//!
//! What the attributes take is in the library's `tests/macros`. `TRYBUILD=overwrite cargo test --test ui` writes the
//! messages anew; read them before committing.

#[test]
fn a_misuse_is_told_where_it_is() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/fail/*.rs");
}
