//! An object as it stands in a shared cache: its record with the store's mark, and what tells that it is this object's.
//!
//! ```text
//! format   1 byte, 1
//! sum      8 bytes, xxh3 of all that follows, seeded by the cluster
//! stamp    8 bytes, when its owner put it there, in milliseconds since the Unix epoch
//! version  8 bytes
//! rev      1 byte: 0 and 8 bytes, a number; or 1, a length of 4 bytes and text
//! key      a length of 4 bytes, the type, NUL, the id
//! meta     a length of 4 bytes and bytes
//! state    the rest
//! ```
//!
//! Numbers are little-endian. The sum is there for servers that mix things up, not for those that mean harm: who can
//! write into the cache can write into objects.

use bytes::{Buf, BufMut, Bytes};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::model::{Loaded, ObjectKey, Record, Rev, Version};

const FORMAT: u8 = 1;
/// Format and sum.
const HEAD: usize = 9;

/// What an entry needs beside state, meta, key and a textual rev, in bytes, at most.
pub(super) const ENTRY_BYTES: usize = HEAD + 16 + 9 + 8;

/// Writes an entry.
pub(super) fn encode(seed: u64, key: &ObjectKey, loaded: &Loaded, stamp_ms: u64) -> Bytes {
    let Loaded { record, rev } = loaded;
    let rev_bytes = if let Rev::Text(text) = rev { text.len() } else { 0 };
    let mut out = Vec::with_capacity(ENTRY_BYTES + rev_bytes + key.text().len() + record.bytes());
    out.put_u8(FORMAT);
    out.put_u64_le(0);
    out.put_u64_le(stamp_ms);
    out.put_u64_le(record.version.as_u64());
    match rev {
        Rev::Number(number) => {
            out.put_u8(0);
            out.put_u64_le(*number);
        }
        Rev::Text(text) => {
            out.put_u8(1);
            put(&mut out, text.as_bytes());
        }
    }
    put(&mut out, key.text().as_bytes());
    put(&mut out, &record.meta);
    out.extend_from_slice(&record.state);
    let sum = xxh3_64_with_seed(&out[HEAD..], seed);
    out[1..HEAD].copy_from_slice(&sum.to_le_bytes());
    out.into()
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.put_u32_le(bytes.len() as u32);
    out.extend_from_slice(bytes);
}

/// Reads an entry of this object of this cluster; anything else is `None`.
pub(super) fn decode(seed: u64, key: &ObjectKey, value: &Bytes) -> Option<Loaded> {
    let mut rest = value.clone();
    if rest.try_get_u8().ok()? != FORMAT || rest.try_get_u64_le().ok()? != xxh3_64_with_seed(&rest, seed) {
        return None;
    }
    let _stamp_ms = rest.try_get_u64_le().ok()?;
    let version = Version::from_u64(rest.try_get_u64_le().ok()?);
    let rev = match rest.try_get_u8().ok()? {
        0 => Rev::Number(rest.try_get_u64_le().ok()?),
        1 => Rev::Text(std::str::from_utf8(&take(&mut rest)?).ok()?.into()),
        _ => return None,
    };
    if take(&mut rest)? != key.text().as_bytes() {
        return None;
    }
    let meta = take(&mut rest)?;
    Some(Loaded { record: Record { version, meta, state: rest }, rev })
}

fn take(rest: &mut Bytes) -> Option<Bytes> {
    let length = rest.try_get_u32_le().ok()? as usize;
    (length <= rest.len()).then(|| rest.split_to(length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Random;

    fn key(id: &str) -> ObjectKey {
        ObjectKey::new("counter", id).unwrap()
    }

    fn loaded(rev: Rev) -> Loaded {
        let record = Record {
            version: Version::new(3, 7),
            state: Bytes::from_static(b"{\"value\":1}"),
            meta: (0..=255).collect(),
        };
        Loaded { record, rev }
    }

    #[test]
    fn it_reads_back_what_it_wrote() {
        let deleted = Loaded {
            record: Record { state: Bytes::new(), ..loaded(Rev::Number(0)).record },
            rev: Rev::Text("é".into()),
        };
        for loaded in [loaded(Rev::Number(u64::MAX)), loaded(Rev::Text("etag-1".into())), deleted] {
            let entry = encode(9, &key("a"), &loaded, 1_700_000_000_000);
            assert_eq!(decode(9, &key("a"), &entry), Some(loaded));
        }
    }

    #[test]
    fn an_entry_of_another_object_or_another_cluster_is_none() {
        let entry = encode(9, &key("a"), &loaded(Rev::Number(1)), 0);
        assert_eq!(decode(9, &key("b"), &entry), None);
        assert_eq!(decode(9, &ObjectKey::new("account", "a").unwrap(), &entry), None);
        assert_eq!(decode(8, &key("a"), &entry), None);
    }

    #[test]
    fn what_is_cut_or_changed_is_none_and_no_panic() {
        let entry = encode(9, &key("a"), &loaded(Rev::Text("etag-1".into())), 0);
        for cut in 0..entry.len() {
            assert_eq!(decode(9, &key("a"), &entry.slice(..cut)), None);
        }
        let random = Random::seeded(1);
        for _ in 0..20_000 {
            let mut bytes = entry.to_vec();
            let at = random.next_u64() as usize % bytes.len();
            bytes[at] ^= 1 << (random.next_u64() % 8);
            assert_eq!(decode(9, &key("a"), &bytes.into()), None);
            // And where the sum is right all the same.
            let mut bytes = entry.to_vec();
            bytes.truncate(HEAD + random.next_u64() as usize % (bytes.len() - HEAD));
            for _ in 0..3 {
                let at = random.next_u64() as usize % bytes.len();
                bytes[at] = random.next_u64() as u8;
            }
            if bytes.len() > HEAD {
                let sum = xxh3_64_with_seed(&bytes[HEAD..], 9);
                bytes[1..HEAD].copy_from_slice(&sum.to_le_bytes());
            }
            let _ = decode(9, &key("a"), &bytes.into());
        }
    }
}
