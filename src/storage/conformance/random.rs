//! Random operations, one after the other, beside a model of a few lines: a seed is the bug report.

use std::collections::BTreeMap;

use super::bench::{Bench, Checked, Store, ensure, object_of};
use crate::clock::Random;
use crate::model::{Cas, Entry, Item, Loaded, ObjectKey, Put, Record, Register, Rev, Scan, Seen, Version};

const SEEDS: u64 = 6;
const STEPS: u64 = 250;
const TYPES: [&str; 2] = ["a", "a-b"];
const IDS: [&str; 5] = ["x", "X", "x/x", "é", "x "];
const REGISTERS: [&str; 3] = ["node/x", "node/X", "shard/1"];

/// What must be there, and every mark that was ever given out.
#[derive(Default)]
struct Model {
    records: BTreeMap<ObjectKey, Loaded>,
    registers: BTreeMap<Register, Entry>,
    seen: Vec<(ObjectKey, Option<Seen>)>,
    revs: Vec<(Register, Option<Rev>)>,
    last_put: Option<(ObjectKey, Option<Seen>, Record)>,
    seq: u32,
}

struct Dice(Random);

impl Dice {
    fn of(&self, sides: usize) -> usize {
        (self.0.next_u64() % sides as u64) as usize
    }

    fn pick<T: Clone>(&self, from: &[T]) -> Option<T> {
        if from.is_empty() { None } else { Some(from[self.of(from.len())].clone()) }
    }
}

pub(super) async fn random_operations_do_what_the_model_does(bench: Bench) -> Checked {
    let store = bench.open().await;
    if !store.is_conditional() {
        return Ok(());
    }
    for seed in 1..=SEEDS {
        // Names of their own for each seed, since the store is not empty any more.
        let mut model = Model::default();
        let dice = Dice(Random::seeded(seed));
        for step in 0..STEPS {
            let done = step_once(&store, &mut model, &dice, seed).await;
            done.map_err(|why| format!("seed {seed}, step {step}: {why}"))?;
        }
        lists(&store, &model, &dice, seed).await.map_err(|why| format!("seed {seed}, at the end: {why}"))?;
    }
    Ok(())
}

fn type_name(seed: u64, dice: &Dice) -> String {
    format!("{}-{seed}", TYPES[dice.of(2)])
}

async fn step_once(store: &Store, model: &mut Model, dice: &Dice, seed: u64) -> Checked {
    let key = object_of(&type_name(seed, dice), IDS[dice.of(IDS.len())])?;
    let register = Register::named(format!("{}/{seed}", REGISTERS[dice.of(REGISTERS.len())]));
    match dice.of(10) {
        0..=4 => put(store, model, dice, key).await,
        5 => again(store, model).await,
        6 | 7 => cas(store, model, dice, register).await,
        8 => {
            let there = store.load(&key).await?.map(|loaded| loaded.record);
            let wanted = model.records.get(&key).map(|loaded| loaded.record.clone());
            ensure!(there == wanted, "{key} should hold {wanted:?}, and holds {there:?}");
            Ok(())
        }
        _ => {
            let there = store.get(&register).await?;
            ensure!(there.as_ref() == model.registers.get(&register), "{register:?} holds {there:?}");
            Ok(())
        }
    }
}

/// A put over what is there, or over anything that ever was.
async fn put(store: &Store, model: &mut Model, dice: &Dice, key: ObjectKey) -> Checked {
    let there = model.records.get(&key).map(|there| Seen { version: there.record.version, rev: there.rev.clone() });
    let seen = match dice.of(4) {
        0 => {
            let given: Vec<_> = model.seen.iter().filter(|(of, _)| *of == key).map(|(_, seen)| seen.clone()).collect();
            dice.pick(&given).unwrap_or(None)
        }
        _ => there.clone(),
    };
    model.seq += 1;
    let state = if dice.of(5) == 0 { String::new() } else { "\"é\"".repeat(dice.of(60) + 1) };
    let meta: Vec<u8> = (0..dice.of(50)).map(|n| (n * 7) as u8).collect();
    let record = Record { version: Version::new(1, model.seq), state: state.into(), meta: meta.into() };
    put_once(store, model, key, seen, record).await
}

/// The last put again, as after an `Unknown`.
async fn again(store: &Store, model: &mut Model) -> Checked {
    match model.last_put.clone() {
        Some((key, seen, record)) => put_once(store, model, key, seen, record).await,
        None => Ok(()),
    }
}

async fn put_once(store: &Store, model: &mut Model, key: ObjectKey, seen: Option<Seen>, record: Record) -> Checked {
    let there = model.records.get(&key);
    let at = there.map(|there| there.record.version);
    let repeats = there.is_some_and(|there| there.record == record);
    let applies = repeats || at == seen.as_ref().map(|seen| seen.version);
    model.last_put = Some((key.clone(), seen.clone(), record.clone()));
    match store.put(&key, seen.as_ref(), &record).await {
        Put::Stored(rev) if applies => {
            let now = Seen { version: record.version, rev: rev.clone() };
            model.seen.push((key.clone(), Some(now)));
            model.records.insert(key, Loaded { record, rev });
            Ok(())
        }
        Put::Conflict(told) if !applies => {
            ensure!(told == at.unwrap_or_default(), "{key} is of version {at:?}, the conflict tells of {told}");
            Ok(())
        }
        other => {
            Err(format!("{key} is of version {at:?}, a put of {} over {seen:?} is answered {other:?}", record.version))
        }
    }
}

async fn cas(store: &Store, model: &mut Model, dice: &Dice, register: Register) -> Checked {
    let there = model.registers.get(&register).map(|entry| entry.rev.clone());
    let seen = match dice.of(3) {
        0 => {
            let given: Vec<_> =
                model.revs.iter().filter(|(of, _)| *of == register).map(|(_, rev)| rev.clone()).collect();
            dice.pick(&given).unwrap_or(None)
        }
        _ => there.clone(),
    };
    model.seq += 1;
    let value = format!("{}", model.seq);
    match store.cas(&register, seen.as_ref(), &value).await? {
        Cas::Applied(rev) if seen == there => {
            let repeats = model.revs.iter().any(|(of, given)| *of == register && given.as_ref() == Some(&rev));
            ensure!(!repeats, "the rev {rev:?} of {register:?} has come back");
            model.revs.push((register.clone(), Some(rev.clone())));
            model.registers.insert(register, Entry { value: value.into(), rev });
            Ok(())
        }
        Cas::Mismatch if seen != there => Ok(()),
        other => Err(format!("{register:?} is at {there:?}, a cas over {seen:?} is answered {other:?}")),
    }
}

/// Once what was deleted may be listed no more, the lists are the model's.
async fn lists(store: &Store, model: &Model, dice: &Dice, seed: u64) -> Checked {
    for type_name in TYPES.map(|name| format!("{name}-{seed}")) {
        let of_type =
            model.records.iter().filter(|(key, there)| key.type_name() == type_name && !there.record.is_deleted());
        let mut wanted: Vec<String> = of_type.map(|(key, _)| key.id().to_owned()).collect();
        wanted.sort();
        let mut listed = store.ids(&type_name, 1 + dice.of(4)).await?;
        listed.retain(|id| wanted.contains(id) || store.settings.lists_deleted_for.is_zero());
        listed.sort();
        ensure!(listed == wanted, "{type_name}: {wanted:?} live, listed are {listed:?}");
    }
    let scan = Scan::Registers("node/".into());
    let of_seed =
        |item: &Item| matches!(item, Item::Register(register, _) if register.name().ends_with(&format!("/{seed}")));
    let listed = store.list(&scan, 1 + dice.of(4)).await?.into_iter().filter(of_seed);
    let mut listed: Vec<_> = listed.collect();
    listed.sort_by_key(
        |item| if let Item::Register(register, _) = item { register.clone() } else { Register::named("") },
    );
    let of_model = model.registers.iter().filter(|(register, _)| register.name().starts_with("node/"));
    let wanted: Vec<Item> = of_model.map(|(register, entry)| Item::Register(register.clone(), entry.clone())).collect();
    ensure!(listed == wanted, "the registers are {wanted:?}, listed are {listed:?}");
    Ok(())
}
