//! Every identifier that can be produced, judged by python-stdnum.

use std::collections::BTreeSet;

use lockgate_transforms::treatments::catalogue;

use super::{Case, Oracle, document, python};

/// Surrogates of what stdnum has no verdict on.
const UNJUDGED: [&str; 13] = [
    "fake-name",
    "fake-birth-date",
    "fake-sex",
    "fake-age",
    "fake-region",
    "fake-phone",
    "fake-address",
    "fake-email",
    "fake-org",
    "fake-plate",
    "fake-vin",
    "fake-passport",
    "fake-ip",
];

/// What the source holds of a kind, as text of the category of that name.
fn of(kind: &'static str) -> (&'static str, &'static str, &'static str) {
    ("utf8", kind, kind)
}

/// A case for every list of what is kept, named `prefix` with a number.
fn cases(prefix: &str, kind: &'static str, treatment: &str, kept: &[&str]) -> Vec<Case> {
    let case = |(number, keep): (usize, &&str)| {
        // Else whoever was born before the kept division's code is covered, and not judged.
        let widens = treatment.contains("fake-id")
            && ["city", "district"].iter().any(|part| keep.contains(part));
        let widen = if widens { ", when_unfit = 'widen'" } else { "" };
        let treatment = format!("{{ {treatment}, domain = 'd', keep = [{keep}]{widen} }}");
        Case::new(&format!("{prefix}_{number}"), of(kind), &treatment)
    };
    kept.iter().enumerate().map(case).collect()
}

/// Structured ids of every kind and surrogates of those that stdnum can judge, with every part kept
/// that can be.
fn every_identifier() -> Vec<Case> {
    let structured = |kind: &'static str, kept: &[&str]| {
        let treatment = format!("kind = 'structured-id', of = '{kind}'");
        cases(&format!("structured_{kind}"), kind, &treatment, kept)
    };
    let tagged = |kind: &'static str| {
        let treatment = format!("kind = 'structured-id', of = '{kind}', tag = 2");
        cases(&format!("tagged_{kind}"), kind, &treatment, &[""])
    };
    let fake = |name: &str, kind: &'static str, kept: &[&str]| {
        cases(
            &format!("fake_{name}"),
            kind,
            &format!("kind = 'fake-{name}'"),
            kept,
        )
    };
    [
        structured(
            "resident-id",
            &[
                "",
                "'sex'",
                "'region2'",
                "'region4'",
                "'region6'",
                "'region6', 'sex'",
                "'birth-year'",
                "'region2', 'birth-year'",
                "'birth-year', 'sex'",
            ],
        ),
        cases(
            "in_force",
            "resident-id",
            "kind = 'structured-id', of = 'resident-id', not_in_force = 'invalid'",
            &["", "'sex'", "'region2'", "'birth-year'"],
        ),
        // With digits that the mark wrote.
        tagged("resident-id"),
        tagged("mobile"),
        tagged("bank-card"),
        structured("mobile", &["", "'prefix3'"]),
        structured("bank-card", &["", "'bin6'", "'bin8'"]),
        structured("credit-code", &["", "'region2'", "'region4'", "'region6'"]),
        fake(
            "id",
            "resident-id",
            &[
                "",
                "'province'",
                "'city'",
                "'district'",
                "'birth-year'",
                "'sex'",
                "'province', 'birth-year'",
                "'city', 'birth-year'",
                "'district', 'birth-year', 'sex'",
            ],
        ),
        fake("card", "bank-card", &["", "'bin'"]),
        fake(
            "uscc",
            "credit-code",
            &[
                "",
                "'dept'",
                "'dept', 'category'",
                "'region'",
                "'dept', 'category', 'region'",
            ],
        ),
    ]
    .concat()
}

#[test]
fn stdnum_accepts_every_identifier_produced() {
    let Some(python) = python() else { return };
    let oracle = Oracle::new(python, "identifiers.py", every_identifier(), 3_000);
    let delivery = oracle.deliver();
    oracle.agrees(&delivery, "G-1");
}

/// Every kind that produces identifiers is judged, by every word that its `of` and its `keep` take: one that
/// comes later is judged too, or named above.
#[test]
fn every_kind_of_identifier_is_judged() {
    let documents: Vec<_> = every_identifier()
        .iter()
        .map(|case| document(&case.judged_as))
        .collect();
    let mut unjudged = BTreeSet::new();
    for entry in catalogue() {
        if entry.kind != "structured-id" && !entry.kind.starts_with("fake-") {
            continue;
        }
        let of_kind = documents.iter().filter(|it| it["kind"] == entry.kind);
        let of_kind: Vec<_> = of_kind.collect();
        if of_kind.is_empty() {
            unjudged.insert(entry.kind);
            continue;
        }
        for parameter in &entry.parameters {
            if !["of", "keep"].contains(&parameter.name.as_str()) {
                continue;
            }
            let words: Vec<&str> = parameter.accepts.split('"').skip(1).step_by(2).collect();
            assert!(!words.is_empty(), "{} {}", entry.kind, parameter.accepts);
            for word in words {
                let is_judged = of_kind.iter().any(|it| {
                    let written = &it[parameter.name.as_str()];
                    let listed = written.as_array();
                    *written == word
                        || listed.is_some_and(|listed| listed.iter().any(|one| *one == word))
                });
                assert!(is_judged, "{} of {} {word}", parameter.name, entry.kind);
            }
        }
    }
    assert_eq!(unjudged, BTreeSet::from(UNJUDGED));
}

/// What a test of the oracle delivers, what the oracle is told it was, and what it must say.
struct Lie {
    kind: &'static str,
    delivered: String,
    judged_as: String,
    said: &'static str,
}

/// A treatment whose valid results a later step spoils: what it covered stays covered.
fn spoilt(
    kind: &'static str,
    treatment: &str,
    (pattern, replacement): (&str, &str),
    said: &'static str,
) -> Lie {
    let judged_as = format!("{{ kind = {treatment}, domain = 'd' }}");
    Lie {
        kind,
        delivered: format!(
            "{{ kind = 'pipeline', steps = [{judged_as}, {{ kind = 'regex', pattern = '{pattern}', \
             replacement = '{replacement}' }}] }}"
        ),
        judged_as,
        said,
    }
}

/// A treatment that wasn't applied, another in its place.
fn other(kind: &'static str, treatment: &str, delivered: &str, said: &'static str) -> Lie {
    Lie {
        kind,
        delivered: delivered.to_owned(),
        judged_as: format!("{{ kind = {treatment}, domain = 'd' }}"),
        said,
    }
}

/// The oracle itself finds what isn't valid, or its agreement would mean nothing.
#[test]
fn the_oracle_notices_identifiers_that_are_not_valid() {
    let Some(python) = python() else { return };
    let last = ("([0-9A-Z]{15,18})[0-9A-Z]", "${1}0");
    let structured_id = "'structured-id', of = 'resident-id'";
    let structured_card = "'structured-id', of = 'bank-card'";
    let lies = [
        spoilt(
            "resident-id",
            structured_id,
            last,
            "stdnum does not accept it",
        ),
        spoilt("bank-card", structured_card, last, "Luhn's check fails"),
        spoilt(
            "credit-code",
            "'structured-id', of = 'credit-code'",
            last,
            "not a credit code",
        ),
        spoilt(
            "mobile",
            "'structured-id', of = 'mobile'",
            ("([0-9]{10})[0-9]", "$1"),
            "not a mobile number",
        ),
        spoilt("resident-id", "'fake-id'", last, "stdnum does not accept"),
        spoilt("bank-card", "'fake-card'", last, "Luhn's check fails"),
        spoilt("credit-code", "'fake-uscc'", last, "not a credit code"),
        other(
            "bank-card",
            structured_card,
            "{ kind = 'clear' }",
            "unchanged",
        ),
        // Valid in itself, for which every number is too long or too short but those of 19 digits.
        other(
            "bank-card",
            structured_card,
            "{ kind = 'constant', value = '6222020011112222226' }",
            "another length",
        ),
        other(
            "resident-id",
            structured_id,
            "{ kind = 'null' }",
            "became None",
        ),
    ];
    let cases = lies.iter().enumerate();
    let cases = cases.map(|(number, lie)| {
        let name = format!("lie_{number}");
        let mut case = Case::new(&name, of(lie.kind), &lie.delivered);
        case.judged_as.clone_from(&lie.judged_as);
        case
    });
    let oracle = Oracle::new(python, "identifiers.py", cases.collect(), 300);
    let delivery = oracle.deliver();
    let objections = oracle.objections(&delivery, "G-1");
    assert_eq!(objections.len(), lies.len(), "{objections:?}");
    for (line, lie) in objections.iter().zip(&lies) {
        assert!(line.contains(lie.said), "{}: {line}", lie.said);
    }
}
