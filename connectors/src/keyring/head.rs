//! The head of a keyring, `keyring.json`: its generation, how its root is guarded, which versions
//! there are, and what was destroyed. Sealed under the root, so that none of it can be changed or
//! taken from another time without being noticed; only the whole keyring can be put back, and that
//! is what the generation tells.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cipher::length_prefixed;
use super::guard::{Guard, Root};
use super::pair::open_private;
use super::{KeyringError, Purpose, durable_error};
use crate::durable;

/// Name of the file.
pub(super) const HEAD: &str = "keyring.json";

/// Most bytes of a head: some hundred thousand destroyed keys.
const HEAD_BYTES_MAX: u64 = 32 << 20;

/// The one format of heads.
const FORMAT: u32 = 1;

/// What the head says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    /// How often the keyring changed.
    pub(super) generation: u64,
    /// Version of the root.
    pub(super) root: u32,
    /// How the root is guarded.
    pub(super) guard: Guard,
    /// The newest version of each purpose.
    pub(super) masters: BTreeMap<String, u32>,
    /// What was destroyed, and never comes back.
    pub(super) destroyed: BTreeSet<String>,
}

impl Head {
    /// The head of a keyring that had none.
    pub(super) fn first(guard: Guard, root: u32, masters: BTreeMap<String, u32>) -> Self {
        Self {
            format: FORMAT,
            generation: 1,
            root,
            guard,
            masters,
            destroyed: BTreeSet::new(),
        }
    }

    /// The newest version of a purpose that was ever made.
    pub(super) fn newest(&self, purpose: Purpose) -> Option<u32> {
        self.masters.get(purpose.as_str()).copied()
    }

    /// Whether a version of a purpose was destroyed.
    pub(super) fn has_destroyed(&self, purpose: Purpose, version: u32) -> bool {
        self.destroyed.contains(&master_mark(purpose, version))
    }
}

/// How the list of what was destroyed names a master key.
pub(super) fn master_mark(purpose: Purpose, version: u32) -> String {
    format!("master:{purpose}.v{version}")
}

/// A head as read, not yet known to be genuine.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Written {
    head: Head,
    tag: String,
}

impl Written {
    /// What it claims, to find the root by.
    pub(super) fn claimed(&self) -> &Head {
        &self.head
    }

    /// The head, if this root sealed it.
    pub(super) fn verify(self, root: &Root, directory: &Path) -> Result<Head, KeyringError> {
        let altered = || KeyringError::Altered {
            path: path(directory),
        };
        let sealed = STANDARD.decode(&self.tag).map_err(|_| altered())?;
        let opened = root.open(&sealed, &aad())?.ok_or_else(altered)?;
        if opened.as_slice() != digest(&self.head)?.as_slice() {
            return Err(altered());
        }
        Ok(self.head)
    }
}

/// Reads the head; `None` if the keyring has none.
pub(super) fn read(directory: &Path) -> Result<Option<Written>, KeyringError> {
    let path = path(directory);
    if !path.try_exists().map_err(durable_error("read", &path))? {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    open_private(&path)?
        .take(HEAD_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(durable_error("read", &path))?;
    let written: Option<Written> = serde_json::from_slice(&bytes).ok();
    // Only what we write ourselves, byte for byte.
    let written = written.filter(|written| {
        written.head.format == FORMAT && encode(written).is_ok_and(|own| own == bytes)
    });
    written.map(Some).ok_or(KeyringError::Altered { path })
}

/// Replaces the head in one step.
pub(super) fn write(directory: &Path, head: &Head, root: &Root) -> Result<(), KeyringError> {
    let tag = STANDARD.encode(root.seal(&digest(head)?, &aad())?);
    let written = Written {
        head: head.clone(),
        tag,
    };
    put(&path(directory), &encode(&written)?)
}

/// Writes a file of mode 0600 whole, over one that may be there.
pub(super) fn put(path: &Path, content: &[u8]) -> Result<(), KeyringError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unnamed = directory.join(format!(".{name}.new"));
    durable::remove_if_there(&unnamed)
        .and_then(|()| durable::write_new(&unnamed, content, 0o600))
        .and_then(|()| std::fs::rename(&unnamed, path))
        .and_then(|()| durable::sync_directory(directory))
        .map_err(durable_error("write", path))
}

fn path(directory: &Path) -> PathBuf {
    directory.join(HEAD)
}

fn encode(written: &Written) -> Result<Vec<u8>, KeyringError> {
    let mut bytes = serde_json::to_vec(written).map_err(|_| UNWRITABLE)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn digest(head: &Head) -> Result<[u8; 32], KeyringError> {
    let bytes = serde_json::to_vec(head).map_err(|_| UNWRITABLE)?;
    Ok(Sha256::digest(bytes).into())
}

const UNWRITABLE: KeyringError = KeyringError::Fault {
    what: "a keyring's head cannot be written",
};

fn aad() -> Vec<u8> {
    length_prefixed(&["lockgate/v1", "head"])
}
