//! Small pieces of the file system that keyring, publication and the program's own state share: files
//! that are complete and on the disk, or not there.

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Most bytes read by [`read_small`].
const SMALL_BYTES_MAX: u64 = 1 << 20;

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String never fails.
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// Whether the text is an id: `[A-Za-z0-9][A-Za-z0-9._-]{0,63}`, so never a path.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() <= 64
        && text.starts_with(|first: char| first.is_ascii_alphanumeric())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Makes the names in a directory durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates a file with that content and mode (less the umask) and syncs it; the directory is
/// the caller's to sync. Fails if the file exists; removes it again if it can't be completed.
pub(crate) fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        // The first error is the one to report.
        drop(std::fs::remove_file(path));
    }
    written
}

/// Writes a file whole, over one that may be there: beside it, synced, renamed, the directory synced.
///
/// # Errors
/// It can't be written; what was there before still is.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|_| io::Error::other("no randomness"))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let staged = directory.join(format!(".{name}.{}", hex(&nonce)));
    write_new(&staged, content, 0o666)?;
    let renamed = std::fs::rename(&staged, path);
    if renamed.is_err() {
        // The first error is the one to report.
        drop(std::fs::remove_file(&staged));
    }
    renamed?;
    sync_directory(directory)
}

/// Removes a file; one that isn't there is fine.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Reads a file that is known to be small; a larger one is an error.
pub(crate) fn read_small(path: &Path) -> io::Result<Vec<u8>> {
    read_bounded(path, SMALL_BYTES_MAX)
}

/// Reads a file of at most so many bytes.
///
/// # Errors
/// It can't be read, is larger, or is no regular file.
pub fn read_bounded(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let too_large = || {
        io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("the file is larger than {most} bytes"),
        )
    };
    let found = std::fs::metadata(path)?;
    // Opening a pipe would wait for whoever writes to it.
    if !found.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    if found.len() > most {
        return Err(too_large());
    }
    // It may grow meanwhile, and some file systems don't say how large a file is.
    let mut content = Vec::new();
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|length| length > most) {
        return Err(too_large());
    }
    Ok(content)
}

/// Makes a directory and its missing parents, each synced into its parent.
///
/// # Errors
/// One can't be made, or something else has its name.
pub fn make_directories(path: &Path, mode: u32) -> io::Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(parent, mode)?;
    }
    make_directory(path, mode)
}

/// Makes one directory and syncs it into its parent; one that exists is fine.
pub(crate) fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {
            return Ok(());
        }
        made => made?,
    }
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    sync_directory(parent.unwrap_or_else(|| Path::new(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_never_a_path() {
        for id in ["G-2026-0117", "a", "0", "a..b", &"a".repeat(64)] {
            assert!(is_id(id), "{id}");
        }
        for other in [
            "",
            ".",
            "..",
            "a/b",
            "a\\b",
            "-a",
            "_a",
            "a b",
            "甲",
            &"a".repeat(65),
        ] {
            assert!(!is_id(other), "{other}");
        }
    }
}
