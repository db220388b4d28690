//! The local keyring: one plain file per purpose and version.
//!
//! `PURPOSE.vN.key` holds `lockgate-key:v1:PURPOSE:BASE64`; signing purposes also have
//! `PURPOSE.pub`, one `ed25519:BASE64` per version. The highest version is used, older ones stay
//! readable, so that what was signed or derived with them can still be checked.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::cipher;
use super::pair::{encode_line, random_secret, read_line, write_secret};
use super::{
    Attestation, Destroyed, KEY_BYTES, KekAttestation, KekId, KeyProvider, KeyringError, MasterKey,
    ProviderKind, PublicKey, Purpose,
};
use crate::durable;
use crate::error::ConnectorError;

/// A directory of key files. Holds no key: each is read when asked for.
#[derive(Debug, Clone)]
pub struct LocalKeyring {
    directory: PathBuf,
}

/// A key that exists, as `keys list` shows it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyEntry {
    /// What the key is for.
    pub purpose: Purpose,
    /// Its version, from 1; the highest of a purpose is the one used.
    pub version: u32,
    /// The key file.
    pub path: PathBuf,
}

impl LocalKeyring {
    /// The keyring in `directory`, which need not exist yet. Reads nothing.
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The directory that holds the key files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Makes the next version of a purpose's key and returns its number, 1 for the first.
    ///
    /// When it returns, the key (and the public side of a signing key) has reached the disk. A
    /// crash leaves no half-written key, and no signing key whose public side is missing.
    ///
    /// # Errors
    /// If the directory can't be made or written, or existing files of the purpose are unusable.
    pub fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        Ok(self.create_next(purpose)?)
    }

    fn create_next(&self, purpose: Purpose) -> Result<u32, KeyringError> {
        self.make_directory()?;
        let _lock = self.lock()?;
        let newest = self.versions(purpose)?.last().copied().unwrap_or(0);
        let version = newest
            .checked_add(1)
            .ok_or(KeyringError::Versions { purpose })?;
        let secret = random_secret()?;
        let line = encode_line(purpose.as_str(), &secret);
        let path = self.path(purpose, version);
        // The key appears under its name last: nothing signs before the public side is there.
        let unnamed = self
            .directory
            .join(format!(".{purpose}.v{version}.key.new"));
        remove_leftover(&unnamed)?;
        write_secret(&unnamed, &line)?;
        let named = self.publish_public(purpose, &secret).and_then(|()| {
            fs::hard_link(&unnamed, &path).map_err(|source| KeyringError::Io {
                action: "create key file",
                path: path.clone(),
                source: source.into(),
            })
        });
        let removed = remove_leftover(&unnamed);
        named?;
        removed?;
        durable::sync_directory(&self.directory).map_err(|source| KeyringError::Io {
            action: "sync",
            path: self.directory.clone(),
            source: source.into(),
        })?;
        Ok(version)
    }

    /// Reads a key: of that version, or the newest.
    ///
    /// # Errors
    /// If there is none, its file is open to others than its owner, or isn't a key of the
    /// purpose.
    pub fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        Ok(self.read(purpose, version)?)
    }

    fn read(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, KeyringError> {
        let directory = || self.directory.clone();
        let versions = self.versions(purpose)?;
        let newest = *versions.last().ok_or_else(|| KeyringError::Missing {
            purpose,
            directory: directory(),
        })?;
        let version = version.unwrap_or(newest);
        if !versions.contains(&version) {
            return Err(KeyringError::MissingVersion {
                purpose,
                version,
                directory: directory(),
            });
        }
        let (label, secret) = read_line(&self.path(purpose, version))?;
        if label != purpose.as_str() {
            return Err(KeyringError::Malformed {
                path: self.path(purpose, version),
                what: "the key is for another purpose than the file's name says: restore the right file",
            });
        }
        Ok(MasterKey {
            purpose,
            version,
            secret,
        })
    }

    /// Every key, by purpose and version. Reads names, not keys.
    ///
    /// # Errors
    /// If the directory exists and can't be listed.
    pub fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        let mut entries = Vec::new();
        for &purpose in Purpose::all() {
            entries.extend(self.versions(purpose)?.into_iter().map(|version| KeyEntry {
                purpose,
                version,
                path: self.path(purpose, version),
            }));
        }
        Ok(entries)
    }

    /// The newest signing key of a purpose that signs.
    ///
    /// # Errors
    /// As [`Self::get`], and if the purpose doesn't sign.
    pub fn signing_key(&self, purpose: Purpose) -> Result<SigningKey, ConnectorError> {
        if !purpose.signs() {
            return Err(KeyringError::NotSigning { purpose }.into());
        }
        Ok(SigningKey::from_bytes(self.read(purpose, None)?.expose()))
    }

    /// The public sides of all versions of a purpose that signs, oldest first; of these any may
    /// have signed what is being verified. Needs no private key.
    ///
    /// # Errors
    /// If the purpose doesn't sign, or its `.pub` file is missing, unreadable or malformed.
    pub fn verifying_keys(&self, purpose: Purpose) -> Result<Vec<VerifyingKey>, ConnectorError> {
        Ok(self
            .public_keys(purpose)?
            .iter()
            .filter_map(PublicKey::verifying_key)
            .collect())
    }

    /// As [`Self::verifying_keys`], in the form that is written and has a fingerprint.
    ///
    /// # Errors
    /// As [`Self::verifying_keys`].
    pub fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        if !purpose.signs() {
            return Err(KeyringError::NotSigning { purpose }.into());
        }
        let keys = self.read_public(purpose)?;
        if keys.is_empty() {
            let directory = self.directory.clone();
            return Err(KeyringError::Missing { purpose, directory }.into());
        }
        Ok(keys)
    }

    fn read_public(&self, purpose: Purpose) -> Result<Vec<PublicKey>, KeyringError> {
        let path = self.public_path(purpose);
        let text = match durable::read_small(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => {
                return Err(KeyringError::Io {
                    action: "read",
                    path,
                    source: source.into(),
                });
            }
        };
        let malformed = |what| KeyringError::Malformed {
            path: path.clone(),
            what,
        };
        let text = std::str::from_utf8(&text)
            .map_err(|_| malformed("expected lines of `ed25519:BASE64`"))?;
        let mut keys = Vec::new();
        for line in text.lines() {
            let key = PublicKey::checked_parse(line)
                .ok()
                .filter(|key| key.verifying_key().is_some())
                .ok_or_else(|| malformed("expected lines of `ed25519:BASE64`"))?;
            keys.push(key);
        }
        Ok(keys)
    }

    /// Adds the public side of `secret` to the purpose's `.pub` file, replaced atomically.
    fn publish_public(
        &self,
        purpose: Purpose,
        secret: &Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<(), KeyringError> {
        if !purpose.signs() {
            return Ok(());
        }
        let mut keys = self.read_public(purpose)?;
        keys.push(PublicKey::from(&SigningKey::from_bytes(secret)));
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        let path = self.public_path(purpose);
        let unnamed = self.directory.join(format!(".{purpose}.pub.new"));
        remove_leftover(&unnamed)?;
        durable::write_new(&unnamed, text.as_bytes(), 0o644)
            .and_then(|()| fs::rename(&unnamed, &path))
            .and_then(|()| durable::sync_directory(&self.directory))
            .map_err(|source| KeyringError::Io {
                action: "write",
                path,
                source: source.into(),
            })
    }

    fn path(&self, purpose: Purpose, version: u32) -> PathBuf {
        self.directory.join(format!("{purpose}.v{version}.key"))
    }

    fn public_path(&self, purpose: Purpose) -> PathBuf {
        self.directory.join(format!("{purpose}.pub"))
    }

    /// Versions of a purpose that have a file, ascending.
    fn versions(&self, purpose: Purpose) -> Result<Vec<u32>, KeyringError> {
        let list = |source: io::Error| KeyringError::Io {
            action: "list",
            path: self.directory.clone(),
            source: source.into(),
        };
        let entries = match fs::read_dir(&self.directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(list(error)),
        };
        let mut versions = Vec::new();
        for entry in entries {
            let name = entry.map_err(list)?.file_name();
            let version = name
                .to_str()
                .and_then(|name| name.strip_prefix(purpose.as_str())?.strip_prefix(".v"))
                .and_then(|rest| rest.strip_suffix(".key"))
                .and_then(|digits| {
                    digits
                        .parse::<u32>()
                        .ok()
                        .filter(|n| n.to_string() == digits)
                });
            versions.extend(version.filter(|version| *version > 0));
        }
        versions.sort_unstable();
        Ok(versions)
    }

    fn make_directory(&self) -> Result<(), KeyringError> {
        durable::make_directories(&self.directory, 0o700).map_err(|source| KeyringError::Io {
            action: "make directory",
            path: self.directory.clone(),
            source: source.into(),
        })
    }

    /// One process at a time makes keys, so that no version is drawn twice.
    fn lock(&self) -> Result<File, KeyringError> {
        let directory = File::open(&self.directory).and_then(|file| file.lock().map(|()| file));
        directory.map_err(|source| KeyringError::Io {
            action: "lock",
            path: self.directory.clone(),
            source: source.into(),
        })
    }
}

impl LocalKeyring {
    fn kek_path(&self, id: &KekId) -> PathBuf {
        self.directory.join(KEKS).join(format!("{id}.key"))
    }

    fn kek(&self, id: &KekId) -> Result<Zeroizing<[u8; KEY_BYTES]>, KeyringError> {
        let path = self.kek_path(id);
        if !path.exists() {
            return Err(KeyringError::NoKek {
                id: id.clone(),
                directory: self.directory.clone(),
            });
        }
        Ok(read_line(&path)?.1)
    }
}

/// Directory of KEKs.
const KEKS: &str = "keks";

impl KeyProvider for LocalKeyring {
    fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        Ok(self.read(purpose, version)?)
    }

    fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        Ok(self.create_next(purpose)?)
    }

    fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        self.list()
    }

    fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        self.public_keys(purpose)
    }

    fn create_kek(&self, id: &KekId) -> Result<(), ConnectorError> {
        let path = self.kek_path(id);
        durable::make_directories(&self.directory.join(KEKS), 0o700).map_err(|source| {
            KeyringError::Io {
                action: "make directory",
                path: path.clone(),
                source: source.into(),
            }
        })?;
        if path.exists() {
            return Err(KeyringError::KekExists { id: id.clone() }.into());
        }
        Ok(write_secret(
            &path,
            &encode_line("kek", &*random_secret()?),
        )?)
    }

    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        Ok(cipher::seal(&*self.kek(id)?, key, aad)?)
    }

    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError> {
        let key = self.kek(id)?;
        let opened = cipher::open(&key, wrapped, aad).and_then(|opened| cipher::key_of(&opened));
        Ok(opened.ok_or_else(|| KeyringError::Unwrap { id: id.clone() })?)
    }

    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError> {
        remove_leftover(&self.kek_path(id))?;
        Ok(Destroyed {
            id: id.clone(),
            provider: ProviderKind::Local,
            generation: 0,
            answer: "record removed",
            trial: String::new(),
        })
    }

    fn keks(&self) -> Result<Vec<KekId>, ConnectorError> {
        Ok(Vec::new())
    }

    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError> {
        Ok(KekAttestation {
            provider: ProviderKind::Local,
            generation: 0,
            exists: self.kek_path(id).exists(),
            destroyed: false,
            extractable: true,
        })
    }

    fn attest(&self) -> Result<Attestation, ConnectorError> {
        Ok(Attestation {
            provider: ProviderKind::Local,
            protection: "none",
            generation: 0,
            root: 0,
            extractable: true,
        })
    }

    fn destroy(&self, purpose: Purpose, version: u32) -> Result<(), ConnectorError> {
        Ok(remove_leftover(&self.path(purpose, version))?)
    }

    fn rotate(&self) -> Result<u32, ConnectorError> {
        Err(ConnectorError::bug("rotation comes with protection"))
    }
}

/// Removes what an earlier process left when it was killed while making a key.
fn remove_leftover(path: &Path) -> Result<(), KeyringError> {
    durable::remove_if_there(path).map_err(|source| KeyringError::Io {
        action: "remove",
        path: path.to_owned(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::error::ErrorClass;

    fn keyring() -> (tempfile::TempDir, LocalKeyring) {
        let directory = tempfile::tempdir().unwrap();
        let keyring = LocalKeyring::open(directory.path().join("keys"));
        (directory, keyring)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn put(keyring: &LocalKeyring, name: &str, content: &[u8]) -> PathBuf {
        fs::create_dir_all(keyring.directory()).unwrap();
        let path = keyring.directory().join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    #[test]
    fn every_purpose_round_trips_in_the_written_form() {
        let (_directory, keyring) = keyring();
        for &purpose in Purpose::all() {
            assert_eq!(keyring.create(purpose).unwrap(), 1);
            let path = keyring.directory().join(format!("{purpose}.v1.key"));
            assert_eq!(mode(&path), 0o600);
            let text = fs::read_to_string(&path).unwrap();
            let key = keyring.get(purpose, None).unwrap();
            let expected = format!(
                "lockgate-key:v1:{purpose}:{}\n",
                STANDARD.encode(key.expose())
            );
            assert_eq!(text, expected);
            assert_eq!(purpose.as_str().parse::<Purpose>().unwrap(), purpose);
        }
        assert_eq!(mode(keyring.directory()), 0o700);
        let names: Vec<_> = fs::read_dir(keyring.directory()).unwrap().collect();
        assert_eq!(
            names.len(),
            Purpose::all().len() + 2,
            "keys, two .pub files, nothing else"
        );
    }

    #[test]
    fn the_highest_version_is_used_and_older_ones_stay_readable() {
        let (_directory, keyring) = keyring();
        for version in 1..=11 {
            assert_eq!(keyring.create(Purpose::Manifest).unwrap(), version);
        }
        let newest = keyring.get(Purpose::Manifest, None).unwrap();
        assert_eq!(newest.version, 11);
        let first = keyring.get(Purpose::Manifest, Some(1)).unwrap();
        assert_ne!(first.expose(), newest.expose());
        let verifying = keyring.verifying_keys(Purpose::Manifest).unwrap();
        assert_eq!(verifying.len(), 11);
        let signing = keyring.signing_key(Purpose::Manifest).unwrap();
        assert_eq!(verifying.last(), Some(&signing.verifying_key()));
        assert_eq!(keyring.list().unwrap().len(), 11);
        assert!(keyring.get(Purpose::Manifest, Some(12)).is_err());
    }

    #[test]
    fn keys_made_at_once_have_different_versions() {
        let (_directory, keyring) = keyring();
        let mut versions: Vec<u32> = std::thread::scope(|scope| {
            let makers: Vec<_> = (0..8)
                .map(|_| scope.spawn(|| keyring.create(Purpose::Ledger).unwrap()))
                .collect();
            makers
                .into_iter()
                .map(|maker| maker.join().unwrap())
                .collect()
        });
        versions.sort_unstable();
        assert_eq!(versions, (1..=8).collect::<Vec<_>>());
        assert_eq!(keyring.public_keys(Purpose::Ledger).unwrap().len(), 8);
    }

    #[test]
    fn a_missing_key_names_the_command_that_makes_it() {
        let (_directory, keyring) = keyring();
        let error = keyring.get(Purpose::Pseudonym, None).unwrap_err();
        assert!(
            error.to_string().contains("lockgate keys new pseudonym"),
            "{error}"
        );
        assert_eq!(error.class(), ErrorClass::Config);
        assert!(keyring.list().unwrap().is_empty());
        assert!(!keyring.directory().exists(), "reading makes nothing");
    }

    #[test]
    fn a_file_open_to_others_is_refused_with_the_remedy() {
        let (_directory, keyring) = keyring();
        keyring.create(Purpose::Mark).unwrap();
        let path = keyring.directory().join("mark.v1.key");
        for loose in [0o640, 0o604, 0o660, 0o644, 0o610] {
            fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
            let error = keyring.get(Purpose::Mark, None).unwrap_err().to_string();
            assert!(
                error.contains(&format!("chmod 600 {}", path.display())),
                "{error}"
            );
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(keyring.get(Purpose::Mark, None).is_ok());
    }

    #[test]
    fn malformed_files_are_located_and_never_quoted() {
        let secret = STANDARD.encode([0x5a; 32]);
        let sound = format!("lockgate-key:v1:mark:{secret}");
        let cases = [
            String::new(),
            "\n".to_owned(),
            secret.clone(),
            format!("lockgate-key:v2:mark:{secret}"),
            format!("lockgate-key:v1:fpe:{secret}"),
            format!("lockgate-key:v1:mark:{}", secret.trim_end_matches('=')),
            format!("lockgate-key:v1:mark:{}", STANDARD.encode([0x5a; 31])),
            format!("lockgate-key:v1:mark:{}", STANDARD.encode([0x5a; 33])),
            format!("{sound}\n\n"),
            format!("{sound}\n{sound}\n"),
            format!(" {sound}"),
            format!("{sound}{}", "A".repeat(1 << 20)),
        ];
        for case in cases {
            let (_directory, keyring) = keyring();
            let path = put(&keyring, "mark.v1.key", case.as_bytes());
            let error = keyring.get(Purpose::Mark, None).unwrap_err();
            let text = format!("{error} {error:?}");
            assert!(text.contains(path.to_str().unwrap()), "{text}");
            assert!(!text.contains("Wlpa"), "{text}");
        }
        let (_directory, keyring) = keyring();
        put(&keyring, "mark.v1.key", sound.as_bytes());
        assert_eq!(
            keyring.get(Purpose::Mark, None).unwrap().expose(),
            &[0x5a; 32]
        );
    }

    #[test]
    fn other_files_are_no_keys() {
        let (_directory, keyring) = keyring();
        for name in [
            "mark.v0.key",
            "mark.v01.key",
            "mark.v+1.key",
            "mark.v1.key.bak",
            "other.v1.key",
        ] {
            put(&keyring, name, b"x");
        }
        assert!(keyring.list().unwrap().is_empty());
        put(&keyring, &format!("mark.v{}.key", u32::MAX), b"x");
        assert!(keyring.create(Purpose::Mark).is_err(), "no version is left");
    }

    #[test]
    fn a_maker_killed_half_way_leaves_no_key_and_blocks_no_other() {
        let (_directory, keyring) = keyring();
        put(&keyring, ".ledger.v1.key.new", b"half");
        put(&keyring, ".ledger.pub.new", b"half");
        assert!(keyring.list().unwrap().is_empty());
        assert_eq!(keyring.create(Purpose::Ledger).unwrap(), 1);
        assert_eq!(keyring.public_keys(Purpose::Ledger).unwrap().len(), 1);
    }

    #[test]
    fn purposes_that_do_not_sign_have_no_signing_key() {
        let (_directory, keyring) = keyring();
        keyring.create(Purpose::Pseudonym).unwrap();
        assert!(keyring.signing_key(Purpose::Pseudonym).is_err());
        assert!(keyring.verifying_keys(Purpose::Pseudonym).is_err());
    }

    #[test]
    fn debug_shows_no_key() {
        let (_directory, keyring) = keyring();
        put(
            &keyring,
            "mark.v1.key",
            format!("lockgate-key:v1:mark:{}", STANDARD.encode([90; 32])).as_bytes(),
        );
        let key = keyring.get(Purpose::Mark, None).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(mark v1, ..)");
    }
}
