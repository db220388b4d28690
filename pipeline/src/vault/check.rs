//! The vaults of a site: what they are, and what is wrong with them.

use std::path::Path;

use lockgate_connectors::keyring::Purpose;
use lockgate_transforms::VaultCipher;

use super::fault::{Trouble, VaultFault};
use super::file::VaultReader;
use super::label::version_of;
use super::open::{DIRECTORY, path_of, place_of};
use crate::error::RunError;
use crate::installation::Installation;
use crate::site::Problem;

/// A vault, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its file, relative to the site.
    pub vault: String,
    /// Bytes of the file.
    pub bytes: u64,
    /// What it says of itself; absent where a run has it open.
    pub content: Option<Content>,
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
        return Err(Trouble::Damaged("it is another vault's file")
            .at(&place)
            .into());
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

/// The vaults of a site.
///
/// # Errors
/// One that can't be read.
pub fn list(installation: &Installation) -> Result<Vec<Listed>, RunError> {
    let names = file_names(installation)?.into_iter();
    names
        .map(|name| {
            let (path, place) = (path_of(installation, &name), place_of(&name));
            let bytes = path.metadata().map_or(0, |metadata| metadata.len());
            let content = content(&path).map_err(|trouble| trouble.at(&place))?;
            Ok(Listed {
                vault: place,
                bytes,
                content,
            })
        })
        .collect()
}

fn content(path: &Path) -> Result<Option<Content>, Trouble> {
    let reader = match VaultReader::open(path) {
        Ok(reader) => reader,
        Err(Trouble::InUse) => return Ok(None),
        Err(trouble) => return Err(trouble),
    };
    let tokens = reader.held()?;
    let id = reader.id;
    Ok(Some(Content {
        domain: id.domain,
        scope: id.scope,
        alphabet: id.form.alphabet.as_str(),
        length: id.form.length,
        key_version: id.key_version,
        tokens,
        tokens_max: id.form.space() / 2,
    }))
}

/// A problem for every vault that can't be opened: its key's version is gone or another, or the file
/// isn't what was written. Every page is read; a vault that a run has open is left out.
pub fn problems(installation: &Installation) -> Vec<Problem> {
    let names = match file_names(installation) {
        Ok(names) => names,
        Err(fault) => return vec![problem(DIRECTORY.to_owned(), fault.to_string(), None)],
    };
    names
        .iter()
        .filter_map(|name| problem_of(installation, name))
        .collect()
}

fn problem_of(installation: &Installation, name: &str) -> Option<Problem> {
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
        Ok(reader) => open(installation, name, reader),
        Err(Trouble::InUse) => return None,
        Err(trouble) => Err(trouble.at(&place).into()),
    };
    opened
        .err()
        .map(|error| problem(place, error.to_string(), None))
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
