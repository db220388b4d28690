//! Several recipients who put their copies together.

use std::collections::BTreeMap;

use lockgate_transforms::marks::code::Class;

use super::alter::{altered, twins};
use super::draw::Draw;
use super::sheet::{Cell, Column, Form, Sheet};
use super::tables::{Guess, Table};
use super::tags::with_altered_pseudonyms;
use super::world::{DENSITY, World};
use super::{Case, Leak, Unfit};

/// A column in which so large a share of the rows differs holds each copy's own pseudonyms.
const PSEUDONYMS: f64 = 0.9;

/// How a coalition makes one copy of several.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strategy {
    /// Each row from one of them.
    Rows,
    /// Each cell from one of them.
    Cells,
    /// What most have.
    Majority,
    /// What fewest have.
    Minority,
    /// Where they differ, any of the values.
    Coin,
    /// Where they differ, the value that shows a one, as far as can be guessed.
    Ones,
    /// Where they differ, the value that shows a zero.
    Zeros,
    /// The mean of numbers.
    Average,
    /// The middle of numbers.
    Median,
    /// Only rows in which all agree.
    AgreeingRows,
    /// Cells in which they differ are emptied.
    AgreeingCells,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Self; 11] = [
        Self::Rows,
        Self::Cells,
        Self::Majority,
        Self::Minority,
        Self::Coin,
        Self::Ones,
        Self::Zeros,
        Self::Average,
        Self::Median,
        Self::AgreeingRows,
        Self::AgreeingCells,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::Rows => "row by row",
            Self::Cells => "cell by cell",
            Self::Majority => "majority",
            Self::Minority => "minority",
            Self::Coin => "coin",
            Self::Ones => "all ones",
            Self::Zeros => "all zeros",
            Self::Average => "average",
            Self::Median => "median",
            Self::AgreeingRows => "only agreeing rows",
            Self::AgreeingCells => "differing cells emptied",
        }
    }

    /// Whether it leaves out what differs.
    fn leaves_out(self) -> bool {
        matches!(self, Self::AgreeingRows | Self::AgreeingCells)
    }
}

/// Carriers that so many colluders need, clean and with 30 % altered (§2.7 of the reference).
const NEEDED: [(usize, usize, usize); 4] = [
    (2, 407, 1_012),
    (3, 848, 2_110),
    (4, 1_358, 3_476),
    (5, 1_932, 5_093),
];

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (members, clean, at_30) in NEEDED {
        for (altered, needed) in [(0.0, clean), (0.3, at_30)] {
            for strategy in Strategy::ALL {
                let carriers = needed * 5 / 4;
                let case = Case::leak(
                    "A17",
                    &format!(
                        "{members} colluders, {:.0} % altered, {carriers} carriers",
                        altered * 100.0
                    ),
                    "copies put together in eleven ways",
                    move |world, draw| together(world, draw, members, strategy, carriers, altered),
                );
                let is_long = members > 2 || altered > 0.0;
                let case = case.demanding(95.0).long(is_long).large();
                let case = case.as_one_of(strategy.name());
                cases.push(match strategy {
                    // Pseudonyms of each copy's own have no majority, no mean and none that agree.
                    Strategy::Rows | Strategy::Cells => case.on(&Table::ALL),
                    Strategy::Majority
                    | Strategy::Minority
                    | Strategy::Coin
                    | Strategy::Ones
                    | Strategy::Zeros
                    | Strategy::Average
                    | Strategy::Median
                    | Strategy::AgreeingRows
                    | Strategy::AgreeingCells => case,
                });
            }
        }
    }
    cases.push(
        Case::leak(
            "A19",
            "3 colluders, 30 % altered, 5,000 carriers left",
            "copies put together cell by cell, half of the rows left out, a share altered",
            |world, draw| together(world, draw, 3, Strategy::Cells, 5_000, 0.3),
        )
        .demanding(95.0)
        .large()
        .on(&Table::ALL)
        .long_on(&[Table::Tagged]),
    );
    cases
}

/// A leak by so many with so many carriers left, of which a share is then altered.
fn together(
    world: &World,
    draw: &mut Draw,
    members: usize,
    strategy: Strategy,
    carriers: usize,
    share: f64,
) -> Result<Leak, Unfit> {
    let leakers = world.leakers(members, draw)?;
    let guesses = world.table.guesses();
    let wanted = world.rows_for(carriers)?;
    let rows = if strategy.leaves_out() {
        draw.choose(world.size.rows.min(wanted * 40), world.size.rows)
    } else {
        draw.choose(wanted, world.size.rows)
    };
    let copies: Vec<Sheet> = leakers
        .iter()
        .map(|leaker| world.copy(*leaker, &rows))
        .collect();
    let mut sheet = merged(&copies, strategy, guesses, draw);
    if strategy.leaves_out() {
        sheet = with_cells(sheet, guesses, cells_of(carriers, members))?;
    }
    if share > 0.0 {
        sheet = altered(sheet, guesses, share, draw);
        if world.table == Table::Tagged {
            sheet = with_altered_pseudonyms(sheet, share, draw);
        }
    }
    Ok(Leak {
        sheet,
        form: Form::Csv,
        leakers,
    })
}

/// Of how many cells in which all members agree so many carry a mark: those that carry none agree always.
fn cells_of(carriers: usize, members: usize) -> usize {
    let agree = Class::ALL.map(|class| {
        let all = |bias: f64| bias.powi(members as i32);
        class.weight() * (all(class.bias()) + all(1.0 - class.bias()))
    });
    let marked = DENSITY * agree.iter().sum::<f64>();
    (carriers as f64 * (marked + 1.0 - DENSITY) / marked).ceil() as usize
}

/// The first rows that hold so many values of the columns that could carry.
fn with_cells(sheet: Sheet, guesses: &[Guess], cells: usize) -> Result<Sheet, Unfit> {
    let columns: Vec<&Column> = guesses
        .iter()
        .filter_map(|guess| sheet.column(guess.column()))
        .collect();
    let mut found = 0;
    for row in 0..sheet.rows() {
        let here = columns
            .iter()
            .filter(|column| column.cells[row] != Cell::Null);
        found += here.count();
        if found >= cells {
            let rows: Vec<usize> = (0..=row).collect();
            return Ok(sheet.take(&rows));
        }
    }
    Err(Unfit::Rows)
}

/// One copy made of several, whose rows are the same people in the same order.
fn merged(copies: &[Sheet], strategy: Strategy, guesses: &[Guess], draw: &mut Draw) -> Sheet {
    let rows = copies[0].rows();
    let members: Vec<usize> = (0..rows).map(|_| draw.below(copies.len())).collect();
    let mut sheet = copies[0].clone();
    let mut agrees = vec![true; rows];
    for (at, made) in sheet.columns.iter_mut().enumerate() {
        let columns: Vec<&Column> = copies.iter().map(|copy| &copy.columns[at]).collect();
        let differs = |row: usize| {
            let first = &columns[0].cells[row];
            columns.iter().any(|column| column.cells[row] != *first)
        };
        let differing: Vec<usize> = (0..rows).filter(|row| differs(*row)).collect();
        let is_own = differing.len() as f64 > PSEUDONYMS * rows as f64;
        let sides = Sides::of(&columns, &differing, guesses);
        for row in differing {
            let shown: Vec<&Cell> = columns.iter().map(|column| &column.cells[row]).collect();
            agrees[row] &= is_own;
            made.cells[row] = match strategy {
                Strategy::Rows => shown[members[row]].clone(),
                _ if is_own => shown[members[row]].clone(),
                Strategy::AgreeingCells => Cell::Null,
                Strategy::Ones => sides.showing(&shown, true, draw),
                Strategy::Zeros => sides.showing(&shown, false, draw),
                Strategy::Majority
                | Strategy::Minority
                | Strategy::Coin
                | Strategy::Average
                | Strategy::Median
                | Strategy::Cells
                | Strategy::AgreeingRows => put_together(&shown, strategy, draw),
            };
        }
    }
    if strategy == Strategy::AgreeingRows {
        let kept: Vec<usize> = (0..rows).filter(|row| agrees[*row]).collect();
        return sheet.take(&kept);
    }
    sheet
}

/// One value of several.
fn put_together(shown: &[&Cell], strategy: Strategy, draw: &mut Draw) -> Cell {
    let mut counts: BTreeMap<&Cell, usize> = BTreeMap::new();
    for cell in shown {
        *counts.entry(cell).or_default() += 1;
    }
    let with_count = |count: usize| {
        let of = counts.iter().filter(|(_, times)| **times == count);
        of.map(|(cell, _)| *cell).collect::<Vec<_>>()
    };
    let mut numbers: Vec<i128> = shown
        .iter()
        .filter_map(|cell| match cell {
            Cell::Number(number) => Some(*number),
            Cell::Null | Cell::Text(_) => None,
        })
        .collect();
    numbers.sort_unstable();
    let chosen = match strategy {
        Strategy::Majority => with_count(*counts.values().max().expect("values")),
        Strategy::Minority => with_count(*counts.values().min().expect("values")),
        Strategy::Coin => counts.keys().copied().collect(),
        Strategy::Average if !numbers.is_empty() => {
            let sum: i128 = numbers.iter().sum();
            let count = numbers.len() as i128;
            return Cell::Number((2 * sum + count).div_euclid(2 * count));
        }
        Strategy::Median if !numbers.is_empty() => {
            let middle = (numbers.len() - 1) / 2;
            let upper = numbers.len() / 2;
            let at = if draw.chance(0.5) { middle } else { upper };
            return Cell::Number(numbers[at]);
        }
        _ => shown.to_vec(),
    };
    (*draw.pick(&chosen)).clone()
}

/// Which symbol a value shows, as far as those can guess who see where their copies differ.
enum Sides {
    /// The parity of a cell of so many units.
    Parity(i128),
    /// The longer of two words shows a one.
    Longer,
    /// There is no telling.
    Unknown,
}

impl Sides {
    /// Marks of numbers mirror them within cells that are as long as the tolerance, or half of it:
    /// whichever makes more of the differing values differ in parity.
    fn of(columns: &[&Column], differing: &[usize], guesses: &[Guess]) -> Self {
        let guess = guesses
            .iter()
            .find(|guess| guess.column() == columns[0].name);
        match guess {
            Some(Guess::Words { .. }) if !twins(columns[0]).is_empty() => Self::Longer,
            Some(Guess::Number { reach, grain, .. }) => {
                let steps = [reach * grain, (reach * grain / 2).max(1)];
                let split = |step: &i128| {
                    let parities = |row: &&usize| {
                        let of = columns.iter().map(|column| &column.cells[**row]);
                        let mut of = of.filter_map(|cell| Self::Parity(*step).symbol(cell));
                        of.next()
                            .is_some_and(|first| of.any(|other| other != first))
                    };
                    differing.iter().filter(parities).count()
                };
                // Of equals the first.
                let best = if split(&steps[1]) > split(&steps[0]) {
                    steps[1]
                } else {
                    steps[0]
                };
                Self::Parity(best)
            }
            Some(Guess::Words { .. }) | None => Self::Unknown,
        }
    }

    fn symbol(&self, cell: &Cell) -> Option<bool> {
        match (self, cell) {
            (Self::Parity(step), Cell::Number(number)) => {
                Some(number.div_euclid(*step).rem_euclid(2) == 1)
            }
            _ => None,
        }
    }

    /// One of the values that shows a symbol; any where none does.
    fn showing(&self, shown: &[&Cell], symbol: bool, draw: &mut Draw) -> Cell {
        let longest = shown.iter().filter_map(|cell| match cell {
            Cell::Text(text) => Some(text.len()),
            Cell::Null | Cell::Number(_) => None,
        });
        let longest = longest.max();
        let shows = |cell: &&&Cell| match (self, cell) {
            (Self::Longer, Cell::Text(text)) => (Some(text.len()) == longest) == symbol,
            _ => self.symbol(cell) == Some(symbol),
        };
        let mut chosen: Vec<&Cell> = shown.iter().filter(shows).copied().collect();
        if chosen.is_empty() {
            chosen = shown.to_vec();
        }
        (*draw.pick(&chosen)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attack::sheet::Kind;

    fn copies(values: &[&[i128]]) -> Vec<Sheet> {
        let sheet = |of: &&[i128]| {
            let column = |name: &str, cells: Vec<Cell>| Column {
                name: name.to_owned(),
                kind: Kind::Decimal(0),
                cells,
            };
            let cells: Vec<Cell> = of.iter().copied().map(Cell::Number).collect();
            let same = vec![Cell::Number(7); cells.len()];
            Sheet {
                columns: vec![column("value", cells), column("same", same)],
            }
        };
        values.iter().map(sheet).collect()
    }

    const GUESSES: &[Guess] = &[Guess::Number {
        column: "value",
        reach: 10,
        grain: 1,
    }];

    fn made(values: &[&[i128]], strategy: Strategy) -> Vec<Cell> {
        let sheet = merged(&copies(values), strategy, GUESSES, &mut Draw::of(&["1"]));
        assert!(
            sheet.columns[1]
                .cells
                .iter()
                .all(|cell| *cell == Cell::Number(7))
        );
        sheet.columns[0].cells.clone()
    }

    fn cells(values: &[i128]) -> Vec<Cell> {
        values.iter().copied().map(Cell::Number).collect()
    }

    #[test]
    fn each_strategy_takes_what_it_says() {
        // The second row is the same for all, so that the column is nobody's pseudonym.
        let values: &[&[i128]] = &[&[4, 5], &[4, 5], &[15, 5]];
        for (strategy, first) in [
            (Strategy::Majority, 4),
            (Strategy::Minority, 15),
            (Strategy::Average, 8),
            (Strategy::Median, 4),
            (Strategy::Ones, 15),
            (Strategy::Zeros, 4),
        ] {
            assert_eq!(made(values, strategy), cells(&[first, 5]), "{strategy:?}");
        }
        assert_eq!(
            made(values, Strategy::AgreeingCells),
            [Cell::Null, Cell::Number(5)]
        );
        assert_eq!(made(values, Strategy::AgreeingRows), cells(&[5]));
    }

    #[test]
    fn of_agreeing_cells_few_carry_a_mark() {
        // One member agrees with itself: half of the cells. Two agree at seven tenths of the marks.
        assert!((1_999..=2_001).contains(&cells_of(1_000, 1)));
        assert!((2_400..2_480).contains(&cells_of(1_000, 2)));
        assert!((3_400..3_700).contains(&cells_of(1_000, 5)));
    }

    #[test]
    fn members_are_mixed_by_row_cell_and_coin() {
        let (one, two) = (vec![1; 400], vec![2; 400]);
        let mut shared = (one.clone(), two.clone());
        for at in 0..100 {
            (shared.0[at], shared.1[at]) = (5, 5);
        }
        for strategy in [Strategy::Rows, Strategy::Cells, Strategy::Coin] {
            let cells = made(&[&shared.0, &shared.1], strategy);
            let ones = cells.iter().filter(|cell| **cell == Cell::Number(1));
            let ones = ones.count();
            assert!((100..200).contains(&ones), "{strategy:?} {ones}");
        }
    }

    #[test]
    fn pseudonyms_are_taken_from_one_member_and_agree_with_any() {
        let values: &[&[i128]] = &[&[1, 2], &[3, 4]];
        assert_eq!(made(values, Strategy::AgreeingRows).len(), 2);
    }
}
