//! What can go wrong with a request, and the one thing that must be known of it: whether it may have had an effect.

use std::io;

use scylla::deserialize::TypeCheckError;
use scylla::errors::{
    ConnectionError, ConnectionPoolError, DbError, DeserializationError, ExecutionError, IntoRowsResultError,
    MaybeFirstRowError, MetadataError, NewSessionError, NextRowError, PagerExecutionError, PrepareError,
    RequestAttemptError, RowsError,
};

use crate::error::{Error, Kind};
use crate::model::{Cas, Put};

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// The servers cannot be reached, or do not let us in.
    #[error("{0}")]
    Connect(Box<NewSessionError>),
    /// A statement does not fit what is there.
    #[error("{0}")]
    Prepare(Box<PrepareError>),
    /// A request was not answered, or with an error.
    #[error("{0}")]
    Execute(Box<ExecutionError>),
    /// An answer is not of the shape it must have.
    #[error("an answer cannot be read: {0}")]
    Answer(String),
    /// A row was written by something else than this program.
    #[error("{0}")]
    Foreign(String),
}

macro_rules! boxed {
    ($($name:ident: $error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::$name(Box::new(error))
            }
        })*
    };
}
// The driver's errors are large.
boxed!(Connect: NewSessionError, Prepare: PrepareError, Execute: ExecutionError);

macro_rules! answers {
    ($($error:ty),*) => {
        $(impl From<$error> for Fault {
            fn from(error: $error) -> Self {
                Self::Answer(error.to_string())
            }
        })*
    };
}
answers!(
    IntoRowsResultError,
    MaybeFirstRowError,
    RowsError,
    DeserializationError,
    TypeCheckError,
    PagerExecutionError,
    NextRowError
);

impl Fault {
    /// Whether the request certainly had no effect and never will: it was not sent at all, or the server that got it
    /// refused it before it did anything.
    ///
    /// Everything else may have had one: a timeout on either side, a lost connection, and also `Unavailable`, an
    /// overloaded server and a failure of some replicas, which a server may answer when others have the write already.
    pub(super) fn is_without_effect(&self) -> bool {
        let Self::Execute(error) = self else { return false };
        match &**error {
            ExecutionError::BadQuery(_) | ExecutionError::EmptyPlan | ExecutionError::ConnectionPoolError(_) => true,
            ExecutionError::LastAttemptError(error) => match error {
                RequestAttemptError::SerializationError(_)
                | RequestAttemptError::CqlRequestSerialization(_)
                | RequestAttemptError::UnableToAllocStreamId => true,
                RequestAttemptError::DbError(error, _) => is_refusal(error),
                _ => false,
            },
            _ => false,
        }
    }

    /// Whether a server said that it does not do such a thing.
    pub(super) fn is_refusal(&self) -> bool {
        let Self::Execute(error) = self else { return false };
        matches!(&**error, ExecutionError::LastAttemptError(RequestAttemptError::DbError(error, _)) if is_refusal(error))
    }

    /// Whether nobody answered, or too few did: the servers may do so later. Any other fault is to be mended first.
    pub(super) fn is_silence(&self) -> bool {
        use io::ErrorKind as Io;
        match self {
            Self::Connect(error) => match &**error {
                NewSessionError::MetadataError(MetadataError::ConnectionPoolError(ConnectionPoolError::Broken {
                    last_connection_error,
                })) => match last_connection_error {
                    ConnectionError::ConnectTimeout => true,
                    ConnectionError::IoError(error) => matches!(
                        error.kind(),
                        Io::ConnectionRefused | Io::TimedOut | Io::HostUnreachable | Io::NetworkUnreachable
                    ),
                    _ => false,
                },
                _ => false,
            },
            Self::Execute(error) => !self.is_refusal() && !matches!(&**error, ExecutionError::BadQuery(_)),
            _ => false,
        }
    }

    /// As the rooms above know it.
    pub(super) fn error(self, operation: &'static str) -> Error {
        let error = match &self {
            Self::Foreign(why) => {
                Error::new(Kind::RecordCorrupt, "the stored record was written by something else").with_detail(why)
            }
            _ => Error::store(one_line(&self.to_string())),
        };
        error.with_operation(operation)
    }

    /// The answer of a put or a hint that went wrong.
    pub(super) fn put(self, operation: &'static str) -> Put {
        if self.is_without_effect() { Put::Refused(self.error(operation)) } else { Put::Unknown(self.error(operation)) }
    }

    /// The answer of a compare-and-set that went wrong: there is no other than `Unknown`.
    pub(super) fn cas(self) -> Cas {
        Cas::Unknown(self.error("cas"))
    }
}

/// What servers answer before they do anything.
fn is_refusal(error: &DbError) -> bool {
    matches!(error, DbError::SyntaxError | DbError::Invalid | DbError::Unauthorized | DbError::ConfigError)
}

/// A driver's text, without its line breaks.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
