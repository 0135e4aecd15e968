//! How a Redis is spoken to, be it a store or a cache: which database, as whom, and over what.

use std::path::Path;

use ::redis::io::tcp::TcpSettings;
use ::redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsCertificates,
};

use crate::config::tls::TlsFiles;
use crate::config::url::ServerUrl;
use crate::error::{Error, Result};

/// What a `redis://` or `rediss://` URL says of that.
#[derive(Clone, Debug)]
pub(crate) struct RedisLogin {
    settings: RedisConnectionInfo,
    /// Over TLS, with these certificates.
    tls: Option<TlsCertificates>,
}

impl RedisLogin {
    /// Takes the database, the login and the PEM files out of a URL.
    ///
    /// # Errors
    /// `config`: what one of them would be.
    pub(crate) fn take(url: &mut ServerUrl) -> Result<Self> {
        let files = TlsFiles::take(url)?;
        let wrong = |why: String| Error::config(format!("{:?}: {why}", url.shown()));
        let database = match url.path.as_str() {
            "" => 0,
            path => path.parse().map_err(|_| wrong(format!("the database is {path:?}; it would be a number")))?,
        };
        let mut settings = RedisConnectionInfo::default().set_db(database).set_skip_set_lib_name();
        if let Some(user) = url.user.as_deref().filter(|user| !user.is_empty()) {
            settings = settings.set_username(user);
        }
        if let Some(password) = &url.password {
            settings = settings.set_password(password);
        }
        let tls = match url.scheme.as_str() {
            "rediss" => Some(certificates(&files)?),
            _ if files.ca.is_none() && files.own.is_none() => None,
            _ => return Err(wrong("tls-ca, tls-cert and tls-key are for rediss://, and this is redis://".into())),
        };
        Ok(Self { settings, tls })
    }

    /// Whether it is spoken to over TLS.
    pub(crate) fn is_over_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// A client of this server; its certificate has to be for `host`.
    pub(crate) fn client(&self, host: String, port: u16) -> RedisResult<Client> {
        let address = match self.tls {
            Some(_) => ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None },
            None => ConnectionAddr::Tcp(host, port),
        };
        let info = address.into_connection_info()?.set_redis_settings(self.settings.clone());
        let info = info.set_tcp_settings(TcpSettings::default().set_nodelay(true));
        match &self.tls {
            Some(certificates) => {
                // If the program has chosen a provider, that one stays.
                let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
                Client::build_with_tls(info, certificates.clone())
            }
            None => Client::open(info),
        }
    }
}

/// The files as the driver wants them.
fn certificates(files: &TlsFiles) -> Result<TlsCertificates> {
    // What it would say of one that cannot be used is not which.
    files.client()?;
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| Error::config(format!("cannot read {}: {error}", path.display())))
    };
    let client_tls = match &files.own {
        Some((cert, key)) => Some(ClientTlsConfig { client_cert: read(cert)?, client_key: read(key)? }),
        None => None,
    };
    let root_cert = files.ca.as_deref().map(read).transpose()?;
    Ok(TlsCertificates { client_tls, root_cert })
}
