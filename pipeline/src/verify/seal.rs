//! The seal, as far as it shows without keys: the key file belongs to the delivery, and files that the
//! manifest says are sealed aren't plain.

use lockgate_connectors::format::parquet::encryption;
use lockgate_connectors::seal::{KEY_FILE_BYTES_MAX, KeyFile, envelope};
use object_store::ObjectStoreExt as _;

use super::error::failed;
use super::{Check, VerifyError, VerifyProblemKind};
use crate::manifest::{FileStatement, KeyFileStatement, Manifest};

impl Check<'_> {
    /// Checks the delivery's key file: the bytes that the manifest states, and the keys of this very
    /// attempt.
    pub(super) async fn keys(
        &mut self,
        manifest: &Manifest,
        keys: &KeyFileStatement,
    ) -> Result<(), VerifyError> {
        let path = &keys.path;
        if !self.content(path, keys.bytes, &keys.sha256).await? {
            return Ok(());
        }
        if usize::try_from(keys.bytes).map_or(true, |bytes| bytes > KEY_FILE_BYTES_MAX) {
            let what = "larger than a key file can be";
            self.problem(VerifyProblemKind::Format, path, what);
            return Ok(());
        }
        let Some(found) = self.open(path).await? else {
            return Ok(()); // gone since, which the next look tells
        };
        let bytes = found.bytes().await.map_err(|source| failed(path, source))?;
        let file = match KeyFile::parse(&bytes) {
            Ok(file) => file,
            Err(error) => {
                self.problem(VerifyProblemKind::Format, path, error.to_string());
                return Ok(());
            }
        };
        let agrees = file.delivery == manifest.delivery
            && file.attempt == manifest.attempt
            && file.recipient == manifest.recipient
            && manifest.seal.suite.as_deref() == Some(file.suite.as_str())
            && manifest.seal.release.as_deref() == Some(file.release.as_str());
        if !agrees {
            let what = "its keys are of another delivery, recipient, suite or release than the \
                        manifest states";
            self.problem(VerifyProblemKind::Format, path, what);
        }
        Ok(())
    }

    /// Checks that a file is sealed at all: a plain one under a manifest that says sealed is what
    /// somebody would put there who has no keys.
    pub(super) async fn seal(
        &mut self,
        manifest: &Manifest,
        file: &FileStatement,
    ) -> Result<(), VerifyError> {
        let magic: &[u8] = match manifest.seal.is_envelope() {
            true => &envelope::MAGIC,
            false => encryption::MAGIC,
        };
        let length = u64::try_from(magic.len()).unwrap_or(u64::MAX);
        let mut is_sealed = file.bytes >= length.saturating_mul(2);
        if is_sealed {
            // Parquet ends as it begins.
            let end = match manifest.seal.is_envelope() {
                true => 0,
                false => file.bytes.saturating_sub(length),
            };
            for start in [0, end] {
                let location = self.location(&file.path);
                let range = start..start.saturating_add(length);
                let found = self.store.get_range(&location, range).await;
                let found = found.map_err(|source| failed(&file.path, source))?;
                is_sealed = is_sealed && found.as_ref() == magic;
            }
        }
        if !is_sealed {
            let what = "it is not sealed, and the manifest says that it is";
            self.problem(VerifyProblemKind::Format, &file.path, what);
        }
        Ok(())
    }
}
