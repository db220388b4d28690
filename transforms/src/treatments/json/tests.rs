use std::sync::Arc;

use arrow::array::{Array, ArrayRef, StringArray, StringViewArray};
use arrow::datatypes::DataType;
use proptest::prelude::*;
use serde_json::Value;

use crate::TreatmentError;
use crate::error::Case;
use crate::spec::Column;
use crate::testing::{
    CATEGORY, answers, build, cases_of, flagged, holds, misfit, misfit_of, spec, texts, treat_row,
};
use crate::treatment::Treated;

const ENDS: &str = "{ kind = 'keep-ends', first = 1, last = 0 }";
const CLEAR: &str = "{ kind = 'clear' }";

/// A treatment of paths; `rest` is the rest of the table.
fn json(paths: &[(&str, &str)], rest: &str) -> String {
    let paths: Vec<String> = paths
        .iter()
        .map(|(path, treatment)| {
            let (treatment, leaf) = treatment.rsplit_once("} as ").map_or_else(
                || ((*treatment).to_owned(), "text"),
                |(treatment, leaf)| (format!("{treatment}}}"), leaf),
            );
            format!("{{ path = \"{path}\", as = '{leaf}', treatment = {treatment} }}")
        })
        .collect();
    format!("{{ kind = 'json', paths = [{}]{rest} }}", paths.join(", "))
}

fn treat(text: &str, documents: &[Option<&str>]) -> Treated {
    treat_row(text, documents, &[]).unwrap()
}

fn one(text: &str, document: &str) -> String {
    texts(&treat(text, &[Some(document)]))[0]
        .unwrap_or("NULL")
        .to_owned()
}

#[test]
fn values_are_treated_by_their_paths_and_the_rest_is_dropped() {
    let text = json(
        &[("$.person.name", ENDS), ("$.tags[*]", ENDS), ("$.n", CLEAR)],
        "",
    );
    let document = r#" {"n": 1.50, "person": {"id": "secret", "name": "张三"},
        "tags": ["abc", null, ["deep"], {"x": 1}, 12, true], "new": {"a": [1]}} "#;
    let expected =
        r#"{"n":1.50,"person":{"name":"张*"},"tags":["a**",null,null,null,"1*","t***"]}"#;
    assert_eq!(one(&text, document), expected);
}

#[test]
fn the_order_of_keys_and_the_text_of_numbers_are_kept() {
    let text = json(
        &[
            ("$.z", CLEAR),
            ("$.a", CLEAR),
            ("$.m", &format!("{CLEAR} as number")),
        ],
        "",
    );
    let document = r#"{"z":1E+2,"a":12345678901234567890.10,"m":1.500}"#;
    assert_eq!(one(&text, document), document);
    let kept = json(&[("$.x", ENDS)], ", unknown = 'keep'");
    let document = r#"{"z":-0.0,"a":{"k":[1e400,"\u5f20"]},"b":false}"#;
    assert_eq!(one(&kept, document), document);
}

#[test]
fn unknown_values_are_kept_or_covered_only_if_said() {
    let document = r#"{"x":"abc","y":"张三","z":{"n":12,"t":[true,"q\n"]},"e":[]}"#;
    let with = |unknown: &str| json(&[("$.x", ENDS)], &format!(", unknown = '{unknown}'"));
    assert_eq!(one(&with("drop"), document), r#"{"x":"a**"}"#);
    let masked = r#"{"x":"a**","y":"**","z":{"n":null,"t":[null,"**"]},"e":[]}"#;
    assert_eq!(one(&with("mask"), document), masked);
    let kept = r#"{"x":"a**","y":"张三","z":{"n":12,"t":[true,"q\n"]},"e":[]}"#;
    assert_eq!(one(&with("keep"), document), kept);
}

#[test]
fn what_is_no_document_never_passes() {
    let text = json(&[("$.a", CLEAR)], ", unknown = 'keep'");
    for document in [
        "{\"a\":1",
        "{\"a\":1,\"a\":2}",
        "secret",
        "\"secret\"",
        "42",
        "{\"a\":1} x",
        "[1,]",
        "{\"a\":NaN}",
    ] {
        let treated = treat(&text, &[Some(document)]);
        assert_eq!(
            texts(&treated),
            [Some("*".repeat(document.chars().count()).as_str())]
        );
        assert_eq!(cases_of(&treated), (0, 0, 0, 1), "{document}");
    }
    let rejected = text.replace("unknown", "on_invalid = 'reject', unknown");
    let treated = treat(&rejected, &[Some("{}"), Some("secret")]);
    assert_eq!(flagged(treated.rejected.as_ref()), [1]);
    assert_eq!(texts(&treated), [Some("{}"), None]);
    let failing = text.replace("unknown", "on_invalid = 'fail', unknown");
    let refused = treat_row(&failing, &[Some("{}"), Some("x")], &[]).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 1,
            case: Case::Invalid
        }
    );
}

#[test]
fn nulls_empty_values_and_sentinels_are_those_of_the_documents() {
    let text = json(&[("$.a", ENDS)], ", sentinels = ['none']");
    let treated = treat(
        &text,
        &[None, Some(" "), Some("none"), Some("{\"a\":\"xy\"}")],
    );
    assert_eq!(
        texts(&treated),
        [None, Some(" "), Some("none"), Some("{\"a\":\"x*\"}")]
    );
    let counts = treated.counts;
    assert_eq!(
        (counts.rows, counts.nulls, counts.empty, counts.sentinels),
        (4, 1, 1, 1)
    );
}

#[test]
fn options_within_are_followed_for_the_row_of_the_document() {
    let rejecting = "{ kind = 'keep-ends', first = 2, last = 0, on_short = 'reject' }";
    let text = json(&[("$[*].a", rejecting)], "");
    let documents = [
        Some(r#"[{"a":"abc"},{"a":"abcd"}]"#),
        None,
        Some(r#"[{"a":"abc"},{"a":"x"}]"#),
    ];
    let treated = treat(&text, &documents);
    assert_eq!(flagged(treated.rejected.as_ref()), [2]);
    assert_eq!(texts(&treated)[0], Some(r#"[{"a":"ab*"},{"a":"ab**"}]"#));
    assert_eq!(treated.counts.short, 1);
    let failing = text.replace("'reject'", "'fail'");
    let refused = treat_row(&failing, &documents, &[]).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 2,
            case: Case::Short
        }
    );
}

#[test]
fn values_of_another_type_are_invalid() {
    let typed = |leaf: &str| json(&[("$.a", &format!("{CLEAR} as {leaf}"))], "");
    for (leaf, kept, lost) in [
        (
            "integer",
            &["1", "-7"][..],
            &["1.5", "\"1\"", "99999999999999999999", "true", "{}"][..],
        ),
        (
            "number",
            &["1.50", "-0.0", "1e3"],
            &["1e999", "\"1\"", "false", "[]"],
        ),
        ("boolean", &["true", "false"], &["0", "\"true\""]),
        (
            "date",
            &["\"2026-01-31\""],
            &["\"2026-02-30\"", "\"2026-1-31\"", "20260131"],
        ),
        (
            "text",
            &["\"x\"", "1.50", "true", "\"1\""],
            &["{\"b\":1}", "[1]"],
        ),
    ] {
        for value in kept {
            let document = format!("{{\"a\":{value}}}");
            assert_eq!(one(&typed(leaf), &document), document, "{leaf} {value}");
        }
        for value in lost {
            let treated = treat(&typed(leaf), &[Some(&format!("{{\"a\":{value}}}"))]);
            assert_eq!(texts(&treated), [Some("{\"a\":null}")], "{leaf} {value}");
            assert_eq!(treated.counts.invalid, 1, "{leaf} {value}");
        }
    }
    let rejecting = typed("integer").replace("'clear'", "'clear', on_invalid = 'reject'");
    let treated = treat(&rejecting, &[Some("{\"a\":1}"), Some("{\"a\":\"x\"}")]);
    assert_eq!(flagged(treated.rejected.as_ref()), [1]);
    assert_eq!((treated.counts.rows, treated.counts.invalid), (2, 1));
}

#[test]
fn results_are_written_as_their_type() {
    let text = json(
        &[
            ("$.n", "{ kind = 'round', to = '10' } as integer"),
            ("$.f", "{ kind = 'round', to = '0.1' } as number"),
            ("$.d", "{ kind = 'date-trunc', unit = 'year' } as date"),
            ("$.b", "{ kind = 'constant', value = 'a\\u0001\"\\\\b' }"),
        ],
        "",
    )
    .replace('\'', "\"")
    .replace("\"a\\u0001\"\\\\b\"", "\"a\\u0001\\\"\\\\b\"");
    let document = r#"{"n":14,"f":1.26,"d":"2026-05-17","b":"x"}"#;
    assert_eq!(
        one(&text, document),
        r#"{"n":10,"f":1.3,"d":"2026-01-01","b":"a\u0001\"\\b"}"#
    );
}

#[test]
fn withheld_values_go_with_their_keys() {
    let text = json(
        &[
            ("$.a", "{ kind = 'withhold' }"),
            ("$.l[*].b", "{ kind = 'withhold' }"),
        ],
        ", unknown = 'keep'",
    );
    let document = r#"{"a":{"deep":1},"c":2,"l":[{"b":1,"c":3}]}"#;
    assert_eq!(one(&text, document), r#"{"c":2,"l":[{"c":3}]}"#);
}

#[test]
fn escaped_keys_and_values_are_what_they_mean() {
    let text = json(&[("$.name", ENDS), ("$['x.y']", ENDS)], "");
    let document = r#"{"n\u0061me":"\u5f20\ud842\udfb7","x.y":"\"q"}"#;
    assert_eq!(one(&text, document), r#"{"n\u0061me":"张*","x.y":"\"*"}"#);
}

#[test]
fn conditions_within_see_the_row_of_their_document() {
    let when = format!("{{ kind = 'when', condition = 'c', then = {CLEAR}, else = {ENDS} }}");
    let text = json(&[("$[*]", &when)], "");
    let inputs = [answers(&[Some(false), None, Some(true)])];
    let documents = [Some(r#"["ab","cd"]"#), Some("[]"), Some(r#"["ef"]"#)];
    let treated = treat_row(&text, &documents, &inputs).unwrap();
    assert_eq!(
        texts(&treated),
        [Some(r#"["a*","c*"]"#), Some("[]"), Some(r#"["ef"]"#)]
    );
}

#[test]
fn a_category_of_a_path_decides_normalisation() {
    let hmac = "{ kind = 'hmac', domain = 'person.id' }";
    let text = json(&[("$.id", hmac)], "").replace("as = 'text'", "category = 'resident-id'");
    let one_spelling = one(&text, r#"{"id":"11010519491231002x"}"#);
    assert_eq!(one_spelling, one(&text, r#"{"id":" 11010519491231002X"}"#));
}

#[test]
fn what_does_not_fit_is_named() {
    for (text, parameter) in [
        (json(&[("a.b", CLEAR)], ""), Some("paths")),
        (json(&[("$.a", CLEAR), ("$.a", ENDS)], ""), Some("paths")),
        (json(&[], ""), Some("paths")),
        (
            json(&[("$.a", &format!("{ENDS} as integer"))], ""),
            Some("paths"),
        ),
    ] {
        assert_eq!(misfit(&text).parameter, parameter, "{text}");
    }
    let unfit = misfit(&json(
        &[("$.a", CLEAR), ("$.b", &format!("{ENDS} as date"))],
        "",
    ));
    assert!(
        unfit.what.starts_with("in `paths[1].treatment`: "),
        "{}",
        unfit.what
    );
    assert_eq!(
        misfit_of(&json(&[("$.a", CLEAR)], ""), &DataType::Int64).parameter,
        None
    );
}

#[test]
fn strength_is_that_of_the_weakest_that_may_pass() {
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let strength = |paths: &[(&str, &str)], rest: &str| spec(&json(paths, rest)).strength().0;
    assert_eq!(strength(&[("$.a", hmac), ("$.b", ENDS)], ""), 1);
    assert_eq!(strength(&[("$.a", hmac)], ""), 3);
    assert_eq!(strength(&[("$.a", hmac)], ", unknown = 'mask'"), 0);
    assert_eq!(strength(&[("$.a", hmac)], ", unknown = 'keep'"), 0);
    assert_eq!(
        strength(&[("$.*.a", hmac)], ""),
        0,
        "keys that are data stay"
    );
    let floor = spec(&json(&[("$.a", ENDS), ("$.b", hmac)], ""));
    assert!(spec(&json(&[("$.a", hmac), ("$.b", hmac)], "")).meets(&floor));
    assert!(!spec(&json(&[("$.a", hmac), ("$.b", ENDS)], "")).meets(&floor));
    assert!(!spec(hmac).meets(&floor) && spec("{ kind = 'null' }").meets(&floor));
    assert!(spec(&json(&[("$.a", hmac)], "")).meets(&spec(ENDS)));
    assert!(!spec(&json(&[("$.a", hmac)], ", unknown = 'keep'")).meets(&spec(ENDS)));
    assert!(
        !spec(&json(&[("$.a", hmac)], ", unknown = 'mask'"))
            .meets(&spec(&json(&[("$.a", hmac)], "")))
    );
}

#[test]
fn a_leaf_read_as_a_number_or_a_date_does_not_stand_for_a_mask_of_its_text() {
    let coarser = [
        "{ kind = 'top-bottom-code', upper = '999999999999999' } as integer",
        "{ kind = 'noise-num', domain = 'd', distribution = 'uniform', scale = '1' } as integer",
        "{ kind = 'bucket', width = '2', as = 'lower' } as integer",
        "{ kind = 'date-trunc', unit = 'week' } as date",
    ];
    let covered = "{ kind = 'keep-ends', first = 0, last = 0 }";
    let floors = [covered.to_owned(), json(&[("$.a", covered)], "")];
    for leaf in coarser {
        let own = spec(&json(&[("$.a", leaf)], ""));
        for floor in &floors {
            assert!(!own.meets(&spec(floor)), "{leaf} for {floor}");
        }
        assert!(own.meets(&spec("{ kind = 'clear' }")), "{leaf}");
    }
}

/// Documents whose every text is a secret.
fn documents() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (1_000_000_i64..9_999_999).prop_map(Value::from),
        "SECRET[a-z]{0,4}".prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[abc]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[abc]", inner, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_or_number_passes_that_is_not_treated(document in documents(), unknown in 0_usize..2) {
        let text = json(&[("$.a", "{ kind = 'constant', value = 'x' }"), ("$.b[*].c", ENDS)],
            [", unknown = 'drop'", ", unknown = 'mask'"][unknown]);
        let written = document.to_string();
        let treated = treat(&text, &[Some(&written)]);
        let result = texts(&treated)[0].unwrap();
        prop_assert!(serde_json::from_str::<Value>(result).is_ok(), "{}", result);
        prop_assert!(!result.contains("SECRET"), "{}", result);
        prop_assert!(!result.bytes().collect::<Vec<_>>().windows(7).any(|w| w.iter().all(u8::is_ascii_digit)));
        prop_assert!(!holds(&treated.array, b"SECRET"));
    }

    #[test]
    fn kept_documents_mean_the_same(document in documents()) {
        let text = json(&[("$.nowhere", ENDS)], ", unknown = 'keep'");
        let result = one(&text, &document.to_string());
        prop_assert_eq!(serde_json::from_str::<Value>(&result).unwrap(), document);
    }

    #[test]
    fn batches_forms_and_slices_agree(documents in proptest::collection::vec(proptest::option::of(documents()), 0..8), at in 0_usize..8) {
        let text = json(&[("$.a", ENDS), ("$.*[*]", "{ kind = 'hmac', domain = 'd' }"), ("$.c.a", CLEAR)], "");
        let values: Vec<Option<String>> = documents.iter().map(|value| value.as_ref().map(Value::to_string)).collect();
        let whole: ArrayRef = Arc::new(StringArray::from(values.clone()));
        let built = build(&spec(&text), Column::alone("field", &DataType::Utf8, CATEGORY)).unwrap();
        let expected = built.apply(&whole).unwrap();
        let at = at.min(whole.len());
        for (start, length) in [(0, at), (at, whole.len() - at)] {
            let part = built.apply(&whole.slice(start, length)).unwrap();
            prop_assert_eq!(&part.array, &expected.array.slice(start, length));
        }
        let views: ArrayRef = Arc::new(StringViewArray::from_iter(values.iter().map(Option::as_deref)));
        prop_assert_eq!(&built.apply(&views).unwrap().array, &expected.array);
        prop_assert_eq!(expected.array.null_count(), values.iter().filter(|value| value.is_none()).count());
    }
}

#[test]
fn a_document_of_invalid_values_is_one_invalid_value() {
    let mobile = "{ kind = 'typed-mask', of = 'mobile' }";
    let text = json(
        &[("$.a[*]", mobile), ("$.n", "{ kind = 'clear' } as integer")],
        "",
    );
    let documents = [
        r#"{"a":["x","y","z"],"n":"no"}"#,
        r#"{"a":["13800138000"],"n":1}"#,
        "no document",
    ];
    let treated = treat(&text, &documents.map(Some));
    assert_eq!((treated.counts.rows, treated.counts.invalid), (3, 2));
    assert_eq!(flagged(treated.invalid.as_ref()), [0, 2]);
}
