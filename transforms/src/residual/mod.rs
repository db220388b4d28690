//! Residual candidates: how many originals fit a masked value.
//!
//! A mask is as strong as the number of values it leaves open. `110105********002X` looks hidden,
//! and fits 3,315 birth dates of a century, because the check digit rules out ten in eleven; beside
//! a delivered birth date it fits one. So the count knows the shape of the identifier, its check
//! digit, and what the other released fields give away.
//!
//! The count is made at plan time, on an example of the category and never on data: the treatment is
//! applied to the example and to its neighbours, and what the results depend on is what a recipient
//! sees. It is an expectation for an ordinary value, rounded down, not a bound for every single one.
//! Birth dates are taken to lie evenly in a century. What is known of one is not taken part by part:
//! the dates are counted that agree with all of it, and of a few ordinary dates the least count holds.
//!
//! Fields are taken to be about one person, and a division, be it a field's or the one that rows are
//! restricted to, to be that of the person's number. What other conditions on rows tell of a person
//! isn't counted, nor what earlier deliveries do.
//!
//! A treatment that chooses among others counts as the one that shows most. What can't be counted is
//! told apart from what needs no count, so that a floor can refuse it.

mod birth;
mod known;
mod shape;
mod shown;

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use arrow::datatypes::DataType;

use crate::category::{self, Category};
use crate::spec::{Strength, TreatmentSpec};
use crate::treatments::AnyTreatment;
use crate::treatments::json::Unknown;
use crate::treatments::pipeline::Pipeline;
use birth::Birth;
use known::{Known, kept};
use shape::Shape;
use shown::{Shown, shown};

/// Most ways through the arms of a treatment that are followed.
const ALTERNATIVES_MAX: usize = 256;

/// A value that a delivery holds, as far as the count needs it: of a field, or within one.
#[derive(Debug, Clone)]
pub struct Released<'a> {
    category: &'a str,
    treatment: Cow<'a, TreatmentSpec>,
    /// What its parts show, by their number: asked for each of the other fields, and costly.
    shown: RefCell<BTreeMap<usize, Shown>>,
}

impl<'a> Released<'a> {
    /// What a field of that category releases under that treatment: its value, or the values
    /// within it, each by its own category, where the treatment looks into documents or lists.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "only two kinds treat values within values"
    )]
    pub fn of(category: &'a str, treatment: &'a TreatmentSpec) -> Vec<Self> {
        let clear = || Self::value(category, Cow::Owned(TreatmentSpec::clear()));
        match treatment.treatment() {
            _ if treatment.is_withhold() => Vec::new(),
            AnyTreatment::Json(json) => {
                let paths = json.paths.iter();
                let within = paths.flat_map(|path| {
                    Self::of(
                        path.category.as_deref().unwrap_or(category),
                        &path.treatment,
                    )
                });
                // What stays of a document by no path may be anything that the field holds.
                let rest = (json.unknown == Unknown::Keep).then(clear);
                within.chain(rest).collect()
            }
            AnyTreatment::Nested(nested) => {
                let parts = nested.fields.iter();
                parts
                    .flat_map(|(place, part)| Self::of(nested.category(place, category), part))
                    .collect()
            }
            _ if looks_within(treatment) => {
                let parts = treatment.treatment().parts().into_iter();
                // What comes between the steps of a pipeline can't be told.
                let whole = matches!(treatment.treatment(), AnyTreatment::Pipeline(_)).then(clear);
                parts
                    .flat_map(|part| Self::of(category, part))
                    .chain(whole)
                    .collect()
            }
            _ => vec![Self::value(category, Cow::Borrowed(treatment))],
        }
    }

    fn value(category: &'a str, treatment: Cow<'a, TreatmentSpec>) -> Self {
        Self {
            category,
            treatment,
            shown: RefCell::default(),
        }
    }

    /// What part number `number` shows of the values of a shape.
    fn shown(&self, shape: Shape, number: usize, part: &TreatmentSpec) -> Shown {
        if let Some(found) = self.shown.borrow().get(&number) {
            return found.clone();
        }
        let found = shown(shape, part, self.category, &DataType::Utf8);
        self.shown.borrow_mut().insert(number, found.clone());
        found
    }
}

/// What a recipient has beside a value.
#[derive(Debug, Clone, Copy, Default)]
pub struct Beside<'a> {
    /// What the other fields of the delivery release.
    pub others: &'a [&'a Released<'a>],
    /// The divisions that the delivery's rows are of, by the leading digits of their codes; empty
    /// where rows may be of any.
    pub divisions: &'a [String],
}

/// Whether a treatment, or one within it, treats values within values.
fn looks_within(treatment: &TreatmentSpec) -> bool {
    let treatment = treatment.treatment();
    matches!(treatment, AnyTreatment::Json(_) | AnyTreatment::Nested(_))
        || treatment.parts().into_iter().any(looks_within)
}

/// How many originals fit a treated value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Residual {
    /// Values of the category are no identifiers and have no shape to count by.
    Shapeless,
    /// Nothing of the value is left, or nothing that means anything without a key.
    Hidden,
    /// So many, on average and rounded down; at least 1.
    Candidates(u64),
    /// What the treatment leaves of an identifier or a birth date can't be told.
    Uncounted,
}

impl Residual {
    /// What is left where a value may be treated either way: the worse for it.
    fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Uncounted, _) | (_, Self::Uncounted) => Self::Uncounted,
            (Self::Candidates(one), Self::Candidates(two)) => Self::Candidates(one.min(two)),
            (Self::Candidates(_), _) => self,
            (_, Self::Candidates(_)) => other,
            (Self::Hidden, _) | (_, Self::Hidden) => Self::Hidden,
            (Self::Shapeless, Self::Shapeless) => Self::Shapeless,
        }
    }
}

/// How many originals fit a treated value of a field, beside what else a recipient has. Values within
/// one field are beside each other, too.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only two kinds treat values within values"
)]
pub fn candidates(
    category: &str,
    treatment: &TreatmentSpec,
    data_type: &DataType,
    beside: Beside<'_>,
) -> Residual {
    match treatment.treatment() {
        AnyTreatment::Json(json) => {
            let paths = json.paths.iter();
            let parts = paths.map(|path| {
                (
                    path.category.as_deref().unwrap_or(category),
                    &path.treatment,
                )
            });
            of_parts(&parts.collect::<Vec<_>>(), beside)
        }
        AnyTreatment::Nested(nested) => {
            let parts = nested.fields.iter();
            let parts = parts.map(|(place, part)| (nested.category(place, category), part));
            of_parts(&parts.collect::<Vec<_>>(), beside)
        }
        _ => of_value(category, treatment, data_type, beside),
    }
}

/// The same for values within one, each with its category.
fn of_parts(parts: &[(&str, &TreatmentSpec)], beside: Beside<'_>) -> Residual {
    let released: Vec<Vec<Released<'_>>> = parts
        .iter()
        .map(|(category, part)| Released::of(category, part))
        .collect();
    let of_part = |(number, (category, part)): (usize, &(&str, &TreatmentSpec))| {
        if part.is_withhold() {
            return Residual::Hidden;
        }
        let within = released.iter().enumerate();
        let within = within.filter(|(other, _)| *other != number);
        let within = within.flat_map(|(_, released)| released);
        let others: Vec<&Released<'_>> = beside.others.iter().copied().chain(within).collect();
        let beside = Beside {
            others: &others,
            divisions: beside.divisions,
        };
        candidates(category, part, &DataType::Utf8, beside)
    };
    parts
        .iter()
        .enumerate()
        .map(of_part)
        .fold(Residual::Shapeless, Residual::or)
}

/// The same for a field whose value is treated as a whole.
fn of_value(
    category: &str,
    treatment: &TreatmentSpec,
    data_type: &DataType,
    beside: Beside<'_>,
) -> Residual {
    let shape = shape::of(category);
    let is_identifier = category::find(category).is_some_and(Category::is_identifier);
    if shape.is_none() && category != "birth-date" && !is_identifier {
        return Residual::Shapeless;
    }
    let Some(alternatives) = alternatives(treatment) else {
        return Residual::Uncounted;
    };
    let known = Known::of(category, shape, beside);
    let of_part = |part: &TreatmentSpec| {
        let mut known = known.clone();
        known.learn_kept(part);
        let Some(shape) = shape else {
            return match is_identifier {
                true => of_other_identifier(part),
                false => of_birth_date(part, &known),
            };
        };
        match shown(shape, part, category, data_type) {
            Shown::Nothing => Residual::Hidden,
            Shown::Positions(positions) => {
                Residual::Candidates(shape.count(&positions, &known).max(1))
            }
            Shown::Unknown => Residual::Uncounted,
        }
    };
    let counts = alternatives.iter().map(of_part);
    counts.reduce(Residual::or).unwrap_or(Residual::Uncounted)
}

/// An identifier that has no shape here: what a mask leaves of it can't be told.
fn of_other_identifier(treatment: &TreatmentSpec) -> Residual {
    let strength = treatment.strength();
    if strength == Strength::CLEAR {
        Residual::Candidates(1)
    } else if strength >= Strength::KEYED_EQUALITY {
        Residual::Hidden
    } else {
        Residual::Uncounted
    }
}

fn of_birth_date(treatment: &TreatmentSpec, known: &Known<'_>) -> Residual {
    let keeps_year = || kept(treatment).iter().any(|word| word == "birth-year");
    let mut birth = known.birth.clone();
    match Birth::told_by(treatment) {
        Some(told) => birth.add(&told),
        // Known already.
        None if keeps_year() => {}
        None if treatment.strength() >= Strength::KEYED_EQUALITY => return Residual::Hidden,
        None => return Residual::Uncounted,
    }
    Residual::Candidates(birth.count())
}

/// The treatments that a value may meet: the arms of those that choose, and every way through the
/// steps of a pipeline. `None` if there are too many, or a step treats values within values.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these kinds hold others that treat the whole value"
)]
fn alternatives(treatment: &TreatmentSpec) -> Option<Vec<TreatmentSpec>> {
    let outer = treatment.options();
    let of_all = |parts: Vec<&TreatmentSpec>| -> Option<Vec<TreatmentSpec>> {
        let mut found = Vec::new();
        for part in parts {
            found.extend(alternatives(&part.within(outer))?);
        }
        (found.len() <= ALTERNATIVES_MAX).then_some(found)
    };
    match treatment.treatment() {
        AnyTreatment::When(_)
        | AnyTreatment::Case(_)
        | AnyTreatment::DropRow(_)
        | AnyTreatment::Sample(_) => of_all(treatment.treatment().parts()),
        AnyTreatment::Pipeline(pipeline) => {
            let mut ways: Vec<Vec<TreatmentSpec>> = vec![Vec::new()];
            for step in &pipeline.steps {
                let steps = alternatives(step)?;
                let longer = ways.iter().flat_map(|way| {
                    steps.iter().map(|step| {
                        let way = way.iter().chain([step]);
                        way.cloned().collect::<Vec<_>>()
                    })
                });
                let longer: Vec<_> = longer.take(ALTERNATIVES_MAX + 1).collect();
                if longer.len() > ALTERNATIVES_MAX {
                    return None;
                }
                ways = longer;
            }
            let ways = ways.into_iter().map(|steps| {
                let pipeline = AnyTreatment::Pipeline(Pipeline { steps });
                TreatmentSpec::new(pipeline, outer.clone())
            });
            Some(ways.collect())
        }
        AnyTreatment::Json(_) | AnyTreatment::Nested(_) => None,
        _ => Some(vec![treatment.clone()]),
    }
}

#[cfg(test)]
mod tests;
