//! What the objects are, said plainly: a number or nothing, the keys that were used, the newest tag.

use std::collections::BTreeMap;

use remote_object::model::Version;
use serde_json::{Value, json};

use super::http::Answer;

#[derive(Clone, PartialEq, Debug)]
pub enum Verb {
    Get,
    Value,
    Add(i64),
    AddFrom(i64, i64),
    AddSlowly(i64),
    Crash,
    Put(i64),
    Patch(i64),
    Delete,
}

#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Cond {
    None,
    /// The tag that was current before the step.
    IfMatchLast,
    /// One that was current earlier.
    IfMatchFormer,
    IfMatchAny,
    IfNoneMatchLast,
    IfNoneMatchAny,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Op {
    pub id: u8,
    pub verb: Verb,
    pub cond: Cond,
    pub key: Option<u8>,
}

#[derive(Clone, Debug)]
pub enum Step {
    One(Op),
    AtOnce(Vec<Op>),
    Tell(u8, u8, i64),
    Forget,
    List,
    /// In good order, or not.
    Restart(bool),
}

/// An operation with the tags its conditions name.
#[derive(Clone, Debug)]
pub struct Asked {
    pub op: Op,
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
}

#[derive(Clone, PartialEq, Default, Debug)]
pub struct Object {
    life: Option<(i64, Version)>,
    newest: Version,
    former: Version,
    kept: BTreeMap<u8, (Verb, Answer)>,
}

impl Verb {
    fn is_read(&self) -> bool {
        matches!(self, Verb::Get | Verb::Value)
    }
}

impl Object {
    pub fn lives(&self) -> bool {
        self.life.is_some()
    }

    /// The conditions of an operation, by what is known now.
    pub fn asked(&self, op: &Op) -> Asked {
        let last = self.life.map_or(Version::new(7777, 1), |(_, tag)| tag).to_string();
        let (if_match, if_none_match) = match op.cond {
            Cond::None => (None, None),
            Cond::IfMatchLast => (Some(last), None),
            Cond::IfMatchFormer => (Some(self.former.to_string()), None),
            Cond::IfMatchAny => (Some("*".into()), None),
            Cond::IfNoneMatchLast => (None, Some(last)),
            Cond::IfNoneMatchAny => (None, Some("*".into())),
        };
        Asked { op: op.clone(), if_match, if_none_match }
    }

    /// Whether the object could have answered so, and what it is then.
    pub fn accepts(&self, asked: &Asked, answer: &Answer) -> Option<Self> {
        let Op { verb, key, .. } = &asked.op;
        if let Some((of, kept)) = key.filter(|_| !verb.is_read()).and_then(|key| self.kept.get(&key)) {
            let expected = if of == verb {
                Answer { replayed: true, ..kept.clone() }
            } else {
                refusal(422, "idempotency-key-reused")
            };
            return is(answer, &expected).then(|| self.clone());
        }
        if let Some(refused) = self.refused(asked) {
            return is(answer, &refused).then(|| self.clone());
        }
        self.ran(verb, answer).and_then(|(mut next, expected)| {
            if let Some(key) = key.filter(|_| !verb.is_read() && expected.status < 300) {
                next.kept.insert(key, (verb.clone(), expected.clone()));
            }
            is(answer, &expected).then_some(next)
        })
    }

    fn refused(&self, asked: &Asked) -> Option<Answer> {
        let tag = self.life.map(|(_, tag)| tag.to_string());
        let among = |tags: &str| tag.as_deref().is_some_and(|tag| tags == "*" || tags == tag);
        if asked.op.verb.is_read() && tag.is_none() && asked.op.verb == Verb::Get {
            return Some(refusal(404, "object-not-found"));
        }
        if asked.if_match.as_deref().is_some_and(|tags| !among(tags)) {
            return Some(refusal(412, "precondition-failed"));
        }
        match (asked.if_none_match.as_deref().is_some_and(among), asked.op.verb.is_read()) {
            (true, true) => Some(Answer { tag, ..success(304, Value::Null) }),
            (true, false) => Some(refusal(412, "precondition-failed")),
            _ => None,
        }
    }

    /// What the verb makes of it, and answers; a new tag is the answer's, if that can be one.
    fn ran(&self, verb: &Verb, answer: &Answer) -> Option<(Self, Answer)> {
        let value = self.life.map_or(0, |(value, _)| value);
        let unchanged = |answer| Some((self.clone(), answer));
        let current = || self.life.map(|(_, tag)| tag.to_string());
        let (value, status, body) = match verb {
            Verb::Get => return unchanged(Answer { tag: current(), ..success(200, json!({ "value": value })) }),
            Verb::Value => return unchanged(Answer { tag: current(), ..success(200, json!(value)) }),
            Verb::Crash => return unchanged(refusal(500, "method-panicked")),
            Verb::AddFrom(min, _) if value < *min => {
                let mut refused = refusal(402, "too-low");
                refused.body["value"] = json!(value);
                return unchanged(refused);
            }
            Verb::Patch(_) if self.life.is_none() => return unchanged(refusal(404, "object-not-found")),
            Verb::Delete if self.life.is_none() => return unchanged(refusal(404, "object-not-found")),
            Verb::Delete => {
                let gone = Self { life: None, former: self.life.map_or(self.former, |(_, tag)| tag), ..self.clone() };
                return Some((gone, success(204, Value::Null)));
            }
            Verb::Add(by) | Verb::AddFrom(_, by) | Verb::AddSlowly(by) => (value + by, 200, json!(value + by)),
            Verb::Put(new) => (*new, if self.life.is_some() { 200 } else { 201 }, json!({ "value": new })),
            Verb::Patch(new) => (*new, 200, json!({ "value": new })),
        };
        let tag: Version = answer.tag.as_deref()?.parse().ok()?;
        if tag <= self.newest {
            return None;
        }
        let former = self.life.map_or(self.former, |(_, tag)| tag);
        let next = Self { life: Some((value, tag)), newest: tag, former, ..self.clone() };
        Some((next, Answer { tag: Some(tag.to_string()), ..success(status, body) }))
    }

    /// An addition whose tag nobody was told: it is in the state that was read after it.
    pub fn added(&mut self, by: i64, read: &Answer) -> bool {
        let value = self.life.map_or(0, |(value, _)| value) + by;
        let tag: Option<Version> = read.tag.as_deref().and_then(|tag| tag.parse().ok());
        match tag {
            Some(tag) if tag > self.newest && read.body == json!({ "value": value }) => {
                self.former = self.life.map_or(self.former, |(_, tag)| tag);
                self.life = Some((value, tag));
                self.newest = tag;
                true
            }
            _ => false,
        }
    }

    pub fn value(&self) -> i64 {
        self.life.map_or(0, |(value, _)| value)
    }
}

fn success(status: u16, body: Value) -> Answer {
    Answer { status, tag: None, replayed: false, outcome: None, body }
}

fn refusal(status: u16, code: &str) -> Answer {
    Answer { outcome: Some("not-executed".into()), ..success(status, json!({ "code": code })) }
}

/// Of a problem, the members that are expected count.
fn is(answer: &Answer, expected: &Answer) -> bool {
    let heads = |answer: &Answer| (answer.status, answer.tag.clone(), answer.replayed, answer.outcome.clone());
    let bodies = match &expected.body {
        Value::Object(members) if expected.status >= 400 => {
            members.iter().all(|(name, value)| answer.body.get(name) == Some(value))
        }
        body => answer.body == *body,
    };
    heads(answer) == heads(expected) && bodies
}

/// What the objects may be after they gave these answers to calls made at once: one for each order that explains them.
pub fn in_some_order(objects: &[Object], calls: &[(Asked, Answer)], worlds: &mut Vec<Vec<Object>>) {
    if calls.is_empty() && !worlds.iter().any(|world| world == objects) {
        worlds.push(objects.to_vec());
    }
    for at in 0..calls.len() {
        let mut rest = calls.to_vec();
        let (asked, answer) = rest.remove(at);
        let mut objects = objects.to_vec();
        let object = &mut objects[usize::from(asked.op.id)];
        if let Some(next) = object.accepts(&asked, &answer) {
            *object = next;
            in_some_order(&objects, &rest, worlds);
        }
    }
}

/// Whether a call was told that its key is at work: so it may be, when another with that key was made at once.
pub fn met_its_key(calls: &[(Asked, Answer)], at: usize) -> bool {
    let (asked, answer) = &calls[at];
    let same = |other: &Op| other.id == asked.op.id && other.key == asked.op.key && !other.verb.is_read();
    let mut others = calls.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, (asked, _))| &asked.op);
    let told = match answer.status {
        409 => is(answer, &refusal(409, "idempotency-key-in-use")),
        422 => is(answer, &refusal(422, "idempotency-key-reused")),
        _ => false,
    };
    let expected = |other: &Op| same(other) && (other.verb == asked.op.verb) == (answer.status == 409);
    told && asked.op.key.is_some() && others.any(expected)
}
