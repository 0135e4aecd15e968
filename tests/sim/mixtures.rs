//! What runs draw from: which cluster, what befalls it, and what its clients ask.
//!
//! Most runs draw from the common mixture, in which anything may happen. What takes several things in one order is rare there;
//! the others make each of these things likely, as the model's shortest ways to a broken promise name them, and leave the
//! rest, and all times, to the seed.

use test_simulator::{Fault, Faults, Setup, Weather};

/// What clients ask, and how.
#[derive(Clone, Copy, Debug)]
pub struct Habits {
    /// How many clients there are, and how many calls each of them makes.
    pub clients: u64,
    pub calls: u64,
    /// How long a client waits at most between two calls.
    pub pause_ms: u64,
    /// How many objects of a type there are, three at most.
    pub objects: u64,
    /// How likely each kind of call is: reads, adds, adds by a key, adds to a state that was seen, adds by a key to an
    /// object that forgets keys soon, and calls of objects to others.
    pub weights: [u64; 6],
    /// How long a client waits for an answer.
    pub patience_ms: (u64, u64),
    /// The time it gives a call.
    pub time_ms: (u64, u64),
}

/// Those of the common mixture.
const COMMON: Habits = Habits {
    clients: 4,
    calls: 25,
    pause_ms: 700,
    objects: 3,
    weights: [4, 2, 3, 1, 1, 1],
    patience_ms: (500, 7_000),
    time_ms: (300, 6_000),
};

/// Many who read and add, and wait for a node that stands still: there are others left who ask the next owner.
const PATIENT: Habits = Habits {
    clients: 12,
    calls: 24,
    objects: 2,
    weights: [6, 4, 0, 0, 0, 0],
    patience_ms: (2_000, 16_000),
    time_ms: (14_000, 16_000),
    ..COMMON
};

/// One object that forgets keys soon, asked all the time by clients who wait: what is sent again, the nodes send again.
const FORGETFUL: Habits = Habits {
    clients: 6,
    calls: 40,
    pause_ms: 400,
    objects: 1,
    weights: [1, 0, 0, 0, 8, 0],
    patience_ms: (14_000, 16_000),
    time_ms: (12_000, 14_000),
};

/// What a run draws from.
#[derive(Clone, Debug)]
pub struct Mixture {
    pub setup: Setup,
    /// What befalls the cluster; `None`: half of what there is, as the seed wants it.
    pub faults: Option<Faults>,
    pub habits: Habits,
}

impl Mixture {
    /// Anything.
    pub fn common(seed: u64) -> Self {
        Self { setup: Setup::new(seed), faults: None, habits: COMMON }
    }

    /// The mixture that is this seed's turn.
    pub fn of(seed: u64) -> Self {
        match seed % 10 {
            7 => Self::half_known_deaths(seed),
            8 => Self::lost_answers(seed),
            9 => Self::late_questions(seed),
            _ => Self::common(seed),
        }
    }

    /// Lives end while they stand still, and one replica alone knows; then they go on, with questions that waited.
    pub fn half_known_deaths(seed: u64) -> Self {
        let common = Setup::new(seed);
        let weather = Weather { untold: 30, lost: 0, ..common.weather };
        Self {
            setup: Setup { nodes: 2, ordered: true, repairs: false, weather, ..common },
            faults: Some(Faults::these(&[Fault::Freeze]).every(8_000, 14_000).lasting(7_000, 11_000)),
            habits: PATIENT,
        }
    }

    /// Answers of one node to another are lost, and soon after that it ends: the call is sent again, when others have
    /// pushed its key out of the object's memory.
    pub fn lost_answers(seed: u64) -> Self {
        let common = Setup::new(seed);
        let weather = Weather { lost: 2, refused: 0, ..common.weather };
        let faults = [Fault::CutNodes, Fault::CutNodes, Fault::Kill, Fault::Drain, Fault::Replace];
        Self {
            setup: Setup { nodes: 3, shards: 1, weather, ..common },
            faults: Some(Faults::these(&faults).every(200, 3_000).lasting(2_000, 8_000)),
            habits: FORGETFUL,
        }
    }

    /// Questions of one node to another lie about until the life they are for is over, and the next one of that process has
    /// the object again.
    pub fn late_questions(seed: u64) -> Self {
        let common = Setup::new(seed);
        let weather = Weather { lost: 4, refused: 0, ..common.weather };
        let faults = [Fault::CutNodes, Fault::CutNodes, Fault::CutNodes, Fault::CutNodes, Fault::Freeze];
        Self {
            setup: Setup { nodes: 3, shards: 1, weather, ..common },
            faults: Some(Faults::these(&faults).every(500, 2_500).lasting(4_500, 7_000)),
            habits: Habits { clients: 10, ..FORGETFUL },
        }
    }

    /// The same with another cluster.
    pub fn with(self, change: impl FnOnce(Setup) -> Setup) -> Self {
        Self { setup: change(self.setup), ..self }
    }
}
