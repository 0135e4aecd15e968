//! One connection under load, until the server dies.

use std::net::SocketAddr;

use super::ledger::{Counts, Shared, Till};
use crate::wire::{Answer, Client, get, post};

/// Calls until the connection breaks. What was open then stays open in the books.
pub(super) fn run(address: SocketAddr, till: &mut Till, shared: &[Shared]) -> (Counts, Vec<String>) {
    let mut counts = Counts::default();
    let Ok(mut client) = Client::connect(address) else { return (counts, Vec::new()) };
    loop {
        let step = match till.random.below(20) {
            0..=3 => add_shared(&mut client, till, shared),
            4 => read_shared(&mut client, till, shared),
            5 | 6 => read(&mut client, till),
            7..=10 => add(&mut client, till, true),
            _ => add(&mut client, till, false),
        };
        match step {
            Step::Acknowledged => counts.acknowledged += 1,
            Step::Read => counts.reads += 1,
            Step::Broken => return (counts, Vec::new()),
            Step::Wrong(text) => return (counts, vec![text]),
        }
    }
}

/// How one call went.
enum Step {
    Acknowledged,
    Read,
    /// The server is gone.
    Broken,
    Wrong(String),
}

impl Step {
    fn of(outcome: Result<(), String>, good: Self) -> Self {
        outcome.map_or_else(Self::Wrong, |()| good)
    }
}

/// The bytes of an add.
pub(super) fn add_request(id: &str, amount: i64, key: Option<&str>) -> Box<[u8]> {
    let key = key.map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));
    post(&format!("/objects/counter/{id}/add"), &key, &format!("{{\"by\":{amount}}}"))
}

/// The value in `{"value":n}`; `None` when that is not all it says.
pub(super) fn value_of(state: &str) -> Option<i64> {
    let state: serde_json::Value = serde_json::from_str(state).ok()?;
    let members = state.as_object()?;
    if members.len() == 1 { members.get("value")?.as_i64() } else { None }
}

fn reply_of(answer: &Answer) -> Result<i64, String> {
    let reply = if answer.status == 200 { answer.body.trim().parse().ok() } else { None };
    reply.ok_or_else(|| format!("an add was answered {} {}", answer.status, answer.body))
}

fn add(client: &mut Client, till: &mut Till, keyed: bool) -> Step {
    let at = till.random.below(till.counters.len() as u64) as usize;
    let counter = &mut till.counters[at];
    let add = counter.begin(keyed);
    let Ok(answer) = client.ask(&add_request(&counter.id, add.amount, add.key.as_deref())) else {
        return Step::Broken;
    };
    let outcome = reply_of(&answer).and_then(|reply| counter.acknowledged(reply, answer.etag));
    Step::of(outcome, Step::Acknowledged)
}

fn read(client: &mut Client, till: &mut Till) -> Step {
    let at = till.random.below(till.counters.len() as u64) as usize;
    let counter = &mut till.counters[at];
    let Ok(answer) = client.ask(&get(&format!("/objects/counter/{}", counter.id))) else { return Step::Broken };
    let value = value_of(&answer.body);
    let outcome = match (answer.status, value) {
        (404, _) if counter.etag.is_none() => Ok(()),
        (200, Some(value)) if value == counter.value => counter.seen(answer.etag, value),
        _ => {
            let Answer { status, body, .. } = answer;
            Err(format!("{}: GET is {status} {body} after {} was answered", counter.id, counter.value))
        }
    };
    Step::of(outcome, Step::Read)
}

fn add_shared(client: &mut Client, till: &mut Till, shared: &[Shared]) -> Step {
    let counter = &shared[till.random.below(shared.len() as u64) as usize];
    let (amount, above) = counter.begin(till.number);
    let Ok(answer) = client.ask(&add_request(&counter.id, amount, None)) else { return Step::Broken };
    let outcome = reply_of(&answer).and_then(|reply| counter.acknowledged(till.number, above, reply, answer.etag));
    Step::of(outcome, Step::Acknowledged)
}

fn read_shared(client: &mut Client, till: &mut Till, shared: &[Shared]) -> Step {
    let counter = &shared[till.random.below(shared.len() as u64) as usize];
    let least = counter.least();
    let Ok(answer) = client.ask(&get(&format!("/objects/counter/{}", counter.id))) else { return Step::Broken };
    let seen = if answer.status == 404 { Some(0) } else { value_of(&answer.body) };
    let outcome = match seen {
        Some(value) if value >= least => Ok(()),
        _ => Err(format!("{}: GET is {} {} after {least} was answered", counter.id, answer.status, answer.body)),
    };
    Step::of(outcome, Step::Read)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_half_state_has_no_value() {
        assert_eq!(value_of(r#"{"value":7}"#), Some(7));
        for half in ["", r#"{"value":"#, r#"{"value":7"#, "{}", r#"{"value":7,"x":1}"#, "7"] {
            assert_eq!(value_of(half), None, "{half:?}");
        }
    }
}
