//! Clients that write down what they see.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use remote_object::error::{Kind, Outcome};
use remote_object::model::Version;
use remote_object::objects::{Args, CallKind, Op, RemoteError, Request, Returned, read_reply};
use remote_object::prelude::*;
use remote_object::{CallError, Host, clock};
use test_history::Recorder;
use test_simulator::{Cluster, Process};
use tokio::time::{sleep, timeout};

use super::mixtures::Habits;
use super::objects::{Few, Tally, Teller};

/// How often a keyed call is asked again.
const ATTEMPTS: u64 = 6;

/// What the clients of a run know.
pub struct Clients {
    pub cluster: Arc<Cluster>,
    pub recorder: Recorder,
    habits: Habits,
    /// What cannot be, beside what the histories tell.
    pub wrong: Mutex<Vec<String>>,
    /// What did not answer though all was well.
    pub silent: Mutex<Vec<String>>,
    /// The last state that was seen of each tally.
    seen: Mutex<BTreeMap<String, (u64, Version)>>,
}

/// What came of a call.
enum Came<T> {
    Answered(T, Option<Version>),
    /// Nobody knows.
    Unknown,
}

impl Clients {
    pub fn of(cluster: &Arc<Cluster>, habits: Habits) -> Arc<Self> {
        let world = Arc::clone(&cluster.world);
        let recorder = Recorder::timed_by(move || world.time());
        let (wrong, silent, seen) = Default::default();
        Arc::new(Self { cluster: Arc::clone(cluster), recorder, habits, wrong, silent, seen })
    }

    fn below(&self, limit: u64) -> u64 {
        self.cluster.world.below(limit)
    }

    /// A place, each as likely as its weight.
    fn pick(&self, weights: &[u64]) -> usize {
        let mut at = self.below(weights.iter().sum());
        let is_here = |weight: &u64| {
            let is_here = at < *weight;
            at = at.saturating_sub(*weight);
            is_here
        };
        weights.iter().position(is_here).unwrap_or(0)
    }

    /// Somebody to ask: as a rule a node as it is now, else one that may have been taken for dead.
    fn somebody(&self) -> Option<Arc<Process>> {
        if self.below(6) > 0 {
            return self.cluster.process(self.cluster.any());
        }
        let alive = self.cluster.alive();
        let at = self.below(alive.len().max(1) as u64) as usize;
        alive.get(at).cloned()
    }

    /// One client: its calls, one after the other.
    pub async fn run(self: Arc<Self>, client: u64) {
        let Habits { calls, pause_ms, objects, weights, .. } = self.habits;
        for call in 0..calls {
            sleep(self.cluster.world.ms(1, pause_ms)).await;
            let id = ["a", "b", "c"][self.below(objects) as usize];
            let key = || Some(format!("{client}-{call}"));
            match self.pick(&weights) {
                0 => self.read(id).await,
                1 => self.add(id, None, None).await,
                2 => self.add(id, key(), None).await,
                3 => {
                    let seen = self.seen.lock().unwrap().get(id).copied();
                    let key = key().filter(|_| self.below(2) == 0);
                    self.add(id, key, seen).await;
                }
                4 => self.add_few(id, 1000 * client + call).await,
                _ => self.tell(["x", "y"][self.below(2) as usize], id).await,
            }
        }
    }

    /// Reads a tally of anybody.
    async fn read(&self, id: &str) {
        if let Some(process) = self.somebody() {
            let _ = self.read_at(&process, &format!("tally/{id}")).await;
        }
    }

    /// Reads an object of one process.
    pub async fn read_at(&self, process: &Process, object: &str) -> Result<(), String> {
        let from = self.recorder.asked();
        let (of_type, id) = object.split_once('/').expect("a type and an id");
        let came = match of_type {
            "tally" => self.ask(process, Remote::<Tally>::new(id).value()).await,
            "few" => self.ask(process, Remote::<Few>::new(id).value()).await,
            _ => self.ask(process, Remote::<Teller>::new(id).told()).await,
        };
        match came {
            Ok(Came::Answered(value, tag)) => {
                self.note_read(object, from, value, tag);
                Ok(())
            }
            Ok(Came::Unknown) => Err("no answer".into()),
            Err(error) => Err(format!("{error:?}")),
        }
    }

    fn note_read(&self, object: &str, from: test_history::Moment, value: u64, tag: Option<Version>) {
        self.recorder.read(object, from, value, tag.map(|tag| tag.to_string()).as_deref());
        if let (Some(id), Some(tag)) = (object.strip_prefix("tally/"), tag) {
            self.seen.lock().unwrap().insert(id.to_owned(), (value, tag));
        }
    }

    /// Adds to a tally. With a key it is asked again, of anybody, until it is known what became of it. `seen`: only if it
    /// is still at that state.
    pub async fn add(&self, id: &str, key: Option<String>, seen: Option<(u64, Version)>) {
        let object = format!("tally/{id}");
        let from = self.recorder.asked();
        let mut may_have_happened = false;
        for _ in 0..if key.is_some() { ATTEMPTS } else { 1 } {
            if let Some(process) = self.somebody() {
                let mut call = Remote::<Tally>::new(id).add();
                if let Some((_, tag)) = seen {
                    call = call.if_match(tag);
                }
                if let Some(key) = &key {
                    call = call.idempotency_key(key);
                }
                match self.ask(&process, call).await {
                    Ok(Came::Answered(value, tag)) => {
                        if seen.is_some_and(|(before, _)| value != before + 1) {
                            let what = format!("{object}: an add to the state {seen:?} came to {value} under {tag:?}");
                            self.wrong.lock().unwrap().push(what);
                        }
                        return self.recorder.added(&object, from, value, tag.map(|tag| tag.to_string()).as_deref());
                    }
                    Ok(Came::Unknown) => may_have_happened = true,
                    Err(error) if error.kind() == Kind::PreconditionFailed => break,
                    Err(_) => {}
                }
            }
            sleep(self.cluster.world.ms(1, 1_000)).await;
        }
        if may_have_happened {
            self.recorder.unknown(&object, from);
        }
    }

    /// Adds to one that forgets keys soon: the nodes ask again, the client does not.
    async fn add_few(&self, id: &str, ticket: u64) {
        let Some(process) = self.somebody() else { return };
        let (object, from) = (format!("few/{id}"), self.recorder.asked());
        match self.ask(&process, Remote::<Few>::new(id).add(ticket).idempotency_key(ticket.to_string())).await {
            Ok(Came::Answered(value, tag)) => {
                self.recorder.added(&object, from, value, tag.map(|tag| tag.to_string()).as_deref());
            }
            Ok(Came::Unknown) => self.recorder.unknown(&object, from),
            Err(_) => {}
        }
    }

    /// No call that was made once ran twice.
    pub async fn none_ran_twice(&self, process: &Process, id: &str) {
        if let Ok(Came::Answered(twice, _)) = self.ask(process, Remote::<Few>::new(id).twice()).await
            && !twice.is_empty()
        {
            self.wrong.lock().unwrap().push(format!("few/{id}: calls that ran twice: {twice:?}"));
        }
    }

    /// Has an object tell another one.
    async fn tell(&self, teller: &str, id: &str) {
        let Some(process) = self.somebody() else { return };
        let (teller, tally) = (Remote::<Teller>::new(teller), Remote::<Tally>::new(id));
        let (object, of_tally) = (format!("teller/{}", teller.id()), format!("tally/{id}"));
        let from = self.recorder.asked();
        match self.ask(&process, teller.tell(tally)).await {
            Ok(Came::Answered(told, tag)) => {
                self.recorder.added(&of_tally, from, told.value, Some(&told.tag));
                self.recorder.added(&object, from, told.told, tag.map(|tag| tag.to_string()).as_deref());
            }
            Ok(Came::Unknown) => {
                self.recorder.unknown(&of_tally, from);
                self.recorder.unknown(&object, from);
            }
            Err(_) => {}
        }
    }

    /// One question, as HTTP asks it or as a program does; its error, where it certainly had no effect.
    async fn ask<T, E, K>(&self, process: &Process, call: Call<T, E, K>) -> Result<Came<T>, Error>
    where
        T: serde::de::DeserializeOwned + Send + 'static,
        E: RemoteError + Send + 'static,
        K: CallKind + Send + 'static,
    {
        let world = &self.cluster.world;
        let (patience, time) = {
            let Habits { patience_ms, time_ms, .. } = self.habits;
            (world.ms(patience_ms.0, patience_ms.1), world.ms(time_ms.0, time_ms.1))
        };
        let (call, as_http) = (call.timeout(time), world.below(2) == 0);
        let told = format!("{call:?}, asked of node {}", process.node);
        let asked = async move |host: Host| match as_http {
            true => over_http::<T, E>(&host, call.into_request(), time).await,
            false => host.call_tagged(call).await,
        };
        let answer = timeout(patience, self.cluster.ask_process(process, asked)).await.ok().flatten();
        let answer = answer.map(|answer| answer.map_err(Error::from));
        world.tell(|| match &answer {
            None => format!("{told}: no answer"),
            Some(Ok((_, tag))) => format!("{told}: answered under {tag:?}"),
            Some(Err(error)) => format!("{told}: {} ({:?})", error.code(), error.outcome()),
        });
        match answer {
            None => Ok(Came::Unknown),
            Some(Ok((value, tag))) => Ok(Came::Answered(value, tag)),
            Some(Err(error)) => {
                let is_ours = error.kind() == Kind::Internal && world.weather().panics == 0;
                if is_ours || error.kind() == Kind::RecordCorrupt {
                    self.wrong.lock().unwrap().push(format!("{told}: {error:?}"));
                }
                if error.outcome() == Outcome::NotExecuted { Err(error) } else { Ok(Came::Unknown) }
            }
        }
    }
}

/// The call as it comes in by HTTP: to the same door, from one who drops the future when his client is gone.
async fn over_http<T: serde::de::DeserializeOwned, E: RemoteError>(
    host: &Host,
    call: remote_object::objects::CallRequest,
    time: Duration,
) -> Result<(T, Option<Version>), CallError<E>> {
    let answered = async {
        let key = call.uri.key().clone();
        let def = host.registry().get(key.type_name()).expect("a type of ours");
        let method = def.method(call.method).expect("a method of its");
        let args = Args::from_body(call.args?, method.params, 128, host.authorities())?;
        let request = Request {
            key,
            op: Op::Call(method, args),
            conditions: call.conditions,
            idempotency_key: call.idempotency_key,
            deadline: clock::now() + time,
            freshness: remote_object::objects::Freshness::default(),
            trace: None,
            way: None,
        };
        host.answer(request).await
    };
    read_reply(answered.await.map(|reply| Returned { body: reply.body, tag: reply.tag }))
}
