//! One server on the real stack under load, with a proxy before each node of its store, and caches of its own.

use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use super::book::{self, Book, skipped};
use super::objectd::{Environment, Objectd, Place};
use super::proxy::{Proxies, Wire};
use super::servers::{Server, has};

/// A scenario under way.
pub struct Run {
    pub book: Book,
    pub proxies: Proxies,
    /// Three memcached of its own, where there is that program.
    pub caches: Vec<Server>,
}

impl Run {
    /// Begins a scenario, with its clients at work; `None` where there is no Cassandra.
    pub fn begin(name: &'static str) -> Option<Self> {
        let alone = book::alone();
        let hosts = test_stack::cassandra()?;
        let nodes: Vec<SocketAddr> = hosts.split(',').map(|host| host.parse().expect("an address")).collect();
        let proxies = match Proxies::before(&nodes) {
            Ok(proxies) => proxies,
            Err(error) => return skipped(name, &format!("no proxy before {hosts}: {error}")),
        };
        let book = Book::open(name, &book::cassandra(&hosts), alone);
        let caches: Vec<Server> = (0..if has("memcached") { 3 } else { 0 }).map(|_| Server::memcached(&[])).collect();
        book.settings(&book::cassandra(&proxies.hosts()), &book::url_of(&caches));
        Some(Self { book, proxies, caches })
    }

    /// A server, ready.
    pub fn start(&self, host: &str) -> Objectd {
        self.start_with(host, Environment::new())
    }

    /// A server with something in its environment, ready.
    pub fn start_with(&self, host: &str, environment: Environment) -> Objectd {
        let mut server = Objectd::start_at(&Place { environment, ..Place::free() }, self.dir.path(), host);
        server.wait();
        server
    }

    /// A last look, and the end.
    #[track_caller]
    pub fn end(self) {
        self.proxies.set_all(Wire::Whole);
        self.book.end();
    }
}

impl Deref for Run {
    type Target = Book;

    fn deref(&self) -> &Book {
        &self.book
    }
}

impl DerefMut for Run {
    fn deref_mut(&mut self) -> &mut Book {
        &mut self.book
    }
}
