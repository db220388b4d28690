//! What users of other tools complain about, tried here. Each test names the complaint.

use std::collections::BTreeSet;

use arrow::array::{Int32Array, StructArray};
use arrow::datatypes::Field;

use super::*;
use crate::check_digit::luhn;
use crate::error::Misfit;
use crate::surrogate::testing::{alone, resident_ids, texts as column_of};
use crate::testing::{answers, misfit_of, treat_one};

/// Treats a field that is called `name` in a table of the fields `row`, under the keys of one grant.
fn in_table(text: &str, name: &str, array: &ArrayRef, row: &[(&str, &ArrayRef)]) -> ArrayRef {
    let spec = spec(text);
    let fields: Vec<RowField<'_>> = row
        .iter()
        .map(|(name, array)| RowField {
            name,
            data_type: array.data_type(),
            category: "resident-id",
        })
        .collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone(name, array.data_type(), "resident-id")
    };
    let built = crate::testing::build(&spec, column).unwrap();
    let of_row = |name: &str| {
        let mut found = row.iter().filter(|(own, _)| *own == name);
        Arc::clone(found.next().unwrap().1)
    };
    let inputs: Vec<ArrayRef> = spec
        .reads()
        .iter()
        .map(|read| match read {
            Read::Field(name) | Read::Entity(name) => of_row(name),
            Read::Condition(_) => of_row("condition"),
        })
        .collect();
    let context = Context {
        inputs: &inputs,
        chunk: None,
    };
    built.treat(array, &context).unwrap().array
}

/// The values of a column as text, nulls among them.
fn shown(array: &ArrayRef) -> Vec<Option<String>> {
    (0..array.len())
        .map(|row| {
            let text = || arrow::util::display::array_value_to_string(array, row).unwrap();
            array.is_valid(row).then(text)
        })
        .collect()
}

/// Treatments that keep keys apart, for texts or for numbers.
const KEYS_OF_TEXT: [&str; 6] = [
    "{ kind = 'hmac', domain = 'd' }",
    "{ kind = 'tokenize', domain = 'd' }",
    "{ kind = 'encrypt-det', domain = 'd' }",
    "{ kind = 'encrypt-det', domain = 'd', algorithm = 'sm4-siv' }",
    "{ kind = 'fpe', domain = 'd', alphabet = 'alphanumeric' }",
    "{ kind = 'structured-id', of = 'resident-id', domain = 'd' }",
];
const KEYS_OF_NUMBERS: [&str; 4] = [
    "{ kind = 'hmac', domain = 'd' }",
    "{ kind = 'tokenize', domain = 'd' }",
    "{ kind = 'encrypt-det', domain = 'd' }",
    "{ kind = 'permute-int', domain = 'd', from = 0, to = 9999999 }",
];

/// Each treatment that keeps keys apart, over these of 90 keys, null where there is none.
fn treated_keys(name: &str, rows: &[Option<usize>]) -> Vec<(&'static str, Vec<Option<String>>)> {
    let ids = resident_ids(90);
    let ids: ArrayRef = column_of(rows.iter().map(|row| row.map(|row| ids[row].as_str())));
    let numbers: ArrayRef = Arc::new(
        rows.iter()
            .map(|row| row.map(|row| i64::try_from(row * 7_919).unwrap()))
            .collect::<Int64Array>(),
    );
    let of = |text, array| (text, shown(&in_table(text, name, array, &[])));
    let texts = KEYS_OF_TEXT.map(|text| of(text, &ids));
    let numbers = KEYS_OF_NUMBERS.map(|text| of(text, &numbers));
    texts.into_iter().chain(numbers).collect()
}

/// datanymizer#116, datanymizer#199, pynonymizer#176: the same email, key or name in two tables.
#[test]
fn the_same_value_in_two_tables_gets_the_same_pseudonym_and_null_stays_null() {
    let one = [Some(0), Some(1), None, Some(2)];
    let two = [Some(2), None, Some(7), Some(0), Some(2), Some(1)];
    let tables = treated_keys("person_id", &one)
        .into_iter()
        .zip(treated_keys("holder", &two));
    for ((spec, one), (_, two)) in tables {
        assert_eq!([&one[0], &one[1], &one[3]], [&two[3], &two[5], &two[0]]);
        assert_eq!((&two[0], &one[2], &two[1]), (&two[4], &None, &None));
        assert!(!one.contains(&two[2]), "{spec}");
    }
}

/// pynonymizer#176: one person has two names.
#[test]
fn the_same_person_in_two_tables_is_the_same_surrogate_person() {
    let ids = resident_ids(3);
    let id = |row: usize| Some(ids[row].as_str());
    let (register, visits) = ([id(0), id(1), id(2)], [id(2), id(0), id(2), id(1)]);
    for (kind, originals) in [
        ("fake-name", ["张三", "欧阳修", "李"]),
        ("fake-phone", ["13800138000", "13912345678", "15011112222"]),
        ("fake-email", ["a@b.cn", "c@d.cn", "e@f.cn"]),
        (
            "fake-address",
            ["浙江省杭州市1号", "上海市2号", "江苏省南京市3号"],
        ),
    ] {
        let of = |field: &str, key: &str, who: &[Option<&str>], rows: &[usize]| {
            let spec = format!("{{ kind = '{kind}', domain = 'person.id', by = '{key}' }}");
            let values = column_of(rows.iter().map(|row| Some(originals[*row])));
            let who = column_of(who.iter().copied());
            shown(&in_table(&spec, field, &values, &[(key, &who)]))
        };
        let one = of("value", "person_id", &register, &[0, 1, 2]);
        // Spelt otherwise, and in other fields: whoever it is decides.
        let two = of("contact", "visitor", &visits, &[2, 1, 0, 1]);
        assert_eq!(
            [&two[0], &two[1], &two[3]],
            [&one[2], &one[0], &one[1]],
            "{kind}"
        );
        assert_eq!(two[0], two[2], "{kind}");
    }
}

/// masking.md §2.2: a reference without its key must not get one, nor lose the one it has.
#[test]
fn orphans_stay_orphans_and_references_stay_references() {
    let register: Vec<Option<usize>> = (0..60).map(Some).collect();
    let references: Vec<Option<usize>> = (30..90).map(Some).collect();
    let tables = treated_keys("id", &register)
        .into_iter()
        .zip(treated_keys("person", &references));
    for ((spec, register), (_, references)) in tables {
        let register: BTreeSet<_> = register.iter().flatten().collect();
        let references: Vec<_> = references.iter().flatten().collect();
        assert_eq!((register.len(), references.len()), (60, 60), "{spec}");
        for (row, reference) in references.iter().enumerate() {
            assert_eq!(register.contains(reference), row < 30, "{spec}, row {row}");
        }
    }
}

/// masking.md §2.2: keys of several fields, each treated by itself.
#[test]
fn composite_keys_join_as_before() {
    let pairs: Vec<(usize, usize)> = (0..30).map(|row| (row / 6, row % 6)).collect();
    let part = |name: &str, of: &dyn Fn(&(usize, usize)) -> usize, pairs: &[(usize, usize)]| {
        let rows: Vec<Option<usize>> = pairs.iter().map(|pair| Some(of(pair))).collect();
        treated_keys(name, &rows)
    };
    let table = |names: [&str; 2], pairs: &[(usize, usize)]| {
        let first = part(names[0], &|pair| pair.0, pairs);
        let second = part(names[1], &|pair| pair.1, pairs);
        let both = first.into_iter().zip(second);
        both.map(|((spec, first), (_, second))| {
            (spec, first.into_iter().zip(second).collect::<Vec<_>>())
        })
        .collect::<Vec<_>>()
    };
    let references: Vec<(usize, usize)> = pairs.iter().rev().step_by(2).copied().collect();
    let register = table(["household", "member"], &pairs);
    let referring = table(["house", "person"], &references);
    for ((spec, register), (_, referring)) in register.into_iter().zip(referring) {
        let different: BTreeSet<_> = register.iter().collect();
        assert_eq!(different.len(), pairs.len(), "{spec}");
        let expected: Vec<_> = register.iter().rev().step_by(2).collect();
        assert!(referring.iter().eq(expected), "{spec}");
    }
}

/// greenmask#296: the condition of a key was not applied to the references to it.
#[test]
fn a_condition_on_a_key_is_followed_by_references_that_say_the_same() {
    let ids = resident_ids(4);
    let rule = "{ kind = 'when', condition = 'a', then = { kind = 'hmac', domain = 'd' }, \
                else = { kind = 'constant', value = '-' } }";
    let hidden = [true, false, true, false];
    let of = |name: &str, rows: &[usize]| {
        let keys = column_of(rows.iter().map(|row| Some(ids[*row].as_str())));
        let met = answers(
            &rows
                .iter()
                .map(|row| Some(hidden[*row]))
                .collect::<Vec<_>>(),
        );
        shown(&in_table(rule, name, &keys, &[("condition", &met)]))
    };
    let (register, references) = (of("id", &[0, 1, 2, 3]), of("person", &[3, 2, 2, 0]));
    let expected = [&register[3], &register[2], &register[2], &register[0]];
    assert!(references.iter().eq(expected), "{references:?}");
}

/// Google DLP: without its context field, a value is encrypted under a default tweak.
#[test]
fn a_missing_entity_never_falls_back_to_a_default_one() {
    let mut tried = BTreeSet::new();
    for spec in specs() {
        let reads = spec.reads();
        let by_entity = matches!(reads[..], [Read::Entity(_)]);
        let is_sample = spec.treatment().leaves_out_rows();
        let synthesizes = spec.options().on_null == Action::Synthesize;
        if !by_entity || is_sample || synthesizes || !spec.treatment().parts().is_empty() {
            continue;
        }
        for array in columns() {
            let Some(built) = built(&spec, &array) else {
                continue;
            };
            let nobody = [None, Some(""), Some(" "), Some("\u{3000}")];
            for nobody in nobody {
                let inputs = [column_of(vec![nobody; array.len()])];
                let context = Context {
                    inputs: &inputs,
                    chunk: None,
                };
                let treated = built.treat(&array, &context).unwrap();
                let counts = &treated.counts;
                let left = counts.nulls + counts.empty + counts.short + counts.invalid;
                let rows = u64::try_from(array.len()).unwrap();
                assert_eq!(left, rows, "{} over {}", spec.summary(), array.data_type());
                for row in 0..array.len() {
                    let kept =
                        array.is_valid(row) && treated.array.slice(row, 1) == array.slice(row, 1);
                    let empty = array
                        .as_string_opt::<i32>()
                        .is_some_and(|texts| texts.value(row).trim().is_empty());
                    assert!(!kept || empty, "{}, row {row}", spec.summary());
                }
            }
            tried.insert(spec.kind());
        }
    }
    for kind in ["date-shift", "noise-num", "fake-name", "fake-address"] {
        assert!(tried.contains(kind), "{tried:?}");
    }
}

/// A card number of so many digits that begins like UnionPay's.
fn unionpay(digits: usize) -> String {
    let payload = "622202123456789012".get(..digits - 1).unwrap();
    let check = luhn::check(payload.as_bytes()).unwrap();
    format!("{payload}{}", char::from(check))
}

/// Presidio: its pattern can't match UnionPay's cards of 18 and 19 digits.
#[test]
fn cards_of_16_to_19_digits_are_cards() {
    for digits in 16..=19 {
        let card = unionpay(digits);
        let (issuer, rest) = card.split_at(6);
        let spelt = format!("{issuer} {rest}");
        for (spec, kept) in [
            ("{ kind = 'typed-mask', of = 'bank-card' }", 6),
            (
                "{ kind = 'structured-id', of = 'bank-card', domain = 'd', keep = ['bin6'] }",
                6,
            ),
            ("{ kind = 'fake-card', domain = 'd', keep = ['bin'] }", 6),
        ] {
            let results = alone(spec, "bank-card", &[&card, &spelt]);
            let result = results[0].as_deref().unwrap();
            assert_eq!(results[0], results[1], "{spec}");
            assert!(result.len() == digits && result != card, "{spec}: {result}");
            assert_eq!(result.get(..kept), card.get(..kept), "{spec}");
            let masked = result.contains('*');
            assert!(
                masked || luhn::is_valid(result.as_bytes()),
                "{spec}: {result}"
            );
            assert_eq!(masked, spec.contains("typed-mask"), "{spec}: {result}");
        }
    }
}

/// Greenmask: kinds of masks for Taiwan leave 8 of the 11 digits of a mainland mobile number, and
/// division and birth date of a resident number.
#[test]
fn a_mask_made_for_mainland_numbers_leaves_no_more_of_them_than_it_says() {
    for (of, value, shown) in [
        ("mobile", "13800138000", 3),
        ("mobile", "+86 138-0013-8000", 3),
        ("resident-id", "11010519491231002X", 2),
        ("resident-id", "110105491231002", 2),
    ] {
        let spec = format!("{{ kind = 'typed-mask', of = '{of}' }}");
        let masked = alone(&spec, of, &[value]).remove(0).unwrap();
        let left: String = masked.chars().filter(|shown| *shown != '*').collect();
        assert_eq!(left.len(), shown, "{spec}: {masked}");
        assert!(masked.starts_with(&left), "{spec}: {masked}");
    }
}

/// ShardingSphere: its number for a person has a birth date that mostly doesn't exist, and the old
/// check digit.
#[test]
fn a_number_put_in_the_place_of_a_resident_number_is_one() {
    let ids = resident_ids(200);
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for spec in [
        "{ kind = 'structured-id', of = 'resident-id', domain = 'd' }",
        "{ kind = 'fake-id', domain = 'd' }",
    ] {
        // What isn't one is invalid to a mask that checks date and check digit, and covered whole.
        let results = alone(spec, "resident-id", &ids);
        let results: Vec<&str> = results.iter().flatten().map(String::as_str).collect();
        assert_eq!(results.len(), ids.len(), "{spec}");
        let checked =
            "{ kind = 'typed-mask', of = 'resident-id', keep = 'ends', on_invalid = 'null' }";
        let masked = alone(checked, "resident-id", &results);
        assert!(masked.iter().all(Option::is_some), "{spec}");
    }
}

/// PostgreSQL Anonymizer: a hash is cut to fit a column, and how often results meet is for the user
/// to find out.
#[test]
fn a_pseudonym_cut_so_short_that_results_would_meet_is_refused() {
    for (encoding, shortest) in [("hex", 20), ("base64url", 14), ("base32", 16)] {
        let cut = |length: usize| {
            format!("{{ kind = 'hmac', domain = 'd', encoding = '{encoding}', length = {length} }}")
        };
        let result = treat_one(&cut(shortest), "a").unwrap();
        assert_eq!(result.len(), shortest);
        let refused = misfit_of(&cut(shortest - 1), &DataType::Utf8);
        assert_eq!(refused.parameter, Some("length"), "{encoding}");
    }
}

/// Huawei: a keyword that is longer than what it replaces is cut without a word.
#[test]
fn what_is_put_in_the_place_of_a_value_is_never_cut() {
    let long = "已经按照授权书的规定隐去的内容𠀀".repeat(8);
    for spec in [
        format!("{{ kind = 'constant', value = '{long}' }}"),
        format!("{{ kind = 'map', entries = {{ 'a' = '{long}', 'b' = '{long}' }} }}"),
        format!(
            "{{ kind = 'map', entries = {{ 'b' = 'x' }}, on_missing = {{ other = '{long}' }} }}"
        ),
        format!("{{ kind = 'regex', pattern = '(.).*', replacement = '{long}' }}"),
        format!("{{ kind = 'substitute', domain = 'd', values = ['{long}', '2{long}'] }}"),
    ] {
        let result = treat_one(&spec, "a").unwrap();
        assert_eq!(result.trim_start_matches('2'), long, "{spec}");
    }
    // Nor are fills: what has a number of them has that number, however short the value.
    let fills = "{ kind = 'keep-ends', first = 1, last = 1, length = 20 }";
    let expected = format!("张{}四", "*".repeat(20));
    assert_eq!(treat_one(fills, "张李四"), Some(expected));
}

/// Huawei: null masking of a field that is not null changes the field.
#[test]
fn a_field_without_nulls_may_be_made_null_because_every_result_is_nullable() {
    let name = Field::new("name", DataType::Utf8, false);
    let age = Field::new("age", DataType::Int32, false);
    let names: ArrayRef = Arc::new(StringArray::from(vec!["张三", "李四"]));
    let ages: ArrayRef = Arc::new(Int32Array::from(vec![41, 42]));
    let people: ArrayRef = Arc::new(StructArray::new(
        vec![name, age].into(),
        vec![names, ages],
        None,
    ));
    let rule =
        "{ kind = 'nested', fields = { name = { kind = 'null' }, age = { kind = 'clear' } } }";
    let treated = in_table(rule, "person", &people, &[]);
    let treated = treated.as_struct();
    assert_eq!(
        (
            treated.column(0).null_count(),
            treated.column(1).null_count()
        ),
        (2, 0)
    );
    assert!(treated.fields().iter().all(|field| field.is_nullable()));
    // A date that is made null is null, and no day of 1970.
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![20_000, 20_001]));
    assert_eq!(
        in_table("{ kind = 'null' }", "day", &dates, &[]).null_count(),
        2
    );
}

/// A treatment, a value with its category, and the shape of what becomes of it.
const SHAPES: [[&str; 4]; 13] = [
    ["fake-phone", "mobile", "13800138000", r"1[3-9]\d{9}"],
    ["fake-phone", "mobile", "+86 138-0013-8000", r"1[3-9]\d{9}"],
    [
        "structured-id', of = 'mobile",
        "mobile",
        "13800138000",
        r"1[3-9]\d{9}",
    ],
    ["fake-card", "bank-card", "6222021234567890128", r"\d{19}"],
    [
        "fake-passport",
        "passport",
        "E12345678",
        r"E\d{8}|E[A-Z]\d{7}",
    ],
    [
        "fake-id",
        "resident-id",
        "11010519491231002X",
        r"[1-8]\d{16}[\dX]",
    ],
    [
        "fake-uscc",
        "credit-code",
        "91110000600037341L",
        "[0-9A-Z]{18}",
    ],
    [
        "fake-plate",
        "plate",
        "浙A12345",
        r"\p{Han}[A-Z][0-9A-Z]{5}",
    ],
    [
        "fake-plate",
        "plate",
        "浙AD12345",
        r"\p{Han}[A-Z][0-9A-Z]{6}",
    ],
    ["permit", "travel-permit", "C12345678", r"C\*{8}"],
    ["permit", "travel-permit", "H1234567801", r"H\*{10}"],
    // A number of another kind is covered, not passed.
    ["fake-passport", "passport", "H1234567801", r"\*{11}"],
    ["fake-card", "bank-card", "11010519491231002X", r"\*{18}"],
];

/// openmed#1480: Chinese numbers get surrogates of another shape, or none.
#[test]
fn surrogates_of_chinese_numbers_have_their_shape() {
    for [kind, category, original, shape] in SHAPES {
        let spec = match kind {
            "permit" => "{ kind = 'typed-mask', of = 'permit' }".to_owned(),
            _ => format!("{{ kind = '{kind}', domain = 'd' }}"),
        };
        let result = alone(&spec, category, &[original]).remove(0).unwrap();
        let shape = ::regex::Regex::new(&format!("^(?:{shape})$")).unwrap();
        assert!(
            shape.is_match(&result),
            "{spec} makes {result} of {original}"
        );
        assert_ne!(result, original, "{spec}");
    }
}

/// presidio#600, masking.md §2.0: a number that stands for an identifier has lost its zeros.
#[test]
fn a_numeric_column_is_no_identifier_whose_zeros_count() {
    for kind in [
        "typed-mask', of = 'bank-card",
        "typed-mask', of = 'mobile",
        "structured-id', of = 'bank-card', domain = 'd",
        "fpe', domain = 'd",
        "fake-card', domain = 'd",
        "fake-id', domain = 'd",
        "fake-phone', domain = 'd",
        "fake-uscc', domain = 'd",
        "fake-passport', domain = 'd",
        "keep-ends', first = 1, last = 1, fill = '*",
    ] {
        let spec = format!("{{ kind = '{kind}' }}");
        for data_type in [
            DataType::Int64,
            DataType::UInt64,
            DataType::Decimal128(20, 0),
        ] {
            let Misfit { what, .. } = misfit_of(&spec, &data_type);
            assert!(
                what.contains("utf8") || what.contains(&data_type.to_string()),
                "{what}"
            );
        }
    }
    // A code of a division never begins with zero: fewer digits are too few, and nothing passes.
    let short: ArrayRef = Arc::new(Int64Array::from(vec![33_010, 10_102]));
    let level = "{ kind = 'admin-level', level = 'province' }";
    assert_eq!(in_table(level, "code", &short, &[]).null_count(), 2);
}
