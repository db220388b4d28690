//! How kernels follow the options: sentinels resolved against a field's type, cases counted,
//! actions taken, rejected rows flagged. Every treatment goes through here, so that none can count
//! or decide differently.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array,
    Decimal128Array, Decimal256Array, Scalar as ArrowScalar, StringArray, StringBuilder,
};
use arrow::buffer::BooleanBuffer;
use arrow::compute::kernels::cmp;
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, i256};

use crate::calendar::Civil;
use crate::error::{Case, Misfit, TreatmentError};
use crate::options::{Action, Options, Scalar};
use crate::spec::Column;
use crate::treatment::{Counts, Treated};

/// The options of a treatment, resolved for one field. `Debug` shows no sentinel.
#[derive(Clone)]
pub struct Rules {
    options: Options,
    sentinels: Sentinels,
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

#[derive(Clone)]
enum Sentinels {
    Text(Vec<String>),
    /// Arrays of one element, of the field's type.
    Values(Vec<ArrayRef>),
}

/// Most sentinels of a treatment: every value of a column is compared with each of them.
const SENTINELS_MAX: usize = 100;

/// Refuses more sentinels than [`SENTINELS_MAX`].
///
/// # Errors
/// There are more.
pub(crate) fn check_sentinels(options: &Options) -> Result<(), Misfit> {
    let listed = options.sentinels.len();
    if listed <= SENTINELS_MAX {
        return Ok(());
    }
    let what = format!("`sentinels` lists {listed} values, and {SENTINELS_MAX} is the most");
    Err(Misfit::of_parameter("sentinels", what)
        .with_hint("list fewer, or choose the treatment of such values by a condition"))
}

impl Rules {
    /// Resolves options for a field: every sentinel must be a value of the field's type.
    ///
    /// # Errors
    /// A sentinel that isn't a value of that type, named by its place in the list.
    pub fn resolve(options: &Options, column: Column<'_>) -> Result<Self, Misfit> {
        let sentinels = if *column.data_type == DataType::Utf8 {
            Sentinels::Text(
                options
                    .sentinels
                    .iter()
                    .map(|s| s.as_text().into_owned())
                    .collect(),
            )
        } else {
            let values = options.sentinels.iter().enumerate().map(|(at, sentinel)| {
                scalar_array(sentinel, column.data_type).map_err(|_| {
                    let what = format!("`sentinels[{at}]` is not a value of type");
                    Misfit::of_parameter("sentinels", format!("{what} {}", column.data_type))
                })
            });
            Sentinels::Values(values.collect::<Result<_, _>>()?)
        };
        Ok(Self {
            options: options.clone(),
            sentinels,
        })
    }

    /// Whether no sentinel is listed.
    pub fn no_sentinels(&self) -> bool {
        match &self.sentinels {
            Sentinels::Text(texts) => texts.is_empty(),
            Sentinels::Values(values) => values.is_empty(),
        }
    }

    /// Whether a value of a text field is a sentinel. Always false for other fields.
    pub fn is_sentinel(&self, value: &str) -> bool {
        match &self.sentinels {
            Sentinels::Text(texts) => texts.iter().any(|text| text == value),
            Sentinels::Values(_) => false,
        }
    }

    /// The rows of a column other than text that hold a sentinel; absent where none is listed.
    /// NaN equals NaN here.
    ///
    /// # Errors
    /// The array isn't of the field's type.
    pub fn sentinel_rows(
        &self,
        array: &dyn Array,
    ) -> Result<Option<BooleanBuffer>, TreatmentError> {
        let Sentinels::Values(values) = &self.sentinels else {
            return Ok(None);
        };
        let mut found: Option<BooleanBuffer> = None;
        for value in values {
            let equal = cmp::eq(&array, &ArrowScalar::new(Arc::clone(value)))
                .map_err(|_| failed("comparing values with sentinels"))?;
            let rows = match equal.nulls() {
                Some(nulls) => equal.values() & nulls.inner(),
                None => equal.values().clone(),
            };
            found = Some(match found {
                Some(earlier) => &earlier | &rows,
                None => rows,
            });
        }
        Ok(found)
    }

    /// Begins a column of `rows` rows.
    pub fn cases(&self, rows: usize) -> Cases<'_> {
        let counts = Counts {
            rows: count(rows),
            ..Counts::default()
        };
        Cases {
            options: &self.options,
            rows,
            counts,
            invalid: None,
            rejected: Vec::new(),
        }
    }

    /// The same rules for the text forms of the values, for treatments that turn other types into
    /// text.
    ///
    /// # Errors
    /// A sentinel that has no text form.
    pub(crate) fn as_text(&self) -> Result<Self, Misfit> {
        let texts = match &self.sentinels {
            Sentinels::Text(texts) => texts.clone(),
            Sentinels::Values(values) => values
                .iter()
                .map(|value| {
                    let text = to_text(value).ok()?;
                    text.is_valid(0).then(|| text.value(0).to_owned())
                })
                .collect::<Option<_>>()
                .ok_or_else(|| Misfit::of_parameter("sentinels", "no text form"))?,
        };
        Ok(Self {
            options: self.options.clone(),
            sentinels: Sentinels::Text(texts),
        })
    }
}

/// What to write for a value that fell into a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The value as given.
    Keep,
    /// A null.
    Null,
    /// Fills over the whole value; a null where the result isn't text.
    MaskAll,
}

/// The cases met in one column: counts, and the rows to drop.
#[derive(Debug)]
pub struct Cases<'a> {
    options: &'a Options,
    rows: usize,
    counts: Counts,
    /// Flags of the rows with an invalid value; absent if none.
    invalid: Option<BooleanBufferBuilder>,
    rejected: Vec<usize>,
}

impl Cases<'_> {
    /// Counts a case and says what to write. A rejected row is flagged and written as null.
    ///
    /// # Errors
    /// [`TreatmentError::Refused`] where the options say `fail`.
    pub fn decide(&mut self, row: usize, case: Case) -> Result<Outcome, TreatmentError> {
        match case {
            Case::Null => self.counts.nulls += 1,
            Case::Empty => self.counts.empty += 1,
            Case::Short => self.counts.short += 1,
            // A row is invalid once, however many of its values are.
            Case::Invalid => set(&mut self.invalid, self.rows, row),
        }
        match self.options.action(case) {
            Action::Keep if case == Case::Null => Ok(Outcome::Null),
            Action::Keep if case == Case::Empty => Ok(Outcome::Keep),
            Action::Keep | Action::MaskAll => Ok(Outcome::MaskAll),
            // Kernels that draw for nulls count them by themselves; whoever gets here draws nothing.
            Action::Null | Action::Synthesize => Ok(Outcome::Null),
            Action::Fail => Err(TreatmentError::Refused { row, case }),
            Action::Reject => {
                self.rejected.push(row);
                Ok(Outcome::Null)
            }
        }
    }

    /// Counts a sentinel that was kept.
    pub fn sentinel(&mut self) {
        self.counts.sentinels += 1;
    }

    /// Counts a result of which a wider part was kept than asked for, if it is one.
    pub(crate) fn widened(&mut self, is_widened: bool) {
        self.counts.widened += u64::from(is_widened);
    }

    /// Counts a null that got a surrogate.
    pub(crate) fn synthesized(&mut self) {
        self.counts.nulls += 1;
    }

    /// Closes the column with its result.
    pub fn finish(self, array: ArrayRef) -> Treated {
        let rejected = (!self.rejected.is_empty()).then(|| {
            let mut rows = BooleanBufferBuilder::new(self.rows);
            rows.append_n(self.rows, false);
            for row in self.rejected {
                rows.set_bit(row, true);
            }
            rows.finish()
        });
        let invalid = self.invalid.map(|mut rows| rows.finish());
        Treated {
            array,
            counts: Counts {
                invalid: set_rows(invalid.as_ref()),
                ..self.counts
            },
            invalid,
            rejected,
            dropped: None,
            reasons: Vec::new(),
            choice: None,
        }
    }
}

/// Flags a row among so many, of which none need be flagged yet.
pub(crate) fn set(flags: &mut Option<BooleanBufferBuilder>, rows: usize, row: usize) {
    let flags = flags.get_or_insert_with(|| unset(rows));
    if row < rows {
        flags.set_bit(row, true);
    }
}

/// Flags of that many rows, none set.
pub(crate) fn unset(rows: usize) -> BooleanBufferBuilder {
    let mut flags = BooleanBufferBuilder::new(rows);
    flags.append_n(rows, false);
    flags
}

/// How many rows are flagged.
pub(crate) fn set_rows(flags: Option<&BooleanBuffer>) -> u64 {
    flags.map_or(0, |flags| count(flags.count_set_bits()))
}

/// A number of rows as it is counted.
pub(crate) fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

/// A step at which an Arrow kernel failed. Its own words stay out: they may hold the value.
pub(crate) fn failed(step: &str) -> TreatmentError {
    TreatmentError::Arrow(format!("{step} failed"))
}

/// The text form of values other than text: decimal digits, fractions at the field's scale, ISO
/// dates. Null slots stay null, and a value that has no text becomes null.
///
/// # Errors
/// A type without a text form.
pub(crate) fn to_text(array: &dyn Array) -> Result<StringArray, TreatmentError> {
    if let Some(dates) = array.as_primitive_opt::<Date32Type>() {
        return dates_to_text(dates);
    }
    let text = cast_with_options(array, &DataType::Utf8, &CastOptions::default())
        .map_err(|_| failed("writing values as text"))?;
    text.as_any()
        .downcast_ref::<StringArray>()
        .cloned()
        .ok_or_else(|| TreatmentError::UnexpectedType {
            expected: DataType::Utf8,
            actual: text.data_type().clone(),
        })
}

/// Bytes of a date as text.
const DATE_BYTES: usize = "2026-01-31".len();

/// Dates as ISO 8601 has them: `2026-01-31`. Years before 0 and after 9999 have no such text.
fn dates_to_text(dates: &Date32Array) -> Result<StringArray, TreatmentError> {
    let bytes = dates.len().saturating_mul(DATE_BYTES);
    i32::try_from(bytes).map_err(|_| TreatmentError::TooLarge)?;
    let mut texts = StringBuilder::with_capacity(dates.len(), bytes);
    for date in dates {
        let date = date.map(|days| Civil::of_days(i64::from(days)));
        let Some(Civil { year, month, day }) = date.filter(|date| (0..=9999).contains(&date.year))
        else {
            texts.append_null();
            continue;
        };
        write!(texts, "{year:04}-{month:02}-{day:02}")
            .map_err(|_| failed("writing dates as text"))?;
        texts.append_value("");
    }
    Ok(texts.finish())
}

/// A configured value as an array of one element of `data_type`.
///
/// # Errors
/// What is wrong, where the value isn't one of that type.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "Arrow parses text for every other type"
)]
pub(crate) fn scalar_array(scalar: &Scalar, data_type: &DataType) -> Result<ArrayRef, String> {
    let text = scalar.as_text();
    let refused = || format!("`{text}` is not a value of type {data_type}");
    match data_type {
        DataType::Utf8 => Ok(Arc::new(StringArray::from(vec![text.as_ref()]))),
        DataType::Binary => Ok(Arc::new(BinaryArray::from(vec![text.as_bytes()]))),
        DataType::Boolean => text
            .parse::<bool>()
            .map(|value| -> ArrayRef { Arc::new(BooleanArray::from(vec![value])) })
            .map_err(|_| refused()),
        DataType::Decimal128(precision, scale) => {
            let array = decimal(&text, *precision, *scale)
                .and_then(i256::to_i128)
                .map(|value| Decimal128Array::from(vec![value]))
                .and_then(|array| array.with_precision_and_scale(*precision, *scale).ok());
            array
                .map(|array| -> ArrayRef { Arc::new(array) })
                .ok_or_else(refused)
        }
        DataType::Decimal256(precision, scale) => {
            let array = decimal(&text, *precision, *scale)
                .map(|value| Decimal256Array::from(vec![value]))
                .and_then(|array| array.with_precision_and_scale(*precision, *scale).ok());
            array
                .map(|array| -> ArrayRef { Arc::new(array) })
                .ok_or_else(refused)
        }
        other => {
            let written = StringArray::from(vec![text.as_ref()]);
            let options = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            cast_with_options(&written, other, &options).map_err(|_| refused())
        }
    }
}

/// Decimal text at a scale, without rounding: `None` where digits would be lost.
fn decimal(text: &str, precision: u8, scale: i8) -> Option<i256> {
    let scale = usize::try_from(scale).ok()?;
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let fraction = fraction.trim_end_matches('0');
    let is_number = !whole.is_empty()
        && whole
            .bytes()
            .chain(fraction.bytes())
            .all(|byte| byte.is_ascii_digit());
    if !is_number || fraction.len() > scale {
        return None;
    }
    let digits = format!("{whole}{fraction:0<scale$}");
    if digits.trim_start_matches('0').len() > usize::from(precision) {
        return None;
    }
    let value = i256::from_string(&digits)?;
    if negative {
        value.checked_neg()
    } else {
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{Float64Array, Int32Array};

    use super::*;

    fn column(data_type: &DataType) -> Column<'_> {
        Column::alone("x", data_type, "x")
    }

    fn options(sentinels: Vec<Scalar>) -> Options {
        Options {
            sentinels,
            ..Options::default()
        }
    }

    #[test]
    fn sentinels_are_found_by_value() {
        let rules = Rules::resolve(
            &options(vec![Scalar::Integer(-1), Scalar::Text("999".into())]),
            column(&DataType::Int32),
        )
        .unwrap();
        let array = Int32Array::from(vec![Some(-1), None, Some(7), Some(999)]);
        let rows = rules.sentinel_rows(&array).unwrap().unwrap();
        assert_eq!(rows.iter().collect::<Vec<_>>(), [true, false, false, true]);
    }

    #[test]
    fn nan_can_be_a_sentinel() {
        let rules = Rules::resolve(
            &options(vec![Scalar::Text("NaN".into())]),
            column(&DataType::Float64),
        )
        .unwrap();
        let array = Float64Array::from(vec![1.0, f64::NAN]);
        let rows = rules.sentinel_rows(&array).unwrap().unwrap();
        assert_eq!(rows.iter().collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_sentinel_must_be_a_value_of_the_type() {
        for (text, data_type) in [
            ("x", DataType::Int8),
            ("300", DataType::Int8),
            ("1.005", DataType::Decimal128(12, 2)),
            ("99999999999", DataType::Decimal128(12, 2)),
            ("2026-02-30", DataType::Date32),
            ("yes", DataType::Boolean),
        ] {
            let refused = Rules::resolve(
                &options(vec![Scalar::Text(text.into())]),
                column(&data_type),
            );
            assert_eq!(refused.unwrap_err().parameter, Some("sentinels"), "{text}");
        }
    }

    #[test]
    fn more_sentinels_than_can_be_looked_for_are_refused_at_check() {
        let listed = |count: i64| (0..count).map(Scalar::Integer).collect();
        let spec = |count| {
            let clear = crate::TreatmentSpec::clear();
            crate::TreatmentSpec::new(clear.treatment().clone(), options(listed(count)))
        };
        let check = |count| spec(count).output_type(column(&DataType::Int32));
        assert!(check(100).is_ok());
        assert_eq!(check(101).unwrap_err().parameter, Some("sentinels"));
    }

    #[test]
    fn a_sentinel_that_does_not_fit_is_named_by_its_place() {
        let listed = vec![Scalar::Integer(1), Scalar::Text("4711x".into())];
        let misfit = Rules::resolve(&options(listed), column(&DataType::Int32)).unwrap_err();
        assert!(misfit.what.contains("`sentinels[1]`"), "{misfit}");
        assert!(!misfit.what.contains("4711"), "{misfit}");
    }

    #[test]
    fn dates_are_written_as_iso_8601_writes_them() {
        let days = [
            0,
            -1,
            11_016,
            2_932_896,
            2_932_897,
            -719_528,
            -719_529,
            i32::MIN,
            i32::MAX,
        ];
        let mut dates: Vec<Option<i32>> = days.map(Some).to_vec();
        dates.push(None);
        let texts = to_text(&Date32Array::from(dates)).unwrap();
        let expected = [
            Some("1970-01-01"),
            Some("1969-12-31"),
            Some("2000-02-29"),
            Some("9999-12-31"),
            None,
            Some("0000-01-01"),
            None,
            None,
            None,
            None,
        ];
        assert_eq!(texts.iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_failed_step_is_named_without_the_value() {
        let rules = Rules::resolve(&options(vec![Scalar::Integer(7)]), column(&DataType::Int32));
        let other = StringArray::from(vec!["secret"]);
        let error = rules.unwrap().sentinel_rows(&other).unwrap_err();
        assert_eq!(
            error.to_string(),
            "arrow: comparing values with sentinels failed"
        );
    }

    #[test]
    fn decimals_are_read_without_loss() {
        assert_eq!(decimal("-12.50", 12, 2), Some(i256::from_i128(-1250)));
        assert_eq!(decimal("7", 12, 2), Some(i256::from_i128(700)));
        assert_eq!(decimal("", 12, 2), None);
        assert_eq!(decimal("1.2.3", 12, 2), None);
    }

    #[test]
    fn keep_never_lets_a_short_or_invalid_value_pass() {
        let loose = Options {
            on_short: Action::Keep,
            on_invalid: Action::Keep,
            ..Options::default()
        };
        let rules = Rules::resolve(&loose, column(&DataType::Utf8)).unwrap();
        let mut cases = rules.cases(2);
        assert_eq!(cases.decide(0, Case::Short), Ok(Outcome::MaskAll));
        assert_eq!(cases.decide(1, Case::Invalid), Ok(Outcome::MaskAll));
    }
}
