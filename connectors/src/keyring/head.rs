//! The head of a keyring, `keyring.json`: its id and generation, how its root is guarded, which keys
//! there are, and which master keys were destroyed. Sealed under the root, so that none of it can be
//! changed or taken from another time without being noticed; only the whole keyring can be put back,
//! and that is what the generation tells.
//!
//! Keys of deliveries come and go by the thousand, so that the head names a list of them by its hash
//! and holds none: it stays small, and what is not listed opens nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::cipher::length_prefixed;
use super::guard::{Guard, Root};
use super::pair::{open_private, random_secret};
use super::{KeyringError, PublicKey, Purpose, durable_error};
use crate::durable;

/// Name of the file.
pub(super) const HEAD: &str = "keyring.json";

/// Most bytes of a head. Those of the former format grew with every key that was destroyed.
const HEAD_BYTES_MAX: u64 = 32 << 20;

/// The format that heads are written in.
const FORMAT: u32 = 2;

/// The format before, which is read and taken over by the first change.
const FORMER_FORMAT: u32 = 1;

/// What the list of a head of the former format begins a master key's entry with.
const MASTER: &str = "master:";

/// Bytes of an id.
const ID_BYTES: usize = 16;

/// What the head says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    format: u32,
    /// Names the keyring's objects in a token. Made with the first head, and never changed: what a
    /// killed process left in a token is found by it.
    pub(super) id: String,
    /// How often the keyring changed. Making a key of a delivery is no change of it.
    pub(super) generation: u64,
    /// What its last change was.
    pub(super) change: String,
    /// Version of the root.
    pub(super) root: u32,
    /// How the root is guarded.
    pub(super) guard: Guard,
    /// The newest version of each purpose.
    pub(super) masters: BTreeMap<String, u32>,
    /// Master keys that were destroyed, and never come back.
    pub(super) destroyed: BTreeSet<String>,
    /// The public keys of each purpose that signs, oldest first: whoever can write to the directory
    /// adds none.
    pub(super) public: BTreeMap<String, Vec<PublicKey>>,
    /// Which keys of deliveries there are.
    pub(super) keks: KekList,
    /// A key of a delivery that was taken off the list last: a killed process may have left it.
    pub(super) going: Option<String>,
    /// Label of a token that may hold keys of this keyring besides those in use: of a root that was
    /// replaced, or of a `protect` that did not come to its end.
    pub(super) leaving: Option<String>,
    /// Keys of deliveries that a head of the former format says were destroyed: it lists no others.
    #[serde(skip)]
    pub(super) former: Option<BTreeSet<String>>,
}

/// A list of keys of deliveries, by its hash.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KekList {
    /// SHA-256 of the list; empty where it is.
    pub(super) sha256: String,
    /// How many keys it names.
    pub(super) count: u64,
}

/// What a head of the former format says.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FormerHead {
    format: u32,
    generation: u64,
    root: u32,
    guard: Guard,
    masters: BTreeMap<String, u32>,
    destroyed: BTreeSet<String>,
}

impl Head {
    /// The head of a keyring that had none.
    pub(super) fn first(id: String, (guard, root): (Guard, u32), change: &str) -> Self {
        Self {
            format: FORMAT,
            id,
            generation: 1,
            change: change.to_owned(),
            root,
            guard,
            masters: BTreeMap::new(),
            destroyed: BTreeSet::new(),
            public: BTreeMap::new(),
            keks: KekList::default(),
            going: None,
            leaving: None,
            former: None,
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

    /// The public keys of a purpose; none of one that does not sign.
    pub(super) fn public_keys(&self, purpose: Purpose) -> &[PublicKey] {
        let keys = self.public.get(purpose.as_str());
        keys.map_or(&[][..], Vec::as_slice)
    }
}

impl From<FormerHead> for Head {
    fn from(former: FormerHead) -> Self {
        let (masters, keks) = former
            .destroyed
            .into_iter()
            .partition(|mark| mark.starts_with(MASTER));
        let id = match &former.guard {
            Guard::Token { keyring } => keyring.clone(),
            Guard::Plain {} | Guard::Passphrase { .. } | Guard::KeyFile { .. } => String::new(),
        };
        Self {
            generation: former.generation,
            masters: former.masters,
            destroyed: masters,
            former: Some(keks),
            ..Self::first(id, (former.guard, former.root), "")
        }
    }
}

/// How the list of what was destroyed names a master key.
pub(super) fn master_mark(purpose: Purpose, version: u32) -> String {
    format!("{MASTER}{purpose}.v{version}")
}

/// The id of a new keyring.
pub(super) fn new_id() -> Result<String, KeyringError> {
    let random = random_secret()?;
    Ok(durable::hex(random.get(..ID_BYTES).unwrap_or_default()))
}

/// A head as read, not yet known to be genuine.
#[derive(Debug)]
pub(super) struct Written {
    head: Head,
    /// SHA-256 of the head as it is written, which is what the tag is over.
    digest: [u8; 32],
    tag: String,
}

/// What the file holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Form<H> {
    head: H,
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
        if opened.as_slice() != self.digest.as_slice() {
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
    parse(&bytes, directory).map(Some)
}

/// The head in a file's bytes.
pub(super) fn parse(bytes: &[u8], directory: &Path) -> Result<Written, KeyringError> {
    parsed(bytes).ok_or_else(|| KeyringError::Altered {
        path: path(directory),
    })
}

fn parsed(bytes: &[u8]) -> Option<Written> {
    if let Some(Form { head, tag }) = exact::<Head>(bytes) {
        let digest = digest(&head).ok()?;
        return (head.format == FORMAT).then_some(Written { head, digest, tag });
    }
    let Form { head, tag } = exact::<FormerHead>(bytes)?;
    let digest = digest(&head).ok()?;
    (head.format == FORMER_FORMAT).then(|| Written {
        head: head.into(),
        digest,
        tag,
    })
}

/// Only what we write ourselves, byte for byte.
fn exact<H: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<Form<H>> {
    let form: Form<H> = serde_json::from_slice(bytes).ok()?;
    encode(&form).is_ok_and(|own| own == bytes).then_some(form)
}

/// The bytes of the file, sealed under a root.
pub(super) fn seal(head: &Head, root: &Root) -> Result<Vec<u8>, KeyringError> {
    let tag = STANDARD.encode(root.seal(&digest(head)?, &aad())?);
    encode(&Form { head, tag })
}

/// Replaces the head in one step.
pub(super) fn write(directory: &Path, head: &Head, root: &Root) -> Result<(), KeyringError> {
    write_sealed(directory, &seal(head, root)?)
}

/// Replaces the head by what [`seal`] gave.
pub(super) fn write_sealed(directory: &Path, sealed: &[u8]) -> Result<(), KeyringError> {
    put(&path(directory), sealed)
}

/// Writes a file of mode 0600 whole, over one that may be there.
pub(super) fn put(path: &Path, content: &[u8]) -> Result<(), KeyringError> {
    put_as(path, content, 0o600)
}

/// As [`put`], of another mode.
pub(super) fn put_as(path: &Path, content: &[u8], mode: u32) -> Result<(), KeyringError> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unnamed = directory.join(format!(".{name}.new"));
    durable::remove_if_there(&unnamed)
        .and_then(|()| durable::write_new(&unnamed, content, mode))
        .and_then(|()| std::fs::rename(&unnamed, path))
        .and_then(|()| durable::sync_directory(directory))
        .map_err(durable_error("write", path))
}

/// Whether a name is one that [`put`] gives a file before it is complete.
pub(super) fn is_unnamed(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(".new")
}

fn path(directory: &Path) -> PathBuf {
    directory.join(HEAD)
}

fn encode<H: Serialize>(form: &Form<H>) -> Result<Vec<u8>, KeyringError> {
    let mut bytes = serde_json::to_vec(form).map_err(|_| UNWRITABLE)?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn digest<H: Serialize>(head: &H) -> Result<[u8; 32], KeyringError> {
    let bytes = serde_json::to_vec(head).map_err(|_| UNWRITABLE)?;
    Ok(Sha256::digest(bytes).into())
}

const UNWRITABLE: KeyringError = KeyringError::Fault {
    what: "a keyring's head cannot be written",
};

fn aad() -> Vec<u8> {
    length_prefixed(&["lockgate/v1", "head"])
}

/// Writes a head in the former format, with these keys of deliveries destroyed.
#[cfg(test)]
pub(super) fn write_former(directory: &Path, head: &Head, root: &Root, destroyed: &[String]) {
    let head = FormerHead {
        format: FORMER_FORMAT,
        generation: head.generation,
        root: head.root,
        guard: head.guard.clone(),
        masters: head.masters.clone(),
        destroyed: head.destroyed.iter().chain(destroyed).cloned().collect(),
    };
    let tag = STANDARD.encode(root.seal(&digest(&head).unwrap(), &aad()).unwrap());
    put(&path(directory), &encode(&Form { head, tag }).unwrap()).unwrap();
}
