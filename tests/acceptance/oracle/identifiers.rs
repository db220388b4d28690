//! Every identifier that can be produced, judged by python-stdnum.

use super::{Case, Oracle, python};

/// What the source holds of a kind, as text of the category of that name.
fn of(kind: &'static str) -> (&'static str, &'static str, &'static str) {
    ("utf8", kind, kind)
}

/// A case for every list of what is kept, named `prefix` with a number.
fn cases(
    prefix: &str,
    kind: &'static str,
    treatment: &str,
    kept: &[&str],
) -> impl Iterator<Item = Case> {
    let case = |(number, keep): (usize, &&str)| {
        let treatment = format!("{{ {treatment}, domain = 'd', keep = [{keep}] }}");
        Case::new(&format!("{prefix}_{number}"), of(kind), &treatment)
    };
    kept.iter()
        .enumerate()
        .map(case)
        .collect::<Vec<_>>()
        .into_iter()
}

/// Structured ids of every kind and surrogates of those that stdnum can judge, with every part kept
/// that can be.
fn every_identifier() -> Vec<Case> {
    let structured = |kind: &'static str, kept: &[&str]| {
        let treatment = format!("kind = 'structured-id', of = '{kind}'");
        cases(&format!("structured_{kind}"), kind, &treatment, kept)
    };
    let fake = |name: &str, kind: &'static str, kept: &[&str]| {
        cases(
            &format!("fake_{name}"),
            kind,
            &format!("kind = 'fake-{name}'"),
            kept,
        )
    };
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
    )
    .chain(structured("mobile", &["", "'prefix3'"]))
    .chain(structured("bank-card", &["", "'bin6'", "'bin8'"]))
    .chain(structured(
        "credit-code",
        &["", "'region2'", "'region4'", "'region6'"],
    ))
    .chain(fake(
        "id",
        "resident-id",
        &[
            "",
            "'province'",
            "'city'",
            "'district'",
            "'birth-year'",
            "'sex'",
            "'district', 'birth-year', 'sex'",
        ],
    ))
    .chain(fake("card", "bank-card", &["", "'bin'"]))
    .chain(fake(
        "uscc",
        "credit-code",
        &[
            "",
            "'dept'",
            "'dept', 'category'",
            "'region'",
            "'dept', 'category', 'region'",
        ],
    ))
    .collect()
}

#[test]
fn stdnum_accepts_every_identifier_produced() {
    let Some(python) = python() else { return };
    let oracle = Oracle::new(python, "identifiers.py", every_identifier(), 3_000);
    let delivery = oracle.deliver();
    oracle.agrees(&delivery, "G-1");
}

/// Identifiers that a later step spoils are delivered; the oracle takes them for whole ones.
#[test]
fn the_oracle_notices_identifiers_that_are_not_valid() {
    let Some(python) = python() else { return };
    let spoilt = |kind, treatment: &str, pattern: &str, replacement: &str| {
        let treatment = format!("{{ kind = {treatment}, domain = 'd' }}");
        let pipeline = format!(
            "{{ kind = 'pipeline', steps = [{treatment}, {{ kind = 'regex', pattern = '{pattern}', \
             replacement = '{replacement}' }}] }}"
        );
        (kind, treatment, pipeline)
    };
    let check = ("(.*).", "${1}0");
    let told = [
        (
            spoilt(
                "resident-id",
                "'structured-id', of = 'resident-id'",
                check.0,
                check.1,
            ),
            "stdnum accepts one of the two only",
        ),
        (
            spoilt(
                "resident-id",
                "'structured-id', of = 'resident-id'",
                "(..).{8}(.*)",
                "${1}00000000$2",
            ),
            "stdnum accepts one of the two only",
        ),
        (
            spoilt(
                "bank-card",
                "'structured-id', of = 'bank-card'",
                check.0,
                check.1,
            ),
            "Luhn's check fails",
        ),
        (
            spoilt(
                "credit-code",
                "'structured-id', of = 'credit-code'",
                check.0,
                check.1,
            ),
            "not a credit code",
        ),
        (
            spoilt("mobile", "'structured-id', of = 'mobile'", "(.*).", "$1"),
            "not a mobile number",
        ),
        (
            spoilt("resident-id", "'fake-id'", check.0, check.1),
            "stdnum does not accept it",
        ),
        (
            spoilt("bank-card", "'fake-card'", check.0, check.1),
            "Luhn's check fails",
        ),
        (
            spoilt("credit-code", "'fake-uscc'", check.0, check.1),
            "not a credit code",
        ),
        // Nothing was done at all.
        (
            (
                "bank-card",
                "{ kind = 'fake-card', domain = 'd' }".to_owned(),
                "{ kind = 'clear' }".to_owned(),
            ),
            "unchanged",
        ),
        // A valid number, the same for all.
        (
            (
                "resident-id",
                "{ kind = 'structured-id', of = 'resident-id', domain = 'd' }".to_owned(),
                "{ kind = 'constant', value = '11010519491231002X' }".to_owned(),
            ),
            "became",
        ),
    ];
    let cases = told.iter().enumerate();
    let cases = cases.map(|(number, ((kind, treatment, delivered), _))| {
        let mut case = Case::new(&format!("spoilt_{number}"), of(kind), delivered);
        case.judged_as.clone_from(treatment);
        case
    });
    let oracle = Oracle::new(python, "identifiers.py", cases.collect(), 300);
    let delivery = oracle.deliver();
    let objections = oracle.objections(&delivery, "G-1");
    assert_eq!(objections.len(), told.len(), "{objections:?}");
    for (line, (_, what)) in objections.iter().zip(&told) {
        assert!(line.contains(what), "{what}: {line}");
    }
}
