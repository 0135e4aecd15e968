//! What the error of a connection says: that it broke, or that it is no TLS.

use std::io;

use super::server::Failed;
use crate::config::tls;

/// Why a connection ended.
pub(in crate::cache) fn failed(error: &io::Error) -> Failed {
    match tls::fault(error) {
        Some((why, cure)) => Failed::Barred(why.into(), cure),
        None => Failed::Broken(error.to_string().into()),
    }
}
