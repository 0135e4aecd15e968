//! What a record has inside beside its state, for people.

use super::record::Meta;
use crate::model::{Record, Version};

/// The decoded part of a record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Inside {
    /// The version of the last change of the state: the `ETag` of GET.
    pub changed: Version,
    /// The version of the commit that began this life.
    pub born: Version,
    /// Whether there is no life now.
    pub deleted: bool,
    /// The keyed calls that are remembered, oldest first.
    pub keyed: Vec<KeyedCall>,
    /// The version of the newest keyed call that was forgotten; zero if none was.
    pub horizon: Version,
}

/// A keyed call that took effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeyedCall {
    /// The hash of its key (xxh3, 128 bits, as 32 hex digits): keys themselves are not kept.
    pub key_hash: String,
    /// The version it was given.
    pub version: Version,
    /// How it was answered: `ok`, `created` or `no content`.
    pub answered: &'static str,
    /// The length of the reply that is kept, in bytes; `None`: it was too large to keep.
    pub reply_bytes: Option<usize>,
}

/// Looks into a record; `newest` is the newest format that is read.
///
/// # Errors
/// What contradicts what: the object cannot be served.
pub fn inside(record: &Record, newest: u32) -> Result<Inside, String> {
    let meta = Meta::of(record, newest)?;
    let keyed = meta.idempotency.iter().map(|kept| KeyedCall {
        key_hash: format!("{:032x}", kept.key),
        version: kept.version,
        answered: match kept.success {
            1 => "created",
            2 | 3 => "no content",
            _ => "ok",
        },
        reply_bytes: kept.body.as_ref().map(bytes::Bytes::len),
    });
    Ok(Inside {
        changed: meta.ver,
        born: meta.born,
        deleted: meta.deleted,
        keyed: keyed.collect(),
        horizon: meta.horizon,
    })
}
