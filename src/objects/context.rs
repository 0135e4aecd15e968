//! What a method is told about its call, and how it calls other objects.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;

use super::call::{Call, CallKind, FromView, read_reply};
use super::failure::{CallError, RemoteError};
use super::host::Host;
use super::object::RemoteState;
use super::remote::Remote;
use super::route::Way;
use crate::clock::{self, Instant};
use crate::config::{CHAIN_DEPTH_MAX, REQUEST_TIMEOUT_MAX};
use crate::error::{Error, Kind, Result};
use crate::locks::Hold;
use crate::model::{ObjectKey, Version};

/// One call under way: where it is, on whose behalf, until when. Calls that a method makes hang below it.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) key: ObjectKey,
    pub(crate) deadline: Instant,
    pub(crate) trace: Option<Arc<str>>,
    parent: Option<Arc<Frame>>,
    depth: usize,
    called_edit: AtomicBool,
    /// It was sent before: a version from before the first time (rule R12).
    pub(crate) resent: Option<Version>,
    /// From another node: for which life of this process it is, and a version from before all that it can be (rule R11).
    meant: Option<(Arc<str>, Version)>,
}

impl Frame {
    /// A call from outside.
    pub(crate) fn root(key: ObjectKey, deadline: Instant, trace: Option<Arc<str>>) -> Arc<Self> {
        Arc::new(Self::new(key, deadline, trace, None))
    }

    fn new(key: ObjectKey, deadline: Instant, trace: Option<Arc<str>>, parent: Option<Arc<Self>>) -> Self {
        let depth = parent.as_ref().map_or(0, |parent| parent.depth) + 1;
        Self { key, deadline, trace, parent, depth, called_edit: AtomicBool::new(false), resent: None, meant: None }
    }

    /// A call from another node, with the way it came.
    pub(crate) fn arrived(key: ObjectKey, deadline: Instant, trace: Option<Arc<str>>, way: &Way) -> Arc<Self> {
        let parent = way
            .chain
            .iter()
            .fold(None, |parent, waiting| Some(Arc::new(Self::new(waiting.clone(), deadline, trace.clone(), parent))));
        let meant = way.life.clone().map(|life| (life, way.known));
        Arc::new(Self { resent: way.resent, meant, ..Self::new(key, deadline, trace, parent) })
    }

    /// The same call once more.
    pub(crate) fn again(self: &Arc<Self>, resent: Option<Version>) -> Arc<Self> {
        if resent.is_none() {
            return Arc::clone(self);
        }
        let same = Self::new(self.key.clone(), self.deadline, self.trace.clone(), self.parent.clone());
        Arc::new(Self { resent, ..same })
    }

    /// Whether it may run under this Hold. What came for the life before this one may have been sent again meanwhile.
    pub(crate) fn is_meant_for(&self, hold: &Hold) -> bool {
        self.meant.as_ref().is_none_or(|(life, known)| hold.is_of(life, *known))
    }

    /// The objects whose methods wait for this call, from the root call on.
    pub(crate) fn waiting(&self) -> Vec<ObjectKey> {
        let mut way: Vec<_> = self.chain().skip(1).map(|frame| frame.key.clone()).collect();
        way.reverse();
        way
    }

    /// A call that the method of `parent` makes.
    ///
    /// # Errors
    /// `call-cycle` when the target waits for this call already, with the way in `cycle`; `call-chain-too-deep`.
    pub(crate) fn below(
        parent: &Arc<Self>,
        key: ObjectKey,
        edit: bool,
        timeout: Option<Duration>,
        ours: bool,
    ) -> Result<Arc<Self>> {
        if ours && parent.chain().any(|frame| frame.key == key) {
            let mut way: Vec<_> = parent.chain().map(|frame| frame.key.clone()).collect();
            way.reverse();
            let start = way.iter().position(|on_way| *on_way == key).unwrap_or(0);
            way.drain(..start);
            way.push(key);
            return Err(cycle(&way));
        }
        if parent.depth >= CHAIN_DEPTH_MAX {
            return Err(Error::new(
                Kind::CallChainTooDeep,
                format!("a chain of calls may pass {CHAIN_DEPTH_MAX} objects, and this one would be longer"),
            ));
        }
        if edit {
            parent.called_edit.store(true, Ordering::Relaxed);
        }
        let own = timeout.map_or(parent.deadline, |timeout| clock::now() + timeout.min(REQUEST_TIMEOUT_MAX));
        let deadline = own.min(parent.deadline);
        Ok(Arc::new(Self::new(key, deadline, parent.trace.clone(), Some(Arc::clone(parent)))))
    }

    /// Whether the method has begun a call that may have changed another object.
    pub(crate) fn has_called_edit(&self) -> bool {
        self.called_edit.load(Ordering::Relaxed)
    }

    fn chain(&self) -> impl Iterator<Item = &Frame> {
        std::iter::successors(Some(self), |frame| frame.parent.as_deref())
    }
}

/// The answer to calls that wait on each other in a ring; `way` begins and ends with the same object.
pub(crate) fn cycle(way: &[ObjectKey]) -> Error {
    let names: Vec<String> = way.iter().map(ObjectKey::path).collect();
    Error::new(Kind::CallCycle, format!("these objects would wait for each other for ever: {}", names.join(" → ")))
        .with_field("cycle", names)
}

/// What a `&mut self` method may ask and call.
#[derive(Clone)]
pub struct Context {
    host: Host,
    frame: Arc<Frame>,
}

/// What a `&self` method may ask and call: views only.
#[derive(Clone)]
pub struct ViewContext {
    host: Host,
    frame: Arc<Frame>,
}

macro_rules! common {
    ($context:ident) => {
        impl $context {
            pub(crate) fn new(host: Host, frame: Arc<Frame>) -> Self {
                Self { host, frame }
            }

            /// The object this method runs on.
            #[must_use]
            pub fn key(&self) -> &ObjectKey {
                &self.frame.key
            }

            /// The id of the object this method runs on.
            #[must_use]
            pub fn id(&self) -> &str {
                self.frame.key.id()
            }

            /// The reference to this object, to hand on.
            ///
            /// # Panics
            /// When `T` is another type than the object's.
            #[must_use]
            pub fn this<T: RemoteState>(&self) -> Remote<T> {
                assert_eq!(T::TYPE, self.frame.key.type_name(), "`this` is asked for with the object's own type");
                Remote::new(self.frame.key.id())
            }

            /// How long the call may still take.
            #[must_use]
            pub fn time_left(&self) -> Duration {
                self.frame.deadline.saturating_duration_since(clock::now())
            }
        }

        impl fmt::Debug for $context {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_tuple(stringify!($context)).field(&self.frame.key).finish()
            }
        }
    };
}

common!(Context);
common!(ViewContext);

impl Context {
    /// Calls another object and waits for its answer.
    ///
    /// # Errors
    /// The method's own error, or what went wrong on the way; `call-cycle` at once when the other object waits for
    /// this call.
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        self.call_tagged(call).await.map(|(reply, _)| reply)
    }

    /// As [`Context::call`], with the version of the state that the reply is of (the `ETag` of the answer), for
    /// [`Call::if_match`]. Without one: a view of an object that is not there, or one that asked other objects.
    ///
    /// # Errors
    /// As [`Context::call`].
    pub async fn call_tagged<T: DeserializeOwned, E: RemoteError, K: CallKind>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<(T, Option<Version>), CallError<E>> {
        read_reply(self.host.nested(call.into_request(), &self.frame).await)
    }
}

impl ViewContext {
    /// Calls a view of another object and waits for its answer.
    ///
    /// # Errors
    /// As [`Context::call`].
    pub async fn call<T: DeserializeOwned, E: RemoteError, K: FromView>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<T, CallError<E>> {
        self.call_tagged(call).await.map(|(reply, _)| reply)
    }

    /// As [`ViewContext::call`], with the version of the state that the reply is of (the `ETag` of the answer), for
    /// [`Call::if_match`]. Without one: a view of an object that is not there, or one that asked other objects.
    ///
    /// # Errors
    /// As [`ViewContext::call`].
    pub async fn call_tagged<T: DeserializeOwned, E: RemoteError, K: FromView>(
        &self,
        call: Call<T, E, K>,
    ) -> Result<(T, Option<Version>), CallError<E>> {
        read_reply(self.host.nested(call.into_request(), &self.frame).await)
    }
}
