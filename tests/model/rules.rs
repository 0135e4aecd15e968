//! The rules that can be left out, one at a time: the broken variants of `protocol.md` §9. [`crate::node`] asks for them
//! at the places where they matter.

/// A rule, named by what holds while it is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// R5. Without: *no confirm (frozen clock)*. A settled call is answered at once.
    Confirm,
    /// R5. Without: *confirm started before the put's ack*.
    ConfirmAfterTheAck,
    /// R3. Without: *no seal*. What a former owner left is shown as it was found.
    Seal,
    /// §2. Without: *version without epoch*. Versions count on from the one that was loaded.
    EpochInTheVersion,
    /// R12. Without: *idempotency in its own row*, which is written beside the record.
    KeysInTheRecord,
    /// R2. Without: *kill taken from a read*. Who reads `dead` need not write it.
    KillByAnAppliedWrite,
    /// R10. Without: a row that is gone counts as one that says `up`. Not in §9, as no row was ever removed then.
    GoneIsDead,
    /// R10. Without: a row that came back, as it was before the first beat, counts for a node that has beaten. Not in §9.
    RowOfItsBeats,
    /// R7. Without: *same epoch after a sent release*, whose answer was `Unknown`.
    NewEpochAfterRelease,
    /// R7. Without: *reads after a sent release*. Turns stop, views go on.
    NoReadsAfterRelease,
    /// R7, §8. Without: *L1 kept over release and re-take*.
    EmptyAfterRelease,
    /// R4. Without: *unsettled put forgotten*, when its activation is lost.
    UnsettledIsRemembered,
    /// R6, R12. Without: *stored reply given from the working copy*, while the put is under way.
    StoredReplyAfterThePut,
    /// R6. Without: *confirm skipped for answers that write nothing*.
    ConfirmForEveryAnswer,
    /// R4. Without: *CAS Unknown taken as not-executed*.
    UnknownMayLand,
    /// R12. Without: *count eviction without horizon*.
    HorizonOfTheCounted,
    /// R12. Without: *time eviction without horizon*. Kept keys are gone when a retry comes.
    HorizonOfTheTimed,
    /// R11, R12. Without: a node runs a call that was sent for a later epoch than its own, so that the version quoted by the
    /// call's second sending is no lower bound. Not in §9: this model found it.
    CallsForTheirEpoch,
    /// R12. Without: the horizon is asked for second sendings alone, and a first one that comes after the second was run and
    /// forgotten runs too. Not in §9: this model found it. A first sending must say as well what it knew before.
    HorizonForFirstSendings,
    /// R12. Without: a call that was sent before, and fails now, is told so though its first sending's put may still land: its
    /// owner has put nothing over it. Not in §9.
    FailureOverAnOwnRecord,
    /// R13. Without: *dedup dropped with the object*.
    KeysOutliveTheObject,
    /// §2. Without: *one ETag per turn*.
    TagForEachCall,
    /// §8. Without: *L2 entry by age or presence*. Any entry will do.
    CacheByVersion,
}
