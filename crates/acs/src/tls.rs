//! TLS settings for the listener.

use crate::AcsError;
use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use std::sync::Arc;

/// A server configuration for TLS 1.2 and 1.3 from a certificate chain and its key, both PEM.
///
/// # Errors
/// [`AcsError::Certificate`] if either is missing or unreadable, or if they do not belong together.
pub fn server_config_from_pem(chain: &[u8], key: &[u8]) -> Result<Arc<ServerConfig>, AcsError> {
    let unusable = |what: &str, why: String| AcsError::Certificate(format!("{what}: {why}"));
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(chain)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable("the chain is not PEM", error.to_string()))?;
    if chain.is_empty() {
        return Err(AcsError::Certificate("the chain holds no certificate".into()));
    }
    let key = PrivateKeyDer::from_pem_slice(key)
        .map_err(|error| unusable("the key is not PEM", error.to_string()))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable("no TLS version", error.to_string()))?
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .map_err(|error| unusable("certificate and key", error.to_string()))?;
    Ok(Arc::new(config))
}
