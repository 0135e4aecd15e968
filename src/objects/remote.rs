//! `Remote<T>`: an object's URI with its type's methods on it.

use std::cell::RefCell;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::object::{RemoteMethods, RemoteState};
use crate::error::{Error, Kind, Result};
use crate::model::{ObjectKey, ObjectUri};

/// A reference to an object of type `T`. As JSON it is the object's URI; in code it has the methods of `T`, each
/// answering a [`Call`](super::Call).
pub struct Remote<T: RemoteState>(T::Methods);

impl<T: RemoteState> Remote<T> {
    /// The object with this id, of this cluster.
    ///
    /// # Panics
    /// When the id is none (see [`Remote::try_new`], which answers instead).
    #[must_use]
    #[track_caller]
    pub fn new(id: impl AsRef<str>) -> Self {
        match Self::try_new(id) {
            Ok(remote) => remote,
            Err(error) => panic!("{}", error.message()),
        }
    }

    /// The object with this id, of this cluster.
    ///
    /// # Errors
    /// `bad-request` when the id is not 1..=512 bytes without control characters, or is `.` or `..`.
    pub fn try_new(id: impl AsRef<str>) -> Result<Self> {
        Ok(Self::at(ObjectUri::local(ObjectKey::new(T::TYPE, id.as_ref())?)))
    }

    /// Reads a URI.
    ///
    /// # Errors
    /// `invalid-arguments` when it is no URI of an object, or one of another type.
    pub fn parse(text: &str) -> Result<Self> {
        let uri = ObjectUri::parse(text).map_err(|error| Error::invalid(error.message().to_owned()))?;
        let found = uri.key().type_name();
        if found != T::TYPE {
            return Err(Error::invalid(format!("{uri} is a {found}, not a {}", T::TYPE)));
        }
        Ok(Self::at(uri))
    }

    fn at(uri: ObjectUri) -> Self {
        Self(T::Methods::at(uri))
    }

    /// The URI.
    #[must_use]
    pub fn uri(&self) -> &ObjectUri {
        self.0.uri()
    }

    /// The id, decoded.
    #[must_use]
    pub fn id(&self) -> &str {
        self.0.uri().key().id()
    }
}

impl<T: RemoteState> Deref for Remote<T> {
    type Target = T::Methods;

    fn deref(&self) -> &T::Methods {
        &self.0
    }
}

impl<T: RemoteState> Clone for Remote<T> {
    fn clone(&self) -> Self {
        Self::at(self.uri().clone())
    }
}

impl<T: RemoteState> PartialEq for Remote<T> {
    fn eq(&self, other: &Self) -> bool {
        self.uri() == other.uri()
    }
}

impl<T: RemoteState> Eq for Remote<T> {}

impl<T: RemoteState> PartialOrd for Remote<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: RemoteState> Ord for Remote<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.uri().cmp(other.uri())
    }
}

impl<T: RemoteState> Hash for Remote<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.uri().hash(state);
    }
}

impl<T: RemoteState> fmt::Display for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri().fmt(f)
    }
}

impl<T: RemoteState> fmt::Debug for Remote<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.uri().fmt(f)
    }
}

impl<T: RemoteState> Serialize for Remote<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.uri())
    }
}

impl<'de, T: RemoteState> Deserialize<'de> for Remote<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        let remote = Self::parse(&text).map_err(|error| serde::de::Error::custom(error.message()))?;
        let uri = Authorities::admit(remote.uri()).map_err(serde::de::Error::custom)?;
        Ok(uri.map_or(remote, Self::at))
    }
}

impl<T: RemoteState> JsonSchema for Remote<T> {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Remote_{}", T::TYPE).into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "format": "uri-reference",
            "description": format!("The URI of an object of type {}", T::TYPE),
            "examples": [format!("/objects/{}/some-id", T::TYPE)],
        })
    }
}

/// Which clusters the URIs in arguments may name.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Authorities {
    own: Option<String>,
    allowed: Vec<String>,
}

/// What the arguments being read on this thread may name, and what they named instead.
struct Reading {
    authorities: Authorities,
    refused: Option<String>,
}

thread_local! {
    /// Set only while one value is read, which never waits: serde has no other way to hand a rule to a `Deserialize`.
    static READING: RefCell<Option<Reading>> = const { RefCell::new(None) };
}

impl Authorities {
    /// `own` is what absolute URIs of this cluster begin with; both are compared without a trailing slash.
    #[must_use]
    pub fn new(own: Option<&str>, allowed: &[String]) -> Self {
        let bare = |text: &str| text.trim_end_matches('/').to_ascii_lowercase();
        Self { own: own.map(bare), allowed: allowed.iter().map(|text| bare(text)).collect() }
    }

    /// Whether an authority is this cluster's own.
    ///
    /// # Errors
    /// `authority-not-allowed` when it is neither that nor on the list.
    pub(crate) fn is_ours(&self, origin: &str) -> Result<bool> {
        let bare = origin.to_ascii_lowercase();
        if self.own.as_deref() == Some(bare.as_str()) {
            return Ok(true);
        }
        if self.allowed.contains(&bare) {
            return Ok(false);
        }
        Err(Error::new(Kind::AuthorityNotAllowed, format!("{origin} is not on the list of allowed authorities")))
    }

    /// Runs `read` under these rules; the second value is the authority that was refused, if one was.
    pub(crate) fn scope<R>(&self, read: impl FnOnce() -> R) -> (R, Option<String>) {
        /// A `Deserialize` that panics must not leave its rules to what this thread reads next.
        struct Over;
        impl Drop for Over {
            fn drop(&mut self) {
                READING.with_borrow_mut(|slot| *slot = None);
            }
        }
        READING.with_borrow_mut(|slot| *slot = Some(Reading { authorities: self.clone(), refused: None }));
        let _over = Over;
        let result = read();
        let refused = READING.with_borrow_mut(Option::take).and_then(|reading| reading.refused);
        (result, refused)
    }

    /// The URI to keep instead, if it is one of this cluster in its absolute form. Where no rules are set, everything
    /// is admitted: what is read then is our own record.
    fn admit(uri: &ObjectUri) -> Result<Option<ObjectUri>, String> {
        let Some(origin) = uri.origin() else { return Ok(None) };
        READING.with_borrow_mut(|slot| {
            let Some(reading) = slot else { return Ok(None) };
            let bare = origin.to_ascii_lowercase();
            if reading.authorities.own.as_deref() == Some(bare.as_str()) {
                return Ok(Some(uri.clone().into_local()));
            }
            if reading.authorities.allowed.contains(&bare) {
                return Ok(None);
            }
            reading.refused = Some(origin.to_owned());
            Err(format!("{origin} is not on the list of allowed authorities"))
        })
    }
}
