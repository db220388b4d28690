//! Parts of a delivery: fewer rows, fewer columns, another key.

use super::draw::Draw;
use super::sheet::{Cell, Form, Sheet};
use super::tables::Table;
use super::world::{DENSITY, World};
use super::{Case, Leak, Unfit};

/// Rows of one column's test.
const COLUMN_ROWS: usize = 500;

/// Most columns that carry in any table.
const CARRIERS_MAX: usize = 5;

pub(super) fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (carriers, percent) in [(100, 95.0), (200, 100.0), (500, 100.0)] {
        let case = Case::leak(
            "A1",
            &format!("{carriers} carriers"),
            "some rows of a delivery, otherwise as they are",
            move |world, draw| one(world, draw, carriers, |sheet, _| sheet),
        );
        let case = case.demanding(percent).on(&Table::ALL);
        cases.push(match carriers {
            100 => case.because(
                "leaks are drawn by their rows, so that about half of them have fewer carriers than is said, \
                 and a hundred are hardly more than it takes",
            ),
            _ => case,
        });
    }
    for (permille, variant) in [(1, "0.1 %"), (10, "1 %"), (100, "10 %")] {
        let case = Case::leak("A2", variant, "a share of the rows", move |world, draw| {
            share(world, draw, permille)
        });
        cases.push(case.demanding(100.0).large().on(&Table::ALL));
    }
    for at in 0..CARRIERS_MAX {
        let case = Case::leak(
            "A3",
            "500 rows",
            "one column that carries, with nothing but what its rows are found by",
            move |world, draw| single_column(world, draw, at),
        );
        cases.push(
            case.demanding(100.0)
                .as_one_of(&format!("column {}", at + 1)),
        );
    }
    let dropped = Case::leak("A4", "dropped", "the key is left out", |world, draw| {
        without_key(world, draw, |mut sheet, key, _| {
            sheet.columns.retain(|column| !key.contains(&column.name));
            sheet
        })
    });
    let replaced = Case::leak(
        "A4",
        "replaced",
        "the key is numbered anew",
        |world, draw| {
            without_key(world, draw, |mut sheet, key, draw| {
                for name in key {
                    renumber(&mut sheet, name, draw);
                }
                sheet
            })
        },
    );
    cases.extend([dropped, replaced].map(|case| case.demanding(100.0)));
    cases.push(
        Case::leak(
            "A13",
            "1,000 carriers, half nulled",
            "half of all cells are emptied, but for a clear key",
            |world, draw| one(world, draw, 1_000, |sheet, draw| nulled(world, sheet, draw)),
        )
        .demanding(100.0)
        .on(&Table::ALL)
        .long_on(&[Table::Tagged]),
    );
    cases
}

/// Rows with so many carriers of one delivery, changed, as CSV.
pub(super) fn one(
    world: &World,
    draw: &mut Draw,
    carriers: usize,
    change: impl FnOnce(Sheet, &mut Draw) -> Sheet,
) -> Result<Leak, Unfit> {
    let rows = world.sample(carriers, draw)?;
    let leaker = world.leaker(draw);
    Ok(Leak {
        sheet: change(world.copy(leaker, &rows), draw),
        form: Form::Csv,
        leakers: vec![leaker],
    })
}

fn share(world: &World, draw: &mut Draw, permille: usize) -> Result<Leak, Unfit> {
    // Of a smaller table the part would be too small to name anybody, which A1 tells.
    const CARRIERS_MIN: f64 = 200.0;
    let count = world.size.rows * permille / 1_000;
    if (count as f64 * world.per_row) < CARRIERS_MIN {
        return Err(Unfit::Rows);
    }
    let leaker = world.leaker(draw);
    let rows = draw.choose(count, world.size.rows);
    Ok(Leak {
        sheet: world.copy(leaker, &rows),
        form: Form::Csv,
        leakers: vec![leaker],
    })
}

fn single_column(world: &World, draw: &mut Draw, at: usize) -> Result<Leak, Unfit> {
    let carrier = world.carriers.get(at).ok_or(Unfit::Table)?;
    if world.size.rows < COLUMN_ROWS {
        return Err(Unfit::Rows);
    }
    let leaker = world.leaker(draw);
    let rows = draw.choose(COLUMN_ROWS, world.size.rows);
    let is_wanted =
        |name: &str| name == carrier.field || carrier.anchor.iter().any(|of| of == name);
    Ok(Leak {
        sheet: world.copy(leaker, &rows).keeping(is_wanted),
        form: Form::Csv,
        leakers: vec![leaker],
    })
}

/// A leak with 1,000 carriers that are found otherwise than by the key, whose key is changed.
fn without_key(
    world: &World,
    draw: &mut Draw,
    change: impl FnOnce(Sheet, &[String], &mut Draw) -> Sheet,
) -> Result<Leak, Unfit> {
    let by_key = world.carriers.iter().find(|of| of.found_by == "key");
    let by_key = by_key.ok_or(Unfit::Table)?;
    let others = world.carriers.iter().filter(|of| of.found_by != "key");
    let count = world.rows_with(1_000, others.count() as f64 * DENSITY)?;
    let leaker = world.leaker(draw);
    let rows = draw.choose(count, world.size.rows);
    let sheet = world.copy(leaker, &rows);
    Ok(Leak {
        sheet: change(sheet, &by_key.anchor, draw),
        form: Form::Csv,
        leakers: vec![leaker],
    })
}

/// Gives a column's rows new numbers, in random order.
fn renumber(sheet: &mut Sheet, name: &str, draw: &mut Draw) {
    let mut numbers: Vec<usize> = (0..sheet.rows()).collect();
    draw.shuffle(&mut numbers);
    if let Some(column) = sheet.column_mut(name) {
        let ids = numbers
            .into_iter()
            .map(|number| format!("{:06}", number + 1));
        column.cells = ids.map(|id| Cell::Text(id.into())).collect();
    }
}

/// Empties half of the cells of all columns but the key, without which rows would be of no use; where
/// none is delivered clear, of all.
fn nulled(world: &World, mut sheet: Sheet, draw: &mut Draw) -> Sheet {
    let by_key = world.carriers.iter().find(|of| of.found_by == "key");
    let key = by_key.map_or_else(Vec::new, |carrier| carrier.anchor.clone());
    for column in &mut sheet.columns {
        if !key.contains(&column.name) {
            for cell in &mut column.cells {
                if draw.chance(0.5) {
                    *cell = Cell::Null;
                }
            }
        }
    }
    sheet
}
