//! Whether anybody is accused who had no part: innocent codewords, files that are nobody's leak, and the
//! bound. What multiplies it is in [`rotation`](super::rotation).

use std::collections::BTreeSet;

use arrow::array::{ArrayRef, RecordBatch, UInt64Array};
use arrow::compute::{concat_batches, take_record_batch};
use lockgate::marks::{grants_by_index, markings, read_scheme};
use lockgate::trace::Request;
use lockgate_transforms::marks::code::Code;
use lockgate_transforms::marks::embed::Marker;
use lockgate_transforms::marks::key::GrantIndex;
use lockgate_transforms::marks::score::{Ballots, Scores, Standard, Votes, p_values};
use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::draw::Draw;
use super::insert::{foreign, with_drawn_pseudonyms};
use super::sheet::{Form, Sheet};
use super::subset::one;
use super::tables::{Freedom, Table};
use super::world::{Traced, World, history, request};
use super::{Case, Checked, Judge, Leak, Unfit};

/// Rows of a file that is nobody's.
const ROWS: usize = 1_000;

/// Codewords that share the work of a block.
const OCTET: u32 = 8;

/// Octets that one core scores at a time, at least.
const OCTETS_AT_A_TIME: usize = 100;

/// More than rounding does to a probability.
const SLACK: f64 = 1.0 + 1e-9;

/// Carriers from which a clean leak makes its leaker suspect, at which the trace gives an exact chance: half
/// as many again as accuse 95 of 100.
const CARRIERS_ENOUGH: u64 = 150;

pub(super) fn cases() -> Vec<Case> {
    let codewords = Case::check(
        "F1",
        "random codewords",
        "codewords that nobody was given: how many score at least 1/δ, for δ from 10^-1 to 10^-5, which is no \
         more than δ and the exact chance of it say, and how many would be accused among 10,000 grants: none",
        codewords,
    );
    // By the reference, of twenty leaks.
    let mut cases = vec![codewords.at_most(20).on(&Table::ALL)];
    let nobodys: [(&str, &str, MakeFile); 5] = [
        (
            "original",
            "the provider's own rows, without marks",
            |world, draw| Ok(world.original(&rows(world, draw)?)),
        ),
        (
            "without marks",
            "a delivery of the same rows without marks, which is in all else like those that have them",
            |world, draw| Ok(Sheet::of(world.plain(), &rows(world, draw)?)),
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
                sheet: with_drawn_pseudonyms(foreign(world, ROWS, draw), draw),
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
        "exact chances",
        "whoever is accused is so with an exact chance, which is at most Markov's bound, and that of the \
         trace is above both; that the exact tail is below Markov's bound by itself is a test of the score's",
        exact,
    );
    cases.push(exact);
    cases
}

fn exact(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let carriers = *draw.pick(&[60, 100, 200, 500, 1_000]);
    let leak = one(world, draw, carriers, |sheet, _| sheet)?;
    let request = Request {
        exact: true,
        ..request()
    };
    let traced = world.trace_as(&leak.sheet, Form::Csv, &request);
    Ok(chances(&traced).with(&traced, &leak.leakers))
}

/// Whether the chances that a trace gives are those that it may give.
fn chances(traced: &Traced) -> Checked {
    let holds = |(grant, ln_e, bound, p_value): &(String, f64, f64, f64)| {
        let markov = (-ln_e).exp().min(1.0);
        // Of those not worth looking into there is no exact chance.
        let is_exact = match p_value.is_nan() {
            true => !traced.accused.contains(grant),
            false => *p_value > 0.0 && *p_value <= markov * SLACK,
        };
        let is_bound = bound.is_finite() && markov <= bound * SLACK;
        ln_e.is_finite() && is_exact && is_bound
    };
    let exact = traced.scores.iter().filter(|of| !of.3.is_nan()).count();
    let is_any = exact > 0 || traced.carriers < CARRIERS_ENOUGH;
    let is_held = traced.scores.iter().all(holds) && !traced.scores.is_empty();
    let note = format!(
        "{exact} of {} with an exact chance, {} carriers, {:?}",
        traced.scores.len(),
        traced.carriers,
        traced.error
    );
    Checked::of(is_held && is_any, note)
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
    let (marker, given) = world.marker.get_or_init(|| marker(world, &leak));
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
    let high = octets
        .par_iter()
        .with_min_len(OCTETS_AT_A_TIME)
        .map(|first| High::of(&scores, marker.code(), *first, given))
        .reduce(High::default, High::and);
    let (cells, tags) = (votes.total(), votes.tags().total());
    let has_tags = (tags > 0) == (world.table == Table::Tagged);
    let note = format!(
        "of {}, {cells} votes and {tags} tags: {:?}, {} accused",
        high.scored, high.above, high.accused
    );
    let is_held = high.is_seldom_enough() && high.is_as_exact(&votes);
    let mut checked = Checked::of(is_held && has_tags && high.accused == 0, note);
    let accused = (0..high.accused).map(|_| "a codeword that nobody was given".to_owned());
    checked.innocent.extend(accused);
    Ok(checked)
}

/// How many codewords score high.
#[derive(Debug, Default)]
struct High {
    /// All that were scored.
    scored: u32,
    /// Those that score at least 10, 100 and so on.
    above: [u32; 5],
    /// Those that would be accused among 10,000 grants.
    accused: u32,
}

impl High {
    /// Of an octet of codewords, but for those that were given to somebody.
    fn of(scores: &Scores<'_>, code: &Code, first: u32, given: &BTreeSet<GrantIndex>) -> Self {
        let octet = (first..=first + (OCTET - 1)).map(GrantIndex);
        let octet: Vec<GrantIndex> = octet.filter(|index| !given.contains(index)).collect();
        let accused_from = Standard::new(10_000).accused_from();
        let mut high = Self::default();
        for score in scores.of(code, &octet) {
            high.scored += 1;
            high.accused += u32::from(score.ln_e >= accused_from);
            for (count, from) in high.above.iter_mut().zip(thresholds()) {
                *count += u32::from(score.ln_e >= from);
            }
        }
        high
    }

    fn and(self, other: Self) -> Self {
        Self {
            scored: self.scored + other.scored,
            above: std::array::from_fn(|at| self.above[at] + other.above[at]),
            accused: self.accused + other.accused,
        }
    }

    /// Whether no more score at least 1/δ than δ says, and three standard deviations.
    fn is_seldom_enough(&self) -> bool {
        let mut counts = self.above.iter().zip(thresholds());
        counts.all(|(count, from)| {
            let expected = f64::from(self.scored) * (-from).exp();
            f64::from(*count) <= expected + 3.0 * expected.sqrt()
        })
    }

    /// The same by the exact chance, of which there is none where there are tags; one more, since so rare an
    /// event may be seen once.
    fn is_as_exact(&self, votes: &Votes) -> bool {
        if votes.tags().total() > 0 {
            return true;
        }
        let chances = p_values(&votes.counts(), &thresholds());
        let mut counts = self.above.iter().zip(chances);
        counts.all(|(count, chance)| {
            let expected = f64::from(self.scored) * chance;
            // NaN, too, is no bound.
            f64::from(*count) <= expected + 3.0 * expected.sqrt() + 1.0
        })
    }
}

/// The logarithms of 10, 100 and so on.
fn thresholds() -> [f64; 5] {
    std::array::from_fn(|at| (at + 1) as f64 * std::f64::consts::LN_10)
}

/// The marker by which deliveries of the table were marked, and all indices that were given out.
fn marker(world: &World, leak: &RecordBatch) -> (Marker, BTreeSet<GrantIndex>) {
    let installation = &world.installation;
    let history = history(installation);
    let marking = markings(&history, world.table.name());
    let marking = marking.last().expect("marks have begun");
    let scheme = read_scheme(&installation.state(), &marking.scheme_sha256).expect("a scheme");
    let key = installation.mark_key_of(world.table.name(), scheme.epoch, scheme.key_version);
    let schema = leak.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let marker = scheme.marker(&key.expect("a key"), &names);
    let given = grants_by_index(&history).into_keys().collect();
    (marker.expect("a marker"), given)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A trace that accuses one, of another who isn't suspected.
    fn traced(p_value: f64, carriers: u64) -> Traced {
        Traced {
            accused: vec!["G-00001".to_owned()],
            scores: vec![
                ("G-00001".to_owned(), 40.0, 1e-12, p_value),
                ("G-00002".to_owned(), -3.0, 1.0, f64::NAN),
            ],
            carriers,
            ..Traced::default()
        }
    }

    #[test]
    fn whoever_is_accused_is_so_with_an_exact_chance_below_the_bound() {
        assert!(chances(&traced(1e-20, 500)).passed);
        // Above Markov's bound, which is e^-40; none; nothing at all.
        for p_value in [1e-17, f64::NAN, 0.0] {
            assert!(!chances(&traced(p_value, 100)).passed, "{p_value}");
        }
        let nobody = |carriers| Traced {
            accused: Vec::new(),
            ..traced(f64::NAN, carriers)
        };
        assert!(chances(&nobody(100)).passed && !chances(&nobody(500)).passed);
        assert!(!chances(&Traced::default()).passed);
    }

    #[test]
    fn codewords_that_score_high_too_often_are_seen() {
        let high = |above| High {
            scored: 1_000_000,
            above,
            accused: 0,
        };
        assert!(high([5_000, 300, 20, 3, 0]).is_seldom_enough());
        assert!(high([5_000, 300, 20, 3, 19]).is_seldom_enough());
        assert!(!high([5_000, 300, 20, 3, 20]).is_seldom_enough());
        assert!(!high([101_000, 300, 20, 3, 0]).is_seldom_enough());
        // Without a vote everybody's e-value is 1, so that none is above it.
        let votes = Ballots::default().close();
        assert!(high([0; 5]).is_as_exact(&votes));
        assert!(!high([2, 0, 0, 0, 0]).is_as_exact(&votes));
    }
}
