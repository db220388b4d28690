//! The local keyring: files of the site, plain or protected.
//!
//! Plain, `PURPOSE.vN.key` holds `lockgate-key:v1:PURPOSE:BASE64`; under a passphrase or a key file
//! the keys are sealed records. Signing purposes also have `PURPOSE.pub`, one `ed25519:BASE64` per
//! version. The highest version is used, older ones stay readable, so that what was signed or
//! derived with them can still be checked. Keys of deliveries (KEKs) are records in either case.

use std::path::{Path, PathBuf};

use ed25519_dalek::{SigningKey, VerifyingKey};
use zeroize::Zeroizing;

use super::guard::Unlock;
use super::store::Store;
use super::{
    Attestation, Destroyed, KEY_BYTES, KekAttestation, KekId, KeyProvider, MasterKey, PublicKey,
    Purpose,
};
use crate::error::ConnectorError;

/// A directory of keys. Reads each when it is asked for, and holds the opened root, if there is one.
#[derive(Debug)]
pub struct LocalKeyring {
    store: Store,
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
    /// The plain keyring in `directory`, which need not exist yet. Reads nothing.
    pub fn open(directory: impl Into<PathBuf>) -> Self {
        Self::protected(directory, Unlock::Plain)
    }

    /// The keyring in `directory`, opened by `unlock` when something is asked of it. Reads nothing.
    pub fn protected(directory: impl Into<PathBuf>, unlock: Unlock) -> Self {
        Self {
            store: Store::new(directory.into(), unlock),
        }
    }

    /// The directory that holds the key files.
    pub fn directory(&self) -> &Path {
        self.store.directory()
    }

    /// Makes the next version of a purpose's key and returns its number, 1 for the first.
    ///
    /// When it returns, the key (and the public side of a signing key) has reached the disk. A
    /// crash leaves no half-written key, and no signing key whose public side is missing.
    ///
    /// # Errors
    /// If the directory can't be made or written, or existing files of the purpose are unusable.
    pub fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        Ok(self
            .store
            .changing(|state| self.store.create(state, purpose))?)
    }

    /// Reads a key: of that version, or the newest.
    ///
    /// # Errors
    /// If there is none, its file is open to others than its owner, or isn't a key of the
    /// purpose.
    pub fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        Ok(self
            .store
            .reading(|state| self.store.master(state, purpose, version))?)
    }

    /// Every key, by purpose and version. Reads names, not keys.
    ///
    /// # Errors
    /// If the directory exists and can't be listed.
    pub fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        Ok(self.store.reading(|state| self.store.list(state))?)
    }

    /// The newest signing key of a purpose that signs.
    ///
    /// # Errors
    /// As [`Self::get`], and if the purpose doesn't sign.
    pub fn signing_key(&self, purpose: Purpose) -> Result<SigningKey, ConnectorError> {
        KeyProvider::signing_key(self, purpose)
    }

    /// The public sides of all versions of a purpose that signs, oldest first; of these any may
    /// have signed what is being verified. Needs no private key.
    ///
    /// # Errors
    /// If the purpose doesn't sign, or its `.pub` file is missing, unreadable or malformed.
    pub fn verifying_keys(&self, purpose: Purpose) -> Result<Vec<VerifyingKey>, ConnectorError> {
        KeyProvider::verifying_keys(self, purpose)
    }

    /// As [`Self::verifying_keys`], in the form that is written and has a fingerprint.
    ///
    /// # Errors
    /// As [`Self::verifying_keys`].
    pub fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        Ok(self.store.public_keys(purpose)?)
    }
}

impl KeyProvider for LocalKeyring {
    fn get(&self, purpose: Purpose, version: Option<u32>) -> Result<MasterKey, ConnectorError> {
        self.get(purpose, version)
    }

    fn create(&self, purpose: Purpose) -> Result<u32, ConnectorError> {
        self.create(purpose)
    }

    fn list(&self) -> Result<Vec<KeyEntry>, ConnectorError> {
        self.list()
    }

    fn public_keys(&self, purpose: Purpose) -> Result<Vec<PublicKey>, ConnectorError> {
        self.public_keys(purpose)
    }

    fn create_kek(&self, id: &KekId) -> Result<(), ConnectorError> {
        Ok(self.store.create_kek(id)?)
    }

    fn wrap(
        &self,
        id: &KekId,
        key: &[u8; KEY_BYTES],
        aad: &[u8],
    ) -> Result<Vec<u8>, ConnectorError> {
        Ok(self.store.wrap(id, key, aad)?)
    }

    fn unwrap(
        &self,
        id: &KekId,
        wrapped: &[u8],
        aad: &[u8],
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, ConnectorError> {
        Ok(self.store.unwrap(id, wrapped, aad)?)
    }

    fn destroy_kek(&self, id: &KekId) -> Result<Destroyed, ConnectorError> {
        Ok(self.store.destroy_kek(id)?)
    }

    fn keks(&self) -> Result<Vec<KekId>, ConnectorError> {
        Ok(self.store.keks()?)
    }

    fn attest_kek(&self, id: &KekId) -> Result<KekAttestation, ConnectorError> {
        Ok(self.store.attest_kek(id)?)
    }

    fn attest(&self) -> Result<Attestation, ConnectorError> {
        Ok(self.store.attest()?)
    }

    fn destroy(&self, purpose: Purpose, version: u32) -> Result<(), ConnectorError> {
        Ok(self
            .store
            .changing(|state| self.store.destroy(state, purpose, version))?)
    }

    fn rotate(&self) -> Result<u32, ConnectorError> {
        Ok(self.store.rotate()?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
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
