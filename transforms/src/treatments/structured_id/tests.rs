#![expect(
    clippy::as_conversions,
    clippy::string_slice,
    reason = "tests: numbers that are known to fit, identifiers that are ASCII"
)]

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, StringArray};
use proptest::prelude::*;

use super::*;
use crate::calendar::Civil;
use crate::check_digit::{credit_code, luhn, organisation_code, resident_id};
use crate::divisions::Codes;
use crate::testing::{cases_of, key, misfit, spec, try_spec};
use crate::treatment::Treated;
use crate::treatments::AnyTreatment;

fn written(of: &str, keep: &str) -> String {
    format!("{{ kind = 'structured-id', of = '{of}', keep = [{keep}], domain = 'person.id' }}")
}

fn treated_with(text: &str, values: &[String], direction: Direction) -> Treated {
    let spec = spec(text);
    let AnyTreatment::StructuredId(structured) = spec.treatment() else {
        panic!("not a structured id");
    };
    let column = Column::alone("field", &DataType::Utf8, "other");
    let built = match direction {
        Direction::Encrypt => spec.build(column, Some(&key())),
        Direction::Decrypt => structured.restore(column, spec.options(), Some(&key())),
    };
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    built.unwrap().apply(&array).unwrap()
}

fn texts(treated: &Treated) -> Vec<String> {
    let array = treated.array.as_string::<i32>();
    array.iter().map(|text| text.unwrap().to_owned()).collect()
}

/// The results of valid identifiers, which are checked to come back and to be distinct.
fn permuted(of: &str, keep: &str, values: &[String]) -> Vec<String> {
    let text = written(of, keep);
    let treated = treated_with(&text, values, Direction::Encrypt);
    assert_eq!(treated.counts.invalid, 0, "{text}");
    let outs = texts(&treated);
    let back = treated_with(&text, &outs, Direction::Decrypt);
    let back = texts(&back);
    let lost = values.iter().zip(&back).find(|(value, back)| value != back);
    assert_eq!(lost, None, "{text}");
    let distinct = |texts: &[String]| texts.iter().collect::<HashSet<_>>().len();
    assert_eq!(distinct(&outs), distinct(values));
    outs
}

/// A cheap sequence of well-mixed numbers.
fn numbers(seed: u64) -> impl Iterator<Item = u64> {
    (0..).map(move |at: u64| {
        let mixed = (seed ^ at)
            .wrapping_mul(0x9E37_79B9_7F4A_7C15)
            .rotate_left(31);
        (mixed ^ mixed >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 8
    })
}

fn resident(region: u32, date: &str, sequence: u64) -> String {
    let first = format!("{region:06}{date}{sequence:03}");
    let check = resident_id::check(first.as_bytes()).unwrap();
    format!("{first}{}", char::from(check))
}

/// Numbers of regions in force, known and unknown, born in every year of the window.
fn residents(seed: u64, count: usize) -> Vec<String> {
    let regions = Codes::new();
    let known = regions.within(0, 0).len() as u64;
    let mut numbers = numbers(seed);
    let mut next = || numbers.next().unwrap();
    (0..count)
        .map(|at| {
            let region = match at % 4 {
                0 => 100_000 + (next() % 800_000) as u32,
                _ => regions.code((next() % known) as usize).unwrap(),
            };
            let date = Civil::of_days((next() % 54_787) as i64 - 25_567);
            let date = format!("{:04}{:02}{:02}", date.year, date.month, date.day);
            resident(region, &date, next() % 1_000)
        })
        .collect()
}

/// Whether a number's region is unknown, known, or was in force in the year of birth.
fn class(regions: &Codes, id: &str) -> (bool, bool) {
    let place = regions.find(id[..6].parse().unwrap());
    let year = id[6..10].parse().unwrap();
    (
        place.is_some(),
        place.is_some_and(|place| regions.in_force(place, year)),
    )
}

#[test]
fn resident_numbers_stay_valid_and_keep_what_is_asked() {
    let values = residents(1, 8_000);
    let regions = Codes::new();
    for (keep, kept) in [
        ("", None),
        ("'sex'", None),
        ("'region2'", Some(0..2)),
        ("'region4'", Some(0..4)),
        ("'region6'", Some(0..6)),
        ("'region6', 'sex'", Some(0..6)),
        ("'birth-year'", Some(6..10)),
        ("'birth-year', 'sex'", Some(6..10)),
    ] {
        // Without those of divisions in force for too few years.
        let treated = treated_with(&written("resident-id", keep), &values, Direction::Encrypt);
        let pairs = values.iter().zip(texts(&treated));
        let fine = pairs.filter(|(_, out)| !out.starts_with('*'));
        let values: Vec<String> = fine.map(|(value, _)| value.clone()).collect();
        assert!(values.len() > 7_950, "{keep}");
        for (value, out) in values.iter().zip(permuted("resident-id", keep, &values)) {
            assert!(resident_id::is_valid(out.as_bytes()), "{keep}");
            let part = |text: &str, at: std::ops::Range<usize>| text[at].parse::<i64>().unwrap();
            let (year, month, day) = (part(&out, 6..10), part(&out, 10..12), part(&out, 12..14));
            let date = Civil { year, month, day };
            assert_eq!(Civil::of_days(date.to_days()), date);
            assert!((1900..=2049).contains(&year) && (b'1'..=b'8').contains(&out.as_bytes()[0]));
            if let Some(range) = &kept {
                assert_eq!(value[range.clone()], out[range.clone()], "{keep}");
            }
            let parity = |text: &str| part(text, 16..17) % 2;
            assert!(!keep.contains("sex") || parity(value) == parity(&out));
            assert_eq!(class(&regions, value), class(&regions, &out), "{keep}");
        }
    }
}

#[test]
fn a_region_out_of_force_may_be_invalid_and_then_every_result_is_in_force() {
    let values = residents(6, 8_000);
    let regions = Codes::new();
    for keep in ["", "'sex'", "'region2'", "'region4'", "'birth-year'"] {
        let apart = written("resident-id", keep);
        let strict = apart.replace(" }", ", not_in_force = 'invalid' }");
        let outs = texts(&treated_with(&strict, &values, Direction::Encrypt));
        let others = texts(&treated_with(&apart, &values, Direction::Encrypt));
        let mut in_force = Vec::new();
        for ((value, out), other) in values.iter().zip(&outs).zip(&others) {
            if class(&regions, value).1 {
                assert_eq!(out, other, "{keep}: it is the same permutation");
            } else {
                assert_eq!(*out, "*".repeat(18), "{keep}");
            }
            if !out.starts_with('*') {
                assert!(class(&regions, out).1, "{keep}");
                in_force.push(out.clone());
            }
        }
        assert!(in_force.len() > 1_500, "{keep}");
        let back = treated_with(&strict, &in_force, Direction::Decrypt);
        assert_eq!(back.counts.invalid, 0);
        let (apart, strict) = (spec(&apart), spec(&strict));
        assert!(strict.meets(&apart) && !apart.meets(&strict));
    }
    let mobile = written("mobile", "").replace(" }", ", not_in_force = 'invalid' }");
    assert_eq!(misfit(&mobile).parameter, Some("not_in_force"));
}

#[test]
fn what_is_not_kept_changes() {
    // Without those of divisions in force for too few years.
    let values = residents(2, 4_000);
    let spec = written("resident-id", "'region6'");
    let treated = treated_with(&spec, &values, Direction::Encrypt);
    let pairs = values.iter().zip(texts(&treated));
    let wide = pairs.filter(|(_, out)| !out.starts_with('*'));
    let values: Vec<String> = wide.map(|(value, _)| value.clone()).collect();
    assert!(values.len() > 3_975);
    let outs = permuted("resident-id", "", &values);
    let same = |range: std::ops::Range<usize>| {
        let pairs = values.iter().zip(&outs);
        pairs
            .filter(|(value, out)| value[range.clone()] == out[range.clone()])
            .count()
    };
    assert!(same(0..6) < 20 && same(6..14) < 20 && same(14..17) < 20);
    assert!(
        (1_500..2_500).contains(
            &outs
                .iter()
                .filter(|out| out.as_bytes()[16] % 2 == 1)
                .count()
        )
    );
    let other = permuted("resident-id", "'region6'", &values);
    assert!(outs.iter().zip(&other).all(|(one, other)| one != other));
}

#[test]
fn people_of_one_birth_and_sequence_differ_by_region() {
    let values: Vec<String> = [110_105, 110_106, 110_107]
        .map(|region| resident(region, "19800131", 123))
        .to_vec();
    let outs = permuted("resident-id", "'region6'", &values);
    let hidden: HashSet<&str> = outs.iter().map(|out| &out[6..17]).collect();
    assert_eq!(hidden.len(), 3);
}

#[test]
fn a_province_and_year_may_stay_where_a_million_are_left() {
    let year_and_province = written("resident-id", "'region2', 'birth-year'");
    let values = vec![
        resident(110_105, "19800131", 123),
        resident(330_106, "20000229", 4),
        // Taiwan has one code: what is left is a year of days, less than a million.
        resident(710_000, "19800131", 123),
    ];
    let treated = treated_with(&year_and_province, &values, Direction::Encrypt);
    assert_eq!(treated.counts.invalid, 1);
    let outs = texts(&treated);
    assert_eq!((&outs[0][..2], &outs[0][6..10]), ("11", "1980"));
    assert_eq!((&outs[1][..2], &outs[1][6..10]), ("33", "2000"));
    assert_eq!(outs[2], "*".repeat(18));
    let back = treated_with(&year_and_province, &outs[..2], Direction::Decrypt);
    assert_eq!(texts(&back), values[..2]);
}

#[test]
fn a_division_in_force_for_too_few_years_is_refused() {
    let regions = Codes::new();
    let values: Vec<String> = (0..regions.within(0, 0).len())
        .flat_map(|place| [1990, 2040].map(|year| (place, year)))
        .map(|(place, year)| resident(regions.code(place).unwrap(), &format!("{year}0131"), 7))
        .collect();
    for (keep, narrow) in [
        ("'region6'", 0..100),
        ("'region4'", 0..100),
        ("'region6', 'sex'", 1..400),
    ] {
        let text = written("resident-id", keep);
        let treated = treated_with(&text, &values, Direction::Encrypt);
        let outs = texts(&treated);
        let fine: Vec<String> = outs
            .into_iter()
            .filter(|out| !out.starts_with('*'))
            .collect();
        assert_eq!(
            fine.len() as u64 + treated.counts.invalid,
            values.len() as u64
        );
        assert!(narrow.contains(&treated.counts.invalid), "{keep}");
        assert_eq!(
            treated_with(&text, &fine, Direction::Decrypt)
                .counts
                .invalid,
            0,
            "{keep}"
        );
    }
    assert_eq!(
        permuted("resident-id", "'region2'", &values).len(),
        values.len()
    );
}

#[test]
fn spellings_and_generations_of_one_number_get_one_result() {
    let spellings = [
        "11010519491231002X",
        "11010519491231002x",
        "110105 19491231 002X",
        "１１０１０５１９４９１２３１００２Ｘ",
        "110105491231002",
    ];
    let text = written("resident-id", "");
    let outs = texts(&treated_with(
        &text,
        &spellings.map(str::to_owned),
        Direction::Encrypt,
    ));
    assert!(outs.iter().all(|out| *out == outs[0]));
    assert!(outs[0] != "11010519491231002X" && resident_id::is_valid(outs[0].as_bytes()));
}

#[test]
fn what_is_no_resident_number_never_passes() {
    let wrong = [
        "110105194912310021",
        "11010519491331002X",
        "11010519490229002X",
        "1101051949123100",
        "11010518991231002X",
        "张三",
        "110105 1949",
        "91110000600037341L",
    ];
    let text = written("resident-id", "");
    let values = wrong.map(str::to_owned);
    let treated = treated_with(&text, &values, Direction::Encrypt);
    assert_eq!(cases_of(&treated), (0, 0, 0, wrong.len() as u64));
    assert!(
        texts(&treated)
            .iter()
            .all(|out| out.chars().all(|c| c == '*'))
    );
    // Valid check characters over dates that don't exist or lie outside the window.
    for (region, date) in [
        (110_105, "19490229"),
        (110_105, "18991231"),
        (110_105, "20500101"),
        (110_105, "19490431"),
        (110_105, "19491300"),
        (910_105, "19800131"),
        (10_105, "19800131"),
    ] {
        let treated = treated_with(&text, &[resident(region, date, 1)], Direction::Encrypt);
        assert_eq!(treated.counts.invalid, 1, "{region} {date}");
    }
    let blank = treated_with(&text, &["-".to_owned(), " ".to_owned()], Direction::Encrypt);
    assert_eq!(blank.counts.empty, 2);
}

#[test]
fn mobile_numbers_stay_valid() {
    let values: Vec<String> = numbers(3)
        .map(|number| format!("{}", 13_000_000_000 + number % 7_000_000_000))
        .take(5_000)
        .collect();
    for keep in ["", "'prefix3'"] {
        for (value, out) in values.iter().zip(permuted("mobile", keep, &values)) {
            let bytes = out.as_bytes();
            assert!(bytes.len() == 11 && bytes[0] == b'1' && bytes[1] >= b'3');
            assert!(bytes.iter().all(u8::is_ascii_digit));
            assert!(keep.is_empty() || value[..3] == out[..3]);
        }
    }
    let text = written("mobile", "");
    let spellings = ["13800138000", "+86 138 0013 8000", "0086-13800138000"];
    let outs = texts(&treated_with(
        &text,
        &spellings.map(str::to_owned),
        Direction::Encrypt,
    ));
    assert!(outs.iter().all(|out| *out == outs[0]));
    let wrong = [
        "12800138000",
        "1380013800",
        "138001380000",
        "23800138000",
        "1380013800a",
    ];
    let treated = treated_with(&text, &wrong.map(str::to_owned), Direction::Encrypt);
    assert_eq!(treated.counts.invalid, 5);
}

fn card(payload: &str) -> String {
    let check = luhn::check(payload.as_bytes()).unwrap();
    format!("{payload}{}", char::from(check))
}

#[test]
fn bank_cards_stay_valid() {
    let values: Vec<String> = numbers(4)
        .take(5_000)
        .zip((15..19).cycle())
        .map(|(number, digits)| {
            let text = format!("{number:018}{number:018}");
            card(&format!("6{}", &text[10..9 + digits]))
        })
        .collect();
    for (keep, digits) in [("", 0), ("'bin6'", 6), ("'bin8'", 8)] {
        for (value, out) in values.iter().zip(permuted("bank-card", keep, &values)) {
            assert!(luhn::is_valid(out.as_bytes()) && out.len() == value.len());
            assert!(value[..digits] == out[..digits] && !out.starts_with('0'));
        }
    }
    let wrong = [
        card("62220200111122"),
        card("6222020011112222333"),
        card("022202001111222"),
        "6222020011112223".to_owned(),
        "6222 0200 1111 222x".to_owned(),
    ];
    let treated = treated_with(&written("bank-card", ""), &wrong, Direction::Encrypt);
    assert_eq!(treated.counts.invalid, 5);
    let spaced = [
        "4111 1111 1111 1111".to_owned(),
        "4111111111111111".to_owned(),
    ];
    let outs = texts(&treated_with(
        &written("bank-card", "'bin6'"),
        &spaced,
        Direction::Encrypt,
    ));
    assert_eq!(outs[0], outs[1]);
}

fn credit(body: &str, region: u32, organisation: u64) -> String {
    let mut characters = *b"00000000";
    let mut rest = organisation;
    for place in characters.iter_mut().rev() {
        *place = credit_code::ALPHABET[(rest % 31) as usize];
        rest /= 31;
    }
    let own = organisation_code::check(&characters).unwrap();
    let organisation = String::from_utf8(characters.to_vec()).unwrap();
    let first = format!("{body}{region:06}{organisation}{}", char::from(own));
    let check = credit_code::check(first.as_bytes()).unwrap();
    format!("{first}{}", char::from(check))
}

#[test]
fn credit_codes_stay_valid() {
    let regions = Codes::new();
    let known = regions.within(0, 0).len() as u64;
    let values: Vec<String> = numbers(5)
        .take(6_000)
        .enumerate()
        .map(|(at, number)| {
            let region = match at % 3 {
                0 => (number % 1_000_000) as u32,
                _ => regions.code((number % known) as usize).unwrap(),
            };
            credit(["91", "92", "12", "N2", "Y1"][at % 5], region, number >> 8)
        })
        .collect();
    for (keep, digits) in [
        ("", 0),
        ("'region2'", 2),
        ("'region4'", 4),
        ("'region6'", 6),
    ] {
        for (value, out) in values.iter().zip(permuted("credit-code", keep, &values)) {
            assert!(credit_code::is_valid(out.as_bytes()));
            assert!(value[..2 + digits] == out[..2 + digits] && value[8..] != out[8..]);
            let known = |text: &str| regions.find(text[2..8].parse().unwrap()).is_some();
            assert_eq!(known(value), known(&out));
        }
    }
    let text = written("credit-code", "");
    let spellings = [
        "91110000600037341L",
        "91110000600037341l",
        "９１１１００００６０００３７３４１Ｌ",
    ];
    let outs = texts(&treated_with(
        &text,
        &spellings.map(str::to_owned),
        Direction::Encrypt,
    ));
    assert!(outs.iter().all(|out| *out == outs[0]));
    let wrong = [
        "91110000600037341M",
        "9111000060003734",
        "9111000O600037341L",
    ];
    let treated = treated_with(&text, &wrong.map(str::to_owned), Direction::Encrypt);
    assert_eq!(treated.counts.invalid, 3);
}

#[test]
fn what_can_not_be_kept_is_named() {
    for (of, keep) in [
        ("mobile", "'region2'"),
        ("resident-id", "'bin6'"),
        ("bank-card", "'bin6', 'bin8'"),
        ("credit-code", "'sex'"),
        ("resident-id", "'region2', 'region6'"),
        ("resident-id", "'sex', 'sex'"),
        ("resident-id", "'region6', 'birth-year'"),
        ("resident-id", "'birth-year', 'region4'"),
    ] {
        let misfit = misfit(&written(of, keep));
        assert_eq!(misfit.parameter, Some("keep"), "{of} {keep}");
    }
    assert!(
        misfit(&written("mobile", "'sex'"))
            .hint
            .unwrap()
            .contains("prefix3")
    );
    assert!(try_spec(&written("passport", "")).is_err());
    assert!(try_spec(&written("mobile", "'region3'")).is_err());
}

#[test]
fn keeping_more_does_not_meet_the_floor() {
    let meets = |own: &str, floor: &str| {
        spec(&written("resident-id", own)).meets(&spec(&written("resident-id", floor)))
    };
    assert!(meets("", "'region2'") && meets("'region2'", "'region4', 'sex'"));
    assert!(!meets("'region4'", "'region2'") && !meets("'sex'", "'region6'"));
    assert!(!spec(&written("mobile", "")).meets(&spec(&written("bank-card", ""))));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_number_gets_its_result_in_any_company(seed: u64, at in 0_usize..40) {
        let values = residents(seed, 40);
        for keep in ["", "'region2'", "'birth-year', 'sex'"] {
            let outs = permuted("resident-id", keep, &values);
            let alone = permuted("resident-id", keep, &values[at..=at]);
            prop_assert_eq!(&alone[0], &outs[at]);
        }
    }

    #[test]
    fn nothing_that_does_not_parse_passes(value in "[0-9A-Za-z]{10,20}") {
        for of in ["resident-id", "mobile", "bank-card", "credit-code"] {
            let treated = treated_with(&written(of, ""), std::slice::from_ref(&value), Direction::Encrypt);
            let out = &texts(&treated)[0];
            if treated.counts.invalid == 1 {
                prop_assert!(out.bytes().all(|byte| byte == b'*'));
            } else {
                prop_assert!(out != &value, "{}", of);
            }
        }
    }
}

#[test]
fn what_is_kept_makes_it_partly_hidden_text() {
    let strength = |of: &str, keep: &str| spec(&written(of, keep)).strength().0;
    assert_eq!(strength("resident-id", ""), 3);
    assert_eq!(strength("resident-id", "'sex'"), 1);
    assert_eq!(strength("mobile", ""), 3);
    assert_eq!(strength("bank-card", "'bin6'"), 1);
    assert_eq!(
        strength("credit-code", ""),
        1,
        "its first two characters stay"
    );
    let shown = "{ kind = 'typed-mask', of = 'resident-id', keep = 'province' }";
    assert!(!spec(&written("resident-id", "'region6', 'sex'")).meets(&spec(shown)));
    assert!(spec(&written("resident-id", "")).meets(&spec(shown)));
    let kept = spec(&written("resident-id", "'region2'"));
    assert!(
        kept.is_keyed_equality(),
        "the rest is a pseudonym all the same"
    );
    assert!(
        !spec("{ kind = 'hmac', domain = 'd' }").meets(&kept),
        "as a floor it counts as its kind"
    );
}

/// With a tag of so many digits.
fn tagged(of: &str, keep: &str, digits: u32) -> String {
    written(of, keep).replace(" }", &format!(", tag = {digits} }}"))
}

#[test]
fn a_tag_is_probabilistic_and_not_restored() {
    let check = luhn::check(b"622202020001234567").unwrap();
    for (of, keep, digits, bits) in [
        // Logarithms of 7·10^7, 10^7, 9·10^12, 9·10^4, 1.08·10^9, 5.4·10^9 and 10^4.
        ("mobile", "", 2, 26),
        ("mobile", "'prefix3'", 1, 23),
        ("bank-card", "", 2, 43),
        ("bank-card", "'bin8'", 2, 16),
        ("resident-id", "", 2, 30),
        ("resident-id", "'sex'", 1, 32),
        ("resident-id", "'region6'", 2, 13),
    ] {
        let spec = spec(&tagged(of, keep, digits));
        let column = Column::alone("field", &DataType::Utf8, "other");
        let AnyTreatment::StructuredId(structured) = spec.treatment() else {
            panic!("not a structured id");
        };
        assert_eq!(
            structured.uniqueness(),
            Uniqueness::Probabilistic { bits },
            "{of} {keep} {digits}"
        );
        let refused = structured.restore(column, spec.options(), Some(&key()));
        assert_eq!(refused.unwrap_err().parameter, Some("tag"));
        let room = structured.tag().unwrap();
        assert_eq!(
            (room.characters, room.domain.as_str()),
            (digits, "person.id")
        );
        // What it writes is what it would without: the digits are the mark's to write.
        let values = match of {
            "mobile" => vec!["13812345678".to_owned()],
            "bank-card" => vec![format!("622202020001234567{}", char::from(check))],
            _ => residents(5, 20),
        };
        let outs = |text: &str| texts(&treated_with(text, &values, Direction::Encrypt));
        assert_eq!(outs(&tagged(of, keep, digits)), outs(&written(of, keep)));
    }
    assert!(spec(&written("mobile", "")).tag().is_none());
}

#[test]
fn a_tag_that_cannot_be_is_refused() {
    for text in [
        tagged("mobile", "", 0),
        tagged("mobile", "", 3),
        tagged("credit-code", "", 1),
        tagged("mobile", "", 2).replace(" }", ", join = 'office' }"),
    ] {
        assert_eq!(misfit(&text).parameter, Some("tag"), "{text}");
    }
    // A floor's tag can't be left out or cut short.
    let floor = spec(&tagged("mobile", "", 1));
    assert!(spec(&tagged("mobile", "", 2)).meets(&floor) && floor.meets(&floor));
    assert!(!spec(&written("mobile", "")).meets(&floor));
    assert!(floor.meets(&spec(&written("mobile", ""))));
}
