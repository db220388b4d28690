//! A store that fails while a delivery is checked: no finding, since it says nothing about the delivery.

use thiserror::Error;

/// The store could not be read, which says nothing about the delivery.
#[derive(Debug, Error)]
#[error("`{path}` could not be read; check the address and the access rights")]
pub struct VerifyError {
    /// The file.
    pub path: String,
    /// Why.
    pub source: object_store::Error,
}

pub(super) fn failed(path: &str, source: object_store::Error) -> VerifyError {
    VerifyError {
        path: path.to_owned(),
        source,
    }
}
