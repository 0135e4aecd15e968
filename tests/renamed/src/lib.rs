//! An object in a crate whose only dependency is remote-object, under another name.
#![forbid(unsafe_code)]

use objects::prelude::*;

/// A bell.
#[remote_object]
pub struct Bell {
    /// How often it rang.
    rang: u32,
    /// How it sounds.
    tone: Option<Tone>,
}

/// How a bell sounds.
#[remote_value]
pub enum Tone {
    /// As this note.
    Note(char),
    /// Like nothing on earth.
    Strange {
        /// At these frequencies.
        hertz: Vec<f32>,
    },
}

#[remote_object]
impl Bell {
    /// Rings, and answers how often it has.
    pub fn ring(&mut self, _cx: &Context, times: u32) -> Result<u32, BellError> {
        self.rang = self.rang.checked_add(times).ok_or(BellError::Worn { rang: self.rang })?;
        Ok(self.rang)
    }

    /// Changes how it sounds, and answers how it sounded.
    pub fn tune(&mut self, tone: Tone) -> Option<Tone> {
        self.tone.replace(tone)
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
    use crate::handed_on::library::{RemoteError, remote_object, remote_value};

    /// What a gong is made of.
    #[remote_value(crate = "crate::handed_on::library")]
    pub struct Metal<T>(pub T);

    /// A gong.
    #[remote_object(crate = "crate::handed_on::library")]
    pub struct Gong {
        /// Whether it hangs.
        hangs: bool,
    }

    #[remote_object(crate = "crate::handed_on::library")]
    impl Gong {
        /// Hangs it up.
        pub fn hang(&mut self, of: Metal<String>) -> Result<(), GongError> {
            self.hangs = !of.0.is_empty();
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
