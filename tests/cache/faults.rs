//! What can happen to a cache, with real servers. Whatever it is: no answer is stale, none is an error, none is late.

use std::sync::Arc;
use std::time::{Duration, Instant};

use remote_object::objects::Tier;
use remote_object::storage::Datastore;

use super::raw::Raw;
use super::servers::{Server, free_address, has};
use super::store::{Counting, shared_memory, sqlite};
use super::wire::{Liar, Proxy};
use super::world::{SLOW, World, url};

const CACHE: Option<Tier> = Some(Tier::Shared("memcached"));
const OBJECTS: usize = 40;

/// A world with objects whose values are known, and how long their answers took.
struct Known {
    world: World,
    store: Arc<Counting>,
    values: Vec<i64>,
    late: Duration,
    sent: u64,
}

impl Known {
    async fn new(store: Arc<dyn Datastore>, cache: &str) -> Self {
        let store = Counting::over(store);
        let world = World::new(Arc::clone(&store) as _, cache).await;
        let mut known = Self { world, store, values: vec![0; OBJECTS], late: Duration::ZERO, sent: 0 };
        known.edit().await;
        known.settle().await;
        known
    }

    /// Edits every object.
    async fn edit(&mut self) {
        for (id, value) in self.values.iter_mut().enumerate() {
            *value += 1;
            assert_eq!(self.world.add(&id.to_string(), 1).await, *value, "object {id} was built upon something else");
            self.sent += 1;
        }
    }

    /// Waits until all that was edited is in the cache, or was given up.
    async fn settle(&self) {
        self.world.until_sent(self.sent).await;
    }

    /// Reads every object past L1. Answers how many came from the cache.
    async fn read(&mut self) -> usize {
        self.world.cool();
        let mut hits = 0;
        for (id, value) in self.values.iter().enumerate() {
            let began = Instant::now();
            let (found, tier) = self.world.get(&id.to_string()).await;
            self.late = self.late.max(began.elapsed());
            assert_eq!(found, Some(*value), "object {id} from {tier:?}");
            hits += usize::from(tier == CACHE);
            self.sent += u64::from(tier != CACHE);
        }
        hits
    }

    /// Reads and edits all objects for a while.
    async fn go_on(&mut self) {
        self.late = Duration::ZERO;
        for _ in 0..3 {
            self.read().await;
            self.edit().await;
            self.read().await;
        }
        // The budget of a get, and what a busy machine adds; without one a server that is frozen would cost all of the
        // call's deadline.
        assert!(self.late < Duration::from_millis(25 + 2000), "a read took {:?}", self.late);
    }

    async fn until_open(&self, open: u64) {
        self.world.until("the breakers", |counts| counts.servers_open == open).await;
    }
}

fn three() -> Vec<Server> {
    (0..3).map(|_| Server::memcached(&[])).collect()
}

/// The stores these run on, in turn.
fn stores() -> Vec<(Option<tempfile::TempDir>, Arc<dyn Datastore>)> {
    let (dir, sqlite) = sqlite();
    vec![(None, shared_memory()), (Some(dir), sqlite)]
}

#[tokio::test]
async fn a_server_is_killed_and_comes_back_empty() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let mut servers = three();
        let mut known = Known::new(store, &url(&servers, "")).await;
        servers[1].kill();
        known.go_on().await;
        known.until_open(1).await;
        known.settle().await;
        let (_, _) = known.store.asked();
        servers[1].restart();
        known.until_open(0).await;
        let before = known.world.counts().rehomed;
        known.go_on().await;
        known.settle().await;
        assert!(known.world.counts().rehomed > before, "nothing came home");
    }
}

#[tokio::test]
async fn a_copy_on_the_second_server_is_found_and_comes_home() {
    if !has("memcached") {
        return;
    }
    let servers = three();
    let mut known = Known::new(shared_memory(), &url(&servers, SLOW)).await;
    let of_two = |servers: &[Server]| servers.iter().map(|server| Raw::to(server.address).keys().len()).sum::<usize>();
    assert_eq!(of_two(&servers), 2 * OBJECTS, "two copies of each");
    Raw::to(servers[0].address).flush();
    known.store.asked();
    assert_eq!(known.read().await, OBJECTS);
    assert_eq!(known.store.asked(), (0, 0));
    known.world.until("a copy", |counts| counts.rehomed > 0).await;
    let homeless = known.world.counts().rehomed;
    // What had its first home there is there again, by a set that waits for nobody.
    let end = Instant::now() + Duration::from_secs(10);
    while Raw::to(servers[0].address).dump().len() < homeless as usize {
        assert!(Instant::now() < end);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    for server in &servers {
        Raw::to(server.address).flush();
    }
    assert_eq!(known.read().await, 0, "all were flushed");
    known.settle().await;
    assert_eq!(known.read().await, OBJECTS, "and filled by the loads");
}

#[tokio::test]
async fn a_server_is_frozen_and_thaws_with_old_items() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let servers = three();
        let mut known = Known::new(store, &url(&servers, "")).await;
        servers[2].freeze();
        known.go_on().await;
        known.until_open(1).await;
        servers[2].thaw();
        known.until_open(0).await;
        known.go_on().await;
        known.settle().await;
    }
}

#[tokio::test]
async fn a_server_is_slow_and_gets_fast_again() {
    if !has("memcached") {
        return;
    }
    let servers = three();
    let proxy = Proxy::before(servers[0].address).await;
    let cache = format!("memcached://{},{},{}", proxy.address, servers[1].address, servers[2].address);
    let mut known = Known::new(shared_memory(), &cache).await;
    proxy.delay(Duration::from_millis(200));
    known.go_on().await;
    known.until_open(1).await;
    // While it is slow it stays alone.
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(known.world.counts().servers_open, 1);
    proxy.delay(Duration::ZERO);
    known.until_open(0).await;
    known.go_on().await;
}

#[tokio::test]
async fn a_server_answers_for_other_keys() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let liar = Liar::start().await;
        let mut known = Known::new(store, &format!("memcached://{}?{SLOW}", liar.address)).await;
        assert_eq!(known.read().await, 0);
        known.go_on().await;
        assert!(known.world.counts().wrong >= OBJECTS as u64, "{:?}", known.world.counts());
        assert_eq!(known.world.counts().servers_open, 0);
    }
}

#[tokio::test]
async fn a_server_is_full() {
    if !has("memcached") {
        return;
    }
    // One megabyte for forty objects of a hundred kilobytes; and one that refuses instead of evicting.
    for args in [&["-m", "1", "-I", "512k"][..], &["-m", "1", "-I", "512k", "-M"]] {
        let server = Server::memcached(args);
        let mut known = Known::new(shared_memory(), &url([&server], SLOW)).await;
        for id in 0..OBJECTS {
            known.world.write(&id.to_string(), 100_000).await;
            known.sent += 1;
        }
        known.settle().await;
        known.read().await;
        known.edit().await;
        known.read().await;
        let counts = known.world.counts();
        assert_eq!(counts.servers_open, 0, "a full server is not a dead one: {counts:?}");
        if args.contains(&"-M") {
            assert!(counts.failed > 0, "{counts:?}");
        }
    }
}

#[tokio::test]
async fn all_servers_are_gone_or_were_never_there() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let mut servers = three();
        let mut known = Known::new(store, &url(&servers, "")).await;
        servers.iter_mut().for_each(Server::kill);
        known.go_on().await;
        known.until_open(3).await;
        known.go_on().await;
        servers.iter_mut().for_each(Server::restart);
        known.until_open(0).await;
        known.go_on().await;
    }
    let nowhere = format!("memcached://{},no-such-name.invalid", free_address());
    let mut known = Known::new(shared_memory(), &nowhere).await;
    known.go_on().await;
    known.until_open(1).await;
}

#[tokio::test]
async fn an_object_that_is_too_large_is_not_put_there_and_the_old_one_goes() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&["-I", "2m"]);
    let store = Counting::over(shared_memory());
    let world = World::new(Arc::clone(&store) as _, &url([&server], SLOW)).await;
    world.add("a", 1).await;
    world.until_sent(1).await;
    assert_eq!(Raw::to(server.address).keys().len(), 1);
    world.write("a", 950_000).await;
    world.until("too large", |counts| counts.too_large == 1).await;
    let end = Instant::now() + Duration::from_secs(10);
    while !Raw::to(server.address).keys().is_empty() {
        assert!(Instant::now() < end, "the old item stays");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    world.cool();
    assert_eq!(world.get("a").await, (Some(1), Some(Tier::Store)));
    world.write("a", 10).await;
    world.until_sent(2).await;
    world.cool();
    assert_eq!(world.get("a").await, (Some(1), CACHE));
}

#[tokio::test]
async fn a_server_wants_a_login() {
    if !has("memcached") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("users");
    std::fs::write(&file, "alice:s3cret\n").unwrap();
    let server = Server::memcached(&["-Y", file.to_str().unwrap()]);
    let mut known = Known::new(shared_memory(), &format!("memcached://alice:s3cret@{}?{SLOW}", server.address)).await;
    assert_eq!(known.read().await, OBJECTS);
    let mut known = Known::new(shared_memory(), &format!("memcached://alice:guess@{}", server.address)).await;
    known.go_on().await;
    known.until_open(1).await;
}
