//! The keyring behind PKCS#11, on SoftHSM. The module reads where its tokens are from the environment
//! when it is loaded, so that each test is run once more in a process of its own.

use std::ffi::OsString;
use std::process::Command;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
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

#[test]
fn a_token_wraps_and_destroys_keys_of_deliveries() {
    with_token(
        "a_token_wraps_and_destroys_keys_of_deliveries",
        |room, source| {
            let masters = all_keys(&room.plain());
            let token = Unlock::Token(source.clone());
            let told = protect(&room.keys(), &Unlock::Plain, &token).unwrap();
            assert_eq!((told.protection, told.extractable), ("token", false));
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
            assert_eq!(root, 2);
            assert_eq!(all_keys(&open()), masters);
            assert_eq!(*open().unwrap(&kek(1), &wrapped, AAD).unwrap(), [7; 32]);

            let destroyed = keyring.destroy_kek(&kek(1)).unwrap();
            assert_eq!(destroyed.provider, ProviderKind::Pkcs11);
            assert!(!destroyed.trial.is_empty());
            assert!(open().unwrap(&kek(1), &wrapped, AAD).is_err());
            assert!(
                open().create_kek(&kek(1)).is_err(),
                "a barred id stays barred"
            );
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
        assert!(!open().attest_kek(&kek(1)).unwrap().extractable);
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
            for name in ["keyring.json", "root-1/mark.v2.key"] {
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
