//! Wires that are cut together, and what that is called.

use super::net::Net;

/// A cut.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cut {
    /// Each from a place to another.
    wires: Vec<(usize, usize)>,
    /// Of what kind it is.
    pub kind: &'static str,
}

impl Cut {
    /// Between each of these and each of those, both ways.
    pub fn both(kind: &'static str, some: &[usize], others: &[usize]) -> Self {
        let mut cut = Self::way(kind, some, others);
        cut.wires.extend(Self::way(kind, others, some).wires);
        cut
    }

    /// From each of these to each of those, one way.
    pub fn way(kind: &'static str, some: &[usize], others: &[usize]) -> Self {
        let pairs = some.iter().flat_map(|from| others.iter().map(|to| (*from, *to)));
        Self { wires: pairs.filter(|(from, to)| from != to).collect(), kind }
    }

    /// Both at once.
    pub fn and(mut self, other: Self) -> Self {
        self.wires.extend(other.wires);
        self
    }

    pub fn make(&self, net: &Net) {
        self.wires.iter().for_each(|(from, to)| net.cut(*from, *to));
    }
}
