//! What the error of a connection over TLS says: who does not take whom, and what would change that.

use std::io;

use rustls::{AlertDescription as Alert, CertificateError as Wrong, Error};

use super::server::Failed;

/// Why a connection ended.
pub(in crate::cache) fn failed(error: &io::Error) -> Failed {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
    match inner.map(|error| (error, cure(error))) {
        Some((error, cure)) => Failed::Barred(format!("no TLS with it: {error}").into(), cure),
        None => Failed::Broken(error.to_string().into()),
    }
}

fn cure(error: &Error) -> &'static str {
    match error {
        Error::InvalidCertificate(Wrong::UnknownIssuer | Wrong::BadSignature) => {
            "tls-ca would be the certificate of who signed the server's"
        }
        Error::InvalidCertificate(Wrong::NotValidForName | Wrong::NotValidForNameContext { .. }) => {
            "the URL would call it by a host that its certificate is for"
        }
        Error::InvalidCertificate(_) => "give it another certificate",
        Error::AlertReceived(
            Alert::CertificateRequired
            | Alert::HandshakeFailure
            | Alert::BadCertificate
            | Alert::CertificateUnknown
            | Alert::CertificateExpired
            | Alert::UnknownCA
            | Alert::DecryptError
            | Alert::AccessDenied,
        ) => "tls-cert and tls-key would be a certificate of ours that it takes, and its key",
        Error::InvalidMessage(_) => "start it with TLS, or leave TLS out of the URL",
        _ => "see which versions of TLS and which ciphers it takes",
    }
}
