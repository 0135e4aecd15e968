//! The routes, and how a path becomes one. Paths are read raw and decoded once, segment by segment, so that `%2F`
//! inside an id stays inside it.

use std::borrow::Cow;

use super::problem::shown;
use crate::error::{Error, Kind, Result};
use crate::model::percent_decode;

/// Every route, as it stands in the docs and in `openapi.json`.
#[cfg(test)]
pub(crate) const ROUTES: &[&str] = &[
    "/objects/{type}",
    "/objects/{type}/{id}",
    "/objects/{type}/{id}/{method}",
    "/objects/{type}/{id}/_explain",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
];

/// The same as axum mounts them.
pub(crate) const MOUNTED: &[&str] = &[
    "/objects",
    "/objects/",
    "/objects/{*rest}",
    "/healthz",
    "/readyz",
    "/metrics",
    "/openapi.json",
    "/docs",
    "/_nodes/{*rest}",
];

/// What a path names.
#[derive(PartialEq, Debug)]
pub(crate) enum Route<'p> {
    Health,
    Ready,
    Metrics,
    OpenApi,
    Docs,
    Collection(Cow<'p, str>),
    Object(Cow<'p, str>, Cow<'p, str>),
    Method(Cow<'p, str>, Cow<'p, str>, Cow<'p, str>),
}

/// Reads a raw path.
///
/// # Errors
/// `bad-request` for a malformed encoding or a dot segment, `route-not-found`.
pub(crate) fn parse(path: &str) -> Result<Route<'_>> {
    let Some(rest) = path.strip_prefix("/objects/") else {
        return match path {
            "/healthz" => Ok(Route::Health),
            "/readyz" => Ok(Route::Ready),
            "/metrics" => Ok(Route::Metrics),
            "/openapi.json" => Ok(Route::OpenApi),
            "/docs" => Ok(Route::Docs),
            _ => Err(not_found(path)),
        };
    };
    let mut segments = rest.split('/');
    let mut next = || segments.next().map(segment).transpose();
    let (first, second, third) = (next()?, next()?, next()?);
    let more = next()?.is_some();
    match (first, second, third) {
        (Some(type_name), None, _) if !type_name.is_empty() => Ok(Route::Collection(type_name)),
        (Some(type_name), Some(id), None) => Ok(Route::Object(type_name, id)),
        (Some(type_name), Some(id), Some(method)) if !more && !method.is_empty() => {
            Ok(Route::Method(type_name, id, method))
        }
        _ => Err(not_found(path)),
    }
}

fn segment(raw: &str) -> Result<Cow<'_, str>> {
    let text = percent_decode(raw)?;
    if matches!(&*text, "." | "..") {
        return Err(Error::bad_request("the path has a segment '.' or '..', which clients and proxies drop"));
    }
    Ok(text)
}

fn not_found(path: &str) -> Error {
    let message = format!(
        "there is nothing at {}: objects are at /objects/{{type}}/{{id}}, their methods at \
         /objects/{{type}}/{{id}}/{{method}}, the description of all at /openapi.json",
        shown(path)
    );
    Error::new(Kind::RouteNotFound, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_a_type_an_object_or_a_method() {
        assert_eq!(parse("/objects/counter").unwrap(), Route::Collection("counter".into()));
        assert_eq!(parse("/objects/counter/a%2Fb").unwrap(), Route::Object("counter".into(), "a/b".into()));
        let method = Route::Method("counter".into(), "a".into(), "add".into());
        assert_eq!(parse("/objects/counter/a/%61dd").unwrap(), method);
        assert_eq!(parse("/healthz").unwrap(), Route::Health);
    }

    #[test]
    fn a_path_is_decoded_once() {
        assert_eq!(parse("/objects/counter/%2541").unwrap(), Route::Object("counter".into(), "%41".into()));
    }

    #[test]
    fn what_is_no_route_is_not_found() {
        for path in ["", "*", "/", "/objects", "/objects/", "/objects/a/b/c/d", "/objects/a/b/c/", "/healthz/", "//"] {
            assert_eq!(parse(path).unwrap_err().kind(), Kind::RouteNotFound, "{path}");
        }
    }

    #[test]
    fn dot_segments_and_bad_encodings_are_refused() {
        for path in ["..", "%2e%2E", "a/.", "a/b/%2e", "a/b/c/../d", "%", "a/%4", "a/%zz", "a/%ff", "a/%c3%28"] {
            let path = format!("/objects/{path}");
            assert_eq!(parse(&path).unwrap_err().kind(), Kind::BadRequest, "{path}");
        }
    }
}
