//! Any `KeyValue` behind one type, so that the cases are compiled once.

use std::fmt::Debug;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;

use crate::error::Result;
use crate::model::{Cas, Entry, Rev};
use crate::storage::KeyValue;

#[derive(Clone, Debug)]
pub(super) struct Erased(Arc<dyn Dyn>);

impl Erased {
    pub(super) fn new(kv: impl KeyValue) -> Self {
        Self(Arc::new(kv))
    }
}

trait Dyn: Debug + Send + Sync {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>>;
    fn compare_and_set<'a>(&'a self, key: &'a str, seen: Option<&'a Rev>, new: Bytes) -> BoxFuture<'a, Cas>;
    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Scanned>;
}

type Scanned = Result<Vec<(String, Entry)>>;

impl<K: KeyValue> Dyn for K {
    fn get<'a>(&'a self, key: &'a str) -> BoxFuture<'a, Result<Option<Entry>>> {
        Box::pin(KeyValue::get(self, key))
    }

    fn compare_and_set<'a>(&'a self, key: &'a str, seen: Option<&'a Rev>, new: Bytes) -> BoxFuture<'a, Cas> {
        Box::pin(KeyValue::compare_and_set(self, key, seen, new))
    }

    fn scan<'a>(&'a self, prefix: &'a str, after: Option<&'a str>, limit: usize) -> BoxFuture<'a, Scanned> {
        Box::pin(KeyValue::scan(self, prefix, after, limit))
    }
}

impl KeyValue for Erased {
    async fn get(&self, key: &str) -> Result<Option<Entry>> {
        Dyn::get(&*self.0, key).await
    }

    async fn compare_and_set(&self, key: &str, seen: Option<&Rev>, new: Bytes) -> Cas {
        Dyn::compare_and_set(&*self.0, key, seen, new).await
    }

    async fn scan(&self, prefix: &str, after: Option<&str>, limit: usize) -> Scanned {
        Dyn::scan(&*self.0, prefix, after, limit).await
    }
}
