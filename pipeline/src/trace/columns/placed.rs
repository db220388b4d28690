//! The column that is taken for a field: the one that fits best, by the marks that it shows and by its
//! header; and the fields that are read at all.

use std::collections::BTreeSet;

use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::marks::score::{Cells, ln_presence};

use super::matching::Sight;
use super::source::Source;
use super::trial::{self, FoundRows, Place, Trial};
use super::{Reading, SURE, Search};
use crate::error::RunError;
use crate::marks::{Anchor, FieldScheme, FoundBy};

/// From which likeness a header names a field.
pub(super) const NAMED: f64 = 0.85;

/// From which presence a field is taken though nothing names its column.
const SHOWN: f64 = 8.0;

/// Below which presence a column shows that it holds no marks any more.
const SPOILT: f64 = -3.0;

/// Of a column of pseudonyms with tags, the least share of values that have their form.
const TAGGED: f64 = 0.25;

/// A field with the column that fits it best.
pub(super) struct Placed<'a> {
    pub(super) field: &'a FieldScheme,
    pub(super) source: Source,
    pub(super) anchor: Option<(&'a Anchor, Vec<Source>)>,
    pub(super) counts: Cells<u64>,
    pub(super) presence: f64,
}

impl Placed<'_> {
    pub(super) fn prior(&self) -> f64 {
        let anchor = self.anchor.iter().flat_map(|(_, sources)| sources);
        self.source.prior + anchor.map(|source| source.prior).sum::<f64>()
    }

    fn is_named(&self) -> bool {
        let anchor = self.anchor.iter().flat_map(|(_, sources)| sources);
        let mut sources = anchor.chain([&self.source]);
        sources.all(|source| source.likeness >= NAMED)
    }

    pub(super) fn sight(&self) -> Sight {
        let anchor = self.anchor.as_ref().map(|(anchor, sources)| {
            let places = sources.iter().map(Source::place);
            ((*anchor).clone(), places.collect())
        });
        // Where an anchor stands in its scheme is of no account.
        let found_by = match self.field.found_by {
            FoundBy::Row(_) => FoundBy::Row(0),
            FoundBy::Value => FoundBy::Value,
        };
        Sight {
            field: FieldScheme {
                found_by,
                ..self.field.clone()
            },
            place: self.source.place(),
            anchor,
        }
    }
}

impl Search<'_> {
    /// The column of a field of pseudonyms with tags: presence says nothing of them, so the one of
    /// whose values most have the form, and the header that is most like.
    pub(super) fn place_tag<'s>(
        &self,
        key: &MarkKey,
        field: &'s FieldScheme,
    ) -> Result<Option<Placed<'s>>, RunError> {
        let mut sources = Vec::new();
        for column in 0..self.whole.len() {
            sources.push(self.source(column, Reading::Text, 0.0)?);
        }
        self.rate(&field.name, &mut sources, |_| 0.0);
        let mut best: Option<(f64, Source)> = None;
        for source in sources {
            let share = trial::share_of_tags(key, field, &source)?;
            let rating = share + source.prior;
            if share >= TAGGED && best.as_ref().is_none_or(|(other, _)| rating > *other) {
                best = Some((rating, source));
            }
        }
        Ok(best.map(|(_, source)| Placed {
            field,
            source,
            anchor: None,
            counts: Cells::default(),
            presence: 0.0,
        }))
    }

    /// The column of a field that fits best: by the marks that it shows, and by its header.
    pub(super) fn place<'s>(
        &mut self,
        key: &MarkKey,
        rows: Option<&FoundRows<'s, '_>>,
        field: &'s FieldScheme,
    ) -> Result<Option<Placed<'s>>, RunError> {
        let sources = self.sources_of(field)?;
        // Whether the field is read at all is a choice as well: see `kept`.
        self.chose_between(&field.name, 2 * sources.len());
        let trials = sources.iter().map(|source| Trial {
            rows,
            field,
            source,
        });
        let counted = trial::counts(key, trials.collect(), Place::Whole)?;
        let rated = sources.into_iter().zip(counted).map(|(source, counts)| {
            let presence = ln_presence(&counts);
            (presence + source.prior, source, counts, presence)
        });
        let best = rated.max_by(|one, other| one.0.total_cmp(&other.0));
        Ok(best.map(|(_, source, counts, presence)| Placed {
            field,
            source,
            anchor: rows.map(|rows| (rows.anchor, rows.sources.to_vec())),
            counts,
            presence,
        }))
    }
}

/// The fields to read of those that have a column: which show marks, and which are named and don't
/// show that they have lost theirs. Where there is none, the likeliest. No column is two fields.
pub(super) fn kept(mut placed: Vec<Placed<'_>>) -> Vec<Placed<'_>> {
    let rating = |placed: &Placed<'_>| placed.presence + placed.prior();
    placed.sort_by(|one, other| rating(other).total_cmp(&rating(one)));
    let mut taken = BTreeSet::new();
    placed.retain(|placed| taken.insert(placed.source.column));
    let is_sure = placed.iter().any(|placed| placed.presence >= SURE);
    let is_kept = |placed: &Placed<'_>| {
        let is_spoilt = is_sure && placed.presence < SPOILT;
        placed.presence >= SHOWN || placed.is_named() && !is_spoilt
    };
    match placed.iter().any(is_kept) {
        true => placed.retain(is_kept),
        false => placed.truncate(1),
    }
    placed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use lockgate_connectors::format::found::{FoundOptions, FoundTable};

    use super::*;
    use crate::marks::{CarrierSpec, Density};
    use crate::trace::finding::real;
    use crate::trace::pass;

    #[test]
    fn the_threshold_of_presence_counts_that_a_field_may_be_left_out() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("leak.csv");
        fs::write(&path, "area,town\n121,a\n57,b\n88,c\n").unwrap();
        let table = FoundTable::open(&path, &FoundOptions::default()).unwrap();
        let sample = pass::sample(&table).unwrap();
        let given = BTreeMap::from([("area".to_owned(), "area".to_owned())]);
        let catalogued = BTreeMap::new();
        let mut search = Search::new(&catalogued, &table, &sample, &given).unwrap();
        let field = FieldScheme {
            name: "area".to_owned(),
            data_type: "int64".to_owned(),
            carrier: CarrierSpec::Number {
                tolerance: "3".parse().unwrap(),
                decimals: None,
                step: 2,
                span: 1,
                least: None,
                greatest: None,
                sentinels: Vec::new(),
            },
            density: Density::ALL,
            found_by: FoundBy::Value,
            keeps_block: false,
        };
        let readings = search.sources_of(&field).unwrap().len();
        let key = MarkKey::of_disclosed([7; 32]);
        assert!(search.place(&key, None, &field).unwrap().is_some());
        // Each of its readings, taken or not.
        let choices = 2.0 * real(u64::try_from(readings).unwrap());
        assert!(
            (search.ln_tried() - choices.ln()).abs() < 1e-12,
            "{readings}"
        );
    }
}
