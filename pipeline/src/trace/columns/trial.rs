//! Trials: do these columns, taken for these fields, show marks?

use std::slice;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use lockgate_transforms::marks::anchor::Anchored;
use lockgate_transforms::marks::key::MarkKey;
use lockgate_transforms::marks::score::{Ballots, Cells, ln_presence};
use rayon::iter::{IntoParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::source::Source;
use super::{SURE, Search};
use crate::error::RunError;
use crate::marks::scheme::FORMAT;
use crate::marks::{Anchor, FieldScheme, FoundBy, Scheme};
use crate::trace::finding::real;
use crate::trace::pass::reading;
use crate::trace::tracer::marker;

/// Most trials of combinations of columns, over all hypotheses: some ten seconds of one core.
pub(super) const TRIES_MAX: usize = 30_000;

/// Combinations of columns of an anchor that are looked at.
const COMBINATIONS_MAX: usize = 2_000;

/// Columns tried for a marked field together with an anchor.
const PER_SCOUT: usize = 20;

/// Combinations that are tried at a time.
const WAVE: usize = 32;

/// In how much of the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// In all of it.
    Whole,
    /// In a part.
    Small,
}

impl Source {
    fn array(&self, place: Place) -> ArrayRef {
        let array = match place {
            Place::Whole => &self.whole,
            Place::Small => &self.small,
        };
        Arc::clone(array)
    }
}

/// What rows are found by.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a> {
    pub(super) anchor: &'a Anchor,
    /// The scheme's fields with tags: where one is among the anchor's, rows are found by what stands
    /// before its tags.
    pub(super) tags: &'a [FieldScheme],
    /// The scheme's marked fields: where rows are found by the blocks of some, these are read as their types.
    pub(super) marked: &'a [FieldScheme],
}

impl Rows<'_> {
    /// The fields by whose blocks rows are found, as those of a scheme that has nothing but this anchor.
    fn blocks(&self) -> impl Iterator<Item = FieldScheme> {
        let names = self.anchor.blocks.iter();
        let fields = names.filter_map(|name| self.marked.iter().find(|field| field.name == *name));
        fields.map(|field| FieldScheme {
            found_by: FoundBy::Row(0),
            keeps_block: true,
            ..field.clone()
        })
    }
}

/// Rows as they are found by columns that are taken for the fields of an anchor. Its codes are most of the
/// work of a trial, and the same for every field that is tried with them.
pub(super) struct FoundRows<'a, 's> {
    pub(super) anchor: &'a Anchor,
    pub(super) sources: &'s [Source],
    anchored: Anchored,
}

impl<'a, 's> FoundRows<'a, 's> {
    pub(super) fn new(
        key: &MarkKey,
        rows: Rows<'a>,
        sources: &'s [Source],
        place: Place,
    ) -> Result<Self, RunError> {
        let anchor = rows.anchor;
        let is_in_anchor = |tag: &&FieldScheme| anchor.fields.contains(&tag.name);
        let tags = rows.tags.iter().filter(is_in_anchor).cloned();
        let scheme = scheme(
            key,
            vec![anchor.clone()],
            tags.chain(rows.blocks()).collect(),
        );
        let columns: Vec<ArrayRef> = sources.iter().map(|source| source.array(place)).collect();
        let names: Vec<&str> = anchor.parts().map(String::as_str).collect();
        let anchored = marker(&scheme, key, &names)?.anchor_rows(0, &columns);
        Ok(Self {
            anchor,
            sources,
            anchored: anchored.map_err(reading)?,
        })
    }

    /// The same by each of several combinations of columns, on the current rayon pool.
    fn by_each(
        key: &MarkKey,
        rows: Rows<'a>,
        combinations: &'s [Combination],
        place: Place,
    ) -> Result<Vec<Self>, RunError> {
        combinations
            .par_iter()
            .map(|combination| Self::new(key, rows, &combination.sources, place))
            .collect()
    }
}

/// What stands for the column that rows were found by, where they are found already: no field's name.
const FOUND: &str = "";

/// A field in a column, found by an anchor in others, or by its own value.
#[derive(Clone, Copy)]
pub(super) struct Trial<'a> {
    pub(super) rows: Option<&'a FoundRows<'a, 'a>>,
    pub(super) field: &'a FieldScheme,
    pub(super) source: &'a Source,
}

impl Trial<'_> {
    /// The votes that it brings about, by their kinds.
    fn counts(&self, key: &MarkKey, place: Place) -> Result<Cells<u64>, RunError> {
        // The rows are found already, so that the columns they were found by aren't needed.
        let anchor = self.rows.map(|rows| Anchor {
            family: rows.anchor.family,
            fields: vec![FOUND.to_owned()],
            blocks: Vec::new(),
        });
        let field = FieldScheme {
            found_by: match anchor {
                Some(_) => FoundBy::Row(0),
                None => FoundBy::Value,
            },
            ..self.field.clone()
        };
        let names = [FOUND, self.field.name.as_str()];
        let columns = [None, Some(self.source.array(place))];
        let scheme = scheme(key, anchor.into_iter().collect(), vec![field]);
        let rows: Vec<Option<&Anchored>> =
            self.rows.iter().map(|rows| Some(&rows.anchored)).collect();
        let seen = marker(&scheme, key, &names)?.observe_by(&rows, &columns);
        let mut ballots = Ballots::default();
        ballots.add(seen.map_err(reading)?);
        Ok(ballots.close().counts())
    }
}

/// A scheme for trials alone, of the suite that the key is used with.
fn scheme(key: &MarkKey, anchors: Vec<Anchor>, fields: Vec<FieldScheme>) -> Scheme {
    Scheme {
        format: FORMAT,
        dataset: String::new(),
        epoch: 0,
        key_version: 0,
        suite: key.suite(),
        anchors,
        fields,
    }
}

/// The share of a column's values that have the form of a field's pseudonyms with tags.
pub(super) fn share_of_tags(
    key: &MarkKey,
    field: &FieldScheme,
    source: &Source,
) -> Result<f64, RunError> {
    let column = source.array(Place::Whole);
    let values = column.len() - column.null_count();
    let scheme = scheme(key, Vec::new(), vec![field.clone()]);
    let marker = marker(&scheme, key, &[field.name.as_str()])?;
    let seen = marker.observe_tags(&[Some(column)]).map_err(reading)?;
    let [seen, values] = [seen.len(), values].map(|count| u64::try_from(count).unwrap_or(0));
    Ok(real(seen) / real(values.max(1)))
}

/// The votes of several trials, on the current rayon pool.
pub(super) fn counts(
    key: &MarkKey,
    trials: Vec<Trial<'_>>,
    place: Place,
) -> Result<Vec<Cells<u64>>, RunError> {
    trials
        .into_par_iter()
        .map(|trial| trial.counts(key, place))
        .collect()
}

/// Columns for the fields of an anchor, and what speaks for them.
struct Combination {
    sources: Vec<Source>,
    prior: f64,
}

impl Search<'_> {
    /// The columns that rows are found by: those that headers name if marks show by them, else those
    /// by which most do. None where the leak has too few columns.
    pub(super) fn anchor(
        &mut self,
        key: &MarkKey,
        rows: Rows<'_>,
        fields: &[&FieldScheme],
    ) -> Result<Option<Vec<Source>>, RunError> {
        if fields.is_empty() {
            return Ok(None);
        }
        let combinations = self.combinations(rows)?;
        let parts: Vec<&str> = rows.anchor.parts().map(String::as_str).collect();
        let what = format!("rows by {}", parts.join("\0"));
        self.chose_between(&what, 2);
        let mut scouts = Vec::new();
        for field in fields {
            let mut sources = self.sources_of(field)?;
            sources.truncate(PER_SCOUT);
            scouts.push((*field, sources));
        }
        scouts.sort_by_key(|(_, sources)| sources.len());
        let Some(first) = combinations.first() else {
            return Ok(None);
        };
        let (mut best, mut shown) = (0, f64::NEG_INFINITY);
        let first = [FoundRows::new(key, rows, &first.sources, Place::Whole)?];
        for (field, sources) in &scouts {
            let rated = best_of(key, &first, field, sources, Place::Whole)?;
            shown = rated.into_iter().fold(shown, f64::max);
        }
        // The blind search is made for one key and scheme, and not again for every old one.
        if shown < SURE && !self.is_sure {
            (best, shown) = self.search(key, rows, &combinations, &scouts)?;
            self.chose_between(&what, 2 * combinations.len());
        }
        let found = combinations.into_iter().nth(best);
        if let Some(found) = &found
            && shown >= SURE
        {
            let pairs = rows.anchor.parts().zip(&found.sources);
            self.certain
                .extend(pairs.map(|(field, source)| (field.clone(), source.clone())));
        }
        Ok(found.map(|found| found.sources))
    }

    /// Tries combinations with one marked field after the other, until marks show beyond doubt: the
    /// place of the best, and how much it shows.
    fn search(
        &mut self,
        key: &MarkKey,
        rows: Rows<'_>,
        combinations: &[Combination],
        scouts: &[(&FieldScheme, Vec<Source>)],
    ) -> Result<(usize, f64), RunError> {
        let mut best = (0, f64::NEG_INFINITY, f64::NEG_INFINITY);
        for (field, sources) in scouts {
            if sources.is_empty() {
                continue;
            }
            for (wave, part) in combinations.chunks(WAVE).enumerate() {
                let tries = part.len().saturating_mul(sources.len());
                if self.tries_left < tries {
                    break;
                }
                self.tries_left -= tries;
                let found = FoundRows::by_each(key, rows, part, Place::Small)?;
                let rated = best_of(key, &found, field, sources, Place::Small)?;
                for (at, (shown, combination)) in rated.into_iter().zip(part).enumerate() {
                    if shown + combination.prior > best.1 {
                        best = (wave * WAVE + at, shown + combination.prior, shown);
                    }
                }
                if best.2 >= SURE {
                    return Ok((best.0, best.2));
                }
            }
        }
        Ok((best.0, best.2))
    }

    /// Combinations of columns for the fields of an anchor, the likeliest first.
    fn combinations(&mut self, rows: Rows<'_>) -> Result<Vec<Combination>, RunError> {
        let mut offered = Vec::new();
        for field in &rows.anchor.fields {
            offered.push(self.sources_of_anchor(field)?);
        }
        for field in rows.blocks() {
            offered.push(self.sources_of_blocks(&field)?);
        }
        // As many of each field as give so many together.
        let most = match offered.len() {
            0 | 1 => COMBINATIONS_MAX,
            2 => 44,
            _ => 12,
        };
        let mut all = vec![Combination {
            sources: Vec::new(),
            prior: 0.0,
        }];
        for mut sources in offered {
            sources.truncate(most);
            let longer = all.iter().flat_map(|before| {
                let is_free = |source: &&Source| {
                    let mut taken = before.sources.iter();
                    taken.all(|other| other.column != source.column)
                };
                sources.iter().filter(is_free).map(|source| Combination {
                    sources: [before.sources.as_slice(), slice::from_ref(source)].concat(),
                    prior: before.prior + source.prior,
                })
            });
            all = longer.collect();
            all.sort_by(|one, other| other.prior.total_cmp(&one.prior));
            all.truncate(COMBINATIONS_MAX);
        }
        Ok(all)
    }
}

/// For each way to find the rows, the most that a field shows by it in any of its columns.
fn best_of(
    key: &MarkKey,
    found: &[FoundRows<'_, '_>],
    field: &FieldScheme,
    sources: &[Source],
    place: Place,
) -> Result<Vec<f64>, RunError> {
    let trials = found.iter().flat_map(|rows| {
        sources.iter().map(move |source| Trial {
            rows: Some(rows),
            field,
            source,
        })
    });
    let counted = counts(key, trials.collect(), place)?;
    let shown: Vec<f64> = counted.iter().map(ln_presence).collect();
    let of_each = shown.chunks(sources.len().max(1));
    Ok(of_each
        .map(|shown| shown.iter().copied().fold(f64::NEG_INFINITY, f64::max))
        .collect())
}
