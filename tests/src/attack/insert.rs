//! Rows put beside or over those that leaked: other people's, the same again, another copy's, and
//! marks of another key.

use super::draw::Draw;
use super::sheet::{Cell, Form, Sheet};
use super::subset::one;
use super::tables::{Freedom, Table};
use super::tags::PSEUDONYM;
use super::world::{World, grant_id};
use super::{Case, Checked, Judge, Leak, Unfit};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (percent, genuine, demand) in [(50, 2_000, 100.0), (80, 2_000, 100.0), (95, 5_000, 95.0)] {
        let case = Case::leak(
            "A10",
            &format!("{percent} % foreign, {genuine} genuine carriers"),
            "rows of other people put between those of the delivery",
            move |world, draw| {
                one(world, draw, genuine, |sheet, draw| {
                    let foreign = sheet.rows() * percent / (100 - percent);
                    among_others(world, sheet, foreign, draw)
                })
            },
        );
        let case = case.demanding(demand).long(percent > 50);
        let case = case.on(&Table::ALL).long_on(&[Table::Tagged]);
        cases.push(match percent {
            95 => case.because(
                "what is foreign counts as noise: such leaks have about twice the score that it takes on the \
                 average, and a few of a hundred fall short of it",
            ),
            _ => case,
        });
    }
    for (variant, rows, times) in [("×20", 300, 20), ("×1000", 60, 1_000)] {
        let case = Case::check(
            "A11",
            variant,
            "every row many times over: the score is that of the rows once",
            move |world, draw| repeated(world, draw, rows, times),
        );
        let case = case.long(times > 20).on(&Table::ALL);
        cases.push(case.long_on(&[Table::Tagged]));
    }
    let one_row = Case::check(
        "A11",
        "one row ×2000",
        "one row thousands of times beside the others: the score is that of the rows once",
        |world, draw| {
            let leak = one(world, draw, 500, |sheet, _| sheet)?;
            let mut padded = leak.sheet.clone();
            padded.append(leak.sheet.take(&[0; 2_000]));
            Ok(same_score(world, &leak, &padded))
        },
    );
    cases.push(one_row.on(&Table::ALL).long_on(&[Table::Tagged]));
    cases.push(
        Case::leak(
            "A12",
            "2,000 carriers of each",
            "half of the rows from one delivery, half from another",
            halves,
        )
        .judged(Judge::All)
        .demanding(100.0)
        .on(&Table::ALL),
    );
    for (variant, freedom) in [
        ("same tolerance", Freedom::Full),
        ("half the tolerance", Freedom::Half),
    ] {
        let case = Case::leak(
            "A16",
            &format!("{variant}, 1,000 carriers"),
            "the leak marked anew by the same program with another key",
            move |world, draw| {
                one(world, draw, 1_000, |sheet, _| {
                    world.marked_anew(&sheet, freedom)
                })
            },
        );
        cases.push(case.demanding(100.0));
    }
    let none = "none are built: neither rows nor columns are invented";
    let pseudo = Case::new(
        "A23",
        "",
        "invented rows and columns removed",
        super::Act::NotBuilt(none),
    );
    cases.push(pseudo);
    cases
}

/// Rows of the table that were never in it: of other people.
pub(super) fn foreign(world: &World, rows: usize, draw: &mut Draw) -> Sheet {
    let population = format!("{:x}", draw.bits());
    let batch = world.table.rows(rows, &population);
    let all: Vec<usize> = (0..rows).collect();
    Sheet::of(&batch, &all)
}

/// As many hexadecimal digits as pseudonyms have, drawn at random, in the place of each person.
pub(super) fn with_drawn_pseudonyms(mut sheet: Sheet, draw: &mut Draw) -> Sheet {
    let persons = sheet.column_mut(PSEUDONYM);
    for cell in persons.into_iter().flat_map(|column| &mut column.cells) {
        let digits = (0..4).map(|_| format!("{:016x}", draw.bits()));
        *cell = Cell::Text(digits.collect::<String>().into());
    }
    sheet
}

fn among_others(world: &World, mut sheet: Sheet, rows: usize, draw: &mut Draw) -> Sheet {
    let mut others = foreign(world, rows, draw);
    if world.table == Table::Tagged {
        // Persons as others would have them, or it would be seen at once which rows are whose.
        others = with_drawn_pseudonyms(others, draw);
    }
    sheet.append(others);
    let mut order: Vec<usize> = (0..sheet.rows()).collect();
    draw.shuffle(&mut order);
    sheet.take(&order)
}

fn repeated(world: &World, draw: &mut Draw, rows: usize, times: usize) -> Result<Checked, Unfit> {
    let leak = one(
        world,
        draw,
        (rows as f64 * world.per_row) as usize,
        |sheet, _| sheet,
    )?;
    let all: Vec<usize> = (0..leak.sheet.rows() * times)
        .map(|row| row % leak.sheet.rows())
        .collect();
    let copies = leak.sheet.take(&all);
    Ok(same_score(world, &leak, &copies))
}

/// Whether rows that come more than once change nothing.
fn same_score(world: &World, leak: &Leak, copies: &Sheet) -> Checked {
    let name = grant_id(leak.leakers[0]);
    let once = world.trace(&leak.sheet, Form::Csv);
    let often = world.trace(copies, Form::Csv);
    let scores = once.ln_e(&name).zip(often.ln_e(&name));
    let is_same = scores.is_some_and(|(once, often)| (once - often).abs() < 1e-9);
    Checked::of(is_same, format!("ln E {scores:?}"))
        .with(&once, &leak.leakers)
        .with(&often, &leak.leakers)
}

fn halves(world: &World, draw: &mut Draw) -> Result<Leak, Unfit> {
    let rows = world.sample(4_000, draw)?;
    let leakers = world.leakers(2, draw)?;
    let (first, second) = rows.split_at(rows.len() / 2);
    let mut sheet = world.copy(leakers[0], first);
    sheet.append(world.copy(leakers[1], second));
    Ok(Leak {
        sheet,
        form: Form::Csv,
        leakers,
    })
}
