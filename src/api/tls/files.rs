//! Three PEM files, and what rustls makes of them.

use std::fs::Metadata;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustls::client::Resumption;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use super::Ends;
use crate::clock;
use crate::config::Config;
use crate::error::{Error, Result};

/// Where the certificates are.
#[derive(Debug)]
pub(super) struct Files {
    /// What this node shows, with what leads to the authority.
    pub(super) cert: PathBuf,
    key: PathBuf,
    /// Who signs the certificates of nodes, and of nobody else.
    ca: PathBuf,
}

/// By what a change of the files is noticed: of each when it was written, and how long it is.
pub(super) type Stamp = [Option<(SystemTime, u64)>; 3];

impl Files {
    /// Those of the settings, which [`Config::check`] has seen to be all or none.
    pub(super) fn of(config: &Config) -> Option<Self> {
        let file = |path: &Option<PathBuf>| path.clone();
        let (cert, key) = (file(&config.peer_tls_cert)?, file(&config.peer_tls_key)?);
        Some(Self { cert, key, ca: file(&config.peer_tls_ca)? })
    }

    pub(super) fn stamp(&self) -> Stamp {
        let written = |metadata: Metadata| Some((metadata.modified().ok()?, metadata.len()));
        [&self.cert, &self.key, &self.ca].map(|path| path.metadata().ok().and_then(written))
    }

    /// # Errors
    /// `config`, naming the file and what is wrong with it.
    pub(super) fn read(&self) -> Result<Ends> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut roots = RootCertStore::empty();
        for certificate in certificates("peer-tls-ca", &self.ca)? {
            roots.add(certificate).map_err(|error| unusable("peer-tls-ca", &self.ca, &error))?;
        }
        let roots = Arc::new(roots);
        let chain = certificates("peer-tls-cert", &self.cert)?;
        let key = PrivateKeyDer::from_pem_file(&self.key).map_err(|error| no_pem("peer-tls-key", &self.key, &error))?;
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|error| unusable("peer-tls-ca", &self.ca, &error))?;
        self.check(&*verifier, &chain)?;
        let server = self.server(&provider, verifier, chain.clone(), key.clone_key())?;
        let client = self.client(&provider, roots, chain, key)?;
        Ok(Ends { server: Arc::new(server), client: Arc::new(client) })
    }

    /// Whether other nodes will take this one for a node.
    fn check(&self, verifier: &dyn ClientCertVerifier, chain: &[CertificateDer<'_>]) -> Result<()> {
        let now = UnixTime::since_unix_epoch(Duration::from_millis(clock::unix_ms()));
        let Some((own, between)) = chain.split_first() else { return Ok(()) };
        verifier.verify_client_cert(own, between, now).map(drop).map_err(|error| {
            Error::config(format!(
                "the setting peer-tls-cert: other nodes would refuse {}, checked by {} of the setting peer-tls-ca: {error}",
                self.cert.display(),
                self.ca.display()
            ))
        })
    }

    fn server(
        &self,
        provider: &Arc<CryptoProvider>,
        verifier: Arc<dyn ClientCertVerifier>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<ServerConfig> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("peer-tls-cert", &self.cert, &error))?
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(|error| self.mismatch(&error))?;
        config.alpn_protocols = [&b"h2"[..], b"http/1.1"].map(<[u8]>::to_vec).into();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(config)
    }

    fn client(
        &self,
        provider: &Arc<CryptoProvider>,
        roots: Arc<RootCertStore>,
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<ClientConfig> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable("peer-tls-cert", &self.cert, &error))?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key)
            .map_err(|error| self.mismatch(&error))?;
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn mismatch(&self, error: &rustls::Error) -> Error {
        Error::config(format!(
            "the setting peer-tls-key: {} is not the key of the certificate in {} ({error})",
            self.key.display(),
            self.cert.display()
        ))
    }
}

fn certificates(setting: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let all = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, pem::Error>>);
    match all {
        Ok(all) if all.is_empty() => Err(no_pem(setting, path, &pem::Error::NoItemsFound)),
        Ok(all) => Ok(all),
        Err(error) => Err(no_pem(setting, path, &error)),
    }
}

fn no_pem(setting: &str, path: &Path, error: &pem::Error) -> Error {
    let (what, file) = (if setting == "peer-tls-key" { "private key" } else { "certificate" }, path.display());
    Error::config(match error {
        pem::Error::Io(error) => format!("the setting {setting}: {file} cannot be read: {error}"),
        pem::Error::NoItemsFound => format!("the setting {setting}: {file} has no {what} in PEM"),
        error => format!("the setting {setting}: {file} has no {what} in PEM that can be read: {error}"),
    })
}

fn unusable(setting: &str, path: &Path, error: &dyn std::fmt::Display) -> Error {
    Error::config(format!("the setting {setting}: {} cannot be used: {error}", path.display()))
}
