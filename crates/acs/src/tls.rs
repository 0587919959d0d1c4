//! TLS settings for the listener.

use crate::AcsError;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// A server configuration for TLS 1.2 and 1.3 from a certificate chain and its key, both PEM. With `client_authorities`,
/// the certificates (PEM) of those who issue certificates to CPEs, a CPE is asked for one: it may have none, and one that
/// none of them issued, or that is no longer valid, ends the handshake.
///
/// # Errors
/// [`AcsError::Certificate`] if any of them is missing or unreadable, or if chain and key do not belong together.
pub fn server_config_from_pem(
    chain: &[u8],
    key: &[u8],
    client_authorities: Option<&[u8]>,
) -> Result<Arc<ServerConfig>, AcsError> {
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
    let builder = match client_authorities {
        None => builder.with_no_client_auth(),
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
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| unusable("certificate and key", error.to_string()))?;
    Ok(Arc::new(config))
}
