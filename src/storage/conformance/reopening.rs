//! What was acknowledged is there when the store is opened again.

use super::bench::{Bench, Checked, ensure, object, record, version};
use crate::model::{Item, Register, Scan};

pub(super) async fn everything_acknowledged_is_there_when_opened_again(bench: Bench) -> Checked {
    if !bench.settings.reopens {
        return Ok(());
    }
    let register = Register::named("meta/of-the-kit");
    let store = bench.open().await;
    store.applied(&register, None, "\"set\"").await?;
    for n in 0..50 {
        store.stored(&object(&format!("{n}"))?, None, &record(n + 1, &format!("{n}"))).await?;
    }
    store.hint(3, &object("0")?, Some(99), version(1)).await?;
    drop(store);
    for opened in 1..=2 {
        let store = bench.open().await;
        let there = store.get(&register).await?;
        ensure!(
            there.is_some_and(|entry| entry.value == "\"set\""),
            "the register is gone, opened for the {opened}. time"
        );
        for n in 0..50 {
            store.holds(&object(&format!("{n}"))?, &record(n + 1, &format!("{n}"))).await?;
        }
        ensure!(store.ids("thing", 100).await?.len() == 50, "fifty were put, fewer are listed");
        let hints = store.list(&Scan::Hints(3), 10).await?;
        let wanted = Item::Hint { key: object("0")?, due: 99, version: version(1) };
        ensure!(hints == [wanted], "one hint was given, listed are {hints:?}");
    }
    Ok(())
}

pub(super) async fn marks_hold_when_opened_again(bench: Bench) -> Checked {
    if !bench.settings.reopens {
        return Ok(());
    }
    let (register, key) = (Register::named("meta/of-the-kit"), object("a")?);
    let store = bench.open().await;
    let stale_rev = store.applied(&register, None, "\"one\"").await?;
    let rev = store.applied(&register, Some(&stale_rev), "\"two\"").await?;
    let stale = store.stored(&key, None, &record(1, "1")).await?;
    let seen = store.stored(&key, Some(&stale), &record(2, "2")).await?;
    drop(store);
    let store = bench.open().await;
    store.mismatch(&register, Some(&stale_rev), "\"late\"").await?;
    let new = store.applied(&register, Some(&rev), "\"one\"").await?;
    ensure!(new != stale_rev && new != rev, "the rev {new:?} has come back");
    if store.is_conditional() {
        store.conflict(&key, Some(&stale), &record(9, "\"late\"")).await?;
    }
    store.holds(&key, &record(2, "2")).await?;
    store.stored(&key, Some(&seen), &record(3, "3")).await?;
    store.holds(&key, &record(3, "3")).await
}
