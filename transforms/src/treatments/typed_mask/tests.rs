mod words;

use proptest::prelude::*;

use crate::testing::{cases_of, misfit, spec, treat, treat_one, try_spec};

/// Every kind with its words, the default first, and a value of it.
const KINDS: [(&str, &[&str], &str); 12] = [
    (
        "resident-id",
        &[
            "province",
            "city",
            "district",
            "ends",
            "district-and-last-4",
        ],
        "11010519491231002X",
    ),
    (
        "mobile",
        &["prefix", "last-4", "prefix-and-last-4"],
        "13800138000",
    ),
    (
        "landline",
        &["area-code", "area-code-and-last-2"],
        "0571-88886666",
    ),
    ("person-name", &["surname"], "张三丰"),
    (
        "bank-card",
        &["bin", "last-4", "ends", "bin-and-last-4"],
        "6222021234567890128",
    ),
    (
        "address",
        &["district", "city", "province"],
        "浙江省杭州市西湖区文三路1号",
    ),
    (
        "credit-code",
        &["category", "district", "district-and-last-2"],
        "91110000600037341L",
    ),
    ("plate", &["region", "region-and-last-1"], "浙A12345"),
    (
        "passport",
        &["letter", "letter-and-last-3", "letter-and-last-4"],
        "E12345678",
    ),
    (
        "permit",
        &["letter", "letter-and-last-3", "letter-and-last-4"],
        "C12345678",
    ),
    (
        "email",
        &["top-level", "domain", "domain-and-first"],
        "zhang.san@hz.gov.cn",
    ),
    (
        "ip",
        &["one-part", "two-parts", "three-parts"],
        "192.168.17.5",
    ),
];

fn of(kind: &str) -> String {
    format!("{{ kind = 'typed-mask', of = '{kind}' }}")
}

fn keeping(kind: &str, keep: &str) -> String {
    format!("{{ kind = 'typed-mask', of = '{kind}', keep = '{keep}' }}")
}

fn masked(kind: &str, value: &str) -> String {
    treat_one(&of(kind), value).unwrap()
}

/// That values are covered whole and counted as invalid.
fn assert_invalid(kind: &str, values: &[&str]) {
    for value in values {
        let treated = treat(&of(kind), &[Some(value)]);
        assert_eq!(cases_of(&treated), (0, 0, 0, 1), "{kind} {value}");
        let written = masked(kind, value);
        assert!(
            written.chars().all(|character| character == '*'),
            "{kind} {value} {written}"
        );
    }
}

#[test]
fn a_resident_id_shows_its_province() {
    assert_eq!(
        masked("resident-id", "11010519491231002X"),
        "11****************"
    );
    assert_eq!(masked("resident-id", "110105491231002"), "11*************");
    let ends = keeping("resident-id", "ends");
    assert_eq!(
        treat_one(&ends, "１１０１０５ 19491231-002ｘ"),
        Some("1****************X".into())
    );
    let most = keeping("resident-id", "district-and-last-4");
    assert_eq!(
        treat_one(&most, "360426199101010071"),
        Some("360426********0071".into())
    );
    assert_eq!(
        treat_one(&most, "110105491231002"),
        Some("110105******002".into())
    );
    assert_eq!(
        masked("resident-id", "110105194912310021").replace('*', ""),
        "",
        "check digit"
    );
}

#[test]
fn an_id_of_another_length_or_date_never_passes() {
    // ShardingSphere's ID replacer returns any other length as it is.
    assert_invalid(
        "resident-id",
        &[
            "1101051949123100",
            "11010519491231002",
            "11010519491331002X",
            "11010519490229002X",
            "99010519491231002X",
            "110105490229002",
            "11010519491231002XX",
            "A1010519491231002X",
            "张三",
        ],
    );
}

#[test]
fn a_mobile_number_shows_its_prefix() {
    for spelling in [
        "13800138000",
        "+86 138-0013-8000",
        "008613800138000",
        "１３８００１３８０００",
    ] {
        assert_eq!(masked("mobile", spelling), "138********", "{spelling}");
    }
    let most = keeping("mobile", "prefix-and-last-4");
    assert_eq!(
        treat_one(&most, "+8613800138000"),
        Some("138****8000".into())
    );
    assert_invalid(
        "mobile",
        &[
            "1380013800",
            "138001380000",
            "12800138000",
            "0571-88886666",
            "x",
        ],
    );
}

#[test]
fn a_landline_shows_its_area_code() {
    for (value, expected) in [
        ("0571-88886666", "0571-********"),
        ("(0571)88886666", "0571-********"),
        ("057188886666", "0571-********"),
        ("010 6666 8888", "010-********"),
        ("021-6666-8888", "021-********"),
        ("0571-88886666-801", "0571-********"),
        ("0571-88886666转801", "0571-********"),
        ("+86-571-88886666", "0571-********"),
        ("0086 10 66668888", "010-********"),
        ("0471-6666888", "0471-*******"),
        ("400-810-0000", "400-*******"),
        ("＋８６（０５７１）８８８８６６６６", "0571-********"),
    ] {
        assert_eq!(masked("landline", value), expected, "{value}");
    }
    let two = keeping("landline", "area-code-and-last-2");
    assert_eq!(
        treat_one(&two, "0571-88886666-801"),
        Some("0571-******66".into())
    );
    assert_invalid(
        "landline",
        &[
            "88886666",
            "0571-1888666",
            "0571-888866",
            "0571-888866667",
            "13800138000",
            "0571",
        ],
    );
}

#[test]
fn a_bank_card_shows_its_issuer() {
    assert_eq!(
        masked("bank-card", "6222 0212 3456 7890 128"),
        "622202*************"
    );
    let most = keeping("bank-card", "bin-and-last-4");
    assert_eq!(
        treat_one(&most, "6222021234567890128"),
        Some("622202*********0128".into())
    );
}

#[test]
fn a_card_of_another_length_or_check_digit_never_passes() {
    // Hutool returns cards of fewer than nine digits as they are.
    assert_invalid(
        "bank-card",
        &[
            "62220212",
            "622202123456",
            "6222021234567890129",
            "0000000000000000",
            "622202123456789012X",
        ],
    );
}

#[test]
fn a_credit_code_shows_its_category() {
    assert_eq!(
        masked("credit-code", "91110000600037341l"),
        "91****************"
    );
    let most = keeping("credit-code", "district-and-last-2");
    assert_eq!(
        treat_one(&most, "91110000600037341L"),
        Some("91110000********1L".into())
    );
    assert_invalid(
        "credit-code",
        &[
            "91110000600037341M",
            "9111000060003734",
            "91I10000600037341L",
        ],
    );
}

#[test]
fn a_plate_shows_its_region() {
    for (plate, expected) in [
        ("浙A12345", "浙A*****"),
        ("浙A·12345", "浙A*****"),
        ("浙a 1234学", "浙A*****"),
        ("粤Z1234港", "粤Z*****"),
        ("浙AD12345", "浙A******"),
        ("浙A12345F", "浙A******"),
        ("浙ADA2345", "浙A******"),
    ] {
        assert_eq!(masked("plate", plate), expected, "{plate}");
    }
    let last = keeping("plate", "region-and-last-1");
    assert_eq!(treat_one(&last, "浙A1234警"), Some("浙A****警".into()));
}

#[test]
fn a_plate_of_another_length_or_form_never_passes() {
    // Hutool returns plates of another length as they are.
    assert_invalid(
        "plate",
        &[
            "浙A1234",
            "浙A1234567",
            "浙A1234I",
            "AA12345",
            "浙112345",
            "浙AZ12345",
        ],
    );
}

#[test]
fn passports_and_permits_show_their_letter() {
    assert_eq!(masked("passport", "e12345678"), "E********");
    assert_eq!(masked("passport", "EA1234567"), "E********");
    assert_eq!(masked("passport", "141234567"), "*********");
    let four = keeping("passport", "letter-and-last-4");
    assert_eq!(treat_one(&four, "G12345678"), Some("G****5678".into()));
    for (permit, expected) in [
        ("C12345678", "C********"),
        ("CA1234567", "C********"),
        ("W12345678", "W********"),
        ("H1234567890", "H**********"),
        ("M12345678", "M********"),
        ("12345678", "********"),
        ("T12345678", "T********"),
    ] {
        assert_eq!(masked("permit", permit), expected, "{permit}");
    }
    let three = keeping("permit", "letter-and-last-3");
    assert_eq!(treat_one(&three, "1234567890"), Some("*******890".into()));
    assert_invalid(
        "passport",
        &["E1234567", "EI1234567", "X12345678", "E123456789"],
    );
    assert_invalid(
        "permit",
        &["C1234567", "H123456789", "123456789", "X12345678"],
    );
}

#[test]
fn the_default_is_the_first_word_and_every_word_hides_something() {
    for (kind, words, value) in KINDS {
        assert_eq!(
            masked(kind, value),
            treat_one(&keeping(kind, words[0]), value).unwrap()
        );
        for word in words.iter().chain(&["nothing"]) {
            let treated = treat(&keeping(kind, word), &[Some(value)]);
            assert_eq!(cases_of(&treated), (0, 0, 0, 0), "{kind} {word}");
            let written = treat_one(&keeping(kind, word), value).unwrap();
            assert!(
                written != value && written.contains('*'),
                "{kind} {word} {written}"
            );
        }
    }
}

#[test]
fn words_of_another_kind_are_refused() {
    for (kind, words, _) in KINDS {
        for (other, theirs, _) in KINDS {
            for word in theirs.iter().filter(|word| !words.contains(word)) {
                let misfit = misfit(&keeping(kind, word));
                assert_eq!(misfit.parameter, Some("keep"), "{kind} {other} {word}");
                assert!(misfit.hint.unwrap().contains(words[0]), "{kind} {word}");
            }
        }
    }
    assert!(try_spec(&of("name")).is_err());
    assert!(try_spec("{ kind = 'typed-mask', of = 'ip', keep = 'all' }").is_err());
    let fill = "{ kind = 'typed-mask', of = 'ip', fill = '**' }";
    assert_eq!(misfit(fill).parameter, Some("fill"));
}

#[test]
fn showing_less_of_the_same_kind_meets_more() {
    let meets = |kind: &str, own: &str, floor: &str| {
        spec(&keeping(kind, own)).meets(&spec(&keeping(kind, floor)))
    };
    for (kind, words, _) in KINDS {
        for word in words {
            assert!(
                meets(kind, "nothing", word) && meets(kind, word, word),
                "{kind} {word}"
            );
            assert!(!meets(kind, word, "nothing"), "{kind} {word}");
        }
    }
    assert!(meets("resident-id", "province", "district-and-last-4"));
    assert!(!meets("resident-id", "province", "ends") && !meets("resident-id", "ends", "city"));
    assert!(meets("address", "city", "district") && !meets("address", "district", "city"));
    assert!(!meets("mobile", "last-4", "prefix"));
    assert!(!spec(&of("mobile")).meets(&spec(&of("landline"))));
    let same = spec("{ kind = 'typed-mask', of = 'person-name', length = 'same' }");
    assert!(spec(&of("person-name")).meets(&same) && !same.meets(&spec(&of("person-name"))));
}

/// Values of every kind, and values that come near them.
fn near() -> impl Strategy<Value = String> {
    let value = proptest::sample::select(KINDS.map(|(_, _, value)| value).to_vec());
    prop_oneof![
        (value.clone(), 0_usize..20, "\\PC{0,2}").prop_map(|(value, at, more)| {
            let mut text: Vec<char> = value.chars().collect();
            text.splice(at.min(text.len())..(at + 1).min(text.len()), more.chars());
            text.into_iter().collect()
        }),
        value.prop_map(str::to_owned),
        "[0-9]{5,20}",
        "[\u{4e00}-\u{9fff}·]{1,9}",
        "\\PC{1,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_value_passes_whatever_it_is(value in near()) {
        prop_assume!(!value.trim().is_empty() && !value.contains('█'));
        for (kind, words, _) in KINDS {
            for word in words.iter().chain(&["nothing"]) {
                let spec = format!("{{ kind = 'typed-mask', of = '{kind}', keep = '{word}', fill = '█' }}");
                let treated = treat(&spec, &[Some(&value)]);
                let text = arrow::array::AsArray::as_string::<i32>(&treated.array).value(0).to_owned();
                prop_assert!(text.contains('█'), "{} {} {} {}", kind, word, value, text);
                if treated.counts.invalid + treated.counts.short > 0 {
                    prop_assert!(text.chars().all(|c| c == '█'), "{} {} {}", kind, value, text);
                }
            }
        }
    }
}
