//! Making a vault, so that a kill leaves a whole one or none.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;

use lockgate_transforms::VaultCipher;
use redb::Database;

use super::fault::Trouble;
use super::label::{self, VaultId};
use super::saves;
use super::store::{ENTRIES, LABEL, LABEL_NAME, NO_RANDOMNESS, PROVIDERS, TOKENS};
use crate::digest::hex;

/// Makes an empty vault, for its owner alone, under another name, and gives it its own once it is
/// whole. Where another process was first, its vault stands.
pub(super) fn create(path: &Path, id: &VaultId, cipher: &VaultCipher) -> Result<(), Trouble> {
    let failed = |error: io::Error| Trouble::Io(error.kind());
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    make_directory(directory).map_err(failed)?;
    let mut nonce = [0; 8];
    getrandom::fill(&mut nonce).map_err(|_| NO_RANDOMNESS)?;
    let staged = directory.join(format!("{}{}", staged_name(path), hex(&nonce)));
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&staged)
        .map_err(failed)?;
    let made = fill(&staged, id, cipher).and_then(|()| match fs::hard_link(&staged, path) {
        // Not found: who was first has swept it.
        Err(error) if !matches!(error.kind(), ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
            Err(failed(error))
        }
        Ok(()) | Err(_) => Ok(()),
    });
    // The first error is the one to report.
    drop(fs::remove_file(&staged));
    made?;
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(failed)
}

/// Writes what every vault has.
fn fill(path: &Path, id: &VaultId, cipher: &VaultCipher) -> Result<(), Trouble> {
    let database = Database::create(path).map_err(Trouble::of)?;
    let write = database.begin_write().map_err(Trouble::of)?;
    {
        let mut labels = write.open_table(LABEL).map_err(Trouble::of)?;
        let label = label::write(id, cipher)?;
        labels
            .insert(LABEL_NAME, label.as_slice())
            .map_err(Trouble::of)?;
        write.open_table(PROVIDERS).map_err(Trouble::of)?;
        write.open_table(ENTRIES).map_err(Trouble::of)?;
        write.open_table(TOKENS).map_err(Trouble::of)?;
        saves::add(&write)?;
    }
    write.commit().map_err(Trouble::of)?;
    database.close().map_err(Trouble::of)
}

/// How the name begins that a vault has until it is whole.
fn staged_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.")
}

/// Removes what killed processes left while they made this vault. It is held, so nobody needs it.
pub(super) fn sweep(path: &Path) {
    let begin = staged_name(path);
    let entries = path
        .parent()
        .and_then(|directory| fs::read_dir(directory).ok());
    for entry in entries.into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(&begin) {
            // Left again, it is swept next time.
            drop(fs::remove_file(entry.path()));
        }
    }
}

/// Makes the directory of vaults where there is none, for its owner alone.
fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(directory)?;
    match directory.parent() {
        Some(above) => File::open(above)?.sync_all(),
        None => Ok(()),
    }
}
