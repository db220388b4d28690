//! What marks do to a delivery: the same every time, within the tolerance, as the manifest says.

use std::collections::BTreeMap;

use arrow::array::{Array, RecordBatch};
use arrow::compute::take_record_batch;

use super::sheet::{Cell, Kind, Sheet};
use super::tables::{Freedom, Guess, Table};
use super::world::{DENSITY, PLAIN, World, grant_id, issue, own_key, unmarked};
use super::{Case, Checked};
use crate::site::{Configuration, Delivery, Site, write_parquet};

/// Most rows that are delivered again and again, and whose moves are held against the forecast.
const ROWS_MAX: usize = 20_000;

/// Rows of a delivery with too few carriers.
const ROWS_FEW: usize = 10;

pub(super) fn cases() -> Vec<Case> {
    let same = Case::check(
        "D1",
        "",
        "delivered again, with other batches, threads and order of rows: each row is the same",
        |world, _| Ok(again(world)),
    );
    let within = Case::check(
        "D2",
        "",
        "no value moves beyond its tolerance, all else is as without marks",
        |world, _| Ok(within(world)),
    );
    let stated = Case::check(
        "D3",
        "",
        "the manifest's figures are those measured; the mean square of the moves is at most as large as \
         the plan foretold, and what the rule of reflection gives for these values within 3 standard \
         deviations",
        |world, _| Ok(stated(world)),
    );
    let few = Case::check(
        "D4",
        "",
        "a plan of too few carriers is warned of",
        |world, _| Ok(few(world)),
    );
    [same, within, stated, few]
        .map(|case| case.at_most(1))
        .into()
}

/// A site of its own, and what it delivers with marks and without.
#[derive(Debug)]
pub struct Bench {
    site: Site,
    rows: RecordBatch,
    marked: Delivery,
    plain: RecordBatch,
}

impl Bench {
    /// Makes the site, signs both grants and delivers. Key and index follow from the table, so that what
    /// holds once holds always.
    pub(super) fn build(world: &World) -> Self {
        let (site, table) = (world.another(Freedom::Full), world.table);
        own_key(&site, table, "mark", 1);
        own_key(&site, table, "pseudonym", 1);
        site.dataset(&table.dataset(&unmarked(table), Freedom::None));
        let rows = table.rows(ROWS_MAX.min(world.size.rows), "small");
        put(&site, table, &rows);
        issue(&site, 1);
        site.signed(&table.grant(&grant_id(0), table.name()));
        site.signed(&table.grant(PLAIN, &unmarked(table)));
        Self {
            marked: site.deliver(&grant_id(0)),
            plain: site.deliver(PLAIN).rows(),
            rows,
            site,
        }
    }
}

/// Puts rows into a site's store.
pub(super) fn put(site: &Site, table: Table, rows: &RecordBatch) {
    let file = site.path(&format!("lake/{}/1.parquet", table.name()));
    write_parquet(&file, rows, 700);
}

fn again(world: &World) -> Checked {
    let bench = world.bench();
    let Bench {
        site, rows, marked, ..
    } = &*bench;
    let deliver = || {
        let run = site.json(["run", &grant_id(0), "--again"]).expecting(0);
        Delivery::of_run(&run.document())
    };
    let mut problems = Vec::new();
    for (threads, batch_rows) in [(1, 1), (2, 7), (4, 1_024), (1, 8_192)] {
        site.configure_more(&format!(
            "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
        ));
        if deliver().bytes() != marked.bytes() {
            problems.push(format!(
                "{threads} threads, batches of {batch_rows} rows: other bytes"
            ));
        }
    }
    put(site, world.table, &reversed(rows));
    if deliver().rows() != reversed(&marked.rows()) {
        problems.push("rows from last to first: other rows".to_owned());
    }
    // As the other checks expect it.
    put(site, world.table, rows);
    site.configure(&Configuration::default());
    let note = match problems.is_empty() {
        true => "4 settings, and rows from last to first".to_owned(),
        false => problems.join("; "),
    };
    Checked::of(problems.is_empty(), note)
}

fn reversed(batch: &RecordBatch) -> RecordBatch {
    let last_first = (0..batch.num_rows() as u64).rev();
    let rows = arrow::array::UInt64Array::from_iter_values(last_first);
    take_record_batch(batch, &rows).expect("rows")
}

/// Most blocks of values found by themselves that move together.
const BLOCKS_MAX: i128 = 8;

/// Moves of a field in its smallest units, and the field's guess.
struct Moves {
    column: &'static str,
    reach: i128,
    grain: i128,
    /// Of every value, moved or not.
    by: Vec<i128>,
    /// Every value before, in grains.
    before: Vec<i128>,
    /// How many of the column's smallest units are one of the field's: seconds for times.
    per_unit: f64,
}

impl Moves {
    /// Grains within which a value is mirrored: a cell, or a block of two where values are found by
    /// themselves.
    fn length(&self) -> i128 {
        self.reach + self.reach % 2
    }

    /// How far a value moves if its mark says so: to its mirror image at the nearer end of its cell, or
    /// within its block.
    fn distance(&self, before: i128, by_value: bool) -> i128 {
        let rest = before.rem_euclid(self.length());
        let last = self.length() - 1;
        match by_value {
            true => (last - 2 * rest).abs(),
            false => (2 * rest + 1).min(2 * (last - rest) + 1),
        }
    }

    /// The mean square of the moves that the rule of reflection gives for these very values, of which
    /// each moves with a chance of a quarter (half of the cells carry, and half of those show their symbol
    /// already), and its standard deviation: from how far the measured squares are from it, where values
    /// that are found by themselves move together if they stand together.
    fn expected(&self, by_value: bool) -> (f64, f64) {
        let unit = |grains: i128| (grains * self.grain) as f64 / self.per_unit;
        let (mut total, mut sums) = (0.0, BTreeMap::<i128, f64>::new());
        for (at, (by, before)) in (0..).zip(self.by.iter().zip(&self.before)) {
            let together = match by_value {
                true => before.div_euclid(self.length() * BLOCKS_MAX),
                false => at,
            };
            let square = unit(self.distance(*before, by_value)).powi(2) * DENSITY / 2.0;
            let by = *by as f64 / self.per_unit;
            total += square;
            *sums.entry(together).or_default() += by * by - square;
        }
        let count = self.by.len() as f64;
        let deviation = sums.values().map(|sum| sum * sum).sum::<f64>().sqrt();
        (total / count, deviation / count)
    }
}

/// How the delivery with marks differs from that without.
fn moves(world: &World, bench: &Bench) -> Vec<Moves> {
    let all: Vec<usize> = (0..bench.rows.num_rows()).collect();
    let after = Sheet::of(&bench.marked.rows(), &all);
    let before = Sheet::of(&bench.plain, &all);
    let moves = world.table.guesses().iter().filter_map(|guess| {
        let Guess::Number {
            column,
            reach,
            grain,
        } = guess
        else {
            return None;
        };
        let (after, before) = (after.column(column)?, before.column(column)?);
        let pairs = before.cells.iter().zip(&after.cells);
        let (by, before) = pairs
            .filter_map(|pair| match pair {
                (Cell::Number(before), Cell::Number(after)) => {
                    Some((after - before, before.div_euclid(*grain)))
                }
                _ => None,
            })
            .unzip();
        Some(Moves {
            column,
            reach: *reach,
            grain: *grain,
            by,
            before,
            per_unit: match after.kind {
                Kind::Decimal(scale) => 10_f64.powi(scale as i32),
                Kind::Time(digits) => 10_f64.powi(digits as i32),
                Kind::Date => 1.0 / 86_400.0,
                Kind::Text => 1.0,
            },
        })
    });
    moves.collect()
}

fn within(world: &World) -> Checked {
    let bench = world.bench();
    let (moves, plain) = (moves(world, &bench), &bench.plain);
    let rows = bench.marked.rows();
    let mut problems = Vec::new();
    for moves in &moves {
        let is_far = |by: &i128| by.abs() > moves.reach * moves.grain || by % moves.grain != 0;
        if moves.by.iter().any(is_far) {
            problems.push(format!("{} moves too far", moves.column));
        }
        if moves.by.iter().all(|by| *by == 0) {
            problems.push(format!("{} never moves", moves.column));
        }
    }
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        let carries = world.carriers.iter().any(|of| of.field == *field.name());
        let other = plain.column_by_name(field.name()).expect("the same fields");
        // Pseudonyms are each grant's own, here and without marks.
        let is_own = field.name() == "person";
        if !carries && !is_own && column.to_data() != other.to_data() {
            problems.push(format!("{} is not as without marks", field.name()));
        }
    }
    for guess in world.table.guesses() {
        if let Guess::Words { column } = guess {
            problems.extend(strange_words(&rows, plain, column));
        }
    }
    let note = match problems.is_empty() {
        true => format!("{} rows", rows.num_rows()),
        false => problems.join("; "),
    };
    Checked::of(problems.is_empty(), note)
}

/// Words that became something that doesn't mean the same.
fn strange_words(after: &RecordBatch, before: &RecordBatch, name: &str) -> Option<String> {
    let all: Vec<usize> = (0..after.num_rows()).collect();
    let (after, before) = (Sheet::of(after, &all), Sheet::of(before, &all));
    let (after, before) = (after.column(name)?, before.column(name)?);
    let twins = super::alter::twins(before);
    let mut pairs = before.cells.iter().zip(&after.cells);
    let is_strange = pairs.any(|(before, after)| match (before, after) {
        (Cell::Text(before), Cell::Text(after)) => {
            before != after && twins.get(before) != Some(after)
        }
        (before, after) => before != after,
    });
    is_strange.then(|| format!("{name} means something else"))
}

fn stated(world: &World) -> Checked {
    let bench = world.bench();
    let moves = moves(world, &bench);
    let stated = &bench.marked.manifest()["mark"]["fields"];
    let plan = bench.site.json(["plan", &grant_id(0)]);
    let plan = plan.expecting(0).document();
    let forecast = plan["marks"]["fields"].as_array().expect("marked fields");
    let mut problems = Vec::new();
    for moves in &moves {
        let number = |key: &str| -> f64 {
            let text = stated[moves.column][key].as_str();
            text.and_then(|text| text.parse().ok()).unwrap_or(f64::NAN)
        };
        let count = moves.by.len() as f64;
        let mean = moves.by.iter().sum::<i128>() as f64 / count / moves.per_unit;
        let power = |exponent: i32| {
            let of = moves.by.iter();
            of.map(|by| (*by as f64 / moves.per_unit).powi(exponent))
                .sum::<f64>()
                / count
        };
        let square = power(2);
        let variance = square - mean * mean;
        let is_mean = (number("mean") - mean).abs() <= 1e-6 * square.sqrt().max(1e-3);
        let is_variance = (number("variance") - variance).abs() <= 1e-6 * variance;
        let is_count = stated[moves.column]["values"] == moves.by.len();
        if !(is_mean && is_variance && is_count) {
            problems.push(format!(
                "{}: the manifest says {}, measured {mean} {variance}",
                moves.column, stated[moves.column]
            ));
        }
        let foretold = forecast.iter().find(|of| of["field"] == moves.column);
        let by_value = foretold.is_some_and(|of| of["found_by"] == "value");
        let most = foretold.and_then(|of| of["deviation_most"].as_f64());
        let (expected, deviation) = moves.expected(by_value);
        let is_expected = (square - expected).abs() <= 3.0 * deviation;
        // The bound is on what is expected, about which a measurement scatters. NaN, where the plan
        // says nothing, is no bound.
        let is_foretold = expected <= most.unwrap_or(f64::NAN).powi(2) * (1.0 + 1e-9);
        if !(is_expected && is_foretold) {
            let column = moves.column;
            problems.push(format!(
                "{column}: mean square {square}, by the rule {expected} ± {deviation}, foretold at most \
                 {most:?}"
            ));
        }
    }
    let note = match problems.is_empty() {
        true => format!("{} fields", moves.len()),
        false => problems.join("; "),
    };
    Checked::of(problems.is_empty() && !moves.is_empty(), note)
}

fn few(world: &World) -> Checked {
    let bench = world.bench();
    let Bench { site, rows, .. } = &*bench;
    let warned = |rows: &RecordBatch| {
        put(site, world.table, rows);
        let plan = site.json(["plan", &grant_id(0)]).expecting(0).document();
        let warnings = plan["warnings"].as_array().expect("warnings");
        warnings.iter().any(|of| of["code"] == "unmarked")
    };
    let is_warned = warned(&rows.slice(0, ROWS_FEW));
    // In this order, so that the site is left as it was.
    let is_silent = !warned(rows);
    Checked::of(
        is_warned && is_silent,
        format!("{ROWS_FEW} rows warned of, {} not", rows.num_rows()),
    )
}
