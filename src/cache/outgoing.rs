//! What waits to be put into a shared cache: the newest of each object, bounded, and dropped where there is no room.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{KeyHash, Loaded, ObjectKey};

/// Objects that may wait, and their bytes.
const ITEMS_MAX: usize = 4096;
const BYTES_MAX: usize = 32 << 20;
/// Objects of one batch, and their bytes.
const BATCH_ITEMS: usize = 64;
const BATCH_BYTES: usize = 4 << 20;

/// What is to become of an object in the cache.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Parcel {
    /// This is to stand there.
    Put(Loaded),
    /// Whatever stands there is to go.
    Forget,
}

impl Parcel {
    fn bytes(&self) -> usize {
        match self {
            Parcel::Put(loaded) => loaded.record.bytes(),
            Parcel::Forget => 0,
        }
    }
}

/// What became of a parcel.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pushed {
    /// It waits.
    Added,
    /// It waits, and an older one of the same object does not any more.
    Replaced,
    /// There is no room, and none of this object waits now.
    Dropped,
}

/// The parcels that wait.
#[derive(Default, Debug)]
pub(super) struct Outgoing {
    queue: Mutex<Queue>,
    bell: Notify,
}

#[derive(Default, Debug)]
struct Queue {
    /// Each object that waits once, the longest first.
    order: VecDeque<ObjectKey>,
    parcels: HashMap<ObjectKey, Parcel, KeyHash>,
    bytes: usize,
}

impl Outgoing {
    /// Adds a parcel, instead of an older one of the same object.
    pub(super) fn push(&self, key: &ObjectKey, parcel: Parcel) -> Pushed {
        let mut queue = self.queue();
        let before = queue.parcels.get(key).map(Parcel::bytes);
        let bytes = queue.bytes - before.unwrap_or(0) + parcel.bytes();
        if bytes > BYTES_MAX || before.is_none() && queue.parcels.len() >= ITEMS_MAX {
            if before.is_some() {
                queue.bytes -= before.unwrap_or(0);
                queue.parcels.remove(key);
                queue.order.retain(|other| other != key);
            }
            return Pushed::Dropped;
        }
        queue.bytes = bytes;
        if queue.parcels.insert(key.clone(), parcel).is_none() {
            queue.order.push_back(key.clone());
        }
        drop(queue);
        self.bell.notify_one();
        if before.is_some() { Pushed::Replaced } else { Pushed::Added }
    }

    /// The next batch; waits for one.
    pub(super) async fn next(&self) -> Vec<(ObjectKey, Parcel)> {
        loop {
            let batch = self.queue().take();
            if !batch.is_empty() {
                return batch;
            }
            self.bell.notified().await;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn take(&mut self) -> Vec<(ObjectKey, Parcel)> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while batch.len() < BATCH_ITEMS && bytes < BATCH_BYTES {
            let Some(key) = self.order.pop_front() else { break };
            let Some(parcel) = self.parcels.remove(&key) else { continue };
            bytes += parcel.bytes();
            self.bytes -= parcel.bytes();
            batch.push((key, parcel));
        }
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Record, Rev, Version};

    fn key(id: usize) -> ObjectKey {
        ObjectKey::new("counter", &id.to_string()).unwrap()
    }

    fn parcel(seq: u32, bytes: usize) -> Parcel {
        let record =
            Record { version: Version::new(1, seq), state: vec![b'x'; bytes].into(), meta: bytes::Bytes::new() };
        Parcel::Put(Loaded { record, rev: Rev::Number(1) })
    }

    #[tokio::test]
    async fn only_the_newest_of_an_object_goes_out() {
        let outgoing = Outgoing::default();
        assert_eq!(outgoing.push(&key(1), parcel(1, 10)), Pushed::Added);
        for seq in 2..=100 {
            assert_eq!(outgoing.push(&key(1), parcel(seq, 10)), Pushed::Replaced);
        }
        assert_eq!(outgoing.push(&key(2), Parcel::Forget), Pushed::Added);
        assert_eq!(outgoing.next().await, [(key(1), parcel(100, 10)), (key(2), Parcel::Forget)]);
        assert_eq!(outgoing.queue().bytes, 0);
        let more = tokio::time::timeout(std::time::Duration::from_millis(1), outgoing.next()).await;
        assert!(more.is_err(), "{more:?}");
    }

    #[tokio::test]
    async fn where_there_is_no_room_nothing_older_goes_out_either() {
        let outgoing = Outgoing::default();
        let accepted = (0..2 * ITEMS_MAX).filter(|id| outgoing.push(&key(*id), parcel(1, 1)) == Pushed::Added).count();
        assert_eq!(accepted, ITEMS_MAX);
        let outgoing = Outgoing::default();
        assert_eq!(outgoing.push(&key(1), parcel(1, 10)), Pushed::Added);
        assert_eq!(outgoing.push(&key(1), parcel(2, BYTES_MAX + 1)), Pushed::Dropped);
        assert_eq!(outgoing.push(&key(2), parcel(1, 10)), Pushed::Added);
        assert_eq!(outgoing.next().await, [(key(2), parcel(1, 10))]);
        assert_eq!(outgoing.queue().bytes, 0);
    }
}
