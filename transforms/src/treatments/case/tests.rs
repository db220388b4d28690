use std::sync::Arc;

use proptest::prelude::*;

use crate::error::TreatmentError;
use crate::spec::Read;
use crate::testing::{answers, answers_but, misfit, spec, texts, treat, treat_row};

const THREE: &str = "{ kind = 'case', arms = [\
    { when = 'a', then = { kind = 'clear' } }, \
    { when = 'b', then = { kind = 'hmac', domain = 'd' } } ], \
    else = { kind = 'keep-ends', first = 1, last = 0 } }";

#[test]
fn the_first_condition_that_is_true_decides() {
    let inputs = [
        answers(&[Some(true), Some(false), None, Some(true)]),
        answers(&[Some(true), Some(false), None, None]),
    ];
    let treated = treat_row(THREE, &[Some("ab"); 4], &inputs).unwrap();
    assert_eq!(
        texts(&treated),
        [Some("ab"), Some("a*"), Some("a*"), Some("ab")]
    );
}

#[test]
fn a_row_that_an_earlier_arm_took_asks_no_later_condition() {
    let first = answers(&[Some(true), Some(false), None, Some(false)]);
    let inputs = [
        Arc::clone(&first),
        answers_but(&[None, Some(false), None, Some(true)], &[0]),
    ];
    let treated = treat_row(THREE, &[Some("ab"); 4], &inputs).unwrap();
    assert_eq!(texts(&treated)[..3], [Some("ab"), Some("a*"), Some("a*")]);
    // The first row that asks for an answer there isn't is named, whichever arm asks.
    let inputs = [
        answers_but(&[None; 4], &[3]),
        answers_but(&[None; 4], &[1, 3]),
    ];
    let refused = treat_row(THREE, &[Some("ab"); 4], &inputs);
    assert_eq!(refused.unwrap_err(), TreatmentError::NoAnswer { row: 1 });
}

#[test]
fn a_condition_within_an_arm_is_asked_for_the_rows_of_the_arm() {
    let within = "{ kind = 'case', arms = [ { when = 'a', then = { kind = 'case', \
        arms = [{ when = 'b', then = { kind = 'clear' } }], \
        else = { kind = 'constant', value = '-' } } } ], else = { kind = 'null' } }";
    let outer = answers(&[Some(false), Some(true), None, Some(true)]);
    let inner = answers_but(&[None, Some(true), None, Some(false)], &[0, 2]);
    let treated = treat_row(within, &[Some("ab"); 4], &[Arc::clone(&outer), inner]).unwrap();
    assert_eq!(texts(&treated), [None, Some("ab"), None, Some("-")]);
    let inner = answers_but(&[None, Some(true), None, Some(false)], &[3]);
    let refused = treat_row(within, &[Some("ab"); 4], &[outer, inner]);
    assert_eq!(refused.unwrap_err(), TreatmentError::NoAnswer { row: 3 });
}

#[test]
fn conditions_are_read_in_the_order_of_the_arms() {
    let expected = ["a", "b"].map(|text| Read::Condition(text.to_owned()));
    assert_eq!(spec(THREE).reads(), expected);
}

#[test]
fn an_arm_that_does_not_fit_is_named() {
    let text = THREE.replace(
        "{ kind = 'hmac', domain = 'd' }",
        "{ kind = 'round', to = '1' }",
    );
    let misfit_of_arm = misfit(&text);
    assert_eq!(misfit_of_arm.parameter, Some("arms"));
    assert!(
        misfit_of_arm.what.starts_with("in `arms[1].then`: "),
        "{}",
        misfit_of_arm.what
    );
    let none = misfit("{ kind = 'case', arms = [], else = { kind = 'clear' } }");
    assert_eq!(none.parameter, Some("arms"));
}

#[test]
fn every_arm_must_meet_the_floor() {
    let ends = spec("{ kind = 'keep-ends', first = 1, last = 0 }");
    assert_eq!(spec(THREE).strength().0, 0);
    assert!(!spec(THREE).meets(&ends));
    assert!(spec(&THREE.replace("clear", "null")).meets(&ends));
    assert!(spec(THREE).meets(&spec(THREE)));
    assert!(spec(&THREE.replace("clear", "null")).meets(&spec(THREE)));
    assert!(!spec(&THREE.replace("'b'", "'x'")).meets(&spec(THREE)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_case_agrees_with_its_arms_alone(
        rows in proptest::collection::vec(("\\PC{0,6}", any::<Option<bool>>(), any::<Option<bool>>()), 0..30),
        null in any::<usize>(),
    ) {
        let mut values: Vec<Option<&str>> = rows.iter().map(|(text, _, _)| Some(text.as_str())).collect();
        let at = null % (values.len() + 1);
        if let Some(value) = values.get_mut(at) {
            *value = None;
        }
        let a: Vec<_> = rows.iter().map(|(_, a, _)| *a).collect();
        let b: Vec<_> = rows.iter().map(|(_, _, b)| *b).collect();
        let treated = treat_row(THREE, &values, &[answers(&a), answers(&b)]).unwrap();
        let alone = [
            treat("{ kind = 'clear' }", &values),
            treat_row("{ kind = 'hmac', domain = 'd' }", &values, &[]).unwrap(),
            treat("{ kind = 'keep-ends', first = 1, last = 0 }", &values),
        ];
        for row in 0..values.len() {
            let arm = match (a[row], b[row]) {
                (Some(true), _) => 0,
                (_, Some(true)) => 1,
                _ => 2,
            };
            prop_assert_eq!(texts(&treated)[row], texts(&alone[arm])[row]);
        }
        prop_assert_eq!(treated.counts.rows, u64::try_from(values.len()).unwrap());
    }
}
