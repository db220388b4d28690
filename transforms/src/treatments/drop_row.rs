//! `drop-row`: leaves out the rows that meet a condition.
//!
//! It is written on a field, whose values in the rows that stay are treated by `then`. The rows
//! are left out on purpose, so they are flagged as dropped and not as rejected. Unlike elsewhere, a
//! condition that is null counts as true here: a row that nobody could judge does not leave.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::condition::{Answer, Answers};
use crate::error::{Misfit, TreatmentError};
use crate::key::{DerivedKey, Keys};
use crate::options::Options;
use crate::parts::{Part, PartBuilder, check_condition, part_type, treat_kept};
use crate::spec::{Column, Definition, Read, Strength, TreatmentSpec, Uniqueness, Width, reads_of};
use crate::treatment::{Context, Treated, Treatment};

/// Most bytes of a reason, which stands in every manifest.
const REASON_BYTES_MAX: usize = 200;

/// Leaves out the rows for which a condition over the original row is true or null, and treats the
/// field's value in the others. Of a row that is left out, nothing else is looked at: its value
/// can't fail the run. An option written here holds where it is stricter than that of `then`.
#[derive(Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DropRow {
    /// A condition in the predicate language over the fields of the original row
    /// (`"deceased = true"`); a row for which it is null is left out too.
    pub when: String,
    /// Why such rows are left out: what the manifest counts them under, 1 to 200 bytes. Without it
    /// they are counted under `drop-row`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The treatment of the value in the rows that stay.
    #[serde(default = "clear")]
    pub then: Box<TreatmentSpec>,
}

impl fmt::Debug for DropRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DropRow")
            .field("reason", &self.reason)
            .field("then", &self.then)
            .finish_non_exhaustive()
    }
}

pub(super) fn clear() -> Box<TreatmentSpec> {
    Box::new(TreatmentSpec::clear())
}

impl Definition for DropRow {
    const KIND: &'static str = "drop-row";
    const SUMMARY: &'static str = "leaves out the rows that meet a condition";
    const FITS: &'static str = "the types that the treatment of the other rows fits";
    const EXAMPLE: &'static str = "{ kind = \"drop-row\", when = \"age < 18\", reason = \"minors\", \
         then = { kind = \"keep-ends\", first = 1, last = 0 } }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> = Some("that of the treatment within");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const CONCEALED: &'static [&'static str] = &["when"];
    const WIDTH: Option<&'static str> = Some("that of `then`");

    fn strength(&self) -> Strength {
        self.then.strength()
    }

    fn uniqueness(&self) -> Uniqueness {
        self.then.treatment().uniqueness()
    }

    fn uniqueness_with(&self, data_type: &DataType, options: &Options) -> Uniqueness {
        self.then.within(options).uniqueness(data_type)
    }

    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        self.then.within(options).part_width(data_type)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        vec![&self.then]
    }

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![Read::Condition(self.when.clone())];
        reads.extend(reads_of(&self.parts()));
        reads
    }

    /// Nothing of its condition: that a row is there tells no more than a predicate over rows does.
    fn reveals(&self) -> Vec<Read> {
        self.then.reveals()
    }

    fn leaves_out_rows(&self) -> bool {
        true
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.when == floor.when && self.then.meets(&floor.then)
    }

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        self.then.within(options).meets(floor)
    }

    /// Never: no treatment of a value leaves out the row.
    fn outdone_by(&self, _: Strength, _: &Options) -> bool {
        false
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        check_condition("when", &self.when)?;
        let fits = |reason: &String| {
            !reason.trim().is_empty()
                && reason.len() <= REASON_BYTES_MAX
                && !reason.chars().any(char::is_control)
        };
        if !self.reason.as_ref().is_none_or(fits) {
            let what = format!(
                "`reason` is empty, has more than {REASON_BYTES_MAX} bytes, or is no plain text"
            );
            return Err(Misfit::of_parameter("reason", what)
                .with_hint("say in a few words why such rows are left out, or leave it out"));
        }
        part_type(&self.then, column, "then", "then").map(Some)
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.build_with(column, options, Keys::default())
    }

    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let then = PartBuilder::new(keys, 1).build(&self.then.within(options), column);
        let then = then.map_err(|misfit| misfit.within("then", "then"))?;
        let reason = self.reason.as_deref().unwrap_or(Self::KIND).into();
        Ok(Box::new(Dropping { reason, then }))
    }
}

#[derive(Debug)]
struct Dropping {
    reason: Arc<str>,
    then: Part,
}

impl Treatment for Dropping {
    fn output_type(&self) -> &DataType {
        self.then.output_type()
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let drops = Answers::read(context, 0, column.len())?;
        treat_kept(
            &self.then,
            column,
            context,
            &self.reason,
            |row| match drops.of(row) {
                Some(answer) => Ok(answer == Answer::False),
                None => Err(TreatmentError::NoAnswer { row }),
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use crate::TreatmentError;
    use crate::testing::{
        answers, answers_but, flagged, misfit, misfit_of, spec, texts, treat_row,
    };

    const MINORS: &str = "{ kind = 'drop-row', when = 'age < 18', \
        then = { kind = 'keep-ends', first = 1, last = 0, on_short = 'fail' } }";

    #[test]
    fn a_row_that_the_condition_cannot_judge_for_want_of_a_value_fails() {
        let inputs = [answers_but(&[Some(false), Some(true), None], &[2])];
        let error = treat_row(MINORS, &[Some("ab"); 3], &inputs).unwrap_err();
        assert_eq!(error, TreatmentError::NoAnswer { row: 2 });
    }

    #[test]
    fn rows_that_meet_the_condition_or_cannot_be_judged_are_dropped() {
        let inputs = [answers(&[
            Some(false),
            Some(true),
            None,
            Some(false),
            Some(true),
        ])];
        let values = [Some("ab"), Some("secret"), Some("secret"), None, None];
        let treated = treat_row(MINORS, &values, &inputs).unwrap();
        assert_eq!(flagged(treated.dropped.as_ref()), [1, 2, 4]);
        assert!(treated.rejected.is_none());
        assert_eq!(texts(&treated), [Some("a*"), None, None, None, None]);
        assert_eq!((treated.counts.rows, treated.counts.nulls), (5, 2));
    }

    #[test]
    fn dropped_rows_are_counted_by_their_reason() {
        let judged = [Some(true), Some(false), None, Some(false)];
        let counts = |text: &str| {
            let treated = treat_row(text, &[Some("ab"); 4], &[answers(&judged)]).unwrap();
            treated.tally().dropped.into_iter().collect::<Vec<_>>()
        };
        assert_eq!(counts(MINORS), [("drop-row".to_owned(), 2)]);
        let stated = MINORS.replace(", then", ", reason = 'minors', then");
        assert_eq!(counts(&stated), [("minors".to_owned(), 2)]);
        // Two steps that leave rows out each count their own.
        let two = format!(
            "{{ kind = 'pipeline', steps = [{stated}, {{ kind = 'drop-row', when = 'b' }}] }}"
        );
        let other = answers(&[Some(true), Some(true), Some(false), Some(false)]);
        let treated = treat_row(&two, &[Some("ab"); 4], &[answers(&judged), other]).unwrap();
        let expected = [("drop-row".to_owned(), 2), ("minors".to_owned(), 2)];
        assert_eq!(
            treated.tally().dropped.into_iter().collect::<Vec<_>>(),
            expected
        );
        assert_eq!(flagged(treated.dropped.as_ref()), [0, 1, 2]);
    }

    #[test]
    fn a_reason_must_say_something_short() {
        for reason in [" ", &"x".repeat(201), r"a\u001bb"] {
            let text = MINORS.replace(", then", &format!(", reason = \"{reason}\", then"));
            assert_eq!(misfit(&text).parameter, Some("reason"));
        }
    }

    #[test]
    fn a_dropped_row_cannot_fail_the_run() {
        let inputs = [answers(&[Some(true), Some(false)])];
        assert!(treat_row(MINORS, &[Some("x"), Some("ab")], &inputs).is_ok());
        let refused = treat_row(MINORS, &[Some("ab"), Some("x")], &inputs).unwrap_err();
        assert!(matches!(refused, TreatmentError::Refused { row: 1, .. }));
    }

    #[test]
    fn nothing_flagged_means_no_flags() {
        let treated = treat_row(MINORS, &[Some("ab")], &[answers(&[Some(false)])]).unwrap();
        assert!(treated.dropped.is_none());
    }

    #[test]
    fn the_other_rows_are_clear_unless_said_otherwise() {
        let treated = treat_row(
            "{ kind = 'drop-row', when = 'c' }",
            &[Some("a"), Some("b")],
            &[answers(&[Some(true), Some(false)])],
        );
        assert_eq!(texts(&treated.unwrap()), [None, Some("b")]);
    }

    #[test]
    fn no_treatment_of_a_value_stands_in_for_leaving_out_the_row() {
        let floor = spec(MINORS);
        assert!(floor.meets(&floor));
        assert!(!spec("{ kind = 'null' }").meets(&floor));
        assert!(!spec("{ kind = 'withhold' }").meets(&floor));
        assert!(floor.meets(&spec("{ kind = 'keep-ends', first = 1, last = 0 }")));
        assert!(!floor.meets(&spec("{ kind = 'keep-ends', first = 0, last = 0 }")));
        assert!(!spec(&MINORS.replace("18", "16")).meets(&floor));
    }

    #[test]
    fn what_does_not_fit_is_named() {
        assert_eq!(
            misfit("{ kind = 'drop-row', when = '' }").parameter,
            Some("when")
        );
        assert_eq!(misfit_of(MINORS, &DataType::Int64).parameter, Some("then"));
    }
}
