//! The recipient's check of a delivery: without the site, given the provider's public key.
//!
//! The manifest must be the exact signed bytes, every file must have the size and SHA-256 it
//! states, Parquet and Arrow files must hold exactly the stated rows and fields, and files of rows the
//! stated rows. A key inside the delivery is never trusted; files that the manifest does not name do
//! not belong to the delivery.
//!
//! Here stands the order of the check. What each step holds the delivery to stands in a module of its
//! own, and what it finds becomes a problem or a note of the [`VerifyReport`].

mod disposal;
mod error;
mod fields;
mod files;
mod folder;
mod footer;
mod ledger;
mod manifest;
mod report;
mod rows;
mod seal;

use std::collections::BTreeSet;
use std::sync::Arc;

use ed25519_dalek::VerifyingKey;
use object_store::ObjectStore;
use object_store::path::Path;

pub use self::error::VerifyError;
pub(crate) use self::fields::check_fields;
use self::folder::listing;
pub use self::manifest::read_manifest;
pub use self::report::{VerifyProblem, VerifyProblemKind, VerifyReport};
use crate::manifest::Manifest;

/// Checks the delivery in `folder` of `store`.
///
/// `keys` are the provider's manifest keys. With `ledger_keys` the manifest's ledger proof is
/// checked under them; without, a note says that who signed the checkpoint was not checked. Reads
/// every file once, in memory bounded by one chunk and one Parquet footer.
///
/// # Errors
/// A store that cannot be read. Whatever is wrong with the delivery itself is in the report.
pub async fn verify_delivery(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
    keys: &[VerifyingKey],
    ledger_keys: Option<&[VerifyingKey]>,
) -> Result<VerifyReport, VerifyError> {
    let (report, _) = verify_and_keep(store, folder, keys, ledger_keys).await?;
    Ok(report)
}

/// As [`verify_delivery`]; gives the manifest that was checked too, with its bytes, for whoever goes on
/// with it: one that is read a second time may be another. Absent where none was accepted.
///
/// # Errors
/// As [`verify_delivery`].
pub(crate) async fn verify_and_keep(
    store: &Arc<dyn ObjectStore>,
    folder: &Path,
    keys: &[VerifyingKey],
    ledger_keys: Option<&[VerifyingKey]>,
) -> Result<(VerifyReport, Option<(Manifest, bytes::Bytes)>), VerifyError> {
    let mut check = Check {
        store,
        folder,
        listed: listing(store, folder).await,
        problems: Vec::new(),
        notes: Vec::new(),
    };
    let Some((manifest, bytes)) = check.manifest(keys).await? else {
        return Ok((check.report(None), None));
    };
    check.ledger(&manifest, ledger_keys);
    if let Some(mark) = &manifest.mark {
        check.note(mark.note());
    }
    if check.disposed(&manifest, keys).await? {
        return Ok((check.report(Some(&manifest)), Some((manifest, bytes))));
    }
    if let Some(keys) = &manifest.seal.keys {
        check.keys(&manifest, keys).await?;
    }
    for file in &manifest.files {
        if check.content(&file.path, file.bytes, &file.sha256).await? {
            check.form(&manifest, file).await?;
        }
    }
    check.bystanders(&manifest);
    Ok((check.report(Some(&manifest)), Some((manifest, bytes))))
}

/// A check under way, and what it found.
struct Check<'a> {
    store: &'a Arc<dyn ObjectStore>,
    folder: &'a Path,
    /// What stands in the folder; absent where the store does not let it be listed.
    listed: Option<BTreeSet<Path>>,
    problems: Vec<VerifyProblem>,
    notes: Vec<String>,
}

impl Check<'_> {
    fn problem(&mut self, kind: VerifyProblemKind, path: &str, what: impl Into<String>) {
        self.problems.push(VerifyProblem {
            kind,
            path: path.to_owned(),
            what: what.into(),
        });
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn report(self, manifest: Option<&Manifest>) -> VerifyReport {
        VerifyReport {
            valid: self.problems.is_empty(),
            grant: manifest.map(|manifest| manifest.grant.id.clone()),
            delivery: manifest.map(|manifest| manifest.delivery.clone()),
            files: manifest.map_or(0, |manifest| {
                u64::try_from(manifest.files.len()).unwrap_or(u64::MAX)
            }),
            rows: manifest.map_or(0, |manifest| manifest.rows.delivered),
            problems: self.problems,
            notes: self.notes,
        }
    }
}

#[cfg(test)]
mod tests;
