use serde_json::Value;

use super::*;
use crate::testing::{misfit, spec, try_spec};

/// Every treatment the crate has, as its example writes it.
fn examples() -> Vec<TreatmentSpec> {
    treatments::catalogue()
        .iter()
        .map(|entry| spec(entry.example))
        .collect()
}

fn refusal(text: &str) -> String {
    try_spec(text).unwrap_err().message().to_owned()
}

#[test]
fn toml_and_json_read_the_same() {
    let from_toml = spec("{ kind = 'keep-ends', first = 1, last = 0, on_null = 'null' }");
    let json = r#"{ "on_null": "null", "last": 0, "first": 1, "kind": "keep-ends" }"#;
    let from_json: TreatmentSpec = serde_json::from_str(json).unwrap();
    assert_eq!(from_toml, from_json);
}

#[test]
fn unknown_keys_are_refused_with_all_known_ones() {
    assert_eq!(
        refusal("{ kind = 'keep-ends', first = 1, last = 0, fil = '*' }"),
        "unknown field `fil`, expected one of `first`, `last`, `fill`, `length`, `on_null`, \
         `on_empty`, `on_short`, `on_invalid`, `sentinels`, `max_invalid`"
    );
    let message = refusal("{ kind = 'clear', first = 1 }");
    assert!(
        message.starts_with("unknown field `first`, expected one of `on_null`"),
        "{message}"
    );
    let json = serde_json::from_str::<TreatmentSpec>(r#"{ "kind": "clear", "on_nul": "null" }"#);
    assert!(
        json.unwrap_err()
            .to_string()
            .starts_with("unknown field `on_nul`")
    );
}

#[test]
fn unknown_kinds_and_words_are_refused_with_the_known_ones() {
    let message = refusal("{ kind = 'keepends', first = 1 }");
    assert!(
        message.starts_with("unknown variant `keepends`, expected one of `clear`, `null`"),
        "{message}"
    );
    let message = refusal("{ kind = 'mask-around', side = 'befor' }");
    assert!(message.starts_with("unknown variant `befor`, expected `before` or `after`"));
    let message = refusal("{ kind = 'clear', on_short = 'keep' }");
    assert!(
        message.starts_with("unknown variant `keep`, expected one of `null`"),
        "{message}"
    );
    assert!(try_spec("{ kind = 'clear', on_empty = 'keep' }").is_ok());
}

#[test]
fn missing_keys_are_named() {
    assert_eq!(refusal("{ first = 1 }"), "missing field `kind`");
    assert_eq!(
        refusal("{ kind = 'keep-ends', first = 1 }"),
        "missing field `last`"
    );
    assert_eq!(refusal("{ kind = 'hmac' }"), "missing field `domain`");
}

#[test]
fn a_key_written_twice_is_refused() {
    let twice = r#"{ "kind": "keep-ends", "first": 1, "first": 9, "last": 0 }"#;
    let refused = serde_json::from_str::<TreatmentSpec>(twice).unwrap_err();
    assert!(refused.to_string().starts_with("duplicate field `first`"));
}

#[test]
fn the_canonical_form_spells_out_every_default() {
    assert_eq!(
        serde_json::to_string(&spec("{ kind = 'keep-ends', last = 0, first = 1 }")).unwrap(),
        r#"{"kind":"keep-ends","fill":"*","first":1,"last":0,"length":"same","on_null":"keep","on_empty":"keep","on_short":"mask-all","on_invalid":"mask-all","sentinels":[]}"#
    );
    assert_eq!(
        serde_json::to_string(&spec(
            "{ kind = 'hmac', domain = 'd', sentinels = [1, 1.5, 2026-01-31, true] }"
        ))
        .unwrap(),
        r#"{"kind":"hmac","algorithm":"sha256","domain":"d","encoding":"hex","normalise":"category","on_null":"keep","on_empty":"keep","on_short":"mask-all","on_invalid":"mask-all","sentinels":[1,"1.5","2026-01-31",true]}"#
    );
}

#[test]
fn the_canonical_form_reads_back_as_the_same_spec() {
    for spec in examples() {
        let json = serde_json::to_string(&spec).unwrap();
        assert_eq!(serde_json::from_str::<TreatmentSpec>(&json).unwrap(), spec);
        let again = serde_json::to_string(&spec).unwrap();
        assert_eq!(again, json);
        let table = toml::to_string(&spec).unwrap();
        assert_eq!(toml::from_str::<TreatmentSpec>(&table).unwrap(), spec);
    }
}

#[test]
fn every_example_meets_itself_and_clear_meets_only_clear() {
    let clear = TreatmentSpec::clear();
    for spec in examples() {
        assert!(spec.meets(&spec), "{}", spec.kind());
        assert!(spec.meets(&clear), "{}", spec.kind());
        assert_eq!(clear.meets(&spec), spec.kind() == "clear");
    }
}

#[test]
fn strength_decides_between_kinds() {
    let mask = spec("{ kind = 'keep-ends', first = 1, last = 0 }");
    let pseudonym = spec("{ kind = 'hmac', domain = 'd' }");
    let null = spec("{ kind = 'null' }");
    let withheld = TreatmentSpec::withhold();
    assert!(pseudonym.meets(&mask) && !mask.meets(&pseudonym));
    assert!(null.meets(&pseudonym) && withheld.meets(&pseudonym));
    assert!(!null.meets(&withheld) && !withheld.meets(&null));
    let range = spec("{ kind = 'mask-range', from = 0, to = -1 }");
    assert!(
        !range.meets(&mask),
        "kinds of one strength are not comparable"
    );
}

#[test]
fn more_characters_do_not_meet_the_floor() {
    let ends = |rest: &str| spec(&format!("{{ kind = 'keep-ends', {rest} }}"));
    let floor = ends("first = 3, last = 4");
    assert!(ends("first = 3, last = 4").meets(&floor));
    assert!(ends("first = 0, last = 4, length = 3").meets(&floor));
    assert!(!ends("first = 4, last = 0").meets(&floor));
    assert!(!floor.meets(&ends("first = 3, last = 4, length = 3")));
}

#[test]
fn weaker_options_do_not_meet_the_floor() {
    let clear = |rest: &str| spec(&format!("{{ kind = 'clear'{rest} }}"));
    let plain = clear("");
    assert!(!clear(", sentinels = [7]").meets(&plain));
    assert!(plain.meets(&clear(", sentinels = [7]")));
    assert!(clear(", sentinels = ['7']").meets(&clear(", sentinels = [7]")));
    assert!(!plain.meets(&clear(", on_null = 'fail'")));
    assert!(
        plain.meets(&clear(", on_null = 'null'")),
        "a null kept is a null"
    );
    assert!(!plain.meets(&clear(", on_empty = 'null'")));
    assert!(clear(", on_empty = 'null'").meets(&plain));
    assert!(!plain.meets(&clear(", on_short = 'reject'")));
    let null = spec("{ kind = 'null', sentinels = ['x'] }");
    assert!(
        !null.meets(&plain),
        "a sentinel passes even the strongest treatment"
    );
    let hmac = spec("{ kind = 'hmac', domain = 'd' }");
    assert!(!hmac.meets(&spec("{ kind = 'clear', on_null = 'reject' }")));
    assert!(TreatmentSpec::withhold().meets(&spec("{ kind = 'clear', on_null = 'reject' }")));
}

#[test]
fn the_summary_leaves_out_defaults() {
    for (text, summary) in [
        (
            "{ kind = 'keep-ends', first = 1, last = 0 }",
            "keep-ends(first=1, last=0)",
        ),
        (
            "{ kind = 'keep-ends', first = 1, last = 0, length = 2, on_null = 'fail' }",
            "keep-ends(first=1, last=0, length=2, on_null=fail)",
        ),
        ("{ kind = 'clear' }", "clear"),
        (
            "{ kind = 'hmac', domain = 'person.id' }",
            "hmac(domain=person.id)",
        ),
        ("{ kind = 'mask-around', keep = 1 }", "mask-around(keep=1)"),
    ] {
        assert_eq!(spec(text).summary(), summary);
    }
}

#[test]
fn sentinels_that_are_no_values_of_the_field_are_a_misfit() {
    let data_type = DataType::Int32;
    let column = Column::alone("n", &data_type, "other");
    let misfit = spec("{ kind = 'clear', sentinels = ['x'] }")
        .output_type(column)
        .unwrap_err();
    assert_eq!(misfit.parameter, Some("sentinels"));
}

#[test]
fn the_schema_has_one_closed_branch_for_every_kind() {
    let schema = schemars::schema_for!(TreatmentSpec).to_value();
    let branches = schema.get("oneOf").and_then(Value::as_array).unwrap();
    assert_eq!(branches.len(), treatments::KINDS.len());
    for (branch, kind) in branches.iter().zip(treatments::KINDS) {
        assert_eq!(branch.pointer("/properties/kind/const").unwrap(), kind);
        assert_eq!(
            branch.get("additionalProperties"),
            Some(&Value::Bool(false))
        );
        for option in Options::KEYS {
            assert!(
                branch.pointer(&format!("/properties/{option}")).is_some(),
                "{kind} {option}"
            );
        }
        for parameter in treatments::parameter_names(kind) {
            let description = branch.pointer(&format!("/properties/{parameter}/description"));
            assert!(description.is_some(), "{kind} {parameter} has no docs");
        }
    }
}

#[test]
fn the_catalogue_and_its_page_tell_everything() {
    let page = treatments::render_markdown();
    for entry in treatments::catalogue() {
        assert!(page.contains(&format!("\n### {}\n", entry.kind)));
        assert_eq!(spec(entry.example).kind(), entry.kind);
        assert_eq!(spec(entry.example).strength(), entry.strength);
        assert!(!entry.summary.ends_with('.') && !entry.fits.is_empty());
        let verb = entry.summary.split(' ').next().unwrap();
        assert!(verb.ends_with('s'), "{}", entry.summary);
        assert!(verb.bytes().all(|byte| byte.is_ascii_lowercase()), "{verb}");
        // What rustdoc has as a link is none on a page.
        assert!(!entry.description.is_empty() && !entry.description.contains("[`"));
        assert!(page.contains(&entry.description));
        let row = format!("| [`{0}`](#{0}) |", entry.kind);
        assert!(page.contains(&row), "{row}");
        for parameter in entry.parameters {
            assert!(
                !parameter.doc.is_empty(),
                "{} {}",
                entry.kind,
                parameter.name
            );
            assert!(!parameter.accepts.is_empty() && parameter.accepts != "value");
            assert!(page.contains(&format!("| `{}` |", parameter.name)));
        }
    }
    for option in Options::KEYS {
        assert!(page.contains(&format!("| `{option}` |")));
    }
    // A heading is written once.
    let mut groups: Vec<&str> = treatments::catalogue()
        .iter()
        .map(|entry| entry.group)
        .collect();
    groups.dedup();
    assert_eq!(groups.len(), 6);
    for group in groups {
        assert_eq!(page.matches(&format!("\n## {group}\n")).count(), 1);
    }
}

#[test]
fn the_page_says_what_an_optional_parameter_accepts() {
    for (kind, name, accepts) in [
        ("date-shift", "not_after", "date"),
        ("bucket", "edges", "list of text"),
        ("age-band", "edges", "list of integer"),
        ("keep-ends", "length", "`\"same\"` or integer"),
    ] {
        let mut entries = treatments::catalogue().into_iter();
        let entry = entries.find(|entry| entry.kind == kind).unwrap();
        let mut parameters = entry.parameters.iter();
        let parameter = parameters.find(|parameter| parameter.name == name);
        assert_eq!(parameter.unwrap().accepts, accepts, "{kind} {name}");
    }
}

#[test]
fn a_bijection_whose_results_may_meet_a_sentinel_is_declared_lossy() {
    let of = |text: &str| {
        let text = text.replace(" }", ", on_short = 'reject', on_invalid = 'reject' }");
        spec(&text).uniqueness(&DataType::Utf8)
    };
    let plain = "{ kind = 'fpe', domain = 'd', alphabet = 'digits' }";
    assert_eq!(of(plain), Uniqueness::Bijective);
    assert_eq!(
        of(&plain.replace(" }", ", sentinels = ['00000000'] }")),
        Uniqueness::Lossy
    );
    let permuted =
        "{ kind = 'permute-int', domain = 'd', from = 0, to = 9999999, sentinels = [0] }";
    assert_eq!(of(permuted), Uniqueness::Bijective);
}

#[test]
fn a_tag_within_another_treatment_is_refused() {
    let tagged = "{ kind = 'hmac', domain = 'd', tag = 4 }";
    for outer in [
        format!(
            "{{ kind = 'pipeline', steps = [{{ kind = 'keep-ends', first = 2, last = 0 }}, {tagged}] }}"
        ),
        format!(
            "{{ kind = 'when', condition = 'consent = true', then = {tagged}, else = {{ kind = 'null' }} }}"
        ),
    ] {
        let refused = misfit(&outer);
        assert_eq!(refused.parameter, Some("tag"), "{outer}: {}", refused.what);
    }
}
