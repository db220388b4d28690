use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lockgate_transforms::vault::Alphabet;
use lockgate_transforms::{DerivedKey, TokenForm, Vault, VaultCipher, VaultError};
use tempfile::TempDir;

use super::fault::Trouble;
use super::file::VaultFile;
use super::fresh::Limits;
use super::label::{VaultId, file_name_begin, version_of};
use super::reader::VaultReader;

const FORM: TokenForm = form(Alphabet::Base32, 16);

const PROVIDER: &str = "public-security";

const fn form(alphabet: Alphabet, length: u32) -> TokenForm {
    TokenForm { alphabet, length }
}

fn id(form: TokenForm) -> VaultId {
    VaultId {
        domain: "person.id".to_owned(),
        scope: "grant:G-1".to_owned(),
        form,
        key_version: 1,
    }
}

fn cipher_of(master: u8, form: TokenForm) -> Arc<VaultCipher> {
    let key = DerivedKey::derive(&[master; 32], "encryption", "person.id", "grant:G-1", 1);
    Arc::new(VaultCipher::new(&key, form).unwrap())
}

/// A directory with room for one vault.
struct Room {
    directory: TempDir,
    form: TokenForm,
    limits: Limits,
}

impl Room {
    fn new(form: TokenForm) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let limits = Limits::default();
        Self {
            directory,
            form,
            limits,
        }
    }

    /// Room for a vault that writes what is fresh as soon as there are so many entries.
    fn flushing(entries: usize) -> Self {
        let limits = Limits {
            entries,
            ..Limits::default()
        };
        Self {
            limits,
            ..Self::new(FORM)
        }
    }

    fn path(&self) -> PathBuf {
        let vaults = self.directory.path().join("vaults");
        vaults.join(id(self.form).file_name())
    }

    fn try_open(&self) -> Result<VaultFile, Trouble> {
        let cipher = cipher_of(7, self.form);
        VaultFile::open_within(&self.path(), &id(self.form), cipher, PROVIDER, self.limits)
    }

    /// How many tokens are in the file.
    fn written(&self) -> u64 {
        VaultReader::open(&self.path()).unwrap().held().unwrap()
    }

    fn open(&self) -> VaultFile {
        self.try_open().unwrap()
    }
}

fn open_at(path: &Path, form: TokenForm) -> Result<VaultFile, Trouble> {
    VaultFile::open(path, &id(form), cipher_of(7, form), PROVIDER)
}

fn give(vault: &VaultFile, values: &[&str]) -> Result<Vec<String>, VaultError> {
    let mut out = Vec::new();
    vault.tokens(values, &mut out)?;
    let width = out.len() / values.len().max(1);
    let tokens = out.chunks(width.max(1));
    Ok(tokens
        .map(|token| String::from_utf8(token.to_vec()).unwrap())
        .collect())
}

fn numbers(range: std::ops::Range<u32>) -> Vec<String> {
    range
        .map(|number| format!("1101051949{number:08}"))
        .collect()
}

fn borrowed(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

#[test]
fn equal_values_get_equal_tokens_before_and_after_it_is_closed() {
    let room = Room::new(FORM);
    let values = numbers(0..3000);
    let vault = room.open();
    let first = give(&vault, &borrowed(&values)).unwrap();
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 3000);
    assert!(first.iter().all(|token| FORM.fits(token)));
    assert_eq!(give(&vault, &borrowed(&values)).unwrap(), first);
    vault.save().unwrap();
    drop(vault);
    let again = give(&room.open(), &borrowed(&values)).unwrap();
    assert_eq!(again, first);
    let [one, other] = give(&room.open(), &["甲", "甲"])
        .unwrap()
        .try_into()
        .unwrap();
    assert_eq!(one, other);
    assert_eq!(give(&room.open(), &[]).unwrap(), [""; 0]);
}

#[test]
fn another_vault_has_other_tokens() {
    let tokens =
        [Room::new(FORM), Room::new(FORM)].map(|room| give(&room.open(), &["甲"]).unwrap());
    assert_ne!(tokens[0], tokens[1], "no token follows from key and value");
}

#[test]
fn threads_that_meet_a_value_at_the_same_time_agree() {
    // Without a write in between, with some, and with one after every call.
    for room in [Room::new(FORM), Room::flushing(150), Room::flushing(1)] {
        threads_agree(&room);
    }
}

fn threads_agree(room: &Room) {
    let vault = room.open();
    let values = numbers(0..2000);
    let answers: Vec<Vec<String>> = std::thread::scope(|scope| {
        let ask = |thread: usize| {
            let (vault, values) = (&vault, &values);
            scope.spawn(move || {
                let mut tokens = vec![String::new(); values.len()];
                // Each begins elsewhere, so that they meet.
                for step in 0..20 {
                    let start = (thread * 5 + step) % 20 * 100;
                    let part = borrowed(&values[start..start + 100]);
                    let given = give(vault, &part).unwrap();
                    tokens[start..start + 100].clone_from_slice(&given);
                }
                tokens
            })
        };
        let threads: Vec<_> = (0..4).map(ask).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert!(answers.iter().all(|answer| *answer == answers[0]));
    assert_eq!(answers[0].iter().collect::<BTreeSet<_>>().len(), 2000);
    assert_eq!(give(&vault, &borrowed(&values)).unwrap(), answers[0]);
    assert_eq!(vault.save().unwrap().tokens, 2000);
    drop(vault);
    assert_eq!(give(&room.open(), &borrowed(&values)).unwrap(), answers[0]);
}

#[test]
fn entries_gather_until_there_are_enough_and_are_written_by_a_save() {
    let room = Room::flushing(1000);
    let vault = room.open();
    let values = numbers(0..1500);
    let first = give(&vault, &borrowed(&values[..900])).unwrap();
    drop(vault);
    assert_eq!(room.written(), 0, "what no save wrote was never given");

    let vault = room.open();
    let second = give(&vault, &borrowed(&values[..900])).unwrap();
    assert_ne!(first, second);
    give(&vault, &borrowed(&values[900..1000])).unwrap();
    give(&vault, &borrowed(&values[1000..])).unwrap();
    assert_eq!(give(&vault, &borrowed(&values[..900])).unwrap(), second);
    drop(vault);
    assert_eq!(room.written(), 1000, "enough of them are written at once");

    let vault = room.open();
    assert_eq!(give(&vault, &borrowed(&values[..900])).unwrap(), second);
    let all = give(&vault, &borrowed(&values)).unwrap();
    assert_eq!(vault.save().unwrap().tokens, 1500);
    drop(vault);
    assert_eq!(room.written(), 1500);
    assert_eq!(give(&room.open(), &borrowed(&values)).unwrap(), all);
}

#[test]
fn long_values_are_written_by_their_bytes() {
    let limits = Limits {
        bytes: 10_000,
        ..Limits::default()
    };
    let room = Room {
        limits,
        ..Room::new(FORM)
    };
    let vault = room.open();
    let long: Vec<String> = (0..10).map(|number| format!("{number:01200}")).collect();
    give(&vault, &borrowed(&long[..4])).unwrap();
    give(&vault, &borrowed(&long[4..])).unwrap();
    drop(vault);
    assert_eq!(room.written(), 10);
}

/// What the ledger is told of a vault tells it from every copy that has fewer tokens.
#[test]
fn a_copy_from_before_the_last_save_is_told_from_the_vault() {
    let room = Room::flushing(100);
    let copy = room.directory.path().join("copy");
    let vault = room.open();
    give(&vault, &borrowed(&numbers(0..10))).unwrap();
    let first = vault.save().unwrap();
    assert_eq!(vault.save().unwrap(), first, "nothing came");
    drop(vault);
    std::fs::copy(room.path(), &copy).unwrap();
    let vault = room.open();
    assert_eq!(vault.save().unwrap(), first, "opening adds nothing");
    give(&vault, &borrowed(&numbers(10..200))).unwrap();
    give(&vault, &borrowed(&numbers(200..220))).unwrap();
    let second = vault.save().unwrap();
    assert!(second.save > first.save && second.mark != first.mark);
    assert_eq!(vault.holds(&first), Ok((true, 220)));
    assert_eq!(vault.holds(&second), Ok((true, 220)));
    drop(vault);

    let reader = VaultReader::open(&copy).unwrap();
    assert_eq!(reader.holds(&first), Ok(true));
    assert_eq!(reader.holds(&second), Ok(false));
    drop(reader);
    // Another history with more tokens is no continuation.
    let other = open_at(&copy, FORM).unwrap();
    for start in [1000, 2000, 3000] {
        give(&other, &borrowed(&numbers(start..start + 200))).unwrap();
        other.save().unwrap();
    }
    assert_eq!(other.holds(&first), Ok((true, 610)));
    assert_eq!(other.holds(&second), Ok((false, 610)));
}

#[test]
fn half_of_all_tokens_are_given_and_no_more() {
    let room = Room::new(form(Alphabet::Hex, 2));
    let vault = room.open();
    let values = numbers(0..129);
    let half = give(&vault, &borrowed(&values[..128])).unwrap();
    assert_eq!(half.iter().collect::<BTreeSet<_>>().len(), 128);
    let full = give(&vault, &borrowed(&values)).unwrap_err();
    assert_eq!(
        full,
        VaultError::Full {
            domain: "person.id".to_owned(),
            held: 128,
            space: 256
        }
    );
    assert_eq!(give(&vault, &borrowed(&values[..128])).unwrap(), half);
}

#[test]
fn one_process_at_a_time_writes_and_nobody_reads_meanwhile() {
    let room = Room::new(FORM);
    let vault = room.open();
    assert_eq!(room.try_open().unwrap_err(), Trouble::InUse);
    assert_eq!(VaultReader::open(&room.path()).unwrap_err(), Trouble::InUse);
    drop(vault);
    let readers = [(); 2].map(|()| VaultReader::open(&room.path()).unwrap());
    assert_eq!(room.try_open().unwrap_err(), Trouble::InUse);
    drop(readers);
    room.open();
}

/// What a kill leaves: the file as it is while the vault is open.
#[test]
fn a_copy_of_an_open_vault_opens_with_what_was_saved() {
    let room = Room::flushing(800);
    let vault = room.open();
    let saved = numbers(0..500);
    let tokens = give(&vault, &borrowed(&saved)).unwrap();
    let kept = vault.save().unwrap();
    for start in (500..3000).step_by(500) {
        give(&vault, &borrowed(&numbers(start..start + 500))).unwrap();
    }
    let copy = room.directory.path().join("copy");
    std::fs::copy(room.path(), &copy).unwrap();
    let reader = VaultReader::open(&copy).unwrap();
    reader.accept(&cipher_of(7, FORM)).unwrap();
    let mut out = Vec::new();
    let missing = reader.look_up(&cipher_of(7, FORM), &borrowed(&saved), &mut out);
    assert_eq!(missing, Ok(Vec::new()));
    assert_eq!(String::from_utf8(out).unwrap(), tokens.concat());
    assert_eq!(reader.holds(&kept), Ok(true));
    assert_eq!(reader.held(), Ok(2500), "and with what was written since");
    drop(reader);
    let again = open_at(&copy, FORM).unwrap();
    assert_eq!(give(&again, &borrowed(&saved)).unwrap(), tokens);
    give(&again, &borrowed(&numbers(500..3000))).unwrap();
}

#[test]
fn what_a_kill_left_while_a_vault_was_made_is_swept() {
    let room = Room::new(FORM);
    give(&room.open(), &["甲"]).unwrap();
    let directory = room.path().parent().unwrap().to_owned();
    let left = directory.join(format!(".{}.00ff", id(FORM).file_name()));
    let other = directory.join(".other.v1.redb.00ff");
    for path in [&left, &other] {
        std::fs::write(path, b"half").unwrap();
    }
    room.open();
    assert!(!left.exists() && other.exists());
    assert_eq!(std::fs::read_dir(directory).unwrap().count(), 2);
}

#[test]
fn tokens_are_turned_back_and_others_are_not_known() {
    let room = Room::new(FORM);
    let values = ["11010519491231002X", "甲", "\0\u{80}"];
    let vault = room.open();
    let tokens = give(&vault, &values).unwrap();
    vault.save().unwrap();
    drop(vault);
    let reader = VaultReader::open(&room.path()).unwrap();
    let cipher = cipher_of(7, FORM);
    for (value, token) in values.iter().zip(&tokens) {
        let found = reader.value_of(&cipher, token).unwrap();
        assert_eq!(found.as_deref(), Some(*value));
    }
    for other in ["AAAAAAAAAAAAAAAA", "", "甲", "AAAA"] {
        assert_eq!(reader.value_of(&cipher, other), Ok(None));
    }
    assert_eq!(reader.held(), Ok(3));
    let providers = reader.providers().unwrap();
    assert_eq!(providers, BTreeSet::from(["public-security".to_owned()]));
}

#[test]
fn nothing_of_values_stands_in_the_file_and_only_its_owner_may_read_it() {
    let room = Room::new(FORM);
    let vault = room.open();
    let values = numbers(0..2000);
    let tokens = give(&vault, &borrowed(&values)).unwrap();
    vault.save().unwrap();
    drop(vault);
    let bytes = std::fs::read(room.path()).unwrap();
    let holds = |text: &str| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    };
    assert!(holds("person.id"), "what is looked for would be found");
    assert!(!holds("1101051949") && !holds(&tokens[0]) && !holds(&tokens[1999]));
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&room.path()), 0o600);
    assert_eq!(mode(room.path().parent().unwrap()), 0o700);
}

#[test]
fn another_key_and_another_vaults_file_are_refused() {
    let room = Room::new(FORM);
    give(&room.open(), &["甲"]).unwrap();
    let other = VaultFile::open(&room.path(), &id(FORM), cipher_of(8, FORM), "p").unwrap_err();
    assert_eq!(other, Trouble::OtherKey { version: 1 });
    let elsewhere = VaultId {
        scope: "grant:G-2".to_owned(),
        ..id(FORM)
    };
    let cipher = cipher_of(7, FORM);
    let other = VaultFile::open(&room.path(), &elsewhere, cipher, "p").unwrap_err();
    assert_eq!(other, Trouble::Damaged("it is another vault's file"));
    let reader = VaultReader::open(&room.path()).unwrap();
    let refused = reader.accept(&cipher_of(8, FORM));
    assert_eq!(refused, Err(Trouble::OtherKey { version: 1 }));
}

#[test]
fn a_damaged_file_gives_no_wrong_token() {
    let room = Room::new(FORM);
    let values = numbers(0..400);
    let vault = room.open();
    let tokens = give(&vault, &borrowed(&values)).unwrap();
    vault.save().unwrap();
    drop(vault);
    let whole = std::fs::read(room.path()).unwrap();
    let copy = room.directory.path().join("copy");
    let mut noticed = 0;
    for place in (0..whole.len()).step_by(1511) {
        let mut bytes = whole.clone();
        bytes[place] ^= 0x40;
        std::fs::write(&copy, &bytes).unwrap();
        // `check` reads every page; what it accepts is what was written.
        let Ok(reader) = VaultReader::open_checked(&copy) else {
            noticed += 1;
            std::fs::write(&copy, &bytes).unwrap();
            assert!(open_at(&copy, FORM).is_err(), "a run begins over {place}");
            continue;
        };
        let mut out = Vec::new();
        let found = reader.look_up(&cipher_of(7, FORM), &borrowed(&values), &mut out);
        if found == Ok(Vec::new()) {
            assert_eq!(String::from_utf8(out).unwrap(), tokens.concat(), "{place}");
        } else {
            panic!("a changed byte {place} was not noticed");
        }
    }
    assert!(noticed > 0);
    for length in [0, 1, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&copy, &whole[..length]).unwrap();
        let opened = VaultReader::open(&copy);
        assert!(
            matches!(opened, Err(Trouble::Damaged(_))),
            "{length}: {opened:?}"
        );
    }
    std::fs::write(&copy, b"no vault at all").unwrap();
    assert!(matches!(open_at(&copy, FORM), Err(Trouble::Damaged(_))));
}

#[test]
fn files_are_named_after_the_vault_and_the_keys_version() {
    let name = id(FORM).file_name();
    assert!(name.starts_with(&file_name_begin("person.id", "grant:G-1")));
    assert!(name.ends_with(".base32-16.v1.redb"), "{name}");
    assert_eq!(version_of(&name), Some(1));
    for other in ["a.redb", "a.v1.lock", "a.vx.redb", "v1", ""] {
        assert_eq!(version_of(other), None, "{other}");
    }
    assert_ne!(file_name_begin("a", "bc"), file_name_begin("ab", "c"));
}

#[test]
fn what_is_wrong_is_said_with_the_file_and_without_its_path() {
    let said = |trouble: Trouble| trouble.at("state/vaults/a.redb").to_string();
    assert_eq!(
        said(Trouble::InUse),
        "token vault state/vaults/a.redb is in use by a run; try again when that has ended"
    );
    let io = Trouble::Io(std::io::ErrorKind::StorageFull);
    assert_eq!(
        said(io.clone()),
        "token vault state/vaults/a.redb can't be used: no storage space"
    );
    assert_eq!(
        io.of_domain("d").to_string(),
        "the token vault of domain `d` can't be used: no storage space"
    );
}
