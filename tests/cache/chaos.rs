//! Everything at once, for some seconds: every answer is what its object was last told.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

use remote_object::clock::Random;

use super::raw::Raw;
use super::servers::{Server, has};
use super::store::{shared_memory, sqlite};
use super::world::{World, url};

const FOR: Duration = Duration::from_secs(6);

/// Kills, freezes, flushes servers and fills them with what they had before.
fn torment(servers: &mut [Server], random: &Random, old: &mut Vec<(String, Vec<u8>)>) {
    let at = random.next_u64() as usize % servers.len();
    let server = &mut servers[at];
    match random.next_u64() % 8 {
        0 => server.restart(),
        1 => Raw::to(server.address).flush(),
        2 => {
            server.freeze();
            std::thread::sleep(Duration::from_millis(random.next_u64() % 200));
            server.thaw();
        }
        3 => *old = Raw::to(server.address).dump(),
        _ => Raw::to(server.address).fill(old),
    }
    std::thread::sleep(Duration::from_millis(random.next_u64() % 40));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_is_stale_whatever_the_caches_do() {
    if !has("memcached") {
        return;
    }
    let (_dir, sqlite) = sqlite();
    for (seed, store) in [shared_memory(), sqlite].into_iter().enumerate() {
        let mut servers: Vec<Server> = (0..3).map(|_| Server::memcached(&[])).collect();
        let world = Arc::new(World::new(store, &url(&servers, "")).await);
        let over = Arc::new(AtomicBool::new(false));
        let clients = (0..8).map(|client| {
            let (world, over) = (Arc::clone(&world), Arc::clone(&over));
            tokio::spawn(async move {
                let (mut values, mut reads, mut turn) = ([0_i64; 8], 0_u64, client);
                while !over.load(SeqCst) {
                    turn += 1;
                    let at = turn % values.len();
                    let id = format!("{client}-{at}");
                    if turn % 3 == 0 {
                        values[at] += 1;
                        assert_eq!(world.add(&id, 1).await, values[at], "{id} was built upon an old state");
                    } else {
                        let found = world.get(&id).await;
                        assert_eq!(found.0.unwrap_or(0), values[at], "{id}: a stale read from {:?}", found.1);
                        reads += 1;
                    }
                    if turn % 5 == 0 {
                        world.cool();
                    }
                }
                reads
            })
        });
        let clients: Vec<_> = clients.collect();
        let (began, torment_over) = (Instant::now(), Arc::clone(&over));
        let tormentor = std::thread::spawn(move || {
            let (random, mut old) = (Random::seeded(seed as u64), Vec::new());
            while began.elapsed() < FOR && !torment_over.load(SeqCst) {
                torment(&mut servers, &random, &mut old);
            }
        });
        // A client that ends has found something wrong. The servers end with their tormentor, before that is told.
        while !tormentor.is_finished() && !clients.iter().any(tokio::task::JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        over.store(true, SeqCst);
        tormentor.join().unwrap();
        let mut reads = 0;
        for client in clients {
            reads += client.await.unwrap();
        }
        let counts = world.counts();
        assert!(reads > 100 && counts.hits > 10 && counts.stale > 0, "it was not tried: {reads} reads, {counts:?}");
    }
}
