//! The rule by which a newer record format comes to be written (`locks/formats.rs`), in every order that its steps can take: two
//! nodes that read it, one that does not and may come, leave, and come again, and a kill of that one at any moment.
//!
//! What must never be: a record of the newer format while a node is up that does not read it, and has begun to serve.

use super::explore::{Explored, Model, explore};

/// The rule, or the rule with one step left out or in another place.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rollout {
    AsItIs,
    /// The rows are read before the register is raised, and not after.
    RowsFirst,
    /// The rows are not read again before the newer format is written.
    RowsNotAgain,
    /// Who joins reads the register before its row stands there, and not after.
    JoinsUnasked,
}

/// One who reads the newer format and would write it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Newer {
    /// It looks at the rows now and then.
    Looks,
    /// All read it: it raises the register.
    Raises,
    /// It was raised: it reads the rows once more.
    ReadsRows,
    /// It writes it.
    Writes,
}

/// One who does not read it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Older {
    Away,
    /// The register let it in: its row is to be written.
    Enters,
    /// Its row stands there: it reads the register again.
    Asks,
    Serves,
    Refused,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct World {
    /// The register: whether the newer format may be written.
    may: bool,
    newer: [Newer; 2],
    older: Older,
    /// The row of its life of now says `up`.
    up: bool,
    /// How often it may come still.
    lives: u8,
    /// A record of the newer format was put.
    written: bool,
}

type Steps = Vec<(&'static str, World)>;

impl Rollout {
    fn newer(self, world: World, at: usize, found: &mut Steps) {
        let mut to = |newer, what, may| {
            let mut next = World { may: world.may || may, written: world.written || what == WRITES, ..world };
            next.newer[at] = newer;
            found.push((what, next));
        };
        match (world.newer[at], self) {
            (Newer::Looks, _) if world.up => {}
            (Newer::Looks, _) => to(Newer::Raises, "a newer one sees that all read it", false),
            (Newer::Raises, Self::RowsNotAgain) => to(Newer::Writes, "it raises the register", true),
            (Newer::Raises, Self::RowsFirst) if world.up => to(Newer::Looks, "it reads the rows: one does not", false),
            (Newer::Raises, Self::RowsFirst) => to(Newer::ReadsRows, "it reads the rows: all do", false),
            (Newer::Raises, _) => to(Newer::ReadsRows, "it raises the register", true),
            (Newer::ReadsRows, Self::RowsFirst) => to(Newer::Writes, "it raises the register", true),
            (Newer::ReadsRows, _) if world.up => to(Newer::Looks, "it reads the rows: one does not", false),
            (Newer::ReadsRows, _) => to(Newer::Writes, "it reads the rows: all do", false),
            (Newer::Writes, _) => to(Newer::Writes, WRITES, false),
        }
    }

    fn older(self, world: World, found: &mut Steps) {
        let mut to = |older, up, what| found.push((what, World { older, up, ..world }));
        match world.older {
            Older::Away if world.lives > 0 => {
                let older = if world.may { Older::Refused } else { Older::Enters };
                let next = World { older, lives: world.lives - 1, ..world };
                found.push(("the older one reads the register", next));
            }
            Older::Enters if self == Self::JoinsUnasked => {
                to(Older::Serves, true, "its row stands there, and it serves")
            }
            Older::Enters => to(Older::Asks, true, "its row stands there"),
            Older::Asks if world.may => to(Older::Refused, false, "it reads the register again, and goes"),
            Older::Asks => to(Older::Serves, world.up, "it reads the register again, and serves"),
            // Or it was killed, notices, and begins another life.
            Older::Serves => to(Older::Away, false, "it leaves"),
            Older::Away | Older::Refused => {}
        }
    }
}

const WRITES: &str = "a newer one writes the newer format";

impl Model for Rollout {
    type State = World;
    type Step = &'static str;

    fn start(&self) -> World {
        World { may: false, newer: [Newer::Looks; 2], older: Older::Away, up: false, lives: 3, written: false }
    }

    fn steps(&self, from: &World, found: &mut Steps) {
        (0..from.newer.len()).for_each(|at| self.newer(*from, at, found));
        self.older(*from, found);
        if from.up {
            found.push(("somebody takes the older one for dead, rightly or not", World { up: false, ..*from }));
        }
    }

    /// One that was killed answers nothing any more.
    fn broken(&self, world: &World) -> Option<String> {
        let reads = world.written && world.older == Older::Serves && world.up;
        reads.then(|| "a node serves that does not read what is written".to_owned())
    }
}

fn seen(rollout: Rollout) -> Explored {
    explore(&rollout, 10_000)
}

#[test]
fn no_node_serves_that_does_not_read_what_is_written() {
    let seen = seen(Rollout::AsItIs);
    println!("{} states, up to {} steps away", seen.states, seen.depth);
    if let Some(counterexample) = seen.counterexample {
        panic!("{counterexample}");
    }
    assert!(seen.states > 100, "{} states", seen.states);
}

#[test]
fn each_step_of_the_rule_is_needed() {
    for broken in [Rollout::RowsFirst, Rollout::RowsNotAgain, Rollout::JoinsUnasked] {
        let counterexample = seen(broken).counterexample.unwrap_or_else(|| panic!("{broken:?} is as good"));
        println!("{broken:?}\n{counterexample}");
    }
}
