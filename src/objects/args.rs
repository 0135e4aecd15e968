//! The arguments of one call: split by name once, read one by one with the method's own types.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, Deserializer, IntoDeserializer, Visitor};

use super::json::{self, Members};
use super::object::Param;
use super::remote::Authorities;
use crate::error::{Error, Kind, Result};

/// Arguments as they came, by the parameters of their method.
#[derive(Clone, Debug)]
pub struct Args {
    params: &'static [Param],
    values: Values,
    authorities: Arc<Authorities>,
}

#[derive(Clone, Debug)]
enum Values {
    None,
    Body(Bytes, Vec<Option<Range<usize>>>),
    Query(Vec<Option<String>>),
}

/// Arguments on the wire: a JSON object, or the pairs of a query.
#[cfg(feature = "client")]
#[derive(Clone, Debug)]
pub(crate) enum WireArgs {
    Body(Bytes),
    Query(Vec<(&'static str, String)>),
}

impl Args {
    /// From a body: a JSON object by parameter name, or nothing when there are no parameters.
    ///
    /// # Errors
    /// `bad-request` for what is not JSON, `invalid-arguments` for JSON that does not fit.
    pub fn from_body(
        body: Bytes,
        params: &'static [Param],
        depth: usize,
        authorities: &Arc<Authorities>,
    ) -> Result<Self> {
        let args = |values| Self { params, values, authorities: Arc::clone(authorities) };
        if json::is_blank(&body) {
            if let Some(first) = params.iter().find(|param| !param.optional) {
                return Err(missing(first).with_field("argument", first.name));
            }
            return Ok(args(Values::None));
        }
        let members = match serde_json::from_slice::<Members<'_>>(&body) {
            Ok(Members(members)) => members,
            Err(error)
                if error.is_data() && json::is_json(&body).is_ok() && !body.trim_ascii_start().starts_with(b"{") =>
            {
                json::check(&body, depth)?;
                return Err(Error::invalid("the arguments are a JSON object by parameter name"));
            }
            Err(error) => return Err(json::not_json(&error)),
        };
        let mut ranges = vec![None; params.len()];
        let mut unknown = None;
        for (name, value) in &members {
            let text = value.get();
            if text.starts_with(['{', '[']) {
                json::check(text.as_bytes(), depth.saturating_sub(1))?;
            } else {
                // A number out of range of every type is not JSON that any type could read.
                json::check(text.as_bytes(), 1)?;
            }
            match params.iter().position(|param| param.name == name) {
                Some(at) => {
                    let start = text.as_ptr() as usize - body.as_ptr() as usize;
                    ranges[at] = Some(start..start + text.len());
                }
                None => unknown = unknown.or(Some(name)),
            }
        }
        if let Some(name) = unknown {
            return Err(unknown_argument(name, params));
        }
        check_missing(params, |at| ranges[at].is_some())?;
        Ok(args(Values::Body(body.clone(), ranges)))
    }

    /// From the pairs of a query, already decoded.
    ///
    /// # Errors
    /// `bad-request` for a name that stands twice, `invalid-arguments` for pairs that do not fit.
    pub fn from_query(
        pairs: Vec<(String, String)>,
        params: &'static [Param],
        authorities: &Arc<Authorities>,
    ) -> Result<Self> {
        let mut values: Vec<Option<String>> = vec![None; params.len()];
        for (name, value) in pairs {
            let Some(at) = params.iter().position(|param| param.name == name) else {
                return Err(unknown_argument(&name, params));
            };
            if values[at].replace(value).is_some() {
                return Err(Error::bad_request(format!("the query names `{}` twice", params[at].name)));
            }
        }
        check_missing(params, |at| values[at].is_some())?;
        Ok(Self { params, values: Values::Query(values), authorities: Arc::clone(authorities) })
    }

    /// Reads the argument at `at`.
    ///
    /// # Errors
    /// `invalid-arguments`, naming the argument; `authority-not-allowed` for a URI of a strange cluster.
    pub fn get<T: DeserializeOwned>(&self, at: usize) -> Result<T> {
        let Some(param) = self.params.get(at) else {
            return Err(Error::internal("a method shim asks for a parameter that its table does not have"));
        };
        let (read, refused) = self.authorities.scope(|| match &self.values {
            Values::Body(body, ranges) => match &ranges[at] {
                Some(range) => json::decode(&body[range.clone()]).map_err(|error| json::without_place(&error)),
                None => absent(),
            },
            Values::Query(values) => values[at].as_deref().map_or_else(absent, from_query_text),
            Values::None => absent(),
        });
        read.map_err(|why| match refused {
            Some(origin) => Error::new(
                Kind::AuthorityNotAllowed,
                format!(
                    "the argument `{}` names {origin}, which is not on the list of allowed authorities",
                    param.name
                ),
            ),
            None => Error::invalid(format!("the argument `{}` does not fit: {why}", param.name)),
        })
        .map_err(|error| error.with_field("argument", param.name))
    }

    /// The arguments as they came, to be sent on.
    #[cfg(feature = "client")]
    pub(crate) fn to_wire(&self) -> WireArgs {
        match &self.values {
            Values::None => WireArgs::Body(Bytes::new()),
            Values::Body(body, _) => WireArgs::Body(body.clone()),
            Values::Query(values) => {
                let named = self.params.iter().zip(values);
                WireArgs::Query(named.filter_map(|(param, value)| Some((param.name, value.clone()?))).collect())
            }
        }
    }

    /// A form of the arguments that does not depend on their spelling: for the fingerprint of a keyed call.
    pub(crate) fn canonical(&self) -> Vec<u8> {
        let mut members = serde_json::Map::new();
        for (at, param) in self.params.iter().enumerate() {
            let value = match &self.values {
                Values::None => None,
                Values::Body(body, ranges) => ranges[at].clone().and_then(|range| json::decode(&body[range]).ok()),
                Values::Query(values) => values[at].clone().map(serde_json::Value::String),
            };
            if let Some(value) = value {
                members.insert(param.name.to_owned(), value);
            }
        }
        serde_json::to_vec(&members).unwrap_or_default()
    }
}

fn check_missing(params: &[Param], has: impl Fn(usize) -> bool) -> Result<()> {
    match params.iter().enumerate().find(|(at, param)| !param.optional && !has(*at)) {
        Some((_, param)) => Err(missing(param).with_field("argument", param.name)),
        None => Ok(()),
    }
}

fn missing(param: &Param) -> Error {
    Error::invalid(format!("the argument `{}` is missing", param.name))
}

fn unknown_argument(name: &str, params: &[Param]) -> Error {
    let shown: String = name.chars().take(80).collect();
    let known: Vec<_> = params.iter().map(|param| format!("`{}`", param.name)).collect();
    let known = if known.is_empty() { "no arguments".to_owned() } else { known.join(", ") };
    Error::invalid(format!("there is no argument `{shown}`; the method takes {known}")).with_field("argument", shown)
}

/// A text of a query is a string to those who take strings, and JSON to all others.
fn from_query_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    match T::deserialize(QueryText(text)) {
        Ok(value) => Ok(value),
        Err(first) => match json::check(text.as_bytes(), 128)
            .map_err(|_| ())
            .and_then(|()| json::decode(text.as_bytes()).map_err(|_| ()))
        {
            Ok(value) => Ok(value),
            Err(()) => Err(first.to_string()),
        },
    }
}

/// A text for who reads strings, also inside an `Option` and a newtype.
struct QueryText<'a>(&'a str);

impl<'de> Deserializer<'de> for QueryText<'_> {
    type Error = ValueError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &str, visitor: V) -> Result<V::Value, ValueError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ValueError> {
        self.0.into_deserializer().deserialize_enum(name, variants, visitor)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

/// What serde reads where nothing was written: `None` for an `Option`, else an error.
fn absent<T: DeserializeOwned>() -> Result<T, String> {
    struct Absent;
    impl<'de> Deserializer<'de> for Absent {
        type Error = ValueError;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ValueError> {
            Err(serde::de::Error::custom("it is missing"))
        }

        fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ValueError> {
            visitor.visit_none()
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct
            newtype_struct seq tuple tuple_struct map struct enum identifier ignored_any
        }
    }
    T::deserialize(Absent).map_err(|error| error.to_string())
}

/// The arguments of a call that is made here, as JSON text.
#[derive(Debug)]
pub struct ArgsText {
    text: Vec<u8>,
    failed: Option<Error>,
}

impl Default for ArgsText {
    fn default() -> Self {
        Self { text: b"{".to_vec(), failed: None }
    }
}

impl ArgsText {
    /// Adds one.
    #[must_use]
    pub fn with<T: serde::Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        if self.text.len() > 1 {
            self.text.push(b',');
        }
        self.text.push(b'"');
        self.text.extend_from_slice(name.as_bytes());
        self.text.extend_from_slice(b"\":");
        if let Err(error) = serde_json::to_writer(&mut self.text, value) {
            let error = Error::invalid(format!("the argument `{name}` cannot be written as JSON: {error}"));
            self.failed.get_or_insert(error.with_field("argument", name));
        }
        self
    }

    /// The JSON object.
    pub(crate) fn finish(mut self) -> Result<Bytes> {
        match self.failed {
            Some(error) => Err(error),
            None => {
                self.text.push(b'}');
                Ok(self.text.into())
            }
        }
    }
}
