//! Marking a chunk: after it was treated, in the same pass, anchors and fields at once.

use arrow::array::{Array, ArrayRef};
use lockgate_transforms::marks::distortion::Distortion;
use lockgate_transforms::marks::embed::{MarkedField, Marker, TaggedField};
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::{Choice, TreatmentError};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefIterator, ParallelIterator,
};

use super::treat::Untreated;

/// A column that is marked.
#[derive(Debug)]
struct Place<'a> {
    column: usize,
    name: &'a str,
    of: Of,
}

/// A column's place among those of the plan.
#[derive(Debug, Clone, Copy)]
enum Of {
    Field(usize),
    Tag(usize),
}

impl<'a> Place<'a> {
    fn field((at, field): (usize, &'a MarkedField)) -> Self {
        Self {
            column: field.column,
            name: &field.name,
            of: Of::Field(at),
        }
    }

    fn tag((at, tagged): (usize, &'a TaggedField)) -> Self {
        Self {
            column: tagged.column,
            name: &tagged.name,
            of: Of::Tag(at),
        }
    }
}

/// The marks of a run: where they go, and whose they are.
#[derive(Debug)]
pub struct Marking {
    marker: Marker,
    grant: GrantIndex,
}

impl Marking {
    /// Marks of a grant in batches whose columns stand as the marker has them.
    pub fn new(marker: Marker, grant: GrantIndex) -> Self {
        Self { marker, grant }
    }

    /// How many fields carry marks.
    pub(super) fn fields(&self) -> usize {
        let plan = self.marker.plan();
        plan.fields().len() + plan.tags().len()
    }

    /// Whether it marks the column of that place, and so brings floats to their decimals itself: every cell
    /// of it, marked or not.
    pub(super) fn prepares(&self, column: usize) -> bool {
        let mut fields = self.marker.plan().fields().iter();
        fields.any(|field| field.column == column)
    }

    /// Marks the columns of a chunk, on the current rayon pool, and adds to `distortions`, one a
    /// field. `choices` are what treatments leave to the mark, by column. A chunk's marks depend on its
    /// rows alone.
    ///
    /// # Errors
    /// A column that isn't the plan's.
    pub(super) fn mark(
        &self,
        columns: &mut [ArrayRef],
        choices: &[Option<Choice>],
        distortions: &mut [Distortion],
    ) -> Result<(), Untreated> {
        let plan = self.marker.plan();
        let given: &[ArrayRef] = columns;
        let anchors: Result<Vec<_>, TreatmentError> = (0..plan.anchors().len())
            .into_par_iter()
            .with_max_len(1)
            .map(|anchor| self.marker.anchor_rows(anchor, given))
            .collect();
        let anchors = anchors.map_err(|error| Untreated {
            field: "the fields that find rows for marks".to_owned(),
            error,
        })?;
        let fields = plan.fields().iter().enumerate().map(Place::field);
        let tags = plan.tags().iter().enumerate().map(Place::tag);
        let places: Vec<Place<'_>> = fields.chain(tags).collect();
        let marked: Vec<Result<(ArrayRef, Distortion), TreatmentError>> = places
            .par_iter()
            .with_max_len(1)
            .map(|place| {
                let column = given.get(place.column).ok_or_else(|| {
                    TreatmentError::Arrow("a column to be marked is missing".to_owned())
                })?;
                match place.of {
                    Of::Field(at) => {
                        let choice = choices.get(place.column).and_then(Option::as_ref);
                        self.marker
                            .embed_field(self.grant, at, column, choice, &anchors)
                    }
                    Of::Tag(at) => self.marker.embed_tag(self.grant, at, column),
                }
            })
            .collect();
        for ((marked, place), total) in marked.into_iter().zip(places).zip(distortions) {
            let (marked, distortion) = marked
                .and_then(|(marked, distortion)| {
                    let column = columns.get(place.column);
                    let is_like = column.is_some_and(|column| {
                        column.len() == marked.len() && column.data_type() == marked.data_type()
                    });
                    let broken = "a mark changed the type or number of values";
                    is_like
                        .then_some((marked, distortion))
                        .ok_or_else(|| TreatmentError::Arrow(broken.to_owned()))
                })
                .map_err(|error| Untreated {
                    field: place.name.to_owned(),
                    error,
                })?;
            total.merge(&distortion);
            if let Some(slot) = columns.get_mut(place.column) {
                *slot = marked;
            }
        }
        Ok(())
    }
}
