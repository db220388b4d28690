//! Runs the cases, one line of results each, and goes on where an earlier run stopped.

use std::any::Any;
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::tables::Table;
use super::world::{Size, World, grant_id};
use super::{Act, Case, Unfit, cases, innocent};

/// File of the results.
pub const RESULTS: &str = "results.jsonl";

/// Rows from which only the cases meant for it are run.
const LARGE: usize = 1_000_000;

/// Seeds of each case and table in the long form.
pub const SEEDS: u32 = 100;

/// The same for tables of a million rows.
pub const SEEDS_LARGE: u32 = 5;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The program that makes and runs the sites.
    pub program: PathBuf,
    /// Seeds of each case and table.
    pub seeds: u32,
    /// Numbers of the cases, such as `A7`; none for all.
    pub cases: Vec<String>,
    /// Tables; none for all.
    pub tables: Vec<Table>,
    /// How large they are.
    pub size: Size,
    /// Whether it is the short form: of several ways to do one thing, each on one table.
    pub is_brief: bool,
    /// After which no other leak is begun.
    pub budget: Option<Duration>,
}

/// What came of one leak.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the case.
    pub case: String,
    /// Its parameters.
    pub variant: String,
    /// Which of several.
    pub sub: String,
    /// The table.
    pub table: String,
    /// Rows of the table.
    pub rows: usize,
    /// Grants issued.
    pub issued: usize,
    /// The seed.
    pub seed: u32,
    /// Why it could not be run; absent if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unfit: Option<String>,
    /// Why the suite itself gave up; absent if it didn't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Whether it is as demanded of each: the leaker named, or the check held.
    pub passed: bool,
    /// Grants whose copies leaked.
    pub leakers: Vec<String>,
    /// Grants accused that had no part.
    pub innocent: Vec<String>,
    /// Carriers read.
    pub carriers: u64,
    /// The largest ln E of a leaker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ln_e: Option<f64>,
    /// What was measured besides, or why nothing was.
    pub note: String,
    /// How long it took.
    pub seconds: f64,
}

impl Record {
    /// What tells it from others.
    fn key(&self) -> (String, String, String, String, usize, usize, u32) {
        let text = |text: &String| text.clone();
        (
            text(&self.case),
            text(&self.variant),
            text(&self.sub),
            text(&self.table),
            self.rows,
            self.issued,
            self.seed,
        )
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ended {
    /// Leaks and checks done.
    pub done: usize,
    /// Innocents accused.
    pub innocent: usize,
    /// Leaks and checks at which the suite itself gave up.
    pub failed: usize,
    /// Whether the time was up.
    pub is_over: bool,
}

/// What stands in a directory's results so far.
///
/// # Errors
/// A file that can't be read, or isn't of results.
pub fn results(directory: &Path) -> io::Result<Vec<Record>> {
    let path = directory.join(RESULTS);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let text = fs::read_to_string(path)?;
    let lines = text.lines().map(serde_json::from_str);
    // A line that was cut off when a run was killed is no result.
    let whole = if text.is_empty() || text.ends_with('\n') {
        usize::MAX
    } else {
        text.lines().count() - 1
    };
    lines
        .take(whole)
        .collect::<Result<_, _>>()
        .map_err(io::Error::from)
}

/// Runs what the directory's results don't hold yet, and adds each result as it comes.
///
/// Seed after seed, so that a run that is stopped has all cases with fewer seeds, and not some.
///
/// # Errors
/// Results that can't be read or written.
pub fn run(plan: &Plan, directory: &Path) -> io::Result<Ended> {
    fs::create_dir_all(directory)?;
    let mut earlier = results(directory)?;
    // Where the suite gave up, it tries again.
    earlier.retain(|record| record.failed.is_none());
    let mut text = String::new();
    for record in &earlier {
        text.push_str(&serde_json::to_string(record)?);
        text.push('\n');
    }
    fs::write(directory.join(RESULTS), text)?;
    let known: BTreeSet<_> = earlier.iter().map(Record::key).collect();
    let mut file = File::options().append(true).open(directory.join(RESULTS))?;
    let started = Instant::now();
    let mut ended = Ended::default();
    each(plan, |case, worlds, table, seed| {
        if plan
            .budget
            .is_some_and(|budget| started.elapsed() >= budget)
        {
            ended.is_over = true;
            return Ok(false);
        }
        let blank = blank(plan, case, table, seed);
        if known.contains(&blank.key()) {
            return Ok(true);
        }
        let world = worlds.of(plan, table);
        // One that fails in a way of its own doesn't cost the hours that others took.
        let tried = catch_unwind(AssertUnwindSafe(|| one(case, world, blank.clone())));
        let record = tried.unwrap_or_else(|panic| Record {
            failed: Some(said_by(panic.as_ref())),
            ..blank
        });
        ended.done += 1;
        ended.failed += usize::from(record.failed.is_some());
        ended.innocent += record.innocent.len();
        writeln!(file, "{}", serde_json::to_string(&record)?)?;
        Ok(true)
    })?;
    Ok(ended)
}

/// What a panic says.
fn said_by(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("the log says why").to_owned()
}

/// How many leaks and checks the long form has with tables of so many rows.
#[must_use]
pub fn asked_for(rows: usize) -> usize {
    let seeds = seeds_asked_for(rows);
    let of = |case: &Case| {
        let is_run = !matches!(case.act, Act::NotBuilt(_)) && (rows < LARGE || case.is_large);
        let seeds = case.seeds_max.map_or(seeds, |most| most.min(seeds));
        usize::from(is_run) * case.tables.len() * seeds as usize
    };
    cases().iter().map(of).sum()
}

/// How many seeds the long form has with tables of so many rows.
#[must_use]
pub fn seeds_asked_for(rows: usize) -> u32 {
    if rows < LARGE { SEEDS } else { SEEDS_LARGE }
}

/// Goes through seeds, tables and cases for as long as `then` says so.
fn each(
    plan: &Plan,
    mut then: impl FnMut(&Case, &Worlds, Table, u32) -> io::Result<bool>,
) -> io::Result<()> {
    let worlds = Worlds::default();
    let all = cases();
    for seed in 1..=plan.seeds {
        for table in Table::ALL {
            if !plan.tables.is_empty() && !plan.tables.contains(&table) {
                continue;
            }
            for (number, case) in all.iter().enumerate() {
                let place = case.tables.iter().position(|of| *of == table);
                let is_turn = case.sub.is_empty() || place == Some(number % case.tables.len());
                let is_asked = plan.cases.is_empty() || plan.cases.iter().any(|id| id == case.id);
                let is_fit = place.is_some()
                    && (!plan.is_brief || is_turn && !case.is_long)
                    && case.seeds_max.is_none_or(|most| seed <= most)
                    && (plan.size.rows < LARGE || case.is_large)
                    && !matches!(case.act, Act::NotBuilt(_));
                if is_asked && is_fit && !then(case, &worlds, table, seed)? {
                    return Ok(());
                }
            }
        }
    }
    Ok(())
}

/// The tables' sites, each made when it is needed.
#[derive(Default)]
struct Worlds([OnceCell<World>; Table::ALL.len()]);

impl Worlds {
    fn of(&self, plan: &Plan, table: Table) -> &World {
        let at = Table::ALL.iter().position(|of| *of == table);
        let cell = &self.0[at.expect("a table")];
        cell.get_or_init(|| World::build(&plan.program, table, &plan.size))
    }
}

fn blank(plan: &Plan, case: &Case, table: Table, seed: u32) -> Record {
    Record {
        case: case.id.to_owned(),
        variant: case.variant.clone(),
        sub: case.sub.clone(),
        table: table.name().to_owned(),
        rows: plan.size.rows,
        issued: plan.size.issued,
        seed,
        ..Record::default()
    }
}

/// Runs one case with one seed.
fn one(case: &Case, world: &World, mut record: Record) -> Record {
    let seed = record.seed.to_string();
    let mut draw = Draw::of(&[case.id, &case.variant, &case.sub, &record.table, &seed]);
    let started = Instant::now();
    let unfit = match &case.act {
        Act::Leak(judge, make) => match make(world, &mut draw) {
            Ok(leak) => {
                let traced = world.trace(&leak.sheet, leak.form);
                let leakers: Vec<String> = leak.leakers.iter().copied().map(grant_id).collect();
                record.passed = judge.is_met(&traced, &leak.leakers);
                record.innocent = innocent(&traced, &leak.leakers);
                let scores = leakers.iter().filter_map(|grant| traced.ln_e(grant));
                record.ln_e = scores.max_by(f64::total_cmp);
                record.leakers = leakers;
                record.carriers = traced.carriers;
                record.note = traced.error.unwrap_or_default();
                None
            }
            Err(unfit) => Some(unfit),
        },
        Act::Check(make) => match make(world, &mut draw) {
            Ok(checked) => {
                record.passed = checked.passed && checked.innocent.is_empty();
                record.innocent = checked.innocent;
                record.note = checked.note;
                None
            }
            Err(unfit) => Some(unfit),
        },
        Act::NotBuilt(_) => None,
    };
    record.unfit = unfit.map(|unfit| unfit.words().to_owned());
    record.seconds = started.elapsed().as_secs_f64();
    record
}

impl Unfit {
    fn words(self) -> &'static str {
        match self {
            Self::Rows => "too few rows",
            Self::Grants => "too few grants",
            Self::Table => "no such column",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_read_back_without_a_line_that_was_cut_off() {
        let directory = tempfile::tempdir().expect("a directory");
        let record = Record {
            case: "A1".to_owned(),
            ln_e: Some(30.25),
            ..Record::default()
        };
        let line = serde_json::to_string(&record).expect("a line");
        let path = directory.path().join(RESULTS);
        fs::write(&path, format!("{line}\n{}", &line[..20])).expect("results");
        assert_eq!(results(directory.path()).expect("results"), [record]);
        assert_eq!(results(Path::new("nowhere")).expect("none"), []);
    }

    #[test]
    fn no_two_cases_have_the_same_name() {
        let mut seen = BTreeSet::new();
        for case in cases() {
            let name = (case.id, case.variant, case.sub);
            assert!(seen.insert(name.clone()), "{name:?}");
        }
        let ids: BTreeSet<&str> = seen.iter().map(|(id, ..)| *id).collect();
        let wanted = (1..=23).map(|number| format!("A{number}"));
        let wanted = wanted.chain((1..=4).map(|number| format!("F{number}")));
        let wanted = wanted.chain((1..=4).map(|number| format!("D{number}")));
        for id in wanted {
            assert!(ids.contains(id.as_str()), "{id}");
        }
    }
}
