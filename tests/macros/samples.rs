//! The sample types of `objectd`, seen as their tables.

#[path = "../../src/bin/objectd/account.rs"]
mod account;
#[path = "../../src/bin/objectd/cart.rs"]
mod cart;
#[path = "../../src/bin/objectd/counter.rs"]
mod counter;
#[path = "../../src/bin/objectd/product.rs"]
mod product;

use remote_object::TypeDef;
use remote_object::schemars::SchemaGenerator;

/// `method(argument, …) -> reply | problem status(field, …)`, edits with a `!`.
fn spelled(def: &TypeDef) -> Vec<String> {
    let mut generator = SchemaGenerator::default();
    let mut lines = Vec::new();
    for method in def.methods {
        let params: Vec<_> = method.params.iter().map(|param| param.name).collect();
        let mut line = format!("{}({})", method.name, params.join(", "));
        line.push_str(if method.is_view() { "" } else { "!" });
        line.push_str(if method.reply.is_some() { " -> value" } else { "" });
        for problem in (method.problems)(&mut generator) {
            let fields: Vec<_> = problem.fields.iter().map(|(name, _)| *name).collect();
            line.push_str(&format!(" | {} {}({})", problem.code, problem.status, fields.join(", ")));
        }
        lines.push(line);
    }
    lines
}

fn default_state(def: &TypeDef) -> String {
    let mut text = Vec::new();
    (def.default)().encode(&mut text).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn the_counter_has_the_shape_the_readme_promises() {
    let def = TypeDef::of::<counter::Counter>();
    assert_eq!((def.name, def.options.replace, def.options.delete), ("counter", true, true));
    assert_eq!(default_state(&def), r#"{"value":0}"#);
    let overflow = " -> value | overflow 422()";
    assert_eq!(spelled(&def), ["value() -> value".to_owned(), format!("add(by)!{overflow}"), "reset()!".to_owned()]);
}

#[test]
fn the_account_has_the_shape_the_readme_promises() {
    let def = TypeDef::of::<account::Account>();
    assert_eq!((def.name, def.options.replace, def.options.delete), ("account", false, false));
    assert_eq!(default_state(&def), r#"{"owner":null,"balance":0}"#);
    let problems = " | already-open 409() | insufficient 402(balance)";
    assert_eq!(
        spelled(&def),
        [
            format!("open(owner)!{problems}"),
            "balance() -> value".to_owned(),
            "deposit(amount)! -> value".to_owned(),
            format!("withdraw(amount)! -> value{problems}"),
        ]
    );
}

#[test]
fn the_product_has_the_shape_the_readme_promises() {
    let def = TypeDef::of::<product::Product>();
    assert_eq!((def.name, def.options.replace, def.options.delete), ("product", true, true));
    assert_eq!(default_state(&def), r#"{"name":"","price":0,"stock":0}"#);
    assert_eq!(
        spelled(&def),
        ["price() -> value", "take(quantity)! -> value | out-of-stock 409(stock)", "give-back(quantity)! -> value",]
    );
}

#[test]
fn the_cart_has_the_shape_the_readme_promises() {
    let def = TypeDef::of::<cart::Cart>();
    assert_eq!((def.name, def.options.replace, def.options.delete), ("cart", false, false));
    assert_eq!(default_state(&def), r#"{"items":[]}"#);
    let problems = " -> value | out-of-stock 409(product) | overflow 422()";
    assert_eq!(
        spelled(&def),
        ["put(product, quantity)!".to_owned(), format!("total(){problems}"), format!("check-out()!{problems}")]
    );
    let stored = br#"{"items":[{"product":"/objects/product/tea","quantity":2}]}"#;
    let mut text = Vec::new();
    (def.decode_strict)(stored).unwrap().encode(&mut text).unwrap();
    assert_eq!(text, stored);
}
