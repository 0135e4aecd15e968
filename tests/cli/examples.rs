//! The examples do what they promise. The object in 20 lines is looked at in `first_lines`.

use serde_json::json;

use super::first_lines::curl;
use super::world::{Server, Signal, dir, example, program, run};

#[test]
fn the_object_is_20_lines() {
    let text = include_str!("../../examples/object.rs");
    let code = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    assert!(code.count() <= 20);
}

#[test]
fn objects_without_http_keep_their_state_from_run_to_run() {
    let dir = dir();
    let mut told = Vec::new();
    for _ in 0..2 {
        let ended = run(&mut program(example("in_process"), dir.path()));
        assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
        told.push(ended.stdout);
    }
    assert_eq!(told[0], "open since the last time: []\n2 open\nno such thing; 1 open\n");
    assert_eq!(told[1], "open since the last time: [\"feed the cat\"]\n3 open\nno such thing; 2 open\n");
}

#[test]
fn objects_in_an_app_of_ones_own_stand_beside_its_routes_and_below_its_layers() {
    let dir = dir();
    let app = || Server::start(program(example("mounted"), dir.path()).env("LISTEN", "127.0.0.1:0"));
    let server = app();
    let tries = server.tries();
    curl(tries[0]).is(200, json!(3));
    assert_eq!(curl(tries[1]).body, "3 left");
    // The layer of the app has counted the request to the object too, and this one.
    assert_eq!(curl(tries[2]).body, "3");
    assert_eq!(server.get("/window/mug").body, "sold out");
    let full = server.post("/objects/stock/tea/deliver", &json!({"pieces": u32::MAX}));
    full.is(200, json!(u32::MAX));
    server.get("/objects/stock/none").problem(404, "object-not-found");
    assert_eq!(server.get("/elsewhere").status, 404, "other paths are the app's");
    server.signal(Signal::Interrupt);
    let (status, log) = server.ended();
    assert_eq!((status.code(), log.as_str()), (Some(0), ""));
    let server = app();
    assert_eq!(server.get("/window/tea").body, format!("{} left", u32::MAX));
    server.signal(Signal::Interrupt);
    server.ended();
}

#[test]
fn an_app_whose_address_is_taken_says_so() {
    let dir = dir();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = run(program(example("mounted"), dir.path()).env("LISTEN", &address));
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(ended.stderr.contains(&format!("cannot listen on {address}: ")), "{ended:?}");
}
