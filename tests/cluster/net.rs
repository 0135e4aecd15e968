//! A network that a test makes, cuts and removes: places, each a network namespace of its own, on one bridge.
//!
//! A wire is cut in one direction: the place that sends gets a hardware address for the other one that nobody has, so that
//! its packets are carried and taken by nobody. Neither side is told, connections stay, and what is sent again after the wire
//! is mended arrives. It needs `ip` of iproute2, and root.

use std::fs;
use std::io::{self, Write as _};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// A hardware address that nobody has.
const NOWHERE: &str = "02:00:00:00:00:99";
/// The last byte of the first place's address; that of the machine itself is 1.
const FIRST: u8 = 10;

/// A network; it is gone when this is dropped.
#[derive(Debug)]
pub struct Net {
    /// The third byte of all its addresses.
    number: u8,
    bridge: String,
    places: Vec<Place>,
}

/// A namespace, and the end of its wire that is here.
#[derive(Debug)]
struct Place {
    name: String,
    near: String,
}

/// Nothing is ever called as anything before it in this process: what is removed may stay for a while, as long as there are
/// connections that wait.
static NEXT: AtomicUsize = AtomicUsize::new(0);
/// Of two that are made at once both would find the same addresses free.
static MAKING: Mutex<()> = Mutex::new(());

/// Runs `ip`.
fn ip(words: &str) -> io::Result<String> {
    let told = Command::new("ip").args(words.split_whitespace()).output()?;
    if told.status.success() {
        return Ok(String::from_utf8_lossy(&told.stdout).into_owned());
    }
    Err(io::Error::other(format!("ip {words}: {}", String::from_utf8_lossy(&told.stderr).trim())))
}

impl Net {
    /// Makes a network with so many places.
    ///
    /// # Errors
    /// When this is not root, or there is no `ip`.
    pub fn new(places: usize) -> io::Result<Self> {
        let _alone = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
        remove_left_over();
        let process = std::process::id();
        let addresses = ip("-o -4 address")?;
        let free = |number: &u8| !addresses.contains(&format!(" 10.213.{number}."));
        let number = (1..250).find(free).ok_or_else(|| io::Error::other("no network is free"))?;
        let mut net = Self { number, bridge: format!("ro{process}b{}", next()), places: Vec::new() };
        ip(&format!("link add {} type bridge", net.bridge))?;
        ip(&format!("address add {}/24 dev {}", net.here(), net.bridge))?;
        ip(&format!("link set {} up", net.bridge))?;
        (0..places).try_for_each(|_| net.add_place())?;
        Ok(net)
    }

    fn add_place(&mut self) -> io::Result<()> {
        let (number, process, next) = (self.places.len(), std::process::id(), next());
        let (name, near) = (format!("ro{process}-{next}"), format!("ro{process}v{next}"));
        ip(&format!("netns add {name}"))?;
        self.places.push(Place { name: name.clone(), near: near.clone() });
        ip(&format!("link add {near} type veth peer name eth0 netns {name}"))?;
        ip(&format!("link set {near} master {} up", self.bridge))?;
        ip(&format!("-n {name} address add {}/24 dev eth0", self.address(number)))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(())
    }

    /// The address of the machine itself in this network.
    pub fn here(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.number, 1)
    }

    pub fn address(&self, place: usize) -> Ipv4Addr {
        Ipv4Addr::new(10, 213, self.number, FIRST + place as u8)
    }

    /// The words before a program that is to stand in a place.
    pub fn inside(&self, place: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.places[place].name].map(str::to_owned).to_vec()
    }

    /// From here on nothing that one place sends reaches the other.
    pub fn cut(&self, from: usize, to: usize) {
        let (name, to) = (&self.places[from].name, self.address(to));
        ip(&format!("-n {name} neigh replace {to} lladdr {NOWHERE} dev eth0 nud permanent")).unwrap();
    }

    /// Everything arrives again.
    pub fn mend(&self) {
        for Place { name, .. } in &self.places {
            let known = ip(&format!("-n {name} neigh show nud permanent")).unwrap();
            for to in known.lines().filter(|line| line.contains(NOWHERE)).filter_map(|line| line.split(' ').next()) {
                ip(&format!("-n {name} neigh del {to} dev eth0")).unwrap();
            }
        }
    }
}

impl Drop for Net {
    fn drop(&mut self) {
        for Place { name, near } in &self.places {
            drop(ip(&format!("link del {near}")));
            drop(ip(&format!("netns del {name}")));
        }
        drop(ip(&format!("link del {}", self.bridge)));
    }
}

/// Removes what processes have left that were killed.
fn remove_left_over() {
    let is_gone = |name: &str, end: char| {
        let process = name.strip_prefix("ro").and_then(|rest| rest.split(end).next()?.parse::<u32>().ok());
        process.is_some_and(|process| !Path::new(&format!("/proc/{process}")).exists())
    };
    let names = fs::read_dir("/run/netns").into_iter().flatten().flatten();
    for name in names.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| is_gone(name, '-')) {
        drop(ip(&format!("netns del {name}")));
    }
    for (kind, letter) in [("veth", 'v'), ("bridge", 'b')] {
        for line in ip(&format!("-o link show type {kind}")).unwrap_or_default().lines() {
            let name = line.split(": ").nth(1).and_then(|name| name.split('@').next()).unwrap_or_default();
            if is_gone(name, letter) {
                drop(ip(&format!("link del {name}")));
            }
        }
    }
}

fn next() -> usize {
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// Says aloud that there can be no network here, which is no failure, wherever it is: it needs root, who may make some, and `ip`.
/// Anything else is one.
pub fn skipped(why: &io::Error) {
    let is_expected = why.kind() == io::ErrorKind::NotFound
        || ["not permitted", "denied", "not supported"].iter().any(|word| why.to_string().contains(word));
    assert!(is_expected, "no network: {why}");
    let line = format!("SKIPPED partitions: no network can be made here, which needs root and `ip`: {why}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;
    use std::time::Duration;

    use super::*;

    /// How many packets have come to a place that nobody there wanted.
    fn came(net: &Net, place: usize) -> u64 {
        let words = [net.inside(place), vec!["cat".to_owned(), "/proc/net/snmp".to_owned()]].concat();
        let text = Command::new(&words[0]).args(&words[1..]).output().unwrap().stdout;
        let text = String::from_utf8(text).unwrap();
        let numbers = text.lines().filter(|line| line.starts_with("Udp: ")).nth(1).unwrap();
        numbers.split(' ').nth(2).unwrap().parse().unwrap()
    }

    /// Sends a packet, and says whether it came.
    fn arrives(net: &Net, from: usize, to: usize) -> bool {
        let before = came(net, to);
        let script = format!("echo a > /dev/udp/{}/9", net.address(to));
        let words = [net.inside(from), vec!["bash".to_owned(), "-c".to_owned(), script]].concat();
        let mut command = Command::new(&words[0]);
        assert!(command.args(&words[1..]).stderr(Stdio::null()).status().unwrap().success());
        std::thread::sleep(Duration::from_millis(300));
        came(net, to) > before
    }

    #[test]
    fn a_wire_is_cut_one_way_and_mended_and_all_is_gone_in_the_end() {
        let net = match Net::new(2) {
            Ok(net) => net,
            Err(why) => return skipped(&why),
        };
        assert!(arrives(&net, 0, 1) && arrives(&net, 1, 0));
        net.cut(0, 1);
        assert!(!arrives(&net, 0, 1), "it is cut");
        assert!(arrives(&net, 1, 0), "the other way it is not");
        net.mend();
        assert!(arrives(&net, 0, 1) && arrives(&net, 1, 0), "it is mended");
        let (place, bridge) = (net.places[0].name.clone(), net.bridge.clone());
        drop(net);
        assert!(!ip("netns list").unwrap().contains(&place));
        assert!(ip(&format!("link show {bridge}")).is_err());
    }
}
