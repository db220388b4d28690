//! A site whose key of marks was renewed between two deliveries: what is traced under both keys side by
//! side, and what is left to accuse anybody when the older key is gone.

use std::fs;

use arrow::array::RecordBatch;
use lockgate::trace::{Request, Tracer};

use super::draw::Draw;
use super::embed::put;
use super::sheet::{Form, Sheet};
use super::tables::{Freedom, Table};
use super::world::{Traced, World, begin, grant_id, issue, open, own_key, request};
use super::{Case, Checked, Unfit};
use crate::site::{Delivery, Site};

/// Rows above which a delivery is read anew each time rather than kept.
const KEPT_ROWS: usize = 100_000;

/// Grants that are delivered under each key.
const DELIVERED: usize = 2;

/// Carriers of a leak that are each key's.
const CARRIERS: usize = 2_000;

/// Rows of a leak of one key.
const ROWS: usize = 1_000;

/// The error that all traces of a dataset share, as `trace` promises it.
const ERROR: f64 = 1e-9;

pub(super) fn cases() -> Vec<Case> {
    let older = Case::check(
        "F2",
        "other epoch",
        "a delivery marked by an earlier key, of which only the current one is left",
        of_older_key,
    );
    let multiplicity = Case::check(
        "F4",
        "",
        "two keys traced side by side, by the first trace and by the tenth: each threshold is the \
         logarithm of keys times grants, by the trace's share of the error",
        multiplicity,
    );
    vec![older.on(&Table::ALL).large(), multiplicity]
}

/// The site, its deliveries, and what traces them.
pub struct Rotated {
    /// Where the deliveries lie.
    _site: Site,
    rows: usize,
    older: Vec<Kept>,
    newer: Vec<Kept>,
    /// Grants whose deliveries are marked by the first key and by the second.
    issued: [usize; 2],
    with_both_keys: Tracer,
    with_the_newer: Tracer,
}

/// A delivery, and its rows where they are few enough to be kept: those of four deliveries of a million
/// rows would be there beside those of the table's own site.
struct Kept {
    delivery: Delivery,
    rows: Option<RecordBatch>,
}

impl Kept {
    fn new(delivery: Delivery, rows: usize) -> Self {
        Self {
            rows: (rows <= KEPT_ROWS).then(|| delivery.rows()),
            delivery,
        }
    }

    /// Some of its rows.
    fn sheet(&self, rows: &[usize]) -> Sheet {
        match &self.rows {
            Some(batch) => Sheet::of(batch, rows),
            None => Sheet::of(&self.delivery.rows(), rows),
        }
    }
}

impl Rotated {
    /// Makes the site, delivers, renews the key, delivers again, and takes the older key away.
    #[must_use]
    pub fn build(world: &World) -> Self {
        let (table, size) = (world.table, &world.size);
        let site = world.another(Freedom::Full);
        own_key(&site, table, "mark", 1);
        own_key(&site, table, "pseudonym", 1);
        put(&site, table, &table.rows(size.rows, "rotated"));
        issue(&site, size.issued);
        let grants: Vec<String> = (0..DELIVERED).map(grant_id).collect();
        let deliver = |grant: &String| {
            site.signed(&table.grant(grant, table.name()));
            Kept::new(site.deliver(grant), size.rows)
        };
        let older = grants.iter().map(deliver).collect();
        begin(&site, table, DELIVERED..size.issued);
        site.json(["keys", "new", "mark"]).expect_code(0);
        own_key(&site, table, "mark", 2);
        let again = |grant: &String| Kept::new(again(&site, grant), size.rows);
        let newer = grants.iter().map(again).collect();
        // Not as many as before, so that the two can't be mistaken for each other.
        let issued = [size.issued, size.issued / 2];
        begin(&site, table, DELIVERED..issued[1]);
        let tracer = || Tracer::open(&open(&site), table.name()).expect("a tracer of the dataset");
        let with_both_keys = tracer();
        fs::remove_file(site.path("keys/mark.v1.key")).expect("the older key");
        let with_the_newer = tracer();
        Self {
            rows: size.rows,
            older,
            newer,
            issued,
            with_both_keys,
            with_the_newer,
            _site: site,
        }
    }
}

fn again(site: &Site, grant: &str) -> Delivery {
    let run = site.json(["run", grant, "--again"]).expecting(0);
    Delivery::of_run(&run.document())
}

fn of_older_key(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let rotated = world.rotated();
    if rotated.rows < ROWS {
        return Err(Unfit::Rows);
    }
    let rows = draw.choose(ROWS, rotated.rows);
    let sheet = draw.pick(&rotated.older).sheet(&rows);
    let with_both = world.trace_by(&rotated.with_both_keys, &sheet, Form::Csv, &request());
    let traced = world.trace_by(&rotated.with_the_newer, &sheet, Form::Csv, &request());
    // With the older key it is traced, so what isn't found isn't for want of marks.
    let is_traced = with_both.accused.len() == 1;
    let is_nobodys = traced.error.is_none() && traced.accused.is_empty() && !traced.is_ours;
    let note = format!(
        "with both keys {:?}, with the newer {:?} of {} carriers, {:?}",
        with_both.accused, traced.accused, traced.carriers, traced.error
    );
    Ok(Checked::of(is_traced && is_nobodys, note).with(&traced, &[]))
}

fn multiplicity(world: &World, draw: &mut Draw) -> Result<Checked, Unfit> {
    let rotated = world.rotated();
    let each = world.rows_for(CARRIERS)?;
    if 2 * each > rotated.rows {
        return Err(Unfit::Rows);
    }
    let rows = draw.choose(2 * each, rotated.rows);
    let leakers = draw.choose(2, DELIVERED);
    let mut sheet = rotated.older[leakers[0]].sheet(&rows[..each]);
    sheet.append(rotated.newer[leakers[1]].sheet(&rows[each..]));
    let trace = |investigation: u64| {
        let request = Request {
            investigation,
            ..request()
        };
        world.trace_by(&rotated.with_both_keys, &sheet, Form::Csv, &request)
    };
    let (first, tenth) = (trace(1), trace(10));
    // The shares of the error: 1/(1·2), and 1/(10·11).
    let counts_all = is_exact(&first, rotated.issued, ERROR / 2.0)
        && is_exact(&tenth, rotated.issued, ERROR / 110.0);
    let risen = tenth.accused_from - first.accused_from;
    let counts_traces = (risen - 55_f64.ln()).abs() < 1e-9;
    let is_named = |traced: &Traced| {
        let mut leakers = leakers.iter();
        leakers.all(|leaker| traced.accused.contains(&grant_id(*leaker)))
    };
    let note = format!(
        "accused from {} ({:?}), in the tenth trace from {}; {:?}",
        first.accused_from, first.thresholds, tenth.accused_from, first.accused
    );
    let is_met = counts_all && counts_traces && is_named(&first) && is_named(&tenth);
    Ok(Checked::of(is_met, note)
        .with(&first, &leakers)
        .with(&tenth, &leakers))
}

/// Whether both keys were traced, each with the threshold ln(2 · N / ε) of its own N, of which the first
/// is the trace's.
fn is_exact(traced: &Traced, issued: [usize; 2], error: f64) -> bool {
    let mut versions: Vec<u32> = traced.thresholds.iter().map(|of| of.0).collect();
    versions.sort_unstable();
    let is_as_it_should_be = |(version, from): &(u32, f64)| {
        let issued = issued[usize::from(*version == 2)] as f64;
        (from - (2.0 * issued / error).ln()).abs() < 1e-9
    };
    let first = traced.thresholds.first().map(|of| of.1);
    versions == [1, 2]
        && traced.thresholds.iter().all(is_as_it_should_be)
        && first.is_some_and(|first| (first - traced.accused_from).abs() < 1e-12)
}
