//! Marks in a batch, and the symbols of a leaked one.
//!
//! Embedding is a pure function of key, plan, grant and row: no cell depends on another, on the
//! batch it came in, on the delivery or on the time. So batches can be marked in any order and on
//! any number of threads, and a row delivered twice is the same row.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;

use super::anchor::{Anchored, Anchors, Family, Part, Place};
use super::carrier::{Carrier, Left, Mark, Marks};
use super::cmac::LANES;
use super::code::{Code, Density, Position};
use super::distortion::Distortion;
use super::key::{GrantIndex, MarkKey};
use super::score::{Found, Observation, TagObservation};
use super::tag::{self, Tag, TagCell};
use crate::cases::{count, failed};
use crate::error::{Misfit, TreatmentError};
use crate::treatment::Choice;

/// What identifies the rows of a dataset, in one way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowAnchor {
    /// [`Family::Key`] or [`Family::Content`].
    pub family: Family,
    /// Columns of the batch, from 0, in an order that stays.
    pub columns: Vec<usize>,
    /// Marked fields of the plan, from 0, of whose values rows are found by what marks leave: after the
    /// columns, in an order that stays.
    pub blocks: Vec<usize>,
}

impl RowAnchor {
    /// An anchor of columns that no mark moves.
    pub fn of_columns(family: Family, columns: Vec<usize>) -> Self {
        Self {
            family,
            columns,
            blocks: Vec::new(),
        }
    }

    /// What keeps it from finding rows of these fields, if anything does.
    fn fault(&self, fields: &[MarkedField]) -> Option<&'static str> {
        let is_marked = |column: &usize| fields.iter().any(|field| field.column == *column);
        let has_block = |at: &usize| {
            fields
                .get(*at)
                .is_some_and(|field| field.carrier.has_blocks())
        };
        let is_twice =
            |(at, block): (usize, &usize)| self.blocks.iter().take(at).any(|other| other == block);
        // What marks leave of one field alone is that field's own value.
        let is_own = self.columns.is_empty() && self.blocks.len() < 2;
        if is_own || self.family == Family::Own {
            Some("an anchor of rows is made of no columns")
        } else if self.columns.iter().any(is_marked) {
            Some("a field that identifies rows cannot carry marks")
        } else if !self.blocks.iter().all(has_block) {
            Some("rows are found by the blocks of a field whose marks leave none")
        } else if self.blocks.iter().enumerate().any(is_twice) {
            Some("rows are found by the blocks of a field twice")
        } else {
            None
        }
    }
}

/// How the cells of a field are found again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FoundBy {
    /// By their row: the place of a [`RowAnchor`] in the plan, from 0.
    Row(usize),
    /// By their own value.
    Value,
}

impl FoundBy {
    /// Which votes those of such cells count among.
    fn kind(self) -> Found {
        match self {
            Self::Row(_) => Found::ByRow,
            Self::Value => Found::ByValue,
        }
    }
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

/// A field of pseudonyms whose last characters are the mark's.
#[derive(Debug)]
pub struct TaggedField {
    /// Its column in the batch, from 0.
    pub column: usize,
    /// The dataset's name for it.
    pub name: String,
    /// Its tags.
    pub tag: Tag,
}

/// Which fields of a dataset carry marks, and how.
#[derive(Debug)]
pub struct MarkPlan {
    anchors: Vec<RowAnchor>,
    fields: Vec<MarkedField>,
    tags: Vec<TaggedField>,
}

impl MarkPlan {
    /// A plan of anchors and fields.
    ///
    /// # Errors
    /// An anchor that a mark would change, one that is made of nothing or of a single field's blocks,
    /// or of the cells' own family, a field
    /// that is found by an anchor that isn't there or by a value that a mark would change, or two
    /// of one column or name.
    pub fn new(anchors: Vec<RowAnchor>, fields: Vec<MarkedField>) -> Result<Self, Misfit> {
        let refused = |what: String| Err(Misfit::of_parameter("tolerance", what));
        if let Some(fault) = anchors.iter().find_map(|anchor| anchor.fault(&fields)) {
            return refused(fault.to_owned());
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
        Ok(Self {
            anchors,
            fields,
            tags: Vec::new(),
        })
    }

    /// The same with tags. Rows may be found by a tagged field: by what stands before the tags.
    ///
    /// # Errors
    /// Two fields of one column or name.
    pub fn with_tags(self, tags: Vec<TaggedField>) -> Result<Self, Misfit> {
        for (at, tagged) in tags.iter().enumerate() {
            let is_same =
                |column: usize, name: &str| column == tagged.column || name == tagged.name;
            let mut earlier = tags.iter().take(at);
            let mut fields = self.fields.iter();
            if earlier.any(|other| is_same(other.column, &other.name))
                || fields.any(|other| is_same(other.column, &other.name))
            {
                let what = format!("field `{}` is marked twice", tagged.name);
                return Err(Misfit::of_parameter("tag", what));
            }
        }
        Ok(Self { tags, ..self })
    }

    /// What rows are found by.
    pub fn anchors(&self) -> &[RowAnchor] {
        &self.anchors
    }

    /// The fields that carry marks.
    pub fn fields(&self) -> &[MarkedField] {
        &self.fields
    }

    /// The fields of pseudonyms that carry tags.
    pub fn tags(&self) -> &[TaggedField] {
        &self.tags
    }

    /// A column as rows are found by it: without its tags, if it has any.
    fn untagged<'a>(
        &self,
        at: usize,
        column: &'a ArrayRef,
    ) -> Result<Cow<'a, ArrayRef>, TreatmentError> {
        match self.tags.iter().find(|tagged| tagged.column == at) {
            Some(tagged) => tagged.tag.parts(column).map(Cow::Owned),
            None => Ok(Cow::Borrowed(column)),
        }
    }
}

/// A batch with marks.
#[derive(Debug, Clone)]
pub struct Marked {
    /// All columns, marked or not.
    pub columns: Vec<ArrayRef>,
    /// What was done to each field of the plan, those with tags last.
    pub distortions: Vec<Distortion>,
}

/// A plan with a key: writes the marks of any grant, and reads what a leak shows.
#[derive(Debug)]
pub struct Marker {
    plan: MarkPlan,
    anchors: Anchors,
    code: Code,
    places: Vec<Place>,
    tag_places: Vec<Place>,
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
        let tags = plan.tags.iter();
        Self {
            places: places.collect(),
            tag_places: tags
                .map(|tagged| anchors.place(Family::Own, tagged.tag.domain()))
                .collect(),
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
    /// A column is missing, of another length, or of a type its carrier or anchor isn't for; a field whose
    /// treatment leaves the mark a choice, which [`embed_field`](Self::embed_field) takes.
    pub fn embed(&self, grant: GrantIndex, columns: &[ArrayRef]) -> Result<Marked, TreatmentError> {
        let anchors = 0..self.plan.anchors.len();
        let rows = anchors.map(|anchor| self.anchor_rows(anchor, columns));
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        let mut marked = columns.to_vec();
        let mut distortions = Vec::with_capacity(self.plan.fields.len());
        for (at, field) in self.plan.fields.iter().enumerate() {
            let column = columns.get(field.column).ok_or_else(missing)?;
            let (carried, distortion) = self.embed_field(grant, at, column, None, &rows)?;
            if let Some(slot) = marked.get_mut(field.column) {
                *slot = carried;
            }
            distortions.push(distortion);
        }
        for (at, tagged) in self.plan.tags.iter().enumerate() {
            let column = columns.get(tagged.column).ok_or_else(missing)?;
            let (carried, distortion) = self.embed_tag(grant, at, column)?;
            if let Some(slot) = marked.get_mut(tagged.column) {
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
    ) -> Result<Anchored, TreatmentError> {
        let anchor = self.plan.anchors.get(anchor).ok_or_else(missing)?;
        self.found_by(anchor, |at| columns.get(at))?
            .ok_or_else(missing)
    }

    /// The anchors of rows; none where a column is missing.
    fn found_by<'a>(
        &self,
        anchor: &RowAnchor,
        column: impl Fn(usize) -> Option<&'a ArrayRef>,
    ) -> Result<Option<Anchored>, TreatmentError> {
        let mut parts = Vec::with_capacity(anchor.columns.len() + anchor.blocks.len());
        for at in &anchor.columns {
            let Some(column) = column(*at) else {
                return Ok(None);
            };
            parts.push(Part::of(&*self.plan.untagged(*at, column)?)?);
        }
        for at in &anchor.blocks {
            let field = self.plan.fields.get(*at).ok_or_else(missing)?;
            let Some(column) = column(field.column) else {
                return Ok(None);
            };
            // As it is delivered: a float that isn't rounded yet has no block.
            let blocks = field.carrier.blocks(&field.carrier.prepared(column)?)?;
            parts.push(Part::Blocks(blocks.ok_or_else(missing)?));
        }
        self.anchors.by_parts(anchor.family, &parts).map(Some)
    }

    /// Marks one field of a batch for a grant: the plan's field of that place, whose column is
    /// `column`, with the choice that its treatment leaves, if any. `rows` are the batch's anchors, one entry
    /// for each anchor of the plan.
    ///
    /// # Errors
    /// The column is of another length than its anchors, or of a type its carrier isn't for; no choice, or
    /// one that isn't the column's, where the carrier needs one.
    pub fn embed_field(
        &self,
        grant: GrantIndex,
        field: usize,
        column: &ArrayRef,
        choice: Option<&Choice>,
        rows: &[Anchored],
    ) -> Result<(ArrayRef, Distortion), TreatmentError> {
        let fields = self.plan.fields.get(field).zip(self.places.get(field));
        let (field, place) = fields.ok_or_else(missing)?;
        let rows = match field.found_by {
            FoundBy::Row(anchor) => Some(rows.get(anchor).ok_or_else(missing)?),
            FoundBy::Value => None,
        };
        let other_length = || failed("marking columns of different lengths");
        if rows.is_some_and(|rows| rows.len() != column.len()) {
            return Err(other_length());
        }
        let nulls = column.nulls();
        let anchored = NullBuffer::union(nulls, rows.and_then(Anchored::nulls));
        let mut distortion = Distortion {
            rows: count(column.len()),
            ..Distortion::default()
        };
        distortion.skipped.null = count(column.null_count());
        let mut embedding = Embedding {
            marker: self,
            grant,
            place: *place,
            density: field.density,
            rows: rows.map(|rows| (rows.codes(), anchored.as_ref())),
            begun: 0,
            anchored: 0,
            selected: 0,
        };
        let carried = field
            .carrier
            .choose(column, choice, &mut embedding, &mut distortion)?;
        if embedding.begun != column.len() {
            return Err(other_length());
        }
        distortion.selected = embedding.selected;
        let valid = column.len() - column.null_count();
        distortion.skipped.no_anchor = count(valid.saturating_sub(embedding.anchored));
        Ok((carried, distortion))
    }

    /// Writes the tags of one field of a batch for a grant: the plan's field of tags of that place,
    /// whose column is `column`.
    ///
    /// # Errors
    /// The column isn't text.
    pub fn embed_tag(
        &self,
        grant: GrantIndex,
        tag: usize,
        column: &ArrayRef,
    ) -> Result<(ArrayRef, Distortion), TreatmentError> {
        let tags = self.plan.tags.get(tag).zip(self.tag_places.get(tag));
        let (tagged, place) = tags.ok_or_else(missing)?;
        let texts = tag::texts(column)?;
        let cells = tagged.tag.cells(texts);
        let positions = self.positions_of_parts(*place, cells.iter().flatten());
        let ids = positions.iter().map(|position| position.id());
        let numbers = self.code.tags().numbers(grant, tagged.tag.space(), ids);
        Ok(tagged.tag.write(texts, &cells, &numbers))
    }

    fn positions_of_parts<'a>(
        &self,
        place: Place,
        cells: impl Iterator<Item = &'a TagCell<'a>>,
    ) -> Vec<Position> {
        let anchors = self.anchors.of_parts(cells.map(|(part, _)| part.as_ref()));
        self.anchors.positions(place, &anchors)
    }

    /// What the tags of a leaked batch show. `columns` are as for [`observe`](Self::observe).
    ///
    /// # Errors
    /// A column of tags that isn't text.
    pub fn observe_tags(
        &self,
        columns: &[Option<ArrayRef>],
    ) -> Result<Vec<TagObservation>, TreatmentError> {
        let mut seen = Vec::new();
        for (tagged, place) in self.plan.tags.iter().zip(&self.tag_places) {
            let Some(Some(column)) = columns.get(tagged.column) else {
                continue;
            };
            let texts = tagged.tag.spelled(column)?;
            let cells = tagged.tag.cells(&texts);
            let positions = self.positions_of_parts(*place, cells.iter().flatten());
            let shown = cells.iter().flatten().map(|(_, number)| *number);
            seen.extend(
                positions
                    .into_iter()
                    .zip(shown)
                    .map(|(position, shown)| TagObservation {
                        position,
                        space: tagged.tag.space(),
                        shown,
                    }),
            );
        }
        Ok(seen)
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
        let rows: Vec<Option<&Anchored>> = rows.iter().map(Option::as_ref).collect();
        self.observe_by(&rows, columns)
    }

    /// What [`observe`](Self::observe) gives, where rows are found already: `rows` are their anchors, one
    /// entry for each anchor of the plan, and none where it can't be made. For callers that try many
    /// columns by the same anchors.
    ///
    /// # Errors
    /// As [`observe`](Self::observe).
    pub fn observe_by(
        &self,
        rows: &[Option<&Anchored>],
        columns: &[Option<ArrayRef>],
    ) -> Result<Vec<Observation>, TreatmentError> {
        let mut seen = Vec::new();
        for (field, place) in self.plan.fields.iter().zip(&self.places) {
            let Some(Some(column)) = columns.get(field.column) else {
                continue;
            };
            let of_rows = |at: usize| rows.get(at).copied().flatten();
            let Some(anchors) = anchors_of(&self.anchors, field, column, of_rows)? else {
                continue;
            };
            let shown = field.carrier.read(column)?;
            let cells = anchors.iter().zip(shown);
            let (found, symbols): (Vec<u128>, Vec<bool>) = cells
                .filter_map(|(anchor, symbol)| anchor.zip(symbol))
                .unzip();
            let positions: Vec<Position> = self.anchors.positions(*place, &found);
            let selected = positions.into_iter().zip(symbols);
            seen.extend(
                selected
                    .filter(|(position, _)| position.is_selected(field.density))
                    .map(|(position, symbol)| Observation {
                        position,
                        symbol,
                        found: field.found_by.kind(),
                    }),
            );
        }
        Ok(seen)
    }

    /// The anchors of all rows, by each anchor of the plan; none where a column is missing.
    fn row_anchors(
        &self,
        columns: &[Option<&ArrayRef>],
    ) -> Result<Vec<Option<Anchored>>, TreatmentError> {
        let anchors = self.plan.anchors.iter();
        anchors
            .map(|anchor| self.found_by(anchor, |at| columns.get(at).copied().flatten()))
            .collect()
    }
}

/// The marks of a grant in the cells of one field.
struct Embedding<'a> {
    marker: &'a Marker,
    grant: GrantIndex,
    place: Place,
    density: Density,
    /// The anchors of the rows, and which rows have neither null nor no anchor; none where cells are
    /// found by their own value.
    rows: Option<(&'a [u128], Option<&'a NullBuffer>)>,
    /// Cells that have got their marks.
    begun: usize,
    /// How many of them had an anchor.
    anchored: usize,
    /// How many have a mark.
    selected: u64,
}

impl Marks for Embedding<'_> {
    fn next(&mut self, left: Left<'_>, marks: &mut [Mark]) {
        let (mut numbers, mut is_anchored) = ([0; LANES], [false; LANES]);
        let cells = marks.len().min(LANES);
        let (numbers, _) = numbers.split_at_mut(cells);
        let (is_anchored, _) = is_anchored.split_at_mut(cells);
        match self.rows {
            Some((codes, nulls)) => {
                if let Some(codes) = codes.get(self.begun..self.begun + cells) {
                    numbers.copy_from_slice(codes);
                }
                match nulls {
                    Some(nulls) => {
                        let valid = nulls.slice(self.begun, cells);
                        for (is_anchored, valid) in is_anchored.iter_mut().zip(valid.iter()) {
                            *is_anchored = valid;
                        }
                    }
                    None => is_anchored.fill(true),
                }
            }
            None => {
                self.marker.anchors.put_own(left.blocks, numbers);
                for (is_anchored, is_some) in is_anchored.iter_mut().zip(left.is_some) {
                    *is_anchored = *is_some;
                }
            }
        }
        self.marker.anchors.put_positions(self.place, numbers);
        let positions = (&*numbers, &*is_anchored);
        self.selected += self
            .marker
            .code
            .mark(self.grant, self.density, positions, marks);
        self.anchored += is_anchored.iter().filter(|is_so| **is_so).count();
        self.begun += marks.len();
    }

    fn draws(&mut self, draws: &mut [u64]) {
        let mut numbers = [0; LANES];
        let (numbers, _) = numbers.split_at_mut(draws.len().min(LANES));
        let begun = self.begun.saturating_sub(numbers.len());
        let codes = self
            .rows
            .and_then(|(codes, _)| codes.get(begun..begun + numbers.len()));
        if let Some(codes) = codes {
            numbers.copy_from_slice(codes);
        }
        self.marker.anchors.put_positions(self.place, numbers);
        let ids = numbers
            .iter()
            .map(|number| Position::new(number.swap_bytes()).id());
        let drawn = self.marker.code.draws().words(self.grant, ids);
        for (draw, number) in draws.iter_mut().zip(drawn) {
            *draw = number;
        }
    }
}

/// The anchors of a field's cells, those of rows as `of_rows` has them by the place of their anchor;
/// none where the columns that would make them are missing.
fn anchors_of<'a>(
    anchors: &Anchors,
    field: &MarkedField,
    column: &ArrayRef,
    of_rows: impl Fn(usize) -> Option<&'a Anchored>,
) -> Result<Option<Cow<'a, Anchored>>, TreatmentError> {
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
