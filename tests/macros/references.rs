//! `Remote<T>` and the calls it makes.

use remote_object::NoError;
use remote_object::objects::{CallRequest, Edit, View};
use remote_object::prelude::*;

/// A door.
#[remote_object]
struct Door {
    open: bool,
}

#[remote_object]
impl Door {
    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn set(&mut self, open: bool, r#for: Option<u32>, next: Remote<Door>) -> Result<(), DoorError> {
        let _ = (r#for, next);
        self.open = open;
        Ok(())
    }

    // Names that `Remote` and the generated code know too, and that a call must still find.
    #[allow(clippy::wrong_self_convention, clippy::new_ret_no_self)]
    pub fn new(&self) {}
    pub fn at(&self) {}
    pub fn parse(&self) {}
    pub fn deref(&self) {}
    pub fn borrow(&self) {}
    pub fn methods(&self) {}
    pub fn schema(&self) {}
    pub fn copy(&self) {}
    pub fn encode(&self) {}
    pub fn drop(&self) {}
}

#[derive(RemoteError)]
enum DoorError {}

fn sent<T, E, K: remote_object::objects::CallKind>(call: Call<T, E, K>) -> (String, &'static str, bool, String) {
    let CallRequest { uri, method, view, args, .. } = call.into_request();
    (uri.to_string(), method, view, String::from_utf8(args.unwrap().to_vec()).unwrap())
}

#[test]
fn a_method_of_a_reference_makes_a_call_and_nothing_more() {
    let door = Remote::<Door>::new("front door");
    let view: Call<bool, NoError, View> = door.is_open();
    assert_eq!(sent(view), ("/objects/door/front%20door".into(), "is-open", true, "{}".into()));
    let edit: Call<(), DoorError, Edit> = door.set(true, Some(3), Remote::new("back"));
    let args = r#"{"open":true,"for":3,"next":"/objects/door/back"}"#;
    assert_eq!(sent(edit), ("/objects/door/front%20door".into(), "set", false, args.into()));
}

#[test]
fn a_method_may_have_a_name_that_generated_code_uses() {
    let door = Remote::<Door>::new("front");
    let names = [
        sent(door.new()).1,
        sent(door.at()).1,
        sent(door.parse()).1,
        sent(door.borrow()).1,
        sent(door.methods()).1,
        sent(door.schema()).1,
        sent(door.copy()).1,
        sent(door.encode()).1,
        sent(door.deref()).1,
    ];
    assert_eq!(names, ["new", "at", "parse", "borrow", "methods", "schema", "copy", "encode", "deref"]);
}

#[test]
fn a_reference_is_its_uri_as_json() {
    let door = Remote::<Door>::new("a/b");
    let text = serde_json::to_string(&door).unwrap();
    assert_eq!(text, r#""/objects/door/a%2Fb""#);
    assert_eq!(serde_json::from_str::<Remote<Door>>(&text).unwrap(), door);
    let wrong = serde_json::from_str::<Remote<Door>>(r#""/objects/window/a""#).unwrap_err();
    assert_eq!(wrong.to_string(), "/objects/window/a is a window, not a door");
}
