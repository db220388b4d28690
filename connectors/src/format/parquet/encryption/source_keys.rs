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
/// The crate underneath keeps the keys in plain vectors for as long as the source is open.
#[derive(Clone)]
pub struct SourceKeys(Arc<FileDecryptionProperties>);

impl SourceKeys {
    /// The footer's key, those of the columns that have their own, by path, and what the files' modules
    /// are bound to, where the writer chose something.
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
        if let Some(prefix) = aad_prefix {
            properties = properties.with_aad_prefix(prefix.as_bytes().to_vec());
        }
        properties
            .build()
            .map(Self)
            .map_err(|_| ConnectorError::bug("keys of a source could not be set up"))
    }

    pub(in crate::format::parquet) fn properties(&self) -> &Arc<FileDecryptionProperties> {
        &self.0
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
