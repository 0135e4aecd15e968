//! Keyed calls (rule R12): what is remembered of them, in the object's own record, and what a second one is told.

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_128;

use super::object::Options;
use super::record::Kept;
use super::request::{Answered, Op, Reply, Success};
use super::snapshot::Memory;
use crate::config::KEPT_REPLY_BYTES_MAX;
use crate::error::{Error, Kind};
use crate::locks::Tier;
use crate::model::Version;

/// A call that has a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Keyed {
    pub(crate) key: u128,
    pub(crate) fingerprint: u128,
    /// It was sent before: a version from before the first time.
    pub(crate) resent: Option<Version>,
}

impl Keyed {
    /// Of a request. The fingerprint is of the verb, the method and the parsed arguments: spelling, headers and conditions
    /// do not count.
    pub(crate) fn new(key: &str, op: &Op, resent: Option<Version>) -> Self {
        let (verb, method, body) = match op {
            Op::Call(method, args) => ("call", method.name, args.canonical()),
            Op::Replace(body) => ("replace", "", canonical(body)),
            Op::Patch(body) => ("patch", "", canonical(body)),
            Op::Delete => ("delete", "", Vec::new()),
            Op::Create(body) => ("create", "", body.as_ref().map_or_else(Vec::new, |body| canonical(body))),
            Op::Get => ("get", "", Vec::new()),
        };
        let mut text = Vec::with_capacity(verb.len() + method.len() + body.len() + 2);
        for part in [verb.as_bytes(), method.as_bytes()] {
            text.extend_from_slice(part);
            text.push(0);
        }
        text.extend_from_slice(&body);
        Self { key: xxh3_128(key.as_bytes()), fingerprint: xxh3_128(&text), resent }
    }

    /// The answer to a call whose key is among those of running calls.
    pub(crate) fn meets(&self, running: &[Keyed]) -> Option<Error> {
        let other = running.iter().find(|other| other.key == self.key)?;
        // Of one that was sent before only the record can say more.
        Some(if other.fingerprint == self.fingerprint || self.resent.is_some() {
            Error::new(
                Kind::IdempotencyKeyInUse,
                "a call with this Idempotency-Key is running; ask again for its answer",
            )
        } else {
            reused()
        })
    }
}

/// JSON with its members sorted and its blanks gone.
fn canonical(body: &[u8]) -> Vec<u8> {
    super::json::decode::<serde_json::Value>(body).and_then(|value| serde_json::to_vec(&value)).unwrap_or_default()
}

fn reused() -> Error {
    Error::new(Kind::IdempotencyKeyReused, "this Idempotency-Key was used for another request on this object")
}

fn forgotten_error() -> Error {
    let what = "the call was sent before, and what became of it is not remembered any more: it may have taken effect";
    Error::new(Kind::OutcomeUnknown, what)
}

/// What is remembered of a key.
pub(crate) fn look_up(memory: &Memory, keyed: &Keyed) -> Option<Answered> {
    let Some(kept) = memory.kept.iter().rev().find(|kept| kept.key == keyed.key) else {
        // What it did the first time may be among what was forgotten since.
        let forgotten = keyed.resent.is_some_and(|before| memory.horizon > before);
        return forgotten.then(|| Err(forgotten_error()));
    };
    if kept.fingerprint != keyed.fingerprint {
        return Some(Err(reused()));
    }
    let Some(body) = &kept.body else {
        return Some(Err(Error::new(
            Kind::ReplyNotKept,
            format!(
                "the call of this key took effect; its reply was over {KEPT_REPLY_BYTES_MAX} bytes and was not kept"
            ),
        )));
    };
    let (success, tagged) = match kept.success {
        1 => (Success::Created, true),
        2 => (Success::NoContent, true),
        3 => (Success::NoContent, false),
        _ => (Success::Ok, true),
    };
    let tag = tagged.then_some(kept.version);
    Some(Ok(Reply { success, body: body.clone(), tag, at: tag, replayed: true, tier: Tier::L1 }))
}

/// Remembers a call that took effect, and forgets the oldest beyond the type's numbers: by count and bytes only, never by
/// time. `horizon` tells later that something was forgotten, and up to where.
pub(crate) fn keep(
    memory: &mut Memory,
    keyed: &Keyed,
    version: Version,
    reply: (Success, bool),
    body: &Bytes,
    options: &Options,
) {
    let success = match reply {
        (Success::Ok | Success::NotModified, _) => 0,
        (Success::Created, _) => 1,
        (Success::NoContent, true) => 2,
        (Success::NoContent, false) => 3,
    };
    let body = (body.len() <= KEPT_REPLY_BYTES_MAX).then(|| Bytes::copy_from_slice(body));
    memory.kept.push(Kept { key: keyed.key, fingerprint: keyed.fingerprint, version, success, body });
    let mut bytes: usize = memory.kept.iter().map(|kept| kept.body.as_ref().map_or(0, Bytes::len)).sum();
    let mut forget = memory.kept.len().saturating_sub(options.keyed_calls as usize);
    let body_len = |kept: &Kept| kept.body.as_ref().map_or(0, Bytes::len);
    bytes -= memory.kept[..forget].iter().map(body_len).sum::<usize>();
    while bytes > options.keyed_bytes as usize && forget < memory.kept.len() {
        bytes -= body_len(&memory.kept[forget]);
        forget += 1;
    }
    if let Some(last) = memory.kept.drain(..forget).next_back() {
        memory.horizon = memory.horizon.max(last.version);
    }
}

/// What a keyed call with such a reply adds to its object's record, in bytes.
pub(crate) fn bytes_kept(reply_bytes: usize) -> usize {
    Kept::BYTES + if reply_bytes <= KEPT_REPLY_BYTES_MAX { reply_bytes } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEW: Options = Options { keyed_calls: 3, keyed_bytes: 100, ..Options::DEFAULT };

    fn keyed(n: u128) -> Keyed {
        Keyed { key: n, fingerprint: n, resent: None }
    }

    fn keep_one(memory: &mut Memory, n: u32, body: &[u8]) {
        let body = Bytes::copy_from_slice(body);
        keep(memory, &keyed(n.into()), Version::new(1, n), (Success::Ok, true), &body, &FEW);
    }

    #[test]
    fn the_oldest_go_first_and_the_horizon_says_up_to_where() {
        let mut memory = Memory::default();
        for n in 1..=4 {
            keep_one(&mut memory, n, b"1");
        }
        assert!(look_up(&memory, &keyed(1)).is_none());
        assert_eq!(memory.horizon, Version::new(1, 1));
        assert!(matches!(look_up(&memory, &keyed(2)), Some(Ok(reply)) if reply.replayed));
        keep_one(&mut memory, 5, &[b'x'; 99]);
        assert_eq!((memory.kept.len(), memory.horizon), (2, Version::new(1, 3)), "99 bytes and one byte are 100");
    }

    #[test]
    fn the_same_key_for_another_request_is_refused() {
        let mut memory = Memory::default();
        keep_one(&mut memory, 1, b"1");
        let other = Keyed { key: 1, fingerprint: 9, resent: None };
        let answer = look_up(&memory, &other).unwrap();
        assert_eq!(answer.unwrap_err().kind(), Kind::IdempotencyKeyReused);
    }

    #[test]
    fn a_large_reply_is_known_to_be_gone() {
        let mut memory = Memory::default();
        keep(&mut memory, &keyed(1), Version::new(1, 1), (Success::Ok, true), &vec![b'x'; 5000].into(), &FEW);
        assert_eq!(look_up(&memory, &keyed(1)).unwrap().unwrap_err().kind(), Kind::ReplyNotKept);
    }
}
