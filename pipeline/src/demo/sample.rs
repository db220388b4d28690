//! Makes one of the sites of `samples/` ready to run in another directory.
//!
//! Samples are checked in without any private key, so a copy gets fresh ones.

use std::fs;
use std::path::Path;

use super::error::DemoError;
use super::keys::{self, PeopleKeys};

/// Copies the sample into `target`, which must be absent or empty, makes the site's keys and a pair
/// for its approver and each recipient, and writes the public keys into the copy. Grants are left
/// unsigned.
///
/// # Errors
/// A target that holds something; a file that cannot be read or written.
pub fn prepare(sample: &Path, target: &Path) -> Result<PeopleKeys, DemoError> {
    require_empty(target)?;
    copy(sample, target)?;
    keys::make(target)
}

/// Makes `directory` if it is absent, and refuses one that holds anything.
pub(super) fn require_empty(directory: &Path) -> Result<(), DemoError> {
    fs::create_dir_all(directory).map_err(DemoError::io(directory))?;
    match fs::read_dir(directory)
        .map_err(DemoError::io(directory))?
        .next()
    {
        None => Ok(()),
        Some(_) => Err(DemoError::NotEmpty {
            path: directory.to_owned(),
        }),
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), DemoError> {
    for entry in fs::read_dir(from).map_err(DemoError::io(from))? {
        let entry = entry.map_err(DemoError::io(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(DemoError::io(&source))?;
        if kind.is_dir() {
            fs::create_dir(&target).map_err(DemoError::io(&target))?;
            copy(&source, &target)?;
        } else if kind.is_file() {
            fs::copy(&source, &target).map_err(DemoError::io(&source))?;
        }
    }
    Ok(())
}
