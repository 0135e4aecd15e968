//! An object in a crate whose only dependency is remote-object, under another name.
#![forbid(unsafe_code)]

use objects::prelude::*;

/// A bell.
#[remote_object]
pub struct Bell {
    /// How often it rang.
    rang: u32,
}

#[remote_object]
impl Bell {
    /// Rings, and answers how often it has.
    pub fn ring(&mut self, _cx: &Context, times: u32) -> Result<u32, BellError> {
        self.rang = self.rang.checked_add(times).ok_or(BellError::Worn { rang: self.rang })?;
        Ok(self.rang)
    }
}

/// Why a bell does not ring.
#[derive(RemoteError, Debug)]
pub enum BellError {
    /// It is worn out.
    Worn {
        /// How often it rang.
        rang: u32,
    },
}

/// What a crate does that hands the library on to its own users.
pub mod handed_on {
    pub use objects as library;
}

/// The key `crate` finds it there.
pub mod by_key {
    use crate::handed_on::library::{RemoteError, remote_object};

    /// A gong.
    #[remote_object(crate = "crate::handed_on::library")]
    pub struct Gong {
        /// Whether it hangs.
        hangs: bool,
    }

    #[remote_object(crate = "crate::handed_on::library")]
    impl Gong {
        /// Hangs it up.
        pub fn hang(&mut self) -> Result<(), GongError> {
            self.hangs = true;
            Ok(())
        }
    }

    /// Why a gong does not hang.
    #[derive(RemoteError, Debug)]
    #[remote_error(crate = "crate::handed_on::library")]
    pub enum GongError {
        /// There is no hook.
        NoHook,
    }
}

#[cfg(test)]
mod tests {
    use objects::TypeDef;

    use super::*;

    #[test]
    fn a_crate_that_is_renamed_is_found() {
        assert_eq!(TypeDef::of::<Bell>().methods[0].name, "ring");
        assert_eq!(TypeDef::of::<by_key::Gong>().methods[0].name, "hang");
    }
}
