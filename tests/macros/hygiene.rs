//! Modules in which the generated code could go wrong: without a prelude, with strange things under usual names.

mod without_prelude {
    #![no_implicit_prelude]

    use ::remote_object::{Context, Remote, RemoteError, ViewContext, remote_object};

    /// Without a prelude.
    #[remote_object(replace)]
    pub(super) struct Bare {
        text: ::std::string::String,
        maybe: ::core::option::Option<u8>,
        list: ::std::vec::Vec<u8>,
    }

    #[remote_object]
    impl Bare {
        pub fn see(&self, cx: &ViewContext, at: ::core::option::Option<u32>) -> ::core::option::Option<u8> {
            let _ = (cx, at);
            self.maybe
        }

        pub fn change(&mut self, cx: &Context, text: ::std::string::String) -> ::core::result::Result<(), BareError> {
            let _ = cx;
            self.text = text;
            self.list.push(0);
            ::core::result::Result::Ok(())
        }

        pub async fn see_far(&self, cx: &ViewContext, other: Remote<Self>) -> ::core::result::Result<u8, BareError> {
            cx.call(other.see(::core::option::Option::None)).await?;
            ::core::result::Result::Err(BareError::One { of: ::std::vec::Vec::new() })
        }

        pub async fn change_far(&mut self, cx: &Context, other: Remote<Bare>) -> ::core::result::Result<(), BareError> {
            cx.call(other.change(::std::string::String::new())).await?;
            ::core::result::Result::Ok(())
        }
    }

    #[derive(RemoteError)]
    pub(super) enum BareError {
        #[status(404)]
        One {
            of: ::std::vec::Vec<u8>,
        },
        Two,
        #[transparent]
        Rest(::remote_object::Error),
    }
}

#[allow(dead_code)]
mod usual_names_mean_other_things {
    use remote_object::{Context, RemoteError, ViewContext, remote_object};

    pub(super) struct Result;
    pub(super) struct Option;
    pub(super) struct Box;
    pub(super) struct String;
    pub(super) struct Vec;
    pub(super) trait Clone {}
    pub(super) trait Default {}
    pub(super) trait Serialize {}
    pub(super) trait Deserialize {}
    pub(super) trait JsonSchema {}
    pub(super) trait From {}
    pub(super) trait Send {}
    pub(super) trait Fallible {}
    #[allow(non_upper_case_globals)]
    const state: Box = Box;
    #[allow(non_upper_case_globals)]
    const args: String = String;
    #[allow(non_upper_case_globals)]
    const uri: Vec = Vec;
    #[allow(non_upper_case_globals)]
    const error: Option = Option;
    #[allow(non_camel_case_types)]
    pub(super) struct cx;

    /// With strange names beside it.
    #[remote_object]
    pub(super) struct Odd {
        list: std::vec::Vec<u8>,
    }

    #[remote_object]
    impl Odd {
        pub fn see(&self, _cx: &ViewContext, state_of: u8, args_of: u8) -> std::option::Option<u8> {
            let _ = (state, args, uri, error, cx, Result, state_of, args_of);
            self.list.first().copied()
        }

        pub async fn change(&mut self, _cx: &Context, a0: u8, f0: u8) -> std::result::Result<u8, OddError> {
            Err(OddError::Some { f0, f1: a0 })
        }
    }

    #[derive(RemoteError)]
    pub(super) enum OddError {
        Ok,
        Err,
        Some {
            f0: u8,
            f1: u8,
        },
        None,
        #[transparent]
        Error(remote_object::Error),
    }
}

use remote_object::prelude::*;
use remote_object::{RemoteObject, TypeDef};

#[test]
fn the_prelude_of_the_module_does_not_matter() {
    use without_prelude::{Bare, BareError};
    let names: Vec<_> = Bare::methods().iter().map(|method| method.name).collect();
    assert_eq!(names, ["see", "change", "see-far", "change-far"]);
    assert!(Bare::methods()[0].params[0].optional);
    assert!(matches!(BareError::from_error(BareError::Two.into_error()), Ok(BareError::Two)));
}

#[test]
fn the_names_of_the_module_do_not_matter() {
    use usual_names_mean_other_things::{Odd, OddError};
    assert_eq!(TypeDef::of::<Odd>().methods.len(), 2);
    for (error, code) in [
        (OddError::Ok, "ok"),
        (OddError::Err, "err"),
        (OddError::None, "none"),
        (OddError::Some { f0: 1, f1: 2 }, "some"),
    ] {
        assert_eq!(error.code(), code);
        let back = OddError::from_error(error.into_error()).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(back.code(), code);
    }
    let (call, _) = (Remote::<Odd>::new("a").change(1, 2), ());
    assert_eq!(&call.into_request().args.unwrap()[..], br#"{"a0":1,"f0":2}"#);
}

#[test]
fn a_type_inside_a_function_is_one_too() {
    use remote_object::{Remote, RemoteError, remote_object};

    #[remote_object]
    struct Local {
        value: u8,
    }

    #[remote_object]
    impl Local {
        pub fn value(&self) -> Result<u8, LocalError> {
            Ok(self.value)
        }
    }

    #[derive(RemoteError)]
    enum LocalError {}

    let _ = Remote::<Local>::new("a").value();
}
