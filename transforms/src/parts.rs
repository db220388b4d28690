//! Treatments within treatments: a part is handed some rows of a column, and what it reports is
//! brought back to the rows of the whole.
//!
//! Every kind that holds other treatments goes through here, so that a part always sees the inputs
//! of its own rows, draws its nonces from its own chunk id, and speaks of the rows of the column
//! it stands in.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanBufferBuilder, UInt32Array, new_null_array};
use arrow::buffer::BooleanBuffer;
use arrow::compute::{interleave, take};
use arrow::datatypes::DataType;

use crate::cases::{failed, set, set_rows, unset};
use crate::condition::{Answer, Answers};
use crate::error::{Misfit, TreatmentError};
use crate::key::Keys;
use crate::spec::{Column, Strength, TreatmentSpec};
use crate::treatment::{Context, Counts, Reason, Treated, Treatment};

/// Most bytes of a condition, as the predicate language has it.
const CONDITION_BYTES_MAX: usize = 64 << 10;

/// Refuses a condition that can't be one; its language is checked where it is compiled.
///
/// # Errors
/// An empty condition, or one that is too long.
pub(crate) fn check_condition(parameter: &'static str, text: &str) -> Result<(), Misfit> {
    if text.trim().is_empty() {
        return Err(
            Misfit::of_parameter(parameter, format!("`{parameter}` is empty"))
                .with_hint("write a condition over the fields of the row, such as \"age < 18\""),
        );
    }
    if text.len() > CONDITION_BYTES_MAX {
        let what = format!("`{parameter}` is longer than 64 KiB");
        return Err(Misfit::of_parameter(parameter, what));
    }
    Ok(())
}

/// The type that a treatment within another gives.
///
/// # Errors
/// It doesn't fit, or would remove the field.
pub(crate) fn part_type(
    spec: &TreatmentSpec,
    column: Column<'_>,
    parameter: &'static str,
    place: &str,
) -> Result<DataType, Misfit> {
    let output = spec
        .output_type(column)
        .map_err(|misfit| misfit.within(parameter, place))?;
    output.ok_or_else(|| {
        Misfit::of_parameter(
            parameter,
            format!("`{place}` withholds the field for some values"),
        )
        .with_hint("withhold the whole field, or use { kind = \"null\" } here")
    })
}

/// The strength of a choice between treatments: that of the weakest, and where they differ no more
/// than that of a coarser value, because which of them a row got is told. What the conditions say
/// of the field's own value is not in it: whoever compiles them sees which fields they read.
pub(crate) fn strength_of_choice(arms: &[&TreatmentSpec]) -> Strength {
    let weakest = arms.iter().map(|arm| arm.strength()).min();
    let weakest = weakest.unwrap_or(Strength::CLEAR);
    match arms.windows(2).all(|pair| pair.first() == pair.last()) {
        true => weakest,
        false => weakest.min(Strength::COARSER),
    }
}

/// Builds the parts of a treatment, one after the other.
#[derive(Debug)]
pub(crate) struct PartBuilder<'a> {
    keys: Keys<'a>,
    inputs: usize,
    built: usize,
}

impl<'a> PartBuilder<'a> {
    /// For a treatment that reads `own` inputs itself, before those of its parts.
    pub(crate) fn new(keys: Keys<'a>, own: usize) -> Self {
        Self {
            keys,
            inputs: own,
            built: 0,
        }
    }

    /// Builds the next part.
    ///
    /// # Errors
    /// As [`TreatmentSpec::build_with`].
    pub(crate) fn build(
        &mut self,
        spec: &TreatmentSpec,
        column: Column<'_>,
    ) -> Result<Part, Misfit> {
        let treatment = spec.build_with(column, self.keys)?;
        let start = self.inputs;
        self.inputs += spec.reads().len();
        let number = self.built;
        self.built += 1;
        Ok(Part {
            treatment,
            inputs: start..self.inputs,
            number,
        })
    }

    /// Passes over a part for which there is nothing to build.
    pub(crate) fn skip(&mut self, spec: &TreatmentSpec) {
        self.inputs += spec.reads().len();
        self.built += 1;
    }
}

/// A treatment within another.
#[derive(Debug)]
pub(crate) struct Part {
    treatment: Box<dyn Treatment>,
    /// Where its inputs stand among those of the whole.
    inputs: Range<usize>,
    number: usize,
}

impl Part {
    /// See [`Treatment::output_type`].
    pub(crate) fn output_type(&self) -> &DataType {
        self.treatment.output_type()
    }

    /// Treats a whole column.
    ///
    /// # Errors
    /// As [`Treatment::treat`].
    pub(crate) fn treat(
        &self,
        column: &ArrayRef,
        context: &Context<'_>,
    ) -> Result<Treated, TreatmentError> {
        let inputs = self.inputs(context)?;
        self.treatment.treat(column, &self.context(inputs, context))
    }

    /// Treats values of which value number i stands in row `rows[i]` of the whole.
    ///
    /// # Errors
    /// As [`Treatment::treat`].
    pub(crate) fn treat_of(
        &self,
        values: &ArrayRef,
        rows: &Rows,
        context: &Context<'_>,
    ) -> Result<Treated, TreatmentError> {
        let inputs = self.inputs(context)?.iter().map(|input| rows.of(input));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let treated = self
            .treatment
            .treat(values, &self.context(&inputs, context));
        treated.map_err(|error| rows.bring_back(error))
    }

    fn context<'a>(&self, inputs: &'a [ArrayRef], whole: &Context<'_>) -> Context<'a> {
        Context {
            inputs,
            chunk: whole.chunk.map(|chunk| chunk.part(self.number)),
        }
    }

    fn inputs<'a>(&self, context: &Context<'a>) -> Result<&'a [ArrayRef], TreatmentError> {
        let inputs = context.inputs.get(self.inputs.clone());
        inputs.ok_or_else(|| failed("reading what a treatment within another needs"))
    }
}

/// Rows of a column, by number.
#[derive(Debug, Clone)]
pub(crate) struct Rows(UInt32Array);

impl Rows {
    pub(crate) fn new(rows: Vec<u32>) -> Self {
        Self(UInt32Array::from(rows))
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The values of these rows.
    ///
    /// # Errors
    /// The column is shorter.
    pub(crate) fn of(&self, column: &ArrayRef) -> Result<ArrayRef, TreatmentError> {
        let beyond = |row: &u32| usize::try_from(*row).map_or(true, |row| row >= column.len());
        if self.0.values().iter().any(beyond) {
            return Err(failed("taking the rows of a part"));
        }
        take(column, &self.0, None).map_err(|_| failed("taking the rows of a part"))
    }

    /// The rows at these positions among the rows.
    ///
    /// # Errors
    /// There are fewer.
    pub(crate) fn at(&self, positions: &Self) -> Result<Self, TreatmentError> {
        let place = |at: &u32| self.0.values().get(usize::try_from(*at).ok()?).copied();
        let rows: Option<Vec<u32>> = positions.0.values().iter().map(place).collect();
        rows.map(Self::new)
            .ok_or_else(|| failed("finding the rows of values within"))
    }

    /// The row at a position.
    pub(crate) fn get(&self, at: usize) -> Option<usize> {
        usize::try_from(*self.0.values().get(at)?).ok()
    }

    /// A refusal, spoken of the row of the whole.
    pub(crate) fn bring_back(&self, error: TreatmentError) -> TreatmentError {
        match error {
            TreatmentError::Refused { row, case } => TreatmentError::Refused {
                row: self.get(row).unwrap_or(row),
                case,
            },
            TreatmentError::NoAnswer { row } => TreatmentError::NoAnswer {
                row: self.get(row).unwrap_or(row),
            },
            other @ (TreatmentError::UnexpectedType { .. }
            | TreatmentError::TooLarge
            | TreatmentError::NoChunk
            | TreatmentError::ChunkTooLarge { .. }
            | TreatmentError::Vault(_)
            | TreatmentError::Arrow(_)) => other,
        }
    }
}

/// A row as its number is kept.
///
/// # Errors
/// A batch of more rows than 32 bits count.
pub(crate) fn number(row: usize) -> Result<u32, TreatmentError> {
    u32::try_from(row).map_err(|_| TreatmentError::TooLarge)
}

/// What parts report, gathered for the rows of the whole.
#[derive(Debug)]
pub(crate) struct Report {
    rows: usize,
    /// But for invalid values, which are counted by the flags of their rows.
    counts: Counts,
    invalid: Option<BooleanBufferBuilder>,
    rejected: Option<BooleanBufferBuilder>,
    dropped: Vec<(Arc<str>, BooleanBufferBuilder)>,
}

impl Report {
    /// Of a column of that many rows, of which nothing is counted yet.
    pub(crate) fn new(rows: usize) -> Self {
        Self {
            rows,
            counts: Counts::default(),
            invalid: None,
            rejected: None,
            dropped: Vec::new(),
        }
    }

    /// Adds what a part that was handed whole rows says, counts and flags.
    pub(crate) fn add(&mut self, treated: &Treated, rows: Option<&Rows>) {
        self.count(treated.counts.clone());
        self.flag(treated, rows);
    }

    /// Adds what a part that was handed values within rows says: its flags, and its counts but for
    /// rows, nulls and empty values.
    pub(crate) fn add_within(&mut self, treated: &Treated, rows: &Rows) {
        let Counts {
            short,
            sentinels,
            widened,
            ..
        } = treated.counts;
        self.count(Counts {
            short,
            sentinels,
            widened,
            ..Counts::default()
        });
        self.flag(treated, Some(rows));
    }

    /// Adds counts, but for that of invalid values: [flags](Self::flag) say which rows have one.
    pub(crate) fn count(&mut self, counts: Counts) {
        self.counts += Counts {
            invalid: 0,
            ..counts
        };
    }

    /// Flags rows as left out on purpose.
    pub(crate) fn drop_rows(&mut self, reason: &Arc<str>, rows: impl Iterator<Item = usize>) {
        let mut rows = rows.filter(|row| *row < self.rows).peekable();
        if rows.peek().is_none() {
            return;
        }
        let known = self.dropped.iter().position(|(known, _)| known == reason);
        let at = known.unwrap_or_else(|| {
            self.dropped.push((Arc::clone(reason), unset(self.rows)));
            self.dropped.len() - 1
        });
        if let Some((_, flags)) = self.dropped.get_mut(at) {
            rows.for_each(|row| flags.set_bit(row, true));
        }
    }

    /// Adds the flags of a part.
    pub(crate) fn flag(&mut self, treated: &Treated, rows: Option<&Rows>) {
        let place = |row: usize| rows.map_or(Some(row), |rows| rows.get(row));
        for (flags, own) in [
            (&treated.invalid, &mut self.invalid),
            (&treated.rejected, &mut self.rejected),
        ] {
            let flagged = flags.iter().flat_map(BooleanBuffer::set_indices);
            for row in flagged.filter_map(place) {
                set(own, self.rows, row);
            }
        }
        for reason in &treated.reasons {
            let rows = reason.rows.set_indices().filter_map(place);
            self.drop_rows(&reason.text, rows);
        }
    }

    /// Closes the column with its result.
    pub(crate) fn finish(self, array: ArrayRef) -> Treated {
        let reasons = self.dropped.into_iter().map(|(text, mut flags)| Reason {
            text,
            rows: flags.finish(),
        });
        let reasons: Vec<Reason> = reasons.collect();
        let dropped = reasons.iter().map(|reason| reason.rows.clone());
        let invalid = self.invalid.map(|mut flags| flags.finish());
        Treated {
            array,
            counts: Counts {
                invalid: set_rows(invalid.as_ref()),
                ..self.counts
            },
            invalid,
            rejected: self.rejected.map(|mut flags| flags.finish()),
            dropped: dropped.reduce(|one, other| &one | &other),
            reasons,
            choice: None,
        }
    }
}

/// The arms of a treatment that chooses among several for each row.
#[derive(Debug)]
pub(crate) struct Arms {
    parts: Vec<Part>,
}

impl Arms {
    /// Arms that all give the same type; the last is for rows that no condition meets.
    pub(crate) fn new(parts: Vec<Part>) -> Self {
        Self { parts }
    }

    /// Whether arm `arm` is the last one.
    fn is_last(&self, arm: usize) -> bool {
        arm + 1 >= self.parts.len()
    }

    /// The rows of every arm: a row belongs to the first arm whose condition is true.
    ///
    /// # Errors
    /// A condition has no answer for a row that no arm before it took: the first such row.
    fn split(&self, rows: usize, context: &Context<'_>) -> Result<Vec<Vec<u32>>, TreatmentError> {
        let mut chosen: Vec<Vec<u32>> = Vec::with_capacity(self.parts.len());
        let mut left: Vec<u32> = (0..number(rows)?).collect();
        let mut unanswered: Option<usize> = None;
        for arm in 0..self.parts.len() {
            if self.is_last(arm) {
                chosen.push(std::mem::take(&mut left));
                continue;
            }
            let answers = Answers::read(context, arm, rows)?;
            let met = |row: &u32| {
                let row = usize::try_from(*row).unwrap_or(usize::MAX);
                let answer = answers.of(row);
                if answer.is_none() {
                    unanswered = Some(unanswered.map_or(row, |first| first.min(row)));
                }
                answer == Some(Answer::True)
            };
            let (own, rest) = left.into_iter().partition(met);
            chosen.push(own);
            left = rest;
        }
        match unanswered {
            Some(row) => Err(TreatmentError::NoAnswer { row }),
            None => Ok(chosen),
        }
    }
}

impl Treatment for Arms {
    fn output_type(&self) -> &DataType {
        self.parts
            .first()
            .map_or(&DataType::Null, Part::output_type)
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let mut report = Report::new(column.len());
        let mut results: Vec<ArrayRef> = Vec::with_capacity(self.parts.len());
        let mut places = vec![(0, 0); column.len()];
        let chosen = self.split(column.len(), context)?;
        for (part, rows) in self.parts.iter().zip(chosen) {
            if rows.len() == column.len() {
                // Also the way of an empty column, whose rows are all in the first arm.
                return part.treat(column, context);
            }
            if rows.is_empty() {
                continue;
            }
            let rows = Rows::new(rows);
            let treated = part.treat_of(&rows.of(column)?, &rows, context)?;
            report.add(&treated, Some(&rows));
            for (position, row) in rows.0.values().iter().enumerate() {
                let row = usize::try_from(*row).unwrap_or(usize::MAX);
                if let Some(place) = places.get_mut(row) {
                    *place = (results.len(), position);
                }
            }
            results.push(treated.array);
        }
        let results: Vec<&dyn Array> = results.iter().map(AsRef::as_ref).collect();
        let array = interleave(&results, &places).map_err(|_| failed("joining the arms"))?;
        Ok(report.finish(array))
    }
}

/// Treats the rows that stay and flags the others as dropped for `reason`; a dropped row is null,
/// and nothing but its null is counted of it.
///
/// # Errors
/// As [`Treatment::treat`], and what `stays` says.
pub(crate) fn treat_kept(
    part: &Part,
    column: &ArrayRef,
    context: &Context<'_>,
    reason: &Arc<str>,
    stays: impl Fn(usize) -> Result<bool, TreatmentError>,
) -> Result<Treated, TreatmentError> {
    let mut kept = Vec::with_capacity(column.len());
    let mut report = Report::new(column.len());
    let mut left_out = Counts::default();
    let mut gone = Vec::new();
    let nulls = column.logical_nulls();
    // A null stands first in the results, for the rows that are dropped.
    let mut places = vec![(0, 0); column.len()];
    for (row, place) in places.iter_mut().enumerate() {
        if stays(row)? {
            *place = (1, kept.len());
            kept.push(number(row)?);
            continue;
        }
        gone.push(row);
        left_out.rows += 1;
        left_out.nulls += u64::from(nulls.as_ref().is_some_and(|nulls| nulls.is_null(row)));
    }
    if kept.len() == column.len() {
        return part.treat(column, context);
    }
    report.drop_rows(reason, gone.into_iter());
    let rows = Rows::new(kept);
    let treated = part.treat_of(&rows.of(column)?, &rows, context)?;
    report.add(&treated, Some(&rows));
    report.count(left_out);
    let null = new_null_array(treated.array.data_type(), 1);
    let array = interleave(&[&null, &treated.array], &places);
    Ok(report.finish(array.map_err(|_| failed("leaving rows out"))?))
}
