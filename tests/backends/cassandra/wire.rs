//! A way to the nodes that loses, delays, cuts and forges, and shows what goes over it.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use remote_object::Config;
use scylla::errors::DbError;
use scylla_proxy::{
    Condition, Node, Proxy, Reaction, RequestFrame, RequestOpcode, RequestReaction, RequestRule, ResponseFrame,
    ResponseOpcode, ResponseReaction, ResponseRule, RunningProxy, ShardAwareness,
};
use tokio::sync::mpsc;

/// A proxy before each node, on the node's own address with another port, the same for all: the driver looks for a
/// cluster's nodes on the port of the one it met first.
pub(crate) struct Wire {
    proxy: RunningProxy,
    hosts: String,
}

/// One request that was seen, taken apart as the specification of the protocol (version 4) says.
#[derive(Debug)]
pub(crate) struct Sent {
    /// Which node it was for.
    pub(crate) node: usize,
    pub(crate) consistency: u16,
    pub(crate) serial: Option<u16>,
    /// The timestamp in the frame itself, beside the one in the statement.
    pub(crate) timestamp: Option<i64>,
    pub(crate) values: Vec<Bytes>,
}

/// The numbers of consistencies on the wire.
pub(crate) const QUORUM: u16 = 4;
pub(crate) const LOCAL_QUORUM: u16 = 6;
pub(crate) const SERIAL: u16 = 8;
pub(crate) const LOCAL_SERIAL: u16 = 9;

impl Wire {
    pub(crate) async fn up() -> Self {
        let nodes = nodes();
        let port = free_port(&nodes);
        let before = |node: &SocketAddr| SocketAddr::new(node.ip(), port);
        let proxied = nodes.iter().map(|node| {
            let proxied = Node::builder().real_address(*node).proxy_address(before(node));
            proxied.shard_awareness(ShardAwareness::Unaware).build()
        });
        let proxy = Proxy::new(proxied).run().await.unwrap();
        let hosts: Vec<String> = nodes.iter().map(|node| before(node).to_string()).collect();
        Self { proxy, hosts: hosts.join(",") }
    }

    /// The settings of a store behind it, in the tables of another one.
    pub(crate) fn config(&self, other: &Config) -> Config {
        let (_, tables) = other.store["cassandra://".len()..].split_once('/').unwrap();
        let mut config = other.clone();
        config.store = format!("cassandra://{}/{tables}", self.hosts);
        config
    }

    /// From here on, what `rule` says happens to requests on the way to each node, and nothing else.
    pub(crate) fn requests(&mut self, mut rule: impl FnMut(usize) -> Vec<RequestRule>) {
        for (at, node) in self.proxy.running_nodes.iter_mut().enumerate() {
            node.change_request_rules(Some(rule(at)));
        }
    }

    /// The results of statements are lost, though the statements were executed.
    pub(crate) fn lose_results(&mut self) {
        for node in &mut self.proxy.running_nodes {
            let result = Condition::ResponseOpcode(ResponseOpcode::Result);
            let of_ours = result.and(Condition::not(Condition::ConnectionRegisteredAnyEvent));
            node.change_response_rules(Some(vec![ResponseRule(of_ours, ResponseReaction::drop_frame())]));
        }
    }

    /// From here on statements and their results are late now and then, or lost, or go down with their connection. The last
    /// node is never cut off, so that there is always one that a request can be sent to.
    pub(crate) fn be_faulty(&mut self) {
        let often = Condition::RandomWithProbability;
        let last = self.proxy.running_nodes.len() - 1;
        for (at, node) in self.proxy.running_nodes.iter_mut().enumerate() {
            let execute = |p| Condition::RequestOpcode(RequestOpcode::Execute).and(often(p));
            let of_ours = Condition::not(Condition::ConnectionRegisteredAnyEvent);
            let result = |p| Condition::ResponseOpcode(ResponseOpcode::Result).and(of_ours.clone()).and(often(p));
            let cut = if at == last { 0.0 } else { 0.004 };
            node.change_request_rules(Some(vec![
                RequestRule(execute(cut), RequestReaction::drop_connection()),
                RequestRule(execute(0.03), RequestReaction::delay(Duration::from_millis(40))),
            ]));
            node.change_response_rules(Some(vec![
                ResponseRule(result(cut), ResponseReaction::drop_connection()),
                ResponseRule(result(0.001), ResponseReaction::drop_frame()),
                ResponseRule(result(0.03), ResponseReaction::delay(Duration::from_millis(40))),
            ]));
        }
    }

    /// Everything passes.
    pub(crate) fn mend(&mut self) {
        self.proxy.turn_off_rules();
    }

    /// Does `reaction` to statements that have `text` among their values, and shows them.
    pub(crate) fn react(&mut self, text: &str, reaction: &RequestReaction) -> Seen {
        self.react_if(|| executes(text), reaction)
    }

    pub(crate) fn react_if(&mut self, condition: impl Fn() -> Condition, reaction: &RequestReaction) -> Seen {
        let mut all = Vec::new();
        self.requests(|_| {
            let (to, from) = mpsc::unbounded_channel();
            all.push(from);
            vec![RequestRule(condition(), reaction.clone().with_feedback_when_performed(to))]
        });
        Seen(all)
    }

    /// Shows statements that have `text` among their values, and lets everything pass.
    pub(crate) fn watch(&mut self, text: &str) -> Seen {
        self.react(text, &RequestReaction::noop())
    }

    /// The nodes can no longer be reached.
    pub(crate) async fn down(self) {
        let _ = self.proxy.finish().await;
    }
}

/// Requests that were seen, by node.
pub(crate) struct Seen(Vec<mpsc::UnboundedReceiver<(RequestFrame, Option<u16>)>>);

impl Seen {
    /// What was seen since the last time.
    pub(crate) fn all(&mut self) -> Vec<Sent> {
        let mut all = Vec::new();
        for (node, from) in self.0.iter_mut().enumerate() {
            while let Ok((frame, _)) = from.try_recv() {
                all.push(read_execute(node, frame.body));
            }
        }
        all
    }
}

fn read_execute(node: usize, mut body: Bytes) -> Sent {
    let id = body.get_u16();
    body.advance(id.into());
    let consistency = body.get_u16();
    let flags = body.get_u8();
    assert_eq!(flags & 0x40, 0, "values without names");
    let count = if flags & 0x01 != 0 { body.get_u16() } else { 0 };
    let values = (0..count).map(|_| {
        let length = body.get_i32();
        body.split_to(length.try_into().unwrap())
    });
    let values = values.collect();
    if flags & 0x04 != 0 {
        body.get_i32();
    }
    assert_eq!(flags & 0x08, 0, "no page is continued");
    let serial = (flags & 0x10 != 0).then(|| body.get_u16());
    let timestamp = (flags & 0x20 != 0).then(|| body.get_i64());
    Sent { node, consistency, serial, timestamp, values }
}

/// A statement that has this text among its values.
pub(crate) fn executes(text: &str) -> Condition {
    Condition::RequestOpcode(RequestOpcode::Execute).and(holds(text))
}

pub(crate) fn holds(text: &str) -> Condition {
    Condition::BodyContainsCaseSensitive(text.as_bytes().into())
}

/// The server's answer is this error, and it never sees the request.
pub(crate) fn error(error: DbError) -> RequestReaction {
    RequestReaction::forge_with_error(error)
}

/// A statement is answered with this result, and the server never sees it.
pub(crate) fn result(body: Bytes) -> RequestReaction {
    let forged = move |request: RequestFrame| {
        ResponseFrame::new(request.params.for_response(), ResponseOpcode::Result, body.clone())
    };
    RequestReaction::forge_response(Arc::new(forged))
}

/// A query that holds `text` is answered with these rows of text columns.
pub(crate) fn answer(text: &str, columns: &[&str], rows: &[&[&str]]) -> RequestRule {
    let query = Condition::RequestOpcode(RequestOpcode::Query).and(holds(text));
    RequestRule(query, result(rows_of_text(columns, rows)))
}

/// Any request of a kind is answered with such a frame.
pub(crate) fn forge(request: RequestOpcode, response: ResponseOpcode, body: Bytes) -> RequestRule {
    let forged = move |request: RequestFrame| ResponseFrame::new(request.params.for_response(), response, body.clone());
    RequestRule(Condition::RequestOpcode(request), RequestReaction::forge_response(Arc::new(forged)))
}

/// `[string]` of the protocol.
pub(crate) fn string(text: &str, to: &mut BytesMut) {
    to.put_u16(text.len().try_into().unwrap());
    to.put_slice(text.as_bytes());
}

/// The numbers of types on the wire.
pub(crate) const BOOLEAN: u16 = 4;
pub(crate) const TEXT: u16 = 13;
pub(crate) const UUID: u16 = 12;

fn rows_of_text(columns: &[&str], rows: &[&[&str]]) -> Bytes {
    let columns: Vec<(&str, u16)> = columns.iter().map(|column| (*column, TEXT)).collect();
    let values = rows.iter().copied().flatten().map(|value| Some(value.as_bytes()));
    rows_of(&columns, &values.collect::<Vec<_>>())
}

/// The body of a `RESULT` of the kind `Rows`: the columns' names and types, and the values row by row.
pub(crate) fn rows_of(columns: &[(&str, u16)], values: &[Option<&[u8]>]) -> Bytes {
    let mut body = BytesMut::new();
    body.put_i32(2);
    // One table for all columns.
    body.put_i32(1);
    body.put_i32(columns.len().try_into().unwrap());
    string("system", &mut body);
    string("forged", &mut body);
    for (name, kind) in columns {
        string(name, &mut body);
        body.put_u16(*kind);
    }
    body.put_i32((values.len() / columns.len()).try_into().unwrap());
    for value in values {
        match value {
            Some(value) => {
                body.put_i32(value.len().try_into().unwrap());
                body.put_slice(value);
            }
            None => body.put_i32(-1),
        }
    }
    body.freeze()
}

/// The addresses of the nodes.
pub(crate) fn nodes() -> Vec<SocketAddr> {
    let hosts = test_stack::cassandra().unwrap();
    hosts.split(',').map(|host| host.to_socket_addrs().unwrap().next().unwrap()).collect()
}

/// One that is free on the addresses of all nodes.
pub(crate) fn free_port(nodes: &[SocketAddr]) -> u16 {
    (0..100)
        .find_map(|_| {
            let first = TcpListener::bind((nodes[0].ip(), 0)).ok()?;
            let port = first.local_addr().ok()?.port();
            nodes[1..].iter().all(|node| TcpListener::bind((node.ip(), port)).is_ok()).then_some(port)
        })
        .expect("a free port")
}
