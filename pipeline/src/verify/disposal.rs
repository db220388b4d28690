//! The record of a disposal beside the manifest: files that are gone on purpose are not missing.

use ed25519_dalek::VerifyingKey;

use super::error::failed;
use super::{Check, VerifyError, VerifyProblemKind};
use crate::dispose::{self, DisposalRecord};
use crate::manifest::Manifest;

impl Check<'_> {
    /// Whether the delivery was disposed of, by what its site signed and put beside the manifest.
    pub(super) async fn disposed(
        &mut self,
        manifest: &Manifest,
        keys: &[VerifyingKey],
    ) -> Result<bool, VerifyError> {
        let Some(found) = self.open(dispose::FILE_NAME).await? else {
            return Ok(false);
        };
        let mut record = None;
        if usize::try_from(found.meta.size).is_ok_and(|size| size <= dispose::BYTES_MAX) {
            let bytes = found.bytes().await;
            let bytes = bytes.map_err(|source| failed(dispose::FILE_NAME, source))?;
            record = DisposalRecord::open(&bytes, keys).ok();
        }
        let record = record.filter(|record| {
            record.delivery == manifest.delivery && record.attempt == manifest.attempt
        });
        let Some(record) = record else {
            self.note(format!(
                "`{}` is no record of this delivery's disposal by its site: it was not looked at",
                dispose::FILE_NAME
            ));
            return Ok(false);
        };
        let what = format!(
            "the delivery was disposed of on {}: its files are gone on purpose",
            record.at
        );
        self.problem(VerifyProblemKind::Disposed, dispose::FILE_NAME, what);
        for not in &record.does_not_cover {
            self.note(format!("its disposal doesn't cover {not}"));
        }
        Ok(true)
    }
}
