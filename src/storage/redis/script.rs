//! A Lua script, sent by its hash as long as the server has it.

use ::redis::aio::MultiplexedConnection;
use ::redis::{Cmd, ErrorKind, RedisResult, ServerErrorKind, Value, cmd};

/// A script and its SHA-1.
#[derive(Debug)]
pub(super) struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    pub(super) fn new(text: &'static str) -> Self {
        Self { text, hash: ::redis::Script::new(text).get_hash().to_owned() }
    }

    /// Runs it once.
    pub(super) async fn run(
        &self,
        connection: &mut MultiplexedConnection,
        keys: &[&str],
        args: &[&[u8]],
    ) -> RedisResult<Value> {
        match call("EVALSHA", &self.hash, keys, args).query_async(connection).await {
            // The server has not got it, so that nothing was run: the next is the first time.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                call("EVAL", self.text, keys, args).query_async(connection).await
            }
            answer => answer,
        }
    }
}

fn call(command: &str, script: &str, keys: &[&str], args: &[&[u8]]) -> Cmd {
    let mut call = cmd(command);
    call.arg(script).arg(keys.len()).arg(keys).arg(args);
    call
}
