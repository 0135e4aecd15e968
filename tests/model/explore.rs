//! The explorer: every state that can be reached, breadth first, so that the first counterexample is a shortest one.
//!
//! It knows nothing of objects. States are compared whole: a hash only finds the place to compare at.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};

/// Something that moves by steps.
pub trait Model {
    type State: Copy + Eq + Hash;
    type Step: fmt::Display;

    fn start(&self) -> Self::State;

    /// Each step that may be taken here, with the state it leads to. Must give the same for the same state.
    fn steps(&self, from: &Self::State, found: &mut Vec<(Self::Step, Self::State)>);

    /// Which promise is broken in this state, if one is.
    fn broken(&self, state: &Self::State) -> Option<String>;
}

/// What was found.
pub struct Explored {
    /// Different states seen.
    pub states: usize,
    /// Steps to the farthest of them.
    pub depth: usize,
    /// The shortest way to a broken promise. Without one, everything within the bounds was seen.
    pub counterexample: Option<Counterexample>,
}

/// A way to a broken promise: the steps in order, and what is broken after the last.
pub struct Counterexample {
    pub steps: Vec<String>,
    pub promise: String,
}

impl fmt::Display for Counterexample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.steps.iter().enumerate() {
            writeln!(f, "  {:>2}. {step}", at + 1)?;
        }
        write!(f, "  =>  {}", self.promise)
    }
}

/// Sees everything the model can reach, or stops at the first broken promise. More than `most` states is a mistake in
/// the bounds, and a panic.
pub fn explore<M: Model>(model: &M, most: usize) -> Explored {
    let mut seen = Seen::default();
    seen.add(model.start(), 0);
    let (mut at, mut depth, mut level_ends) = (0, 0, 1);
    let mut found = Vec::new();
    while at < seen.states.len() {
        if at == level_ends {
            depth += 1;
            level_ends = seen.states.len();
        }
        let from = seen.states[at];
        model.steps(&from, &mut found);
        for (_, state) in found.drain(..) {
            if !seen.add(state, at) {
                continue;
            }
            if let Some(promise) = model.broken(&state) {
                let steps = way(model, &seen);
                let counterexample = Some(Counterexample { steps, promise });
                return Explored { states: seen.states.len(), depth: depth + 1, counterexample };
            }
        }
        assert!(seen.states.len() <= most, "more than {most} states: the bounds are too wide");
        at += 1;
    }
    Explored { states: seen.states.len(), depth, counterexample: None }
}

/// The steps that lead to the state seen last.
fn way<M: Model>(model: &M, seen: &Seen<M::State>) -> Vec<String> {
    let mut steps = Vec::new();
    let mut at = seen.states.len() - 1;
    while at > 0 {
        let from = seen.from[at] as usize;
        let mut found = Vec::new();
        model.steps(&seen.states[from], &mut found);
        let taken = found.into_iter().find(|(_, state)| *state == seen.states[at]);
        steps.push(taken.map_or_else(|| "a step that is not there again".to_owned(), |(step, _)| step.to_string()));
        at = from;
    }
    steps.reverse();
    steps
}

/// States in the order they were seen, and the place of the state each was first reached from.
struct Seen<S> {
    states: Vec<S>,
    from: Vec<u32>,
    /// Hash to place. Two states of one hash are kept apart by trying the next hash.
    places: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
}

impl<S> Default for Seen<S> {
    fn default() -> Self {
        Seen { states: Vec::new(), from: Vec::new(), places: HashMap::default() }
    }
}

impl<S: Copy + Eq + Hash> Seen<S> {
    /// Whether the state is new.
    fn add(&mut self, state: S, from: usize) -> bool {
        let mut hasher = Folded::default();
        state.hash(&mut hasher);
        let mut hash = hasher.finish();
        while let Some(place) = self.places.get(&hash) {
            if self.states[*place as usize] == state {
                return false;
            }
            hash = hash.wrapping_add(1);
        }
        self.places.insert(hash, self.states.len() as u32);
        self.states.push(state);
        self.from.push(from as u32);
        true
    }
}

/// A quick hash for small states; unoptimised builds spend most of their time in hashing otherwise.
#[derive(Default)]
struct Folded(u64);

impl Folded {
    fn fold(&mut self, word: u64) {
        let wide = u128::from(self.0 ^ word ^ 0x9e37_79b9_7f4a_7c15) * 0xa076_1d64_78bd_642f;
        self.0 = (wide as u64) ^ ((wide >> 64) as u64);
    }
}

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.fold(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, word: u8) {
        self.fold(u64::from(word));
    }

    fn write_isize(&mut self, word: isize) {
        self.fold(word as u64);
    }

    fn write_usize(&mut self, word: usize) {
        self.fold(word as u64);
    }
}

/// For keys that are hashes.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {}

    fn write_u64(&mut self, word: u64) {
        self.0 = word;
    }
}

/// A counter that goes up by one or two and must never stand on `bad`.
#[cfg(test)]
struct Stairs {
    top: u8,
    bad: u8,
}

#[cfg(test)]
impl Model for Stairs {
    type State = u8;
    type Step = String;

    fn start(&self) -> u8 {
        0
    }

    fn steps(&self, from: &u8, found: &mut Vec<(String, u8)>) {
        for by in [1, 2] {
            if from + by <= self.top {
                found.push((format!("+{by}"), from + by));
            }
        }
    }

    fn broken(&self, state: &u8) -> Option<String> {
        (*state == self.bad).then(|| format!("stands on {state}"))
    }
}

#[test]
fn the_explorer_sees_every_state_and_finds_the_shortest_way() {
    let all = explore(&Stairs { top: 9, bad: 99 }, 100);
    assert_eq!((all.states, all.depth, all.counterexample.is_none()), (10, 5, true));

    let found = explore(&Stairs { top: 9, bad: 6 }, 100);
    let way = found.counterexample.unwrap();
    assert_eq!((way.steps, way.promise.as_str()), (vec!["+2".to_owned(); 3], "stands on 6"));
}
