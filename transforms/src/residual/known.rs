//! What the other fields of a delivery give away about the person a number belongs to.

use super::shape::{self, DATES, Shape};
use super::shown::Shown;
use super::{Released, alternatives};
use crate::spec::{Strength, TreatmentSpec};
use crate::treatments::AnyTreatment;
use crate::treatments::date_trunc::Unit;
use crate::treatments::time_part::Part;

/// Days of a year, as the count takes them.
const DAYS_OF_YEAR: u64 = 365;

/// What is known beside a field.
#[derive(Debug, Clone)]
pub(super) struct Known {
    /// Birth dates that are left; [`DATES`] where nothing is known.
    pub(super) dates: u64,
    /// Whether the sex is known.
    pub(super) sex: bool,
    /// Leading digits of the division that are known.
    pub(super) division: usize,
    /// Positions of the same number that another field shows.
    pub(super) positions: Vec<bool>,
}

impl Known {
    /// What others give away of a field of this shape and category.
    pub(super) fn of(category: &str, shape: Option<Shape>, others: &[&Released<'_>]) -> Self {
        let mut known = Self {
            dates: DATES,
            sex: false,
            division: 0,
            positions: Vec::new(),
        };
        for other in others {
            let parts = alternatives(&other.treatment);
            // What can't be taken apart may show everything that its field holds.
            let unknown = [TreatmentSpec::clear()];
            let parts = parts.as_deref().unwrap_or(&unknown);
            for (number, part) in parts.iter().enumerate() {
                known.learn(other, part);
                if let Some(shape) = shape {
                    known.learn_number(category, shape, other, (number, part));
                }
            }
        }
        known
    }

    /// Adds what one treatment of another field tells about the person.
    fn learn(&mut self, other: &Released<'_>, part: &TreatmentSpec) {
        self.learn_kept(part);
        // Surrogates say in words what they keep. Of everything else that isn't a pseudonym,
        // noise included, the worst is taken.
        let in_words = !part.key_uses().is_empty() && !kept(part).is_empty();
        let is_clear = part.strength() < Strength::KEYED_EQUALITY && !in_words;
        match other.category {
            "birth-date" => {
                let days = days_left(part).or_else(|| is_clear.then_some(1));
                self.dates = self.dates.min(days.unwrap_or(DATES));
            }
            "birth-year" | "age" if is_clear => {
                let years = years_left(part).max(1);
                self.dates = self.dates.min(years.saturating_mul(DAYS_OF_YEAR));
            }
            "gender" if is_clear => self.sex = true,
            "division-code" if is_clear => {
                self.division = self.division.max(division_digits(part));
            }
            _ => {}
        }
    }

    /// Adds what a treatment keeps by its own words.
    pub(super) fn learn_kept(&mut self, part: &TreatmentSpec) {
        for word in kept(part) {
            match word.as_str() {
                "sex" => self.sex = true,
                "birth-year" => self.dates = self.dates.min(DAYS_OF_YEAR),
                "province" | "region2" => self.division = self.division.max(2),
                "city" | "region4" => self.division = self.division.max(4),
                "district" | "region6" => self.division = self.division.max(6),
                _ => {}
            }
        }
    }

    /// Adds the positions that another field shows of the same number: one of the same category,
    /// or of one whose numbers hold the resident number.
    fn learn_number(
        &mut self,
        category: &str,
        shape: Shape,
        other: &Released<'_>,
        (number, part): (usize, &TreatmentSpec),
    ) {
        let Some(theirs) = shape::of(other.category) else {
            return;
        };
        let holds_the_same = shape.resident().is_some() && theirs.resident().is_some();
        if !holds_the_same && category != other.category {
            return;
        }
        let found = match other.shown(theirs, number, part) {
            Shown::Nothing => return,
            Shown::Positions(positions) => positions,
            Shown::Unknown => vec![true; theirs.example().chars().count()],
        };
        let found = match (shape.resident(), theirs.resident()) {
            (Some(own), Some(theirs)) => {
                // The resident number within one, at the place it has in the other.
                let number = found.into_iter().skip(theirs).take(18);
                std::iter::repeat_n(false, own).chain(number).collect()
            }
            _ => found,
        };
        if self.positions.len() < found.len() {
            self.positions.resize(found.len(), false);
        }
        for (known, found) in self.positions.iter_mut().zip(found) {
            *known |= found;
        }
    }
}

/// The words for what a treatment keeps.
pub(super) fn kept(treatment: &TreatmentSpec) -> Vec<String> {
    let parameters = treatment.treatment().parameters();
    let words = parameters.get("keep").and_then(serde_json::Value::as_array);
    let words = words.into_iter().flatten();
    words
        .filter_map(|word| word.as_str().map(str::to_owned))
        .collect()
}

/// How many birth dates fit a treated one, at its narrowest; `None` where that can't be told.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "other treatments of dates are not counted"
)]
pub(super) fn days_left(treatment: &TreatmentSpec) -> Option<u64> {
    match treatment.treatment() {
        _ if treatment.strength() == Strength::CLEAR => Some(1),
        AnyTreatment::DateTrunc(trunc) => Some(match trunc.unit {
            Unit::Year => DAYS_OF_YEAR,
            Unit::Quarter => 91,
            Unit::Month => 30,
            Unit::Week => 7,
            Unit::Day | Unit::Hour | Unit::Minute => 1,
        }),
        AnyTreatment::AgeBand(band) => {
            Some(u64::from(band.narrowest_years()?).saturating_mul(DAYS_OF_YEAR))
        }
        AnyTreatment::AgeFrom(_) => Some(DAYS_OF_YEAR),
        AnyTreatment::TopBottomCode(_) => Some(1),
        AnyTreatment::RankPreserving(rank) => Some(rank.step_days()),
        AnyTreatment::DateShift(shift) => Some(shift.different_shifts()),
        AnyTreatment::TimePart(part) => {
            let shown = part.parts_shown().into_iter();
            Some(
                shown
                    .fold(DATES, |left, part| left / values_of(part))
                    .max(1),
            )
        }
        _ => None,
    }
}

/// How many parts of birth dates there are of that kind.
fn values_of(part: Part) -> u64 {
    match part {
        Part::Year => DATES / DAYS_OF_YEAR,
        Part::Quarter => 4,
        Part::Month => 12,
        Part::Week => 53,
        Part::Day => 31,
        Part::Weekday => 7,
        Part::Hour | Part::Minute | Part::Second => 1,
    }
}

/// How many years fit a treated age or year of birth, at its narrowest.
fn years_left(treatment: &TreatmentSpec) -> u64 {
    let parameters = treatment.treatment().parameters();
    let whole = |value: &serde_json::Value| -> Option<u64> {
        let text = value.as_str()?;
        text.split('.').next()?.parse().ok()
    };
    if let Some(edges) = parameters
        .get("edges")
        .and_then(serde_json::Value::as_array)
    {
        let edges: Vec<u64> = edges.iter().filter_map(whole).collect();
        let between = edges.windows(2).filter_map(|pair| match pair {
            [lower, upper] => upper.checked_sub(*lower),
            _ => None,
        });
        return between.chain(edges.first().copied()).min().unwrap_or(1);
    }
    let width = ["width", "to"]
        .into_iter()
        .filter_map(|name| parameters.get(name));
    width.filter_map(whole).min().unwrap_or(1)
}

/// Leading digits of a division code that are left.
fn division_digits(treatment: &TreatmentSpec) -> usize {
    let parameters = treatment.treatment().parameters();
    let level = parameters.get("level").and_then(serde_json::Value::as_str);
    match level {
        Some("province") => 2,
        Some("city") => 4,
        _ => 6,
    }
}
