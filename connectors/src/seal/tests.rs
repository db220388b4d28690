use super::*;
use crate::keyring::{PairKind, PrivateKey, read_private, write_pair};

pub(super) fn binding(suite: Suite) -> Binding {
    Binding::new(
        suite,
        "0123456789abcdef0123456789abcdef",
        "fedcba9876543210",
        "civil-affairs",
    )
    .unwrap()
}

pub(super) fn pair(directory: &std::path::Path, name: &str) -> (PublicKey, PrivateKey) {
    let files = write_pair(directory, name, PairKind::Recipient).unwrap();
    (files.key, read_private(&files.private).unwrap())
}

fn context(suite: Suite) -> SealContext {
    SealContext::new(binding(suite), Kek::draw().unwrap()).unwrap()
}

#[test]
fn a_wrapped_key_opens_with_the_recipients_identity() {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = pair(directory.path(), "a");
    for &suite in Suite::all() {
        let context = context(suite);
        let dek = context.new_dek().unwrap();
        let wrapped = context
            .wrap(&dek, "part-00000.csv.gdx", DekUse::File)
            .unwrap();
        assert_eq!(wrapped.len(), WRAPPED_BYTES);
        let bytes = context.key_file(&[public]).unwrap().to_bytes().unwrap();
        let file = KeyFile::parse(&bytes).unwrap();
        assert_eq!(file.binding().unwrap(), binding(suite));
        let keys = file.unwrap(&private).unwrap();
        let aad = file
            .binding()
            .unwrap()
            .wrap_aad("part-00000.csv.gdx", DekUse::File);
        assert_eq!(keys.dek(&wrapped, &aad).unwrap().expose(), dek.expose());
    }
}

#[test]
fn the_same_key_wrapped_twice_gives_other_bytes() {
    let context = context(Suite::Aes256GcmSha256);
    let dek = context.new_dek().unwrap();
    let wrap = || context.wrap(&dek, "a", DekUse::File).unwrap();
    assert_ne!(wrap(), wrap());
    assert_ne!(context.new_dek().unwrap().expose(), dek.expose());
}

#[test]
fn a_wrapped_key_opens_for_its_own_use_only() {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = pair(directory.path(), "a");
    for &suite in Suite::all() {
        let context = context(suite);
        let keys = context
            .key_file(&[public])
            .unwrap()
            .unwrap(&private)
            .unwrap();
        let dek = context.new_dek().unwrap();
        let wrapped = context
            .wrap(&dek, "part-00000.parquet", DekUse::Column("a.b"))
            .unwrap();
        let own = binding(suite);
        assert!(
            keys.dek(
                &wrapped,
                &own.wrap_aad("part-00000.parquet", DekUse::Column("a.b"))
            )
            .is_ok()
        );
        let other = |delivery, attempt, recipient| {
            Binding::new(suite, delivery, attempt, recipient)
                .unwrap()
                .wrap_aad("part-00000.parquet", DekUse::Column("a.b"))
        };
        let suites = Suite::all().iter().filter(|other| **other != suite);
        let wrong = [
            own.wrap_aad("part-00001.parquet", DekUse::Column("a.b")),
            own.wrap_aad("part-00000.parquet", DekUse::Column("a.c")),
            own.wrap_aad("part-00000.parquet", DekUse::Footer),
            own.wrap_aad("part-00000.parquet", DekUse::File),
            other("0", own.attempt(), own.recipient()),
            other(own.delivery(), "0", own.recipient()),
            other(own.delivery(), own.attempt(), "0"),
            Vec::new(),
        ];
        let wrong =
            wrong.into_iter().chain(suites.map(|suite| {
                binding(*suite).wrap_aad("part-00000.parquet", DekUse::Column("a.b"))
            }));
        for aad in wrong {
            assert!(keys.dek(&wrapped, &aad).is_err());
        }
    }
}

#[test]
fn every_byte_of_a_wrapped_key_counts() {
    let directory = tempfile::tempdir().unwrap();
    let (public, private) = pair(directory.path(), "a");
    for &suite in Suite::all() {
        let context = context(suite);
        let keys = context
            .key_file(&[public])
            .unwrap()
            .unwrap(&private)
            .unwrap();
        let dek = context.new_dek().unwrap();
        let wrapped = context.wrap(&dek, "a", DekUse::File).unwrap();
        let aad = binding(suite).wrap_aad("a", DekUse::File);
        for position in 0..wrapped.len() {
            let mut altered = wrapped.clone();
            altered[position] ^= 1;
            assert!(keys.dek(&altered, &aad).is_err());
            assert!(keys.dek(&wrapped[..position], &aad).is_err());
        }
        assert!(
            keys.dek(&[wrapped.as_slice(), &[0]].concat(), &aad)
                .is_err()
        );
    }
}

#[test]
fn keys_are_wrapped_to_every_sealing_key_once_and_to_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let (first, first_identity) = pair(directory.path(), "a");
    let (second, second_identity) = pair(directory.path(), "b");
    let (_, stranger) = pair(directory.path(), "c");
    let signing = write_pair(directory.path(), "d", PairKind::Approver).unwrap();
    let context = context(Suite::Aes256GcmSha256);
    let file = context
        .key_file(&[second, signing.key, first, second])
        .unwrap();
    assert_eq!(file.recipients.len(), 2);
    assert!(KeyFile::parse(&file.to_bytes().unwrap()).is_ok());
    assert!(file.unwrap(&first_identity).is_ok());
    assert!(file.unwrap(&second_identity).is_ok());
    assert!(
        file.unwrap(&stranger)
            .unwrap_err()
            .to_string()
            .contains("not wrapped to this identity")
    );
    assert!(
        file.unwrap(&read_private(&signing.private).unwrap())
            .is_err()
    );
    assert!(context.key_file(&[signing.key]).is_err());
    assert!(context.key_file(&[]).is_err());
}

#[test]
fn an_entry_moved_to_another_key_or_delivery_does_not_open() {
    let directory = tempfile::tempdir().unwrap();
    let (first, _) = pair(directory.path(), "a");
    let (second, identity) = pair(directory.path(), "b");
    let context = context(Suite::Aes256GcmSha256);
    let mut file = context.key_file(&[first]).unwrap();
    file.recipients[0].kid = second.fingerprint();
    assert!(file.unwrap(&identity).is_err());
    let mut file = context.key_file(&[second]).unwrap();
    file.suite = Suite::Sm4GcmSm3;
    assert!(file.unwrap(&identity).is_err());
    let mut file = context.key_file(&[second]).unwrap();
    file.attempt = "0".to_owned();
    assert!(file.unwrap(&identity).is_err());
}

#[test]
fn a_key_file_has_one_form() {
    let directory = tempfile::tempdir().unwrap();
    let (public, identity) = pair(directory.path(), "a");
    let file = context(Suite::Aes256GcmSha256).key_file(&[public]).unwrap();
    let bytes = file.to_bytes().unwrap();
    let text = String::from_utf8(bytes.clone()).unwrap();
    let value: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(
        serde_json::to_string(&value).unwrap(),
        text,
        "keys are sorted"
    );
    assert!(!text.contains(' '));
    for altered in [
        text.replace("\"format\":1", "\"format\":2"),
        text.replace("\"format\":1", "\"format\": 1"),
        text.replace("\"format\":1", "\"format\":1,\"format\":1"),
        text.replace("{\"attempt\"", "{\"a\":1,\"attempt\""),
        text.replace("offline", "online"),
        text.replace(".fedcba9876543210", ".fedcba9876543211"),
        text.replace("HPKE-X25519", "HPKE-X448"),
        text.replace("civil-affairs", "../civil"),
        format!("{text}\n"),
        format!(" {text}"),
        String::new(),
        "{}".to_owned(),
        "[".repeat(100_000),
    ] {
        assert!(KeyFile::parse(altered.as_bytes()).is_err(), "{altered}");
    }
    let mut twice = file.clone();
    twice.recipients.push(file.recipients[0].clone());
    assert!(KeyFile::parse(&twice.to_bytes().unwrap()).is_err());
    // Whatever single byte is altered, the file is refused, or its keys don't open.
    for position in 0..bytes.len() {
        for bit in [1, 4, 0x80] {
            let mut altered = bytes.clone();
            altered[position] ^= bit;
            if let Ok(file) = KeyFile::parse(&altered) {
                assert!(
                    file.unwrap(&identity).is_err(),
                    "byte {position} was altered unnoticed"
                );
            }
        }
    }
}

#[test]
fn online_keys_need_a_release() {
    let directory = tempfile::tempdir().unwrap();
    let (_, identity) = pair(directory.path(), "a");
    let file = KeyFile::online(&binding(Suite::Aes256GcmSha256));
    let file = KeyFile::parse(&file.to_bytes().unwrap()).unwrap();
    let error = file.unwrap(&identity).unwrap_err().to_string();
    assert!(error.contains("lockgate release"), "{error}");
}

#[test]
fn an_id_that_is_a_path_binds_nothing() {
    for id in ["", "../x", "a/b", " "] {
        assert!(Binding::new(Suite::default(), id, "a", "r").is_err());
        assert!(Binding::new(Suite::default(), "d", id, "r").is_err());
        assert!(Binding::new(Suite::default(), "d", "a", id).is_err());
    }
}

#[test]
fn a_suite_is_written_as_it_is_read() {
    for &suite in Suite::all() {
        assert_eq!(suite.as_str().parse::<Suite>().unwrap(), suite);
        let json = serde_json::to_string(&suite).unwrap();
        assert_eq!(json, format!("\"{suite}\""));
        assert_eq!(serde_json::from_str::<Suite>(&json).unwrap(), suite);
    }
    assert!("aes256gcm-sha256".parse::<Suite>().is_err());
}

#[test]
fn debug_shows_no_key() {
    let kek = Kek::Drawn(zeroize::Zeroizing::new([0xa5; 32]));
    let context = SealContext::new(binding(Suite::default()), kek).unwrap();
    let shown = format!(
        "{context:?} {:?}",
        Dek::new(zeroize::Zeroizing::new([0xa5; 32]))
    );
    assert!(
        !shown.contains("165") && !shown.to_lowercase().contains("a5"),
        "{shown}"
    );
}
