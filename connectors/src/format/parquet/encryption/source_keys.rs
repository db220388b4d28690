//! Keys of encrypted Parquet that a provider writes.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parquet::encryption::decrypt::FileDecryptionProperties;
use zeroize::Zeroizing;

use super::MAGIC;
use crate::error::ConnectorError;

/// The keys of a source's files. With them, only encrypted files are read: whoever could put a plain
/// one in their place would else choose what is delivered.
///
/// What their modules are bound to is what the catalogue says, and never what a file says of itself:
/// another file under the same keys would else open in its place.
///
/// The crate underneath keeps the keys in plain vectors for as long as the source is open.
#[derive(Clone)]
pub struct SourceKeys(Arc<FileDecryptionProperties>);

impl SourceKeys {
    /// The footer's key, those of the columns that have their own, by path, and what the files' modules
    /// are bound to, where the writer chose something. Files whose writer did don't open without it.
    ///
    /// # Errors
    /// A key that isn't of 16 or 32 bytes.
    pub fn new(
        footer: &Zeroizing<Vec<u8>>,
        columns: &BTreeMap<String, Zeroizing<Vec<u8>>>,
        aad_prefix: Option<&str>,
    ) -> Result<Self, ConnectorError> {
        for (key, of) in columns
            .iter()
            .map(|(path, key)| (key, format!("column {path}")))
            .chain([(footer, "the footer".to_owned())])
        {
            if !matches!(key.len(), 16 | 32) {
                return Err(ConnectorError::config(
                    format!("the key of {of} has {} bytes", key.len()),
                    "give a key of 16 or 32 bytes, in base64",
                ));
            }
        }
        let mut properties = FileDecryptionProperties::builder(footer.to_vec());
        for (path, key) in columns {
            properties = properties.with_column_key(path, key.to_vec());
        }
        // Without any, the crate would take the one that a file holds.
        let prefix = aad_prefix.unwrap_or_default();
        properties
            .with_aad_prefix(prefix.as_bytes().to_vec())
            .build()
            .map(Self)
            .map_err(|_| ConnectorError::bug("keys of a source could not be set up"))
    }

    pub(in crate::format::parquet) fn properties(&self) -> &Arc<FileDecryptionProperties> {
        &self.0
    }

    /// Whether the catalogue says what modules are bound to.
    pub(in crate::format::parquet) fn has_prefix(&self) -> bool {
        self.0.aad_prefix().is_some_and(|prefix| !prefix.is_empty())
    }
}

/// Whether a file that begins and ends so has an encrypted footer.
pub(in crate::format::parquet) fn is_encrypted(begin: &[u8], end: &[u8]) -> bool {
    begin.starts_with(MAGIC) && end.ends_with(MAGIC)
}

impl PartialEq for SourceKeys {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for SourceKeys {}

impl fmt::Debug for SourceKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceKeys(..)")
    }
}
