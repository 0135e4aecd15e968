//! Who waits for whom, to find rings of calls that no chain shows: unrelated calls that wait on each other crosswise.
//!
//! Only async edits wait for other objects' turns, so only they stand here, and only while they wait.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::context::cycle;
use crate::error::Result;
use crate::model::{KeyHash, ObjectKey};

/// The waits-for graph of this process.
#[derive(Debug, Default)]
pub(crate) struct Waits(Mutex<Edges>);

type Edges = HashMap<ObjectKey, Vec<ObjectKey>, KeyHash>;

/// That one waits for the other; ends when dropped.
#[derive(Debug)]
pub(crate) struct Wait<'a> {
    graph: &'a Waits,
    from: ObjectKey,
    to: ObjectKey,
}

impl Waits {
    /// Notes that the turn of `from` waits for one of `to`.
    ///
    /// # Errors
    /// `call-cycle` when `to` waits, over whatever others, for `from`.
    pub(crate) fn begin(&self, from: &ObjectKey, to: &ObjectKey) -> Result<Wait<'_>> {
        let mut edges = self.lock();
        if let Some(mut way) = path(&edges, to, from) {
            way.insert(0, from.clone());
            return Err(cycle(&way));
        }
        edges.entry(from.clone()).or_default().push(to.clone());
        Ok(Wait { graph: self, from: from.clone(), to: to.clone() })
    }

    /// Whom an object's turn waits for.
    #[cfg(feature = "http")]
    pub(crate) fn of(&self, key: &ObjectKey) -> Vec<ObjectKey> {
        self.lock().get(key).cloned().unwrap_or_default()
    }

    /// How many wait now.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, Edges> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let mut edges = self.graph.lock();
        if let Some(targets) = edges.get_mut(&self.from) {
            if let Some(at) = targets.iter().position(|target| *target == self.to) {
                targets.swap_remove(at);
            }
            if targets.is_empty() {
                edges.remove(&self.from);
            }
        }
    }
}

/// A way from one object to another, both included.
fn path(edges: &Edges, from: &ObjectKey, to: &ObjectKey) -> Option<Vec<ObjectKey>> {
    let mut came_from: HashMap<&ObjectKey, &ObjectKey, KeyHash> = HashMap::default();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        if at == to {
            let mut way = vec![at.clone()];
            let mut step = at;
            while step != from {
                step = came_from.get(step)?;
                way.push(step.clone());
            }
            way.reverse();
            return Some(way);
        }
        for next in edges.get(at).into_iter().flatten() {
            if next != from && !came_from.contains_key(next) {
                came_from.insert(next, at);
                open.push(next);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str) -> ObjectKey {
        ObjectKey::new("node", id).unwrap()
    }

    #[test]
    fn a_ring_over_three_is_named_and_nothing_stays_behind() {
        let waits = Waits::default();
        let ab = waits.begin(&key("a"), &key("b")).unwrap();
        let bc = waits.begin(&key("b"), &key("c")).unwrap();
        let error = waits.begin(&key("c"), &key("a")).unwrap_err();
        let way = serde_json::json!(["/objects/node/c", "/objects/node/a", "/objects/node/b", "/objects/node/c"]);
        assert_eq!(error.fields()["cycle"], way);
        drop(ab);
        waits.begin(&key("c"), &key("a")).expect("the ring is open now");
        drop(bc);
        assert_eq!(waits.len(), 0);
    }
}
