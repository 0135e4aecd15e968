//! Plays a sequence on a service of its own and holds every answer against the model.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use remote_object::{Config, Service};
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::http::{Answer, ask};
use super::model::{Asked, Object, Op, Step, Verb, in_some_order, met_its_key};

/// What the objects may be, given the answers so far: calls made at once do not tell in which order they ran.
type Worlds = Vec<Vec<Object>>;

struct Running {
    service: Service,
    addr: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn start(file: &Path, small_l1: bool) -> Self {
        let mut config = Config::default();
        if small_l1 {
            config.limits.l1_bytes = 1;
        }
        let url = format!("sqlite:{}", file.display());
        let mut tries = 0;
        let service = loop {
            match Service::builder().config(config.clone()).store(&url).build().await {
                Ok(service) => break service,
                Err(error) if tries == 200 => panic!("{error:?}"),
                Err(_) => tries += 1,
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let running = service.clone();
        let task = tokio::spawn(async move {
            running.run(listener, async { _ = stopped.await }).await.unwrap();
        });
        Self { service, addr, stop, task }
    }

    async fn end(self, in_good_order: bool) {
        if in_good_order {
            let _ = self.stop.send(());
            self.task.await.unwrap();
        } else {
            self.task.abort();
            let _ = self.task.await;
        }
    }

    async fn ask(&self, asked: &Asked) -> Answer {
        let Op { id, verb, key, .. } = &asked.op;
        let object = format!("/objects/sum/o{id}");
        let call = |method: &str| format!("{object}/{method}");
        let (verb, path, body) = match verb {
            Verb::Get => ("GET", object, String::new()),
            Verb::Value => ("GET", call("value"), String::new()),
            Verb::Add(by) => ("POST", call("add"), json!({ "by": by }).to_string()),
            Verb::AddFrom(min, by) => ("POST", call("add-from"), json!({ "by": by, "min": min }).to_string()),
            Verb::AddSlowly(by) => ("POST", call("add-slowly"), json!({ "by": by }).to_string()),
            Verb::Crash => ("POST", call("crash"), String::new()),
            Verb::Put(value) => ("PUT", object, json!({ "value": value }).to_string()),
            Verb::Patch(value) => ("PATCH", object, json!({ "value": value }).to_string()),
            Verb::Delete => ("DELETE", object, String::new()),
        };
        let quoted = |tag: &String| if tag == "*" { tag.clone() } else { format!("\"{tag}\"") };
        let mut headers = Vec::new();
        headers.extend(asked.if_match.as_ref().map(|tag| ("if-match", quoted(tag))));
        headers.extend(asked.if_none_match.as_ref().map(|tag| ("if-none-match", quoted(tag))));
        headers.extend(key.map(|key| ("idempotency-key", format!("k{key}"))));
        ask(self.addr, verb, &path, &headers, &body).await
    }
}

/// # Errors
/// The answer that the model cannot give.
pub async fn play(small_l1: bool, steps: &[Step]) -> Result<(), String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("objects.db");
    let mut running = Running::start(&file, small_l1).await;
    let mut worlds = vec![vec![Object::default(); 3]];
    for (at, step) in steps.iter().enumerate() {
        let wrong = |why: String| format!("step {at}, {step:?}: {why}");
        match step {
            Step::One(op) => worlds = at_once(&running, &worlds, std::slice::from_ref(op)).await.map_err(wrong)?,
            Step::AtOnce(ops) => worlds = at_once(&running, &worlds, ops).await.map_err(wrong)?,
            Step::Tell(from, to, by) => worlds = tell(&running, worlds, (*from, *to, *by)).await.map_err(wrong)?,
            Step::Forget => running.service.host().forget(),
            Step::List => worlds = list(&running, worlds).await.map_err(wrong)?,
            Step::Restart(in_good_order) => {
                running.end(*in_good_order).await;
                running = Running::start(&file, small_l1).await;
            }
        }
        let idle = tokio::time::timeout(Duration::from_secs(5), running.service.host().idle());
        idle.await.map_err(|_| wrong("an object is not at rest".into()))?;
    }
    running.end(true).await;
    Ok(())
}

async fn at_once(running: &Running, worlds: &Worlds, ops: &[Op]) -> Result<Worlds, String> {
    let asked: Vec<_> = ops.iter().map(|op| worlds[0][usize::from(op.id)].asked(op)).collect();
    let answers = futures_util::future::join_all(asked.iter().map(|asked| running.ask(asked))).await;
    let calls: Vec<_> = asked.into_iter().zip(answers).collect();
    // A call that was told that its key is at work, or is another's, changed nothing.
    let ran: Vec<_> = (0..calls.len()).filter(|at| !met_its_key(&calls, *at)).map(|at| calls[at].clone()).collect();
    let mut next = Worlds::new();
    for world in worlds {
        in_some_order(world, &ran, &mut next);
    }
    some(next, || format!("no order gives {calls:#?}\nwhere the objects are {worlds:#?}"))
}

async fn tell(running: &Running, worlds: Worlds, (from, to, by): (u8, u8, i64)) -> Result<Worlds, String> {
    let path = format!("/objects/sum/o{from}/tell");
    let body = json!({ "by": by, "to": format!("/objects/sum/o{to}") }).to_string();
    let answer = ask(running.addr, "POST", &path, &[], &body).await;
    if from == to {
        let is_cycle = answer.status == 508 && answer.body["code"] == "call-cycle";
        return some(if is_cycle { worlds } else { Worlds::new() }, || format!("{answer:?}"));
    }
    let mut reads = Vec::new();
    for id in [from, to] {
        reads.push(ask(running.addr, "GET", &format!("/objects/sum/o{id}"), &[], "").await);
    }
    let told = |world: &mut Vec<Object>| {
        let sum = world[usize::from(from)].value() + by;
        let told = world[usize::from(to)].value() + sum;
        answer.status == 200
            && answer.body == json!(told)
            && world[usize::from(from)].added(by, &reads[0])
            && world[usize::from(to)].added(sum, &reads[1])
    };
    let next = worlds.iter().cloned().filter_map(|mut world| told(&mut world).then_some(world)).collect();
    some(next, || format!("{answer:?}, then {reads:?}, where the objects are {worlds:#?}"))
}

async fn list(running: &Running, worlds: Worlds) -> Result<Worlds, String> {
    let answer = ask(running.addr, "GET", "/objects/sum", &[], "").await;
    let items = answer.body["items"].as_array().cloned().unwrap_or_default();
    let is_listed = |id: usize| items.iter().any(|item| item["uri"] == format!("/objects/sum/o{id}"));
    // SQLite knows at once what is gone.
    let fits = |world: &&Vec<Object>| world.iter().enumerate().all(|(id, object)| is_listed(id) == object.lives());
    let next = worlds.iter().filter(fits).cloned().collect();
    some(next, || format!("{answer:?}, where the objects are {worlds:#?}"))
}

fn some(worlds: Worlds, why: impl FnOnce() -> String) -> Result<Worlds, String> {
    if worlds.is_empty() { Err(why()) } else { Ok(worlds) }
}
