//! The vaults of a site: what they are, and what is wrong with them.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use lockgate_connectors::keyring::Purpose;
use lockgate_transforms::VaultCipher;

use super::fault::{Trouble, VaultFault};
use super::label::version_of;
use super::open::{DIRECTORY, path_of, place_of};
use super::reader::VaultReader;
use super::saves::{self, Known};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::KeptVault;
use crate::site::Problem;

/// What is wrong with a vault under another one's name.
const OTHER_FILE: Trouble = Trouble::Damaged("it is another vault's file");

/// A vault, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its file, relative to the site.
    pub vault: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// What it says of itself, or why it can't be asked: a run has it open, or it can't be used.
    pub content: Result<Content, VaultFault>,
}

/// What a vault says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Consistency domain.
    pub domain: String,
    /// `grant:ID` or `join:NAME`.
    pub scope: String,
    /// Characters of its tokens.
    pub alphabet: &'static str,
    /// How many a token has.
    pub length: u32,
    /// Version of the key `encryption` that it is sealed with.
    pub key_version: u32,
    /// How many tokens it holds.
    pub tokens: u64,
    /// How many it may hold: half of all there are.
    pub tokens_max: u128,
}

/// The file names of a site's vaults, in order.
pub(super) fn file_names(installation: &Installation) -> Result<Vec<String>, VaultFault> {
    let directory = installation.site.root.join(DIRECTORY);
    let unreadable = |error: std::io::Error| Trouble::Io(error.kind()).at(DIRECTORY);
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(unreadable(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let name = entry.map_err(unreadable)?.file_name();
        if let Some(name) = name.to_str().filter(|name| version_of(name).is_some()) {
            names.push(name.to_owned());
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// The vault of a file, and what opens its entries.
pub(super) fn open(
    installation: &Installation,
    file_name: &str,
    reader: VaultReader,
) -> Result<(VaultReader, VaultCipher), RunError> {
    let place = place_of(file_name);
    if reader.id.file_name() != file_name {
        return Err(OTHER_FILE.at(&place).into());
    }
    let id = &reader.id;
    let key = installation.sealing_key_of(&id.domain, &id.scope, id.key_version)?;
    let cipher = VaultCipher::new(&key, id.form).ok_or_else(|| RunError::Internal {
        what: "a derived key has a wrong length".to_owned(),
    })?;
    reader
        .accept(&cipher)
        .map_err(|trouble| trouble.at(&place))?;
    Ok((reader, cipher))
}

/// The vaults of a site, those that can't be used among them.
///
/// # Errors
/// Their directory can't be read.
pub fn list(installation: &Installation) -> Result<Vec<Listed>, VaultFault> {
    let names = file_names(installation)?.into_iter();
    let listed = names.map(|name| {
        let (path, place) = (path_of(installation, &name), place_of(&name));
        Listed {
            bytes: path.metadata().map_or(0, |metadata| metadata.len()),
            content: content(&path, &name).map_err(|trouble| trouble.at(&place)),
            vault: place,
        }
    });
    Ok(listed.collect())
}

fn content(path: &Path, file_name: &str) -> Result<Content, Trouble> {
    let reader = VaultReader::open(path)?;
    if reader.id.file_name() != file_name {
        return Err(OTHER_FILE);
    }
    let tokens = reader.held()?;
    let id = reader.id;
    Ok(Content {
        domain: id.domain,
        scope: id.scope,
        alphabet: id.form.alphabet.as_str(),
        length: id.form.length,
        key_version: id.key_version,
        tokens,
        tokens_max: id.form.space() / 2,
    })
}

/// A problem for every vault that can't be used: its key's version is gone or another, the file isn't
/// what was written, or not what was delivered from, or others may read it. Every page is read; a
/// vault that a run has open is left out.
pub fn problems(installation: &Installation) -> Vec<Problem> {
    let names = match file_names(installation) {
        Ok(names) => names,
        Err(fault) => return vec![problem(DIRECTORY.to_owned(), fault.to_string(), None)],
    };
    let mut problems = Vec::new();
    let known = saves::known(installation).unwrap_or_else(|error| {
        if !names.is_empty() {
            let what = format!("whether token vaults are the latest can't be said: {error}");
            let hint = Some("run `lockgate ledger verify`");
            problems.push(problem("state/ledger".to_owned(), what, hint));
        }
        Known::default()
    });
    for name in &names {
        problems.extend(problem_of(installation, name, known.get(name)));
        problems.extend(exposure_of(installation, name));
    }
    // Vaults of older versions of the key may have been destroyed on purpose.
    let version = installation.sealing_version().ok();
    for (name, kept) in &known {
        if !names.contains(name) && version_of(name) == version {
            let gone = VaultFault::Gone {
                place: place_of(name),
                kept: kept.tokens,
            };
            problems.push(problem(place_of(name), gone.to_string(), None));
        }
    }
    problems
}

fn problem_of(
    installation: &Installation,
    name: &str,
    kept: Option<&KeptVault>,
) -> Option<Problem> {
    let place = place_of(name);
    let version = version_of(name)?;
    let key = installation
        .keyring()
        .get(Purpose::Encryption, Some(version));
    if let Err(error) = key {
        let hint = "put the key file back: without it, its tokens can't be turned back";
        return Some(problem(place, error.to_string(), Some(hint)));
    }
    let opened = match VaultReader::open_checked(&path_of(installation, name)) {
        Ok(reader) => open(installation, name, reader)
            .and_then(|(reader, _)| Ok(confirm(&reader, kept, &place)?)),
        Err(Trouble::InUse) => return None,
        Err(trouble) => Err(trouble.at(&place).into()),
    };
    opened
        .err()
        .map(|error| problem(place, error.to_string(), None))
}

/// Refuses a vault that isn't the one that was delivered from last.
pub(super) fn confirm(
    reader: &VaultReader,
    kept: Option<&KeptVault>,
    place: &str,
) -> Result<(), VaultFault> {
    let Some(kept) = kept else {
        return Ok(());
    };
    let trouble = |trouble: Trouble| trouble.at(place);
    let holds = reader.holds(kept).map_err(trouble)?;
    saves::confirm(holds, reader.held().map_err(trouble)?, kept, place)
}

/// A vault that others than its owner may open, as a copy put back may be.
fn exposure_of(installation: &Installation, name: &str) -> Option<Problem> {
    let mode = path_of(installation, name).metadata().ok()?.mode();
    let what = "others than its owner may read or write this token vault";
    (mode & 0o077 != 0).then(|| problem(place_of(name), what.to_owned(), Some("chmod 600")))
}

fn problem(file: String, what: String, hint: Option<&str>) -> Problem {
    Problem {
        file,
        line: 1,
        column: 1,
        what,
        hint: hint.map(str::to_owned),
    }
}
