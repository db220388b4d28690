use proptest::prelude::*;

use crate::fill::Length;
use crate::testing::{cases_of, misfit, spec, treat, treat_one};

fn hiding(pattern: &str, groups: &str) -> String {
    format!("{{ kind = 'regex', pattern = '{pattern}', groups = [{groups}] }}")
}

fn replacing(pattern: &str, replacement: &str) -> String {
    format!("{{ kind = 'regex', pattern = '{pattern}', replacement = '{replacement}' }}")
}

/// The same pattern beside one that no value has, and whose looks are left to the engine.
fn by_engine(pattern: &str) -> String {
    format!(r"(?:{pattern}|\b\B)")
}

/// Whether the groups of a pattern are found without the engine.
fn is_placed(pattern: &str) -> bool {
    let treatment = super::Regex {
        pattern: pattern.to_owned(),
        replacement: None,
        groups: vec![1],
        fill: "*".to_owned(),
        length: Length::Same,
    };
    treatment.kernel().unwrap().placed.is_some()
}

#[test]
fn groups_are_hidden_and_the_rest_stays() {
    let id = hiding(r"(\d{6})(\d{8})(\d{3}[\dX])", "2");
    assert_eq!(
        treat_one(&id, "11010519491231002X"),
        Some("110105********002X".into())
    );
    let two = hiding(r"(\d{3})-(\d{4})-(\d{4})", "3, 1");
    assert_eq!(
        treat_one(&two, "138-0013-8000"),
        Some("***-0013-****".into())
    );
    let nested = hiding("(a(b)c)d", "1, 2");
    assert_eq!(treat_one(&nested, "abcd"), Some("***d".into()));
    let fixed = "{ kind = 'regex', pattern = '(.)(.+)', groups = [2], length = 2, fill = '某' }";
    assert_eq!(treat_one(fixed, "欧阳娜娜"), Some("欧某某".into()));
}

#[test]
fn fills_that_give_the_value_again_never_pass() {
    // Neither group stands as it is written, but both together do.
    let moved =
        "{ kind = 'regex', pattern = '(1)(\\d{3})x', groups = [1, 2], fill = '1', length = 2 }";
    let treated = treat(moved, &[Some("1111x"), Some("1211x")]);
    assert_eq!(cases_of(&treated), (0, 0, 0, 1));
    assert_eq!(treat_one(moved, "1111x"), Some("11".into()));
    assert_eq!(treat_one(moved, "1211x"), Some("1111x".into()));
    let same = "{ kind = 'regex', pattern = '(1)(\\d{3})x', groups = [1, 2], fill = '1' }";
    let treated = treat(same, &[Some("1111x"), Some("1211x")]);
    assert_eq!(cases_of(&treated), (0, 0, 0, 1));
}

#[test]
fn the_value_is_rewritten_from_its_groups() {
    let year = replacing(r"(?P<year>\d{4})-\d\d-\d\d", "${year}年");
    assert_eq!(treat_one(&year, "1949-12-31"), Some("1949年".into()));
    assert_eq!(
        treat_one(&replacing(r"(\d{3})\d{8}", "${1}x$$"), "13800138000"),
        Some("138x$".into())
    );
    assert_eq!(
        treat_one(&replacing(r"\d+", "number"), "123"),
        Some("number".into())
    );
    assert_eq!(
        treat_one(&replacing("(a)?(b)c", "<$1$2>"), "bc"),
        Some("<b>".into())
    );
    assert_eq!(treat_one(&replacing("a+", ""), "aaa"), Some(String::new()));
}

#[test]
fn a_value_that_does_not_match_never_passes() {
    let spec = hiding(r"1\d{2}(\d{4})\d{4}", "1");
    for value in [
        "1380013800",
        "张三 13800138000",
        "13800138000 ",
        "13800138000\n",
        "x",
    ] {
        let written = treat_one(&spec, value).unwrap();
        assert!(
            written.chars().all(|character| character == '*'),
            "{written}"
        );
    }
    let treated = treat(
        &spec,
        &[Some("13800138000"), Some("1380013800"), None, Some("")],
    );
    assert_eq!(cases_of(&treated), (1, 1, 0, 1));
    assert_eq!(
        treat_one(&replacing(r"\d{3}", "x"), "1234"),
        Some("****".into())
    );
    assert_eq!(
        treat_one(&replacing("(a)|ab", "<$1>"), "ab"),
        Some("<>".into()),
        "whole values only"
    );
}

#[test]
fn a_replacement_that_gives_the_value_again_is_refused() {
    for (pattern, replacement) in [
        ("(.*)", "$0"),
        ("(.*)", "$1"),
        ("(.*)", "x $1"),
        (r"(\d{3})(\d+)", "$2-$1"),
        (r"(a[bc])(\(d)", "$1$2"),
        ("(?<all>.*)", "${0}"),
        ("(?<all>.*)", "${all}"),
        ("(?P<all>.*)", "<$all>"),
        (r"^(?P<one>\d{3})(?<two>(?:-|)\d+)$", "${two}${one}"),
        (r"(?<one>(\d)x)(y)", "$one$3"),
    ] {
        let misfit = misfit(&replacing(pattern, replacement));
        assert_eq!(
            misfit.parameter,
            Some("replacement"),
            "{pattern} {replacement}"
        );
        assert!(misfit.what.contains("gives the whole value again"));
    }
}

#[test]
fn a_replacement_that_leaves_out_a_group_is_no_whole_value() {
    for (pattern, replacement) in [
        (r"(?<one>\d{3})(?<two>\d+)", "${one}"),
        (r"(?:\d{3})(?<two>\d+)", "${two}"),
        (r"^(\d{3})-(\d+)$", "$2$1"),
    ] {
        spec(&replacing(pattern, replacement))
            .output_type(crate::spec::Column::alone(
                "field",
                &arrow::datatypes::DataType::Utf8,
                "other",
            ))
            .unwrap();
    }
}

#[test]
fn a_group_named_twice_is_refused() {
    let misfit = misfit(&hiding(r"(\d)(\d)", "2, 1, 2"));
    assert_eq!(misfit.parameter, Some("groups"));
    assert!(misfit.what.contains("twice"));
}

#[test]
fn a_value_that_a_replacement_would_give_again_is_invalid() {
    for (pattern, replacement, value, kept) in [
        ("(a*)b?", "$1", "aaa", "aab"),
        ("(a*)b?", "x$1", "aaa", "aab"),
        ("(a+)(b+)c?", "$2$1", "aabb", "aabbc"),
        ("(?<all>a+)b?", "${all}!", "aaaa", "aaab"),
        ("(a+)(a+b)?c?", "$1$2", "aaab", "aaabc"),
    ] {
        let spec = replacing(pattern, replacement);
        let treated = treat(&spec, &[Some(value), Some(kept)]);
        assert_eq!(cases_of(&treated), (0, 0, 0, 1), "{pattern} {replacement}");
        assert_eq!(treat_one(&spec, value), Some("*".repeat(value.len())));
    }
    assert_eq!(
        treat_one(&replacing("a|b", "a"), "a"),
        Some("*".into()),
        "equal by chance"
    );
}

#[test]
fn a_group_to_hide_that_holds_nothing_makes_the_value_invalid() {
    let optional = hiding("a(b)?(c*)", "1, 2");
    for value in ["a", "ab", "ac"] {
        assert_eq!(
            treat_one(&optional, value),
            Some("*".repeat(value.len())),
            "{value}"
        );
    }
    assert_eq!(treat_one(&optional, "abc"), Some("a**".into()));
}

#[test]
fn no_character_is_cut_in_two() {
    assert_eq!(
        treat_one(&hiding("(.)(.*)", "1"), "e\u{301}a"),
        Some("**".into())
    );
    assert_eq!(
        treat_one(&hiding("(..)(.*)", "1"), "e\u{301}a"),
        Some("*a".into())
    );
    assert_eq!(
        treat_one(&replacing("(.).*", "$1"), "👨‍👩‍👧张"),
        Some("**".into())
    );
}

#[test]
fn a_pattern_is_limited() {
    for (pattern, word) in [
        ("(a", "unclosed group"),
        ("a)|(?:b", "unopened group"),
        ("(?x)(a) # comment", "unclosed group"),
        ("(?=a)", "look-around"),
        (r"(a)\\1\1", "backreferences"),
        (r"(\w{200}){200}", "exceeds size limit"),
        (&format!("{}{}", "(".repeat(60), ")".repeat(60)), "nest"),
        (&"a".repeat(1_001), "limit of 1000 bytes"),
    ] {
        let misfit = misfit(&hiding(pattern, "1"));
        assert_eq!(misfit.parameter, Some("pattern"), "{pattern}");
        assert!(misfit.what.contains(word), "{}", misfit.what);
        assert!(!misfit.what.contains('\n'));
    }
}

#[test]
fn groups_and_replacements_are_checked() {
    let wrong = |rest: &str| misfit(&format!("{{ kind = 'regex', pattern = '(a)b'{rest} }}"));
    for rest in [
        "",
        ", groups = []",
        ", groups = [1], replacement = 'x'",
        ", groups = [0]",
    ] {
        assert_eq!(wrong(rest).parameter, Some("groups"), "{rest}");
    }
    assert!(wrong(", groups = [2]").hint.unwrap().contains("1 to 1"));
    for replacement in ["$", "a$", "$2", "$1a", "${}", "${1", "$name", "$-"] {
        let misfit = wrong(&format!(", replacement = '{replacement}'"));
        assert_eq!(misfit.parameter, Some("replacement"), "{replacement}");
    }
    let long = wrong(&format!(", replacement = '{}'", "x".repeat(1_001)));
    assert_eq!(long.parameter, Some("replacement"));
    assert_eq!(wrong(", groups = [1], fill = ''").parameter, Some("fill"));
}

#[test]
fn a_pattern_made_to_backtrack_takes_linear_time() {
    let value = format!("{}b", "a".repeat(20_000));
    assert_eq!(
        treat_one(&hiding("(a+)+", "1"), &value).unwrap().len(),
        value.len()
    );
}

#[test]
fn more_hidden_groups_meet_fewer() {
    let floor = spec(&hiding("(a)(b)(c)", "2"));
    assert!(spec(&hiding("(a)(b)(c)", "3, 2")).meets(&floor));
    assert!(!spec(&hiding("(a)(b)(c)", "1, 3")).meets(&floor));
    assert!(!spec(&hiding("(a)(b)(.)", "2")).meets(&floor));
    assert!(!spec(&replacing("(a)(b)(c)", "x")).meets(&floor));
    let rewritten = spec(&replacing("(a)(b)(c)", "x"));
    assert!(rewritten.meets(&rewritten));
    assert!(!spec(&replacing("(a)(b)(c)", "$1")).meets(&rewritten));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_passes_as_it_was(value in "[ab张e\u{301}]{0,3}[0-9]{0,3}\\PC{0,2}") {
        prop_assume!(!value.trim().is_empty());
        for spec in [
            "{ kind = 'regex', pattern = '(.*?)(\\d*)', groups = [1], fill = '█' }".to_owned(),
            "{ kind = 'regex', pattern = '(\\D*)(\\d*).?', replacement = '$2$1', fill = '█' }".to_owned(),
        ] {
            let written = treat_one(&spec, &value).unwrap();
            prop_assert!(written != value, "{} {}", spec, written);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_pattern_whose_groups_have_their_places_is_treated_as_the_engine_treats_it(
        values in prop::collection::vec(
            prop_oneof![
                "[0-9]{3}x[ab]-",
                "[0-9xab-]{0,7}",
                "[0-9]{3}张[ab]-",
                "111x[ab]-\r?",
                "[0-9]{3}[x张][ab张]{0,5}[-·]",
            ],
            0..20,
        ),
        pattern in prop::sample::select(vec![
            r"(\d(\d)\d)[x张]([ab])(-)",
            r"(\d(\d)\d)[x张]([ab]*)(-)",
            r"(\d(\d)\d)[x张](.*)([-·])",
            r"(\d{1,3}(\d)\d)x?(.*)([-·])",
            r"(\d(\d)\d)(?:x|张([ab])?)(-)",
        ]),
        groups in prop::sample::select(vec!["1", "2", "3", "1, 2", "4, 1", "3, 2, 4", "2, 3", "3, 4"]),
        fill in prop::sample::select(vec!["*", "1", "a", "张", "*\u{301}"]),
        length in prop::sample::select(vec!["", ", length = 1", ", length = 2", ", length = 3"]),
    ) {
        let by_engine = by_engine(pattern);
        let treated = |pattern: &str| {
            let spec = format!(
                "{{ kind = 'regex', pattern = '{pattern}', groups = [{groups}], fill = '{fill}'{length} }}"
            );
            let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
            let treated = treat(&spec, &values);
            let cases = cases_of(&treated);
            (treated.array, cases)
        };
        prop_assert!(is_placed(pattern) && !is_placed(&by_engine));
        let (own, engine) = (treated(pattern), treated(&by_engine));
        prop_assert_eq!(&own.0, &engine.0);
        prop_assert_eq!(own.1, engine.1);
    }

    #[test]
    fn a_replacement_of_groups_that_have_their_places_is_as_the_engine_writes_it(
        values in prop::collection::vec("[0-9]{0,3}[x张·]?[ab张\u{301}]{0,4}-?", 1..20),
        pattern in prop::sample::select(vec![r"(\d*)[x张·](.*)", r"(\d+)(\D)([^-]*)-?", r"(.)(.*)(.)", r"(\d)?(\D.*)"]),
        replacement in prop::sample::select(vec!["$1", "<$2>", "${2}${1}", "x"]),
    ) {
        let by_engine = by_engine(pattern);
        prop_assert!(is_placed(pattern) && !is_placed(&by_engine));
        let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
        let [own, engine] = [pattern, &by_engine]
            .map(|pattern| treat(&replacing(pattern, replacement), &values));
        prop_assert_eq!(&own.array, &engine.array);
        prop_assert_eq!(cases_of(&own), cases_of(&engine));
    }
}
