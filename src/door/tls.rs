//! How a broker proves itself: rustls with the ring provider, and the authorities to trust.

use std::path::PathBuf;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

use super::options::TlsOptions;

/// Why a broker could not be trusted whatever it showed.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file of authorities cannot be read.
    #[error("read certificates of {}", path.display())]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<PemError>,
    },
    /// There is no authority in it.
    #[error("no certificate in {}", path.display())]
    CaFileEmpty {
        /// Which file.
        path: PathBuf,
    },
    /// A certificate in it cannot be an authority.
    #[error("use a certificate of {} as an authority", path.display())]
    CaFileBad {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: rustls::Error,
    },
    /// This machine has no authorities.
    #[error("no certificate authorities on this machine (Debian package ca-certificates)")]
    NoAuthorities,
    /// The TLS library refuses.
    #[error("set up TLS")]
    SetUp(#[source] rustls::Error),
}

/// A client that trusts what `options` say.
pub(super) fn client_config(options: &TlsOptions) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::SetUp)?
        .with_root_certificates(authorities(options)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn authorities(options: &TlsOptions) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    let Some(path) = &options.ca_file else {
        let found = rustls_native_certs::load_native_certs();
        store.add_parsable_certificates(found.certs);
        if store.is_empty() {
            return Err(TlsError::NoAuthorities);
        }
        return Ok(store);
    };
    let file_error = |source| TlsError::CaFile {
        path: path.clone(),
        source: Box::new(source),
    };
    for cert in CertificateDer::pem_file_iter(path).map_err(file_error)? {
        let added = store.add(cert.map_err(file_error)?);
        added.map_err(|source| TlsError::CaFileBad {
            path: path.clone(),
            source,
        })?;
    }
    if store.is_empty() {
        return Err(TlsError::CaFileEmpty { path: path.clone() });
    }
    Ok(store)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_of_authorities_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let with = |path: &std::path::Path| {
            client_config(&TlsOptions {
                ca_file: Some(path.to_owned()),
            })
        };
        assert!(matches!(with(&path), Err(TlsError::CaFile { .. })));
        std::fs::write(&path, "nothing here").unwrap();
        assert!(matches!(with(&path), Err(TlsError::CaFileEmpty { .. })));
        let key = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(&path, key.cert.pem()).unwrap();
        assert!(with(&path).is_ok());
    }
}
