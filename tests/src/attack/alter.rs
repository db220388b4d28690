//! Values changed: replaced, moved, flipped, rounded, or predicted from others.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use super::draw::Draw;
use super::sheet::{Cell, Column, Kind, Sheet};
use super::subset::one;
use super::tables::{Guess, Table};
use super::{Case, Checked};

/// Most different words of a column that is looked at for synonyms.
const WORDS_MAX: usize = 200;

/// The share of a column's values that look most out of place and are replaced: of the entries that Ji et
/// al. change, by which they distort 64.8 % of the bits of another scheme's marks.
const REPLACED: f64 = 0.142;

/// The share of symbols that may be lost by that.
const LOST_MOST: f64 = 0.05;

/// The tables in which numbers carry that have digits to lose, and others to be predicted from.
const NUMBERS: &[Table] = &[Table::Register, Table::Masked];

/// The noise that leaves no symbol, by §2.10 of the reference.
const ERASED: &str = "every cell was drawn anew, by as much as marks move them, so that nothing is left of \
                      the marks to name anybody by";

/// Half moved by the tolerance: what the two ways of finding a cell make of it.
const HALVED: &str = "cells found by their rows are as likely wrong as right, so nothing is left of their \
                      marks; those found by their own value mostly stay in their places, of several blocks \
                      each, and where there are enough of them they name the leaker";

/// Moved by half of the tolerance: the step of the cells that are found by their own value.
const HALF_STEP: &str = "half of the tolerance is a whole step of cells found by their own value, and half a \
                         step of those found by their rows: of the cells that are moved all of the former \
                         turn over and half of the latter, which show nothing any more where all are moved; \
                         the flips of the reference are by a whole step each";

/// What replacing cells costs, whatever they are replaced by.
const BY_CHANCE: &str = "of cells that are replaced by anything at all half show another symbol, so that of \
                         14.2 % replaced 7.1 % are lost; that the cells were chosen by prediction adds \
                         nothing, as what the same share drawn at random loses shows";

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (percent, carriers) in [(10, 200), (30, 400), (50, 800)] {
        let case = Case::leak(
            "A7",
            &format!("{percent} %, {carriers} carriers"),
            "a share of the cells replaced at random, as far as marks move them",
            move |world, draw| {
                one(world, draw, carriers, |sheet, draw| {
                    altered(
                        sheet,
                        world.table.guesses(),
                        f64::from(percent) / 100.0,
                        draw,
                    )
                })
            },
        );
        cases.push(case.demanding(95.0));
    }
    for (factor, name) in [(0.5, "τ/2"), (1.0, "τ"), (2.0, "2τ")] {
        for percent in [50, 100] {
            let case = Case::leak(
                "A8",
                &format!("noise of {name} on {percent} %, 1,000 carriers"),
                "noise, even within a multiple of the tolerance τ, on a share of the cells",
                move |world, draw| {
                    one(world, draw, 1_000, |sheet, draw| {
                        let share = f64::from(percent) / 100.0;
                        noisy(sheet, world.table.guesses(), factor, share, draw)
                    })
                },
            );
            let case = match (name, percent) {
                ("τ", 50) => case.demanding(95.0),
                ("τ/2", 100) => case
                    .because("numbers keep a little of their marks, and words nothing")
                    .long(true),
                (_, 100) => case.because(ERASED).naming_nobody().long(true),
                _ => case.long(true),
            };
            cases.push(case);
        }
    }
    for (step, by, words) in STEPS {
        for percent in [25, 50, 75, 100] {
            let case = Case::leak(
                "A8",
                &format!("flips of {percent} %{by}, 1,000 carriers"),
                words,
                move |world, draw| {
                    one(world, draw, 1_000, |sheet, draw| {
                        let share = f64::from(percent) / 100.0;
                        flipped(sheet, world.table.guesses(), step, share, draw)
                    })
                },
            );
            cases.push(match (step, percent) {
                (Step::Half, 25) => case.demanding(95.0).long(true),
                (Step::Half, _) => case.because(HALF_STEP).long(true),
                (Step::Whole, 50) => case.because(HALVED).naming_nobody().long(true),
                (Step::Whole, _) => case.demanding(95.0),
            });
        }
    }
    cases.push(
        Case::leak(
            "A9",
            "half of the cells, 1,000 carriers left",
            "half of the numbers rounded to more than marks move them, half of the times cut to the \
             minute",
            |world, draw| {
                one(world, draw, 2_000, |sheet, draw| {
                    rounded(sheet, world.table.guesses(), 0.5, draw)
                })
            },
        )
        .demanding(95.0)
        .on(NUMBERS),
    );
    let words = "of each column of numbers the 14.2 % that are furthest from what the best other column \
                 predicts, replaced by that";
    let predicted_leak = Case::leak(
        "A21",
        "14.2 % replaced, 1,000 carriers",
        words,
        |world, draw| one(world, draw, 1_000, |sheet, _| predicted(sheet)),
    );
    let lost = Case::check(
        "A21",
        "14.2 % replaced, symbols lost",
        "the same: symbols changed, at most 5 in a hundred",
        |world, draw| {
            let guesses = world.table.guesses();
            let leak = one(world, draw, 1_000, |sheet, _| sheet)?;
            let after = predicted(leak.sheet.clone());
            let changed = symbols_changed(&leak.sheet, &after, guesses);
            let by_chance = altered(leak.sheet.clone(), guesses, REPLACED, draw);
            let by_chance = symbols_changed(&leak.sheet, &by_chance, guesses);
            let note = format!(
                "{:.1} % of the symbols, by cells drawn at random {:.1} %",
                changed * 100.0,
                by_chance * 100.0
            );
            Ok(Checked::of(changed <= LOST_MOST, note))
        },
    );
    cases.push(predicted_leak.demanding(95.0).on(NUMBERS));
    cases.push(lost.on(NUMBERS).falling_short_because(BY_CHANCE));
    cases
}

/// How far flips move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// By the tolerance.
    Whole,
    /// By half of it.
    Half,
}

/// Steps of flips, how they are told from others, and what is done.
const STEPS: [(Step, &str, &str); 2] = [
    (
        Step::Whole,
        "",
        "a share of the cells moved by exactly the tolerance, or to the other word",
    ),
    (
        Step::Half,
        " by half the tolerance",
        "a share of the cells moved by exactly half of the tolerance, or to the other word",
    ),
];

/// A share of the cells replaced by what could as well be there: numbers by any within reach, words
/// by either of two.
pub(super) fn altered(sheet: Sheet, guesses: &[Guess], share: f64, draw: &mut Draw) -> Sheet {
    noisy(sheet, guesses, 1.0, share, draw)
}

/// A share of the cells moved within `factor` times their reach; words become either of two.
fn noisy(sheet: Sheet, guesses: &[Guess], factor: f64, share: f64, draw: &mut Draw) -> Sheet {
    changed(sheet, guesses, share, draw, |move_of, draw| match move_of {
        Move::Number { reach } => {
            let reach = (*reach as f64 * factor).round() as i128;
            Some(draw.between(-reach, reach))
        }
        Move::Word => draw.chance(0.5).then_some(0),
    })
}

/// A share of the cells moved by a step, up or down; words become the other of two.
fn flipped(sheet: Sheet, guesses: &[Guess], step: Step, share: f64, draw: &mut Draw) -> Sheet {
    changed(sheet, guesses, share, draw, |move_of, draw| match move_of {
        Move::Number { reach } => {
            let by = match step {
                Step::Whole => *reach,
                Step::Half => *reach / 2,
            };
            Some(if draw.chance(0.5) { by } else { -by })
        }
        Move::Word => Some(0),
    })
}

/// What may be done to a cell.
enum Move {
    Number { reach: i128 },
    Word,
}

/// Changes a share of the cells of the columns that are guessed at: numbers by so many grains, words
/// to their twin.
fn changed(
    mut sheet: Sheet,
    guesses: &[Guess],
    share: f64,
    draw: &mut Draw,
    by: impl Fn(&Move, &mut Draw) -> Option<i128>,
) -> Sheet {
    for guess in guesses {
        let Some(column) = sheet.column_mut(guess.column()) else {
            continue;
        };
        let twins = twins(column);
        let (kind, grain) = match guess {
            Guess::Number { reach, grain, .. } => (Move::Number { reach: *reach }, *grain),
            Guess::Words { .. } => (Move::Word, 0),
        };
        for cell in &mut column.cells {
            if !draw.chance(share) {
                continue;
            }
            let Some(moved) = by(&kind, draw) else {
                continue;
            };
            match cell {
                Cell::Number(number) => *number += moved * grain,
                Cell::Text(text) => {
                    if let Some(twin) = twins.get(text) {
                        *text = Arc::clone(twin);
                    }
                }
                Cell::Null => {}
            }
        }
    }
    sheet
}

/// Words of a column that mean the same, as anyone sees who looks at them: one within the other.
pub(super) fn twins(column: &Column) -> BTreeMap<Arc<str>, Arc<str>> {
    let mut words: BTreeSet<&Arc<str>> = BTreeSet::new();
    for cell in &column.cells {
        if let Cell::Text(text) = cell {
            words.insert(text);
        }
        if words.len() > WORDS_MAX {
            return BTreeMap::new();
        }
    }
    let mut twins = BTreeMap::new();
    for short in &words {
        let longer = words
            .iter()
            .filter(|word| *word != short && word.contains(&***short));
        if let Some(long) = longer.min_by_key(|word| word.len()) {
            twins.insert(Arc::clone(short), Arc::clone(long));
            twins.insert(Arc::clone(long), Arc::clone(short));
        }
    }
    twins
}

/// A share of the cells rounded so that nothing is left of what marks did to them: numbers to the nearest
/// multiple of the power of ten that is twice as far as marks move them or more, times down to the minute,
/// which is no less.
fn rounded(mut sheet: Sheet, guesses: &[Guess], share: f64, draw: &mut Draw) -> Sheet {
    for guess in guesses {
        let Guess::Number {
            column,
            reach,
            grain,
        } = guess
        else {
            continue;
        };
        let Some(column) = sheet.column_mut(column) else {
            continue;
        };
        let (unit, up) = match column.kind {
            Kind::Time(digits) => (60 * 10_i128.pow(digits), 0),
            Kind::Decimal(_) => {
                let far = 2 * *reach * *grain;
                let powers = iter::successors(Some(1_i128), |power| power.checked_mul(10));
                let mut coarse = powers.filter(|power| *power >= far);
                let unit = coarse.next().expect("a power of ten");
                (unit, unit / 2)
            }
            // Days have no digit to lose.
            Kind::Date | Kind::Text => continue,
        };
        for cell in &mut column.cells {
            if let Cell::Number(number) = cell
                && draw.chance(share)
            {
                *number = (*number + up).div_euclid(unit) * unit;
            }
        }
    }
    sheet
}

/// Replaces the numbers that are furthest from what the best other column predicts (Ji et al., "The Curse of
/// Correlations for Robust Fingerprinting of Relational Databases", 2021), as many of each column.
fn predicted(sheet: Sheet) -> Sheet {
    let numbers: Vec<(usize, Vec<f64>)> = sheet
        .columns
        .iter()
        .enumerate()
        .filter(|(_, column)| column.kind != Kind::Text)
        .map(|(at, column)| {
            let cells = column.cells.iter().map(|cell| match cell {
                Cell::Number(number) => *number as f64,
                Cell::Null | Cell::Text(_) => f64::NAN,
            });
            (at, cells.collect())
        })
        .collect();
    let mut after = sheet.clone();
    for (at, values) in &numbers {
        let others = numbers.iter().filter(|(other, _)| other != at);
        let lines = others.map(|(_, other)| (Line::through(other, values), other));
        let best = lines.min_by(|(one, _), (two, _)| one.deviation.total_cmp(&two.deviation));
        let Some((line, by)) = best else { continue };
        let expected: Vec<f64> = by.iter().map(|other| line.at(*other)).collect();
        let off = |row: &usize| (values[*row] - expected[*row]).abs();
        let mut rows: Vec<usize> = (0..values.len()).collect();
        rows.sort_by(|one, two| off(two).total_cmp(&off(one)));
        rows.truncate((values.len() as f64 * REPLACED).round() as usize);
        for row in rows {
            after.columns[*at].cells[row] = Cell::Number(expected[row].round() as i128);
        }
    }
    after
}

/// A line by least squares.
struct Line {
    mean: (f64, f64),
    slope: f64,
    deviation: f64,
}

impl Line {
    fn through(xs: &[f64], ys: &[f64]) -> Self {
        let count = xs.len() as f64;
        let mean = (
            xs.iter().sum::<f64>() / count,
            ys.iter().sum::<f64>() / count,
        );
        let both = || xs.iter().zip(ys).map(|(x, y)| (x - mean.0, y - mean.1));
        let variance: f64 = both().map(|(x, _)| x * x).sum();
        let slope = match variance > 0.0 {
            true => both().map(|(x, y)| x * y).sum::<f64>() / variance,
            false => 0.0,
        };
        let square: f64 = both().map(|(x, y)| (y - slope * x).powi(2)).sum();
        Self {
            mean,
            slope,
            deviation: (square / count).sqrt(),
        }
    }

    fn at(&self, x: f64) -> f64 {
        self.mean.1 + self.slope * (x - self.mean.0)
    }
}

/// The share of the cells whose symbol is another, read as if each were found by its row.
fn symbols_changed(before: &Sheet, after: &Sheet, guesses: &[Guess]) -> f64 {
    let (mut all, mut changed) = (0.0, 0.0);
    for guess in guesses {
        let Guess::Number {
            column,
            reach,
            grain,
        } = guess
        else {
            continue;
        };
        let columns = before.column(column).zip(after.column(column));
        let Some((before, after)) = columns else {
            continue;
        };
        let symbol = |cell: &Cell| match cell {
            Cell::Number(number) => number.div_euclid(reach * grain).rem_euclid(2),
            Cell::Null | Cell::Text(_) => -1,
        };
        for (before, after) in before.cells.iter().zip(&after.cells) {
            all += 1.0;
            changed += f64::from(u8::from(symbol(before) != symbol(after)));
        }
    }
    changed / f64::max(all, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(kind: Kind, cells: Vec<Cell>) -> Sheet {
        let name = "value".to_owned();
        Sheet {
            columns: vec![Column { name, kind, cells }],
        }
    }

    const NUMBER: &[Guess] = &[Guess::Number {
        column: "value",
        reach: 30,
        grain: 1_000,
    }];
    const WORDS: &[Guess] = &[Guess::Words { column: "value" }];

    fn numbers(sheet: &Sheet) -> Vec<i128> {
        let cells = sheet.columns[0].cells.iter();
        cells
            .map(|cell| match cell {
                Cell::Number(number) => *number,
                Cell::Null | Cell::Text(_) => panic!("no number"),
            })
            .collect()
    }

    fn thousand() -> Sheet {
        sheet(Kind::Decimal(0), vec![Cell::Number(100_000); 1_000])
    }

    fn words(words: [&str; 3]) -> Sheet {
        let cells = words.map(|word| Cell::Text(word.into()));
        sheet(Kind::Text, cells.to_vec())
    }

    #[test]
    fn flips_move_by_the_reach_and_words_to_the_other() {
        for (step, by) in [(Step::Whole, 30_000), (Step::Half, 15_000)] {
            let after = flipped(thousand(), NUMBER, step, 1.0, &mut Draw::of(&["1"]));
            let all = numbers(&after);
            let moves = [100_000 - by, 100_000 + by];
            assert!(all.iter().all(|number| moves.contains(number)));
            let up = all.iter().filter(|number| **number > 100_000).count();
            assert!((400..600).contains(&up));
        }
        let after = flipped(
            words(["北京", "北京市", "广州"]),
            WORDS,
            Step::Whole,
            1.0,
            &mut Draw::of(&["1"]),
        );
        assert_eq!(after, words(["北京市", "北京", "广州"]));
    }

    #[test]
    fn noise_stays_within_its_reach_and_hits_its_share() {
        for (factor, most) in [(0.5, 15_000), (1.0, 30_000), (2.0, 60_000)] {
            let after = noisy(thousand(), NUMBER, factor, 0.5, &mut Draw::of(&["2"]));
            let moves: Vec<i128> = numbers(&after).iter().map(|to| to - 100_000).collect();
            let changed = moves.iter().filter(|moved| **moved != 0).count();
            assert!((400..600).contains(&changed), "{changed}");
            assert!(moves.iter().all(|by| by.abs() <= most && by % 1_000 == 0));
            assert!(moves.iter().any(|by| by.abs() > most / 2));
        }
    }

    #[test]
    fn rounding_leaves_nothing_of_the_cells_that_marks_move_between() {
        let guess = &[Guess::Number {
            column: "value",
            reach: 500,
            grain: 1,
        }];
        let cells = vec![Cell::Number(1_499), Cell::Number(-1_501), Cell::Null];
        let after = rounded(
            sheet(Kind::Decimal(2), cells),
            guess,
            1.0,
            &mut Draw::of(&["3"]),
        );
        let wanted = vec![Cell::Number(1_000), Cell::Number(-2_000), Cell::Null];
        assert_eq!(after.columns[0].cells, wanted);
        // Half of the cells; of these every other shows another symbol.
        let cells: Vec<Cell> = (0..4_000).map(|at| Cell::Number(at * 37)).collect();
        let before = sheet(Kind::Decimal(2), cells);
        let after = rounded(before.clone(), guess, 0.5, &mut Draw::of(&["4"]));
        let lost = symbols_changed(&before, &after, guess);
        assert!((0.22..0.28).contains(&lost), "{lost}");
        let times = sheet(Kind::Time(0), vec![Cell::Number(125)]);
        let after = rounded(times, NUMBER, 1.0, &mut Draw::of(&["3"]));
        assert_eq!(numbers(&after), [120]);
    }

    #[test]
    fn what_is_far_off_is_replaced_by_what_the_other_column_predicts() {
        let mut both = sheet(Kind::Decimal(0), (0..100).map(Cell::Number).collect());
        let mut other = both.columns[0].clone();
        other.name = "other".to_owned();
        other.cells[50] = Cell::Number(500);
        both.columns.push(other);
        let after = predicted(both.clone());
        let Cell::Number(put) = after.columns[1].cells[50] else {
            panic!("no number");
        };
        assert!((40..70).contains(&put), "{put}");
        // As many of each column as are said to be, but for those that are what is predicted.
        for (before, after) in both.columns.iter().zip(&after.columns) {
            let pairs = before.cells.iter().zip(&after.cells);
            let replaced = pairs.filter(|(before, after)| before != after).count();
            assert!((10..=14).contains(&replaced), "{}: {replaced}", after.name);
        }
    }

    #[test]
    fn changed_symbols_are_counted() {
        let guess = &[Guess::Number {
            column: "value",
            reach: 10,
            grain: 1,
        }];
        let before = sheet(Kind::Decimal(0), [1, 12, 25, 38].map(Cell::Number).to_vec());
        let after = sheet(Kind::Decimal(0), [9, 9, 45, 38].map(Cell::Number).to_vec());
        let share = symbols_changed(&before, &after, guess);
        assert!((share - 0.25).abs() < 1e-9, "{share}");
    }
}
