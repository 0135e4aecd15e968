//! What the fuzz targets call of this room: each decoder of bytes that strangers wrote, with what must hold of it.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;

use super::Args;
use super::json;
use super::object::Param;
use super::record::Meta;
use super::remote::Authorities;

const DEPTH: usize = 128;

const PARAMS: &[Param] = &[
    Param { name: "by", schema: <i64 as schemars::JsonSchema>::json_schema, optional: false },
    Param { name: "to", schema: <String as schemars::JsonSchema>::json_schema, optional: true },
];

/// Any bytes as the meta of a record: what is read is the same after it was written and read again.
pub fn record(bytes: &[u8]) {
    let Ok(meta) = Meta::decode(&Bytes::copy_from_slice(bytes)) else { return };
    let written = meta.encode();
    assert_eq!(Meta::decode(&written).as_ref(), Ok(&meta));
    assert_eq!(Meta::decode(&written).map(|again| again.encode()), Ok(written));
}

/// Any bytes as a body: as JSON, as arguments, and, cut at the first zero byte, as a document and its merge patch.
pub fn json(bytes: &[u8]) {
    if json::check(bytes, DEPTH).is_ok() {
        assert!(json::decode::<Value>(bytes).is_ok(), "checked JSON must be read");
        assert!(json::decode_strict::<Value>(bytes).is_ok(), "a value has every member");
    }
    let authorities = Arc::new(Authorities::default());
    if let Ok(args) = Args::from_body(Bytes::copy_from_slice(bytes), PARAMS, DEPTH, &authorities) {
        let read = (args.get::<i64>(0), args.get::<Option<String>>(1));
        assert_eq!(args.canonical(), args.clone().canonical(), "{read:?}");
    }
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    if let (Some(document), Some(patch)) = (parts.next(), parts.next())
        && json::check(document, DEPTH).is_ok()
        && json::check(patch, DEPTH).is_ok()
    {
        let once = json::merge_patch(document, patch).expect("both are JSON");
        let twice = json::merge_patch(&once, patch).expect("what was merged is JSON");
        assert_eq!(once, twice, "a patch applied twice changes nothing more");
    }
}
