//! The wire between objectd and the nodes of the store: a TCP proxy before each node, on the node's own address.
//!
//! The driver learns the nodes' addresses from the cluster and takes for their port the one it was told itself. So all
//! proxies listen on one other port, and every connection goes through one. A test that cuts the wire sees that it does.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread;
use std::time::Duration;

/// What the wire does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wire {
    /// It carries.
    Whole,
    /// Nothing goes through, and nobody is told: as packets that are dropped, or a machine that stands still. What was
    /// sent meanwhile goes through when it is whole again, late, though its sender may be gone.
    Silent,
    /// Every connection is closed, and what was under way is lost; new ones are closed at once.
    Cut,
}

const TICK: Duration = Duration::from_millis(5);
/// Connections under way to this machine itself are either taken at once or not at all.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// A proxy before each node.
#[derive(Debug)]
pub struct Proxies {
    wires: Vec<Arc<AtomicU8>>,
    addresses: Vec<SocketAddr>,
}

impl Proxies {
    /// Before these nodes.
    ///
    /// # Errors
    /// When the nodes do not share a port, or their addresses are not this machine's.
    pub fn before(nodes: &[SocketAddr]) -> io::Result<Self> {
        if nodes.iter().any(|node| node.port() != nodes[0].port()) {
            return Err(io::Error::other("the nodes are on several ports; the driver takes one for all"));
        }
        let ips: Vec<IpAddr> = nodes.iter().map(SocketAddr::ip).collect();
        let listeners = (0..50)
            .find_map(|_| on_one_port(&ips).transpose())
            .unwrap_or_else(|| Err(io::Error::other("no port is free on all addresses")))?;
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        let wires = listeners.into_iter().zip(nodes).map(|(listener, node)| {
            let wire = Arc::new(AtomicU8::new(Wire::Whole as u8));
            let (carried, node) = (Arc::clone(&wire), *node);
            thread::spawn(move || carry_all(&listener, node, &carried));
            wire
        });
        Ok(Self { wires: wires.collect(), addresses })
    }

    /// Where they listen, as the hosts of a URL.
    pub fn hosts(&self) -> String {
        self.addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
    }

    pub fn set(&self, node: usize, wire: Wire) {
        self.wires[node].store(wire as u8, Ordering::SeqCst);
    }

    pub fn set_all(&self, wire: Wire) {
        (0..self.wires.len()).for_each(|node| self.set(node, wire));
    }
}

/// A listener on each address, all on one port; `None` when that port is taken on one of them.
fn on_one_port(ips: &[IpAddr]) -> io::Result<Option<Vec<TcpListener>>> {
    let first = TcpListener::bind((ips[0], 0))?;
    let port = first.local_addr()?.port();
    let mut listeners = vec![first];
    for ip in &ips[1..] {
        match TcpListener::bind((*ip, port)) {
            Ok(listener) => listeners.push(listener),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            Err(error) => return Err(error),
        }
    }
    Ok(Some(listeners))
}

fn is(wire: &AtomicU8, what: Wire) -> bool {
    wire.load(Ordering::SeqCst) == what as u8
}

fn carry_all(listener: &TcpListener, node: SocketAddr, wire: &Arc<AtomicU8>) {
    for near in listener.incoming() {
        let Ok(near) = near else { continue };
        if is(wire, Wire::Cut) {
            continue;
        }
        let Ok(far) = TcpStream::connect_timeout(&node, CONNECT_MAX) else { continue };
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
            let wire = Arc::clone(wire);
            thread::spawn(move || {
                if carry(&from, &to, &wire).is_err() {
                    let _ = from.shutdown(Shutdown::Both);
                    let _ = to.shutdown(Shutdown::Both);
                }
            });
        }
    }
}

/// Carries bytes one way until its source ends.
fn carry(mut from: &TcpStream, mut to: &TcpStream, wire: &AtomicU8) -> io::Result<()> {
    to.set_nodelay(true)?;
    from.set_read_timeout(Some(TICK))?;
    let mut bytes = [0; 16 << 10];
    loop {
        pass(wire)?;
        let read = match from.read(&mut bytes) {
            Ok(0) => return to.shutdown(Shutdown::Write),
            Ok(read) => read,
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => continue,
            Err(error) => return Err(error),
        };
        pass(wire)?;
        to.write_all(&bytes[..read])?;
    }
}

/// Waits while the wire is silent; an error once it is cut.
fn pass(wire: &AtomicU8) -> io::Result<()> {
    while is(wire, Wire::Silent) {
        thread::sleep(TICK);
    }
    if is(wire, Wire::Cut) { Err(io::ErrorKind::ConnectionAborted.into()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_wire_delivers_late_and_a_cut_one_never() {
        let node = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxies = Proxies::before(&[node.local_addr().unwrap()]).unwrap();
        let mut near = TcpStream::connect(proxies.hosts()).unwrap();
        let (mut far, _) = node.accept().unwrap();
        let mut byte = [0];
        near.write_all(b"a").unwrap();
        far.read_exact(&mut byte).unwrap();
        proxies.set(0, Wire::Silent);
        near.write_all(b"b").unwrap();
        drop(near);
        far.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        assert!(far.read_exact(&mut byte).is_err());
        proxies.set_all(Wire::Whole);
        far.set_read_timeout(None).unwrap();
        far.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"b");
        let mut near = TcpStream::connect(proxies.hosts()).unwrap();
        let (_far, _) = node.accept().unwrap();
        proxies.set_all(Wire::Cut);
        assert_eq!(near.read(&mut byte).unwrap_or(0), 0);
    }
}
