//! Where files go: into an attempt, or nowhere, when a delivery is made again to be compared.

use lockgate_connectors::ConnectorError;
use lockgate_connectors::publish::{Attempt, PartWriter};

/// Where files go.
#[derive(Debug, Clone, Copy)]
pub(super) enum Staging<'a> {
    /// Into an attempt at a delivery.
    Attempt(&'a Attempt),
    /// Nowhere.
    Void,
}

impl Staging<'_> {
    /// Begins a file.
    pub(super) fn part(self, index: u32, extension: &str) -> Result<PartWriter, ConnectorError> {
        match self {
            Self::Attempt(attempt) => attempt.part(index, extension),
            Self::Void => Ok(PartWriter::into_void(&format!(
                "part-{index:05}.{extension}"
            ))),
        }
    }
}
