//! TLS from PEM files.
//!
//! The provider of the cryptography is named here, never taken from the process: with two of them linked, a default is a
//! panic at run time.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use super::settings::TlsFiles;
use crate::error::{Error, Result};

/// How a server's certificate is checked: signed by one of `ca`, and for the server's IP address, by which the driver knows
/// it.
///
/// # Errors
/// `config`, naming the file and what is wrong with it.
pub(super) fn config(files: &TlsFiles) -> Result<Arc<ClientConfig>> {
    let wrong = |error: rustls::Error| Error::config(format!("the TLS files do not go together: {error}"));
    let mut roots = RootCertStore::empty();
    for certificate in certificates(&files.ca)? {
        roots.add(certificate).map_err(|error| unusable(&files.ca, "holds a certificate that is none", &error))?;
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(wrong)?
        .with_root_certificates(roots);
    let config = match &files.own {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let own_key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unusable(key, "has no private key in PEM", &error))?;
            builder.with_client_auth_cert(certificates(certificate)?, own_key).map_err(wrong)?
        }
    };
    Ok(Arc::new(config))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match all {
        Ok(all) if all.is_empty() => Err(unusable(path, "has no certificate in PEM", &"it is another kind of file")),
        Ok(all) => Ok(all),
        Err(error) => Err(unusable(path, "has no certificate in PEM", &error)),
    }
}

fn unusable(path: &Path, why: &str, error: &dyn std::fmt::Display) -> Error {
    Error::config(format!(
        "the TLS file {} {why} ({error}); name a PEM file that this process may read",
        path.display()
    ))
}
