//! Whom we trust: Mozilla's roots, the system's, and those that the configuration names.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

use crate::EgressError;

/// TLS 1.2 and 1.3 by ring, HTTP/1.1 by ALPN, no client certificate, no early data.
pub(crate) fn client_config(extra_roots_pem: &[u8]) -> Result<Arc<ClientConfig>, EgressError> {
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    // The system's store is the operator's; what in it cannot be read or parsed is missing for every program.
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::debug!(%error, "tls.system_root_unreadable");
    }
    roots.add_parsable_certificates(system.certs);
    for certificate in CertificateDer::pem_slice_iter(extra_roots_pem) {
        let certificate = certificate.map_err(|error| EgressError::ExtraRoots(error.to_string()))?;
        roots.add(certificate).map_err(|error| EgressError::ExtraRoots(error.to_string()))?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
