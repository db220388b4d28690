//! Files that get their names only when all of them are complete.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lockgate_connectors::ConnectorError;
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::digest::hex;
use crate::error::RunError;

/// Files and directories made here are for their owner alone: they hold what was sealed.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// The directory that files are opened into. Dropped before [`Self::publish`], nothing that was staged
/// stays.
pub(super) struct Output {
    directory: PathBuf,
    staged: Vec<Named>,
}

/// A staged file, and the name it will have.
struct Named {
    unnamed: PathBuf,
    named: PathBuf,
}

impl Drop for Named {
    fn drop(&mut self) {
        // Whatever was in the way before is the error to report.
        drop(fs::remove_file(&self.unnamed));
    }
}

impl Output {
    /// The directory, made with its parents if it isn't there.
    pub(super) fn new(directory: &Path) -> Result<Self, RunError> {
        DirBuilder::new()
            .recursive(true)
            .mode(DIRECTORY_MODE)
            .create(directory)
            .map_err(|error| failed(directory, &error))?;
        Ok(Self {
            directory: directory.to_owned(),
            staged: Vec::new(),
        })
    }

    /// Begins a file that will have that name.
    pub(super) fn stage(&mut self, name: &str) -> Result<Staged, RunError> {
        let named = self.directory.join(name);
        // Looked at early, so that nobody waits for what can't be written; decided when it is named.
        if fs::symlink_metadata(&named).is_ok() {
            return Err(exists(&named));
        }
        let (file, unnamed) = self.create(name)?;
        self.staged.push(Named {
            unnamed,
            named: named.clone(),
        });
        Ok(Staged { file, place: named })
    }

    /// A file without a name, which is gone when it is closed.
    pub(super) fn scratch(&self) -> Result<File, RunError> {
        let (file, path) = self.create("sealed")?;
        fs::remove_file(&path).map_err(|error| failed(&path, &error))?;
        Ok(file)
    }

    fn create(&self, name: &str) -> Result<(File, PathBuf), RunError> {
        let mut nonce = [0; 8];
        getrandom::fill(&mut nonce)
            .map_err(|_| failed(&self.directory, &io::Error::other("no randomness")))?;
        let path = self.directory.join(format!(".{name}.{}", hex(&nonce)));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(FILE_MODE)
            .open(&path)
            .map_err(|error| failed(&path, &error))?;
        Ok((file, path))
    }

    /// Gives all files their names, or none.
    pub(super) fn publish(self) -> Result<(), RunError> {
        let mut published = Vec::new();
        let outcome = self.staged.iter().try_for_each(|file| {
            name(file)?;
            published.push(&file.named);
            Ok(())
        });
        let outcome = outcome.and_then(|()| {
            File::open(&self.directory)
                .and_then(|directory| directory.sync_all())
                .map_err(|error| failed(&self.directory, &error))
        });
        if outcome.is_err() {
            for path in published {
                // The first error is the one to report.
                drop(fs::remove_file(path));
            }
        }
        outcome
    }
}

/// Gives a file its name, never over another.
fn name(file: &Named) -> Result<(), RunError> {
    let is_in_the_way = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let named = fs::hard_link(&file.unnamed, &file.named).or_else(|error| {
        if is_in_the_way(&error) {
            return Err(error);
        }
        // A file system without links, such as that of a stick.
        renameat_with(CWD, &file.unnamed, CWD, &file.named, RenameFlags::NOREPLACE)
            .map_err(io::Error::from)
    });
    named.map_err(|error| {
        if is_in_the_way(&error) {
            exists(&file.named)
        } else {
            failed(&file.named, &error)
        }
    })
}

/// A file being written.
pub(super) struct Staged {
    file: File,
    /// The name it will have, for errors.
    place: PathBuf,
}

impl Staged {
    /// The same file, for another thread.
    pub(super) fn try_clone(&self) -> Result<Self, RunError> {
        Ok(Self {
            file: self.writer()?,
            place: self.place.clone(),
        })
    }

    /// A handle to write with.
    pub(super) fn writer(&self) -> Result<File, RunError> {
        self.file.try_clone().map_err(|error| self.failed(&error))
    }

    pub(super) fn write_all(&mut self, bytes: &[u8]) -> Result<(), RunError> {
        let written = self.file.write_all(bytes);
        written.map_err(|error| self.failed(&error))
    }

    /// Makes the content durable.
    pub(super) fn sync(&self) -> Result<(), RunError> {
        self.file.sync_all().map_err(|error| self.failed(&error))
    }

    /// Bytes written.
    pub(super) fn length(&self) -> Result<u64, RunError> {
        let metadata = self.file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(|error| self.failed(&error))
    }

    /// What an error of the file system is to whoever reads it.
    pub(super) fn failed(&self, error: &io::Error) -> RunError {
        failed(&self.place, error)
    }
}

fn failed(path: &Path, error: &io::Error) -> RunError {
    ConnectorError::from_io(error, path.display().to_string()).into()
}

fn exists(path: &Path) -> RunError {
    RunError::Invalid {
        what: format!("{} exists and is never overwritten", path.display()),
        at: "--to".to_owned(),
        remedy: "name another directory, or move the file away".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn names_appear_when_all_files_are_complete() {
        let directory = tempfile::tempdir().unwrap();
        let to = directory.path().join("a/b");
        let mut output = Output::new(&to).unwrap();
        for name in ["one.csv", "two.csv"] {
            output
                .stage(name)
                .unwrap()
                .write_all(name.as_bytes())
                .unwrap();
        }
        assert!(names(&to).iter().all(|name| name.starts_with('.')));
        output.publish().unwrap();
        assert_eq!(names(&to), ["one.csv", "two.csv"]);
        assert_eq!(fs::read(to.join("two.csv")).unwrap(), b"two.csv");
    }

    #[test]
    fn nothing_stays_of_what_was_not_published() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(directory.path()).unwrap();
        drop(output.stage("one.csv").unwrap());
        drop(output.scratch().unwrap());
        drop(output);
        assert!(names(directory.path()).is_empty());
    }

    #[test]
    fn a_file_in_the_way_keeps_all_others_out() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(directory.path()).unwrap();
        drop(output.stage("one.csv").unwrap());
        drop(output.stage("two.csv").unwrap());
        fs::write(directory.path().join("two.csv"), "mine").unwrap();
        assert!(output.publish().is_err());
        assert_eq!(names(directory.path()), ["two.csv"]);
        assert_eq!(fs::read(directory.path().join("two.csv")).unwrap(), b"mine");
        assert!(
            Output::new(directory.path())
                .unwrap()
                .stage("two.csv")
                .is_err()
        );
    }
}
