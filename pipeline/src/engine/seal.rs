//! How the parts of a delivery are sealed.

use std::fmt;
use std::sync::Arc;

use lockgate_connectors::seal::SealContext;

/// What the parts of one attempt are sealed with.
#[derive(Clone)]
pub struct FileSeal {
    context: Arc<SealContext>,
    kind: SealKind,
}

/// In which way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SealKind {
    /// Parquet's own encryption; the columns of these fields have keys of their own.
    Parquet {
        /// Names of the fields.
        keyed_fields: Vec<String>,
    },
    /// An envelope around each file.
    Envelope,
}

impl FileSeal {
    /// Seals under the keys of an attempt.
    pub fn new(context: Arc<SealContext>, kind: SealKind) -> Self {
        Self { context, kind }
    }

    /// The keys.
    pub(super) fn context(&self) -> &SealContext {
        &self.context
    }

    /// The way.
    pub(super) fn kind(&self) -> &SealKind {
        &self.kind
    }
}

impl fmt::Debug for FileSeal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileSeal")
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}
