//! Files that get their names only when all of them are complete.
//!
//! Until then they have none at all, so that a killed process leaves nothing of what was opened. Where a
//! file system has no files without names, they have hidden ones, which are removed with whatever fails;
//! a killed process leaves those.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use lockgate_connectors::ConnectorError;
use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, linkat, renameat_with};

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
    unnamed: Unnamed,
    named: PathBuf,
}

/// A file before it has its name.
enum Unnamed {
    /// It has none, and is gone when nobody holds it open any more.
    Nameless(File),
    /// It has a hidden one.
    Hidden(PathBuf),
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        if let Self::Hidden(path) = self {
            // Whatever was in the way before is the error to report.
            drop(fs::remove_file(path));
        }
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
        let (file, _hidden) = self.create("sealed")?;
        Ok(file)
    }

    fn create(&self, name: &str) -> Result<(File, Unnamed), RunError> {
        if let Some(file) = nameless(&self.directory) {
            let held = file.try_clone();
            let held = held.map_err(|error| failed(&self.directory, &error))?;
            return Ok((file, Unnamed::Nameless(held)));
        }
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
        Ok((file, Unnamed::Hidden(path)))
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

/// A file in a directory that has no name; none where the file system has no such files, or where it
/// couldn't be given one later.
fn nameless(directory: &Path) -> Option<File> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let opened = rustix::fs::open(directory, flags, Mode::from_raw_mode(FILE_MODE));
    // Whatever else is wrong with the directory, the file with a hidden name will say.
    let file = File::from(opened.ok()?);
    fs::symlink_metadata(link_of(&file)).ok()?;
    Some(file)
}

/// What leads to an open file that has no name.
fn link_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives a file its name, never over another.
fn name(file: &Named) -> Result<(), RunError> {
    let is_in_the_way = |error: &io::Error| error.kind() == io::ErrorKind::AlreadyExists;
    let named = match &file.unnamed {
        Unnamed::Nameless(open) => {
            let link = link_of(open);
            linkat(CWD, &link, CWD, &file.named, AtFlags::SYMLINK_FOLLOW).map_err(io::Error::from)
        }
        Unnamed::Hidden(path) => fs::hard_link(path, &file.named).or_else(|error| {
            if is_in_the_way(&error) {
                return Err(error);
            }
            // A file system without links, such as that of a stick.
            renameat_with(CWD, path, CWD, &file.named, RenameFlags::NOREPLACE)
                .map_err(io::Error::from)
        }),
    };
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
    fn what_was_not_published_has_no_name_even_if_nobody_removes_it() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = Output::new(directory.path()).unwrap();
        let mut staged = output.stage("one.csv").unwrap();
        staged.write_all(b"opened").unwrap();
        let is_nameless = matches!(output.staged[0].unnamed, Unnamed::Nameless(_));
        // As a killed process would.
        std::mem::forget(output);
        drop(staged);
        assert_eq!(names(directory.path()).is_empty(), is_nameless);
    }

    #[test]
    fn hidden_names_are_as_good_where_there_are_no_files_without() {
        let directory = tempfile::tempdir().unwrap();
        for (name, is_published) in [("one.csv", true), ("two.csv", false)] {
            let hidden = directory.path().join(format!(".{name}"));
            fs::write(&hidden, name).unwrap();
            let output = Output {
                directory: directory.path().to_owned(),
                staged: vec![Named {
                    unnamed: Unnamed::Hidden(hidden),
                    named: directory.path().join(name),
                }],
            };
            if is_published {
                output.publish().unwrap();
            }
        }
        assert_eq!(names(directory.path()), ["one.csv"]);
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
