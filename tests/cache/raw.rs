//! What is in a memcached, seen and changed past everything of ours.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A plain connection to a memcached.
pub struct Raw(BufReader<TcpStream>);

impl Raw {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(BufReader::new(stream))
    }

    fn say(&mut self, bytes: &[u8]) {
        self.0.get_mut().write_all(bytes).unwrap();
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Every key in it.
    pub fn keys(&mut self) -> Vec<String> {
        self.say(b"lru_crawler metadump all\r\n");
        let mut keys = Vec::new();
        loop {
            let line = self.line();
            match line.strip_prefix("key=").and_then(|rest| rest.split(' ').next()) {
                Some(key) => keys.push(key.to_owned()),
                None => return keys,
            }
        }
    }

    pub fn get(&mut self, key: &str) -> Option<Vec<u8>> {
        self.say(format!("mg {key} v\r\n").as_bytes());
        let line = self.line();
        let size: usize = line.strip_prefix("VA ")?.split(' ').next()?.parse().unwrap();
        let mut value = vec![0; size + 2];
        self.0.read_exact(&mut value).unwrap();
        value.truncate(size);
        Some(value)
    }

    pub fn set(&mut self, key: &str, value: &[u8]) {
        self.say(format!("ms {key} {}\r\n", value.len()).as_bytes());
        self.say(value);
        self.say(b"\r\n");
        assert_eq!(self.line(), "HD");
    }

    /// Everything in it.
    pub fn dump(&mut self) -> Vec<(String, Vec<u8>)> {
        self.keys().into_iter().filter_map(|key| Some((key.clone(), self.get(&key)?))).collect()
    }

    /// Puts all of it there.
    pub fn fill(&mut self, items: &[(String, Vec<u8>)]) {
        for (key, value) in items {
            self.set(key, value);
        }
    }

    pub fn flush(&mut self) {
        self.say(b"flush_all\r\n");
        assert_eq!(self.line(), "OK");
    }
}
