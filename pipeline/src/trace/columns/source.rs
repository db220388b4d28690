//! The columns that a field may be: those that can be read as its type, in any spelling, the likeliest
//! first by what headers and values say before any trial.

use arrow::array::ArrayRef;
use lockgate_transforms::marks::found::{name_likeness, spellings};

use super::reading::arrow_type;
use super::{Reading, Search};
use crate::error::RunError;
use crate::marks::FieldScheme;
use crate::trace::pass;

/// What a header that equals the field's name is worth, in nats of presence.
const NAME_WORTH: f64 = 12.0;

/// Most columns, each spelling counted, that are held as values of one type: some 150 MB at worst.
const READINGS_MAX: usize = 1_024;

/// A column, read in one way, in the sample.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) column: usize,
    pub(super) reading: Reading,
    /// In the whole sample.
    pub(super) whole: ArrayRef,
    /// In a part of it.
    pub(super) small: ArrayRef,
    /// How well its header fits.
    pub(super) likeness: f64,
    /// What speaks for it before any trial, in nats.
    pub(super) prior: f64,
}

impl Source {
    pub(super) fn place(&self) -> (usize, Reading) {
        (self.column, self.reading.clone())
    }
}

impl Search<'_> {
    /// The columns that a marked field may be, the likeliest first.
    pub(super) fn sources_of(&mut self, field: &FieldScheme) -> Result<Vec<Source>, RunError> {
        let mut sources = self.readable(&field.data_type)?;
        self.rate(&field.name, &mut sources, |_| 0.0);
        Ok(sources)
    }

    /// The columns that a field of an anchor may be, the likeliest first: any text, and values of
    /// its type where they are spelled otherwise. The more different values, the better.
    pub(super) fn sources_of_anchor(&mut self, field: &str) -> Result<Vec<Source>, RunError> {
        if let Some(certain) = self.certain.get(field) {
            return Ok(vec![certain.clone()]);
        }
        let mut sources = Vec::new();
        for column in 0..self.whole.len() {
            sources.push(self.source(column, Reading::Text, 0.0)?);
        }
        let catalogued = self.catalogued.get(field);
        let of_type = catalogued.and_then(|field| Some((field, field.arrow_type()?)));
        if let Some((catalogued, data_type)) = of_type
            && (data_type.is_numeric() || data_type.is_temporal())
        {
            let typed = self.readable(&catalogued.data_type)?;
            sources.extend(typed.into_iter().map(|source| Source {
                prior: source.prior - 1.0,
                ..source
            }));
        }
        self.rate(field, &mut sources, |column| {
            self.variety.get(column).copied().unwrap_or_default()
        });
        Ok(sources)
    }

    /// The columns that a marked field may be by whose blocks rows are found, the likeliest first.
    pub(super) fn sources_of_blocks(
        &mut self,
        field: &FieldScheme,
    ) -> Result<Vec<Source>, RunError> {
        let is_of_type = |certain: &&Source| match &certain.reading {
            Reading::Text => false,
            Reading::Typed { data_type, .. } => *data_type == field.data_type,
        };
        match self.certain.get(&field.name).filter(is_of_type) {
            Some(certain) => Ok(vec![certain.clone()]),
            None => self.sources_of(field),
        }
    }

    /// Adds what headers say of a field, and keeps the given column alone where there is one.
    pub(super) fn rate(&self, field: &str, sources: &mut Vec<Source>, more: impl Fn(usize) -> f64) {
        if let Some(given) = self.given.get(field) {
            sources.retain(|source| source.column == *given);
        }
        for source in &mut *sources {
            source.likeness = self.likeness(field, source.column);
            source.prior += NAME_WORTH * source.likeness + more(source.column);
        }
        sources.sort_by(|one, other| other.prior.total_cmp(&one.prior));
    }

    fn likeness(&self, field: &str, column: usize) -> f64 {
        if self.given.get(field) == Some(&column) {
            return 1.0;
        }
        let Some(header) = self.names.get(column).filter(|_| self.has_header) else {
            return 0.0;
        };
        let title = self.catalogued.get(field).and_then(|of| of.title.as_ref());
        let of_title = title.map_or(0.0, |title| name_likeness(header, title));
        name_likeness(header, field).max(of_title)
    }

    /// Every column whose values can be read as that type, in each way they may be spelled.
    fn readable(&mut self, notation: &str) -> Result<Vec<Source>, RunError> {
        if let Some(known) = self.typed.get(notation) {
            return Ok(known.clone());
        }
        let data_type = arrow_type(notation)?;
        let mut plausible = Vec::new();
        for column in 0..self.whole.len() {
            let spellings = spellings(pass::text(&self.small, column)?, &data_type);
            plausible.extend((0_u32..).zip(spellings).map(|(at, of)| (at, column, of)));
        }
        // The usual spelling of every column comes before a second one of any.
        plausible.sort_by_key(|(at, _, _)| *at);
        plausible.truncate(READINGS_MAX);
        let sources = plausible.into_iter().map(|(at, column, spelling)| {
            let reading = Reading::Typed {
                data_type: notation.to_owned(),
                spelling,
            };
            self.source(column, reading, -f64::from(at))
        });
        let sources = sources.collect::<Result<Vec<_>, _>>()?;
        self.typed.insert(notation.to_owned(), sources.clone());
        Ok(sources)
    }

    pub(super) fn source(
        &self,
        column: usize,
        reading: Reading,
        prior: f64,
    ) -> Result<Source, RunError> {
        let whole = self.whole.get(column).ok_or_else(|| RunError::Internal {
            what: "a column of the sample is not there".to_owned(),
        })?;
        Ok(Source {
            column,
            whole: reading.read(whole)?,
            small: reading.read(pass::text(&self.small, column)?)?,
            reading,
            likeness: 0.0,
            prior,
        })
    }
}
