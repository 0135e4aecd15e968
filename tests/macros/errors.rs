//! `#[derive(RemoteError)]`: a problem on the way out, the same enum on the way in.

use remote_object::error::Kind;
use remote_object::prelude::*;
use remote_object::schemars::SchemaGenerator;
use serde_json::json;

/// What a shop says.
#[derive(RemoteError, Debug, Clone, PartialEq)]
#[status(409)]
enum ShopError {
    /// We have none
    /// left.
    ///
    /// Ask again tomorrow.
    #[code("sold-out")]
    OutOfStock {
        left: u32,
        note: Option<String>,
    },
    #[status(402)]
    TooPoor,
    Many {
        r#in: Vec<u8>,
    },
}

#[derive(RemoteError, Debug)]
enum Outer {
    Own {
        left: u32,
    },
    #[transparent]
    Failed(Error),
}

fn all() -> [ShopError; 4] {
    [
        ShopError::OutOfStock { left: 3, note: Some("blue ones".into()) },
        ShopError::OutOfStock { left: 0, note: None },
        ShopError::TooPoor,
        ShopError::Many { r#in: vec![1, 2] },
    ]
}

#[test]
fn an_error_comes_back_as_the_variant_it_was() {
    for error in all() {
        assert_eq!(ShopError::from_error(error.clone().into_error()).unwrap(), error);
        match CallError::<ShopError>::from_error(error.clone().into_error()) {
            CallError::Method(own) => assert_eq!(own, error),
            CallError::Failed(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_variant_says_its_status_code_title_and_fields() {
    let error = ShopError::OutOfStock { left: 3, note: None }.into_error();
    let method = error.method().unwrap();
    assert_eq!((method.status, &*method.code, error.message()), (409, "sold-out", "We have none left."));
    assert_eq!(serde_json::Value::from(error.fields().clone()), json!({"left": 3, "note": null}));
    let poor = ShopError::TooPoor.into_error();
    assert_eq!((poor.method().unwrap().status, poor.message()), (402, "Too poor"));
    assert_eq!(ShopError::TooPoor.code(), "too-poor");
    assert_eq!(ShopError::Many { r#in: vec![] }.into_error().fields()["in"], json!([]));
}

#[test]
fn an_error_that_is_none_of_the_enums_is_given_back() {
    let strange = [
        Error::new(Kind::ObjectBusy, "busy"),
        Error::from_method(409, "strange", "", serde_json::Map::new()),
        // The code of ours, the fields of another.
        Error::from_method(409, "sold-out", "", serde_json::Map::new()).with_field("left", "three"),
        Error::from_method(409, "many", "", serde_json::Map::new()),
    ];
    for error in strange {
        let text = error.to_string();
        assert_eq!(ShopError::from_error(error).unwrap_err().to_string(), text);
    }
}

#[test]
fn a_transparent_variant_hands_on_what_it_holds() {
    fn fails() -> Result<(), CallError<ShopError>> {
        Err(CallError::Method(ShopError::TooPoor))
    }
    fn hands_on() -> Result<(), Outer> {
        Ok(fails()?)
    }
    let outer = hands_on().unwrap_err();
    assert_eq!(outer.code(), "too-poor");
    let error = outer.into_error();
    assert_eq!((error.kind(), error.code(), error.method().unwrap().status), (Kind::Method, "too-poor", 402));
    // To the next caller it is not an error of the method he called.
    assert!(matches!(CallError::<Outer>::from_error(error), CallError::Failed(_)));
    let busy = Outer::from(Error::new(Kind::ObjectBusy, "busy")).into_error();
    assert_eq!(busy.kind(), Kind::ObjectBusy);
}

#[test]
fn the_problems_are_described_with_their_fields() {
    let mut generator = SchemaGenerator::default();
    let problems = ShopError::problems(&mut generator);
    let told: Vec<_> = problems.iter().map(|p| (p.status, p.code, p.fields.len())).collect();
    assert_eq!(told, [(409, "sold-out", 2), (402, "too-poor", 0), (409, "many", 1)]);
    assert_eq!(problems[0].doc, "We have none\nleft.\n\nAsk again tomorrow.");
    assert_eq!(problems[0].fields[0].0, "left");
    assert_eq!(problems[0].fields[0].1.get("type").unwrap(), "integer");
    let outer = Outer::problems(&mut generator);
    assert_eq!((outer.len(), outer[0].status, outer[0].code), (1, 422, "own"));
    let _ = Outer::Own { left: 1 };
}
