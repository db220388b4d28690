//! Whether marks show: digits and parities of a delivery beside those of one without marks.

use std::iter;

use super::draw::Draw;
use super::sheet::{Cell, Column, Sheet};
use super::tables::{Guess, Table};
use super::world::World;
use super::{Case, Checked, Unfit};

/// How the page's test differs from the reference's.
const TOGETHER: &str = "the reference asks for p > 0.01: here that is asked of all tests of a leak together \
                        (Bonferroni: of n tests the least p is to be above 0.01/n), which of a hundred \
                        seeds one may miss where there is nothing to see, and of 95 % of the seeds; words \
                        that mean the same are left out, since their shares are what the source happens to \
                        have. There is a little to see: amounts that crowd near zero fall into even cells of \
                        the tolerance more often than into odd ones, by a fiftieth, and marks halve that, so \
                        that whoever has unmarked rows of the same table may tell that a copy is marked, and \
                        not where";

/// What is said of the least chance of a leak.
const LEAST: &str = "tests the least chance is ";

/// Rows of each of the two samples, and the fewest that say anything.
const ROWS: usize = 5_000;
const ROWS_MIN: usize = 1_000;

/// The chance that all tests of a leak together find a difference where there is none.
const LEVEL: f64 = 0.01;

pub(super) fn cases() -> Vec<Case> {
    let visible = Case::check(
        "A22",
        "digits and parities",
        "a delivery beside other rows of the same one without marks: last digits, and the parity of \
         cells of the tolerance, its half, its quarter and so on; chi-square, at 1 % for all together",
        |world, draw| looked_at(world, draw, &["key", "content"]),
    );
    let own = Case::check(
        "A22",
        "digits and parities, found by their own value",
        "the same for the column whose cells are found by their own value",
        |world, draw| looked_at(world, draw, &["value"]),
    );
    let numbers: &[Table] = &[Table::Register, Table::Masked];
    let mut own = own.on(numbers).because("reported, no demand is made");
    own.demand = None;
    let visible = visible.on(numbers).because(TOGETHER);
    vec![visible.demanding(95.0), own]
}

/// Compares columns that are found so with those of a delivery without marks, in other rows: of the same
/// rows the two would not be independent.
fn looked_at(world: &World, draw: &mut Draw, found_by: &[&str]) -> Result<Checked, Unfit> {
    let count = ROWS.min(world.size.rows / 2);
    if count < ROWS_MIN {
        return Err(Unfit::Rows);
    }
    let rows = draw.choose(2 * count, world.size.rows);
    let (rows, others) = rows.split_at(count);
    let marked = world.copy(world.leaker(draw), rows);
    let plain = Sheet::of(world.plain(), others);
    let is_asked = |name: &str| {
        let mut carriers = world.carriers.iter();
        carriers.any(|of| of.field == name && found_by.contains(&of.found_by.as_str()))
    };
    let mut tests: Vec<(f64, String)> = Vec::new();
    for guess in world.table.guesses() {
        let Guess::Number {
            column,
            reach,
            grain,
        } = guess
        else {
            continue;
        };
        let columns = marked.column(column).zip(plain.column(column));
        let Some((marked, plain)) = columns.filter(|_| is_asked(column)) else {
            continue;
        };
        let digits = chance::<10>(marked, plain, *grain);
        tests.push((digits, format!("last digits of {column}")));
        for step in steps(*reach) {
            let parity = chance::<2>(marked, plain, step * grain);
            tests.push((parity, format!("parity of {column} by {step}")));
        }
    }
    let count = tests.len() as f64;
    let least = tests
        .into_iter()
        .min_by(|one, other| one.0.total_cmp(&other.0));
    let (least, what) = least.ok_or(Unfit::Table)?;
    Ok(Checked::of(
        least * count > LEVEL,
        format!("of {count} {LEAST}{least:.5}: {what}"),
    ))
}

/// The least chance that a note says a leak had.
pub(super) fn least_chance(note: &str) -> Option<f64> {
    let (_, after) = note.split_once(LEAST)?;
    let (least, _) = after.split_once(':')?;
    least.parse().ok()
}

/// The tolerance, its half, and so on down to two.
fn steps(reach: i128) -> impl Iterator<Item = i128> {
    iter::successors(Some(reach), |step| Some(step / 2)).take_while(|step| *step >= 2)
}

/// The chance that two samples of one distribution differ so much in the last of `BINS` digits of
/// their values' number of units.
fn chance<const BINS: usize>(one: &Column, other: &Column, unit: i128) -> f64 {
    let counted = |column: &Column| {
        let mut counts = [0.0_f64; BINS];
        for cell in &column.cells {
            if let Cell::Number(number) = cell {
                let bin = number.div_euclid(unit).rem_euclid(BINS as i128);
                counts[bin as usize] += 1.0;
            }
        }
        counts
    };
    let pairs = iter::zip(counted(one), counted(other));
    let square = pairs.map(|(one, other)| (one - other).powi(2) / f64::max(one + other, 1.0));
    upper_tail(square.sum(), BINS - 1)
}

/// The chance that chi-square with an odd number of degrees of freedom is larger.
fn upper_tail(square: f64, degrees: usize) -> f64 {
    let half = square / 2.0;
    let mut tail = erfc(half.sqrt());
    let mut term = (-half).exp() * (4.0 * half / std::f64::consts::PI).sqrt();
    for below in (1..degrees).step_by(2) {
        tail += term;
        term *= half / (below as f64 / 2.0 + 1.0);
    }
    tail
}

/// The complementary error function of a number that isn't negative, with a relative error of 1e-7
/// (Press et al., Numerical Recipes, §6.2).
fn erfc(x: f64) -> f64 {
    const POWERS: [f64; 10] = [
        0.170_872_77,
        -0.822_152_23,
        1.488_515_87,
        -1.135_203_98,
        0.278_868_07,
        -0.186_288_06,
        0.096_784_18,
        0.374_091_96,
        1.000_023_68,
        -1.265_512_23,
    ];
    let by = 1.0 / (1.0 + x / 2.0);
    let sum = POWERS.iter().fold(0.0, |sum, power| sum * by + power);
    by * (sum - x * x).exp()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::sheet::Kind;

    fn column(numbers: impl Iterator<Item = i128>) -> Column {
        Column {
            name: "value".to_owned(),
            kind: Kind::Decimal(0),
            cells: numbers.map(Cell::Number).collect(),
        }
    }

    #[test]
    fn the_quantiles_of_chi_square_are_those_of_the_tables() {
        for (square, degrees, tail) in [
            (6.635, 1, 0.01),
            (3.841, 1, 0.05),
            (21.666, 9, 0.01),
            (16.919, 9, 0.05),
        ] {
            let found = upper_tail(square, degrees);
            assert!((found - tail).abs() < 2e-5, "{square} {degrees}: {found}");
        }
        assert!((upper_tail(0.0, 9) - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_shift_to_one_parity_shows_and_another_sample_does_not() {
        let mut draw = Draw::of(&["parity"]);
        let mut sample = |odd: f64| {
            let numbers: Vec<i128> = (0..5_000)
                .map(|_| {
                    let cell = 2 * draw.between(0, 1_000) + i128::from(draw.chance(odd));
                    500 * cell + draw.between(0, 499)
                })
                .collect();
            column(numbers.into_iter())
        };
        let (even, same, shifted) = (sample(0.5), sample(0.5), sample(0.55));
        assert!(chance::<2>(&even, &same, 500) > 1e-3);
        assert!(chance::<2>(&even, &shifted, 500) < 1e-4);
        assert!(chance::<10>(&even, &shifted, 1) > 1e-3);
    }

    #[test]
    fn the_least_chance_is_read_from_the_note() {
        // As earlier results have it.
        let note = "of 5 tests the least chance is 0.01234: parity of updated by 15";
        assert_eq!(least_chance(note), Some(0.01234));
        assert_eq!(least_chance("too few rows"), None);
    }

    #[test]
    fn steps_are_the_tolerance_and_its_halves() {
        assert!(steps(30).eq([30, 15, 7, 3]));
    }
}
