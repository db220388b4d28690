//! What a vault says of itself: which one it is, and with which key it is sealed. None of it is
//! secret.

use lockgate_transforms::vault::{Alphabet, KEY_ID_BYTES};
use lockgate_transforms::{TokenForm, VaultCipher};
use serde::{Deserialize, Serialize};

use super::fault::Trouble;
use crate::canonical_json;
use crate::digest::{hex, sha256_hex};

/// Version of the form of vaults.
const FORMAT: u32 = 1;

/// Hexadecimal digits with which a file's name begins.
const NAME_DIGITS: usize = 32;

/// Ends the name of every vault's file.
const EXTENSION: &str = "redb";

/// Which vault.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct VaultId {
    pub(super) domain: String,
    /// `grant:ID` or `join:NAME`.
    pub(super) scope: String,
    pub(super) form: TokenForm,
    /// Version of the key `encryption`.
    pub(super) key_version: u32,
}

impl VaultId {
    /// The name of its file.
    pub(super) fn file_name(&self) -> String {
        let TokenForm { alphabet, length } = self.form;
        let begin = file_name_begin(&self.domain, &self.scope);
        format!(
            "{begin}{}-{length}.v{}.{EXTENSION}",
            alphabet.as_str(),
            self.key_version
        )
    }
}

/// How the names of all files of a domain and scope begin: names of domains are free text, so a
/// digest stands for them.
pub(super) fn file_name_begin(domain: &str, scope: &str) -> String {
    let mut parts = Vec::new();
    for part in [domain, scope] {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        parts.extend_from_slice(&length.to_be_bytes());
        parts.extend_from_slice(part.as_bytes());
    }
    let digest = sha256_hex(&parts);
    let name = digest.get(..NAME_DIGITS).unwrap_or(&digest);
    format!("{name}.")
}

/// The version of the key that a vault's file says by its name; none for other files.
pub(super) fn version_of(file_name: &str) -> Option<u32> {
    let (name, extension) = file_name.rsplit_once('.')?;
    let (_, version) = name.rsplit_once(".v")?;
    version.parse().ok().filter(|_| extension == EXTENSION)
}

/// What stands in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Label {
    format: u32,
    domain: String,
    scope: String,
    alphabet: Alphabet,
    length: u32,
    key_version: u32,
    key_id: String,
}

/// The label of a vault, to be written.
pub(super) fn write(id: &VaultId, cipher: &VaultCipher) -> Result<Vec<u8>, Trouble> {
    let label = Label {
        format: FORMAT,
        domain: id.domain.clone(),
        scope: id.scope.clone(),
        alphabet: id.form.alphabet,
        length: id.form.length,
        key_version: id.key_version,
        key_id: hex(&cipher.key_id()),
    };
    canonical_json::to_bytes(&label).map_err(|_| Trouble::Other("its label has no written form"))
}

/// Reads a label: which vault it is, and the id of its key.
pub(super) fn read(bytes: &[u8]) -> Result<(VaultId, String), Trouble> {
    let label: Label =
        canonical_json::read(bytes).map_err(|_| Trouble::Damaged("its label can't be read"))?;
    if label.format != FORMAT || label.key_id.len() != 2 * KEY_ID_BYTES {
        return Err(Trouble::Damaged("it has a form that isn't known"));
    }
    let id = VaultId {
        domain: label.domain,
        scope: label.scope,
        form: TokenForm {
            alphabet: label.alphabet,
            length: label.length,
        },
        key_version: label.key_version,
    };
    Ok((id, label.key_id))
}
