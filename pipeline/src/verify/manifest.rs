//! The manifest of a delivery, in the exact bytes that the provider signed. Without one there is no
//! delivery, and nothing else is looked at.

use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use object_store::ObjectStore;
use object_store::path::Path;

use super::error::failed;
use super::folder::listing;
use super::{Check, VerifyError, VerifyProblemKind};
use crate::canonical_json;
use crate::manifest::{FILE_NAME, Manifest};

impl Check<'_> {
    pub(super) async fn manifest(
        &mut self,
        keys: &[VerifyingKey],
    ) -> Result<Option<(Manifest, bytes::Bytes)>, VerifyError> {
        let Some(found) = self.open(FILE_NAME).await? else {
            let what = "there is no manifest here, hence no delivery";
            self.problem(VerifyProblemKind::NoDelivery, FILE_NAME, what);
            return Ok(None);
        };
        if usize::try_from(found.meta.size).map_or(true, |size| size > canonical_json::BYTES_MAX) {
            self.problem(
                VerifyProblemKind::Manifest,
                FILE_NAME,
                "larger than a manifest can be",
            );
            return Ok(None);
        }
        let bytes = found
            .bytes()
            .await
            .map_err(|source| failed(FILE_NAME, source))?;
        match Manifest::open(&bytes, keys) {
            Ok(manifest) => Ok(Some((manifest, bytes))),
            Err(error) => {
                self.problem(VerifyProblemKind::Manifest, FILE_NAME, error.to_string());
                Ok(None)
            }
        }
    }
}

/// The bytes of the manifest in a folder, for whoever opens it; `None` if there is none.
///
/// # Errors
/// A store that cannot be read.
pub async fn read_manifest(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
) -> Result<Option<bytes::Bytes>, VerifyError> {
    let check = Check {
        store,
        folder,
        listed: listing(store, folder).await,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let Some(found) = check.open(FILE_NAME).await? else {
        return Ok(None);
    };
    if usize::try_from(found.meta.size).map_or(true, |size| size > canonical_json::BYTES_MAX) {
        return Ok(None); // no manifest is so large
    }
    let bytes = found.bytes().await;
    bytes.map(Some).map_err(|source| failed(FILE_NAME, source))
}
