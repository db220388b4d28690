//! What a plan can say before anything is delivered: how much of it a leak must hold to be traced,
//! and how far marks will move the values.
//!
//! The score of a leaker grows with each carrier by a mean D and a variance V, those of the
//! logarithm of the weight in the fair channel. It must reach ln(H·N/ε) and what averaging over the
//! grid costs. The number of carriers for which it does with probability 95 % is that of a normal
//! approximation. For more than one member it is that of *one given* member; that any of them is
//! accused needs fewer. Cells of one place count once, so fields of few places may never have as many.

use super::score::{Channel, Standard, Strategy, ln_shares, tag_drift};
use super::tag::TagSpace;

/// The 95 % quantile of the normal distribution.
const QUANTILE: f64 = 1.644_853_626_951_472_2;

/// Least share of noise that is reckoned with: nothing is quite clean.
const NOISE_MIN: f64 = 1e-9;

/// Most rows that are reckoned with: more than any table has.
const ROWS_MAX: f64 = 1e15;

/// What a field of a delivery has for a trace to read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Readable {
    /// The share of its cells that are marked.
    pub density: f64,
    /// How many tags there are; none where its cells show symbols.
    pub tag: Option<TagSpace>,
    /// How many different places its cells have, where that is known: what stands in one place
    /// counts once, in however many rows.
    pub places: Option<u64>,
}

impl Readable {
    /// A carrier in every row, each in a place of its own.
    const CARRIER: Self = Self {
        density: 1.0,
        tag: None,
        places: None,
    };

    /// Different carriers that so many rows are expected to have, drawn evenly from its places.
    fn carriers(&self, rows: f64) -> f64 {
        let different = match self.places {
            Some(places) => {
                let places = real(places.max(1));
                -places * (rows * (-1.0 / places).ln_1p()).exp_m1()
            }
            None => rows,
        };
        self.density * different
    }
}

/// Carriers that a leak by `members` grants, each cell from one of them, must have for a given
/// member to be accused with probability 95 %, if a share `altered` of the cells was replaced.
/// Infinite if all of them were.
pub fn carriers_needed(members: u8, altered: f64, standard: &Standard) -> f64 {
    rows_traced(members, altered, &[Readable::CARRIER], standard)
}

/// Different rows that such a leak must have, symbols and tags together: see [`carriers_needed`].
/// Infinite too where its fields have too few places for any number of rows.
pub fn rows_traced(members: u8, altered: f64, fields: &[Readable], standard: &Standard) -> f64 {
    needed(members, altered, fields, standard).ceil()
}

/// How many carriers of symbols one of so many tags counts as: those that name one leaker in its
/// place.
pub fn tag_worth(space: TagSpace, standard: &Standard) -> f64 {
    let tag = Readable {
        tag: Some(space),
        ..Readable::CARRIER
    };
    (carriers_needed(1, 0.0, standard) / needed(1, 0.0, &[tag], standard)).floor()
}

/// How many rows: those in which symbols and tags together reach what is wanted, or one of them does
/// by itself; the other then neither gains nor costs much.
fn needed(members: u8, altered: f64, fields: &[Readable], standard: &Standard) -> f64 {
    let (tags, symbols): (Vec<Readable>, Vec<Readable>) = fields
        .iter()
        .copied()
        .partition(|field| field.tag.is_some());
    let ways: [&[Readable]; 3] = [fields, &symbols, &tags];
    ways.map(|fields| needed_of_all(members, altered, fields, standard))
        .into_iter()
        .fold(f64::INFINITY, f64::min)
}

fn needed_of_all(members: u8, altered: f64, fields: &[Readable], standard: &Standard) -> f64 {
    let (members, noise) = (members.max(1), altered.clamp(NOISE_MIN, 1.0));
    let mut wanted = standard.accused_from();
    if fields.iter().any(|field| field.tag.is_none()) {
        let channels: f64 = Channel::all().iter().map(|_| 1.0).sum();
        wanted += channels.ln();
    }
    if fields.iter().any(|field| field.tag.is_some()) {
        wanted += ln_shares();
    }
    let channel = Channel::Coalition {
        members,
        strategy: Strategy::Interleave,
        noise,
    };
    let of_symbol = channel.drift();
    let drifts = fields.iter().map(|field| match field.tag {
        None => (field, of_symbol),
        Some(space) => (field, tag_drift(space, (1.0 - noise) / f64::from(members))),
    });
    let drifts: Vec<(&Readable, (f64, f64))> = drifts.collect();
    let reached = |rows: f64| {
        let (mut drift, mut variance) = (0.0, 0.0);
        for (field, of_carrier) in &drifts {
            let carriers = field.carriers(rows);
            drift += carriers * of_carrier.0;
            variance += carriers * of_carrier.1;
        }
        (drift, QUANTILE * variance.max(0.0).sqrt())
    };
    if reached(1.0).0 <= f64::EPSILON {
        return f64::INFINITY;
    }
    least(|rows| {
        let (drift, deviation) = reached(rows);
        drift - deviation >= wanted
    })
}

/// From how many rows on something holds; infinite where it doesn't for [`ROWS_MAX`] of them.
fn least(holds: impl Fn(f64) -> bool) -> f64 {
    let mut enough = 1.0;
    while !holds(enough) {
        if enough > ROWS_MAX {
            return f64::INFINITY;
        }
        enough *= 2.0;
    }
    let mut few = 0.0;
    for _ in 0..f64::MANTISSA_DIGITS {
        let middle = f64::midpoint(few, enough);
        if holds(middle) {
            enough = middle;
        } else {
            few = middle;
        }
    }
    enough
}

/// How a number is moved to show a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflection {
    /// At the nearer border of its cell of `step` units.
    AtBorder {
        /// Units of a cell.
        step: u64,
    },
    /// Within its block of two cells of `step` units.
    InBlock {
        /// Units of a cell.
        step: u64,
    },
}

/// What marks are expected to do to the values of a field, in the field's smallest unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// The share of the values that change: half of those selected.
    pub changed: f64,
    /// The mean square of a value's move, if values lie evenly within a cell.
    pub mean_square: f64,
    /// The mean square at most, wherever values lie. Nobody knows that before a delivery: they may all
    /// stand where moves are longest, or where they are one unit, or move nowhere.
    pub mean_square_most: f64,
    /// The furthest that any value moves.
    pub furthest: f64,
}

impl Expected {
    /// For values of which a share `density` is selected.
    pub fn of(reflection: Reflection, density: f64) -> Self {
        let changed = density / 2.0;
        let (square, furthest) = match reflection {
            Reflection::AtBorder { step } => {
                let units = real(step);
                if step % 2 == 1 {
                    ((units * units + 2.0) / 3.0, units)
                } else {
                    ((units * units - 1.0) / 3.0, units - 1.0)
                }
            }
            Reflection::InBlock { step } => {
                let units = 2.0 * real(step);
                ((units * units - 1.0) / 3.0, units - 1.0)
            }
        };
        Self {
            changed,
            mean_square: changed * square,
            mean_square_most: changed * furthest * furthest,
            furthest,
        }
    }

    /// The standard deviation of the change of the mean of `values` values. The mean itself is
    /// expected to stay.
    pub fn mean_deviation(&self, values: u64) -> f64 {
        (self.mean_square / real(values.max(1))).sqrt()
    }
}

/// A count as a double.
#[expect(clippy::as_conversions, reason = "counts are far below 2^53")]
fn real(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_carriers() {
        // By the same formula with 186 channels; the larger grid costs 0.3 nats of 35.
        for (members, altered, carriers) in [
            (1, 0.0, 94.0),
            (1, 0.3, 301.0),
            (1, 0.5, 643.0),
            (2, 0.0, 534.0),
            (3, 0.3, 2_867.0),
            (5, 0.0, 3_116.0),
            (5, 0.5, 16_350.0),
        ] {
            let needed = carriers_needed(members, altered, &Standard::new(10_000));
            let ratio = needed / carriers;
            assert!(
                (0.995..1.03).contains(&ratio),
                "{members} {altered} {needed}"
            );
        }
    }

    #[test]
    fn a_handful_of_tags_is_enough() {
        // The simulated table of tags at no alteration: bits and values.
        let standard = Standard::new(10_000);
        let tag = |bits| Readable {
            tag: Some(TagSpace::of_bits(bits)),
            ..Readable::CARRIER
        };
        for (bits, values) in [(4, 12.0), (8, 6.0), (16, 3.0), (20, 3.0), (34, 2.0)] {
            let needed = rows_traced(1, 0.0, &[tag(bits)], &standard);
            assert!((needed - values).abs() < 0.5, "{bits} {needed}");
        }
        // Symbols beside tags help, tags beside symbols help more.
        let mut both = vec![Readable::CARRIER; 4];
        both.push(tag(16));
        let tags = rows_traced(5, 0.5, &[tag(16)], &standard);
        let together = rows_traced(5, 0.5, &both, &standard);
        assert!(together <= tags, "{together} {tags}");
        let single = rows_traced(1, 0.0, &both, &standard);
        assert!(single <= 3.0, "{single}");
        assert!(together < carriers_needed(5, 0.5, &standard) / 40.0);
        assert!((tag_worth(TagSpace::of_bits(16), &standard) - 32.0).abs() < 2.0);
        assert!(rows_traced(1, 1.0, &both, &standard).is_infinite());
    }

    #[test]
    fn no_number_of_rows_is_enough_where_there_are_too_few_places() {
        let standard = Standard::new(10_000);
        let among = |places| Readable {
            places: Some(places),
            ..Readable::CARRIER
        };
        for members in 1..=5 {
            let needed = carriers_needed(members, 0.0, &standard);
            let rows = |fields: &[Readable]| rows_traced(members, 0.0, fields, &standard);
            // `needed` is rounded up, so that one fewer is too few.
            let (places, few) = (whole(needed), whole(needed) - 1);
            assert!(rows(&[among(few)]).is_infinite(), "{members}");
            assert!(rows(&[among(places + 1)]).is_finite(), "{members}");
            // As many places again: those met twice cost some rows; with a great many none are.
            let twice = rows(&[among(2 * places)]) / needed;
            assert!((1.3..1.5).contains(&twice), "{members} {twice}");
            let many = rows(&[among(1_000_000_000)]) / needed;
            assert!((many - 1.0).abs() < 0.02, "{members} {many}");
            // What one field lacks, others have.
            assert!(rows(&[among(few), among(few)]).is_finite());
            let one_fewer = rows(&[among(1), Readable::CARRIER]);
            assert!((one_fewer - (needed - 1.0)).abs() < 1e-9, "{one_fewer}");
        }
        let tag = Readable {
            tag: Some(TagSpace::of_bits(16)),
            ..among(2)
        };
        assert!(rows_traced(1, 0.0, &[tag], &standard).is_infinite());
        let beside = rows_traced(1, 0.0, &[tag, Readable::CARRIER], &standard);
        assert!(beside < carriers_needed(1, 0.0, &standard), "{beside}");
    }

    #[expect(clippy::as_conversions, reason = "a whole number far below 2^53")]
    fn whole(count: f64) -> u64 {
        count as u64
    }

    #[test]
    fn more_grants_cost_little_and_more_noise_much() {
        let needed = |issued, altered| carriers_needed(1, altered, &Standard::new(issued));
        assert!(needed(1_000_000, 0.0) < 1.2 * needed(10_000, 0.0));
        assert!(needed(10_000, 0.9) > 50.0 * needed(10_000, 0.0));
        assert!(needed(10_000, 1.0).is_infinite());
    }

    #[test]
    fn moves_average_what_counting_gives() {
        for step in 1..40_u64 {
            let (mut square, mut furthest) = (0.0, 0.0_f64);
            for rest in 0..step {
                let moved = real((2 * rest + 1).min(2 * (step - 1 - rest) + 1));
                square += moved * moved / real(step);
                furthest = furthest.max(moved);
            }
            let expected = Expected::of(Reflection::AtBorder { step }, 1.0);
            assert!((expected.mean_square - square / 2.0).abs() < 1e-9, "{step}");
            assert!((expected.furthest - furthest).abs() < 1e-9, "{step}");
            let (mut square, mut furthest) = (0.0, 0.0_f64);
            for rest in 0..2 * step {
                let moved = real((2 * step - 1).abs_diff(2 * rest));
                square += moved * moved / real(2 * step);
                furthest = furthest.max(moved);
            }
            let expected = Expected::of(Reflection::InBlock { step }, 0.5);
            assert!((expected.mean_square - square / 4.0).abs() < 1e-9, "{step}");
            assert!((expected.furthest - furthest).abs() < 1e-9, "{step}");
        }
    }
}
