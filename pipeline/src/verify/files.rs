//! The files that a manifest names: their bytes first, then the rows and fields they hold. Only what has
//! the stated SHA-256 is parsed.

use std::panic::{self, AssertUnwindSafe};

use futures::StreamExt as _;
use sha2::{Digest as _, Sha256};

use super::error::failed;
use super::fields::{compare_exactly, compare_fields};
use super::footer::read_footer;
use super::{Check, VerifyError, VerifyProblemKind, rows};
use crate::digest::hex;
use crate::manifest::{FileStatement, Manifest};

impl Check<'_> {
    /// Checks size and hash of a file; tells whether both are right.
    pub(super) async fn content(
        &mut self,
        path: &str,
        bytes: u64,
        sha256: &str,
    ) -> Result<bool, VerifyError> {
        let Some(found) = self.open(path).await? else {
            let what = "the manifest names it, and it is not there, or is no regular file";
            self.problem(VerifyProblemKind::Missing, path, what);
            return Ok(false);
        };
        if found.meta.size != bytes {
            let what = format!(
                "{} bytes where the manifest states {bytes}",
                found.meta.size
            );
            self.problem(VerifyProblemKind::Size, path, what);
            return Ok(false);
        }
        let mut hash = Sha256::new();
        let mut stream = found.into_stream();
        while let Some(chunk) = stream.next().await {
            hash.update(chunk.map_err(|source| failed(path, source))?);
        }
        if hex(&hash.finalize()) != sha256 {
            let what = "its SHA-256 is not the one the manifest states: it was altered or replaced";
            self.problem(VerifyProblemKind::Hash, path, what);
            return Ok(false);
        }
        Ok(true)
    }

    /// Checks that a file holds the rows and fields the manifest states.
    pub(super) async fn form(
        &mut self,
        manifest: &Manifest,
        file: &FileStatement,
    ) -> Result<(), VerifyError> {
        if manifest.seal.is_sealed() {
            self.note("files are sealed: what they hold was not checked");
            return self.seal(manifest, file).await;
        }
        if !file.path.ends_with(".parquet") {
            return self.row_form(manifest, file).await;
        }
        let Some(footer) = self.footer(file).await? else {
            return Ok(());
        };
        // Malformed metadata may make a parser panic; that is a finding, not a crash.
        let parsed = panic::catch_unwind(AssertUnwindSafe(|| read_footer(&footer)))
            .unwrap_or_else(|_| Err("its Parquet footer cannot be parsed".to_owned()));
        let Some(fields) = self.counted(file, parsed) else {
            return Ok(());
        };
        if let Err(what) = compare_fields(&fields, manifest) {
            self.problem(VerifyProblemKind::Schema, &file.path, what);
        }
        Ok(())
    }

    /// The fields of a file that could be read, its rows held to the manifest's.
    fn counted<F, W: Into<String>>(
        &mut self,
        file: &FileStatement,
        read: Result<(u64, F), W>,
    ) -> Option<F> {
        let (rows, fields) = match read {
            Ok(read) => read,
            Err(what) => {
                self.problem(VerifyProblemKind::Format, &file.path, what);
                return None;
            }
        };
        if rows != file.rows {
            let what = format!("{rows} rows where the manifest states {}", file.rows);
            self.problem(VerifyProblemKind::Rows, &file.path, what);
        }
        Some(fields)
    }

    /// Checks that a file of rows holds as many as the manifest states.
    async fn row_form(
        &mut self,
        manifest: &Manifest,
        file: &FileStatement,
    ) -> Result<(), VerifyError> {
        let Some(form) = &manifest.form else {
            self.note("the manifest does not say how files are written: rows were not counted");
            return Ok(());
        };
        if !file.path.ends_with(&format!(".{}", form.extension())) {
            let what = "it is not named as a file of the format that the manifest states";
            self.problem(VerifyProblemKind::Format, &file.path, what);
            return Ok(());
        }
        let location = self.location(&file.path);
        let looked = rows::look(self.store, location, file.bytes, &form.rows, form.bundle).await;
        let looked = looked.map_err(|source| failed(&file.path, source))?;
        let Some(fields) = self.counted(file, looked) else {
            return Ok(());
        };
        match fields {
            None => self.note(
                "fields are compared in Parquet and Arrow files only; of others, rows were counted",
            ),
            Some(found) => {
                if let Err(what) = compare_exactly(&found, manifest) {
                    self.problem(VerifyProblemKind::Schema, &file.path, what);
                }
            }
        }
        Ok(())
    }
}
