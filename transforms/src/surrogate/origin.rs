//! What stays of when and where a person was born, as every facet that shows either of them says it
//! and reads it: one facet that read it otherwise would be that of another person.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Linkage, Original, distinct, identifier, kept_from, unkept};
use crate::divisions::{Divisions, Level};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::person::{self, Origin};

/// What stays of when and where a person was born.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The first two digits of the division code.
    Province,
    /// The first four digits.
    City,
    /// The first six digits.
    District,
    /// The year of birth.
    BirthYear,
}

/// What becomes of someone of whom the kept division can't be kept, because no code of it was in
/// force in the year of birth.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum WhenUnfit {
    /// The value is invalid.
    #[default]
    Invalid,
    /// The next wider division of which a code was in force is kept in its place: the city for the
    /// district, the province for the city. Nothing tells such values from others.
    Widen,
}

/// What a value itself tells of when and where its person was born.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    Nothing,
    Birth,
    Division,
    Both,
}

/// The parts that are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// How much of the division.
    pub(crate) level: Option<Level>,
    /// Whether the year of birth.
    pub(crate) year: bool,
    /// What becomes of those of whom the division can't be kept.
    pub(crate) unfit: WhenUnfit,
}

impl Kept {
    pub(crate) fn of(keep: impl IntoIterator<Item = Keep>, unfit: WhenUnfit) -> Self {
        let mut kept = Self {
            unfit,
            ..Self::default()
        };
        for part in keep {
            let level = match part {
                Keep::Province => Level::Province,
                Keep::City => Level::City,
                Keep::District => Level::District,
                Keep::BirthYear => {
                    kept.year = true;
                    continue;
                }
            };
            kept.level = kept.level.max(Some(level));
        }
        kept
    }

    /// Whether no more is kept than `floor` keeps: an invalid value is less than a wider division.
    pub(crate) fn no_more_than(self, floor: Self) -> bool {
        let unfit = self.level.is_none() || self.unfit <= floor.unfit;
        self.level <= floor.level && self.year <= floor.year && unfit
    }

    /// Refuses to widen what is the widest, or nothing.
    ///
    /// # Errors
    /// There is nothing to widen.
    fn check_unfit(self) -> Result<(), Misfit> {
        if self.unfit == WhenUnfit::Invalid || self.level > Some(Level::Province) {
            return Ok(());
        }
        let what = "`when_unfit` is \"widen\", and `keep` lists no division that could be widened";
        Err(Misfit::of_parameter("when_unfit", what)
            .with_hint("add \"city\" or \"district\" to `keep`, or leave `when_unfit` out"))
    }

    /// Checks that what is kept is read from somewhere, and nothing is read that isn't kept.
    ///
    /// # Errors
    /// A part stands twice, needs a field, or is missing for a field; there is nothing to widen.
    pub(crate) fn check<T: PartialEq>(
        self,
        keep: &[T],
        linkage: &Linkage<'_>,
        told: Told,
    ) -> Result<(), Misfit> {
        distinct(keep)?;
        self.check_unfit()?;
        let kept = self;
        let division = kept.level.map_or("province", Level::name);
        for (parameter, field, part, is_kept, is_told) in [
            (
                "birth",
                linkage.birth,
                "birth-year",
                kept.year,
                matches!(told, Told::Birth | Told::Both),
            ),
            (
                "region",
                linkage.region,
                division,
                kept.level.is_some(),
                matches!(told, Told::Division | Told::Both),
            ),
        ] {
            if !is_told {
                kept_from(parameter, field, part, is_kept)?;
            } else if field.is_some() && !is_kept {
                return Err(unkept(parameter, part));
            }
        }
        Ok(())
    }

    /// What is shown of birth and division, which follow each other.
    pub(crate) fn facts<'a>(self, linkage: &Linkage<'a>) -> [Fact<'a>; 2] {
        [
            Fact {
                what: "birth year",
                kept: self.year.then_some("birth year"),
                from: linkage.birth,
            },
            Fact {
                what: "division",
                kept: self.level.map(|level| match (self.unfit, level) {
                    (WhenUnfit::Widen, Level::District) => "district or what is wider",
                    (WhenUnfit::Widen, Level::City) => "city or what is wider",
                    (_, level) => level.name(),
                }),
                from: linkage.region,
            },
        ]
    }

    /// Reads what is kept, and draws the rest.
    ///
    /// # Errors
    /// What is kept can't be read, or no one can have been born then and there: in the kept
    /// division, or in a wider one either where that will do.
    #[inline]
    pub(crate) fn origin(
        self,
        original: &Original<'_>,
        divisions: &Divisions,
    ) -> Result<Origin, Case> {
        self.origin_within(original, divisions, || {
            person::read_region(&identifier(original.region))
        })
    }

    /// The same, where `region` reads the code of the kept division.
    ///
    /// # Errors
    /// As [`origin`](Self::origin).
    #[inline]
    pub(crate) fn origin_within(
        self,
        original: &Original<'_>,
        divisions: &Divisions,
        region: impl FnOnce() -> Option<u32>,
    ) -> Result<Origin, Case> {
        let mut kept = person::Kept {
            widens: self.unfit == WhenUnfit::Widen,
            ..person::Kept::default()
        };
        if self.year {
            let year = person::read_birth_year(&identifier(original.birth));
            // A hyphen of a date is none of an identifier: read it as it is written, too.
            let year = year.or_else(|| person::read_birth_year(original.birth));
            kept.year = Some(year.ok_or(Case::Invalid)?);
        }
        if let Some(level) = self.level {
            kept.region = Some((region().ok_or(Case::Invalid)?, level));
        }
        let origin = person::origin(&original.draw, divisions, kept).ok_or(Case::Invalid)?;
        original.is_widened.set(origin.is_widened);
        Ok(origin)
    }
}
