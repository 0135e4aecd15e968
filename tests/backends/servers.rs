//! Where the servers are.

/// Redis, as `host:port`.
pub fn redis() -> Option<String> {
    std::env::var("TEST_REDIS").ok()
}
