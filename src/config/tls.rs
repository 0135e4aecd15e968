//! PEM files for TLS, as the URL of a store or a cache names them, and what rustls makes of them.
//!
//! The provider of the cryptography is named here, never taken from the process: with two of them linked, a default is a
//! panic at run time.

#[cfg(any(feature = "memcached", feature = "redis"))]
use std::error::Error as StdError;
#[cfg(any(feature = "memcached", feature = "redis"))]
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
#[cfg(any(feature = "memcached", feature = "redis"))]
use rustls::{AlertDescription as Alert, CertificateError as Wrong};
use rustls::{ClientConfig, Error as TlsError, RootCertStore};

use super::url::ServerUrl;
use crate::error::{Error, Result};

/// The parameters `tls-ca`, `tls-cert` and `tls-key` of a URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct TlsFiles {
    /// Certificates of those who may sign a server's.
    pub(crate) ca: Option<PathBuf>,
    /// Our own certificate and its key, where servers ask for one.
    pub(crate) own: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// The names of the parameters it takes.
    pub(crate) const PARAMETERS: [&'static str; 3] = ["tls-ca", "tls-cert", "tls-key"];

    /// Takes them out of a URL.
    ///
    /// # Errors
    /// `config` when one of certificate and key is there without the other.
    pub(crate) fn take(url: &mut ServerUrl) -> Result<Self> {
        let [ca, cert, key] = Self::PARAMETERS.map(|name| url.take::<PathBuf>(name, "a PEM file"));
        let own = match (cert?, key?) {
            (Some(cert), Some(key)) => Some((cert, key)),
            (None, None) => None,
            _ => {
                let what = "tls-cert and tls-key go together; name both files, or none";
                return Err(Error::config(format!("{:?}: {what}", url.shown())));
            }
        };
        Ok(Self { ca: ca?, own })
    }

    /// Those of a URL where `tls-ca` turns TLS on.
    ///
    /// # Errors
    /// `config` as [`take`](Self::take), and when the others are there without it.
    #[cfg(any(feature = "cassandra", feature = "memcached"))]
    pub(crate) fn take_if_on(url: &mut ServerUrl) -> Result<Option<Self>> {
        let files = Self::take(url)?;
        match (&files.ca, &files.own) {
            (Some(_), _) => Ok(Some(files)),
            (None, None) => Ok(None),
            (None, Some(_)) => {
                let what = "tls-cert and tls-key need tls-ca, which turns TLS on";
                Err(Error::config(format!("{:?}: {what}", url.shown())))
            }
        }
    }

    /// How a server's certificate is checked, which has to be signed by one of `ca`, and what it is shown. Without `ca` none
    /// is taken.
    ///
    /// # Errors
    /// `config`, naming the file and what is wrong with it.
    pub(crate) fn client(&self) -> Result<Arc<ClientConfig>> {
        let wrong = |error: TlsError| Error::config(format!("the TLS files do not go together: {error}"));
        let mut roots = RootCertStore::empty();
        if let Some(ca) = &self.ca {
            for certificate in certificates(ca)? {
                roots.add(certificate).map_err(|error| unusable(ca, "holds a certificate that is none", &error))?;
            }
        }
        let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(wrong)?
            .with_root_certificates(roots);
        let mut config = match &self.own {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let own_key = PrivateKeyDer::from_pem_file(key)
                    .map_err(|error| unusable(key, "has no private key in PEM", &error))?;
                builder.with_client_auth_cert(certificates(certificate)?, own_key).map_err(wrong)?
            }
        };
        // Connections are few and stay. A memcached that asks for certificates ends each one that would resume another.
        config.resumption = Resumption::disabled();
        Ok(Arc::new(config))
    }
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

/// What the error of a connection says of TLS, where it is about that: who does not take whom, and what would change it.
#[cfg(any(feature = "memcached", feature = "redis"))]
pub(crate) fn fault(error: &(dyn StdError + 'static)) -> Option<(String, &'static str)> {
    let of_tls = |error: &(dyn StdError + 'static)| -> Option<(String, &'static str)> {
        let inside = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        let error = inside.map_or_else(|| error.downcast_ref(), |inside| inside.downcast_ref::<TlsError>())?;
        Some((format!("no TLS with it: {error}"), cure(error)))
    };
    let mut next = Some(error);
    while let Some(error) = next {
        // As Redis's driver keeps what its errors come from.
        let shared = error.downcast_ref::<Arc<dyn StdError + Send + Sync>>();
        if let Some(found) = of_tls(shared.map_or(error, |shared| &**shared)) {
            return Some(found);
        }
        next = error.source();
    }
    None
}

#[cfg(any(feature = "memcached", feature = "redis"))]
fn cure(error: &TlsError) -> &'static str {
    match error {
        TlsError::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            "tls-ca would be the certificate of who signed the server's"
        }
        TlsError::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "the URL would call it by a host that its certificate is for"
        }
        TlsError::InvalidCertificate(_) => "give it another certificate",
        TlsError::AlertReceived(
            Alert::CertificateRequired
            | Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => "tls-cert and tls-key would be a certificate of ours that it takes, and its key",
        TlsError::InvalidMessage(_) => "start it with TLS, or leave TLS out of the URL",
        _ => "see which versions of TLS and which ciphers it takes",
    }
}
