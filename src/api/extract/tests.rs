//! Headers and queries as clients send them, well and badly.

use super::*;
use crate::error::Kind;
use crate::model::Version;

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in pairs {
        map.append(HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    map
}

fn refused(pairs: &[(&'static str, &str)]) -> bool {
    let map = headers(pairs);
    Head::read(&map).is_err_and(|error| error.kind() == Kind::BadRequest)
}

fn if_match(text: &str) -> Option<Tags> {
    Head::read(&headers(&[("if-match", text)])).unwrap().conditions.if_match
}

fn if_none_match(text: &str) -> Option<Tags> {
    Head::read(&headers(&[("if-none-match", text)])).unwrap().conditions.if_none_match
}

#[test]
fn a_request_without_our_headers_asks_for_nothing_special() {
    let map = headers(&[("host", "x"), ("user-agent", "y")]);
    let head = Head::read(&map).unwrap();
    assert!(head.accepts_json() && head.timeout.is_none() && head.idempotency_key.is_none() && head.trace.is_none());
    assert_eq!((head.conditions, head.freshness), (Conditions::default(), Freshness::default()));
}

#[test]
fn timeouts_are_seconds_above_zero_and_at_most_300() {
    for (text, ms) in [("2.5", 2500), ("300", 300_000), ("0.001", 1), ("007", 7000), ("300.0", 300_000)] {
        let map = headers(&[("request-timeout", text)]);
        assert_eq!(Head::read(&map).unwrap().timeout, Some(Duration::from_millis(ms)), "{text}");
    }
    for text in ["", "0", "0.0", "-1", "+1", "300.1", "1e2", "inf", "nan", ".5", "1.", "1s", "1,5"] {
        assert!(refused(&[("request-timeout", text)]), "{text}");
    }
    assert!(refused(&[("request-timeout", "1"), ("request-timeout", "1")]));
}

#[test]
fn keys_are_1_to_255_visible_characters() {
    let long = "k".repeat(255);
    for text in ["k", "\"quoted\"", long.as_str()] {
        assert_eq!(Head::read(&headers(&[("idempotency-key", text)])).unwrap().idempotency_key, Some(text));
    }
    for text in ["", "a b", "é", "a\tb", "k".repeat(256).as_str()] {
        assert!(refused(&[("idempotency-key", text)]), "{text}");
    }
    assert!(refused(&[("idempotency-key", "a"), ("idempotency-key", "b")]));
}

#[test]
fn tags_are_read_as_lists_over_several_lines() {
    let these = |versions: &[(u32, u32)]| {
        Some(Tags::These(versions.iter().map(|(epoch, seq)| Version::new(*epoch, *seq)).collect()))
    };
    assert_eq!(if_match("\"1-2\""), these(&[(1, 2)]));
    assert_eq!(if_match("\"1-2\" ,, \"3-4\","), these(&[(1, 2), (3, 4)]));
    assert_eq!(if_match("*"), Some(Tags::Any));
    assert_eq!(if_match("\"abc\", \"é\""), these(&[]));
    let two = headers(&[("if-match", "\"1-1\""), ("if-match", "\"1-2\"")]);
    assert_eq!(Head::read(&two).unwrap().conditions.if_match, these(&[(1, 1), (1, 2)]));
}

#[test]
fn a_weak_tag_matches_in_if_none_match_only() {
    assert_eq!(if_match("W/\"1-2\""), Some(Tags::These(vec![])));
    assert_eq!(if_none_match("W/\"1-2\""), Some(Tags::These(vec![Version::new(1, 2)])));
}

#[test]
fn what_is_no_list_of_tags_is_refused() {
    for text in ["", ",", "1-2", "\"1-2", "\"1-2\" \"1-3\"", "\"a b\"", "w/\"1-2\"", "*, \"1-2\"", "\"1-2\", *", "**"] {
        assert!(refused(&[("if-match", text)]), "{text}");
        assert!(refused(&[("if-none-match", text)]), "{text}");
    }
    assert!(refused(&[("if-match", "*"), ("if-match", "\"1-2\"")]));
}

#[test]
fn the_most_specific_range_decides_whether_json_is_accepted() {
    let accepts = |text: &str| Head::read(&headers(&[("accept", text)])).unwrap().accepts_json();
    for text in [
        "",
        "*/*",
        "application/json",
        "Application/JSON;q=0.1",
        "application/*",
        "text/html, */*;q=0.1",
        "*/*;q=0, application/json",
        "garbage",
        "application/json;charset=utf-8",
    ] {
        assert!(accepts(text), "{text}");
    }
    for text in [
        "text/html",
        "application/json;q=0",
        "*/*;q=0",
        "*/*, application/json;q=0.000",
        "application/problem+json",
        "application/*;q=0, */*",
    ] {
        assert!(!accepts(text), "{text}");
    }
    let two = headers(&[("accept", "text/html"), ("accept", "application/json")]);
    assert!(Head::read(&two).unwrap().accepts_json());
}

#[test]
fn a_bad_traceparent_is_ignored() {
    let trace = |text: &str| Head::read(&headers(&[("traceparent", text)])).unwrap().trace.is_some();
    assert!(trace("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"));
    assert!(trace("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more"));
    for text in [
        "",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
    ] {
        assert!(!trace(text), "{text}");
    }
}

#[test]
fn cache_control_is_read_leniently() {
    let freshness = |text: &str| Head::read(&headers(&[("cache-control", text)])).unwrap().freshness;
    let age = |seconds| Some(Duration::from_secs(seconds));
    assert_eq!(freshness("max-age=5").max_age, age(5));
    assert_eq!(freshness("Max-Age = \"5\" , no-store").max_age, age(5));
    assert_eq!(freshness("max-age=5, no-cache").max_age, age(0));
    assert_eq!(freshness("max-age=99999999999999999999999").max_age, age(u64::MAX));
    assert!(freshness("only-if-cached, max-age=5").only_if_cached);
    for text in ["", "max-age", "max-age=", "max-age=-1", "max-age=x", "=,=,,", "no-store"] {
        assert_eq!(freshness(text), Freshness::default(), "{text}");
    }
}

#[test]
fn json_in_utf8_is_the_only_media_type() {
    let json = |text: &str| is_media_type(&HeaderValue::from_bytes(text.as_bytes()).unwrap(), &[JSON]);
    for text in ["application/json", "Application/Json; charset=UTF-8", "application/json;charset=\"utf-8\"; x=y"] {
        assert!(json(text), "{text}");
    }
    for text in ["", "text/json", "application/json; charset=latin1", "application/merge-patch+json", "é"] {
        assert!(!json(text), "{text}");
    }
}

#[test]
fn a_query_is_decoded_strictly() {
    let pairs = query_pairs(Some("a=1&&b+c=%2B+%C3%A9&d")).unwrap();
    let expected = [("a", "1"), ("b c", "+ é"), ("d", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(pairs, expected);
    for query in ["a=%", "a=%f", "a=%zz", "%ff=1", "a=%c3%28"] {
        assert_eq!(query_pairs(Some(query)).unwrap_err().kind(), Kind::BadRequest, "{query}");
    }
}
