//! Marks in a batch, and the symbols of a leaked one.
//!
//! Embedding is a pure function of key, plan, grant and row: no cell depends on another, on the
//! batch it came in, on the delivery or on the time. So batches can be marked in any order and on
//! any number of threads, and a row delivered twice is the same row.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef};

use super::anchor::{Anchors, Family, Place};
use super::carrier::{Carrier, Mark};
use super::code::{Code, Density, Position};
use super::distortion::Distortion;
use super::key::{GrantIndex, MarkKey};
use super::score::Observation;
use crate::cases::{count, failed};
use crate::error::{Misfit, TreatmentError};

/// What identifies the rows of a dataset, in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowAnchor {
    /// [`Family::Key`] or [`Family::Content`].
    pub family: Family,
    /// Columns of the batch, from 0, in an order that stays.
    pub columns: Vec<usize>,
}

/// How the cells of a field are found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// By their row: the place of a [`RowAnchor`] in the plan, from 0.
    Row(usize),
    /// By their own value.
    Value,
}

/// A field that carries marks.
#[derive(Debug)]
pub struct MarkedField {
    /// Its column in the batch, from 0.
    pub column: usize,
    /// The dataset's name for it: part of every position.
    pub name: String,
    /// The share of its cells that are marked.
    pub density: Density,
    /// How its cells are found again.
    pub found_by: FoundBy,
    /// How its cells show a symbol.
    pub carrier: Box<dyn Carrier>,
}

/// Which fields of a dataset carry marks, and how.
#[derive(Debug)]
pub struct MarkPlan {
    anchors: Vec<RowAnchor>,
    fields: Vec<MarkedField>,
}

impl MarkPlan {
    /// A plan of anchors and fields.
    ///
    /// # Errors
    /// An anchor that a mark would change, one without columns or of the cells' own family, a field
    /// that is found by an anchor that isn't there or by a value that a mark would change, or two
    /// of one column or name.
    pub fn new(anchors: Vec<RowAnchor>, fields: Vec<MarkedField>) -> Result<Self, Misfit> {
        let refused = |what: String| Err(Misfit::of_parameter("tolerance", what));
        for anchor in &anchors {
            let is_marked = |column: &usize| fields.iter().any(|field| field.column == *column);
            if anchor.columns.is_empty() || anchor.family == Family::Own {
                return refused("an anchor of rows is made of no columns".to_owned());
            }
            if anchor.columns.iter().any(is_marked) {
                return refused("a field that identifies rows cannot carry marks".to_owned());
            }
        }
        for (at, field) in fields.iter().enumerate() {
            let is_found = match field.found_by {
                FoundBy::Row(anchor) => anchor < anchors.len(),
                FoundBy::Value => field.carrier.has_blocks(),
            };
            let name = &field.name;
            if !is_found {
                return refused(format!(
                    "the cells of field `{name}` could not be found again"
                ));
            }
            let is_same =
                |other: &MarkedField| other.column == field.column || other.name == field.name;
            if fields.iter().take(at).any(is_same) {
                return refused(format!("field `{name}` is marked twice"));
            }
        }
        Ok(Self { anchors, fields })
    }

    /// What rows are found by.
    pub fn anchors(&self) -> &[RowAnchor] {
        &self.anchors
    }

    /// The fields that carry marks.
    pub fn fields(&self) -> &[MarkedField] {
        &self.fields
    }
}

/// A batch with marks.
#[derive(Debug, Clone)]
pub struct Marked {
    /// All columns, marked or not.
    pub columns: Vec<ArrayRef>,
    /// What was done to each field of the plan.
    pub distortions: Vec<Distortion>,
}

/// A plan with a key: writes the marks of any grant, and reads what a leak shows.
#[derive(Debug)]
pub struct Marker {
    plan: MarkPlan,
    anchors: Anchors,
    code: Code,
    places: Vec<Place>,
}

impl Marker {
    /// The marker of a dataset.
    pub fn new(key: &MarkKey, plan: MarkPlan) -> Self {
        let anchors = Anchors::new(key);
        let family = |field: &MarkedField| match field.found_by {
            FoundBy::Row(anchor) => plan.anchors.get(anchor).map_or(Family::Own, |of| of.family),
            FoundBy::Value => Family::Own,
        };
        let places = plan
            .fields
            .iter()
            .map(|field| anchors.place(family(field), &field.name));
        Self {
            places: places.collect(),
            code: Code::new(key),
            anchors,
            plan,
        }
    }

    /// The plan.
    pub fn plan(&self) -> &MarkPlan {
        &self.plan
    }

    /// The code, for the trace.
    pub fn code(&self) -> &Code {
        &self.code
    }

    /// Marks a batch for a grant. `columns` are the batch as it is about to be delivered.
    ///
    /// # Errors
    /// A column is missing, of another length, or of a type its carrier or anchor isn't for.
    pub fn embed(&self, grant: GrantIndex, columns: &[ArrayRef]) -> Result<Marked, TreatmentError> {
        let anchors = 0..self.plan.anchors.len();
        let rows = anchors.map(|anchor| self.anchor_rows(anchor, columns));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let mut marked = columns.to_vec();
        let mut distortions = Vec::with_capacity(self.plan.fields.len());
        for (at, field) in self.plan.fields.iter().enumerate() {
            let column = columns.get(field.column).ok_or_else(missing)?;
            let (carried, distortion) = self.embed_field(grant, at, column, &rows)?;
            if let Some(slot) = marked.get_mut(field.column) {
                *slot = carried;
            }
            distortions.push(distortion);
        }
        Ok(Marked {
            columns: marked,
            distortions,
        })
    }

    /// The anchors of a batch's rows, by the plan's anchor of that place. For callers that work on
    /// several anchors and fields at once; [`embed`](Self::embed) does all of it.
    ///
    /// # Errors
    /// A column is missing, of another length, or of a type that has no canonical form.
    pub fn anchor_rows(
        &self,
        anchor: usize,
        columns: &[ArrayRef],
    ) -> Result<Vec<Option<u128>>, TreatmentError> {
        let anchor = self.plan.anchors.get(anchor).ok_or_else(missing)?;
        let of = anchor.columns.iter().map(|at| columns.get(*at));
        let columns: Vec<&ArrayRef> = of.collect::<Option<_>>().ok_or_else(missing)?;
        self.anchors.of_rows(anchor.family, &columns)
    }

    /// Marks one field of a batch for a grant: the plan's field of that place, whose column is
    /// `column`. `rows` are the batch's anchors, one entry for each anchor of the plan.
    ///
    /// # Errors
    /// The column is of another length than its anchors, or of a type its carrier isn't for.
    pub fn embed_field(
        &self,
        grant: GrantIndex,
        field: usize,
        column: &ArrayRef,
        rows: &[Vec<Option<u128>>],
    ) -> Result<(ArrayRef, Distortion), TreatmentError> {
        let fields = self.plan.fields.get(field).zip(self.places.get(field));
        let (field, place) = fields.ok_or_else(missing)?;
        let column = field.carrier.prepared(column)?;
        let anchors = anchors_of(&self.anchors, field, &column, |at| {
            rows.get(at).map(Vec::as_slice)
        });
        let anchors = anchors?.ok_or_else(missing)?;
        let flat: Vec<u128> = anchors
            .iter()
            .map(|anchor| anchor.unwrap_or_default())
            .collect();
        let positions = self.anchors.positions(*place, &flat);
        let symbols = self.code.symbols(grant, &positions);
        let mut distortion = Distortion {
            rows: count(column.len()),
            ..Distortion::default()
        };
        let cells = anchors.iter().zip(&positions).zip(symbols).enumerate();
        let marks: Vec<Option<Mark>> = cells
            .map(|(row, ((anchor, position), symbol))| {
                let is_anchored = column.is_valid(row) && anchor.is_some();
                let is_selected = is_anchored && position.is_selected(field.density);
                distortion.selected += u64::from(is_selected);
                let is_lost = column.is_valid(row) && anchor.is_none();
                distortion.skipped.no_anchor += u64::from(is_lost);
                is_selected.then_some(Mark {
                    symbol,
                    tie: position.tie(),
                })
            })
            .collect();
        distortion.skipped.null = count(column.null_count());
        let carried = field.carrier.write(&column, &marks, &mut distortion)?;
        Ok((carried, distortion))
    }

    /// What a leaked batch shows, at every marked cell that can be found and read. `columns` stand
    /// where the plan has them, in the plan's types; those the leak has lost are none.
    ///
    /// # Errors
    /// Columns of different lengths, or of a type their carrier or anchor isn't for.
    pub fn observe(
        &self,
        columns: &[Option<ArrayRef>],
    ) -> Result<Vec<Observation>, TreatmentError> {
        let given: Vec<Option<&ArrayRef>> = columns.iter().map(Option::as_ref).collect();
        let rows = self.row_anchors(&given)?;
        let mut seen = Vec::new();
        for (field, place) in self.plan.fields.iter().zip(&self.places) {
            let Some(Some(column)) = columns.get(field.column) else {
                continue;
            };
            let of_rows = |at: usize| rows.get(at).and_then(Option::as_deref);
            let Some(anchors) = anchors_of(&self.anchors, field, column, of_rows)? else {
                continue;
            };
            let shown = field.carrier.read(column)?;
            let cells = anchors.iter().zip(shown);
            let (found, symbols): (Vec<u128>, Vec<bool>) = cells
                .filter_map(|(anchor, symbol)| (*anchor).zip(symbol))
                .unzip();
            let positions: Vec<Position> = self.anchors.positions(*place, &found);
            let selected = positions.into_iter().zip(symbols);
            seen.extend(
                selected
                    .filter(|(position, _)| position.is_selected(field.density))
                    .map(|(position, symbol)| Observation { position, symbol }),
            );
        }
        Ok(seen)
    }

    /// The anchors of all rows, by each anchor of the plan; none where a column is missing.
    fn row_anchors(
        &self,
        columns: &[Option<&ArrayRef>],
    ) -> Result<Vec<Option<Vec<Option<u128>>>>, TreatmentError> {
        let made = self.plan.anchors.iter().map(|anchor| {
            let columns = anchor
                .columns
                .iter()
                .map(|at| columns.get(*at).copied().flatten());
            let columns: Option<Vec<&ArrayRef>> = columns.collect();
            columns
                .map(|columns| self.anchors.of_rows(anchor.family, &columns))
                .transpose()
        });
        made.collect()
    }
}

/// The anchors of a field's cells, those of rows as `of_rows` has them by the place of their anchor;
/// none where the columns that would make them are missing.
fn anchors_of<'a>(
    anchors: &Anchors,
    field: &MarkedField,
    column: &ArrayRef,
    of_rows: impl Fn(usize) -> Option<&'a [Option<u128>]>,
) -> Result<Option<Cow<'a, [Option<u128>]>>, TreatmentError> {
    let found = match field.found_by {
        FoundBy::Row(anchor) => of_rows(anchor).map(Cow::Borrowed),
        FoundBy::Value => {
            let blocks = field.carrier.blocks(column)?;
            blocks.map(|blocks| Cow::Owned(anchors.of_blocks(&blocks)))
        }
    };
    match &found {
        Some(found) if found.len() != column.len() => {
            Err(failed("marking columns of different lengths"))
        }
        Some(_) | None => Ok(found),
    }
}

fn missing() -> TreatmentError {
    failed("marking a batch without a column of the plan")
}

#[cfg(test)]
mod tests;
