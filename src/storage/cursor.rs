//! Where a scan goes on: opaque to callers, and good only for the scan that gave it.
//!
//! Any `Datastore` may use these two; they keep a cursor of one listing from being taken for one of another.

use crate::error::{Error, Result};
use crate::model::Scan;

/// The cursor that goes on behind `last`, the last name that was looked at.
#[must_use]
pub fn encode(what: &Scan, last: &str) -> String {
    use std::fmt::Write;
    let mut cursor = format!("{:08x}", check(what, last));
    for byte in last.bytes() {
        let _ = write!(cursor, "{byte:02x}");
    }
    cursor
}

/// The name behind which to go on.
///
/// # Errors
/// `bad-request` when no page of this very scan gave the cursor.
pub fn decode(what: &Scan, cursor: &str) -> Result<String> {
    let wrong = || Error::bad_request("the cursor is not one that an earlier page of this list gave");
    let head = cursor.get(..8).ok_or_else(wrong)?;
    let tail = &cursor.as_bytes()[8..];
    if !tail.len().is_multiple_of(2) {
        return Err(wrong());
    }
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let bytes: Option<Vec<u8>> =
        tail.chunks_exact(2).map(|pair| Some(digit(pair[0])? * 16 + digit(pair[1])?)).collect();
    let last = String::from_utf8(bytes.ok_or_else(wrong)?).map_err(|_| wrong())?;
    if head == format!("{:08x}", check(what, &last)) { Ok(last) } else { Err(wrong()) }
}

fn check(what: &Scan, last: &str) -> u32 {
    let (kind, name) = match what {
        Scan::Registers(prefix) => ("registers", prefix.clone()),
        Scan::Objects(type_name) => ("objects", type_name.clone()),
        Scan::Hints(shard) => ("hints", shard.to_string()),
    };
    xxhash_rust::xxh3::xxh3_64(format!("{kind}\0{name}\0{last}").as_bytes()) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_scan_alone() {
        let scan = Scan::Objects("counter".into());
        let cursor = encode(&scan, "é/%");
        assert_eq!(decode(&scan, &cursor).unwrap(), "é/%");
        assert!(decode(&Scan::Objects("cart".into()), &cursor).is_err());
        assert!(decode(&Scan::Registers("counter".into()), &cursor).is_err());
    }

    #[test]
    fn whatever_else_is_refused() {
        let scan = Scan::Hints(3);
        let good = encode(&scan, "a/b");
        for wrong in
            ["", "x", "0123456", "01234567", "éééé", &good[..good.len() - 1], &good[..good.len() - 2], "zzzzzzzzzz"]
        {
            assert!(decode(&scan, wrong).is_err(), "{wrong:?}");
        }
    }
}
