//! What guards a keyring's root, and the root itself: the key that seals every record.
//!
//! The root is random. A passphrase (Argon2id) or a key file (HKDF) makes the key that wraps it; a
//! token keeps it and never gives it out; without protection it lies beside the records, whose
//! sealing then only binds them to their names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hkdf::Hkdf;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::cipher::{self, length_prefixed};
use super::pair::{encode_line, random_secret, read_line, write_secret};
use super::token::{Token, TokenSource};
use super::{KEY_BYTES, KeyringError, SecretSource, durable_error};
use crate::durable;

/// Memory of Argon2id, in KiB: 64 MiB.
const MEMORY_KIB: u32 = 64 * 1024;

/// Passes of Argon2id over its memory.
const PASSES: u32 = 3;

/// Lanes of Argon2id.
const LANES: u32 = 4;

/// Most that a head may ask of Argon2id: it is read before it is known to be genuine.
const MEMORY_KIB_MAX: u32 = 256 * 1024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// Bytes of a salt.
const SALT_BYTES: usize = 16;

/// Fewest characters of a passphrase.
const PASSPHRASE_CHARACTERS_MIN: usize = 12;

/// Label in the file of an unprotected root.
const ROOT_LABEL: &str = "root";

/// Label of a root in a token, before its version.
const ROOT_OBJECT: &str = "lockgate-root.v";

/// Label in a key file that protects a keyring.
const KEY_FILE_LABEL: &str = "keyring";

/// What opens a keyring, as the site says.
#[derive(Debug, Clone)]
pub enum Unlock {
    /// Nothing: its files are plain.
    Plain,
    /// A passphrase.
    Passphrase(SecretSource),
    /// A key file, as [`write_key_file`] makes it.
    KeyFile(PathBuf),
    /// A token behind PKCS#11.
    Token(TokenSource),
}

impl Unlock {
    /// How it is named to people.
    pub(super) const fn named(&self) -> &'static str {
        match self {
            Self::Plain => "nothing",
            Self::Passphrase(_) => "a passphrase",
            Self::KeyFile(_) => "a key file",
            Self::Token(_) => "a token",
        }
    }

    /// Whether master keys are sealed under it.
    pub(super) const fn seals(&self) -> bool {
        !matches!(self, Self::Plain)
    }

    /// Looks whether the passphrase or the key file is there and can be used, without a keyring. A
    /// token is not asked: its pin would be tried.
    ///
    /// # Errors
    /// A secret that cannot be read, a passphrase that is too short, a file that is no key file.
    pub fn check(&self) -> Result<(), KeyringError> {
        match self {
            Self::Plain | Self::Token(_) => Ok(()),
            Self::Passphrase(source) => long_enough(&source.fetch()?),
            Self::KeyFile(path) => of_key_file(path, &[0; SALT_BYTES]).map(drop),
        }
    }
}

/// Makes a key file that can protect a keyring; never overwrites.
///
/// # Errors
/// If it exists or cannot be written.
pub fn write_key_file(path: &Path) -> Result<(), KeyringError> {
    let secret = random_secret()?;
    write_secret(path, &encode_line(KEY_FILE_LABEL, &secret))?;
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    let directory = directory.unwrap_or_else(|| Path::new("."));
    durable::sync_directory(directory).map_err(durable_error("sync", directory))
}

/// Refuses a passphrase that protects nothing.
fn long_enough(passphrase: &str) -> Result<(), KeyringError> {
    if passphrase.chars().count() < PASSPHRASE_CHARACTERS_MIN {
        return Err(KeyringError::Weak {
            characters_min: PASSPHRASE_CHARACTERS_MIN,
        });
    }
    Ok(())
}

/// Whether a file lies in a keyring's directory, or would: what opens a keyring, kept in it, opens
/// every copy of it, and is taken for one of its files.
pub fn is_within(directory: &Path, file: &Path) -> bool {
    let Ok(directory) = directory.canonicalize() else {
        return false;
    };
    // The file may not be there yet, and a link may lead to it.
    let parent = match file.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => return false,
    };
    [file, parent]
        .iter()
        .filter_map(|path| path.canonicalize().ok())
        .any(|path| path.starts_with(&directory))
}

/// How the root is guarded, as the keyring's head writes it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum Guard {
    /// It lies in a file of the keyring.
    Plain {},
    /// It is wrapped under a key made of a passphrase.
    Passphrase {
        memory_kib: u32,
        passes: u32,
        lanes: u32,
        salt: String,
        wrapped: String,
    },
    /// It is wrapped under a key made of a key file.
    KeyFile { salt: String, wrapped: String },
    /// It is an object of a token, with the id of the keyring.
    Token { keyring: String },
}

impl fmt::Debug for Guard {
    /// The kind alone: salt and wrapped root are what a passphrase is guessed by.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Guard({}, ..)", self.as_str())
    }
}

impl Guard {
    /// The word for attestations.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Plain {} => "none",
            Self::Passphrase { .. } => "passphrase",
            Self::KeyFile { .. } => "key-file",
            Self::Token { .. } => "token",
        }
    }

    /// How it is named to people.
    const fn named(&self) -> &'static str {
        match self {
            Self::Plain {} => "nothing",
            Self::Passphrase { .. } => "a passphrase",
            Self::KeyFile { .. } => "a key file",
            Self::Token { .. } => "a token",
        }
    }

    /// Whether master keys are sealed.
    pub(super) const fn seals(&self) -> bool {
        !matches!(self, Self::Plain {})
    }
}

/// The root: what seals records.
pub(super) enum Root {
    /// A key in memory.
    Software(Zeroizing<[u8; KEY_BYTES]>),
    /// An object of a token.
    Token {
        token: Arc<Token>,
        keyring: Vec<u8>,
        version: u32,
    },
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Software(_) => "Root(software, ..)",
            Self::Token { .. } => "Root(token)",
        })
    }
}

impl Root {
    /// Seals a record.
    pub(super) fn seal(&self, plaintext: &[u8], aad: &[u8]) -> Result<Vec<u8>, KeyringError> {
        match self {
            Self::Software(key) => cipher::seal(key, plaintext, aad),
            Self::Token {
                token,
                keyring,
                version,
            } => token.seal(&root_label(*version), keyring, plaintext, aad),
        }
    }

    /// Opens a record; `None` if it is not one that this root sealed with that data.
    pub(super) fn open(
        &self,
        sealed: &[u8],
        aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        match self {
            Self::Software(key) => Ok(cipher::open(key, sealed, aad)),
            Self::Token {
                token,
                keyring,
                version,
            } => token.open_sealed(&root_label(*version), keyring, sealed, aad),
        }
    }

    /// The token and the keyring's id in it.
    pub(super) fn token(&self) -> Option<(&Token, &[u8])> {
        match self {
            Self::Software(_) => None,
            Self::Token { token, keyring, .. } => Some((token, keyring)),
        }
    }
}

/// Makes a new root of that version for the keyring of that id, guarded as `unlock` says.
pub(super) fn make(
    unlock: &Unlock,
    directory: &Path,
    version: u32,
    id: &str,
) -> Result<(Guard, Root), KeyringError> {
    match unlock {
        Unlock::Plain => {
            let key = random_secret()?;
            let path = plain_root(directory, version);
            durable::remove_if_there(&path).map_err(durable_error("remove", &path))?;
            write_secret(&path, &encode_line(ROOT_LABEL, &key))?;
            Ok((Guard::Plain {}, Root::Software(key)))
        }
        Unlock::Passphrase(source) => {
            let passphrase = source.fetch()?;
            long_enough(&passphrase)?;
            let salt = salt()?;
            let wrapping = of_passphrase(&passphrase, &salt, (MEMORY_KIB, PASSES, LANES))?;
            let key = random_secret()?;
            let guard = Guard::Passphrase {
                memory_kib: MEMORY_KIB,
                passes: PASSES,
                lanes: LANES,
                salt: STANDARD.encode(salt),
                wrapped: wrap(&wrapping, &key, version)?,
            };
            Ok((guard, Root::Software(key)))
        }
        Unlock::KeyFile(path) => {
            if is_within(directory, path) {
                return Err(KeyringError::Within { path: path.clone() });
            }
            let salt = salt()?;
            let wrapping = of_key_file(path, &salt)?;
            let key = random_secret()?;
            let guard = Guard::KeyFile {
                salt: STANDARD.encode(salt),
                wrapped: wrap(&wrapping, &key, version)?,
            };
            Ok((guard, Root::Software(key)))
        }
        Unlock::Token(source) => {
            let token = Arc::new(Token::open(source)?);
            let keyring = id.as_bytes().to_vec();
            // Of a process that was killed before the root came into use.
            token.destroy(&root_label(version), &keyring)?;
            token.generate(&root_label(version), &keyring)?;
            let root = Root::Token {
                token,
                keyring,
                version,
            };
            let keyring = id.to_owned();
            Ok((Guard::Token { keyring }, root))
        }
    }
}

/// Opens the root of that version.
pub(super) fn open(
    guard: &Guard,
    unlock: &Unlock,
    directory: &Path,
    version: u32,
) -> Result<Root, KeyringError> {
    let locked = |with| KeyringError::Locked {
        with,
        directory: directory.to_owned(),
    };
    match (guard, unlock) {
        (Guard::Plain {}, Unlock::Plain) => {
            let path = plain_root(directory, version);
            let (label, key) = read_line(&path)?;
            if label != ROOT_LABEL {
                return Err(KeyringError::Altered { path });
            }
            Ok(Root::Software(key))
        }
        (
            Guard::Passphrase {
                memory_kib,
                passes,
                lanes,
                salt,
                wrapped,
            },
            Unlock::Passphrase(source),
        ) => {
            let cost = (*memory_kib, *passes, *lanes);
            let salt = STANDARD.decode(salt).unwrap_or_default();
            let wrapping = of_passphrase(&source.fetch()?, &salt, cost)?;
            unwrap(&wrapping, wrapped, version).ok_or_else(|| locked("passphrase"))
        }
        (Guard::KeyFile { salt, wrapped }, Unlock::KeyFile(path)) => {
            let salt = STANDARD.decode(salt).unwrap_or_default();
            let wrapping = of_key_file(path, &salt)?;
            unwrap(&wrapping, wrapped, version).ok_or_else(|| locked("key file"))
        }
        (Guard::Token { keyring }, Unlock::Token(source)) => {
            let token = Arc::new(Token::open(source)?);
            let id = keyring.clone().into_bytes();
            if !token.holds(&root_label(version), &id)? {
                return Err(locked("token"));
            }
            Ok(Root::Token {
                token,
                keyring: id,
                version,
            })
        }
        (guard, unlock) => Err(KeyringError::Protection {
            found: guard.named(),
            said: unlock.named(),
            directory: directory.to_owned(),
        }),
    }
}

/// Destroys what a token holds of a keyring and `is_doomed` names, but the root that is in use.
pub(super) fn clear_token(
    token: &Token,
    keyring: &[u8],
    in_use: &Root,
    is_doomed: impl Fn(&str) -> bool,
) -> Result<(), KeyringError> {
    let kept = match in_use {
        Root::Token {
            keyring: id,
            version,
            ..
        } if id == keyring => Some(root_label(*version)),
        Root::Token { .. } | Root::Software(_) => None,
    };
    for label in token.labels(keyring)? {
        if is_doomed(&label) && Some(&label) != kept.as_ref() {
            token.destroy(&label, keyring)?;
        }
    }
    Ok(())
}

/// Whether a label in a token is that of a root, which no delivery has.
pub(super) fn is_root(label: &str) -> bool {
    label.starts_with(ROOT_OBJECT)
}

/// The file of an unprotected root.
fn plain_root(directory: &Path, version: u32) -> PathBuf {
    directory.join(format!("root-{version}.key"))
}

/// The version of a root, from its label in a token.
pub(super) fn root_version(label: &str) -> Option<u32> {
    label.strip_prefix(ROOT_OBJECT)?.parse().ok()
}

fn root_label(version: u32) -> String {
    format!("{ROOT_OBJECT}{version}")
}

fn salt() -> Result<[u8; SALT_BYTES], KeyringError> {
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| KeyringError::Random {
        source: Arc::new(error.into()),
    })?;
    Ok(salt)
}

/// The wrapping key of a passphrase: Argon2id (RFC 9106).
fn of_passphrase(
    passphrase: &str,
    salt: &[u8],
    (memory_kib, passes, lanes): (u32, u32, u32),
) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
    let bearable = (MEMORY_KIB..=MEMORY_KIB_MAX).contains(&memory_kib)
        && (PASSES..=PASSES_MAX).contains(&passes)
        && (LANES..=LANES_MAX).contains(&lanes)
        && salt.len() == SALT_BYTES;
    let refused = |_| KeyringError::Fault {
        what: "Argon2 refused its parameters",
    };
    if !bearable {
        return Err(KeyringError::Secret {
            what: "the keyring asks for an Argon2id of other strength than this version makes: \
                   its head was altered, or a newer version wrote it"
                .to_owned(),
        });
    }
    let params = Params::new(memory_kib, passes, lanes, Some(KEY_BYTES)).map_err(refused)?;
    // Our own memory, so that it is wiped; asked for first, so that a machine without it is told.
    let mut memory = Zeroizing::new(Vec::<Block>::new());
    memory
        .try_reserve_exact(params.block_count())
        .map_err(|_| KeyringError::Secret {
            what: format!(
                "there are no {} MiB of memory to open the keyring by its passphrase: let something else end, and try again",
                memory_kib / 1024
            ),
        })?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            key.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .map_err(refused)?;
    Ok(key)
}

/// The wrapping key of a key file.
fn of_key_file(path: &Path, salt: &[u8]) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
    let (label, secret) = read_line(path)?;
    if label != KEY_FILE_LABEL {
        return Err(KeyringError::Malformed {
            path: path.to_owned(),
            what: "expected a key file that `lockgate keys protect --key-file` made",
        });
    }
    let mut key = Zeroizing::new([0; KEY_BYTES]);
    Hkdf::<Sha256>::new(Some(salt), secret.as_slice())
        .expand(
            &length_prefixed(&["lockgate/v1", "keyring"]),
            key.as_mut_slice(),
        )
        .map_err(|_| KeyringError::Fault {
            what: "a key could not be expanded",
        })?;
    Ok(key)
}

fn root_aad(version: u32) -> Vec<u8> {
    length_prefixed(&["lockgate/v1", "root", &version.to_string()])
}

fn wrap(
    wrapping: &[u8; KEY_BYTES],
    key: &[u8; KEY_BYTES],
    version: u32,
) -> Result<String, KeyringError> {
    Ok(STANDARD.encode(cipher::seal(wrapping, key, &root_aad(version))?))
}

fn unwrap(wrapping: &[u8; KEY_BYTES], wrapped: &str, version: u32) -> Option<Root> {
    let sealed = STANDARD.decode(wrapped).ok()?;
    let opened = cipher::open(wrapping, &sealed, &root_aad(version))?;
    cipher::key_of(&opened).map(Root::Software)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9106, section 5.3.
    #[test]
    fn argon2id_gives_the_rfcs_tag() {
        let params = argon2::ParamsBuilder::new()
            .m_cost(32)
            .t_cost(3)
            .p_cost(4)
            .output_len(32)
            .data(argon2::AssociatedData::new(&[4; 12]).unwrap())
            .build()
            .unwrap();
        let secret = [3; 8];
        let argon2 =
            Argon2::new_with_secret(&secret, Algorithm::Argon2id, Version::V0x13, params).unwrap();
        let mut tag = [0; 32];
        argon2
            .hash_password_into(&[1; 32], &[2; 16], &mut tag)
            .unwrap();
        assert_eq!(
            durable::hex(&tag),
            "0d640df58d78766c08c037a34a8b53c9d01ef0452d75b65eb52520e96b01e659"
        );
    }

    #[test]
    fn our_own_memory_gives_what_argon2_gives_by_itself() {
        let ours = of_passphrase(
            "correct horse battery",
            &[7; 16],
            (MEMORY_KIB, PASSES, LANES),
        );
        let params = Params::new(MEMORY_KIB, PASSES, LANES, Some(32)).unwrap();
        let mut plain = [0; 32];
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(b"correct horse battery", &[7; 16], &mut plain)
            .unwrap();
        assert_eq!(**ours.as_ref().unwrap(), plain);
    }

    #[test]
    fn a_head_cannot_ask_for_weaker_or_unbearable_work() {
        for cost in [
            (MEMORY_KIB - 1, PASSES, LANES),
            (MEMORY_KIB, PASSES - 1, LANES),
            (MEMORY_KIB, PASSES, LANES - 1),
            (u32::MAX, PASSES, LANES),
            (MEMORY_KIB, u32::MAX, LANES),
            (MEMORY_KIB, PASSES, u32::MAX),
            (1024 * 1024, PASSES, LANES),
        ] {
            assert!(of_passphrase("correct horse battery", &[7; 16], cost).is_err());
        }
        let cost = (MEMORY_KIB, PASSES, LANES);
        assert!(of_passphrase("correct horse battery", &[7; 15], cost).is_err());
    }

    #[test]
    fn debug_of_a_root_shows_no_key() {
        let root = Root::Software(Zeroizing::new([90; 32]));
        assert_eq!(format!("{root:?}"), "Root(software, ..)");
        let guard = Guard::KeyFile {
            salt: "c2FsdA==".to_owned(),
            wrapped: "d3JhcHBlZA==".to_owned(),
        };
        assert_eq!(format!("{guard:?}"), "Guard(key-file, ..)");
    }

    #[test]
    fn what_opens_a_keyring_is_told_to_lie_in_it() {
        let directory = tempfile::tempdir().unwrap();
        let keys = directory.path().join("keys");
        std::fs::create_dir_all(keys.join("deeper")).unwrap();
        std::fs::write(keys.join("root-1.key"), "x").unwrap();
        std::os::unix::fs::symlink(keys.join("root-1.key"), directory.path().join("link")).unwrap();
        for inside in [
            "keys/root-1.key",
            "keys/new",
            "keys/deeper/x",
            "link",
            "keys/../keys/x",
        ] {
            assert!(is_within(&keys, &directory.path().join(inside)), "{inside}");
        }
        for outside in ["keyring.key", "keys/../keyring.key", "keys-of-another/x"] {
            assert!(
                !is_within(&keys, &directory.path().join(outside)),
                "{outside}"
            );
        }
    }
}
