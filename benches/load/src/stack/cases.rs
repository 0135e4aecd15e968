//! What is measured: on Cassandra directly, through objectd, and on memcached directly.

use clap::ValueEnum;

/// One measurement. In the order of a round: what is compared stands side by side.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, ValueEnum)]
pub(super) enum Case {
    /// Plain quorum writes of 10,000 rows, with the driver alone
    WriteMany,
    /// Edits of 10,000 objects
    EditMany,
    /// Lightweight transactions on 10,000 rows, no two at once on one
    LwtMany,
    /// Plain quorum writes of one row
    WriteOne,
    /// Edits of one object
    EditOne,
    /// Lightweight transactions on one row, one after the other
    LwtOneWriter,
    /// Plain quorum reads of 10,000 rows
    ReadMany,
    /// Linearizable GETs of 10,000 warm objects
    GetWarm,
    /// The same of objects that are in memcached and not in the process
    GetShared,
    /// Gets from memcached with objectd's client
    CacheOurs,
    /// Gets from memcached with the crate `memcache`
    CacheCrate,
}

/// Who does it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Who {
    /// The driver alone, by the program's name for the case.
    Driver(&'static str),
    /// objectd, whose L1 holds everything, or nothing.
    Objectd { l1: bool },
    /// A client of memcached, by the program's name for it.
    CacheClient(&'static str),
}

impl Case {
    /// In order.
    pub(super) const ALL: [Self; 11] = [
        Self::WriteMany,
        Self::EditMany,
        Self::LwtMany,
        Self::WriteOne,
        Self::EditOne,
        Self::LwtOneWriter,
        Self::ReadMany,
        Self::GetWarm,
        Self::GetShared,
        Self::CacheOurs,
        Self::CacheCrate,
    ];

    /// Who does it.
    pub(super) fn who(self) -> Who {
        match self {
            Self::WriteMany => Who::Driver("write-many"),
            Self::WriteOne => Who::Driver("write-one"),
            Self::LwtMany => Who::Driver("lwt-many"),
            Self::LwtOneWriter => Who::Driver("lwt-one-writer"),
            Self::ReadMany => Who::Driver("read-many"),
            Self::EditMany | Self::EditOne | Self::GetWarm => Who::Objectd { l1: true },
            Self::GetShared => Who::Objectd { l1: false },
            Self::CacheOurs => Who::CacheClient("ours"),
            Self::CacheCrate => Who::CacheClient("crate"),
        }
    }

    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::WriteMany => "plain write, 10,000 rows",
            Self::EditMany => "edit, 10,000 objects",
            Self::LwtMany => "LWT, 10,000 rows, no contention",
            Self::WriteOne => "plain write, one row",
            Self::EditOne => "edit, one object",
            Self::LwtOneWriter => "LWT, one row, one after the other",
            Self::ReadMany => "quorum read, 10,000 rows",
            Self::GetWarm => "GET, 10,000 warm objects",
            Self::GetShared => "GET, 10,000 objects in memcached",
            Self::CacheOurs => "get, own client",
            Self::CacheCrate => "get, crate `memcache`",
        }
    }
}

impl Who {
    /// As the table says it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Driver(_) => "driver",
            Self::Objectd { .. } => "objectd",
            Self::CacheClient(_) => "memcached",
        }
    }
}
