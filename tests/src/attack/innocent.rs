//! Whether anybody is accused who had no part: innocent codewords, files that are nobody's leak, the
//! bound and its multiplicity.

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use lockgate::marks::{markings, read_scheme};
use lockgate::trace::Request;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::score::{Ballots, Scores, Standard};

use super::draw::Draw;
use super::insert::foreign;
use super::sheet::{Form, Sheet};
use super::subset::one;
use super::tables::{Freedom, Table};
use super::world::{Traced, World, grant_id, history, request};
use super::{Case, Checked, Judge, Leak, Unfit};

/// Rows of a file that is nobody's.
const ROWS: usize = 1_000;

/// Codewords that share the work of a block.
const OCTET: u32 = 8;

/// More than rounding does to a probability.
const SLACK: f64 = 1.0 + 1e-9;

pub(super) fn cases() -> Vec<Case> {
    let codewords = Case::check(
        "F1",
        "random codewords",
        "codewords that nobody was given: how many score at least 1/δ, for δ from 10^-1 to 10^-5",
        codewords,
    );
    let mut cases = vec![codewords.at_most(20)];
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
        let case = case.judged(Judge::NotOurs).demanding(100.0).large();
        // The provider's rows as they were before they were masked are no delivery's.
        cases.push(case);
    }
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
            let traced = world.trace(&leak.sheet, Form::Csv);
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
    let multiplicity = Case::check(
        "F4",
        "",
        "what is tried side by side, and how many grants and traces there are, counts in the bound",
        multiplicity,
    );
    cases.push(multiplicity.at_most(5));
    cases
}

type MakeFile = fn(&World, &mut Draw) -> Result<Sheet, Unfit>;

fn rows(world: &World, draw: &mut Draw) -> Result<Vec<usize>, Unfit> {
    if world.size.rows < ROWS {
        return Err(Unfit::Rows);
    }
    Ok(draw.choose(ROWS, world.size.rows))
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

fn multiplicity(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let leak = one(world, draw, 500, |sheet, _| sheet)?;
    let name = grant_id(leak.leakers[0]);
    let bound = |traced: &Traced| {
        let of = traced.scores.iter().find(|(grant, ..)| *grant == name);
        of.map(|(_, ln_e, bound, _)| bound.ln() + ln_e)
    };
    let first = world.trace(&leak.sheet, Form::Csv);
    let tenth = Request {
        investigation: 10,
        ..request()
    };
    let tenth = world.trace_as(&leak.sheet, Form::Csv, &tenth);
    let issued = (world.size.issued as f64).ln();
    // ln of the factor between a score's own bound and that of the trace.
    let counts_grants = bound(&first).is_some_and(|looks| looks >= issued - 1e-6);
    let weaker = Standard {
        hypotheses: 7,
        ..Standard::new(world.size.issued as u64)
    };
    let plain = Standard::new(world.size.issued as u64);
    let counts_tries = (weaker.accused_from() - plain.accused_from() - 7_f64.ln()).abs() < 1e-9
        && weaker.bound(40.0) > 6.99 * plain.bound(40.0);
    let is_named = first.accused.contains(&name) && tenth.accused.contains(&name);
    let note = format!("ln factor {:?}, ln N {issued:.2}", bound(&first));
    Ok(Checked::of(counts_grants && counts_tries && is_named, note)
        .with(&first, &leak.leakers)
        .with(&tenth, &leak.leakers))
}

/// Scores codewords that nobody was given against one leak, and counts those that score high.
fn codewords(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let members = 1 + draw.below(3);
    let leakers = world.leakers(members, draw)?;
    let carriers = *draw.pick(&[200, 400, 800]);
    let each = world.rows_for(carriers / members)?;
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
    let marker = marker(world, &leak);
    let columns: Vec<Option<ArrayRef>> = leak.columns().iter().cloned().map(Some).collect();
    let mut ballots = Ballots::default();
    ballots.add(marker.observe(&columns).expect("observations"));
    let votes = ballots.close();
    let scores = Scores::new(&votes);
    let mut counts = [0_u32; 5];
    let blocks = world.size.codewords.div_ceil(OCTET as usize);
    for _ in 0..blocks {
        let first = (draw.bits() as u32) / OCTET * OCTET;
        let octet: Vec<GrantIndex> = (first..=first + (OCTET - 1)).map(GrantIndex).collect();
        for score in scores.of(marker.code(), &octet) {
            for (count, exponent) in counts.iter_mut().zip(1..) {
                *count += u32::from(score.ln_e >= f64::from(exponent) * 10_f64.ln());
            }
        }
    }
    let all = (blocks * OCTET as usize) as f64;
    let is_held = counts.iter().zip(1..).all(|(count, exponent)| {
        let expected = all * 10_f64.powi(-exponent);
        f64::from(*count) <= expected + 3.0 * expected.sqrt()
    });
    let note = format!("of {all}, {} votes: {counts:?}", votes.total());
    Ok(Checked::of(is_held, note))
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
