use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray, StringDictionaryBuilder};
use arrow::datatypes::{DataType, Int32Type};

use crate::error::Case;
use crate::key::{DerivedKey, Keys};
use crate::spec::{Column, Read};
use crate::testing::{
    CATEGORY, answers, build, flagged, misfit, misfit_of, spec, texts, treat_row, try_spec,
};
use crate::treatment::Context;
use crate::{ChunkId, KeyUse, TreatmentError};

const MASKS: &str = "{ kind = 'when', condition = 'c', \
    then = { kind = 'clear' }, else = { kind = 'keep-ends', first = 1, last = 0 } }";

#[test]
fn each_row_is_treated_by_its_arm() {
    let values = [Some("甲乙"), Some("abc"), None, Some("abc"), Some("x")];
    let inputs = [answers(&[
        Some(true),
        Some(false),
        Some(true),
        None,
        Some(false),
    ])];
    let treated = treat_row(MASKS, &values, &inputs).unwrap();
    assert_eq!(
        texts(&treated),
        [Some("甲乙"), Some("a**"), None, Some("a**"), Some("*")]
    );
    let counts = treated.counts;
    assert_eq!((counts.rows, counts.nulls, counts.short), (5, 1, 1));
}

#[test]
fn a_null_condition_counts_as_false() {
    let treated = treat_row(MASKS, &[Some("abc")], &[answers(&[None])]).unwrap();
    assert_eq!(texts(&treated), [Some("a**")]);
}

#[test]
fn refused_rows_are_those_of_the_column() {
    let text = "{ kind = 'when', condition = 'c', then = { kind = 'clear' }, \
        else = { kind = 'keep-ends', first = 1, last = 0, on_short = 'fail' } }";
    let inputs = [answers(&[Some(true), Some(false), Some(true), Some(false)])];
    let values = [Some("x"), Some("ab"), Some("y"), Some("z")];
    let refused = treat_row(text, &values, &inputs).unwrap_err();
    assert_eq!(
        refused,
        TreatmentError::Refused {
            row: 3,
            case: Case::Short
        }
    );
}

#[test]
fn rejected_and_dropped_rows_are_those_of_the_column() {
    let text = "{ kind = 'when', condition = 'c', \
        then = { kind = 'drop-row', when = 'd', then = { kind = 'clear' } }, \
        else = { kind = 'keep-ends', first = 1, last = 0, on_short = 'reject' } }";
    let inputs = [
        answers(&[Some(false), Some(true), Some(false), Some(true), Some(true)]),
        answers(&[Some(true), Some(false), Some(true), Some(true), Some(false)]),
    ];
    let values = [
        Some("ab"),
        Some("secret"),
        Some("c"),
        Some("de"),
        Some("fg"),
    ];
    let treated = treat_row(text, &values, &inputs).unwrap();
    assert_eq!(flagged(treated.rejected.as_ref()), [2]);
    assert_eq!(flagged(treated.dropped.as_ref()), [3]);
    assert_eq!(
        texts(&treated),
        [Some("a*"), Some("secret"), None, None, Some("fg")]
    );
    assert_eq!(treated.counts.rows, 5);
}

#[test]
fn options_of_the_whole_hold_in_both_arms() {
    let with = |rest: &str| MASKS.replacen("condition", &format!("{rest}, condition"), 1);
    let inputs = [answers(&[Some(true), Some(false)])];
    let text = with("on_null = 'reject'");
    let treated = treat_row(&text, &[None, None], &inputs).unwrap();
    assert_eq!(flagged(treated.rejected.as_ref()), [0, 1]);
    let text = with("sentinels = ['未知']");
    let treated = treat_row(&text, &[Some("未知"), Some("未知")], &inputs).unwrap();
    assert_eq!(
        (texts(&treated), treated.counts.sentinels),
        (vec![Some("未知"); 2], 2)
    );
}

#[test]
fn a_looser_option_of_the_whole_changes_nothing() {
    let text = "{ kind = 'when', condition = 'c', on_empty = 'keep', then = { kind = 'clear', \
        on_empty = 'null' }, else = { kind = 'clear' } }";
    let treated = treat_row(text, &[Some(""), Some("")], &[answers(&[Some(true), None])]).unwrap();
    assert_eq!(texts(&treated), [None, Some("")]);
}

#[test]
fn every_arm_gets_its_own_key() {
    let text = "{ kind = 'when', condition = 'c', then = { kind = 'hmac', domain = 'a' }, \
        else = { kind = 'hmac', domain = 'b' } }";
    let inputs = [answers(&[Some(true), Some(false)])];
    let treated = treat_row(text, &[Some("x"), Some("x")], &inputs).unwrap();
    let pseudonyms = texts(&treated);
    for (domain, pseudonym) in ["a", "b"].iter().zip(pseudonyms) {
        let alone = format!("{{ kind = 'hmac', domain = '{domain}' }}");
        assert_eq!(
            texts(&treat_row(&alone, &[Some("x")], &[]).unwrap()),
            [pseudonym]
        );
    }
    let spec = spec(text);
    let column = Column::alone("field", &DataType::Utf8, CATEGORY);
    assert_eq!(spec.key_uses().len(), 2);
    let key = DerivedKey::derive(&[7; 32], "pseudonym", "a", "grant:G-1", 1);
    assert!(
        spec.build(column, Some(&key)).is_err(),
        "one key never serves two domains"
    );
    let held = [(
        KeyUse {
            purpose: "pseudonym",
            domain: "a".to_owned(),
            join: None,
        },
        &key,
    )];
    let misfit = spec.build_with(column, Keys::new(&held)).unwrap_err();
    assert_eq!(misfit.parameter, Some("else"));
    assert!(misfit.what.contains("has no key"), "{}", misfit.what);
}

#[test]
fn every_arm_reads_its_own_inputs() {
    let text = "{ kind = 'when', condition = 'outer', \
        then = { kind = 'when', condition = 'inner', then = { kind = 'clear' }, \
                 else = { kind = 'constant', value = '1' } }, \
        else = { kind = 'when', condition = 'other', then = { kind = 'constant', value = '2' }, \
                 else = { kind = 'constant', value = '3' } } }";
    let reads = spec(text).reads();
    let expected = ["outer", "inner", "other"].map(|text| Read::Condition(text.to_owned()));
    assert_eq!(reads, expected);
    let inputs = [
        answers(&[Some(true), Some(false), Some(false), Some(true)]),
        answers(&[Some(true), Some(true), Some(true), Some(false)]),
        answers(&[Some(false), Some(true), Some(false), Some(true)]),
    ];
    let treated = treat_row(text, &[Some("x"); 4], &inputs).unwrap();
    assert_eq!(
        texts(&treated),
        [Some("x"), Some("2"), Some("3"), Some("1")]
    );
}

#[test]
fn inputs_that_are_missing_short_or_no_conditions_are_an_error() {
    let short: [ArrayRef; 1] = [answers(&[Some(true)])];
    let text: [ArrayRef; 1] = [Arc::new(StringArray::from(vec!["true", "true"]))];
    for inputs in [&[][..], &short, &text] {
        let refused = treat_row(MASKS, &[Some("a"), Some("b")], inputs).unwrap_err();
        assert!(matches!(refused, TreatmentError::Arrow(_)));
    }
}

#[test]
fn a_dictionary_agrees_with_plain_text() {
    let values = ["abc", "de", "abc", "abc", "de"];
    let mut dictionary = StringDictionaryBuilder::<Int32Type>::new();
    values
        .iter()
        .for_each(|value| dictionary.append_value(value));
    let dictionary: ArrayRef = Arc::new(dictionary.finish());
    let inputs = [answers(&[
        Some(true),
        None,
        Some(false),
        Some(true),
        Some(true),
    ])];
    let plain = treat_row(MASKS, &values.map(Some), &inputs).unwrap();
    let built = build(
        &spec(MASKS),
        Column::alone("field", &DataType::Utf8, CATEGORY),
    )
    .unwrap();
    let treated = built
        .treat(
            &dictionary,
            &Context {
                inputs: &inputs,
                chunk: None,
            },
        )
        .unwrap();
    assert_eq!(&treated.array, &plain.array);
}

#[test]
fn other_types_are_split_alike() {
    let text = "{ kind = 'when', condition = 'c', then = { kind = 'round', to = '10' }, \
        else = { kind = 'null' } }";
    let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(14), Some(25), None, Some(7)]));
    let built = build(&spec(text), Column::alone("n", &DataType::Int64, CATEGORY)).unwrap();
    let inputs = [answers(&[Some(true), None, Some(true), Some(true)])];
    let treated = built
        .treat(
            &array,
            &Context {
                inputs: &inputs,
                chunk: None,
            },
        )
        .unwrap();
    let expected: ArrayRef = Arc::new(Int64Array::from(vec![Some(10), None, None, Some(10)]));
    assert_eq!(&treated.array, &expected);
}

#[test]
fn arms_must_fit_and_agree() {
    let with = |then: &str, otherwise: &str| {
        format!("{{ kind = 'when', condition = 'c', then = {then}, else = {otherwise} }}")
    };
    let hmac = "{ kind = 'hmac', domain = 'd' }";
    let clear = "{ kind = 'clear' }";
    let disagree = misfit_of(&with(hmac, clear), &DataType::Int64);
    assert_eq!(disagree.what, "`then` gives Utf8, `else` gives Int64");
    let unfit = misfit(&with("{ kind = 'round', to = '10' }", clear));
    assert_eq!(unfit.parameter, Some("then"));
    assert!(
        unfit
            .what
            .starts_with("in `then`: treatment `round` does not fit")
    );
    assert_eq!(
        misfit(&with(clear, "{ kind = 'withhold' }")).parameter,
        Some("else")
    );
    let empty =
        "{ kind = 'when', condition = ' ', then = { kind = 'clear' }, else = { kind = 'clear' } }";
    assert_eq!(misfit(empty).parameter, Some("condition"));
}

#[test]
fn strength_is_that_of_the_weaker_arm_and_both_must_meet_the_floor() {
    let with = |then: &str, otherwise: &str| {
        spec(&format!(
            "{{ kind = 'when', condition = 'c', then = {then}, else = {otherwise} }}"
        ))
    };
    let (clear, null) = ("{ kind = 'clear' }", "{ kind = 'null' }");
    let ends = "{ kind = 'keep-ends', first = 1, last = 0 }";
    let more = "{ kind = 'keep-ends', first = 3, last = 0 }";
    assert_eq!(with(null, ends).strength().0, 1);
    assert_eq!(with(null, null).strength().0, 5, "nothing is chosen");
    assert!(with(null, ends).meets(&spec(ends)));
    assert!(!with(null, more).meets(&spec(ends)));
    assert!(!with(null, clear).meets(&spec(ends)));
    let hmac = spec("{ kind = 'hmac', domain = 'd' }");
    assert!(
        !hmac.meets(&with(null, ends)),
        "the floor demands a null for some rows"
    );
    assert!(hmac.meets(&with(clear, ends)));
    assert!(with(null, ends).meets(&with(null, more)));
    assert!(!with(ends, null).meets(&with(null, ends)));
    let listed = "{ kind = 'keep-ends', first = 1, last = 0, sentinels = ['x'] }";
    assert!(
        !with(null, listed).meets(&spec(ends)),
        "a sentinel of an arm passes"
    );
}

#[test]
fn a_choice_between_constants_counts_as_a_coarser_value_and_reveals_its_condition() {
    let with = |condition: &str, then: &str, otherwise: &str| {
        spec(&format!(
            "{{ kind = 'when', condition = '{condition}', then = {then}, else = {otherwise} }}"
        ))
    };
    let (m, f) = (
        "{ kind = 'constant', value = 'M' }",
        "{ kind = 'constant', value = 'F' }",
    );
    let chosen = with("c", m, f);
    assert_eq!(chosen.strength().0, 2);
    assert_eq!(chosen.reveals(), [Read::Condition("c".to_owned())]);
    let hmac = spec("{ kind = 'hmac', domain = 'd' }");
    assert!(
        chosen.meets(&hmac) && hmac.reveals().is_empty(),
        "what it says of the field's own value; the rest is for the compiler"
    );
    let ends = |first: u8| format!("{{ kind = 'keep-ends', first = {first}, last = 0 }}");
    let floor = with("c", &ends(1), &ends(2));
    assert!(with("c", m, f).meets(&floor));
    assert!(
        !with("d", m, f).meets(&floor),
        "another condition tells something else"
    );
}

#[test]
fn reveals_are_conditions_and_kept_parts_but_no_entities_and_no_dropped_rows() {
    let reveals = |text: &str| spec(text).reveals();
    let shift = "{ kind = 'date-shift', domain = 'd', by = 'id', min_days = -3, max_days = 3 }";
    assert_eq!(spec(shift).reads(), [Read::Entity("id".to_owned())]);
    assert_eq!(reveals(shift), []);
    let noise =
        "{ kind = 'noise-num', domain = 'd', distribution = 'uniform', scale = '1', by = 'id' }";
    assert_eq!(reveals(noise), []);
    let when =
        "{ kind = 'when', condition = 'c', then = { kind = 'null' }, else = { kind = 'clear' } }";
    let within = [
        format!("{{ kind = 'drop-row', when = 'gone', then = {when} }}"),
        format!("{{ kind = 'sample', rate = 1, by = 'id', domain = 'd', then = {when} }}"),
        format!(
            "{{ kind = 'pipeline', steps = [{{ kind = 'drop-row', when = 'gone' }}, {when}] }}"
        ),
        format!("{{ kind = 'json', paths = [{{ path = '$.a', treatment = {when} }}] }}"),
        format!("{{ kind = 'nested', fields = {{ '[]' = {when} }} }}"),
    ];
    for text in within {
        assert_eq!(reveals(&text), [Read::Condition("c".to_owned())], "{text}");
    }
    let nested = format!("{{ kind = 'when', condition = 'outer', then = {when}, else = {when} }}");
    let expected = ["outer", "c", "c"].map(|text| Read::Condition(text.to_owned()));
    assert_eq!(reveals(&nested), expected);
    let name = "{ kind = 'fake-name', domain = 'd', by = 'id', keep = ['sex'], sex = 'gender' }";
    assert_eq!(reveals(name), [Read::Field("gender".to_owned())]);
}

#[test]
fn random_encryption_draws_its_nonces_for_every_arm() {
    let chunk = ChunkId {
        attempt: [1; 16],
        split: 2,
        chunk: 3,
    };
    assert_ne!(chunk.part(0), chunk.part(1));
    assert_ne!(chunk.part(0), chunk);
    assert_ne!(chunk.part(0).part(1), chunk.part(1).part(0));
    assert_eq!((chunk.part(7).split, chunk.part(7).chunk), (2, 3));
}

#[test]
fn nested_treatments_are_read_strictly_and_written_out_in_full() {
    let unknown = MASKS.replace("last = 0", "last = 0, fil = '*'");
    let message = try_spec(&unknown).unwrap_err().message().to_owned();
    assert!(
        message.starts_with("unknown field `fil`, expected one of `first`"),
        "{message}"
    );
    let span = try_spec(&unknown).unwrap_err().span().unwrap();
    let place = format!("treatment = {unknown}");
    let pointed = place.get(span).unwrap();
    let inner = pointed == "fil" || pointed.starts_with("{ kind = 'keep-ends'");
    assert!(inner, "the treatment within is pointed at: {pointed}");
    let json = serde_json::to_string(&spec(MASKS)).unwrap();
    assert!(json.contains(r#""else":{"fill":"*","first":1,"kind":"keep-ends","last":0,"length":"same","on_empty":"keep""#), "{json}");
}

#[test]
fn the_summary_tells_the_arms_and_hides_the_condition() {
    let summary = spec(&MASKS.replace("'c'", "\"name = '张三'\"")).summary();
    assert_eq!(
        summary,
        "when(condition=…, else=keep-ends(first=1, last=0), then=clear)"
    );
}
