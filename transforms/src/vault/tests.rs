use proptest::prelude::*;

use super::*;
use crate::testing::{key, no_pseudonym_is};

const FORMS: [TokenForm; 4] = [
    form(Alphabet::Base32, 16),
    form(Alphabet::Hex, 5),
    form(Alphabet::Digits, 7),
    form(Alphabet::Letters, 64),
];

const fn form(alphabet: Alphabet, length: u32) -> TokenForm {
    TokenForm { alphabet, length }
}

fn cipher() -> VaultCipher {
    VaultCipher::new(&key(), FORMS[0]).unwrap()
}

#[test]
fn the_space_counts_every_token_there_is() {
    assert_eq!(form(Alphabet::Base32, 4).space(), 1 << 20);
    assert_eq!(form(Alphabet::Hex, 5).space(), 1 << 20);
    assert_eq!(form(Alphabet::Digits, 7).space(), 9_000_000);
    assert_eq!(form(Alphabet::Letters, 2).space(), 676);
    assert_eq!(form(Alphabet::Base32, 64).space(), u128::MAX);
}

#[test]
fn every_symbol_is_as_likely_as_every_other() {
    for symbols in [
        &b"123456789"[..],
        b"0123456789",
        b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
    ] {
        let drawn: Vec<u8> = (0..=255).filter_map(|byte| fair(symbols, byte)).collect();
        for symbol in symbols {
            let times = drawn.iter().filter(|drawn| *drawn == symbol).count();
            assert_eq!(times, 256 / symbols.len());
        }
    }
}

#[test]
fn a_token_has_its_form_and_bytes_that_run_out_make_none() {
    for form in FORMS {
        let mut bytes = (0..=255).rev().cycle();
        let mut token = Vec::new();
        assert!(form.spell(&mut bytes, &mut token));
        let token = String::from_utf8(token).unwrap();
        assert!(form.fits(&token), "{form}: {token}");
        assert!(!form.fits(token.get(1..).unwrap()) && !form.fits(&format!("{token}A")));
        assert!(!form.spell(&mut std::iter::repeat_n(7, 4), &mut Vec::new()));
    }
    assert!(!form(Alphabet::Digits, 7).fits("0123456"));
    assert!(form(Alphabet::Digits, 7).fits("1023456"));
}

#[test]
fn entries_of_another_key_or_form_do_not_open() {
    let entry = cipher().seal(b"ABCDEFGHIJKLMNOP", "11010519491231002X");
    let other = DerivedKey::derive(&[8; 32], "encryption", "person.id", "grant:G-1", 1);
    let mut room = Vec::new();
    for cipher in [
        VaultCipher::new(&other, FORMS[0]).unwrap(),
        VaultCipher::new(&key(), form(Alphabet::Base32, 15)).unwrap(),
    ] {
        assert!(cipher.open(&entry, &mut room).is_none());
        assert_ne!(cipher.key_id(), self::cipher().key_id());
        assert_ne!(cipher.of_value("a"), self::cipher().of_value("a"));
        assert_ne!(cipher.of_token(b"a"), self::cipher().of_token(b"a"));
    }
    assert_ne!(cipher().of_value("a"), cipher().of_token(b"a"));
}

#[test]
fn entries_tell_lengths_only_up_to_sixteen_bytes() {
    let token = b"ABCDEFGHIJKLMNOP";
    let lengths = |values: [&str; 2]| values.map(|value| cipher().seal(token, value).len());
    assert_eq!(lengths(["", "123456789012345"]), [48, 48]);
    assert_eq!(lengths(["1234567890123456", "张三"]), [64, 48]);
}

#[test]
fn keys_of_a_vault_are_no_pseudonyms() {
    let key = key();
    for label in [VALUE_LABEL, TOKEN_LABEL, PROVISIONAL_LABEL] {
        let own = key.expand::<KEY_BYTES>(&[label, b"base32/16"]);
        let label = std::str::from_utf8(label).unwrap();
        no_pseudonym_is(&key, own.as_ref(), label, "base32/16");
    }
}

/// What the module's description says, followed with the crates' own functions.
#[test]
fn entries_are_made_as_described() {
    let key = key();
    let own = key.expand::<KEY_BYTES>(&[VALUE_LABEL, b"base32/16"]);
    let mac = Hmac::<Sha256>::new_from_slice(own.as_ref()).unwrap();
    let expected = mac.chain_update("张三").finalize().into_bytes();
    assert_eq!(cipher().of_value("张三")[..], expected[..16]);

    use aes_siv::siv::Aes256Siv;
    let own = key.expand::<64>(&[ENTRY_LABEL, b"base32/16"]);
    let mut siv = Aes256Siv::new_from_slice(own.as_ref()).unwrap();
    let entry = cipher().seal(b"ABCDEFGHIJKLMNOP", "张三");
    let opened = siv.decrypt([ENTRY_LABEL], &entry).unwrap();
    let mut expected = [b"ABCDEFGHIJKLMNOP", "张三".as_bytes(), &[END]].concat();
    expected.resize(32, 0);
    assert_eq!(opened, expected);
}

#[test]
fn nothing_shows_a_key() {
    assert_eq!(format!("{:?}", cipher()), "VaultCipher(base32/16, ..)");
    let vault = VaultUse {
        domain: "d".to_owned(),
        join: None,
        form: FORMS[0],
    };
    let provisional = Provisional::new(&key(), vault);
    assert_eq!(format!("{provisional:?}"), "Provisional(base32/16, ..)");
}

#[test]
fn provisional_tokens_follow_key_and_value() {
    let made = |master: u8, values: &[&str]| {
        let key = DerivedKey::derive(&[master; 32], "encryption", "d", "grant:G-1", 1);
        let vault = VaultUse {
            domain: "d".to_owned(),
            join: None,
            form: FORMS[0],
        };
        let mut out = Vec::new();
        Provisional::new(&key, vault)
            .tokens(values, &mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    };
    let both = made(1, &["a", "b"]);
    assert_eq!(both, [made(1, &["a"]), made(1, &["b"])].concat());
    let (first, second) = both.split_at(16);
    assert!(FORMS[0].fits(first) && first != second);
    assert_ne!(made(2, &["a", "b"]), both);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_entry_opens_to_what_was_sealed(value in ".{0,40}", trail in 0_usize..3) {
        let value = value + &"\0\u{80}".repeat(trail);
        let token = b"ABCDEFGHIJKLMNOP";
        let entry = cipher().seal(token, &value);
        let mut room = Vec::new();
        prop_assert_eq!(cipher().open(&entry, &mut room), Some((&token[..], value.as_str())));
    }

    #[test]
    fn a_changed_entry_does_not_open(value in ".{0,40}", at in any::<prop::sample::Index>()) {
        let mut entry = cipher().seal(b"ABCDEFGHIJKLMNOP", &value);
        let bit = at.index(8 * entry.len());
        entry[bit / 8] ^= 1 << (bit % 8);
        let mut room = Vec::new();
        prop_assert!(cipher().open(&entry, &mut room).is_none());
        entry.truncate(at.index(entry.len()));
        prop_assert!(cipher().open(&entry, &mut room).is_none());
    }
}
