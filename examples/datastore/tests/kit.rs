//! The log keeps the contract, and what it says of crashes.
#![allow(clippy::unwrap_used, missing_docs)]

use example_datastore::{Log, open};
use remote_object::conformance;
use remote_object::model::Cas;
use remote_object::storage::KeyValue;

conformance::key_value!(log, |place| async move { Log::open(&place.dir().join("log")).unwrap() }, reopens);

#[tokio::test]
async fn whatever_a_crash_leaves_at_the_end_is_dropped_and_the_rest_kept() {
    let path = std::env::temp_dir().join(format!("example-log-{}", std::process::id()));
    let _ = std::fs::remove_file(&path);
    {
        let log = Log::open(&path).unwrap();
        for key in ["a", "b"] {
            assert!(matches!(log.compare_and_set(key, None, "value".into()).await, Cas::Applied(_)));
        }
        assert!(Log::open(&path).is_err(), "the file is in use");
    }
    let whole = std::fs::read(&path).unwrap();
    for cut in whole.len() / 2 + 1..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let log = Log::open(&path).unwrap();
        assert!(log.get("a").await.unwrap().is_some() && log.get("b").await.unwrap().is_none(), "cut at {cut}");
        assert!(matches!(log.compare_and_set("b", None, "again".into()).await, Cas::Applied(_)));
        drop(log);
        assert_eq!(Log::open(&path).unwrap().get("b").await.unwrap().unwrap().value, "again");
    }
    drop(open(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
}
