//! Rebuilds nested arrays from their treated values.
//!
//! At every level, only the values that are there go down, each with the row it stands in; what
//! comes back is put in place among nulls. So nothing below a null is ever looked at.

use std::collections::HashSet;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, MapArray, MutableArrayData, OffsetSizeTrait, StructArray,
    make_array, new_null_array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::row::{RowConverter, SortField};

use super::shape::{Shape, entry_fields, fields};
use crate::cases::{Cases, Outcome, Rules, failed};
use crate::error::{Case, TreatmentError};
use crate::parts::{Part, Report, Rows, number};
use crate::treatment::{Context, Treated, Treatment};

/// `nested`, built.
#[derive(Debug)]
pub(super) struct Rebuild {
    pub(super) from: DataType,
    pub(super) to: DataType,
    pub(super) rules: Rules,
    pub(super) shape: Shape,
    /// By number; absent where a place is removed.
    pub(super) parts: Vec<Option<Part>>,
}

impl Treatment for Rebuild {
    fn output_type(&self) -> &DataType {
        &self.to
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let mut cases = self.rules.cases(column.len());
        let mut kept = Vec::with_capacity(column.len());
        for row in 0..column.len() {
            let outcome = if column.is_null(row) {
                cases.decide(row, Case::Null)?
            } else if length_of(column, row) == Some(0) {
                cases.decide(row, Case::Empty)?
            } else {
                kept.push(number(row)?);
                continue;
            };
            if outcome == Outcome::Keep {
                kept.push(number(row)?);
            }
        }
        let report = Report::new(column.len());
        let mut work = Work {
            whole: self,
            context,
            report,
            cases,
        };
        let rows = Rows::new(kept);
        let values = work.values(&self.shape, &rows.of(column)?, &rows)?;
        let array = spread(&values, &rows, column.len())?;
        let Work {
            mut report, cases, ..
        } = work;
        report.add(&cases.finish(Arc::clone(&array)), None);
        Ok(report.finish(array))
    }
}

/// The length of the list or map in a row.
fn length_of(column: &ArrayRef, row: usize) -> Option<usize> {
    if let Some(lists) = column.as_list_opt::<i32>() {
        return usize::try_from(lists.value_length(row)).ok();
    }
    if let Some(lists) = column.as_list_opt::<i64>() {
        return usize::try_from(lists.value_length(row)).ok();
    }
    usize::try_from(column.as_map_opt()?.value_length(row)).ok()
}

/// One column under way.
struct Work<'a> {
    whole: &'a Rebuild,
    context: &'a Context<'a>,
    report: Report,
    cases: Cases<'a>,
}

impl Work<'_> {
    fn unexpected(&self, actual: &ArrayRef) -> TreatmentError {
        TreatmentError::UnexpectedType {
            expected: self.whole.from.clone(),
            actual: actual.data_type().clone(),
        }
    }

    /// Treats values, of which value number i stands in row `rows[i]`.
    fn values(
        &mut self,
        shape: &Shape,
        values: &ArrayRef,
        rows: &Rows,
    ) -> Result<ArrayRef, TreatmentError> {
        if let Shape::Leaf { treatment, .. } = shape {
            let part = self.whole.parts.get(*treatment).and_then(Option::as_ref);
            let part = part.ok_or_else(|| failed("finding the treatment of a place"))?;
            let treated = part.treat_of(values, rows, self.context)?;
            self.report.add_within(&treated, rows);
            return Ok(treated.array);
        }
        if let Shape::Null(data_type) = shape {
            return Ok(new_null_array(data_type, values.len()));
        }
        let mut present = Vec::with_capacity(values.len());
        for row in (0..values.len()).filter(|row| values.is_valid(*row)) {
            present.push(number(row)?);
        }
        let present = Rows::new(present);
        let there = present.of(values)?;
        let rows = rows.at(&present)?;
        let built: ArrayRef = match shape {
            Shape::Struct(members) => {
                let structs = there
                    .as_struct_opt()
                    .ok_or_else(|| self.unexpected(values))?;
                let mut columns = Vec::with_capacity(members.len());
                for member in members {
                    let column = structs.column_by_name(&member.name);
                    let column = column.ok_or_else(|| self.unexpected(values))?;
                    columns.push(self.values(&member.shape, column, &rows)?);
                }
                let structs = StructArray::try_new(fields(members), columns, None);
                Arc::new(structs.map_err(|_| failed("assembling a struct"))?)
            }
            Shape::List(elements) => {
                if let Some(lists) = there.as_list_opt::<i32>() {
                    self.lists(elements, lists.values(), lists.value_offsets(), &rows)?
                } else if let Some(lists) = there.as_list_opt::<i64>() {
                    self.lists(elements, lists.values(), lists.value_offsets(), &rows)?
                } else {
                    return Err(self.unexpected(values));
                }
            }
            Shape::Map { key, value } => self.maps((key, value), &there, &rows)?,
            Shape::Leaf { .. } | Shape::Null(_) => there,
        };
        spread(&built, &present, values.len())
    }

    fn lists<O: OffsetSizeTrait>(
        &mut self,
        shape: &Shape,
        values: &ArrayRef,
        offsets: &[O],
        rows: &Rows,
    ) -> Result<ArrayRef, TreatmentError> {
        let Elements {
            values,
            lengths,
            rows,
        } = Elements::of(values, offsets, rows)?;
        let values = self.values(shape, &values, &rows)?;
        let field = Arc::new(Field::new_list_field(values.data_type().clone(), true));
        let lists = ListArray::try_new(field, OffsetBuffer::from_lengths(lengths), values, None);
        Ok(Arc::new(lists.map_err(|_| failed("assembling a list"))?))
    }

    fn maps(
        &mut self,
        (key, value): (&Shape, &Shape),
        maps: &ArrayRef,
        rows: &Rows,
    ) -> Result<ArrayRef, TreatmentError> {
        let maps = maps.as_map_opt().ok_or_else(|| self.unexpected(maps))?;
        let offsets = maps.value_offsets();
        let keys = Elements::of(maps.keys(), offsets, rows)?;
        let values = Elements::of(maps.values(), offsets, rows)?;
        let keys_treated = self.values(key, &keys.values, &keys.rows)?;
        let values_treated = self.values(value, &values.values, &values.rows)?;
        let mut valid = Vec::with_capacity(maps.len());
        for (map, unlike) in unlike_keys(&keys_treated, &keys.lengths)?
            .into_iter()
            .enumerate()
        {
            if !unlike {
                let row = rows
                    .get(map)
                    .ok_or_else(|| failed("finding the row of a map"))?;
                // Whatever the outcome, a map with such keys is none: it becomes null.
                self.cases.decide(row, Case::Invalid)?;
            }
            valid.push(unlike);
        }
        // Entries of maps that became null go.
        let lengths = keys
            .lengths
            .iter()
            .zip(&valid)
            .map(|(length, valid)| match valid {
                true => *length,
                false => 0,
            });
        let lengths: Vec<usize> = lengths.collect();
        let mut stay = Vec::with_capacity(keys_treated.len());
        let mut entry = 0_usize;
        for (length, valid) in keys.lengths.iter().zip(&valid) {
            for at in entry..entry + length {
                if *valid {
                    stay.push(number(at)?);
                }
            }
            entry += length;
        }
        let stay = Rows::new(stay);
        let columns = vec![stay.of(&keys_treated)?, stay.of(&values_treated)?];
        let fields = entry_fields(key.data_type(), value.data_type());
        let entries = StructArray::try_new(fields.clone(), columns, None);
        let entries = entries.map_err(|_| failed("assembling the entries of a map"))?;
        let field = Arc::new(Field::new("entries", DataType::Struct(fields), false));
        let nulls = valid
            .iter()
            .any(|valid| !valid)
            .then(|| NullBuffer::from(valid));
        let offsets = OffsetBuffer::from_lengths(lengths);
        let maps = MapArray::try_new(field, offsets, entries, nulls, false);
        Ok(Arc::new(maps.map_err(|_| failed("assembling a map"))?))
    }
}

/// The elements of lists, without what lies between and around them.
struct Elements {
    values: ArrayRef,
    /// Of each list.
    lengths: Vec<usize>,
    /// The row of each element.
    rows: Rows,
}

impl Elements {
    fn of<O: OffsetSizeTrait>(
        values: &ArrayRef,
        offsets: &[O],
        rows: &Rows,
    ) -> Result<Self, TreatmentError> {
        let mut taken = Vec::new();
        let mut of_rows = Vec::new();
        let mut lengths = Vec::with_capacity(rows.len());
        for (list, bounds) in offsets.windows(2).enumerate() {
            let [start, end] = bounds else { continue };
            let (start, end) = (start.as_usize(), end.as_usize());
            let row = rows
                .get(list)
                .ok_or_else(|| failed("finding the row of a list"))?;
            let row = number(row)?;
            lengths.push(end.saturating_sub(start));
            for at in start..end {
                taken.push(number(at)?);
                of_rows.push(row);
            }
        }
        if i32::try_from(taken.len()).is_err() {
            return Err(TreatmentError::TooLarge);
        }
        Ok(Self {
            values: Rows::new(taken).of(values)?,
            lengths,
            rows: Rows::new(of_rows),
        })
    }
}

/// For each map, whether its keys are all there and unlike each other.
fn unlike_keys(keys: &ArrayRef, lengths: &[usize]) -> Result<Vec<bool>, TreatmentError> {
    let step = || failed("comparing the keys of a map");
    let converter = RowConverter::new(vec![SortField::new(keys.data_type().clone())]);
    let converter = converter.map_err(|_| step())?;
    let encoded = converter
        .convert_columns(&[Arc::clone(keys)])
        .map_err(|_| step())?;
    let mut next = 0;
    let maps = lengths.iter().map(|length| {
        let own = next..next + length;
        next += length;
        let mut seen = HashSet::with_capacity(*length);
        own.clone().all(|at| keys.is_valid(at))
            && own.into_iter().all(|at| seen.insert(encoded.row(at)))
    });
    Ok(maps.collect())
}

/// Puts values at their rows among nulls, into fresh buffers.
fn spread(values: &ArrayRef, rows: &Rows, length: usize) -> Result<ArrayRef, TreatmentError> {
    if rows.len() == length {
        return Ok(Arc::clone(values));
    }
    let data = values.to_data();
    let mut spread = MutableArrayData::new(vec![&data], true, length);
    let step = |_| failed("putting values among nulls");
    let mut filled = 0;
    let mut run = 0..0;
    for position in 0..rows.len() {
        let row = rows.get(position).unwrap_or(length);
        if row > filled + run.len() {
            spread.try_extend(0, run.start, run.end).map_err(step)?;
            filled += run.len();
            spread.try_extend_nulls(row - filled).map_err(step)?;
            filled = row;
            run = position..position;
        }
        run.end = position + 1;
    }
    spread.try_extend(0, run.start, run.end).map_err(step)?;
    filled += run.len();
    spread
        .try_extend_nulls(length.saturating_sub(filled))
        .map_err(step)?;
    Ok(make_array(spread.freeze()))
}
