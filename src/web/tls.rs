//! TLS of the HTTP interface: certificate and key from two files, read anew at SIGHUP.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{Error as PemError, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;

/// Where certificate and key are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WebTlsFiles {
    /// The certificate and those that lead to its authority, PEM.
    pub cert_file: PathBuf,
    /// Its private key, PEM.
    pub key_file: PathBuf,
}

/// Why nothing can be encrypted with them.
#[derive(Debug, thiserror::Error)]
pub enum WebTlsError {
    /// A file cannot be read.
    #[error("read {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: Box<PemError>,
    },
    /// There is no certificate in it.
    #[error("no certificate in {}", .0.display())]
    Empty(PathBuf),
    /// They do not go together, or the key is of a kind that is not known.
    #[error("use the certificate of {} with the key of {}", cert_file.display(), key_file.display())]
    Pair {
        /// The certificate's file.
        cert_file: PathBuf,
        /// The key's file.
        key_file: PathBuf,
        /// Why.
        #[source]
        source: rustls::Error,
    },
    /// The TLS library refuses.
    #[error("set up TLS")]
    SetUp(#[source] rustls::Error),
}

/// The interface's TLS. Cheap to clone; clones are one.
#[derive(Clone, Debug)]
pub struct WebTls {
    current: Arc<Current>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct Current {
    files: WebTlsFiles,
    key: ArcSwap<CertifiedKey>,
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.key.load_full())
    }
}

impl WebTls {
    /// Reads the files. Blocks for the disk.
    ///
    /// # Errors
    /// [`WebTlsError`], with the file.
    pub fn open(files: WebTlsFiles) -> Result<WebTls, WebTlsError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let key = ArcSwap::from_pointee(read(&files, &provider)?);
        let current = Arc::new(Current { files, key });
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(WebTlsError::SetUp)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(WebTls {
            current,
            config: Arc::new(config),
        })
    }

    /// Reads the files anew, for the connections to come. Blocks for the disk.
    ///
    /// # Errors
    /// [`WebTlsError`]; the certificate in use stays.
    pub fn reload(&self) -> Result<(), WebTlsError> {
        let provider = rustls::crypto::ring::default_provider();
        let key = read(&self.current.files, &provider)?;
        self.current.key.store(Arc::new(key));
        Ok(())
    }

    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

fn read(files: &WebTlsFiles, provider: &CryptoProvider) -> Result<CertifiedKey, WebTlsError> {
    let failed = |path: &Path, source| WebTlsError::File {
        path: path.to_owned(),
        source: Box::new(source),
    };
    let certs = CertificateDer::pem_file_iter(&files.cert_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| failed(&files.cert_file, source))?;
    if certs.is_empty() {
        return Err(WebTlsError::Empty(files.cert_file.clone()));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key_file)
        .map_err(|source| failed(&files.key_file, source))?;
    let pair = || {
        let key = provider.key_provider.load_private_key(key)?;
        let pair = CertifiedKey::new(certs, key);
        pair.keys_match()?;
        Ok(pair)
    };
    pair().map_err(|source| WebTlsError::Pair {
        cert_file: files.cert_file.clone(),
        key_file: files.key_file.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path) -> WebTlsFiles {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let files = WebTlsFiles {
            cert_file: folder.join("cert.pem"),
            key_file: folder.join("key.pem"),
        };
        std::fs::write(&files.cert_file, made.cert.pem()).unwrap();
        std::fs::write(&files.key_file, made.signing_key.serialize_pem()).unwrap();
        files
    }

    #[test]
    fn a_file_that_is_of_no_use_is_named_and_the_old_certificate_stays() {
        let folder = tempfile::tempdir().unwrap();
        let files = write(folder.path());
        let tls = WebTls::open(files.clone()).unwrap();
        let first = tls.current.key.load_full();
        let key = std::fs::read(&files.key_file).unwrap();
        write(folder.path());
        tls.reload().unwrap();
        assert!(!Arc::ptr_eq(&first, &tls.current.key.load_full()));
        std::fs::write(&files.key_file, key).unwrap();
        let err = tls.reload().unwrap_err();
        assert!(matches!(err, WebTlsError::Pair { .. }), "{err:?}");
        std::fs::write(&files.cert_file, "nothing").unwrap();
        let err = tls.reload().unwrap_err();
        assert!(matches!(err, WebTlsError::Empty(_)), "{err:?}");
        std::fs::remove_file(&files.cert_file).unwrap();
        let err = WebTls::open(files).unwrap_err();
        assert!(matches!(err, WebTlsError::File { .. }), "{err:?}");
    }
}
