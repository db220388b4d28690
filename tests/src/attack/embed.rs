//! What marks do to a delivery: the same every time, within the tolerance, as the manifest says.

use std::collections::{BTreeMap, BTreeSet};
use std::iter;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Decimal128Array, Float64Array, RecordBatch};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Decimal128Type, Float64Type};
use serde_json::Value;

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
    let same = same.on(&Table::ALL).long_on(&[Table::Tagged]);
    let within = Case::check(
        "D2",
        "",
        "the fields that are guessed to carry are those that do; no value moves beyond its tolerance, changes \
         its sign or becomes zero or another than zero, and all else is as without marks",
        |world, _| Ok(within(world)),
    );
    let stated = Case::check(
        "D3",
        "",
        "the manifest's figures (values, changed, mean and variance of the moves, the furthest, the change of \
         the variance) are those measured; the mean square of the moves is at most as large as \
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
        let rows = with_edges(table, &rows);
        put(&site, table, &rows);
        issue(&site, 1);
        site.signed(&table.grant(&grant_id(0), table.name()));
        site.signed(&table.untagged_grant(PLAIN, &unmarked(table)));
        Self {
            marked: site.deliver(&grant_id(0)),
            plain: site.deliver(PLAIN).rows(),
            rows,
            site,
        }
    }
}

/// Numbers at which a move could change a sign, or make nothing of something: of the smallest unit, of which
/// tolerances are hundreds. The tables have nothing near zero.
const EDGES: [i128; 12] = [0, 1, -1, 2, -2, 99, -101, 199, -249, 400, -499, -123_456];

/// The rows, the first of which have [`EDGES`] in their decimals and floats.
fn with_edges(table: Table, rows: &RecordBatch) -> RecordBatch {
    let schema = rows.schema();
    let is_guessed = |name: &str| {
        let mut guesses = table.guesses().iter();
        guesses.any(|guess| guess.column() == name)
    };
    let fields = schema.fields().iter().zip(rows.columns());
    let columns: Vec<ArrayRef> = fields
        .map(|(field, column)| -> ArrayRef {
            match field.data_type() {
                DataType::Decimal128(_, _) if is_guessed(field.name()) => {
                    let numbers = column.as_primitive::<Decimal128Type>().values().iter();
                    let others = numbers.copied().skip(EDGES.len());
                    let edged = Decimal128Array::from_iter_values(EDGES.into_iter().chain(others));
                    Arc::new(edged.with_data_type(field.data_type().clone()))
                }
                DataType::Float64 if is_guessed(field.name()) => {
                    let numbers = column.as_primitive::<Float64Type>().values().iter();
                    let others = numbers.copied().skip(EDGES.len());
                    let edges = EDGES.map(|thousandths| thousandths as f64 / 1_000.0);
                    Arc::new(Float64Array::from_iter_values(
                        edges.into_iter().chain(others),
                    ))
                }
                _ => Arc::clone(column),
            }
        })
        .collect();
    RecordBatch::try_new(Arc::clone(&schema), columns).expect("columns of one length")
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
    /// Whether the column's numbers have a sign: times have none.
    is_signed: bool,
}

impl Moves {
    /// Values and how far each moved, in grains.
    fn pairs(&self) -> impl Iterator<Item = (i128, i128)> {
        let grain = self.grain;
        let moves = self.by.iter().map(move |by| by / grain);
        iter::zip(self.before.iter().copied(), moves)
    }

    /// So many grains in the field's unit.
    fn in_units(&self, grains: f64) -> f64 {
        grains * self.grain as f64 / self.per_unit
    }

    /// Whether any value has another sign now, or is zero only before or after.
    fn is_turned(&self) -> bool {
        let mut pairs = self.pairs();
        self.is_signed && pairs.any(|(before, by)| before.signum() != (before + by).signum())
    }

    /// How many values are others now.
    fn changed(&self) -> usize {
        self.by.iter().filter(|by| **by != 0).count()
    }

    /// The furthest that any moved, in the field's unit.
    fn furthest(&self) -> f64 {
        let furthest = self.pairs().map(|(_, by)| by.abs()).max();
        self.in_units(furthest.unwrap_or_default() as f64)
    }

    /// By how much the variance of the values grew, in the square of the field's unit.
    fn variance_change(&self) -> f64 {
        // n·Σx² - (Σx)², in whole numbers: two variances would agree in nearly all digits.
        let spread = |values: &mut dyn Iterator<Item = i128>| {
            let (mut count, mut sum, mut squares) = (0, 0, 0);
            for value in values {
                count += 1;
                sum += value;
                squares += value * value;
            }
            count * squares - sum * sum
        };
        let before = spread(&mut self.pairs().map(|(before, _)| before));
        let after = spread(&mut self.pairs().map(|(before, by)| before + by));
        let count = self.by.len() as f64;
        (after - before) as f64 / count / count * self.in_units(1.0).powi(2)
    }

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
        let unit = |grains: i128| self.in_units(grains as f64);
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
            is_signed: matches!(after.kind, Kind::Decimal(_)),
        })
    });
    moves.collect()
}

fn within(world: &World) -> Checked {
    let bench = world.bench();
    let (moves, plain) = (moves(world, &bench), &bench.plain);
    let rows = bench.marked.rows();
    let mut problems = Vec::new();
    let guessed: BTreeSet<&str> = world.table.guesses().iter().map(Guess::column).collect();
    let carrying = world.carriers.iter().map(|of| of.field.as_str());
    let carrying: BTreeSet<&str> = carrying.collect();
    if guessed != carrying {
        problems.push(format!("{carrying:?} carry, guessed are {guessed:?}"));
    }
    for moves in &moves {
        if moves.is_turned() {
            problems.push(format!("{} changes a sign, or a zero", moves.column));
        }
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
    for guess in world.table.guesses() {
        if let Guess::Words { column } = guess {
            problems.extend(miscounted(&bench, column, &stated[*column]));
        }
    }
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
        let is_count = stated[moves.column]["values"] == moves.by.len()
            && stated[moves.column]["changed"] == moves.changed();
        let (furthest, change) = (moves.furthest(), moves.variance_change());
        let is_furthest = (length(&stated[moves.column]["max"]) - furthest).abs() <= 1e-9;
        let is_change = (number("variance_change") - change).abs() <= 1e-6 * change.abs();
        if !(is_mean && is_variance && is_count && is_furthest && is_change) {
            problems.push(format!(
                "{}: the manifest says {}, measured {mean} {variance}, {} changed, at most {furthest}, \
                 variance by {change}",
                moves.column,
                stated[moves.column],
                moves.changed()
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

/// A length that a manifest states, in the field's unit, of durations in seconds.
fn length(stated: &Value) -> f64 {
    let text = stated.as_str().unwrap_or_default();
    let digits = text.trim_end_matches(|of: char| of.is_ascii_alphabetic());
    let unit = match text.strip_prefix(digits) {
        Some("" | "s") => 1.0,
        Some("d") => 86_400.0,
        Some("h") => 3_600.0,
        Some("m") => 60.0,
        Some("ms") => 1e-3,
        _ => f64::NAN,
    };
    digits.parse().unwrap_or(f64::NAN) * unit
}

/// A field of words of which the manifest counts others, in words.
fn miscounted(bench: &Bench, name: &str, stated: &Value) -> Option<String> {
    let all: Vec<usize> = (0..bench.rows.num_rows()).collect();
    let after = Sheet::of(&bench.marked.rows(), &all);
    let before = Sheet::of(&bench.plain, &all);
    let (after, before) = (after.column(name)?, before.column(name)?);
    let values = before.cells.iter().filter(|cell| **cell != Cell::Null);
    let pairs = before.cells.iter().zip(&after.cells);
    let (values, changed) = (
        values.count(),
        pairs.filter(|(one, two)| one != two).count(),
    );
    let is_right = stated["values"] == values && stated["changed"] == changed && changed > 0;
    (!is_right).then(|| {
        format!("{name}: the manifest says {stated}, measured {changed} of {values} changed")
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn moves(before: Vec<i128>, by: Vec<i128>) -> Moves {
        Moves {
            column: "value",
            reach: 500,
            grain: 1,
            by,
            before,
            per_unit: 100.0,
            is_signed: true,
        }
    }

    #[test]
    fn a_turned_sign_and_a_zero_that_comes_or_goes_are_seen() {
        assert!(!moves(vec![0, 5, -5], vec![0, 3, -3]).is_turned());
        for (before, by) in [(0, 1), (5, -5), (-5, 7), (3, -4)] {
            assert!(moves(vec![before], vec![by]).is_turned(), "{before} {by}");
        }
        let times = Moves {
            is_signed: false,
            ..moves(vec![3], vec![-4])
        };
        assert!(!times.is_turned());
    }

    #[test]
    fn moves_are_measured_in_the_fields_own_unit() {
        let moves = moves(vec![100, 200, 300, 400], vec![0, 50, -150, 0]);
        assert_eq!(moves.changed(), 2);
        assert!((moves.furthest() - 1.5).abs() < 1e-12);
        // Of 1, 2.5, 1.5 and 4 the variance is 1.3125; of 1 to 4 it is 1.25.
        assert!((moves.variance_change() - 0.0625).abs() < 1e-12);
    }

    #[test]
    fn lengths_are_read_as_manifests_write_them() {
        for (text, of) in [
            ("4.99", 4.99),
            ("29s", 29.0),
            ("2d", 172_800.0),
            ("1m", 60.0),
        ] {
            assert!((length(&Value::from(text)) - of).abs() < 1e-9, "{text}");
        }
        assert!(length(&Value::Null).is_nan() && length(&Value::from("5 miles")).is_nan());
    }

    #[test]
    fn the_first_rows_have_what_a_mark_could_turn() {
        let rows = Table::Register.rows(20, "edges");
        let edged = with_edges(Table::Register, &rows);
        let sheet = Sheet::of(&edged, &(0..20).collect::<Vec<_>>());
        for name in ["amount", "balance", "score"] {
            let cells = &sheet.column(name).expect("a column").cells;
            let edges = EDGES.map(Cell::Number);
            assert_eq!(cells[..EDGES.len()], edges, "{name}");
        }
        assert_eq!(edged.column(0), rows.column(0));
        assert_eq!(&edged.column(3).slice(12, 8), &rows.column(3).slice(12, 8));
    }
}
