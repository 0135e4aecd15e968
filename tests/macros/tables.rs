//! A type with everything in it, seen as its table.

use remote_object::objects::{Method, Options, Run};
use remote_object::prelude::*;
use remote_object::schemars::SchemaGenerator;
use remote_object::{RemoteObject, RemoteState, TypeDef};

/// Keeps notes.
///
/// For everybody.
#[remote_object(
    name = "note-book",
    replace,
    delete,
    require_match,
    keyed_calls = 8,
    keyed_bytes = 1024,
    cache_pool = "paper",
    crate = "::remote_object"
)]
#[derive(Debug, PartialEq, Clone)]
struct Notes {
    /// What is written.
    lines: Vec<String>,
}

#[remote_object(crate = "remote_object")]
impl Notes {
    /// No method, and so not remote.
    pub const PAGE: usize = 3;

    /// Answers one line.
    ///
    /// Or none.
    pub fn line(&self, at: Option<u32>, r#type: String) -> Option<String> {
        let _ = r#type;
        self.lines.get(self.index(at)).cloned()
    }

    pub fn page(&self, cx: &ViewContext) -> [String; Self::PAGE] {
        let _ = cx.id();
        Default::default()
    }

    pub fn merge(&mut self, mut other: Self, _cx: Context) -> Result<Self, NotesError> {
        self.lines.append(&mut other.lines);
        Ok(self.clone())
    }

    pub async fn copy_to(&mut self, to: Remote<Self>, _: &Context) -> Result<()> {
        let _ = to;
        Ok(())
    }

    pub async fn far(&self) -> std::result::Result<u8, NotesError> {
        Err(NotesError::Full)
    }

    #[allow(clippy::needless_arbitrary_self_type, clippy::unused_unit)]
    pub fn nothing(self: &mut Self) -> () {}

    #[remote(name = "uri")]
    pub fn address(&self) -> String {
        Self::helper()
    }

    #[cfg(any())]
    pub fn gone(&self) -> NoSuchType {}

    #[cfg(not(any()))]
    #[deprecated = "read the line"]
    pub fn old(&self) {}

    #[remote(skip)]
    pub fn helper() -> String {
        String::new()
    }

    fn index(&self, at: Option<u32>) -> usize {
        at.map_or(0, |at| at as usize)
    }

    pub(crate) fn visible_here(&self, _: &str) {}
}

#[derive(RemoteError, Debug, PartialEq)]
#[status(507)]
enum NotesError {
    Full,
}

fn method(name: &str) -> &'static Method {
    Notes::methods().iter().find(|method| method.name == name).unwrap()
}

#[test]
fn every_public_method_is_remote_and_nothing_else() {
    let names: Vec<_> = Notes::methods().iter().map(|method| method.name).collect();
    assert_eq!(names, ["line", "page", "merge", "copy-to", "far", "nothing", "uri", "old"]);
    Notes::default().visible_here("");
}

#[test]
fn the_receiver_and_async_decide_how_a_method_is_run() {
    assert!(matches!(method("line").run, Run::View(_)));
    assert!(matches!(method("merge").run, Run::Edit(_)));
    assert!(matches!(method("far").run, Run::AsyncView(_)));
    assert!(matches!(method("copy-to").run, Run::AsyncEdit(_)));
    assert!(matches!(method("nothing").run, Run::Edit(_)));
}

#[test]
fn the_context_is_no_argument() {
    let params = |name| method(name).params.iter().map(|param| (param.name, param.optional)).collect::<Vec<_>>();
    assert_eq!(params("line"), [("at", true), ("type", false)]);
    assert_eq!(params("merge"), [("other", false)]);
    assert_eq!(params("copy-to"), [("to", false)]);
    let with: Vec<_> = Notes::methods().iter().filter(|method| method.context).map(|method| method.name).collect();
    assert_eq!(with, ["page", "merge", "copy-to"]);
}

#[test]
fn a_unit_reply_has_no_schema() {
    let without: Vec<_> = Notes::methods().iter().filter(|m| m.reply.is_none()).map(|m| m.name).collect();
    assert_eq!(without, ["copy-to", "nothing", "old"]);
    let mut generator = SchemaGenerator::default();
    assert_eq!(method("far").reply.unwrap()(&mut generator).get("type").unwrap(), "integer");
    assert_eq!(method("page").reply.unwrap()(&mut generator).get("minItems").unwrap(), 3);
}

#[test]
fn the_keys_of_the_attribute_become_options() {
    let options = Options {
        replace: true,
        delete: true,
        require_match: true,
        keyed_calls: 8,
        keyed_bytes: 1024,
        cache_pool: Some("paper"),
    };
    assert_eq!((Notes::TYPE, Notes::OPTIONS), ("note-book", options));
}

#[test]
fn doc_comments_describe_types_fields_methods_and_arguments() {
    assert_eq!(Notes::DOC, "Keeps notes.\n\nFor everybody.");
    assert_eq!(method("line").doc, "Answers one line.\n\nOr none.");
    assert_eq!(method("page").doc, "");
    let mut generator = SchemaGenerator::default();
    let reference = Notes::schema(&mut generator);
    assert_eq!(reference.get("$ref").unwrap(), "#/$defs/Notes");
    let schema = &generator.definitions()["Notes"];
    assert_eq!(schema["description"], "Keeps notes.\n\nFor everybody.");
    assert_eq!(schema["properties"]["lines"]["description"], "What is written.");
}

#[test]
fn a_stored_state_with_a_field_that_is_gone_can_be_read() {
    let def = TypeDef::of::<Notes>();
    let old = br#"{"lines":["a"],"colour":"red"}"#;
    let mut text = Vec::new();
    (def.decode)(old).unwrap().encode(&mut text).unwrap();
    assert_eq!(text, br#"{"lines":["a"]}"#);
    assert!((def.decode_strict)(old).is_err());
}

#[test]
fn a_type_registers_itself() {
    let registry = remote_object::objects::Registry::new(&[], true).unwrap();
    for name in ["note-book", "counter", "account", "product", "cart"] {
        assert!(registry.get(name).is_some(), "{name}");
    }
    // Given explicitly too, it counts once.
    remote_object::objects::Registry::new(&[TypeDef::of::<Notes>()], true).unwrap();
}

mod elsewhere {
    pub(super) mod inner {
        #[remote_object::remote_object]
        pub(in crate::tables) struct Far {
            pub(in crate::tables) at: u8,
        }
    }

    #[remote_object::remote_object]
    impl inner::Far {
        pub fn at(&self) -> u8 {
            self.at
        }
    }
}

/// The derives that are written are kept, and what is written by hand too.
#[remote_object(manual(Default))]
#[derive(Debug, PartialEq, remote_object::Serialize)]
#[serde(rename_all = "camelCase")]
struct ByHand {
    how_many: u8,
}

impl Default for ByHand {
    fn default() -> Self {
        Self { how_many: 7 }
    }
}

#[remote_object]
impl ByHand {}

#[test]
fn what_is_written_by_hand_is_kept() {
    let def = TypeDef::of::<ByHand>();
    let mut text = Vec::new();
    (def.default)().encode(&mut text).unwrap();
    assert_eq!(text, br#"{"howMany":7}"#);
    assert_eq!(TypeDef::of::<elsewhere::inner::Far>().methods[0].name, "at");
}

/// One of everything that is derived, and the values inside.
#[remote_object]
#[derive(
    Clone, Debug, Default, PartialEq, remote_object::Serialize, remote_object::Deserialize, remote_object::JsonSchema,
)]
struct AllWritten {
    of: Vec<Pair<Shade>>,
}

#[remote_value]
#[derive(Debug, PartialEq)]
struct Pair<T>(T, Option<T>);

#[remote_value(manual(Clone))]
#[derive(Debug, PartialEq, Copy)]
#[serde(rename_all = "kebab-case")]
enum Shade {
    LightBlue,
    Rgb { red: u8 },
}

#[allow(clippy::non_canonical_clone_impl)]
impl Clone for Shade {
    fn clone(&self) -> Self {
        *self
    }
}

#[test]
fn a_value_is_part_of_a_state_with_one_attribute() {
    let text = r#"{"of":[["light-blue",{"rgb":{"red":1}}]]}"#;
    let state: AllWritten = serde_json::from_str(text).unwrap();
    assert_eq!(state, AllWritten { of: vec![Pair(Shade::LightBlue, Some(Shade::Rgb { red: 1 }))] });
    assert_eq!(serde_json::to_string(&state).unwrap(), text);
    let mut generator = SchemaGenerator::default();
    AllWritten::schema(&mut generator);
    assert!(generator.definitions().contains_key("Shade"));
}

macro_rules! made_by_a_macro {
    ($name:ident, $field:ident: $ty:ty, $reply:ty, $cx:ty) => {
        #[remote_object]
        struct $name {
            $field: $ty,
        }

        #[remote_object]
        impl $name {
            pub fn get(&self, _: $cx, or: Option<$ty>) -> $reply {
                Ok(or.unwrap_or(self.$field))
            }
        }
    };
}

made_by_a_macro!(MacroMade, field: u16, Result<u16, NotesError>, &ViewContext);

#[test]
fn a_macro_can_make_a_type() {
    let [get] = MacroMade::methods() else { panic!("one method") };
    assert_eq!((get.params.len(), get.params[0].optional, get.context), (1, true, true));
    assert_eq!((get.problems)(&mut SchemaGenerator::default()).len(), 1);
    let _ = |one: Remote<MacroMade>| one.get(None).timeout(std::time::Duration::from_secs(1));
}
