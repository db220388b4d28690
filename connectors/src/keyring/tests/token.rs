//! The keyring behind PKCS#11, on SoftHSM. The module reads where its tokens are from the environment
//! when it is loaded, so that each test is run once more in a process of its own.

use std::ffi::OsString;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::object::{Attribute, AttributeType, ObjectClass};
use cryptoki::session::UserType;
use cryptoki::types::AuthPin;

use super::*;

const LABEL: &str = "lockgate-test";
const PIN: &str = "648219-canary";

/// Set in the process that a test runs itself in.
const INSIDE: &str = "LOCKGATE_TEST_INSIDE";

/// Where Debian, Fedora and a build from source put the module.
const MODULES: [&str; 5] = [
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
];

/// The module: required where the environment names it.
fn module() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("LOCKGATE_SOFTHSM") {
        let named = PathBuf::from(named);
        assert!(named.exists(), "LOCKGATE_SOFTHSM names no module");
        return Some(named);
    }
    let found = MODULES.iter().map(PathBuf::from).find(|path| path.exists());
    if found.is_none() {
        println!("skipped: SoftHSM is not installed");
    }
    found
}

/// Runs a test in a process of its own, with a token of its own.
fn with_token(name: &str, test: impl FnOnce(&Room, TokenSource)) {
    let Some(module) = module() else {
        return;
    };
    if std::env::var_os(INSIDE).is_some() {
        let room = Room::full();
        initialize(&module);
        let source = TokenSource {
            module,
            label: LABEL.to_owned(),
            pin: SecretSource::new(|| Ok(Zeroizing::new(PIN.to_owned()))),
        };
        return test(&room, source);
    }
    let directory = tempfile::tempdir().unwrap();
    let tokens = directory.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    let conf = directory.path().join("softhsm2.conf");
    let text = format!(
        "directories.tokendir = {}\nobjectstore.backend = file\nlog.level = ERROR\n",
        tokens.display()
    );
    fs::write(&conf, text).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("keyring::tests::token::{name}"),
            "--nocapture",
        ])
        .env("SOFTHSM2_CONF", &conf)
        .env(INSIDE, OsString::from("1"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("1 passed"), "{said}");
    assert!(!said.contains(PIN), "{said}");
}

/// Makes a token with its user pin.
fn initialize(module: &Path) {
    let module = Pkcs11::new(module).unwrap();
    module
        .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
        .unwrap();
    let slot = module.get_slots_with_token().unwrap()[0];
    let officer = AuthPin::from("officer-pin".to_owned());
    module.init_token(slot, &officer, LABEL).unwrap();
    let session = module.open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&officer)).unwrap();
    session.init_pin(&AuthPin::from(PIN.to_owned())).unwrap();
    session.logout().unwrap();
}

/// Labels of a token's keys that begin so, whatever keyring they belong to.
fn labels(source: &TokenSource, prefix: &str) -> Vec<String> {
    let module = Pkcs11::new(&source.module).unwrap();
    // Loaded and initialized by the process already; the login is the process's, too.
    let slots = module.get_slots_with_initialized_token().unwrap();
    let session = module.open_rw_session(slots[0]).unwrap();
    drop(session.login(UserType::User, Some(&AuthPin::from(PIN.to_owned()))));
    let template = [Attribute::Class(ObjectClass::SECRET_KEY)];
    let mut found = Vec::new();
    for key in session.find_objects(&template).unwrap() {
        for told in session
            .get_attributes(key, &[AttributeType::Label])
            .unwrap()
        {
            if let Attribute::Label(label) = told {
                found.push(String::from_utf8(label).unwrap());
            }
        }
    }
    found.retain(|label| label.starts_with(prefix));
    found.sort();
    found
}

/// Has the head of a plain keyring say what it says before anything moves into the token.
fn announce(directory: &Path) {
    let store = Store::new(directory.to_owned(), Unlock::Plain);
    let announced = store.changing(|state| {
        let mut headed = store.headed(state, "")?;
        store.advance(&mut headed, String::new(), |head| {
            head.leaving = Some(LABEL.to_owned());
        })
    });
    announced.unwrap();
}

#[test]
fn a_copy_destroys_nothing_that_the_token_holds_of_its_keyring() {
    with_token(
        "a_copy_destroys_nothing_that_the_token_holds_of_its_keyring",
        |room, source| {
            room.plain().create_kek(&kek(1)).unwrap();
            let copy = room.copy("copy");
            let token = Unlock::Token(source.clone());
            protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            let open = || Pkcs11Keyring::open(room.keys(), source.clone());
            open().create_kek(&kek(2)).unwrap();
            let wrapped = open().wrap(&kek(2), &[7; 32], AAD).unwrap();
            let masters = all_keys(&open());
            let held = labels(&source, "");
            assert_eq!(held.len(), 3);

            let refused = protect(&copy, &Unlock::Plain, &token).unwrap_err();
            assert_eq!(class(&refused), ErrorClass::Config);
            assert!(refused.to_string().contains("already (3, "), "{refused}");
            // Also one that was copied while it moved in, and knows of the root and the first key alone.
            announce(&copy);
            for refused in [
                protect(&copy, &Unlock::Plain, &token).map(drop),
                leave_token(&copy, &Unlock::Plain, &source),
            ] {
                let refused = refused.unwrap_err().to_string();
                assert!(refused.contains("already (1, "), "{refused}");
                assert!(refused.contains(kek(2).as_str()), "{refused}");
            }

            assert_eq!(labels(&source, ""), held);
            assert_eq!(all_keys(&open()), masters);
            assert_eq!(*open().unwrap(&kek(2), &wrapped, AAD).unwrap(), [7; 32]);
        },
    );
}

#[test]
fn a_protection_that_was_killed_leaves_no_copy_in_the_token() {
    with_token(
        "a_protection_that_was_killed_leaves_no_copy_in_the_token",
        |room, source| {
            room.plain().create_kek(&kek(1)).unwrap();
            room.plain().create_kek(&kek(2)).unwrap();
            room.copy("before");
            let token = Unlock::Token(source.clone());
            protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            // Killed before the head was replaced: the token holds everything, and the head says that it may.
            room.restore("before");
            announce(&room.keys());
            assert!(room.plain().destroy_kek(&kek(2)).is_err());
            assert_eq!(labels(&source, kek(2).as_str()).len(), 1);
            protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            assert_eq!(labels(&source, "lockgate-root.").len(), 1);
            let keyring = Pkcs11Keyring::open(room.keys(), source.clone());
            for id in [kek(1), kek(2)] {
                assert_eq!(labels(&source, id.as_str()).len(), 1);
                keyring.destroy_kek(&id).unwrap();
                assert_eq!(labels(&source, id.as_str()), [""; 0]);
            }
        },
    );
}

#[test]
fn a_token_that_was_left_half_way_is_named_until_it_is_cleared() {
    with_token(
        "a_token_that_was_left_half_way_is_named_until_it_is_cleared",
        |room, source| {
            room.plain().create_kek(&kek(1)).unwrap();
            let token = Unlock::Token(source.clone());
            room.copy("before");
            protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            room.restore("before");
            announce(&room.keys());
            assert!(room.plain().destroy_kek(&kek(1)).is_err());
            leave_token(&room.keys(), &Unlock::Plain, &source).unwrap();
            assert_eq!(room.plain().attest().unwrap().left_in, None);
            assert_eq!(labels(&source, ""), [""; 0]);
            room.plain().destroy_kek(&kek(1)).unwrap();
        },
    );
}

#[test]
fn a_token_wraps_and_destroys_keys_of_deliveries() {
    with_token(
        "a_token_wraps_and_destroys_keys_of_deliveries",
        |room, source| {
            let masters = all_keys(&room.plain());
            let token = Unlock::Token(source.clone());
            let told = protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            assert_eq!(
                (told.protection, told.root, told.generation),
                ("token", 2, 2)
            );
            assert!(told.masters_extractable && !told.keks_extractable);
            assert_eq!(told.left_in, None);
            let open = || Pkcs11Keyring::open(room.keys(), source.clone());
            assert_eq!(all_keys(&open()), masters);
            assert!(plain_key_files(&room.keys()).unwrap().is_empty());

            let keyring = open();
            keyring.create_kek(&kek(1)).unwrap();
            keyring.create_kek(&kek(2)).unwrap();
            let wrapped = keyring.wrap(&kek(1), &[7; 32], AAD).unwrap();
            assert_eq!(wrapped.len(), 60);
            assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
            for (id, aad) in [(kek(1), &b"elsewhere"[..]), (kek(2), AAD), (kek(3), AAD)] {
                assert!(keyring.unwrap(&id, &wrapped, aad).is_err());
            }
            for index in 0..wrapped.len() {
                let mut altered = wrapped.clone();
                altered[index] ^= 1;
                let error = keyring.unwrap(&kek(1), &altered, AAD).unwrap_err();
                assert_eq!(class(&error), ErrorClass::Integrity, "{index}");
                assert!(keyring.unwrap(&kek(1), &wrapped[..index], AAD).is_err());
            }
            assert!(keyring.wrap(&kek(1), &[7; 32], b"").is_err());
            assert!(keyring.create_kek(&kek(1)).is_err());
            assert_eq!(keyring.keks().unwrap(), [kek(1), kek(2)]);
            let told = keyring.attest_kek(&kek(1)).unwrap();
            assert!(told.exists && !told.extractable && !told.destroyed);

            // A new root leaves deliveries' keys where they are.
            let root = keyring.rotate().unwrap();
            assert_eq!(root, 3);
            assert_eq!(labels(&source, "lockgate-root."), ["lockgate-root.v3"]);
            assert_eq!(all_keys(&open()), masters);
            assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);

            let destroyed = keyring.destroy_kek(&kek(1)).unwrap();
            assert_eq!(destroyed.provider, ProviderKind::Pkcs11);
            assert!(!destroyed.trial.is_empty());
            assert!(open().unwrap(&kek(1), &wrapped, AAD).is_err());
            assert_eq!(labels(&source, kek(1).as_str()), [""; 0]);
            let told = open().attest_kek(&kek(1)).unwrap();
            assert!(told.destroyed && !told.exists);
            assert_eq!(
                open().destroy_kek(&kek(1)).unwrap().generation,
                destroyed.generation
            );
            assert_eq!(open().create(Purpose::Mark).unwrap(), 3);
        },
    );
}

#[test]
fn what_a_token_holds_does_not_leave_it() {
    with_token("what_a_token_holds_does_not_leave_it", |room, source| {
        // A key made by files moves into the token, and what was wrapped under it still opens.
        room.plain().create_kek(&kek(1)).unwrap();
        let wrapped = room.plain().wrap(&kek(1), &[7; 32], AAD).unwrap();
        let token = Unlock::Token(source.clone());
        protect(&room.keys(), &Unlock::Plain, &token).unwrap();
        let open = || Pkcs11Keyring::open(room.keys(), source.clone());
        assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);
        assert!(
            open().attest_kek(&kek(1)).unwrap().extractable,
            "it lay in files before"
        );
        // It does not come out again.
        let masters = all_keys(&open());
        assert!(protect(&room.keys(), &token, &room.key_file()).is_err());
        assert_eq!(all_keys(&open()), masters);
        open().destroy_kek(&kek(1)).unwrap();
        protect(&room.keys(), &token, &room.key_file()).unwrap();
        assert_eq!(all_keys(&room.opened()), masters);
    });
}

#[test]
fn a_wrong_pin_or_token_is_told_coarsely_and_without_the_pin() {
    with_token(
        "a_wrong_pin_or_token_is_told_coarsely_and_without_the_pin",
        |room, source| {
            let token = Unlock::Token(source.clone());
            let wrong = |label: &str, pin: &'static str| TokenSource {
                label: label.to_owned(),
                pin: SecretSource::new(move || Ok(Zeroizing::new(pin.to_owned()))),
                ..source.clone()
            };
            for (source, hint) in [
                (wrong(LABEL, "wrong-canary-pin"), "refused its pin"),
                (wrong("elsewhere", PIN), "is not there"),
            ] {
                let unlock = Unlock::Token(source);
                let error = protect(&room.keys(), &Unlock::Plain, &unlock).unwrap_err();
                let text = format!("{error} {error:?} {unlock:?}");
                assert!(text.contains(hint), "{text}");
                assert!(!text.contains("canary"), "{text}");
            }
            assert!(all_keys(&room.plain()).len() > 6, "nothing was changed");
            let missing = TokenSource {
                module: room.keys().join("no-module.so"),
                ..source.clone()
            };
            let error = Pkcs11Keyring::open(room.keys(), missing)
                .create(Purpose::Mark)
                .unwrap_err();
            assert_eq!(
                class(&error),
                ErrorClass::Config,
                "plain files come first: {error}"
            );
            protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            // Any flipped byte of a record or the head is refused by the token as by files.
            for name in ["keyring.json", "root-2/mark.v2.key"] {
                let path = room.keys().join(name);
                let sound = fs::read(&path).unwrap();
                for index in (0..sound.len()).step_by(3) {
                    let mut altered = sound.clone();
                    altered[index] ^= 1;
                    fs::write(&path, &altered).unwrap();
                    let opened = Pkcs11Keyring::open(room.keys(), source.clone());
                    assert!(
                        opened.get(Purpose::Mark, None).is_err(),
                        "{name}, byte {index}"
                    );
                }
                fs::write(&path, &sound).unwrap();
            }
        },
    );
}
