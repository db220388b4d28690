use arrow::array::{Array, AsArray, Date32Array, Decimal128Array, Int64Array, UInt64Array};
use proptest::prelude::*;

use super::*;
use crate::testing::{
    CATEGORY, cases_of, misfit, misfit_of, spec, treat_array, treat_one, treat_with,
};
use crate::treatments::AnyTreatment;

const SPEC: &str = "{ kind = 'encrypt-det', domain = 'person.id' }";

fn key() -> DerivedKey {
    DerivedKey::derive(&[7; 32], "encryption", "person.id", "grant:G-1", 1)
}

fn opener(text: &str) -> Opener {
    opener_with(text, &key())
}

fn opener_with(text: &str, key: &DerivedKey) -> Opener {
    let spec = spec(text);
    let AnyTreatment::EncryptDet(treatment) = spec.treatment() else {
        panic!("{text} is another kind");
    };
    treatment.opener(key)
}

fn column(values: Vec<Option<&str>>) -> ArrayRef {
    Arc::new(StringArray::from(values))
}

/// The result as Python's recipe makes it: see the module's documentation.
#[test]
fn results_of_python_are_met() {
    let values = column(vec![
        Some("11010519491231002x"),
        Some("张三"),
        Some("浙江省杭州市西湖区文三路1号"),
    ]);
    let treated = treat_with(SPEC, &values, "resident-id", &key()).unwrap();
    let texts: Vec<_> = treated.array.as_string::<i32>().iter().flatten().collect();
    let expected = [
        "egmY8ukAMf3Kh_IPsuh8GwfNenr7DtNND5S8lSYnD0kv7Q",
        "WHOwRa3EfNK3uK285YhF3tvLLWm0cQ",
        "_yOpxm3Xce517ixiFIAr3EUNxFZFQVFDfNrUiCIcBMTEMqlZR85-8uazh9r_FCBVgosxRYwri4Q",
    ];
    assert_eq!(texts, expected);
    let hex = "{ kind = 'encrypt-det', domain = 'person.id', encoding = 'hex' }";
    let treated = treat_with(hex, &values.slice(1, 1), "resident-id", &key()).unwrap();
    assert_eq!(
        treated.array.as_string::<i32>().value(0),
        "5873b045adc47cd2b7b8adbce58845dedbcb2d69b471"
    );
}

/// As RFC 5297 composes it, by Python's `cryptography` from its SM4, CMAC and counter mode.
#[test]
fn results_of_python_with_sm4_are_met() {
    let sm4 = "{ kind = 'encrypt-det', domain = 'person.id', algorithm = 'sm4-siv' }";
    let values = column(vec![
        Some("11010519491231002x"),
        Some("张三"),
        Some("浙江省杭州市西湖区文三路1号"),
    ]);
    let treated = treat_with(sm4, &values, "resident-id", &key()).unwrap();
    let texts: Vec<_> = treated.array.as_string::<i32>().iter().flatten().collect();
    let expected = [
        "KINGRfnYnwygbm0Z-cPnAdNSvcStWnMzk30uninENW2CQQ",
        "e6itgElMGoh3vdyAi8QknCyKmOpkfA",
        "dk1XQwgbcU0h19_ucgnAGgj1vNjzkWXu75GWyX-6Y5NIoqCFohJ5VskrTb9D4gn5B-wiP_4IqDA",
    ];
    assert_eq!(texts, expected);
    let opened = opener(sm4).open(texts[1]);
    assert_eq!(opened.as_deref(), Ok("张三"));
    assert_eq!(opener(SPEC).open(texts[1]), Err(Unopenable::NotAuthentic));
    assert!(!spec(sm4).meets(&spec(SPEC)) && !spec(SPEC).meets(&spec(sm4)));
}

#[test]
fn spellings_of_one_identifier_are_one_value() {
    let values = column(vec![
        Some("11010519491231002X"),
        Some(" 110105-19491231-002x"),
        Some("11010519491231002x"),
    ]);
    let treated = treat_with(SPEC, &values, "resident-id", &key()).unwrap();
    let texts = treated.array.as_string::<i32>();
    assert!(texts.iter().all(|text| text == Some(texts.value(0))));
    assert_eq!(
        opener(SPEC).open(texts.value(1)).unwrap(),
        "11010519491231002X"
    );
    let exact = "{ kind = 'encrypt-det', domain = 'person.id', normalise = 'none' }";
    let treated = treat_with(exact, &values, "resident-id", &key()).unwrap();
    let texts = treated.array.as_string::<i32>();
    assert_ne!(texts.value(0), texts.value(2));
    assert_eq!(
        opener(exact).open(texts.value(1)).unwrap(),
        " 110105-19491231-002x"
    );
}

#[test]
fn numbers_and_dates_are_encrypted_as_their_text() {
    let decimals = Decimal128Array::from(vec![Some(1230), None]);
    let arrays: [(ArrayRef, &str); 4] = [
        (Arc::new(Int64Array::from(vec![Some(-42), None])), "-42"),
        (
            Arc::new(UInt64Array::from(vec![Some(u64::MAX), None])),
            "18446744073709551615",
        ),
        (
            Arc::new(decimals.with_precision_and_scale(12, 2).unwrap()),
            "12.30",
        ),
        (
            Arc::new(Date32Array::from(vec![Some(20484), None])),
            "2026-01-31",
        ),
    ];
    for (array, text) in arrays {
        let treated = treat_with(SPEC, &array, CATEGORY, &key()).unwrap();
        let written = treated.array.as_string::<i32>();
        assert_eq!(opener(SPEC).open(written.value(0)).unwrap(), text);
        assert!(written.is_null(1));
        let as_text = treat_with(SPEC, &column(vec![Some(text)]), CATEGORY, &key()).unwrap();
        assert_eq!(as_text.array.as_string::<i32>().value(0), written.value(0));
    }
}

#[test]
fn empty_and_odd_values_follow_the_options() {
    let values = column(vec![None, Some(""), Some(" "), Some("--"), Some("x")]);
    let null = "{ kind = 'encrypt-det', domain = 'person.id', on_empty = 'null' }";
    let treated = treat_with(null, &values, "resident-id", &key()).unwrap();
    assert_eq!(treated.array.null_count(), 4);
    assert_eq!(cases_of(&treated), (1, 3, 0, 0));
    let array: ArrayRef = Arc::new(Date32Array::from(vec![Some(i32::MAX), Some(0)]));
    let treated = treat_array(SPEC, &array).unwrap();
    assert_eq!(treated.array.null_count(), 1);
    assert_eq!(cases_of(&treated), (0, 0, 0, 1));
}

#[test]
fn a_changed_result_does_not_open() {
    for encoding in ["base64url", "hex"] {
        let text =
            format!("{{ kind = 'encrypt-det', domain = 'person.id', encoding = '{encoding}' }}");
        let treated =
            treat_with(&text, &column(vec![Some("13800138000")]), CATEGORY, &key()).unwrap();
        let result = treated.array.as_string::<i32>().value(0);
        let opener = opener(&text);
        assert_eq!(opener.open(result).unwrap(), "13800138000");
        for at in 0..result.len() {
            for other in "0aA9fZ_=*".chars() {
                let mut characters: Vec<char> = result.chars().collect();
                characters[at] = other;
                let changed: String = characters.into_iter().collect();
                assert!(
                    changed == result || opener.open(&changed).is_err(),
                    "{changed}"
                );
            }
        }
        for wrong in ["", "AAAA", "张三", "zz"] {
            assert_eq!(opener.open(wrong), Err(Unopenable::Malformed));
        }
    }
}

#[test]
fn another_grant_domain_or_version_gives_other_results() {
    let values = column(vec![Some("13800138000")]);
    let result = |text: &str, key: &DerivedKey| {
        let treated = treat_with(text, &values, CATEGORY, key).unwrap();
        treated.array.as_string::<i32>().value(0).to_owned()
    };
    let own = result(SPEC, &key());
    let grant = DerivedKey::derive(&[7; 32], "encryption", "person.id", "grant:G-2", 1);
    let version = DerivedKey::derive(&[7; 32], "encryption", "person.id", "grant:G-1", 2);
    let domain = "{ kind = 'encrypt-det', domain = 'person.mobile' }";
    for other in [
        result(SPEC, &grant),
        result(SPEC, &version),
        result(domain, &key()),
    ] {
        assert_ne!(own, other);
        assert_eq!(opener(SPEC).open(&other), Err(Unopenable::NotAuthentic));
    }
}

#[test]
fn a_column_opens_with_its_nulls_and_names_the_row_that_does_not() {
    let values = column(vec![Some("张三"), None, Some(""), Some("𠮷野家")]);
    let treated = treat_with(SPEC, &values, CATEGORY, &key()).unwrap();
    let results = treated.array.as_string::<i32>();
    assert_eq!(&opener(SPEC).open_column(results).unwrap(), &values);
    let broken = StringArray::from(vec![Some(results.value(0)), Some("张三")]);
    let refused = opener(SPEC).open_column(&broken).unwrap_err();
    assert_eq!(
        refused,
        NotOpened {
            row: 1,
            why: Unopenable::Malformed
        }
    );
    assert!(!refused.to_string().contains("张三"));
}

#[test]
fn the_key_is_needed_and_never_shown() {
    let data_type = DataType::Utf8;
    let column = Column::alone("id", &data_type, CATEGORY);
    let missing = spec(SPEC).build(column, None).unwrap_err();
    assert!(missing.hint.unwrap().contains("keys new encryption"));
    let built = spec(SPEC).build(column, Some(&key())).unwrap();
    assert!(format!("{built:?}").contains("siv: Siv(..)"));
}

#[test]
fn parameters_that_name_nothing_and_other_types_are_refused() {
    assert_eq!(
        misfit("{ kind = 'encrypt-det', domain = ' ' }").parameter,
        Some("domain")
    );
    let empty_join = "{ kind = 'encrypt-det', domain = 'd', join = '' }";
    assert_eq!(misfit(empty_join).parameter, Some("join"));
    for data_type in [DataType::Float64, DataType::Boolean, DataType::Binary] {
        assert_eq!(misfit_of(SPEC, &data_type).parameter, None);
    }
}

#[test]
fn a_wider_join_does_not_meet_the_floor() {
    let joined = spec("{ kind = 'encrypt-det', domain = 'person.id', join = 'welfare' }");
    let alone = spec(SPEC);
    assert!(alone.meets(&joined) && joined.meets(&joined) && !joined.meets(&alone));
    assert!(spec("{ kind = 'encrypt-det', domain = 'person.id', encoding = 'hex' }").meets(&alone));
    assert!(!spec("{ kind = 'encrypt-det', domain = 'other' }").meets(&alone));
    let key_use = joined.key_uses().pop().unwrap();
    assert_eq!(
        (key_use.purpose, key_use.join.as_deref()),
        ("encryption", Some("welfare"))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn results_are_a_bijection_that_opens(one in "\\PC{1,40}", two in "\\PC{1,40}") {
        prop_assume!(!one.trim().is_empty() && !two.trim().is_empty());
        let (own, other) = (treat_one(SPEC, &one).unwrap(), treat_one(SPEC, &two).unwrap());
        prop_assert_eq!(own == other, one == two);
        let opener = opener_with(SPEC, &crate::testing::key());
        prop_assert_eq!(opener.open(&own).unwrap(), one);
    }

    #[test]
    fn written_bytes_read_back(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        for encoding in [Encoding::Base64url, Encoding::Hex] {
            let mut out = b"before".to_vec();
            encoding.append(&bytes, &mut out);
            let text = std::str::from_utf8(&out).unwrap().strip_prefix("before").unwrap();
            prop_assert_eq!(encoding.read(text), Some(bytes.clone()));
        }
    }
}
