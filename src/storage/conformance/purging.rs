//! A purge removes what is deleted, and nothing else; or says that nothing is ever removed.

use super::attempts::Attempts;
use super::bench::{Bench, Checked, ensure, object, record, version};
use crate::error::Kind;
use crate::model::{Item, ObjectKey, Register, Scan};

const SHARD: u32 = 7;

pub(super) async fn a_purge_removes_what_is_deleted_and_nothing_else(bench: Bench) -> Checked {
    let store = bench.open().await;
    let keys = |kind: &str| (0..20).map(|n| object(&format!("{kind} {n}"))).collect::<Result<Vec<ObjectKey>, String>>();
    let (alive, deleted) = (keys("alive")?, keys("deleted")?);
    for (key, last) in alive.iter().map(|key| (key, "{}")).chain(deleted.iter().map(|key| (key, ""))) {
        let first = store.stored(key, None, &record(1, "{\"n\":1}")).await?;
        store.stored(key, Some(&first), &record(2, last)).await?;
    }
    store.hint(SHARD, &alive[0], Some(9), version(1)).await?;
    store.hint(SHARD, &alive[1], Some(9), version(1)).await?;
    store.hint(SHARD, &alive[1], None, version(2)).await?;
    let register = Register::named("meta/of-the-kit");
    store.applied(&register, None, "\"set\"").await?;

    let mut count = 0;
    let mut attempts = Attempts::of_write(&store.settings);
    loop {
        match store.inner.purge().await {
            Ok(now) => {
                count += now;
                break;
            }
            Err(error) if error.kind() == Kind::Config => break,
            Err(error) => ensure!(attempts.again().await, "a purge is answered with {error:?} again and again"),
        }
    }
    for key in &alive {
        store.holds(key, &record(2, "{}")).await?;
    }
    let hints = store.list(&Scan::Hints(SHARD), 10).await?;
    let kept = Item::Hint { key: alive[0].clone(), due: 9, version: version(1) };
    ensure!(hints.contains(&kept), "a hint that stands should outlive a purge, listed are {hints:?}");
    let there = store.get(&register).await?;
    ensure!(there.is_some_and(|entry| entry.value == "\"set\""), "a register is gone with a purge");
    for key in &deleted {
        let there = store.load(key).await?;
        let gone = there.is_none();
        ensure!(gone || there.is_some_and(|there| there.record == record(2, "")), "{key} is neither gone nor deleted");
        ensure!(gone || count == 0, "{count} records were purged, and {key} has one");
        if gone {
            // A later owner's versions are higher than all before.
            store.stored(key, None, &record(3, "{\"born\":\"again\"}")).await?;
            store.holds(key, &record(3, "{\"born\":\"again\"}")).await?;
        }
    }
    Ok(())
}
