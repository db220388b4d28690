//! What a protected keyring must refuse, and what must survive a killed process.

mod token;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use zeroize::Zeroizing;

use super::guard::Root;
use super::head::{Head, write_former};
use super::*;
use crate::error::ErrorClass;

/// What the tests look for where no secret may be.
const PASSPHRASE: &str = "correct horse battery staple";

const AAD: &[u8] = b"part-00000.parquet, footer";

struct Room {
    directory: TempDir,
}

impl Room {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        write_key_file(&directory.path().join("keyring.key")).unwrap();
        Self { directory }
    }

    /// A room with a keyring of every purpose, `mark` twice.
    fn full() -> Self {
        let room = Self::new();
        let keyring = room.plain();
        for &purpose in Purpose::all() {
            keyring.create(purpose).unwrap();
        }
        keyring.create(Purpose::Mark).unwrap();
        room
    }

    /// A full room whose keyring is protected by the key file.
    fn protected() -> Self {
        let room = Self::full();
        protect(&room.keys(), &Unlock::Plain, &room.key_file()).unwrap();
        room
    }

    fn keys(&self) -> PathBuf {
        self.directory.path().join("keys")
    }

    fn key_file(&self) -> Unlock {
        Unlock::KeyFile(self.directory.path().join("keyring.key"))
    }

    fn plain(&self) -> LocalKeyring {
        LocalKeyring::open(self.keys())
    }

    fn opened(&self) -> LocalKeyring {
        LocalKeyring::protected(self.keys(), self.key_file())
    }

    fn copy(&self, name: &str) -> PathBuf {
        let to = self.directory.path().join(name);
        copy(&self.keys(), &to);
        to
    }

    /// Puts a copy of the keyring's directory back.
    fn restore(&self, name: &str) {
        fs::remove_dir_all(self.keys()).unwrap();
        copy(&self.directory.path().join(name), &self.keys());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(
                files(&entry.path())
                    .into_iter()
                    .map(|inner| format!("{name}/{inner}")),
            );
        } else {
            found.push(name);
        }
    }
    found.sort();
    found
}

fn passphrase(text: &str) -> Unlock {
    let text = text.to_owned();
    Unlock::Passphrase(SecretSource::new(move || Ok(Zeroizing::new(text.clone()))))
}

/// Every master key, as bytes.
fn all_keys(keyring: &dyn KeyProvider) -> Vec<(Purpose, u32, [u8; KEY_BYTES])> {
    let entries = keyring.list().unwrap();
    let read = |entry: &KeyEntry| {
        let key = keyring.get(entry.purpose, Some(entry.version)).unwrap();
        (entry.purpose, entry.version, *key.expose())
    };
    entries.iter().map(read).collect()
}

fn kek(number: u32) -> KekId {
    KekId::new(&"d".repeat(32), &format!("{number:016x}")).unwrap()
}

/// The list of deliveries' keys, of root 1.
fn list_of(room: &Room) -> String {
    let mut names = files(&room.keys()).into_iter();
    names.find(|name| name.starts_with("root-1/keks-")).unwrap()
}

fn head_and_root(room: &Room, unlock: Unlock) -> (Head, std::sync::Arc<Root>) {
    let store = Store::new(room.keys(), unlock);
    let read = store.reading(|state| {
        let headed = state.headed().unwrap();
        Ok((headed.head.clone(), std::sync::Arc::clone(&headed.root)))
    });
    read.unwrap()
}

fn class(error: &ConnectorError) -> ErrorClass {
    error.class()
}

#[test]
fn protection_changes_how_keys_lie_and_not_what_they_are() {
    let room = Room::full();
    let before = all_keys(&room.plain());
    let signing = room.plain().signing_key(Purpose::Manifest).unwrap();
    let told = protect(&room.keys(), &Unlock::Plain, &room.key_file()).unwrap();
    assert_eq!(
        (told.protection, told.generation, told.root),
        ("key-file", 1, 1)
    );
    assert_eq!(all_keys(&room.opened()), before);
    let opened = room.opened();
    assert_eq!(opened.signing_key(Purpose::Manifest).unwrap(), signing);
    assert_eq!(
        opened.public_keys(Purpose::Manifest).unwrap(),
        [PublicKey::from(&signing)]
    );
    let names = files(&room.keys());
    assert!(
        names
            .iter()
            .all(|name| !name.ends_with(".key") || name.starts_with("root-1/")),
        "{names:?}"
    );
    for name in &names {
        let bytes = fs::read(room.keys().join(name)).unwrap();
        for (_, _, key) in &before {
            assert!(!bytes.windows(32).any(|window| window == key), "{name}");
            let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
            assert!(
                !String::from_utf8_lossy(&bytes).contains(&encoded),
                "{name}"
            );
        }
    }
}

#[test]
fn a_passphrase_protects_and_can_be_changed() {
    let room = Room::full();
    let before = all_keys(&room.plain());
    protect(&room.keys(), &Unlock::Plain, &passphrase(PASSPHRASE)).unwrap();
    let opened = LocalKeyring::protected(room.keys(), passphrase(PASSPHRASE));
    assert_eq!(all_keys(&opened), before);
    let wrong = LocalKeyring::protected(room.keys(), passphrase("correct horse battery stable"));
    let error = wrong.get(Purpose::Mark, None).unwrap_err();
    assert_eq!(class(&error), ErrorClass::Denied);
    assert!(!format!("{error} {error:?} {wrong:?}").contains("horse"));

    let told = protect(&room.keys(), &passphrase(PASSPHRASE), &room.key_file()).unwrap();
    assert_eq!((told.generation, told.root), (2, 2));
    assert_eq!(all_keys(&room.opened()), before);
    assert!(
        opened.get(Purpose::Mark, None).is_err(),
        "the old passphrase opens nothing"
    );
    let told = protect(&room.keys(), &room.key_file(), &Unlock::Plain).unwrap();
    assert_eq!((told.protection, told.generation), ("none", 3));
    assert_eq!(all_keys(&room.plain()), before);
    assert!(
        files(&room.keys())
            .iter()
            .all(|name| !name.starts_with("root-2"))
    );
}

#[test]
fn a_short_passphrase_changes_nothing() {
    let room = Room::full();
    let before = files(&room.keys());
    let error = protect(&room.keys(), &Unlock::Plain, &passphrase("hunter2")).unwrap_err();
    assert!(!error.to_string().contains("hunter2"), "{error}");
    assert_eq!(files(&room.keys()), before);
}

#[test]
fn what_the_site_says_and_what_the_keyring_is_must_agree() {
    let room = Room::protected();
    for unlock in [Unlock::Plain, passphrase(PASSPHRASE)] {
        let error = LocalKeyring::protected(room.keys(), unlock)
            .get(Purpose::Mark, None)
            .unwrap_err();
        assert_eq!(class(&error), ErrorClass::Config);
        assert!(error.to_string().contains("a key file"), "{error}");
    }
    let other = Room::full();
    let error = other.opened().get(Purpose::Mark, None).unwrap_err();
    assert!(error.to_string().contains("keys protect"), "{error}");
    // Another key file is another key.
    let foreign = LocalKeyring::protected(room.keys(), other.key_file());
    assert_eq!(
        class(&foreign.get(Purpose::Mark, None).unwrap_err()),
        ErrorClass::Denied
    );
}

#[test]
fn any_flipped_byte_of_a_record_or_of_the_head_is_refused() {
    let room = Room::protected();
    room.opened().create_kek(&kek(1)).unwrap();
    let wrapped = room.opened().wrap(&kek(1), &[7; 32], AAD).unwrap();
    for name in [
        "keyring.json".to_owned(),
        "root-1/mark.v2.key".to_owned(),
        format!("root-1/keks/{}.key", kek(1)),
        list_of(&room),
    ] {
        let path = room.keys().join(&name);
        let sound = fs::read(&path).unwrap();
        for index in 0..sound.len() {
            for flip in [1, 0x20, 0x80] {
                let mut altered = sound.clone();
                altered[index] ^= flip;
                fs::write(&path, &altered).unwrap();
                let opened = room.opened();
                let refused = opened.get(Purpose::Mark, None).is_err()
                    || opened.unwrap(&kek(1), &wrapped, AAD).is_err();
                assert!(refused, "{name}, byte {index}");
            }
        }
        for length in 0..sound.len() {
            fs::write(&path, &sound[..length]).unwrap();
            let opened = room.opened();
            let refused = opened.get(Purpose::Mark, None).is_err()
                || opened.unwrap(&kek(1), &wrapped, AAD).is_err();
            assert!(refused, "{name}, cut at {length}");
        }
        fs::write(&path, &sound).unwrap();
    }
    assert_eq!(
        *room.opened().unwrap(&kek(1), &wrapped, AAD).unwrap(),
        [7; 32]
    );
}

#[test]
fn any_flipped_byte_of_a_plain_keyrings_head_or_root_is_refused() {
    let room = Room::full();
    room.plain().create_kek(&kek(1)).unwrap();
    let wrapped = room.plain().wrap(&kek(1), &[7; 32], AAD).unwrap();
    for name in [
        "keyring.json".to_owned(),
        "root-1.key".to_owned(),
        format!("root-1/keks/{}.key", kek(1)),
    ] {
        let path = room.keys().join(&name);
        let sound = fs::read(&path).unwrap();
        // The line feed at the end of a key file may be missing.
        for index in 0..sound.len() - 1 {
            let mut altered = sound.clone();
            altered[index] ^= 1;
            fs::write(&path, &altered).unwrap();
            assert!(
                room.plain().unwrap(&kek(1), &wrapped, AAD).is_err(),
                "{name}, byte {index}"
            );
        }
        fs::write(&path, &sound).unwrap();
    }
    assert!(room.plain().unwrap(&kek(1), &wrapped, AAD).is_ok());
}

#[test]
fn a_record_serves_under_its_own_name_and_root_alone() {
    let room = Room::protected();
    let root = room.keys().join("root-1");
    room.copy("earlier");
    fs::copy(root.join("fpe.v1.key"), root.join("mark.v2.key")).unwrap();
    let error = room.opened().get(Purpose::Mark, None).unwrap_err();
    assert_eq!(class(&error), ErrorClass::Integrity);
    fs::copy(root.join("mark.v1.key"), root.join("mark.v2.key")).unwrap();
    assert!(room.opened().get(Purpose::Mark, None).is_err());

    room.restore("earlier");
    assert_eq!(room.opened().rotate().unwrap(), 2);
    let earlier = room.directory.path().join("earlier/root-1/mark.v2.key");
    fs::copy(earlier, room.keys().join("root-2/mark.v2.key")).unwrap();
    assert!(room.opened().get(Purpose::Mark, None).is_err());
}

#[test]
fn the_newest_key_taken_away_does_not_bring_an_older_one_into_use() {
    let room = Room::protected();
    fs::remove_file(room.keys().join("root-1/mark.v2.key")).unwrap();
    let opened = room.opened();
    let error = opened.get(Purpose::Mark, None).unwrap_err();
    assert!(error.to_string().contains("version 2"), "{error}");
    assert!(opened.get(Purpose::Mark, Some(1)).is_ok());
}

#[test]
fn a_plain_file_beside_a_protected_keyring_is_not_used() {
    let room = Room::protected();
    let foreign = Room::new();
    foreign.plain().create(Purpose::Mark).unwrap();
    for name in ["mark.v2.key", "mark.v3.key"] {
        fs::copy(foreign.keys().join("mark.v1.key"), room.keys().join(name)).unwrap();
    }
    let planted = *foreign.plain().get(Purpose::Mark, None).unwrap().expose();
    let used = room.opened().get(Purpose::Mark, None).unwrap();
    assert_eq!(used.version, 2);
    assert_ne!(*used.expose(), planted);
    assert_eq!(plain_key_files(&room.keys()).unwrap().len(), 2);
    // Nor are they removed for what they are not.
    let error = protect(&room.keys(), &room.key_file(), &room.key_file()).unwrap_err();
    assert!(error.to_string().contains("move it away"), "{error}");
    assert!(room.keys().join("mark.v2.key").exists());
}

#[test]
fn new_keys_of_a_protected_keyring_are_records() {
    let room = Room::protected();
    let opened = room.opened();
    assert_eq!(opened.create(Purpose::Mark).unwrap(), 3);
    assert_eq!(opened.create(Purpose::Ledger).unwrap(), 2);
    assert_eq!(opened.get(Purpose::Mark, None).unwrap().version, 3);
    assert_eq!(opened.public_keys(Purpose::Ledger).unwrap().len(), 2);
    assert_eq!(opened.attest().unwrap().generation, 3);
    assert!(plain_key_files(&room.keys()).unwrap().is_empty());
}

#[test]
fn a_keyring_that_is_to_be_protected_begins_protected() {
    let room = Room::new();
    let opened = room.opened();
    let error = opened.get(Purpose::Mark, None).unwrap_err();
    assert!(error.to_string().contains("keys new mark"), "{error}");
    assert_eq!(opened.create(Purpose::Mark).unwrap(), 1);
    assert!(opened.get(Purpose::Mark, None).is_ok());
    assert!(plain_key_files(&room.keys()).unwrap().is_empty());
}

#[test]
fn files_open_to_others_are_refused() {
    let room = Room::protected();
    room.opened().create_kek(&kek(1)).unwrap();
    let plain = Room::full();
    plain.plain().create_kek(&kek(1)).unwrap();
    let kek_record = format!("root-1/keks/{}.key", kek(1));
    let key_file = room.directory.path().join("keyring.key");
    for path in [
        room.keys().join("keyring.json"),
        room.keys().join("root-1/mark.v2.key"),
        room.keys().join(&kek_record),
        key_file,
        plain.keys().join("root-1.key"),
        plain.keys().join("keyring.json"),
    ] {
        let try_all = || {
            room.opened().get(Purpose::Mark, None)?;
            room.opened().wrap(&kek(1), &[7; 32], AAD)?;
            plain.plain().wrap(&kek(1), &[7; 32], AAD)
        };
        assert!(try_all().is_ok());
        for mode in [0o640, 0o604, 0o660] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = try_all().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Keyrings whose deliveries' keys are records.
fn each(test: impl Fn(&Room, &dyn Fn() -> LocalKeyring)) {
    let room = Room::full();
    test(&room, &|| room.plain());
    let room = Room::protected();
    test(&room, &|| room.opened());
}

#[test]
fn a_key_wrapped_for_one_place_opens_there_alone() {
    each(|_, open| {
        let keyring = open();
        keyring.create_kek(&kek(1)).unwrap();
        keyring.create_kek(&kek(2)).unwrap();
        let wrapped = keyring.wrap(&kek(1), &[7; 32], AAD).unwrap();
        assert_eq!(wrapped.len(), 60);
        assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
        for (id, aad) in [(kek(1), &b"elsewhere"[..]), (kek(2), AAD)] {
            let error = keyring.unwrap(&id, &wrapped, aad).unwrap_err();
            assert_eq!(class(&error), ErrorClass::Integrity);
        }
        assert!(keyring.unwrap(&kek(3), &wrapped, AAD).is_err());
        assert!(keyring.wrap(&kek(1), &[7; 32], b"").is_err());
        for index in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[index] ^= 1;
            assert!(keyring.unwrap(&kek(1), &altered, AAD).is_err(), "{index}");
            assert!(keyring.unwrap(&kek(1), &wrapped[..index], AAD).is_err());
        }
        assert_ne!(keyring.wrap(&kek(1), &[7; 32], AAD).unwrap(), wrapped);
        assert!(keyring.create_kek(&kek(1)).is_err(), "an id is taken once");
        assert_eq!(keyring.keks().unwrap(), [kek(1), kek(2)]);
    });
}

#[test]
fn a_destroyed_key_opens_nothing_and_does_not_come_back() {
    each(|room, open| {
        let keyring = open();
        keyring.create_kek(&kek(1)).unwrap();
        let wrapped = keyring.wrap(&kek(1), &[7; 32], AAD).unwrap();
        let name = files(&room.keys())
            .into_iter()
            .find(|name| name.contains("keks/"))
            .unwrap();
        let record = room.keys().join(name);
        let backup = fs::read(&record).unwrap();
        let before = keyring.attest().unwrap().generation;

        let destroyed = keyring.destroy_kek(&kek(1)).unwrap();
        assert_eq!(destroyed.generation, before + 1);
        assert!(destroyed.trial.contains("is gone"), "{}", destroyed.trial);
        assert!(destroyed.trial.contains("destroyed"), "{}", destroyed.trial);
        assert!(!record.exists());
        assert!(keyring.unwrap(&kek(1), &wrapped, AAD).is_err());
        let told = keyring.attest_kek(&kek(1)).unwrap();
        assert!(told.destroyed && !told.exists);

        // Its record is put back from a backup.
        fs::write(&record, &backup).unwrap();
        fs::set_permissions(&record, fs::Permissions::from_mode(0o600)).unwrap();
        let error = open().unwrap(&kek(1), &wrapped, AAD).unwrap_err();
        assert!(error.to_string().contains("was destroyed"), "{error}");
        assert!(open().wrap(&kek(1), &[7; 32], AAD).is_err());
        let told = open().attest_kek(&kek(1)).unwrap();
        assert!(
            told.exists && told.destroyed,
            "it is there, and opens nothing"
        );
        // Asked again it removes what was put back, and says that it was no key of the keyring.
        let again = open().destroy_kek(&kek(1)).unwrap();
        assert_eq!(again.generation, destroyed.generation);
        assert_eq!(again.answer, "was not among the keyring's keys");
        assert!(!record.exists());
        // So does whatever is changed next.
        fs::write(&record, &backup).unwrap();
        open().create_kek(&kek(2)).unwrap();
        assert!(!record.exists());
        // Nor does a new root take it over.
        fs::write(&record, &backup).unwrap();
        fs::set_permissions(&record, fs::Permissions::from_mode(0o600)).unwrap();
        open().rotate().unwrap();
        assert!(open().unwrap(&kek(1), &wrapped, AAD).is_err());
        assert!(
            open().attest_kek(&kek(9)).unwrap().destroyed,
            "there never was one"
        );
    });
}

#[test]
fn rotation_wraps_records_anew_and_what_was_wrapped_still_opens() {
    each(|room, open| {
        open().create_kek(&kek(1)).unwrap();
        let wrapped = open().wrap(&kek(1), &[7; 32], AAD).unwrap();
        let keys = all_keys(&open());
        let before = open().attest().unwrap();
        assert_eq!(open().rotate().unwrap(), before.root + 1);
        let after = open().attest().unwrap();
        assert_eq!(after.generation, before.generation + 1);
        assert_eq!(after.protection, before.protection);
        assert_eq!(all_keys(&open()), keys);
        assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
        let left = format!("root-{}", before.root);
        assert!(
            files(&room.keys())
                .iter()
                .all(|name| !name.starts_with(&left)),
            "nothing of the earlier root is left"
        );
    });
}

#[test]
fn a_destroyed_master_key_does_not_come_back() {
    each(|room, open| {
        let path = open().list().unwrap();
        let second = path
            .iter()
            .find(|entry| entry.purpose == Purpose::Mark && entry.version == 2)
            .unwrap();
        let backup = fs::read(&second.path).unwrap();
        KeyProvider::destroy(&open(), Purpose::Mark, 2).unwrap();
        assert_eq!(open().get(Purpose::Mark, None).unwrap().version, 1);
        let destroyed = open().list().unwrap();
        assert_eq!(destroyed.len(), path.len() - 1);
        fs::write(&second.path, backup).unwrap();
        fs::set_permissions(&second.path, fs::Permissions::from_mode(0o600)).unwrap();
        let error = open().get(Purpose::Mark, Some(2)).unwrap_err();
        assert!(error.to_string().contains("was destroyed"), "{error}");
        assert_eq!(open().get(Purpose::Mark, None).unwrap().version, 1);
        fs::remove_file(&second.path).unwrap();
        assert_eq!(
            open().create(Purpose::Mark).unwrap(),
            3,
            "numbers are not given twice"
        );
        assert!(KeyProvider::destroy(&open(), Purpose::Mark, 9).is_err());
        assert!(room.keys().exists());
    });
}

#[test]
fn a_generation_only_rises_and_an_earlier_keyring_has_a_lower_one() {
    let room = Room::protected();
    let mut last = room.opened().attest().unwrap().generation;
    room.copy("earlier");
    room.opened().create_kek(&kek(1)).unwrap();
    assert_eq!(room.opened().attest().unwrap().generation, last);
    let steps: [&dyn Fn(); 4] = [
        &|| assert_eq!(room.opened().create(Purpose::Fpe).unwrap(), 2),
        &|| drop(room.opened().destroy_kek(&kek(1)).unwrap()),
        &|| assert_eq!(room.opened().rotate().unwrap(), 2),
        &|| KeyProvider::destroy(&room.opened(), Purpose::Fpe, 1).unwrap(),
    ];
    for step in steps {
        step();
        let now = room.opened().attest().unwrap().generation;
        assert_eq!(now, last + 1);
        last = now;
    }
    room.restore("earlier");
    assert!(room.opened().attest().unwrap().generation < last);
}

#[test]
fn a_process_killed_while_protecting_leaves_a_keyring_that_works() {
    let before = Room::full();
    let keys = all_keys(&before.plain());
    before.copy("plain");
    protect(&before.keys(), &Unlock::Plain, &before.key_file()).unwrap();
    before.copy("after");

    // Killed before the head: records are there, nobody speaks of them.
    before.restore("plain");
    let records = before.directory.path().join("after/root-1");
    copy(&records, &before.keys().join("root-1"));
    fs::remove_file(before.keys().join("root-1/fpe.v1.key")).unwrap();
    fs::write(before.keys().join("root-1/.mark.v1.key.new"), "half").unwrap();
    fs::write(before.keys().join(".keyring.json.new"), "half").unwrap();
    assert_eq!(all_keys(&before.plain()), keys);
    protect(&before.keys(), &Unlock::Plain, &before.key_file()).unwrap();
    assert_eq!(all_keys(&before.opened()), keys);

    // Killed after the head: plain files are still there.
    before.restore("after");
    copy(&before.directory.path().join("plain"), &before.keys());
    assert_eq!(all_keys(&before.opened()), keys);
    assert_eq!(plain_key_files(&before.keys()).unwrap().len(), keys.len());
    protect(&before.keys(), &before.key_file(), &before.key_file()).unwrap();
    assert!(plain_key_files(&before.keys()).unwrap().is_empty());
    assert_eq!(all_keys(&before.opened()), keys);
}

#[test]
fn a_process_killed_while_rotating_leaves_a_keyring_that_works() {
    each(|room, open| {
        open().create_kek(&kek(1)).unwrap();
        let wrapped = open().wrap(&kek(1), &[7; 32], AAD).unwrap();
        let keys = all_keys(&open());
        let works = || {
            assert_eq!(all_keys(&open()), keys);
            assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
        };
        room.copy("before");
        open().rotate().unwrap();
        room.copy("after");
        let kept = |from: &str, name: &str| {
            let from = room.directory.path().join(from).join(name);
            let to = room.keys().join(name);
            match from.is_dir() {
                true => copy(&from, &to),
                false if from.exists() => drop(fs::copy(&from, &to).unwrap()),
                false => {}
            }
        };

        // Killed before the head: the new root is there, and not in use.
        room.restore("before");
        kept("after", "root-2");
        kept("after", "root-2.key");
        works();
        assert_eq!(open().rotate().unwrap(), 2);
        works();

        // Killed after the head: the earlier root is still there, until something is changed next.
        room.restore("after");
        kept("before", "root-1");
        kept("before", "root-1.key");
        works();
        open().create_kek(&kek(2)).unwrap();
        assert!(!room.keys().join("root-1").exists());
        assert!(!room.keys().join("root-1.key").exists());
        works();
    });
}

#[test]
fn a_key_half_made_is_made_by_whoever_comes_next() {
    let room = Room::protected();
    room.copy("before");
    room.opened().create(Purpose::Ledger).unwrap();
    room.copy("after");
    room.restore("before");
    // The record is there, the head does not know it.
    let name = "root-1/ledger.v2.key";
    let after = room.directory.path().join("after");
    fs::copy(after.join(name), room.keys().join(name)).unwrap();
    assert_eq!(room.opened().get(Purpose::Ledger, None).unwrap().version, 1);
    assert_eq!(room.opened().create(Purpose::Ledger).unwrap(), 2);
    let opened = room.opened();
    let public = opened.public_keys(Purpose::Ledger).unwrap();
    let signing = opened.signing_key(Purpose::Ledger).unwrap();
    assert_eq!(public.len(), 2);
    assert_eq!(public.last(), Some(&PublicKey::from(&signing)));

    // The head knows it, and the public key is not published yet.
    room.restore("after");
    let earlier = room.directory.path().join("before/ledger.pub");
    fs::copy(earlier, room.keys().join("ledger.pub")).unwrap();
    let opened = room.opened();
    let signing = opened.signing_key(Purpose::Ledger).unwrap();
    let public = opened.public_keys(Purpose::Ledger).unwrap();
    assert_eq!(public.last(), Some(&PublicKey::from(&signing)));
    room.opened().create_kek(&kek(1)).unwrap();
    let line = format!("{}\n", PublicKey::from(&signing));
    let published = fs::read_to_string(room.keys().join("ledger.pub")).unwrap();
    assert!(published.ends_with(&line), "{published}");
}

#[test]
fn a_public_key_that_the_keyring_does_not_know_is_refused() {
    let foreign = Room::full();
    let line = fs::read_to_string(foreign.keys().join("manifest.pub")).unwrap();
    each(|room, open| {
        open().create_kek(&kek(1)).unwrap();
        let path = room.keys().join("manifest.pub");
        let own = fs::read_to_string(&path).unwrap();
        for altered in [format!("{own}{line}"), line.clone()] {
            fs::write(&path, altered).unwrap();
            let error = open().signing_key(Purpose::Manifest).unwrap_err();
            assert_eq!(class(&error), ErrorClass::Integrity);
            assert!(error.to_string().contains("manifest.pub"), "{error}");
            assert!(open().create(Purpose::Manifest).is_err());
        }
        // One that is lost is written again, with every version on its line.
        fs::remove_file(&path).unwrap();
        assert_eq!(open().create(Purpose::Manifest).unwrap(), 2);
        let lines = fs::read_to_string(&path).unwrap();
        assert!(
            lines.starts_with(&own) && lines.lines().count() == 2,
            "{lines}"
        );
    });
    // Where no head holds them, the private keys tell.
    let room = Room::full();
    fs::write(room.keys().join("manifest.pub"), &line).unwrap();
    let error = room.plain().signing_key(Purpose::Manifest).unwrap_err();
    assert_eq!(class(&error), ErrorClass::Integrity);
    assert!(room.plain().create_kek(&kek(1)).is_err());
    fs::remove_file(room.keys().join("manifest.pub")).unwrap();
    assert_eq!(room.plain().create(Purpose::Manifest).unwrap(), 2);
    let keyring = room.plain();
    let public = keyring.public_keys(Purpose::Manifest).unwrap();
    let first = keyring.get(Purpose::Manifest, Some(1)).unwrap();
    let first = ed25519_dalek::SigningKey::from_bytes(first.expose());
    assert_eq!(public[0], PublicKey::from(&first));
}

#[test]
fn a_second_name_of_a_key_does_not_outlive_it() {
    let room = Room::full();
    let key = *room.plain().get(Purpose::Mark, Some(1)).unwrap().expose();
    let encoded = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, key);
    let second = room.keys().join(".mark.v1.key.new");
    fs::hard_link(room.keys().join("mark.v1.key"), second).unwrap();
    protect(&room.keys(), &Unlock::Plain, &room.key_file()).unwrap();
    for name in files(&room.keys()) {
        let text = fs::read(room.keys().join(&name)).unwrap();
        let text = String::from_utf8_lossy(&text).into_owned();
        assert!(!text.contains(&encoded), "{name}");
    }
}

#[test]
fn what_is_destroyed_is_removed_by_the_next_change_wherever_it_was_put_back() {
    each(|room, open| {
        let path = open().list().unwrap();
        let first = path
            .iter()
            .find(|entry| entry.purpose == Purpose::Mark && entry.version == 1)
            .unwrap();
        let backup = fs::read(&first.path).unwrap();
        KeyProvider::destroy(&open(), Purpose::Mark, 1).unwrap();
        // A process that was killed between the two steps left it.
        fs::write(&first.path, &backup).unwrap();
        fs::set_permissions(&first.path, fs::Permissions::from_mode(0o600)).unwrap();
        // Asked again, the same destruction ends.
        let before = open().attest().unwrap().generation;
        KeyProvider::destroy(&open(), Purpose::Mark, 1).unwrap();
        assert!(!first.path.exists());
        assert_eq!(open().attest().unwrap().generation, before);
        fs::write(&first.path, &backup).unwrap();
        open().create(Purpose::Fpe).unwrap();
        assert!(!first.path.exists());
        // A plain file beside does not keep the keyring from being protected.
        let beside = room.keys().join("mark.v1.key");
        fs::write(&beside, "lockgate-key:v1:mark:x\n").unwrap();
        open().rotate().unwrap();
        assert!(!beside.exists());
    });
}

#[test]
fn what_opens_a_keyring_does_not_lie_in_it() {
    let room = Room::full();
    room.plain().create_kek(&kek(1)).unwrap();
    let keys = all_keys(&room.plain());
    let inside = room.keys().join("root-1.key");
    let error = protect(&room.keys(), &Unlock::Plain, &Unlock::KeyFile(inside)).unwrap_err();
    assert_eq!(class(&error), ErrorClass::Config);
    assert!(error.to_string().contains("apart"), "{error}");
    assert_eq!(all_keys(&room.plain()), keys);
}

#[test]
fn a_head_does_not_grow_with_what_was_destroyed() {
    let room = Room::protected();
    let opened = room.opened();
    let head = || {
        fs::metadata(room.keys().join("keyring.json"))
            .unwrap()
            .len()
    };
    opened.create_kek(&kek(0)).unwrap();
    opened.destroy_kek(&kek(0)).unwrap();
    let before = head();
    for number in 1..20 {
        opened.create_kek(&kek(number)).unwrap();
        opened.destroy_kek(&kek(number)).unwrap();
    }
    // The generation may have a digit more.
    assert!(head() <= before + 2 && head() < 4096, "{}", head());
    assert!(opened.keks().unwrap().is_empty());
    // Of lists, the one that the head names last is left at most.
    opened.create_kek(&kek(30)).unwrap();
    opened.create_kek(&kek(31)).unwrap();
    let names = files(&room.keys());
    let lists = names.iter().filter(|name| name.contains("/keks-"));
    assert!(lists.count() <= 2, "{names:?}");
}

#[test]
fn a_lost_list_or_an_earlier_one_is_noticed() {
    let room = Room::protected();
    room.opened().create_kek(&kek(1)).unwrap();
    let wrapped = room.opened().wrap(&kek(1), &[7; 32], AAD).unwrap();
    let earlier = list_of(&room);
    let earlier_bytes = fs::read(room.keys().join(&earlier)).unwrap();
    room.opened().destroy_kek(&kek(1)).unwrap();
    room.opened().create_kek(&kek(2)).unwrap();
    let path = room.keys().join(list_of(&room));
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &earlier_bytes).unwrap();
    let error = room.opened().unwrap(&kek(1), &wrapped, AAD).unwrap_err();
    assert_eq!(class(&error), ErrorClass::Integrity);
    fs::remove_file(&path).unwrap();
    assert!(room.opened().keks().is_err());
    assert!(room.opened().create_kek(&kek(3)).is_err());
    fs::write(&path, bytes).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(room.opened().keks().unwrap(), [kek(2)]);
}

#[test]
fn a_head_of_the_former_format_is_read_and_taken_over_by_the_first_change() {
    for is_plain in [true, false] {
        let room = if is_plain {
            Room::full()
        } else {
            Room::protected()
        };
        let unlock = || {
            if is_plain {
                Unlock::Plain
            } else {
                room.key_file()
            }
        };
        let open = || LocalKeyring::protected(room.keys(), unlock());
        open().create_kek(&kek(1)).unwrap();
        open().create_kek(&kek(2)).unwrap();
        let keys = all_keys(&open());
        let wrapped = open().wrap(&kek(1), &[7; 32], AAD).unwrap();
        let gone = open().wrap(&kek(2), &[8; 32], AAD).unwrap();
        KeyProvider::destroy(&open(), Purpose::Mark, 1).unwrap();
        let (head, root) = head_and_root(&room, unlock());
        write_former(&room.keys(), &head, &root, &[format!("kek:{}", kek(2))]);
        fs::remove_file(room.keys().join(list_of(&room))).unwrap();

        let works = |format: u32| {
            let text = fs::read_to_string(room.keys().join("keyring.json")).unwrap();
            assert!(text.contains(&format!("\"format\":{format},")), "{text}");
            assert_eq!(all_keys(&open()).len(), keys.len() - 1);
            assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
            let error = open().unwrap(&kek(2), &gone, AAD).unwrap_err();
            assert!(error.to_string().contains("was destroyed"), "{error}");
            assert!(open().get(Purpose::Mark, Some(1)).is_err());
            assert_eq!(open().keks().unwrap(), [kek(1)]);
            assert_eq!(open().attest().unwrap().generation, head.generation);
            assert_eq!(open().public_keys(Purpose::Ledger).unwrap().len(), 1);
        };
        works(1);
        let record = room.keys().join(format!("root-1/keks/{}.key", kek(2)));
        assert!(record.exists());
        assert!(open().create_kek(&kek(1)).is_err(), "there is one");
        works(2);
        assert!(!record.exists(), "what is not listed is removed");
        open().destroy_kek(&kek(1)).unwrap();
        assert_eq!(open().attest().unwrap().generation, head.generation + 1);
        let (taken, _) = head_and_root(&room, unlock());
        assert_eq!(taken.public_keys(Purpose::Manifest).len(), 1);
        assert_eq!(taken.id.len(), 32);
    }
}

#[test]
fn where_a_token_may_hold_a_copy_nothing_is_said_to_be_destroyed() {
    let room = Room::protected();
    room.opened().create_kek(&kek(1)).unwrap();
    let store = Store::new(room.keys(), room.key_file());
    let announced = store.changing(|state| {
        let mut headed = store.headed(state, "")?;
        store.advance(&mut headed, String::new(), |head| {
            head.leaving = Some("elsewhere".to_owned());
        })
    });
    announced.unwrap();
    assert_eq!(
        room.opened().attest().unwrap().left_in.as_deref(),
        Some("elsewhere")
    );
    let error = room.opened().destroy_kek(&kek(1)).unwrap_err();
    assert!(error.to_string().contains("`elsewhere`"), "{error}");
    // Nor is it forgotten over another protection.
    protect(&room.keys(), &room.key_file(), &room.key_file()).unwrap();
    assert!(room.opened().destroy_kek(&kek(1)).is_err());
    assert_eq!(room.opened().keks().unwrap(), [kek(1)]);
}

#[test]
fn what_was_refused_is_not_tried_again() {
    use std::sync::atomic::{AtomicUsize, Ordering};

    let room = Room::full();
    protect(&room.keys(), &Unlock::Plain, &passphrase(PASSPHRASE)).unwrap();
    let tries = std::sync::Arc::new(AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&tries);
    let wrong = Unlock::Passphrase(SecretSource::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Zeroizing::new("another passphrase".to_owned()))
    }));
    let opened = LocalKeyring::protected(room.keys(), wrong);
    for _ in 0..3 {
        let error = opened.list().unwrap_err();
        assert_eq!(class(&error), ErrorClass::Denied);
    }
    assert_eq!(tries.load(Ordering::Relaxed), 1);
}

#[test]
fn a_lost_head_is_told_and_nothing_begun_over_what_it_spoke_of() {
    each(|room, open| {
        open().create_kek(&kek(1)).unwrap();
        let wrapped = open().wrap(&kek(1), &[7; 32], AAD).unwrap();
        let path = room.keys().join("keyring.json");
        let head = fs::read(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(open().create_kek(&kek(2)).is_err());
        assert!(open().rotate().is_err());
        fs::write(&path, head).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
    });
}

#[test]
fn everything_plain_that_a_killed_process_left_is_named() {
    let room = Room::full();
    room.plain().create_kek(&kek(1)).unwrap();
    room.copy("before");
    protect(&room.keys(), &Unlock::Plain, &room.key_file()).unwrap();
    let before = room.directory.path().join("before");
    copy(&before.join("root-1"), &room.keys().join("root-1"));
    fs::copy(before.join("root-1.key"), room.keys().join("root-1.key")).unwrap();
    fs::write(room.keys().join("root-2/.mark.v1.key.new"), "half").unwrap();
    let mut named: Vec<String> = plain_key_files(&room.keys())
        .unwrap()
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    named.sort();
    assert_eq!(named, [".mark.v1.key.new", "root-1", "root-1.key"]);
    room.opened().create_kek(&kek(2)).unwrap();
    assert!(plain_key_files(&room.keys()).unwrap().is_empty());
}

#[test]
fn the_id_of_a_deliverys_key_is_two_hexadecimal_numbers() {
    assert!(kek(1).as_str().parse::<KekId>().is_ok());
    for other in [
        "mark.v9",
        "a.b",
        "",
        &"d".repeat(48),
        &format!("{}.{}", "D".repeat(32), "0".repeat(16)),
        &format!("{}.{}", "d".repeat(32), "0".repeat(17)),
        &format!("{}.{}.{}", "d".repeat(32), "0".repeat(8), "0".repeat(7)),
    ] {
        assert!(other.parse::<KekId>().is_err(), "{other}");
    }
}

#[test]
fn keys_of_deliveries_move_with_the_keyring() {
    let room = Room::full();
    room.plain().create_kek(&kek(1)).unwrap();
    let wrapped = room.plain().wrap(&kek(1), &[7; 32], AAD).unwrap();
    room.plain().create_kek(&kek(2)).unwrap();
    room.plain().destroy_kek(&kek(2)).unwrap();
    protect(&room.keys(), &Unlock::Plain, &room.key_file()).unwrap();
    assert_eq!(
        *room.opened().unwrap(&kek(1), &wrapped, AAD).unwrap(),
        [7; 32]
    );
    assert!(room.opened().attest_kek(&kek(2)).unwrap().destroyed);
    assert!(
        !room.keys().join("root-1.key").exists(),
        "the plain root is gone"
    );
}

#[test]
fn many_at_once_neither_lose_nor_mix_up_keys() {
    let room = Room::protected();
    std::thread::scope(|scope| {
        for number in 0..6 {
            let room = &room;
            scope.spawn(move || {
                let keyring = room.opened();
                keyring.create_kek(&kek(number)).unwrap();
                let wrapped = keyring.wrap(&kek(number), &[7; 32], AAD).unwrap();
                if number % 3 == 0 {
                    keyring.rotate().unwrap();
                }
                assert!(keyring.unwrap(&kek(number), &wrapped, AAD).is_ok());
                if number % 2 == 0 {
                    keyring.destroy_kek(&kek(number)).unwrap();
                }
            });
        }
    });
    assert_eq!(room.opened().keks().unwrap(), [kek(1), kek(3), kek(5)]);
    assert_eq!(room.opened().attest().unwrap().generation, 1 + 2 + 3);
}

#[test]
fn neither_debug_nor_errors_show_a_key() {
    let room = Room::full();
    let mut secrets: Vec<[u8; KEY_BYTES]> = Vec::new();
    secrets.extend(all_keys(&room.plain()).iter().map(|(_, _, key)| *key));
    protect(&room.keys(), &Unlock::Plain, &passphrase(PASSPHRASE)).unwrap();
    let opened = LocalKeyring::protected(room.keys(), passphrase(PASSPHRASE));
    opened.create_kek(&kek(1)).unwrap();
    let wrapped = opened.wrap(&kek(1), &[0x5a; 32], AAD).unwrap();
    secrets.push([0x5a; 32]);
    let master = opened.get(Purpose::Mark, None).unwrap();
    let mut texts = vec![
        format!("{opened:?}"),
        format!("{:#?}", opened),
        format!("{master:?}"),
        format!("{:?}", passphrase(PASSPHRASE)),
        format!("{:?}", opened.attest().unwrap()),
        format!("{:?}", opened.attest_kek(&kek(1)).unwrap()),
    ];
    let mut errors = vec![
        opened.unwrap(&kek(1), &wrapped, b"elsewhere").unwrap_err(),
        opened.create_kek(&kek(1)).unwrap_err(),
        opened.get(Purpose::Mark, Some(9)).unwrap_err(),
        LocalKeyring::protected(room.keys(), passphrase("another passphrase"))
            .get(Purpose::Mark, None)
            .unwrap_err(),
    ];
    let record = room.keys().join("root-1/mark.v2.key");
    fs::write(&record, "lockgate-record:v1:AAAA\n").unwrap();
    errors.push(opened.get(Purpose::Mark, None).unwrap_err());
    texts.push(format!("{:?}", opened.destroy_kek(&kek(1)).unwrap()));
    errors.push(opened.unwrap(&kek(1), &wrapped, AAD).unwrap_err());
    texts.extend(errors.iter().map(|error| format!("{error} {error:?}")));
    for text in &texts {
        assert!(!text.contains("horse"), "{text}");
        assert!(!text.contains("another passphrase"), "{text}");
        for secret in &secrets {
            assert!(!holds(text, secret), "{text}");
        }
    }
    // The scan finds what is there.
    assert!(holds(&format!("{:?}", [0x5a_u8; 32]), &[0x5a; 32]));
    assert!(holds(&crate::durable::hex(&[0x5a; 32]), &[0x5a; 32]));
}

/// Whether a text shows a secret as bytes, hexadecimal, base64 or a list of numbers.
fn holds(text: &str, secret: &[u8; KEY_BYTES]) -> bool {
    use base64::Engine as _;

    let list = secret[..8].iter().map(ToString::to_string);
    let forms = [
        crate::durable::hex(&secret[..8]),
        base64::engine::general_purpose::STANDARD.encode(&secret[..9]),
        list.collect::<Vec<_>>().join(", "),
    ];
    forms.iter().any(|form| text.contains(form))
        || text
            .as_bytes()
            .windows(8)
            .any(|window| *window == secret[..8])
}
