//! One node of the store stands still, or is killed, and comes back.

use std::time::Duration;

use super::book::skipped;
use super::run::Run;
use super::stack::{Node, task};

/// A JVM that starts on a busy machine, and a driver that notices.
const BACK: Duration = Duration::from_secs(120);

#[test]
fn one_node_of_the_store_that_stands_still_or_is_killed_is_not_missed() {
    if let (Some(_), Err(why)) = (test_stack::cassandra(), Node::find(1)) {
        skipped::<()>("node", &why);
        return;
    }
    let Some(mut run) = Run::begin("node") else { return };
    let task = task();
    let server = run.start("one");
    run.load.ask_of(&[server.address]);
    while run.goes_on(2) {
        run.answers(100, BACK, "nothing is answered before");
        let node = Node::find(1 + run.load.below(3)).unwrap();
        if run.round() % 2 == 1 {
            let frozen = node.freeze();
            run.fault("a node of Cassandra frozen");
            run.answers(100, BACK, "nothing is answered while one node stands still");
            run.sleep(3_000, 6_000);
            drop(frozen);
        } else {
            node.kill();
            run.fault("a node of Cassandra killed");
            run.answers(100, BACK, "nothing is answered while one node is gone");
            run.load.slowly(|| node.restart(task));
        }
        run.answers(100, BACK, "nothing is answered with all nodes again");
        run.look();
    }
    run.end();
}
