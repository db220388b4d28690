#![expect(clippy::string_slice, reason = "tests: numbers are ASCII")]

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Int64Array, StringArray};
use proptest::prelude::*;

use super::*;
use crate::ff1::Ff1;
use crate::spec::TreatmentSpec;
use crate::testing::{cases_of, key, misfit, misfit_of, spec, treat, treat_one, treat_with};
use crate::treatments::AnyTreatment;

const SPEC: &str = "{ kind = 'fpe', domain = 'account.id' }";

fn fpe(spec: &TreatmentSpec) -> &Fpe {
    let AnyTreatment::Fpe(fpe) = spec.treatment() else {
        panic!("not an fpe");
    };
    fpe
}

/// What the holder of the key makes of an encrypted value.
fn restored(text: &str, category: &str, value: &str) -> Option<String> {
    let column = Column::alone("field", &DataType::Utf8, category);
    let spec = spec(text);
    let restore = fpe(&spec)
        .restore(column, spec.options(), Some(&key()))
        .unwrap();
    let array: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let treated = restore.apply(&array).unwrap();
    treated
        .array
        .as_string::<i32>()
        .iter()
        .next()
        .flatten()
        .map(str::to_owned)
}

fn encrypted(text: &str, category: &str, value: &str) -> Option<String> {
    let array: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let treated = treat_with(text, &array, category, &key()).unwrap();
    treated
        .array
        .as_string::<i32>()
        .iter()
        .next()
        .flatten()
        .map(str::to_owned)
}

#[test]
fn a_value_is_encrypted_as_the_standard_says() {
    let plain = "000123456789012345";
    let numerals: Vec<u16> = plain.bytes().map(|byte| u16::from(byte - b'0')).collect();
    let expected = Ff1::new(&key())
        .permute(Direction::Encrypt, 10, b"account.id", &numerals)
        .unwrap();
    let expected: String = expected.iter().map(u16::to_string).collect();
    assert_eq!(treat_one(SPEC, plain).unwrap(), expected);
}

#[test]
fn leading_zeros_and_length_are_kept() {
    for length in [6, 7, 11, 18, 19, 38, 39, 40, 64, 100, 256] {
        let zeros = "0".repeat(length);
        let out = treat_one(SPEC, &zeros).unwrap();
        assert_eq!(out.len(), length);
        assert!(out.bytes().all(|byte| byte.is_ascii_digit()) && out != zeros);
        assert_eq!(restored(SPEC, "other", &out).unwrap(), zeros);
    }
}

#[test]
fn what_is_short_long_or_foreign_never_passes() {
    let values = [
        "12345",
        "1",
        "12345a",
        "12 3456",
        "１２３４５６",
        "张三李四王五",
    ];
    let treated = treat(SPEC, &values.map(Some));
    assert_eq!(cases_of(&treated), (0, 0, 2, 4));
    for (value, out) in values.iter().zip(treated.array.as_string::<i32>()) {
        assert_eq!(out.unwrap(), "*".repeat(value.chars().count()));
    }
    let long = "1".repeat(257);
    assert_eq!(treat(SPEC, &[Some(&long)]).counts.invalid, 1);
}

#[test]
fn spellings_of_one_identifier_get_one_result() {
    let plain = encrypted(SPEC, "mobile", "13800138000").unwrap();
    for spelling in [
        "138 0013 8000",
        "138-0013-8000",
        "+86 13800138000",
        "0086-138-0013-8000",
        "8613800138000",
        "１３８００１３８０００",
    ] {
        assert_eq!(
            encrypted(SPEC, "mobile", spelling).unwrap(),
            plain,
            "{spelling}"
        );
    }
    assert_eq!(restored(SPEC, "mobile", &plain).unwrap(), "13800138000");
    let id = "{ kind = 'fpe', domain = 'd', alphabet = '0123456789X' }";
    assert_eq!(
        encrypted(id, "resident-id", "11010519491231002x"),
        encrypted(id, "resident-id", "110105 19491231 002X"),
    );
}

#[test]
fn what_was_encrypted_is_restored_whatever_it_looks_like() {
    // Thirteen digits that happen to begin with 86 are no country code once encrypted.
    let values: Vec<String> = (0..4_000).map(|at| format!("99{at:011}")).collect();
    let array: ArrayRef = Arc::new(StringArray::from(values));
    let treated = treat_with(SPEC, &array, "mobile", &key()).unwrap();
    let outs = treated.array.as_string::<i32>();
    let looks = |out: &str| out.starts_with("861") && out.as_bytes()[3] >= b'3';
    assert!(outs.iter().flatten().any(looks));
    let column = Column::alone("field", &DataType::Utf8, "mobile");
    let spec = spec(SPEC);
    let restore = fpe(&spec)
        .restore(column, spec.options(), Some(&key()))
        .unwrap();
    assert_eq!(&restore.apply(&treated.array).unwrap().array, &array);
}

#[test]
fn separators_stay_where_asked() {
    let keeps = "{ kind = 'fpe', domain = 'account.id', keep_separators = true }";
    let plain = treat_one(SPEC, "622202001111").unwrap();
    let out = treat_one(keeps, "6222 0200/1111").unwrap();
    let (one, two, three) = (&plain[..4], &plain[4..8], &plain[8..]);
    assert_eq!(out, format!("{one} {two}/{three}"));
    assert_eq!(restored(keeps, "other", &out).unwrap(), "6222 0200/1111");
    let out = encrypted(keeps, "mobile", "+86 138-0013-8000").unwrap();
    let plain = encrypted(keeps, "mobile", "13800138000").unwrap();
    assert_eq!(out.replace('-', ""), plain);
    assert_eq!(out.find('-'), Some(3));
    assert_eq!(treat(keeps, &[Some("---- ----")]).counts.empty, 1);
}

#[test]
fn where_something_stays_spellings_of_the_alphabet_are_one_value() {
    for keeps in ["keep_separators", "keep_others"] {
        let spec = format!("{{ kind = 'fpe', domain = 'd', alphabet = 'upper', {keeps} = true }}");
        let out = encrypted(&spec, "other", "ABCDE-FGHIJ").unwrap();
        for spelling in ["abcde-fghij", "ＡＢＣＤＥ-ｆｇｈｉｊ"] {
            assert_eq!(encrypted(&spec, "other", spelling).unwrap(), out, "{keeps}");
        }
        assert_eq!(restored(&spec, "other", &out).unwrap(), "ABCDE-FGHIJ");
    }
    // Where nothing stays, no other spelling passes, unless the field holds identifiers.
    let plain = "{ kind = 'fpe', domain = 'd', alphabet = 'upper' }";
    assert_eq!(
        encrypted(plain, "other", "abcdefghij").unwrap(),
        "*".repeat(10)
    );
}

#[test]
fn a_format_keeps_everything_but_the_alphabet_where_it_is() {
    let format = "{ kind = 'fpe', domain = 'account.id', keep_others = true }";
    let digits = treat_one(SPEC, "2026004711").unwrap();
    let (year, serial) = digits.split_at(4);
    let out = treat_one(format, "HZ字-2026(004711)号").unwrap();
    assert_eq!(out, format!("HZ字-{year}({serial})号"));
    assert_eq!(
        restored(format, "other", &out).unwrap(),
        "HZ字-2026(004711)号"
    );
    // Other forms of a digit are that digit, and nothing that would be one is left.
    assert_eq!(
        treat_one(format, "HZ２０２６-004711").unwrap(),
        format!("HZ{year}-{serial}")
    );
    // What has too little to encrypt is covered, not kept as it is.
    let treated = treat(format, &[Some("HZ-12345"), Some("张三"), Some("，。")]);
    assert_eq!(cases_of(&treated), (0, 0, 3, 0));
    assert_eq!(treat_one(format, "张三").unwrap(), "**");
    assert_eq!(treat(format, &[Some("-")]).counts.empty, 1);
    let upper = "{ kind = 'fpe', domain = 'd', alphabet = 'upper', keep_others = true }";
    let out = treat_one(upper, "ABCDE-12").unwrap();
    assert!(out.ends_with("-12") && !out.starts_with("ABCDE"));
}

#[test]
fn what_stays_of_a_format_makes_it_partly_hidden_text() {
    let format = spec("{ kind = 'fpe', domain = 'account.id', keep_others = true }");
    let (plain, separators) = (
        spec(SPEC),
        spec("{ kind = 'fpe', domain = 'account.id', keep_separators = true }"),
    );
    assert_eq!((plain.strength().0, format.strength().0), (3, 1));
    assert!(format.is_keyed_equality());
    assert!(plain.meets(&format) && separators.meets(&format));
    assert!(!format.meets(&plain) && !format.meets(&separators));
    assert!(!spec("{ kind = 'hmac', domain = 'd' }").meets(&format));
    let both = "{ kind = 'fpe', domain = 'd', keep_others = true, keep_separators = true }";
    assert_eq!(misfit(both).parameter, Some("keep_separators"));
}

/// The same value in two fields of a domain.
#[test]
fn a_tweak_of_the_field_parts_what_the_domain_joins() {
    let treated = |text: &str, field: &str| {
        let column = Column::alone(field, &DataType::Utf8, "other");
        let built = spec(text).build(column, Some(&key())).unwrap();
        let array: ArrayRef = Arc::new(StringArray::from(vec!["123456789012"]));
        built.apply(&array).unwrap().array
    };
    let own = "{ kind = 'fpe', domain = 'account.id', tweak = 'field' }";
    assert_eq!(&treated(SPEC, "payer"), &treated(SPEC, "payee"));
    assert_ne!(&treated(own, "payer"), &treated(own, "payee"));
    assert_eq!(&treated(own, "payer"), &treated(own, "payer"));
    assert_ne!(&treated(own, "payer"), &treated(SPEC, "payer"));
    let out = treat_one(own, "123456789012").unwrap();
    assert_eq!(restored(own, "other", &out).unwrap(), "123456789012");
    let (field, domain) = (spec(own), spec(SPEC));
    assert!(field.meets(&domain) && !domain.meets(&field));
    let named = spec("{ kind = 'fpe', domain = 'account.id', tweak = 'domain' }");
    assert_eq!(named, domain);
}

#[test]
fn characters_of_any_script_are_encrypted() {
    let spec = "{ kind = 'fpe', domain = 'd', alphabet = '甲乙丙丁戊己庚辛壬癸𠮷野' }";
    let value = "甲乙丙丁𠮷野甲乙";
    let out = treat_one(spec, value).unwrap();
    assert_eq!(out.chars().count(), 8);
    assert!(out.chars().all(|c| "甲乙丙丁戊己庚辛壬癸𠮷野".contains(c)));
    assert_eq!(restored(spec, "other", &out).unwrap(), value);
}

#[test]
fn other_domains_and_keys_give_other_results() {
    let value = "123456789012";
    let other_domain = "{ kind = 'fpe', domain = 'other' }";
    assert_ne!(treat_one(SPEC, value), treat_one(other_domain, value));
    let array: ArrayRef = Arc::new(StringArray::from(vec![value]));
    let other_key = DerivedKey::derive(&[7; 32], "fpe", "account.id", "grant:G-2", 1);
    let mine = treat_with(SPEC, &array, "other", &key()).unwrap().array;
    let theirs = treat_with(SPEC, &array, "other", &other_key).unwrap().array;
    assert_ne!(&mine, &theirs);
}

#[test]
fn parameters_that_make_no_sense_are_named() {
    assert_eq!(
        misfit("{ kind = 'fpe', domain = ' ' }").parameter,
        Some("domain")
    );
    assert_eq!(
        misfit("{ kind = 'fpe', domain = 'd', join = '' }").parameter,
        Some("join")
    );
    let alphabet = misfit("{ kind = 'fpe', domain = 'd', alphabet = 'digit' }");
    assert_eq!(alphabet.parameter, Some("alphabet"));
    assert_eq!(misfit_of(SPEC, &DataType::Int64).parameter, None);
    let column = Column::alone("field", &DataType::Utf8, "other");
    let missing = spec(SPEC).build(column, None).unwrap_err();
    assert!(missing.what.contains("has no key"));
}

#[test]
fn numbers_that_are_not_text_are_refused_at_run_time() {
    let column = Column::alone("field", &DataType::Utf8, "other");
    let built = spec(SPEC).build(column, Some(&key())).unwrap();
    let array: ArrayRef = Arc::new(Int64Array::from(vec![1_234_567]));
    assert!(built.apply(&array).is_err());
}

#[test]
fn revealing_more_does_not_meet_the_floor() {
    let keeps = spec("{ kind = 'fpe', domain = 'account.id', keep_separators = true }");
    let plain = spec(SPEC);
    let joined = spec("{ kind = 'fpe', domain = 'account.id', join = 'j' }");
    assert!(plain.meets(&keeps) && !keeps.meets(&plain));
    assert!(plain.meets(&joined) && !joined.meets(&plain));
}

#[test]
fn a_million_values_of_six_digits_are_a_permutation() {
    let values: Vec<String> = (0..1_000_000).map(|at| format!("{at:06}")).collect();
    let array: ArrayRef = Arc::new(StringArray::from(values));
    let treated = treat_with(SPEC, &array, "other", &key()).unwrap();
    let mut seen = vec![false; 1_000_000];
    for out in treated.array.as_string::<i32>().iter().flatten() {
        assert_eq!(out.len(), 6);
        let place = &mut seen[out.parse::<usize>().unwrap()];
        assert!(!std::mem::replace(place, true));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lengths_may_mix(values in proptest::collection::vec("[0-9]{6,45}", 1..60)) {
        let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let treated = treat_with(SPEC, &array, "other", &key()).unwrap();
        for (value, out) in values.iter().zip(treated.array.as_string::<i32>()) {
            let out = out.unwrap();
            prop_assert_eq!(out.len(), value.len());
            prop_assert_eq!(treat_one(SPEC, value).unwrap(), out);
            prop_assert_eq!(&restored(SPEC, "other", out).unwrap(), value);
        }
    }

    #[test]
    fn letters_and_digits_come_back(value in "[0-9A-Za-z]{4,30}") {
        let spec = "{ kind = 'fpe', domain = 'd', alphabet = 'alphanumeric' }";
        for category in ["other", "passport"] {
            let out = encrypted(spec, category, &value).unwrap();
            prop_assert!(out.len() == value.len() && out.bytes().all(|byte| byte.is_ascii_alphanumeric()));
            prop_assert_eq!(&restored(spec, category, &out).unwrap(), &value);
        }
    }
}
