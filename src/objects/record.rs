//! What the objects room keeps in a record beside the state: `meta`, MessagePack with named fields.
//!
//! | name | what |
//! |---|---|
//! | `format` | the record's format, where it is not the first |
//! | `version` | as the record's own, to find columns that do not belong together |
//! | `ver` | version of the last change of the state: the `ETag` of GET |
//! | `born` | version of the commit that began this life |
//! | `deleted` | whether there is no life now |
//! | `state_hash` | xxh3 of the state's bytes |
//! | `schema` | version of the type's shape; zero until types have any |
//! | `idempotency` | the keyed calls that are remembered, oldest first |
//! | `horizon` | version of the newest keyed call that was forgotten |
//! | `timers` `outbox` `inbox` | places for effects; this build writes none and keeps what it finds |
//!
//! Fields this build does not know are kept as they are and written back, so that an older build beside a newer one
//! loses nothing. What an older build would misread is another format: a number that nodes tell each other, so that none is
//! written before all read it (`locks/formats.rs`), and that a build which does not know it refuses.

use bytes::Bytes;
use rmp::decode::{self, NumValueReadError, ValueReadError};
use rmp::{Marker, encode};

use crate::model::{Record, Version};

/// The newest format of records that this build reads and writes; it reads and writes all before it too.
pub(crate) const FORMAT: u32 = 1;
/// Of records that do not say theirs.
const FIRST: u32 = 1;

/// The decoded meta.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Meta {
    /// Zero is the first one, which is not written.
    pub(crate) format: u32,
    pub(crate) version: Version,
    pub(crate) ver: Version,
    pub(crate) born: Version,
    pub(crate) deleted: bool,
    pub(crate) state_hash: u64,
    pub(crate) schema: u64,
    pub(crate) idempotency: Vec<Kept>,
    pub(crate) horizon: Version,
    /// Name and encoded value of every field that is not ours.
    pub(crate) other: Vec<(Bytes, Bytes)>,
}

/// A keyed call that took effect.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Kept {
    /// Hash of the key.
    pub(crate) key: u128,
    /// Hash of the caller, the method and the arguments.
    pub(crate) fingerprint: u128,
    /// The version the call was given.
    pub(crate) version: Version,
    /// The kind of success.
    pub(crate) success: u8,
    /// The reply; `None` when it was too large to keep.
    pub(crate) body: Option<Bytes>,
}

/// The hash by which state and meta are known to belong together.
pub(crate) fn state_hash(state: &[u8], format: u32) -> u64 {
    // What a release to come might do otherwise: tests roll one out. An older build takes such a record for a broken one.
    #[cfg(debug_assertions)]
    if format > FORMAT {
        return xxhash_rust::xxh3::xxh3_64_with_seed(state, format.into());
    }
    debug_assert!(format <= FORMAT);
    xxhash_rust::xxh3::xxh3_64(state)
}

/// The format that a record says it is of; the first one where it says none.
pub(crate) fn format_of(meta: &[u8]) -> u32 {
    let mut rest = meta;
    let says = decode::read_map_len(&mut rest).is_ok_and(|fields| fields > 0);
    match decode::read_str_from_slice(rest) {
        Ok(("format", mut rest)) if says => decode::read_int(&mut rest).unwrap_or(FIRST),
        _ => FIRST,
    }
}

/// Writing to a `Vec` cannot fail.
const TO_VEC: &str = "a write to memory succeeds";

impl Meta {
    pub(crate) fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(96 + self.idempotency.iter().map(Kept::bytes).sum::<usize>());
        let format = self.format > FIRST;
        let optional =
            [format, self.deleted, self.schema != 0, !self.idempotency.is_empty(), self.horizon != Version::default()];
        let fields = 4 + optional.iter().filter(|there| **there).count() + self.other.len();
        encode::write_map_len(&mut out, fields as u32).expect(TO_VEC);
        if format {
            // Before all that it is about.
            number(&mut out, "format", self.format.into());
        }
        number(&mut out, "version", self.version.as_u64());
        number(&mut out, "ver", self.ver.as_u64());
        number(&mut out, "born", self.born.as_u64());
        number(&mut out, "state_hash", self.state_hash);
        if self.deleted {
            encode::write_str(&mut out, "deleted").expect(TO_VEC);
            encode::write_bool(&mut out, true).expect(TO_VEC);
        }
        if self.schema != 0 {
            number(&mut out, "schema", self.schema);
        }
        if !self.idempotency.is_empty() {
            encode::write_str(&mut out, "idempotency").expect(TO_VEC);
            encode::write_array_len(&mut out, self.idempotency.len() as u32).expect(TO_VEC);
            self.idempotency.iter().for_each(|kept| kept.encode(&mut out));
        }
        if self.horizon != Version::default() {
            number(&mut out, "horizon", self.horizon.as_u64());
        }
        for (name, value) in &self.other {
            out.extend_from_slice(name);
            out.extend_from_slice(value);
        }
        out.into()
    }

    /// Reads a meta. Hostile bytes cost no more than their length.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    pub(crate) fn decode(bytes: &Bytes) -> Result<Self, String> {
        let mut input = Input { all: bytes, rest: bytes };
        let mut meta = Self::default();
        let fields = input.map_len()?;
        for _ in 0..fields {
            let start = input.at();
            let name = input.text()?;
            match name {
                "format" => {
                    let format = u32::try_from(input.number()?).map_err(|_| "an unknown format")?;
                    meta.format = if format > FIRST { format } else { 0 };
                }
                "version" => meta.version = Version::from_u64(input.number()?),
                "ver" => meta.ver = Version::from_u64(input.number()?),
                "born" => meta.born = Version::from_u64(input.number()?),
                "state_hash" => meta.state_hash = input.number()?,
                "deleted" => meta.deleted = input.boolean()?,
                "schema" => meta.schema = input.number()?,
                "horizon" => meta.horizon = Version::from_u64(input.number()?),
                "idempotency" => {
                    let calls = input.array_len()?;
                    for _ in 0..calls {
                        meta.idempotency.push(Kept::decode(&mut input)?);
                    }
                }
                _ => {
                    let value = input.at();
                    input.skip(SKIP_DEPTH_MAX)?;
                    meta.other.push((bytes.slice(start..value), bytes.slice(value..input.at())));
                }
            }
        }
        if input.rest.is_empty() { Ok(meta) } else { Err("bytes are left over".to_owned()) }
    }

    /// Reads a record's meta and checks that version, state and meta are of one put. `newest`: the newest format that is read.
    ///
    /// # Errors
    /// What contradicts what.
    pub(crate) fn of(record: &Record, newest: u32) -> Result<Self, String> {
        let format = format_of(&record.meta);
        if format > newest {
            return Err(format!("the record is of format {format}, and this build reads formats up to {newest}"));
        }
        let meta = Self::decode(&record.meta)?;
        if meta.version != record.version {
            return Err(format!("the record is of version {}, its meta of {}", record.version, meta.version));
        }
        if meta.state_hash != state_hash(&record.state, format) {
            return Err("the state is not the one its meta was written with".to_owned());
        }
        if meta.deleted != record.state.is_empty() {
            return Err("state and meta do not agree whether the object is deleted".to_owned());
        }
        Ok(meta)
    }
}

impl Kept {
    /// What it is in a record beside its body, at most.
    pub(crate) const BYTES: usize = 100;

    /// What it is in a record, at most.
    pub(crate) fn bytes(&self) -> usize {
        Self::BYTES + self.body.as_ref().map_or(0, Bytes::len)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        encode::write_map_len(out, 5).expect(TO_VEC);
        encode::write_str(out, "key").expect(TO_VEC);
        encode::write_bin(out, &self.key.to_be_bytes()).expect(TO_VEC);
        encode::write_str(out, "print").expect(TO_VEC);
        encode::write_bin(out, &self.fingerprint.to_be_bytes()).expect(TO_VEC);
        number(out, "version", self.version.as_u64());
        number(out, "success", u64::from(self.success));
        encode::write_str(out, "body").expect(TO_VEC);
        match &self.body {
            Some(body) => encode::write_bin(out, body).expect(TO_VEC),
            None => encode::write_nil(out).expect(TO_VEC),
        }
    }

    fn decode(input: &mut Input<'_>) -> Result<Self, String> {
        let mut kept = Self { key: 0, fingerprint: 0, version: Version::default(), success: 0, body: None };
        for _ in 0..input.map_len()? {
            match input.text()? {
                "key" => kept.key = input.wide()?,
                "print" => kept.fingerprint = input.wide()?,
                "version" => kept.version = Version::from_u64(input.number()?),
                "success" => kept.success = input.number()?.try_into().map_err(|_| "an unknown kind of success")?,
                "body" => kept.body = input.bytes_or_nil()?,
                _ => input.skip(SKIP_DEPTH_MAX)?,
            }
        }
        Ok(kept)
    }
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    encode::write_str(out, name).expect(TO_VEC);
    encode::write_uint(out, value).expect(TO_VEC);
}

const SKIP_DEPTH_MAX: usize = 64;

/// A cursor over MessagePack.
struct Input<'a> {
    all: &'a Bytes,
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn at(&self) -> usize {
        self.all.len() - self.rest.len()
    }

    fn map_len(&mut self) -> Result<u32, String> {
        decode::read_map_len(&mut self.rest).map_err(|error| wrong("map", &error))
    }

    fn array_len(&mut self) -> Result<u32, String> {
        decode::read_array_len(&mut self.rest).map_err(|error| wrong("array", &error))
    }

    fn number(&mut self) -> Result<u64, String> {
        decode::read_int(&mut self.rest).map_err(|error: NumValueReadError| format!("no number: {error}"))
    }

    fn boolean(&mut self) -> Result<bool, String> {
        decode::read_bool(&mut self.rest).map_err(|error| wrong("boolean", &error))
    }

    fn text(&mut self) -> Result<&'a str, String> {
        let (text, rest) = decode::read_str_from_slice(self.rest).map_err(|error| format!("no text: {error}"))?;
        self.rest = rest;
        Ok(text)
    }

    fn take(&mut self, length: usize) -> Result<Bytes, String> {
        if length > self.rest.len() {
            return Err("it ends too early".to_owned());
        }
        let start = self.at();
        self.rest = &self.rest[length..];
        Ok(self.all.slice(start..start + length))
    }

    fn bytes(&mut self) -> Result<Bytes, String> {
        let length = decode::read_bin_len(&mut self.rest).map_err(|error| wrong("bytes", &error))?;
        self.take(length as usize)
    }

    fn bytes_or_nil(&mut self) -> Result<Option<Bytes>, String> {
        if self.rest.first() == Some(&Marker::Null.to_u8()) {
            self.rest = &self.rest[1..];
            return Ok(None);
        }
        self.bytes().map(Some)
    }

    fn wide(&mut self) -> Result<u128, String> {
        let bytes = self.bytes()?;
        let bytes: [u8; 16] = bytes[..].try_into().map_err(|_| "a hash is not of 16 bytes")?;
        Ok(u128::from_be_bytes(bytes))
    }

    fn skip(&mut self, depth: usize) -> Result<(), String> {
        let Some(deeper) = depth.checked_sub(1) else { return Err("nested too deep".to_owned()) };
        let mut probe = self.rest;
        let marker = decode::read_marker(&mut probe).map_err(|_| "it ends too early")?;
        match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                for _ in 0..self.array_len()? {
                    self.skip(deeper)?;
                }
                Ok(())
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                for _ in 0..self.map_len()? {
                    self.skip(deeper)?;
                    self.skip(deeper)?;
                }
                Ok(())
            }
            _ => {
                let length = 1 + scalar_len(marker, probe)?;
                self.take(length).map(|_| ())
            }
        }
    }
}

/// How many bytes follow the marker of a value that holds no others.
fn scalar_len(marker: Marker, after: &[u8]) -> Result<usize, String> {
    let prefixed = |width: usize, extra: usize| -> Result<usize, String> {
        let digits = after.get(..width).ok_or("it ends too early")?;
        let length = digits.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        Ok(width + length + extra)
    };
    match marker {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => Ok(0),
        Marker::U8 | Marker::I8 => Ok(1),
        Marker::U16 | Marker::I16 => Ok(2),
        Marker::U32 | Marker::I32 | Marker::F32 => Ok(4),
        Marker::U64 | Marker::I64 | Marker::F64 => Ok(8),
        Marker::FixStr(length) => Ok(usize::from(length)),
        Marker::Str8 | Marker::Bin8 => prefixed(1, 0),
        Marker::Str16 | Marker::Bin16 => prefixed(2, 0),
        Marker::Str32 | Marker::Bin32 => prefixed(4, 0),
        Marker::FixExt1 => Ok(2),
        Marker::FixExt2 => Ok(3),
        Marker::FixExt4 => Ok(5),
        Marker::FixExt8 => Ok(9),
        Marker::FixExt16 => Ok(17),
        Marker::Ext8 => prefixed(1, 1),
        Marker::Ext16 => prefixed(2, 1),
        Marker::Ext32 => prefixed(4, 1),
        _ => Err("a marker that MessagePack does not have".to_owned()),
    }
}

fn wrong(what: &str, error: &ValueReadError) -> String {
    format!("no {what}: {error}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meta() -> Meta {
        let kept = |body| Kept { key: 7, fingerprint: u128::MAX, version: Version::new(1, 2), success: 1, body };
        Meta {
            version: Version::new(1, 9),
            ver: Version::new(1, 8),
            born: Version::new(1, 1),
            state_hash: state_hash(b"{}", FORMAT),
            idempotency: vec![kept(None), kept(Some(Bytes::from_static(b"5")))],
            horizon: Version::new(1, 1),
            ..Meta::default()
        }
    }

    #[test]
    fn it_reads_back_what_it_wrote() {
        assert_eq!(Meta::decode(&meta().encode()), Ok(meta()));
        assert_eq!(Meta::decode(&Meta::default().encode()), Ok(Meta::default()));
    }

    #[test]
    fn fields_of_a_newer_build_are_kept() {
        let mut newer = Vec::new();
        let own = meta().encode();
        encode::write_map_len(&mut newer, 8).unwrap();
        newer.extend_from_slice(&own[1..]);
        encode::write_str(&mut newer, "outbox").unwrap();
        encode::write_array_len(&mut newer, 2).unwrap();
        encode::write_str(&mut newer, "message").unwrap();
        encode::write_f64(&mut newer, 0.5).unwrap();
        encode::write_str(&mut newer, "later").unwrap();
        encode::write_bin(&mut newer, &[0; 300]).unwrap();
        let newer = Bytes::from(newer);
        let read = Meta::decode(&newer).unwrap();
        assert_eq!(read.other.len(), 2);
        assert_eq!(Meta::decode(&read.encode()), Ok(read.clone()));
        assert!(read.encode().windows(7).any(|w| w == b"message"));
    }

    #[test]
    fn every_cut_is_an_error_and_no_panic() {
        let bytes = meta().encode();
        for end in 0..bytes.len() {
            assert!(Meta::decode(&bytes.slice(..end)).is_err(), "cut at {end}");
        }
    }

    #[test]
    fn columns_of_two_puts_are_found_out() {
        let record = |state: &'static str, version| Record { version, state: state.into(), meta: meta().encode() };
        assert!(Meta::of(&record("{}", Version::new(1, 9)), FORMAT).is_ok());
        assert!(Meta::of(&record("{} ", Version::new(1, 9)), FORMAT).is_err());
        assert!(Meta::of(&record("{}", Version::new(1, 8)), FORMAT).is_err());
    }

    #[cfg(debug_assertions)]
    #[test]
    fn a_record_of_a_newer_format_is_refused_by_who_does_not_read_it() {
        let next = FORMAT + 1;
        let meta = Meta { format: next, state_hash: state_hash(b"{}", next), ..meta() };
        let record = Record { version: meta.version, state: "{}".into(), meta: meta.encode() };
        assert_eq!(Meta::of(&record, next), Ok(meta));
        let why = Meta::of(&record, FORMAT).unwrap_err();
        assert_eq!(why, format!("the record is of format {next}, and this build reads formats up to {FORMAT}"));
        assert_eq!(format_of(&record.meta), next);
        assert_eq!(format_of(&self::meta().encode()), FIRST);
        assert_eq!(format_of(b""), FIRST);
    }
}
