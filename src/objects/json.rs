//! Reading JSON that strangers sent: no duplicate keys, bounded depth, unknown members named.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use serde::Deserialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use serde_json::value::RawValue;

use crate::error::{Error, Result};

/// Checks that `bytes` are one JSON value, nested at most `depth` deep, in which no object has a key twice.
///
/// # Errors
/// `bad-request`, with the place.
pub(crate) fn check(bytes: &[u8], depth: usize) -> Result<()> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    json.disable_recursion_limit();
    Checked { left: depth }.deserialize(&mut json).and_then(|()| json.end()).map_err(|error| not_json(&error))
}

/// The answer to what is not JSON.
pub(crate) fn not_json(error: &serde_json::Error) -> Error {
    Error::bad_request(format!("the body is not JSON: {error}"))
}

/// Reads a `T`. The depth was checked before, or the bytes are our own.
pub(crate) fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> serde_json::Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    json.disable_recursion_limit();
    let value = T::deserialize(&mut json)?;
    json.end()?;
    Ok(value)
}

/// Reads a `T` and refuses members it does not know, at any depth.
pub(crate) fn decode_strict<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    json.disable_recursion_limit();
    let mut unknown = None;
    let value = serde_ignored::deserialize(&mut json, |path| {
        // serde_ignored shows an `Option` on the way as a step of its own.
        unknown.get_or_insert_with(|| path.to_string().replace(".?", ""));
    })
    .map_err(|error| Error::invalid(format!("the state does not fit: {}", without_place(&error))))?;
    match unknown {
        Some(path) => Err(Error::invalid(format!("the state has no member `{path}`"))),
        None => Ok(value),
    }
}

/// serde's message without the line and column, which mean nothing inside one argument.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}

/// Walks a value and keeps nothing of it but the keys of the objects it is in.
struct Checked {
    left: usize,
}

impl Checked {
    fn deeper<E: serde::de::Error>(&self) -> Result<Checked, E> {
        match self.left {
            0 => Err(E::custom("nested too deep")),
            left => Ok(Checked { left: left - 1 }),
        }
    }
}

impl<'de> DeserializeSeed<'de> for Checked {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Checked {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        while items.next_element_seed(Checked { left: inner.left })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let inner = self.deeper()?;
        let mut seen = Keys::default();
        while let Some(Key(key)) = members.next_key::<Key<'de>>()? {
            seen.insert(key)?;
            members.next_value_seed(Checked { left: inner.left })?;
        }
        Ok(())
    }
}

/// A key, borrowed where the text has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The keys of one object: a list while they are few, then a set.
#[derive(Default)]
struct Keys<'a> {
    few: Vec<Cow<'a, str>>,
    many: HashSet<Cow<'a, str>>,
}

impl<'a> Keys<'a> {
    fn insert<E: serde::de::Error>(&mut self, key: Cow<'a, str>) -> Result<(), E> {
        const FEW: usize = 16;
        if self.few.contains(&key) || self.many.contains(&key) {
            return Err(duplicate(&key));
        }
        if self.few.len() < FEW {
            self.few.push(key);
        } else {
            self.many.insert(key);
        }
        Ok(())
    }
}

/// The answer to a key that stands twice in one object.
pub(crate) fn duplicate<E: serde::de::Error>(key: &str) -> E {
    let shown: String = key.chars().take(80).collect();
    E::custom(format_args!("the key {shown:?} stands twice in one object"))
}

/// Whether there is nothing but blanks.
pub(crate) fn is_blank(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
}

/// The keys of an object and the text of each value, or `None` when the value is no object.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members: Vec<(Cow<'de, str>, &'de RawValue)> = Vec::new();
                let mut seen = Keys::default();
                while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
                    seen.insert(key.clone())?;
                    members.push((key, map.next_value()?));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(V)
    }
}

/// Whether `bytes` are JSON at all, of whatever shape.
pub(crate) fn is_json(bytes: &[u8]) -> serde_json::Result<()> {
    serde_json::from_slice::<IgnoredAny>(bytes).map(|_| ())
}

/// A document with a merge patch applied (RFC 7396). Both were checked before. What the patch does not name stays as the
/// text it was: numbers too large for a `u64` would not come through a parsed value.
pub(crate) fn merge_patch(document: &[u8], patch: &[u8]) -> Result<Vec<u8>> {
    let document = decode(document).map_err(|error| Error::internal(format!("a state that is not JSON: {error}")))?;
    let patch = decode(patch).map_err(|error| not_json(&error))?;
    let mut merged = Vec::new();
    merge(Some(document), patch, &mut merged).map_err(|error| Error::internal(error.to_string()))?;
    Ok(merged)
}

fn merge(target: Option<&RawValue>, patch: &RawValue, out: &mut Vec<u8>) -> serde_json::Result<()> {
    let Some(patch) = members(patch)? else {
        out.extend_from_slice(patch.get().as_bytes());
        return Ok(());
    };
    let old = target.map(members).transpose()?.flatten().unwrap_or_default();
    let mut object = Writer { out, empty: true };
    object.out.push(b'{');
    // In one order whatever is patched, so that the same state is the same text.
    for name in old.keys().chain(patch.keys()).collect::<BTreeSet<_>>() {
        match (old.get(name), patch.get(name)) {
            (_, Some(new)) if new.get() == "null" => {}
            (old, Some(new)) => merge(old.copied(), new, object.key(name)?)?,
            (Some(old), None) => object.key(name)?.extend_from_slice(old.get().as_bytes()),
            (None, None) => {}
        }
    }
    out.push(b'}');
    Ok(())
}

/// The members of an object; `None` for any other value.
fn members(value: &RawValue) -> serde_json::Result<Option<BTreeMap<Cow<'_, str>, &RawValue>>> {
    match value.get().starts_with('{') {
        true => serde_json::from_str(value.get()).map(|Members(members)| Some(members.into_iter().collect())),
        false => Ok(None),
    }
}

/// An object on its way out.
struct Writer<'a> {
    out: &'a mut Vec<u8>,
    empty: bool,
}

impl Writer<'_> {
    /// Writes a key; its value is to follow.
    fn key(&mut self, name: &str) -> serde_json::Result<&mut Vec<u8>> {
        if !std::mem::take(&mut self.empty) {
            self.out.push(b',');
        }
        serde_json::to_writer(&mut *self.out, name)?;
        self.out.push(b':');
        Ok(self.out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_key_at_any_depth_is_refused() {
        for text in [r#"{"a":1,"a":2}"#, r#"{"a":[{"b":1,"\u0062":2}]}"#] {
            assert!(check(text.as_bytes(), 128).is_err(), "{text}");
        }
        assert!(check(br#"{"a":{"a":1},"b":{"a":1}}"#, 128).is_ok());
    }

    #[test]
    fn depth_is_bounded_and_the_stack_with_it() {
        let nested = |n: usize| "[".repeat(n) + &"]".repeat(n);
        assert!(check(nested(128).as_bytes(), 128).is_ok());
        assert!(check(nested(129).as_bytes(), 128).is_err());
        assert!(check("[".repeat(100_000).as_bytes(), 128).is_err());
    }
}
