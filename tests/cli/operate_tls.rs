//! What `doctor` says of caches that do not speak with us, and we not with them: what is wrong, and what would change that.

use std::path::Path;

use super::authority::Authority;
use super::cache_servers::{Server as Cache, has};
use super::operate::done;
use super::world::{Server, dir, objectd, run};

/// What is said of the one server of a cache, with exit code 1.
#[track_caller]
fn fault(dir: &Path, cache: &str) -> String {
    let ended = run(&mut objectd(dir, &["doctor", "--store", "memory:", "--cache", cache]));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.starts_with("FAIL "));
    let line = line.unwrap_or_else(|| panic!("{ended:?}")).to_owned();
    assert!(line.contains("; or leave it out: objects are served without it, only slower"), "{line}");
    line
}

#[track_caller]
fn says(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is not in {line:?}");
    }
}

#[test]
fn what_keeps_tls_from_a_cache_is_named_with_its_cure() {
    if !has("memcached") || !has("redis-server") {
        return;
    }
    let dir = dir();
    let (ours, other) = (Authority::new(), Authority::new());
    let (ca, stranger) = (ours.file("ca.pem"), other.file("ca.pem"));
    let own = ours.issue("server", &["127.0.0.1"]);
    let plain = [Cache::memcached(&[]), Cache::redis(&[])];
    let open = [Cache::memcached_over_tls(&own, None), Cache::redis_over_tls(&own, None, &[])];
    let asks = [Cache::memcached_over_tls(&own, Some(&ca)), Cache::redis_over_tls(&own, Some(&ca), &[])];
    for (at, (bare, secure)) in [("memcached", "memcached"), ("redis", "rediss")].into_iter().enumerate() {
        let url = |server: &Cache, parameters: &str| format!("{secure}://{}?{parameters}", server.address);
        let good = url(&open[at], &format!("tls-ca={ca}"));
        let told = done(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--cache", &good]));
        says(&told, &[&format!("ok   {bare} {} sets, reads and forgets", open[at].address)]);

        let unknown = fault(dir.path(), &url(&open[at], &format!("tls-ca={stranger}")));
        says(&unknown, &["invalid peer certificate", "tls-ca would be the certificate of who signed the server's"]);
        let port = open[at].address.port();
        let misnamed = fault(dir.path(), &format!("{secure}://localhost:{port}?tls-ca={ca}"));
        says(&misnamed, &["invalid peer certificate", "call it by a host that its certificate is for"]);
        let shows_none = fault(dir.path(), &url(&asks[at], &format!("tls-ca={ca}")));
        says(&shows_none, &["tls-cert and tls-key would be a certificate of ours that it takes"]);
        let [cert, key] = other.issue("own", &["objectd"]);
        let refused = fault(dir.path(), &url(&asks[at], &format!("tls-ca={ca}&tls-cert={cert}&tls-key={key}")));
        says(&refused, &["tls-cert and tls-key would be a certificate of ours that it takes"]);
        let not_there = fault(dir.path(), &url(&plain[at], &format!("tls-ca={ca}")));
        says(&not_there, &["start it with TLS, or leave"]);
        let unasked = fault(dir.path(), &format!("{bare}://{}", open[at].address));
        says(&unasked, &["TLS"]);
    }
}

/// What is said of a store that cannot be begun with, in the code of that.
#[track_caller]
fn refusal(dir: &Path, store: &str, code: i32, parts: &[&str]) {
    let ended = run(&mut objectd(dir, &["doctor", "--accept-weak-durability", "--store", store]));
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(!format!("{ended:?}").contains("s3cret"), "{ended:?}");
    let line = ended.stdout.lines().find(|line| line.starts_with("FAIL the checks of the start: "));
    says(line.unwrap_or_else(|| panic!("{ended:?}")), parts);
}

#[test]
fn what_keeps_tls_or_a_login_from_a_redis_as_store_is_named_with_its_cure() {
    if !has("redis-server") {
        return;
    }
    let dir = dir();
    let (ours, other) = (Authority::new(), Authority::new());
    let (ca, stranger) = (ours.file("ca.pem"), other.file("ca.pem"));
    let own = ours.issue("server", &["127.0.0.1"]);
    let plain = Cache::redis(&["--requirepass", "s3cret"]);
    let (open, asks) = (Cache::redis_over_tls(&own, None, &[]), Cache::redis_over_tls(&own, Some(&ca), &[]));
    let url = |server: &Cache, parameters: &str| format!("rediss://{}?{parameters}", server.address);
    let [cert, key] = ours.issue("own", &["objectd"]);
    for good in [
        url(&open, &format!("tls-ca={ca}")),
        url(&asks, &format!("tls-ca={ca}&tls-cert={cert}&tls-key={key}")),
        format!("redis://:s3cret@{}", plain.address),
    ] {
        let ended = run(&mut objectd(dir.path(), &["doctor", "--accept-weak-durability", "--store", &good]));
        assert_eq!(ended.code, Some(0), "{ended:?}");
    }
    refusal(
        dir.path(),
        &url(&open, &format!("tls-ca={stranger}")),
        1,
        &["tls-ca would be the certificate of who signed"],
    );
    refusal(
        dir.path(),
        &url(&asks, &format!("tls-ca={ca}")),
        1,
        &["tls-cert and tls-key would be a certificate of ours"],
    );
    refusal(dir.path(), &url(&plain, &format!("tls-ca={ca}")), 1, &["TLS"]);
    refusal(dir.path(), &format!("redis://{}", open.address), 1, &["if it speaks TLS, the URL would be rediss://"]);
    refusal(dir.path(), &format!("redis://{}", plain.address), 2, &["would have a user and a password"]);
    refusal(
        dir.path(),
        &format!("redis://:s3cret1@{}", plain.address),
        2,
        &["see the user and the password in the URL"],
    );
}

#[test]
fn a_login_that_a_cache_wants_or_refuses_is_named_with_its_cure() {
    if !has("memcached") || !has("redis-server") {
        return;
    }
    let dir = dir();
    let users = dir.path().join("users");
    std::fs::write(&users, "alice:s3cret\n").unwrap();
    let memcached = Cache::memcached(&["-Y", users.to_str().unwrap()]);
    let redis = Cache::redis(&["--requirepass", "s3cret"]);
    for (scheme, server, login, wrong) in
        [("memcached", &memcached, "alice:s3cret@", "alice:s3cret1@"), ("redis", &redis, ":s3cret@", ":s3cret1@")]
    {
        let url = |login: &str| format!("{scheme}://{login}{}", server.address);
        done(&mut objectd(dir.path(), &["doctor", "--store", "memory:", "--cache", &url(login)]));
        says(&fault(dir.path(), &url("")), &["the URL would have a user and a password, user:password@"]);
        says(&fault(dir.path(), &url(wrong)), &["see the user and the password in the URL"]);
    }
    let half = &["doctor", "--store", "memory:", "--cache", "memcached://alice@127.0.0.1:1"];
    let ended = run(&mut objectd(dir.path(), half));
    assert_eq!(ended.code, Some(2), "{ended:?}");
    says(&ended.stderr, &["a login is a user and a password without blanks"]);
}

#[test]
fn a_password_of_a_cache_shows_in_no_log() {
    if !has("memcached") || !has("redis-server") {
        return;
    }
    let dir = dir();
    let users = dir.path().join("users");
    std::fs::write(&users, "alice:s3cret\n").unwrap();
    let memcached = Cache::memcached(&["-Y", users.to_str().unwrap()]);
    let redis = Cache::redis(&["--requirepass", "s3cret"]);
    let urls = ["alice:s3cret", "alice:s3cret1"].map(|login| format!("memcached://{login}@{}", memcached.address));
    let redis = [":s3cret", ":s3cret1"].map(|login| format!("redis://{login}@{}", redis.address));
    for url in urls.iter().chain(&redis) {
        let mut command = objectd(dir.path(), &["--store", "memory:", "--listen", "127.0.0.1:0", "--cache", url]);
        let server = Server::start(command.env("RUST_LOG", "trace"));
        for by in 0..5 {
            assert_eq!(server.post("/objects/counter/a/add", &serde_json::json!({ "by": by })).status, 200);
        }
        let log = server.stop();
        assert!(log.contains("the servers of a cache") && !log.contains("s3cret"), "{log}");
    }
}
