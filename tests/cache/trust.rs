//! The one rule: what is in a cache is used when it is of the current version, and never otherwise.

use std::sync::Arc;

use remote_object::model::ObjectKey;
use remote_object::objects::Tier;
use remote_object::prelude::*;
use remote_object::storage::Datastore;

use super::ordered::Ordered;
use super::raw::Raw;
use super::servers::{Server, has};
use super::store::{Counting, shared_memory, sqlite};
use super::world::{SLOW, World, url};

const CACHE: Option<Tier> = Some(Tier::Shared("memcached"));
const STORE: Option<Tier> = Some(Tier::Store);

/// On a store that others share, and on one that nobody does.
fn stores() -> Vec<(Option<tempfile::TempDir>, Arc<Counting>)> {
    let (dir, store) = sqlite();
    vec![(None, Counting::over(shared_memory())), (Some(dir), Counting::over(store))]
}

#[tokio::test]
async fn an_object_that_left_l1_comes_from_the_cache_and_the_store_is_not_asked() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let server = Server::memcached(&[]);
        let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
        for id in 0..20 {
            assert_eq!(world.add(&id.to_string(), id).await, id);
        }
        world.until_sent(20).await;
        world.cool();
        store.asked();
        for id in 0..20 {
            assert_eq!(world.get(&id.to_string()).await, (Some(id), CACHE));
        }
        assert_eq!(store.asked(), (0, 0), "loads and versions asked of the store");
        assert_eq!((world.counts().hits, world.counts().stale), (20, 0));
    }
}

#[tokio::test]
async fn an_edit_builds_upon_what_the_cache_had() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let server = Server::memcached(&[]);
        let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
        for round in 1..=20 {
            assert_eq!(world.add("a", 1).await, round);
            world.until_sent(round as u64).await;
            world.cool();
        }
        assert_eq!(world.counts().hits, 19);
        assert_eq!(store.asked(), (1, 0), "only the first load is of the store");
    }
}

#[tokio::test]
async fn after_a_restart_the_store_is_asked_for_the_version_alone() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let server = Server::memcached(&[]);
        let url = url([&server], SLOW);
        let before = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
        before.add("a", 7).await;
        before.until_sent(1).await;
        before.service.stop().await;
        let after = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
        store.asked();
        assert_eq!(after.get("a").await, (Some(7), CACHE));
        assert_eq!(store.asked(), (0, 1));
        assert_eq!(after.add("a", 1).await, 8);
    }
}

#[tokio::test]
async fn last_weeks_items_are_misses() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let server = Server::memcached(&[]);
        let url = url([&server], SLOW);
        let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
        for id in ["a", "b", "c"] {
            world.add(id, 1).await;
        }
        world.until_sent(3).await;
        let old = Raw::to(server.address).dump();
        assert_eq!(old.len(), 3);
        for id in ["a", "b", "c"] {
            world.add(id, 10).await;
        }
        world.until_sent(6).await;
        // As a restarted server with `-e` has them.
        Raw::to(server.address).fill(&old);
        world.cool();
        for id in ["a", "b", "c"] {
            assert_eq!(world.get(id).await, (Some(11), STORE), "a stale read");
        }
        assert_eq!(world.counts().stale, 3);
        world.service.stop().await;
        // And where nobody knows the version by heart.
        Raw::to(server.address).fill(&old);
        let after = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
        for id in ["a", "b", "c"] {
            assert_eq!(after.get(id).await, (Some(11), STORE), "a stale read after a restart");
            assert_eq!(after.add(id, 100).await, 111);
        }
    }
}

#[tokio::test]
async fn what_was_deleted_stays_deleted_and_another_life_is_another() {
    if !has("memcached") {
        return;
    }
    for (_dir, store) in stores() {
        let server = Server::memcached(&[]);
        let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
        world.add("a", 1).await;
        world.until_sent(1).await;
        let alive = Raw::to(server.address).dump();
        world.delete("a").await;
        world.until_sent(2).await;
        world.cool();
        assert_eq!(world.get("a").await.0, None);
        assert_eq!(world.counts().hits, 1, "the deleted record is in the cache too");
        Raw::to(server.address).fill(&alive);
        world.cool();
        assert_eq!(world.get("a").await.0, None, "it came back to life");
        assert_eq!(world.add("a", 5).await, 5);
    }
}

#[tokio::test]
async fn a_store_that_was_made_anew_finds_nothing_of_the_old_one() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let old = World::new(shared_memory(), &url([&server], SLOW)).await;
    old.add("a", 1).await;
    old.until_sent(1).await;
    let items = Raw::to(server.address).dump();
    // The same epoch, the same number: the version is the same.
    let new = World::new(shared_memory(), &url([&server], SLOW)).await;
    assert_eq!(new.add("a", 7).await, 7);
    new.until_sent(1).await;
    Raw::to(server.address).fill(&items);
    new.cool();
    assert_eq!(new.get("a").await.0, Some(7));
}

#[tokio::test]
async fn a_record_of_a_former_owner_is_sealed_though_it_came_from_the_cache() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let store = Counting::over(Ordered::store());
    let url = url([&server], SLOW);
    let first = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
    first.add("a", 1).await;
    first.until_sent(1).await;
    let key = ObjectKey::new("tally", "a").unwrap();
    let written = store.version(&key).await.unwrap().unwrap();
    let second = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
    store.asked();
    assert_eq!(second.get("a").await, (Some(1), CACHE));
    assert_eq!(store.asked(), (0, 1), "no record was read");
    let sealed = store.version(&key).await.unwrap().unwrap();
    assert!(sealed.epoch() > written.epoch(), "{sealed} was shown without a seal");
    // The sealed record is in the cache, and nothing has to be sealed again.
    second.until_sent(1).await;
    second.cool();
    store.asked();
    assert_eq!(second.get("a").await, (Some(1), CACHE));
    assert_eq!(store.asked(), (0, 0));
    assert_eq!(store.version(&key).await.unwrap().unwrap(), sealed);
}

#[tokio::test]
async fn a_wrong_mark_is_not_built_upon_again_and_again() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let store = Counting::over(shared_memory());
    let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
    // In L1 and in the cache stands the right record, under a mark that the store never gave.
    store.next_rev_is_wrong.store(true, std::sync::atomic::Ordering::SeqCst);
    world.add("a", 1).await;
    world.until_sent(1).await;
    world.cool();
    assert_eq!(world.get("a").await, (Some(1), CACHE));
    let call = world.service.host().call(Remote::<super::world::Tally>::new("a").add(1));
    let answer = tokio::time::timeout(std::time::Duration::from_secs(10), call).await;
    assert_eq!(answer.expect("it goes round and round").unwrap(), 2);
    // The first edit's, what was loaded when its mark was found wrong, and the second one's.
    world.until_sent(3).await;
    world.cool();
    assert_eq!(world.get("a").await, (Some(2), CACHE));
    assert_eq!(world.add("a", 1).await, 3);
}

#[tokio::test]
async fn a_wrong_mark_that_ended_a_life_is_not_what_the_next_one_begins_with() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let store = Counting::over(shared_memory());
    let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
    store.next_rev_is_wrong.store(true, std::sync::atomic::Ordering::SeqCst);
    store.chokes_on_it.store(true, std::sync::atomic::Ordering::SeqCst);
    world.add("a", 1).await;
    world.until_sent(1).await;
    let host = world.service.host().clone();
    let lost = tokio::spawn(async move { host.call(Remote::<super::world::Tally>::new("a").add(1)).await });
    // It is sent again and again, until the life is over that it belongs to.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    store.kill_all().await;
    let lost = tokio::time::timeout(std::time::Duration::from_secs(20), lost).await.unwrap().unwrap();
    assert!(format!("{lost:?}").contains("outcome-unknown"), "{lost:?}");
    let again = world.service.host().call(Remote::<super::world::Tally>::new("a").add(1));
    let again = tokio::time::timeout(std::time::Duration::from_secs(20), again).await;
    assert_eq!(again.expect("it goes round and round").unwrap(), 2);
}

#[tokio::test]
async fn after_a_put_that_nobody_was_told_of_the_version_is_asked_for() {
    if !has("memcached") {
        return;
    }
    let (_dir, sqlite) = sqlite();
    for inner in [Ordered::store(), shared_memory(), sqlite] {
        let server = Server::memcached(&[]);
        let store = Counting::over(inner);
        let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url([&server], SLOW)).await;
        world.add("a", 1).await;
        world.until_sent(1).await;
        store.next_put_is_lost.store(true, std::sync::atomic::Ordering::SeqCst);
        let lost = world.service.host().call(Remote::<super::world::Tally>::new("a").add(1)).await;
        assert!(lost.is_err(), "{lost:?}");
        world.cool();
        assert_eq!(world.get("a").await.0, Some(2), "the cache was believed");
        assert_eq!(world.add("a", 1).await, 3);
    }
}

#[tokio::test]
async fn a_record_in_the_cache_that_contradicts_itself_is_asked_of_the_store() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let url = url([&server], SLOW);
    let store = Counting::over(shared_memory());
    let world = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
    world.add("a", 1).await;
    world.until_sent(1).await;
    // The store reads its columns apart, and that goes into the cache before anybody sees it.
    Raw::to(server.address).flush();
    world.cool();
    store.tears.store(true, std::sync::atomic::Ordering::SeqCst);
    let corrupt = world.service.host().call(Remote::<super::world::Tally>::new("a").value()).await;
    assert!(format!("{corrupt:?}").contains("record-corrupt"), "{corrupt:?}");
    world.until_sent(2).await;
    assert_eq!(Raw::to(server.address).keys().len(), 1);
    world.service.stop().await;
    store.tears.store(false, std::sync::atomic::Ordering::SeqCst);
    let after = World::new(Arc::clone(&store) as Arc<dyn Datastore>, &url).await;
    assert_eq!(after.get("a").await, (Some(1), STORE));
    after.until_sent(1).await;
    after.cool();
    assert_eq!(after.get("a").await, (Some(1), CACHE), "and the cache has the right one now");
}
