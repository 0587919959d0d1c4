//! TLS settings for the listener, and what a certificate is worth that a CPE shows there.
//!
//! Most CPEs that have a certificate show it to whoever asks for one, whoever issued it and however old it is, and have no
//! other way to us. So no certificate ends a handshake by what it says: the handshake proves that the CPE has the key to
//! it, and afterwards the chain is verified. One that does not verify counts for none.

use crate::AcsError;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore, ServerConfig,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        ParsedCertificate, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::{TLS12, TLS13},
};
use std::{sync::Arc, time::Duration};
use types::UtcMs;
use x509_parser::{
    prelude::{FromDer as _, X509Certificate},
    public_key::PublicKey,
};

/// Bytes of a chain that is looked at: it is kept as long as its connection, whoever sent it.
const MAX_CHAIN_BYTES: usize = 16 << 10;
/// Bytes of the shortest RSA modulus by which a signature is checked.
const LEAST_RSA_BYTES: usize = 2048 / 8;

/// How the listener speaks TLS, and whose certificates of CPEs it believes.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// Certificate, key and versions.
    pub server: Arc<ServerConfig>,
    /// Who verifies certificates of CPEs. None: they are asked for none.
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

impl TlsConfig {
    /// The CPE's own certificate of the chain that it showed in its handshake, if one of the issuers we know has issued it
    /// and it is valid. Also a connection that goes on with the keys of an earlier one is asked this anew.
    ///
    /// # Errors
    /// Why it proves nothing, as half a sentence.
    pub(crate) fn verified<'c>(
        &self,
        chain: &'c [CertificateDer<'static>],
        now: UtcMs,
    ) -> Result<&'c CertificateDer<'static>, &'static str> {
        let (Some(verifier), Some((own, others))) = (&self.clients, chain.split_first()) else {
            return Err("nobody's certificates are believed");
        };
        // Of such a one the handshake proved nothing.
        if let Some(why) = uncheckable(own) {
            return Err(why);
        }
        let since_1970 = Duration::from_millis(u64::try_from(now.0).unwrap_or(0));
        match verifier.verify_client_cert(own, others, UnixTime::since_unix_epoch(since_1970)) {
            Ok(_) => Ok(own),
            Err(Error::InvalidCertificate(why)) => Err(match why {
                CertificateError::Expired | CertificateError::ExpiredContext { .. } => "it has expired",
                CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                    "it is not valid yet, or the clock here is wrong"
                }
                CertificateError::UnknownIssuer => "nobody of acs_tls_client_ca has issued it",
                CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => {
                    "it is not meant for clients"
                }
                _ => "it does not verify",
            }),
            Err(_) => Err("it does not verify"),
        }
    }
}

/// Lets every certificate pass whose key the CPE has; [`TlsConfig::verified`] says what it is worth.
#[derive(Debug)]
struct AnyOfItsOwn(Arc<dyn ClientCertVerifier>);

impl ClientCertVerifier for AnyOfItsOwn {
    fn client_auth_mandatory(&self) -> bool {
        false
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.0.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        own: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let bytes = others.iter().fold(own.len(), |sum, other| sum + other.len());
        if bytes > MAX_CHAIN_BYTES {
            return Err(Error::General(format!("a chain of certificates of {bytes} bytes")));
        }
        Ok(ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match uncheckable(own) {
            Some(_) => Ok(HandshakeSignatureValid::assertion()),
            None => self.0.verify_tls12_signature(message, own, signature),
        }
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        own: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        match uncheckable(own) {
            Some(_) => Ok(HandshakeSignatureValid::assertion()),
            None => self.0.verify_tls13_signature(message, own, signature),
        }
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}

/// Why no signature can be checked by this certificate, as old factory certificates are: whoever issued it, it proves
/// nothing. The handshake and the look at the chain after it have to agree on it, so it depends on nothing but the bytes.
fn uncheckable(certificate: &CertificateDer<'_>) -> Option<&'static str> {
    if ParsedCertificate::try_from(certificate).is_err() {
        return Some("it is of X.509 version 1, or cannot be read");
    }
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return Some("it cannot be read");
    };
    match parsed.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => {
            let bytes = key.modulus.iter().skip_while(|byte| **byte == 0).count();
            (bytes < LEAST_RSA_BYTES).then_some("its RSA key has less than 2048 bits")
        }
        _ => None,
    }
}

/// A server configuration for TLS 1.2 and 1.3 from a certificate chain and its key, both PEM. With `client_authorities`,
/// the certificates (PEM) of those who issue certificates to CPEs, a CPE is asked for one: it may have none, and one that
/// none of them issued, or that is no longer valid, counts for none.
///
/// # Errors
/// [`AcsError::Certificate`] if any of them is missing or unreadable, or if chain and key do not belong together.
pub fn server_config_from_pem(
    chain: &[u8],
    key: &[u8],
    client_authorities: Option<&[u8]>,
) -> Result<TlsConfig, AcsError> {
    let unusable = |what: &str, why: String| AcsError::Certificate(format!("{what}: {why}"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable("the chain is not PEM", error.to_string()))?;
    if chain.is_empty() {
        return Err(AcsError::Certificate("the chain holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| unusable("the key is not PEM", error.to_string()))?;
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable("no TLS version", error.to_string()))?;
    let (builder, clients) = match client_authorities {
        None => (builder.with_no_client_auth(), None),
        Some(pem) => {
            const WHAT: &str = "the certificates of those who issue certificates to CPEs";
            let mut roots = RootCertStore::empty();
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|error| unusable(WHAT, error.to_string()))?;
                roots.add(certificate).map_err(|error| unusable(WHAT, error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unusable(WHAT, "the file holds none".to_owned()));
            }
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                .allow_unauthenticated()
                .build()
                .map_err(|error| unusable(WHAT, error.to_string()))?;
            let any = Arc::new(AnyOfItsOwn(verifier.clone()));
            (builder.with_client_cert_verifier(any), Some(verifier))
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable("certificate and key", error.to_string()))?;
    Ok(TlsConfig { server: Arc::new(config), clients })
}
