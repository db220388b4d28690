use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Date32Array};
use arrow::datatypes::DataType;

use crate::TreatmentError;
use crate::spec::Column;
use crate::testing::{
    CATEGORY, answers, build, flagged, misfit, misfit_of, spec, texts, treat, treat_row,
};

#[test]
fn each_step_treats_what_the_one_before_left() {
    let both = "{ kind = 'pipeline', steps = [{ kind = 'keep-ends', first = 1, last = 0 }, \
        { kind = 'hmac', domain = 'd' }] }";
    let treated = treat_row(both, &[Some("张三"), Some("张四"), None], &[]).unwrap();
    let hmac = treat_row("{ kind = 'hmac', domain = 'd' }", &[Some("张*")], &[]).unwrap();
    let expected = texts(&hmac)[0];
    assert_eq!(texts(&treated), [expected, expected, None]);
}

#[test]
fn types_follow_from_step_to_step() {
    let text = "{ kind = 'pipeline', steps = [{ kind = 'date-trunc', unit = 'year' }, \
        { kind = 'hmac', domain = 'd' }, { kind = 'keep-ends', first = 8, last = 0 }] }";
    let built = build(&spec(text), Column::alone("d", &DataType::Date32, CATEGORY)).unwrap();
    assert_eq!(*built.output_type(), DataType::Utf8);
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![Some(1), Some(300), Some(400)]));
    let treated = built.apply(&dates).unwrap();
    let values = treated.array.as_string::<i32>();
    assert!(values.value(0) == values.value(1) && values.value(1) != values.value(2));
    let wrong = "{ kind = 'pipeline', steps = [{ kind = 'hmac', domain = 'd' }, \
        { kind = 'round', to = '1' }] }";
    let misfit = misfit_of(wrong, &DataType::Int64);
    assert_eq!(misfit.parameter, Some("steps"));
    assert!(
        misfit
            .what
            .starts_with("in `steps[1]`: treatment `round` does not fit a field of type Utf8")
    );
}

#[test]
fn conditions_of_later_steps_see_the_original_row() {
    let text = "{ kind = 'pipeline', steps = [{ kind = 'constant', value = 'x' }, \
        { kind = 'when', condition = 'c', then = { kind = 'clear' }, \
          else = { kind = 'constant', value = 'y' } }] }";
    let inputs = [answers(&[Some(true), Some(false)])];
    let treated = treat_row(text, &[Some("1"), Some("2")], &inputs).unwrap();
    assert_eq!(texts(&treated), [Some("x"), Some("y")]);
}

#[test]
fn nulls_and_empty_values_are_counted_once_and_flags_of_all_steps_add_up() {
    let text = "{ kind = 'pipeline', on_null = 'reject', steps = [\
        { kind = 'drop-row', when = 'c', then = { kind = 'clear' } }, \
        { kind = 'keep-ends', first = 1, last = 0, on_short = 'reject' }] }";
    let inputs = [answers(&[
        Some(false),
        Some(true),
        Some(false),
        Some(false),
        Some(false),
    ])];
    let values = [None, Some("secret"), Some(""), Some("x"), Some("ab")];
    let treated = treat_row(text, &values, &inputs).unwrap();
    assert_eq!(texts(&treated), [None, None, Some(""), None, Some("a*")]);
    assert_eq!(flagged(treated.rejected.as_ref()), [0, 3]);
    assert_eq!(flagged(treated.dropped.as_ref()), [1]);
    let counts = treated.counts;
    assert_eq!(
        (counts.rows, counts.nulls, counts.empty, counts.short),
        (5, 1, 1, 1)
    );
}

#[test]
fn a_refusal_of_any_step_names_the_row() {
    let text = "{ kind = 'pipeline', steps = [{ kind = 'clear' }, \
        { kind = 'keep-ends', first = 1, last = 0, on_short = 'fail' }] }";
    let refused = treat_row(text, &[Some("ab"), Some("x")], &[]).unwrap_err();
    assert!(matches!(refused, TreatmentError::Refused { row: 1, .. }));
}

#[test]
fn a_sentinel_of_the_whole_passes_every_step() {
    let text = "{ kind = 'pipeline', sentinels = ['未知'], steps = [\
        { kind = 'keep-ends', first = 1, last = 0 }, { kind = 'constant', value = 'x' }] }";
    let treated = treat(text, &[Some("未知"), Some("ab")]);
    assert_eq!(
        (texts(&treated), treated.counts.sentinels),
        (vec![Some("未知"), Some("x")], 1)
    );
    let listed_once = text.replace(", sentinels = ['未知']", "");
    let listed_once = listed_once.replace("last = 0", "last = 0, sentinels = ['未知']");
    assert_eq!(texts(&treat(&listed_once, &[Some("未知")])), [Some("x")]);
}

#[test]
fn strength_is_that_of_the_strongest_step() {
    let ends = "{ kind = 'keep-ends', first = 1, last = 0 }";
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let with = |steps: &str| spec(&format!("{{ kind = 'pipeline', steps = [{steps}] }}"));
    assert_eq!(with(&format!("{hmac}, {ends}")).strength().0, 3);
    assert!(with(&format!("{ends}, {hmac}")).meets(&spec(ends)));
    assert!(with(&format!("{hmac}, {{ kind = 'clear' }}")).meets(&spec(hmac)));
    assert!(!with(ends).meets(&spec(hmac)));
    let other = "{ kind = 'hmac', domain = 'd', sentinels = ['x'] }";
    assert!(!with(other).meets(&spec(ends)), "a sentinel passes");
    assert!(spec("{ kind = 'null' }").meets(&with(&format!("{hmac}, {ends}"))));
    let sampled =
        format!("{{ kind = 'sample', rate = 1, by = 'id', domain = 'd', then = {ends} }}");
    assert_eq!(
        with(&format!("{hmac}, {sampled}")).strength().0,
        1,
        "a step that reads fields"
    );
    assert!(
        !spec("{ kind = 'null' }").meets(&with(&sampled)),
        "rows must be left out"
    );
}

#[test]
fn a_step_that_reads_a_condition_can_bring_a_value_back() {
    let with = |steps: &str| spec(&format!("{{ kind = 'pipeline', steps = [{steps}] }}"));
    let null = "{ kind = 'constant', value = '-' }";
    let choice = "{ kind = 'case', arms = [\
        { when = \"income < 100\", then = { kind = 'constant', value = '99' } }], \
        else = { kind = 'clear' } }";
    let back = with(&format!("{null}, {choice}"));
    assert_eq!(back.strength().0, 0);
    for floor in [
        "{ kind = 'keep-ends', first = 1, last = 0 }",
        "{ kind = 'hmac', domain = 'd' }",
    ] {
        assert!(!back.meets(&spec(floor)), "{floor}");
    }
    let before = with(&format!("{choice}, {null}"));
    assert_eq!(before.strength().0, 5, "what was chosen is gone");
    let dropping = with(&format!("{null}, {{ kind = 'drop-row', when = 'c' }}"));
    assert_eq!(dropping.strength().0, 0, "a condition is a condition");
}

#[test]
fn a_coarser_pseudonym_is_not_at_least_a_finer_one() {
    let with = |steps: &str| spec(&format!("{{ kind = 'pipeline', steps = [{steps}] }}"));
    let ends = "{ kind = 'keep-ends', first = 2, last = 0, length = 1 }";
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let floor = spec(hmac);
    assert!(
        !with(&format!("{ends}, {hmac}")).meets(&floor),
        "it tells who shares a province"
    );
    assert!(with(&format!("{hmac}, {ends}")).meets(&floor));
    let random = "{ kind = 'encrypt-rand', domain = 'd', encoding = 'base64url' }";
    assert!(with(&format!("{ends}, {random}")).meets(&floor));
    assert!(with(&format!("{ends}, {{ kind = 'constant', value = 'x' }}")).meets(&floor));
    assert!(with(&format!("{ends}, {hmac}")).meets(&spec(ends)));
}

#[test]
fn a_finer_pseudonym_is_not_at_least_a_coarser_one_step_by_step() {
    let with = |steps: &str| spec(&format!("{{ kind = 'pipeline', steps = [{steps}] }}"));
    let ends =
        |first: u8| format!("{{ kind = 'keep-ends', first = {first}, last = 0, length = 1 }}");
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let floor = with(&format!("{}, {hmac}", ends(2)));
    assert!(with(&format!("{}, {hmac}", ends(1))).meets(&floor));
    assert!(
        !with(&format!("{hmac}, {hmac}")).meets(&floor),
        "it tells which whole values are equal"
    );
    let constant = "{ kind = 'constant', value = 'x' }";
    assert!(with(&format!("{constant}, {hmac}")).meets(&floor));
    let masked = with(&format!("{}, {}", ends(2), ends(1)));
    assert!(with(&format!("{hmac}, {}", ends(1))).meets(&masked));
}

#[test]
fn as_a_floor_a_pipeline_is_worth_its_strongest_kind() {
    let kept = "{ kind = 'structured-id', of = 'mobile', keep = ['prefix3'], domain = 'd' }";
    let floor = spec(&format!("{{ kind = 'pipeline', steps = [{kept}] }}"));
    assert_eq!(floor.strength().0, 1);
    assert!(!spec("{ kind = 'admin-level', level = 'city' }").meets(&floor));
    assert!(spec("{ kind = 'null' }").meets(&floor));
}

#[test]
fn steps_are_needed_and_keep_the_field() {
    assert_eq!(
        misfit("{ kind = 'pipeline', steps = [] }").parameter,
        Some("steps")
    );
    let gone = misfit("{ kind = 'pipeline', steps = [{ kind = 'withhold' }] }");
    assert_eq!(gone.parameter, Some("steps"));
}

#[test]
fn a_value_that_is_invalid_in_two_steps_is_one_invalid_value() {
    let mobile = "{ kind = 'typed-mask', of = 'mobile' }";
    let text = format!("{{ kind = 'pipeline', steps = [{mobile}, {mobile}] }}");
    let treated = treat_row(&text, &[Some("x"), Some("y"), None], &[]).unwrap();
    assert_eq!(texts(&treated), [Some("*"), Some("*"), None]);
    assert_eq!(treated.counts.invalid, 2);
    assert_eq!(flagged(treated.invalid.as_ref()), [0, 1]);
    // Of two values, no more than all are invalid.
    assert!(
        !treated
            .counts
            .exceeds(crate::options::Share::parse("1").unwrap())
    );
}
