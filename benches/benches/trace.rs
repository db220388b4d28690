//! How long it takes to hold a leak of 100,000 carriers against 10,000 grants, verdicts included.
//!
//! A table of one carrier a row is marked for one grant and read as a leak of it; every grant has an
//! index drawn at random, as the ledger draws them, so that no two share a block of the cipher. The
//! grants are shared out among as many threads as there are cores. Prints one line a step, and fails if
//! anybody but the leaker is accused. Run with
//! `cargo bench -p lockgate-benchmarks --bench trace`, or with `-- CARRIERS GRANTS` after it. The whole
//! command, from the file to the verdict, is timed by `attack-suite speed`.
#![expect(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a bench that stops where it cannot go on, and prints what it measured"
)]

use std::num::NonZero;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use arrow::array::{ArrayRef, Int64Array};
use arrow::datatypes::DataType;
use lockgate_transforms::marks::anchor::Family;
use lockgate_transforms::marks::carrier::{Carrier, Limits, Numeric};
use lockgate_transforms::marks::code::Density;
use lockgate_transforms::marks::embed::{FoundBy, MarkPlan, MarkedField, Marker, RowAnchor};
use lockgate_transforms::marks::key::{GrantIndex, MarkKey};
use lockgate_transforms::marks::score::{Ballots, Score, Scores, Standard, Verdict, Votes};

const CARRIERS: usize = 100_000;
const GRANTS: usize = 10_000;
const BATCH: usize = 8_192;

/// Numbers that look random and are the same in every run.
fn mixed(number: usize) -> u64 {
    let number = u64::try_from(number).expect("a number");
    let mixed = number.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed ^ (mixed >> 31)
}

fn index(grant: usize) -> GrantIndex {
    let drawn = mixed(grant + (1 << 40)) & u64::from(u32::MAX);
    GrantIndex(u32::try_from(drawn).expect("32 bits"))
}

fn marker() -> Marker {
    let tolerance = "500".parse().expect("a number");
    let carrier = Numeric::exact(&DataType::Int64, tolerance, false, &Limits::default());
    let carrier: Box<dyn Carrier> = Box::new(carrier.expect("whole numbers").expect("a step"));
    let field = MarkedField {
        column: 1,
        name: "amount".to_owned(),
        density: Density::ALL,
        found_by: FoundBy::Row(0),
        carrier,
    };
    let anchor = RowAnchor::of_columns(Family::Key, vec![0]);
    let plan = MarkPlan::new(vec![anchor], vec![field]).expect("a plan");
    Marker::new(&MarkKey::derive(&[7; 32], "bench", 1, 1), plan)
}

/// Marks the rows for the leaker, and reads them as a leak.
fn votes(marker: &Marker, leaker: GrantIndex, carriers: usize) -> Votes {
    let numbers = |rows: std::ops::Range<usize>, below: u64| -> ArrayRef {
        let number = |row: usize| i64::try_from(1_000 + mixed(row) % below).expect("a number");
        Arc::new(Int64Array::from_iter_values(rows.map(number)))
    };
    let mut ballots = Ballots::default();
    for start in (0..carriers).step_by(BATCH) {
        let rows = start..carriers.min(start + BATCH);
        let columns = [numbers(rows.clone(), 1 << 60), numbers(rows, 1 << 40)];
        let marked = marker.embed(leaker, &columns).expect("marks");
        let leaked: Vec<Option<ArrayRef>> = marked.columns.into_iter().map(Some).collect();
        ballots.add(marker.observe(&leaked).expect("observations"));
    }
    ballots.close()
}

fn main() {
    let mut numbers = std::env::args().filter_map(|argument| argument.parse().ok());
    let carriers = numbers.next().unwrap_or(CARRIERS);
    let grants = numbers.next().unwrap_or(GRANTS);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let (marker, leaker) = (marker(), index(0));
    let started = Instant::now();
    let votes = votes(&marker, leaker, carriers);
    let read = started.elapsed().as_secs_f64();
    println!("{} carriers marked and read in {read:.2} s", votes.total());
    let mut candidates: Vec<GrantIndex> = (0..grants).map(index).collect();
    candidates.sort();
    candidates.dedup();
    let standard = Standard::new(u64::try_from(candidates.len()).expect("a count"));
    let started = Instant::now();
    let prepared = Scores::new(&votes);
    let scores: Vec<Score> = thread::scope(|scope| {
        let parts = candidates.chunks(candidates.len().div_ceil(threads).max(1));
        let parts: Vec<_> = parts
            .map(|part| scope.spawn(|| prepared.of(marker.code(), part)))
            .collect();
        parts
            .into_iter()
            .flat_map(|part| part.join().expect("scores"))
            .collect()
    });
    let accused: Vec<(GrantIndex, f64)> = scores
        .iter()
        .filter(|score| standard.verdict(score.ln_e) == Verdict::Accused)
        .map(|score| (score.grant, prepared.p_value(score.ln_e)))
        .collect();
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "held against {} grants in {seconds:.2} s on {threads} threads, {} accused",
        scores.len(),
        accused.len()
    );
    let named: Vec<GrantIndex> = accused.into_iter().map(|(grant, _)| grant).collect();
    assert_eq!(named, [leaker], "the leaker, and nobody else");
}
