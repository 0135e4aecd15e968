//! The promise that `docs/http.md` names every route, header, code and limit there is.

use super::names::DOCUMENTED;
use super::problem::kind_status;
use super::routes::ROUTES;
use crate::config::Limits;
use crate::error::Kind;

const DOCS: &str = include_str!("../../docs/http.md");

/// Whether a row of a table begins with these cells.
fn has_row(cells: &[&str]) -> bool {
    DOCS.lines().filter(|line| line.starts_with('|')).any(|line| {
        let mut found = line.split('|').skip(1).map(str::trim);
        cells.iter().all(|cell| found.next() == Some(cell))
    })
}

#[test]
fn every_route_stands_in_the_docs() {
    for route in ROUTES {
        assert!(has_row(&[&format!("`{route}`")]), "{route}");
    }
}

#[test]
fn every_code_stands_in_the_docs_with_its_status() {
    for kind in Kind::ALL {
        let status = match kind {
            // It never leaves: the service does not start.
            Kind::Config => continue,
            Kind::Method => "own".to_owned(),
            kind => kind_status(*kind).as_u16().to_string(),
        };
        assert!(has_row(&[&status, &format!("`{}`", kind.code())]), "{status} {}", kind.code());
    }
}

#[test]
fn every_header_stands_in_the_docs() {
    for name in DOCUMENTED {
        assert!(has_row(&[&format!("`{name}`")]), "{name}");
    }
    let ours = [
        super::names::IDEMPOTENCY_KEY,
        super::names::REQUEST_TIMEOUT,
        super::names::TRACEPARENT,
        super::names::OUTCOME,
        super::names::IDEMPOTENCY_REPLAYED,
        super::names::CACHE_STATUS,
        super::names::ACCEPT_PATCH,
    ];
    for name in ours {
        assert!(DOCUMENTED.iter().any(|known| name.as_str().eq_ignore_ascii_case(known)), "{name}");
    }
}

#[test]
fn every_limit_stands_in_the_docs() {
    let limits = serde_json::to_value(Limits::default()).unwrap();
    for name in limits.as_object().unwrap().keys().filter(|name| *name != "l1-bytes") {
        assert!(has_row(&[&format!("`{name}`")]), "{name}");
    }
}
