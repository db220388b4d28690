//! Whether anybody is accused who had no part: innocent codewords, files that are nobody's leak, and the
//! bound. What multiplies it is in [`rotation`](super::rotation).

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use lockgate::marks::{markings, read_scheme};
use lockgate::trace::Request;
use lockgate_transforms::marks::code::Code;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::score::{Ballots, Scores};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::draw::Draw;
use super::insert::foreign;
use super::sheet::{Cell, Form, Sheet};
use super::subset::one;
use super::tables::{Freedom, Table};
use super::world::{World, history, request};
use super::{Case, Checked, Judge, Leak, Unfit};

/// Rows of a file that is nobody's.
const ROWS: usize = 1_000;

/// Codewords that share the work of a block.
const OCTET: u32 = 8;

/// Octets that one core scores at a time, at least.
const OCTETS_AT_A_TIME: usize = 100;

/// More than rounding does to a probability.
const SLACK: f64 = 1.0 + 1e-9;

pub(super) fn cases() -> Vec<Case> {
    let codewords = Case::check(
        "F1",
        "random codewords",
        "codewords that nobody was given: how many score at least 1/δ, for δ from 10^-1 to 10^-5",
        codewords,
    );
    // By the reference, of twenty leaks.
    let mut cases = vec![codewords.at_most(20).on(&Table::ALL)];
    let nobodys: [(&str, &str, MakeFile); 4] = [
        (
            "original",
            "the provider's own rows, without marks",
            |world, draw| Ok(world.original(&rows(world, draw)?)),
        ),
        (
            "synthetic",
            "rows of the same kind that were never in the table",
            |world, draw| Ok(foreign(world, ROWS, draw)),
        ),
        ("another dataset", "rows of another table", |world, draw| {
            let other = match world.table {
                Table::Register => Table::Masked,
                Table::Masked => Table::Text,
                Table::Text | Table::Tagged => Table::Register,
            };
            let all: Vec<usize> = (0..ROWS).collect();
            Ok(Sheet::of(
                &other.rows(ROWS, &format!("{:x}", draw.bits())),
                &all,
            ))
        }),
        (
            "another site's marks",
            "the provider's own rows, marked by the same program with another key",
            |world, draw| {
                let original = world.original(&rows(world, draw)?);
                Ok(world.marked_anew(&original, Freedom::Full))
            },
        ),
    ];
    for (variant, words, make) in nobodys {
        let case = Case::leak("F2", variant, words, move |world, draw| {
            Ok(Leak {
                sheet: make(world, draw)?,
                form: Form::Csv,
                leakers: Vec::new(),
            })
        });
        let judge = match variant {
            "another dataset" => Judge::NotOursOrStrange,
            _ => Judge::NotOurs,
        };
        let case = case.judged(judge).on(&Table::ALL);
        cases.push(case.demanding(100.0).large());
    }
    let drawn = Case::leak(
        "F2",
        "invented pseudonyms",
        "rows that were never in the table, with pseudonyms drawn at random",
        |world, draw| {
            Ok(Leak {
                sheet: with_drawn_pseudonyms(foreign(world, ROWS, draw), draw)?,
                form: Form::Csv,
                leakers: Vec::new(),
            })
        },
    );
    let drawn = drawn.judged(Judge::NotOurs).on(&[Table::Tagged]);
    cases.push(drawn.demanding(100.0).large());
    let shuffled = Case::leak(
        "F2",
        "shuffled keys",
        "a delivery in which every column stands in an order of its own, but for those that are \
         found by their own value, which are left out",
        |world, draw| {
            let leak = one(world, draw, 2_000, |sheet, draw| {
                torn_apart(world, sheet, draw)
            })?;
            Ok(Leak {
                leakers: Vec::new(),
                ..leak
            })
        },
    );
    cases.push(shuffled.judged(Judge::NotOurs).demanding(100.0).large());
    let exact = Case::check(
        "F3",
        "",
        "the exact chance of a score is at most Markov's bound, and that of the trace above both",
        |world, draw| {
            let carriers = *draw.pick(&[60, 100, 200, 500, 1_000]);
            let leak = one(world, draw, carriers, |sheet, _| sheet)?;
            let request = Request {
                exact: true,
                ..request()
            };
            let traced = world.trace_as(&leak.sheet, Form::Csv, &request);
            let holds = |(_, ln_e, bound, p_value): &(String, f64, f64, f64)| {
                let markov = (-ln_e).exp().min(1.0);
                // Of those not worth looking into there is no exact chance.
                let is_exact = p_value.is_nan() || *p_value <= markov * SLACK;
                is_exact && markov <= bound * SLACK
            };
            let scored = traced.scores.iter().filter(|of| !of.3.is_nan()).count();
            let is_held = traced.scores.iter().all(holds) && !traced.scores.is_empty();
            let note = format!("{scored} of {} with an exact chance", traced.scores.len());
            Ok(Checked::of(is_held, note).with(&traced, &leak.leakers))
        },
    );
    cases.push(exact);
    cases
}

type MakeFile = fn(&World, &mut Draw) -> Result<Sheet, Unfit>;

fn rows(world: &World, draw: &mut Draw) -> Result<Vec<usize>, Unfit> {
    if world.size.rows < ROWS {
        return Err(Unfit::Rows);
    }
    Ok(draw.choose(ROWS, world.size.rows))
}

/// As many hexadecimal digits as pseudonyms have, in the place of each person.
fn with_drawn_pseudonyms(mut sheet: Sheet, draw: &mut Draw) -> Result<Sheet, Unfit> {
    let column = sheet.column_mut("person").ok_or(Unfit::Table)?;
    for cell in &mut column.cells {
        let digits = (0..4).map(|_| format!("{:016x}", draw.bits()));
        *cell = Cell::Text(digits.collect::<String>().into());
    }
    Ok(sheet)
}

/// Every column in an order of its own.
fn torn_apart(world: &World, sheet: Sheet, draw: &mut Draw) -> Sheet {
    let is_own = |name: &str| {
        let mut own = world.carriers.iter().filter(|of| of.found_by == "value");
        own.any(|carrier| carrier.field == name)
    };
    let mut sheet = sheet.keeping(|name| !is_own(name));
    for column in &mut sheet.columns {
        draw.shuffle(&mut column.cells);
    }
    sheet
}

/// Scores codewords that nobody was given against one leak, and counts those that score high.
fn codewords(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let members = 1 + draw.below(3);
    let leakers = world.leakers(members, draw)?;
    let carriers = *draw.pick(&[200, 400, 800]);
    // By cells: where the plan reckons a tag as many carriers, it is one vote here.
    let per_row = world.per_row.min(world.carriers.len() as f64);
    let each = world.rows_with(carriers / members, per_row)?;
    let parts: Vec<RecordBatch> = leakers
        .iter()
        .map(|leaker| {
            let rows = draw.choose(each, world.size.rows);
            let rows = UInt64Array::from_iter_values(rows.iter().map(|row| *row as u64));
            world.with_delivery(*leaker, |batch| {
                take_record_batch(batch, &rows).expect("rows of the delivery")
            })
        })
        .collect();
    let leak = concat_batches(&parts[0].schema(), &parts).expect("rows of one schema");
    let marker = world.marker.get_or_init(|| marker(world, &leak));
    let columns: Vec<Option<ArrayRef>> = leak.columns().iter().cloned().map(Some).collect();
    let mut ballots = Ballots::default();
    ballots.add(marker.observe(&columns).expect("observations"));
    ballots.add_tags(marker.observe_tags(&columns).expect("tags"));
    let votes = ballots.close();
    let scores = Scores::new(&votes);
    let blocks = world.size.codewords.div_ceil(OCTET as usize);
    let octets: Vec<u32> = (0..blocks)
        .map(|_| draw.bits() as u32 / OCTET * OCTET)
        .collect();
    let counts = octets
        .par_iter()
        .with_min_len(OCTETS_AT_A_TIME)
        .map(|first| high_scores(&scores, marker.code(), *first))
        .reduce(Counts::default, |one, other| {
            std::array::from_fn(|at| one[at] + other[at])
        });
    let all = (blocks * OCTET as usize) as f64;
    let is_held = counts.iter().zip(1..).all(|(count, exponent)| {
        let expected = all * 10_f64.powi(-exponent);
        f64::from(*count) <= expected + 3.0 * expected.sqrt()
    });
    let (cells, tags) = (votes.total(), votes.tags().total());
    let has_tags = (tags > 0) == (world.table == Table::Tagged);
    let note = format!("of {all}, {cells} votes and {tags} tags: {counts:?}");
    Ok(Checked::of(is_held && has_tags, note))
}

/// How many score at least 10, 100 and so on.
type Counts = [u32; 5];

/// Scores an octet of codewords.
fn high_scores(scores: &Scores<'_>, code: &Code, first: u32) -> Counts {
    let octet: Vec<GrantIndex> = (first..=first + (OCTET - 1)).map(GrantIndex).collect();
    let mut counts = Counts::default();
    for score in scores.of(code, &octet) {
        for (count, exponent) in counts.iter_mut().zip(1..) {
            *count += u32::from(score.ln_e >= f64::from(exponent) * 10_f64.ln());
        }
    }
    counts
}

/// The marker by which deliveries of the table were marked.
fn marker(world: &World, leak: &RecordBatch) -> Marker {
    let installation = &world.installation;
    let marking = markings(&history(installation), world.table.name());
    let marking = marking.last().expect("marks have begun");
    let scheme = read_scheme(&installation.state(), &marking.scheme_sha256).expect("a scheme");
    let key = installation.mark_key_of(world.table.name(), scheme.epoch, scheme.key_version);
    let schema = leak.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    scheme
        .marker(&key.expect("a key"), &names)
        .expect("a marker")
}
