//! Parquet modular encryption: AES-256-GCM in every module of a file, from the footer to the last
//! page, each bound to its place in its file.
//!
//! A sealed file has an encrypted footer and a key for every leaf: one of its own, or the footer's.
//! Where no leaf has its own, no key of a column is named, and all modules are under the footer's
//! (uniform encryption). The crate underneath leaves a column that no key was named for in plain text
//! once any column has one, so that then leaves are named all.
//!
//! What each file's modules are bound to begins with `lockgate/DELIVERY/ATTEMPT/FILE`. That prefix is
//! stored in the file, because pyarrow's `CryptoFactory` has no way to be told it, and readers here never
//! take it from there: they say which file they expect, and another one does not open. A plain file does
//! not open either, though the crate would read it whatever keys it was given.
//!
//! Bloom filters would be written in plain text and are never written. Files from elsewhere are
//! walked before a page is decoded, sealed ones as a whole and those of a source as their columns are
//! read, since the crate's decoder panics on a module without room for nonce and tag, and takes memory
//! for as much as one states.

mod guard;
#[cfg(test)]
mod leaf_tests;
mod pkmt1;
mod reader;
mod source_keys;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, OnceLock};

use parquet::encryption::decrypt::{FileDecryptionProperties, KeyRetriever};
use parquet::encryption::encrypt::FileEncryptionProperties;
use parquet::errors::ParquetError;

use self::pkmt1::{KeyMaterial, KeyUse, Place};
use crate::error::ConnectorError;
use crate::seal::{Binding, DekSource, DekUse, SealContext, SealError, Suite};

pub(super) use self::guard::check_column_bytes;
pub use self::reader::{GroupReader, SealedReader};
pub use self::source_keys::SourceKeys;
pub(super) use self::source_keys::is_encrypted;

/// What a file with an encrypted footer begins and ends with.
pub const MAGIC: &[u8; 4] = b"PARE";

/// A leaf column of a file to be sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leaf<'a> {
    /// Its path, parts joined by points.
    pub path: &'a str,
    /// Whether it gets a key of its own, and not the footer's.
    pub has_own_key: bool,
}

/// What the modules of a file are bound to, before what the file adds by itself.
pub fn aad_prefix(binding: &Binding, file_name: &str) -> String {
    format!(
        "lockgate/{}/{}/{file_name}",
        binding.delivery(),
        binding.attempt()
    )
}

/// What seals a file: fresh keys, wrapped under the delivery's KEK, for the footer and every leaf.
///
/// The crate keeps the keys in plain vectors and shows them in its `Debug`: the result is to be
/// dropped with the file's writer, and never printed.
///
/// # Errors
/// A suite that Parquet doesn't have; no leaves; two leaves of one path, of which one has a key of its
/// own; a keyring that can't wrap.
pub fn encryption_properties(
    context: &SealContext,
    file_name: &str,
    leaves: &[Leaf<'_>],
) -> Result<Arc<FileEncryptionProperties>, ConnectorError> {
    if context.suite() != Suite::Aes256GcmSha256 {
        return Err(SealError::Unsupported {
            suite: context.suite(),
            what: "encrypt Parquet",
            remedy: "seal in an envelope: write seal = \"envelope\"",
        }
        .into());
    }
    if leaves.is_empty() {
        return Err(SealError::Fault("a file without columns was to be sealed").into());
    }
    let binding = context.binding();
    let kek = binding.kek_id();
    let metadata = |material: &KeyMaterial, place| {
        material
            .to_bytes(place, &kek)
            .ok_or(SealError::Fault("key metadata could not be written"))
    };
    let footer = context.new_dek()?;
    let footer_material = KeyMaterial {
        used_for: KeyUse::Footer,
        wrapped: context.wrap(&footer, file_name, DekUse::Footer)?,
    };
    let mut properties = FileEncryptionProperties::builder(footer.expose().to_vec())
        .with_footer_key_metadata(metadata(&footer_material, Place::Footer)?)
        .with_aad_prefix(aad_prefix(binding, file_name).into_bytes())
        .with_aad_prefix_storage(true);
    let named: &[Leaf<'_>] = match leaves.iter().any(|leaf| leaf.has_own_key) {
        true => apart(leaves)?,
        false => &[],
    };
    let shared = metadata(&footer_material, Place::Column)?;
    for leaf in named {
        properties = if leaf.has_own_key {
            let key = context.new_dek()?;
            let material = KeyMaterial {
                wrapped: context.wrap(&key, file_name, DekUse::Column(leaf.path))?,
                used_for: KeyUse::Column(leaf.path.to_owned()),
            };
            properties.with_column_key_and_metadata(
                leaf.path,
                key.expose().to_vec(),
                metadata(&material, Place::Column)?,
            )
        } else {
            properties.with_column_key_and_metadata(
                leaf.path,
                footer.expose().to_vec(),
                shared.clone(),
            )
        };
    }
    properties
        .build()
        .map_err(|_| SealError::Fault("a file's keys could not be set up").into())
}

/// Leaves whose keys the crate can tell apart: it finds them by their paths, and of two that are one
/// text it would take the last.
fn apart<'a, 'b>(leaves: &'a [Leaf<'b>]) -> Result<&'a [Leaf<'b>], ConnectorError> {
    let mut paths = HashSet::new();
    match leaves.iter().find(|leaf| !paths.insert(leaf.path)) {
        None => Ok(leaves),
        Some(twice) => Err(ConnectorError::config(
            format!(
                "two columns have the path `{}`, and columns have keys of their own",
                twice.path.escape_debug()
            ),
            "deliver one of the two fields alone, or write seal = \"envelope\"",
        )),
    }
}

/// What opens a file of a delivery: the keys it names, from `source`, if it is the file that it is
/// expected to be. For one reading of one file.
///
/// # Errors
/// A suite that Parquet doesn't have.
pub fn decryption_properties(
    source: Arc<dyn DekSource>,
    binding: &Binding,
    file_name: &str,
) -> Result<Arc<FileDecryptionProperties>, ConnectorError> {
    if binding.suite() != Suite::Aes256GcmSha256 {
        return Err(SealError::malformed("it is named Parquet of a suite that has none").into());
    }
    let retriever = Retriever {
        source,
        binding: binding.clone(),
        file_name: file_name.to_owned(),
        footer: OnceLock::new(),
    };
    FileDecryptionProperties::with_key_retriever(Arc::new(retriever))
        .with_aad_prefix(aad_prefix(binding, file_name).into_bytes())
        .build()
        .map_err(|_| SealError::Fault("a file's keys could not be set up").into())
}

/// Unwraps the keys that a file's key metadata holds.
struct Retriever {
    source: Arc<dyn DekSource>,
    binding: Binding,
    file_name: String,
    /// The metadata of the footer's key, which is asked for first: all others are of columns.
    footer: OnceLock<Vec<u8>>,
}

impl KeyRetriever for Retriever {
    fn retrieve_key(&self, metadata: &[u8]) -> Result<Vec<u8>, ParquetError> {
        let footer = self.footer.get_or_init(|| metadata.to_vec());
        let place = match footer == metadata {
            true => Place::Footer,
            false => Place::Column,
        };
        let refused = |what: &str| ParquetError::External(SealError::malformed(what).into());
        let material =
            KeyMaterial::read(metadata, place, &self.binding.kek_id()).map_err(refused)?;
        let aad = self
            .binding
            .wrap_aad(&self.file_name, material.used_for.as_dek_use());
        self.source
            .dek(&material.wrapped, &aad)
            .map(|key| key.expose().to_vec())
            .map_err(|error| ParquetError::External(error.into()))
    }
}

impl fmt::Debug for Retriever {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Retriever")
            .field("binding", &self.binding)
            .field("file_name", &self.file_name)
            .finish_non_exhaustive()
    }
}
