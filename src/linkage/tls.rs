//! TLS for linkages: the one cryptography provider of the process.

/// Makes ring the process's default provider for rustls, unless one is installed already.
pub(super) fn install_provider() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may be first; then its provider is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
    }
}
