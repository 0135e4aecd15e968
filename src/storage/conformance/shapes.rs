//! Names and bytes of every shape come back as they were, and no other.

use bytes::Bytes;

use super::bench::{Bench, Checked, Store, ensure, object, object_of, record, version};
use crate::model::{ObjectKey, Put, Record, Version};

/// A store that says it takes more is tried up to this, in bytes.
const TRIED_MAX: usize = 32 << 20;

async fn all_differ(store: &Store, keys: &[ObjectKey]) -> Checked {
    for (at, key) in keys.iter().enumerate() {
        store.absent(key).await?;
        store.stored(key, None, &record(at as u32 + 1, &format!("{at}"))).await?;
    }
    for (at, key) in keys.iter().enumerate() {
        store.holds(key, &record(at as u32 + 1, &format!("{at}"))).await?;
    }
    Ok(())
}

pub(super) async fn ids_differ_byte_for_byte(bench: Bench) -> Checked {
    let ids = [
        "a",
        "A",
        "a ",
        " a",
        "a  ",
        "aa",
        "ab",
        "b",
        "a/b",
        "a/",
        "/a",
        "a%2Fb",
        "%",
        "_",
        "a_",
        "a%",
        "*",
        "?",
        "é",
        "e\u{301}",
        "É",
        "ß",
        "ss",
        "ı",
        "i",
        "I",
        "İ",
        "ﬁ",
        "fi",
        "0",
        "00",
        "-1",
        "1",
        "01",
        "1.0",
        "1e0",
        "null",
        "NULL",
        "true",
        "a\u{200b}",
        "a\u{a0}",
        "\u{feff}a",
        "…",
        "...",
    ];
    let keys = ids.iter().map(|id| object(id)).collect::<Result<Vec<_>, _>>()?;
    all_differ(&bench.open().await, &keys).await
}

pub(super) async fn types_differ_byte_for_byte(bench: Bench) -> Checked {
    let mut keys = Vec::new();
    for type_name in ["a", "aa", "a-a", "a-", "a1", "ab", "b", "cart", "carts"] {
        for id in ["a", "a/a", "-a", "1"] {
            keys.push(object_of(type_name, id)?);
        }
    }
    all_differ(&bench.open().await, &keys).await
}

pub(super) async fn ids_of_every_legal_shape_are_kept(bench: Bench) -> Checked {
    let store = bench.open().await;
    let long = "x".repeat(512);
    let almost = format!("{}y", "x".repeat(511));
    let wide = "𝄞".repeat(128);
    let longest_type = format!("t{}", "-long".repeat(12));
    let ids = [
        &long,
        &almost,
        &wide,
        "'; DROP TABLE object; --",
        "\"quoted\"",
        "\\",
        "back\\slash",
        "a&b=c;d#e?f",
        "{a}",
        "日本語",
        "👩‍👩‍👧",
        "مرحبا",
        "\u{10ffff}",
        "a:b",
        "~",
        "(x)",
        "[1]",
        "$1",
        "`",
        "|",
    ];
    let mut keys = ids.iter().map(|id| object(id)).collect::<Result<Vec<_>, _>>()?;
    keys.push(object_of(&longest_type, &long)?);
    all_differ(&store, &keys).await?;
    let mut wanted: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let mut listed = store.ids("thing", 7).await?;
    wanted.sort();
    listed.sort();
    ensure!(listed == wanted, "put were {wanted:?}, listed are {listed:?}");
    Ok(())
}

pub(super) async fn every_byte_survives_in_meta(bench: Bench) -> Checked {
    let store = bench.open().await;
    let every: Vec<u8> = (0..=255).chain((0..=255).rev()).collect();
    let metas = [
        every,
        vec![0],
        vec![0; 300],
        vec![255; 300],
        b"\xc3\x28 no UTF-8".to_vec(),
        b"ends in blanks  ".to_vec(),
        b"\0 begins so".to_vec(),
    ];
    for (at, meta) in metas.into_iter().enumerate() {
        let new = Record { meta: meta.into(), ..record(1, "{}") };
        let key = object(&format!("{at}"))?;
        store.stored(&key, None, &new).await?;
        store.holds(&key, &new).await?;
    }
    Ok(())
}

pub(super) async fn every_text_survives_in_state(bench: Bench) -> Checked {
    let store = bench.open().await;
    let states = [
        "0",
        "-0.0",
        "1e400",
        "12345678901234567890123",
        "null",
        "\"\"",
        " {} ",
        "\"é e\u{301} 𝄞 \u{10ffff} \\u0000\"",
        "{\"b\":1,\"a\":2,\"a\":3}",
        "\"'; --\"",
        "{\n  \"a\": 1\n}\n",
        "\"ends in blanks  \"   ",
    ];
    for (at, state) in states.into_iter().enumerate() {
        let key = object(&format!("{at}"))?;
        store.stored(&key, None, &record(1, state)).await?;
        store.holds(&key, &record(1, state)).await?;
    }
    Ok(())
}

pub(super) async fn empty_parts_survive(bench: Bench) -> Checked {
    let store = bench.open().await;
    let none = Bytes::new();
    let full = record(1, "{}");
    let parts = [(full.state.clone(), none.clone()), (none.clone(), full.meta.clone()), (none.clone(), none)];
    for (at, (state, meta)) in parts.into_iter().enumerate() {
        let key = object(&format!("{at}"))?;
        let created = Record { version: version(1), state, meta };
        let seen = store.stored(&key, None, &created).await?;
        store.holds(&key, &created).await?;
        let seen = store.stored(&key, Some(&seen), &record(2, "\"full\"")).await?;
        let emptied = Record { version: version(3), ..created };
        store.stored(&key, Some(&seen), &emptied).await?;
        store.holds(&key, &emptied).await?;
    }
    Ok(())
}

pub(super) async fn epochs_and_sequences_survive(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let versions = [(1, 0), (1, 1), (1, u32::MAX), (2, 0), (3, 0x8000_0000), (0x7fff_fffe, 7), (0x7fff_ffff, u32::MAX)];
    let mut seen = None;
    for (epoch, seq) in versions {
        let new = Record { version: Version::new(epoch, seq), ..record(0, "{}") };
        seen = Some(store.stored(&key, seen.as_ref(), &new).await?);
        store.holds(&key, &new).await?;
    }
    Ok(())
}

fn largest(store: &Store) -> usize {
    store.settings.record_bytes_max.unwrap_or_else(|| store.inner.caps().record_bytes_max)
}

/// A record of so many bytes that no part of it looks like another.
fn of_size(seq: u32, bytes: usize) -> Record {
    let mut text = String::with_capacity(bytes + 32);
    let mut at: u64 = 0;
    while text.len() < bytes {
        at += 1;
        text.push_str(&(at.wrapping_mul(0x9E37_79B9_7F4A_7C15)).to_string());
    }
    let meta_bytes = bytes / 4;
    let (meta, state) = text.as_bytes()[..bytes].split_at(meta_bytes);
    Record { version: version(seq), state: Bytes::copy_from_slice(state), meta: Bytes::copy_from_slice(meta) }
}

pub(super) async fn the_largest_record_reads_back(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let largest = largest(&store).min(TRIED_MAX);
    let mut seen = None;
    for (at, bytes) in [largest / 3, largest - 1, largest, 100, largest].into_iter().enumerate() {
        let new = of_size(at as u32 + 1, bytes);
        seen = Some(store.stored(&key, seen.as_ref(), &new).await?);
        store.holds(&key, &new).await?;
    }
    Ok(())
}

pub(super) async fn a_record_too_large_is_refused(bench: Bench) -> Checked {
    let store = bench.open().await;
    let key = object("a")?;
    let largest = store.inner.caps().record_bytes_max;
    if largest > TRIED_MAX {
        return Ok(());
    }
    let too_large = of_size(1, largest + 1);
    let answer = store.put(&key, None, &too_large).await;
    ensure!(
        matches!(answer, Put::Refused(_)),
        "{} bytes are more than the {largest} it takes, and the answer is {answer:?}",
        largest + 1
    );
    store.absent(&key).await?;
    let seen = store.stored(&key, None, &record(1, "1")).await?;
    let answer = store.put(&key, Some(&seen), &of_size(2, largest + 1)).await;
    ensure!(matches!(answer, Put::Refused(_)), "an update of {} bytes is answered {answer:?}", largest + 1);
    store.holds(&key, &record(1, "1")).await
}
