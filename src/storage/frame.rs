//! How a record and a hint are one value: MessagePack maps with names, so that a later release can add some.

use bytes::Bytes;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, Kind, Result};
use crate::model::{ObjectKey, Record, Version};

#[derive(Serialize, Deserialize)]
struct RecordFrame<'a> {
    version: u64,
    #[serde(borrow, serialize_with = "as_bytes")]
    state: &'a [u8],
    #[serde(borrow, serialize_with = "as_bytes")]
    meta: &'a [u8],
}

fn as_bytes<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

/// A hint as a value; no due time when it is cleared.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct HintFrame {
    pub(super) version: u64,
    pub(super) due: Option<u64>,
}

pub(super) fn encode_record(record: &Record) -> Result<Bytes> {
    let frame = RecordFrame { version: record.version.as_u64(), state: &record.state, meta: &record.meta };
    let mut value = Vec::with_capacity(record.bytes() + 64);
    rmp_serde::encode::write_named(&mut value, &frame)
        .map_err(|e| Error::internal(format!("framing a record: {e}")))?;
    Ok(value.into())
}

pub(super) fn decode_record(key: &ObjectKey, value: &Bytes) -> Result<Record> {
    match rmp_serde::from_slice::<RecordFrame<'_>>(value) {
        Ok(frame) => Ok(Record {
            version: Version::from_u64(frame.version),
            state: value.slice_ref(frame.state),
            meta: value.slice_ref(frame.meta),
        }),
        Err(error) => Err(Error::new(Kind::RecordCorrupt, "what is stored of this object is no record")
            .with_key(key)
            .with_detail(error.to_string())),
    }
}

pub(super) fn encode_hint(hint: &HintFrame) -> Result<Bytes> {
    match rmp_serde::to_vec_named(hint) {
        Ok(value) => Ok(value.into()),
        Err(error) => Err(Error::internal(format!("framing a hint: {error}"))),
    }
}

pub(super) fn decode_hint(value: &[u8]) -> Result<HintFrame> {
    rmp_serde::from_slice(value)
        .map_err(|e| Error::new(Kind::RecordCorrupt, "a stored hint is no hint").with_detail(e.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Random;

    fn record() -> Record {
        Record { version: Version::new(3, 7), state: Bytes::from_static(b"{\"value\":1}"), meta: (0..=255).collect() }
    }

    #[test]
    fn a_record_reads_back_and_empty_parts_stay_empty() {
        let key = ObjectKey::new("counter", "a").unwrap();
        let empty = Record { state: Bytes::new(), meta: Bytes::new(), ..record() };
        for record in [record(), empty] {
            assert_eq!(decode_record(&key, &encode_record(&record).unwrap()).unwrap(), record);
        }
    }

    #[test]
    fn a_record_of_a_later_release_with_more_parts_reads_back() {
        #[derive(Serialize)]
        struct Later {
            checksum: Vec<u32>,
            version: u64,
            #[serde(serialize_with = "as_bytes")]
            state: &'static [u8],
            #[serde(serialize_with = "as_bytes")]
            meta: &'static [u8],
        }
        let key = ObjectKey::new("counter", "a").unwrap();
        let value =
            rmp_serde::to_vec_named(&Later { checksum: vec![1, 2], version: 9, state: b"1", meta: b"2" }).unwrap();
        assert_eq!(decode_record(&key, &value.into()).unwrap().version, Version::from_u64(9));
    }

    #[test]
    fn hostile_bytes_are_an_error_and_never_a_panic() {
        let key = ObjectKey::new("counter", "a").unwrap();
        let good = encode_record(&record()).unwrap();
        for cut in 0..good.len() {
            assert_eq!(decode_record(&key, &good.slice(..cut)).unwrap_err().kind(), Kind::RecordCorrupt);
        }
        let random = Random::seeded(1);
        for _ in 0..20_000 {
            let mut bytes = good.to_vec();
            for _ in 0..=random.next_u64() % 4 {
                let at = random.next_u64() as usize % bytes.len();
                bytes[at] = random.next_u64() as u8;
            }
            let _ = decode_record(&key, &bytes.clone().into());
            let _ = decode_hint(&bytes);
        }
        let deep = vec![0x91; 1 << 20];
        assert!(decode_record(&key, &deep.into()).is_err());
    }
}
