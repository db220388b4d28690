//! What the other fields of a delivery give away about the person a number belongs to.

use super::birth::Birth;
use super::shape::{self, BIRTH_BEGINS, RESIDENT_DIGITS, Shape};
use super::shown::Shown;
use super::{Beside, Released, alternatives};
use crate::spec::{Strength, TreatmentSpec};

/// What is known beside a field.
///
/// All fields are taken to be about one person: numbers of one category to be the same, dates of
/// birth to be the one within resident numbers, and divisions to be the one that these begin with.
#[derive(Debug, Clone)]
pub(super) struct Known<'a> {
    /// What is known of the birth date.
    pub(super) birth: Birth,
    /// Whether the sex is known.
    pub(super) sex: bool,
    /// Leading digits of the division that are known.
    pub(super) division: usize,
    /// The divisions that it may be; empty where it may be any.
    pub(super) divisions: &'a [String],
    /// Positions of the same number that another field shows.
    pub(super) positions: Vec<bool>,
}

impl<'a> Known<'a> {
    /// What is given away of a field of this shape and category.
    pub(super) fn of(category: &str, shape: Option<Shape>, beside: Beside<'a>) -> Self {
        let mut known = Self {
            birth: Birth::default(),
            sex: false,
            division: 0,
            divisions: beside.divisions,
            positions: Vec::new(),
        };
        for other in beside.others {
            let parts = alternatives(&other.treatment);
            // What can't be taken apart may show everything that its field holds.
            let unknown = [TreatmentSpec::clear()];
            let parts = parts.as_deref().unwrap_or(&unknown);
            for (number, part) in parts.iter().enumerate() {
                known.learn(other, part);
                known.learn_number((category, shape), other, (number, part));
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
                let told = Birth::told_by(part).or_else(|| is_clear.then(Birth::date));
                self.birth.add(&told.unwrap_or_default());
            }
            "birth-year" | "age" if is_clear => {
                let told = match (other.category, years_left(part)) {
                    ("birth-year", 0 | 1) => Birth::year(),
                    (_, years) => Birth::within_years(years.max(1)),
                };
                self.birth.add(&told);
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
                "birth-year" => self.birth.add(&Birth::year()),
                "province" | "region2" => self.division = self.division.max(2),
                "city" | "region4" => self.division = self.division.max(4),
                "district" | "region6" => self.division = self.division.max(6),
                _ => {}
            }
        }
    }

    /// Adds what a number in another field shows: the positions of the same number, which is one of
    /// the same category or of one whose numbers hold the resident number; and the birth date within
    /// a resident number.
    fn learn_number(
        &mut self,
        (category, shape): (&str, Option<Shape>),
        other: &Released<'_>,
        (number, part): (usize, &TreatmentSpec),
    ) {
        let Some(theirs) = shape::of(other.category) else {
            return;
        };
        let own = shape.and_then(Shape::resident);
        let holds_the_same = own.is_some() && theirs.resident().is_some();
        let is_same = holds_the_same || shape.is_some() && category == other.category;
        let holds_birth = category == "birth-date" && theirs.resident().is_some();
        if !is_same && !holds_birth {
            return;
        }
        let found = match other.shown(theirs, number, part) {
            Shown::Nothing => return,
            Shown::Positions(positions) => positions,
            Shown::Unknown => vec![true; theirs.example().chars().count()],
        };
        // The resident number within the other.
        let start = theirs.resident().unwrap_or(0);
        let resident = found.iter().copied().skip(start).take(RESIDENT_DIGITS);
        if holds_birth {
            self.birth.learn_digits(resident.skip(BIRTH_BEGINS));
            return;
        }
        let found: Vec<bool> = match own {
            // At the place that it has in this one; of one category all have theirs.
            Some(own) if holds_the_same && category != other.category => {
                std::iter::repeat_n(false, own).chain(resident).collect()
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
