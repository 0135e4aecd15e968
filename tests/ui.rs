//! What the compiler says of a misuse of the attributes: each at its own place, with what would be right.
//!
//! `TRYBUILD=overwrite cargo test --test ui` writes the messages anew; read them before committing.

#[test]
fn a_misuse_is_told_where_it_is() {
    let cases = trybuild::TestCases::new();
    cases.pass("tests/ui/pass/*.rs");
    cases.compile_fail("tests/ui/fail/*.rs");
}
