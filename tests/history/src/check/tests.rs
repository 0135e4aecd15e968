//! Histories written by hand, right and wrong; and small random ones, where the judgement is that of trying every order.

use super::*;

fn at(order: u64) -> Moment {
    Moment::numbered(order)
}

/// Tags as a server gives them that counts its commits.
fn tag(value: u64) -> Option<Tag> {
    (value > 0).then(|| format!("\"1-{value}\"").parse().unwrap())
}

fn add(from: u64, to: u64, value: u64) -> Op {
    Op::Added { from: at(from), to: at(to), value, tag: tag(value) }
}

fn read(from: u64, to: u64, value: u64) -> Op {
    Op::Read { from: at(from), to: at(to), value, tag: tag(value) }
}

fn open(from: u64) -> Op {
    Op::Unknown { from: at(from) }
}

fn tagged(op: Op, with: &str) -> Op {
    let tag = Some(with.parse().unwrap());
    match op {
        Op::Added { from, to, value, .. } => Op::Added { from, to, value, tag },
        Op::Read { from, to, value, .. } => Op::Read { from, to, value, tag },
        op => op,
    }
}

#[track_caller]
fn holds(ops: &[Op]) -> Counts {
    check(ops).unwrap_or_else(|wrong| panic!("{wrong:#?}"))
}

#[track_caller]
fn is_wrong(ops: &[Op], says: &str) {
    match check(ops) {
        Ok(_) => panic!("it passed: {ops:#?}"),
        Err(wrong) => assert!(wrong.iter().any(|line| line.contains(says)), "{wrong:#?}"),
    }
}

#[test]
fn what_one_counter_can_have_answered_holds() {
    holds(&[]);
    let all = holds(&[read(1, 2, 0), add(3, 4, 1), read(5, 6, 1), add(7, 8, 2)]);
    assert_eq!(all, Counts { histories: 1, adds: 2, reads: 2, unknown: 0, unknown_found: 0 });
    // At the same time, so in either order.
    holds(&[add(1, 6, 2), add(2, 5, 1)]);
    holds(&[add(1, 10, 1), read(2, 3, 1), read(4, 5, 1)]);
    holds(&[add(1, 10, 1), read(2, 3, 0), read(4, 5, 1)]);
    holds(&[add(1, 10, 1), read(2, 6, 1), read(3, 5, 0)]);
}

#[test]
fn what_was_acknowledged_is_there() {
    is_wrong(&[add(1, 2, 1), read(3, 4, 0)], "1 had been reached before #2");
    is_wrong(&[add(1, 2, 1), add(3, 4, 2), read(5, 6, 1)], "2 had been reached before #4");
    // Lost, and its value given away again.
    is_wrong(&[add(1, 2, 1), add(3, 4, 1)], "1 was given twice");
    // Lost from the beginning on.
    is_wrong(&[add(3, 4, 1), add(1, 2, 2)], "2 had been reached before #2");
}

#[test]
fn what_was_read_stays() {
    is_wrong(&[open(1), read(2, 3, 1), read(4, 5, 0)], "1 had been reached before #3");
    is_wrong(&[open(1), read(2, 3, 1), read(4, 5, 0), read(6, 7, 1)], "1 had been reached");
    // Two that read at the same time may see either; whoever asks after the first answer may not.
    holds(&[open(1), read(2, 5, 1), read(3, 4, 0)]);
    is_wrong(&[open(1), read(2, 3, 1), read(2, 9, 1), read(4, 8, 0)], "1 had been reached");
}

#[test]
fn an_open_add_takes_effect_once_or_never() {
    let never = holds(&[open(1), add(2, 3, 1), read(4, 5, 1)]);
    assert_eq!((never.unknown, never.unknown_found), (1, 0));
    let once = holds(&[open(1), add(2, 3, 2), read(4, 5, 2)]);
    assert_eq!((once.unknown, once.unknown_found), (1, 1));
    // Late, after other things were seen.
    holds(&[open(1), add(2, 3, 1), read(4, 5, 1), read(6, 7, 2)]);
    is_wrong(&[open(1), add(2, 3, 1), read(4, 5, 3)], "2 adds were asked");
    is_wrong(&[open(1), open(2), add(3, 4, 3), read(5, 6, 4)], "3 adds were asked");
    is_wrong(&[add(1, 2, 1), add(3, 4, 3), add(5, 6, 4), open(7)], "no add that was asked in time can have come to 2");
    is_wrong(&[read(1, 2, 1), open(3)], "no add that was asked in time can have come to 1");
}

#[test]
fn an_effect_that_nobody_asked_for_is_found() {
    // An add that was told it had no effect is in no history.
    is_wrong(&[add(1, 2, 1), read(3, 4, 2)], "1 adds were asked");
    // One that took effect twice: the others are one too far.
    is_wrong(&[add(1, 2, 1), open(3), add(4, 5, 4), add(6, 7, 5), open(8), read(9, 10, 5)], "can have come to 3");
    is_wrong(&[add(1, 2, 1), add(3, 4, 1), add(5, 6, 3)], "nobody's add came to 2");
}

#[test]
fn a_tag_names_one_state_and_a_state_keeps_its_tag() {
    is_wrong(&[add(1, 2, 1), tagged(add(3, 4, 2), "1-1")], "the tag \"1-1\" stood for 1");
    is_wrong(&[add(1, 2, 1), tagged(read(3, 4, 1), "2-1")], "1 had the tag \"1-1\"");
    is_wrong(&[tagged(add(1, 2, 1), "2-1"), tagged(add(3, 4, 2), "1-9")], "its tag \"1-9\" before \"2-1\"");
    holds(&[tagged(add(1, 2, 1), "1-9"), tagged(add(3, 4, 2), "2-1")]);
    is_wrong(&[Op::Read { from: at(2), to: at(3), value: 1, tag: None }, open(1)], "a state without a tag");
}

/// Whether some order of the calls explains all answers, found by trying them.
fn some_order_explains(value: u64, left: &[Op]) -> bool {
    if left.iter().all(|op| matches!(op, Op::Unknown { .. })) {
        return true;
    }
    let begins = |op: &Op| match op {
        Op::Added { from, .. } | Op::Read { from, .. } | Op::Unknown { from } => *from,
    };
    let ends = |op: &Op| match op {
        Op::Added { to, .. } | Op::Read { to, .. } => Some(*to),
        Op::Unknown { .. } => None,
    };
    (0..left.len()).any(|next| {
        let after = match left[next] {
            Op::Added { value: gave, .. } if gave == value + 1 => gave,
            Op::Read { value: shown, .. } if shown == value => value,
            Op::Unknown { .. } => value + 1,
            _ => return false,
        };
        let mut rest = left.to_vec();
        let op = rest.remove(next);
        let has_ended = rest.iter().any(|other| ends(other).is_some_and(|end| end < begins(&op)));
        !has_ended && some_order_explains(after, &rest)
    })
}

#[test]
fn the_judgement_is_that_of_trying_every_order() {
    let mut seed = 1_u64;
    let mut below = |limit: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % limit
    };
    let mut judged = [0; 2];
    for _ in 0..60_000 {
        let count = 1 + below(6) as usize;
        let mut moments: Vec<u64> = (0..2 * count as u64).collect();
        let mut ops = Vec::new();
        for _ in 0..count {
            let mut pick = || moments.remove(below(moments.len() as u64) as usize);
            let (one, other) = (pick(), pick());
            let (from, to) = (one.min(other), one.max(other));
            let value = below(count as u64 + 1);
            ops.push(match below(5) {
                0 => open(from),
                1 | 2 => read(from, to, value),
                _ => add(from, to, value.max(1)),
            });
        }
        let explained = some_order_explains(0, &ops);
        assert_eq!(check(&ops).is_ok(), explained, "{ops:#?}");
        judged[usize::from(explained)] += 1;
    }
    assert!(judged.iter().all(|count| *count > 2_000), "{judged:?} wrong and right ones: too few of a kind");
}
