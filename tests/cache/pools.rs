//! Pools: a type in a cache of its own, and what is refused.

use std::sync::Arc;

use remote_object::objects::Tier;
use remote_object::prelude::*;
use remote_object::storage::Sqlite;
use remote_object::{Config, Service};

use super::raw::Raw;
use super::servers::{Server, has};
use super::store::shared_memory;
use super::world::{Hot, SLOW, World, url};

const CACHE: Option<Tier> = Some(Tier::Shared("memcached"));

async fn add_hot(world: &World) {
    assert_eq!(world.service.host().call(Remote::<Hot>::new("h").add(3)).await.unwrap(), 3);
}

#[tokio::test]
async fn a_type_that_asks_for_a_pool_is_there_and_no_other() {
    if !has("memcached") {
        return;
    }
    let (plain, hot) = (Server::memcached(&[]), Server::memcached(&[]));
    let mut config = Config::default();
    config.cache_pools.insert("hot".into(), url([&hot], SLOW));
    let world = World::configured(shared_memory(), &url([&plain], SLOW), config).await;
    world.add("a", 1).await;
    world.add("b", 1).await;
    add_hot(&world).await;
    world.until_sent(2).await;
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while world.service.host().cache_counts().pools[1].stored < 1 {
        assert!(std::time::Instant::now() < end);
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    assert_eq!((Raw::to(plain.address).keys().len(), Raw::to(hot.address).keys().len()), (2, 1));
    world.cool();
    assert_eq!(world.get_of("hot", "h").await, (Some(3), CACHE));
    assert_eq!(world.get("a").await, (Some(1), CACHE));
    let pools = world.service.host().cache_counts().pools;
    let hits: Vec<(&str, u64)> = pools.iter().map(|pool| (pool.pool.as_str(), pool.hits)).collect();
    assert_eq!(hits, [("default", 1), ("hot", 1)]);
}

#[tokio::test]
async fn a_type_whose_pool_is_not_set_is_in_the_default_one() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let world = World::new(shared_memory(), &url([&server], SLOW)).await;
    add_hot(&world).await;
    world.until_sent(1).await;
    world.cool();
    assert_eq!(world.get_of("hot", "h").await, (Some(3), CACHE));
}

#[tokio::test]
async fn a_url_that_names_no_cache_is_told_what_it_would_be() {
    for (cache, says) in [
        ("m1", "there is no scheme://"),
        ("memcache://m1", "there is no such cache; there are: memcached://"),
        ("memcached://m1?replica=1", "there are: namespace, replicas, timeout-ms, weights"),
        ("memcached://m1/db", "a memcached has no databases"),
        ("memcached://alice@m1", "user:password@"),
        ("redis://m1/db", "it would be a number"),
    ] {
        let error = Service::builder().store("memory:").cache(cache).build().await.unwrap_err();
        assert_eq!(error.kind(), remote_object::error::Kind::Config);
        assert!(error.message().contains(says), "{cache}: {error}");
        let mut config = Config::default();
        config.cache_pools.insert("hot".into(), cache.into());
        let error = Service::builder().config(config).store("memory:").build().await.unwrap_err();
        assert!(error.message().contains(says), "{cache}: {error}");
    }
    let mut config = Config::default();
    config.cache_pools.insert("default".into(), "memcached://m1".into());
    let error = Service::builder().config(config).store("memory:").build().await.unwrap_err();
    assert!(error.message().contains("that one is the setting cache"), "{error}");
    let secret = Service::builder().store("memory:").cache("memcached://alice:s3cret@m1/x").build().await.unwrap_err();
    assert!(!format!("{secret:?}").contains("s3cret"), "{secret:?}");
}

#[tokio::test]
async fn two_clusters_on_one_memcached_do_not_meet() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let url = url([&server], SLOW);
    let (one, two) = (World::new(shared_memory(), &url).await, World::new(shared_memory(), &url).await);
    // The same names, and the same versions.
    assert_eq!((one.add("a", 1).await, two.add("a", 50).await), (1, 50));
    one.until_sent(1).await;
    two.until_sent(1).await;
    assert_eq!(Raw::to(server.address).keys().len(), 2);
    one.cool();
    two.cool();
    assert_eq!((one.get("a").await, two.get("a").await), ((Some(1), CACHE), (Some(50), CACHE)));
}

#[tokio::test]
async fn a_copied_store_is_kept_apart_by_a_namespace() {
    if !has("memcached") {
        return;
    }
    let server = Server::memcached(&[]);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let one = World::new(Arc::new(Sqlite::open(path("one.db")).unwrap()), &url([&server], SLOW)).await;
    one.service.stop().await;
    drop(one);
    // The file is let go a little later.
    let end = std::time::Instant::now() + std::time::Duration::from_secs(10);
    let one = loop {
        match Sqlite::open(path("one.db")) {
            Ok(store) => break store,
            Err(error) => assert!(std::time::Instant::now() < end, "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    for suffix in ["", "-wal"] {
        let _ = std::fs::copy(path(&format!("one.db{suffix}")), path(&format!("two.db{suffix}")));
    }
    let two = Sqlite::open(path("two.db")).unwrap();
    let one = World::new(Arc::new(one), &url([&server], SLOW)).await;
    let two = World::new(Arc::new(two), &url([&server], &format!("{SLOW}&namespace=two"))).await;
    assert_eq!((one.add("a", 1).await, two.add("a", 50).await), (1, 50));
    one.until_sent(1).await;
    two.until_sent(1).await;
    one.cool();
    two.cool();
    assert_eq!((one.get("a").await, two.get("a").await), ((Some(1), CACHE), (Some(50), CACHE)));
}
