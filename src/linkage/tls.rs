//! TLS for linkages: the one cryptography provider of the process, and whom to trust.

use std::io::{Error, ErrorKind, Read as _};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

use super::SetupError;
use crate::domain::id::LinkageId;

/// Largest file of certificates or of a key; a bundle of all public authorities has 250 kB.
const PEM_BYTES_MAX: u64 = 1 << 20;

/// Makes ring the process's default provider for rustls, unless one is installed already.
pub(super) fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may be first; then its provider is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}

/// The text of a PEM file that the configuration's `key` names.
pub(super) fn read_pem(
    id: &LinkageId,
    key: &'static str,
    path: &Path,
) -> Result<Vec<u8>, SetupError> {
    let read = || {
        let mut pem = Vec::new();
        let file = std::fs::File::open(path)?;
        if file.take(PEM_BYTES_MAX + 1).read_to_end(&mut pem)? as u64 > PEM_BYTES_MAX {
            return Err(Error::new(ErrorKind::InvalidData, "over 1 MiB"));
        }
        Ok(pem)
    };
    read().map_err(|source| SetupError::File {
        id: id.clone(),
        key,
        path: path.to_owned(),
        source,
    })
}

/// The text of a `ca_file`, which holds at least one certificate.
pub(super) fn authorities_pem(id: &LinkageId, path: &Path) -> Result<Vec<u8>, SetupError> {
    let pem = read_pem(id, "ca_file", path)?;
    let n_whole = CertificateDer::pem_slice_iter(&pem)
        .take_while(Result::is_ok)
        .count();
    if n_whole == 0 {
        return Err(SetupError::CaEmpty {
            id: id.clone(),
            path: path.to_owned(),
        });
    }
    Ok(pem)
}

/// A client that trusts the authorities in `ca_file`, or those of the machine.
pub(super) fn client_config(
    id: &LinkageId,
    ca_file: Option<&Path>,
) -> Result<Arc<ClientConfig>, SetupError> {
    let refused = |source: rustls::Error| SetupError::Client {
        id: id.clone(),
        source: source.into(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(refused)?
        .with_root_certificates(roots(id, ca_file)?)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

fn roots(id: &LinkageId, ca_file: Option<&Path>) -> Result<RootCertStore, SetupError> {
    let mut store = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            let pem = authorities_pem(id, path)?;
            let found = CertificateDer::pem_slice_iter(&pem).filter_map(Result::ok);
            store.add_parsable_certificates(found);
            if store.is_empty() {
                return Err(SetupError::CaEmpty {
                    id: id.clone(),
                    path: path.to_owned(),
                });
            }
        }
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if store.is_empty() {
                return Err(SetupError::NoAuthorities { id: id.clone() });
            }
        }
    }
    Ok(store)
}
