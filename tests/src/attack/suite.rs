//! Runs the cases, one line of results each, and goes on where an earlier run stopped.

use std::any::Any;
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::draw::Draw;
use super::tables::Table;
use super::world::{Size, World, grant_id};
use super::{Act, Case, Unfit, cases, innocent};

/// File of the results.
pub const RESULTS: &str = "results.jsonl";

/// File that says how long each run took.
pub const RUNS: &str = "runs.jsonl";

/// Rows from which only the cases meant for it are run.
const LARGE: usize = 1_000_000;

/// Seeds of each case and table in the long form.
pub const SEEDS: u32 = 100;

/// The same for tables of a million rows.
pub const SEEDS_LARGE: u32 = 5;

/// Rows of the tables of the long form.
pub const SIZES: [usize; 2] = [20_000, LARGE];

/// Grants issued in the long form.
pub const GRANTS: usize = 10_000;

/// Codewords that F1 scores in it against each leak.
pub const CODEWORDS: usize = 1_000_000;

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
    /// Leaks that are made and traced at a time.
    pub threads: usize,
}

/// How long a run took that came to its end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Stretch {
    /// Rows of its tables.
    pub rows: usize,
    /// Leaks that were made and traced at a time.
    pub threads: usize,
    /// Leaks and checks that it did.
    pub done: usize,
    /// Seconds by the clock on the wall: those of each leak overlap.
    pub wall: f64,
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
    /// Codewords that were scored; of F1 alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codewords: Option<usize>,
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
    fn key(&self) -> Key {
        let names = [&self.case, &self.variant, &self.sub, &self.table];
        let sizes = (self.rows, self.issued, self.codewords);
        (names.map(String::clone), sizes, self.seed)
    }
}

/// What tells a record from others: case, variant, which of several and table; rows, grants and
/// codewords; the seed.
type Key = ([String; 4], (usize, usize, Option<usize>), u32);

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
    read(&directory.join(RESULTS))
}

/// How long the runs took by which a directory's results came about, but for those that were killed.
///
/// # Errors
/// A file that can't be read, or isn't of runs.
pub fn stretches(directory: &Path) -> io::Result<Vec<Stretch>> {
    read(&directory.join(RUNS))
}

/// The lines of a file; none where there is no file.
fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Vec<T>> {
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
/// Seed after seed, so that a run that is stopped has all cases with fewer seeds, and not some; tables of a
/// million rows one after the other, since two of them would take twice the memory. Leaks of one run may
/// come in any order, and are the same in each: they follow from case, table and seed.
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
    replace(&directory.join(RESULTS), &text)?;
    let known: BTreeSet<_> = earlier.iter().map(Record::key).collect();
    let started = Instant::now();
    let cases = cases();
    let mut turns = turns(plan, &cases);
    turns.retain(|turn| !known.contains(&turn.blank(plan).key()));
    let run = Run {
        plan,
        started,
        results: Mutex::new(File::options().append(true).open(directory.join(RESULTS))?),
        ended: Mutex::default(),
    };
    if plan.size.rows < LARGE {
        run.all(&turns)?;
    } else {
        for of_table in turns.chunk_by(|one, next| one.table == next.table) {
            run.all(of_table)?;
        }
    }
    let ended = *run.ended.lock().unwrap_or_else(PoisonError::into_inner);
    if ended.done > 0 {
        let stretch = Stretch {
            rows: plan.size.rows,
            threads: plan.threads.max(1),
            done: ended.done,
            wall: started.elapsed().as_secs_f64(),
        };
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(directory.join(RUNS))?;
        writeln!(file, "{}", serde_json::to_string(&stretch)?)?;
    }
    Ok(ended)
}

/// Gives a file other content at once: whoever is killed here loses nothing.
fn replace(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, path)
}

/// A run under way, on several threads.
struct Run<'a> {
    plan: &'a Plan,
    started: Instant,
    results: Mutex<File>,
    ended: Mutex<Ended>,
}

impl Run<'_> {
    /// Takes all turns, as many at a time as the plan says. The tables' sites are there for as long.
    fn all(&self, turns: &[Turn<'_>]) -> io::Result<()> {
        let (worlds, next) = (Worlds::default(), AtomicUsize::new(0));
        let work = || {
            while let Some(turn) = turns.get(next.fetch_add(1, Ordering::Relaxed)) {
                if self.is_over() {
                    break;
                }
                if let Err(error) = self.take(turn, &worlds) {
                    // What can't be written needn't be found.
                    next.store(turns.len(), Ordering::Relaxed);
                    return Err(error);
                }
            }
            Ok(())
        };
        thread::scope(|scope| {
            let threads = 0..self.plan.threads.max(1);
            let workers: Vec<_> = threads.map(|_| scope.spawn(work)).collect();
            let ends = workers.into_iter().map(|worker| {
                let end = worker.join();
                end.unwrap_or_else(|panic| resume_unwind(panic))
            });
            ends.collect::<Vec<io::Result<()>>>().into_iter().collect()
        })
    }

    /// Whether the time is up; noted, since something is left to do.
    fn is_over(&self) -> bool {
        let budget = self.plan.budget;
        let is_over = budget.is_some_and(|budget| self.started.elapsed() >= budget);
        if is_over {
            self.note(|ended| ended.is_over = true);
        }
        is_over
    }

    fn take(&self, turn: &Turn<'_>, worlds: &Worlds) -> io::Result<()> {
        let blank = turn.blank(self.plan);
        let world = worlds.of(self.plan, turn.table);
        // One that fails in a way of its own doesn't cost the hours that others took.
        let tried = catch_unwind(AssertUnwindSafe(|| one(turn.case, world, blank.clone())));
        let record = tried.unwrap_or_else(|panic| Record {
            failed: Some(said_by(panic.as_ref())),
            ..blank
        });
        self.note(|ended| {
            ended.done += 1;
            ended.failed += usize::from(record.failed.is_some());
            ended.innocent += record.innocent.len();
        });
        let line = format!("{}\n", serde_json::to_string(&record)?);
        let mut results = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        results.write_all(line.as_bytes())
    }

    fn note(&self, what: impl FnOnce(&mut Ended)) {
        what(&mut self.ended.lock().unwrap_or_else(PoisonError::into_inner));
    }
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
    turns(&long_form(rows), &cases()).len()
}

/// How many of these leaks and checks none of the records tells of.
#[must_use]
pub fn missing<'a>(rows: usize, records: impl Iterator<Item = &'a Record>) -> usize {
    let answers = records.filter(|record| record.failed.is_none());
    let known: BTreeSet<Key> = answers.map(Record::key).collect();
    let (plan, cases) = (long_form(rows), cases());
    let turns = turns(&plan, &cases).into_iter();
    let asked = turns.map(|turn| turn.blank(&plan).key());
    asked.filter(|key| !known.contains(key)).count()
}

/// The long form with tables of so many rows.
fn long_form(rows: usize) -> Plan {
    Plan {
        program: PathBuf::new(),
        seeds: seeds_asked_for(rows),
        cases: Vec::new(),
        tables: Vec::new(),
        size: Size {
            rows,
            issued: GRANTS,
            delivered: 0,
            codewords: CODEWORDS,
        },
        is_brief: false,
        budget: None,
        threads: 1,
    }
}

/// How many seeds the long form has with tables of so many rows.
#[must_use]
pub fn seeds_asked_for(rows: usize) -> u32 {
    if rows < LARGE { SEEDS } else { SEEDS_LARGE }
}

/// One case on one table with one seed.
struct Turn<'a> {
    case: &'a Case,
    table: Table,
    seed: u32,
}

impl Turn<'_> {
    /// Its record, of which nothing came yet.
    fn blank(&self, plan: &Plan) -> Record {
        Record {
            case: self.case.id.to_owned(),
            variant: self.case.variant.clone(),
            sub: self.case.sub.clone(),
            table: self.table.name().to_owned(),
            rows: plan.size.rows,
            issued: plan.size.issued,
            seed: self.seed,
            codewords: self.case.scores_codewords().then_some(plan.size.codewords),
            ..Record::default()
        }
    }
}

/// Everything that a plan asks for, in the order in which it is begun.
fn turns<'a>(plan: &Plan, cases: &'a [Case]) -> Vec<Turn<'a>> {
    let mut turns = Vec::new();
    for seed in 1..=plan.seeds {
        for table in Table::ALL {
            let all = cases.iter().enumerate();
            let asked = all.filter(|(number, case)| is_run(plan, (*number, case), table, seed));
            turns.extend(asked.map(|(_, case)| Turn { case, table, seed }));
        }
    }
    if plan.size.rows >= LARGE {
        turns.sort_by_key(|turn| turn.table);
    }
    turns
}

/// Whether a plan asks for the case of that number on a table with a seed.
fn is_run(plan: &Plan, (number, case): (usize, &Case), table: Table, seed: u32) -> bool {
    let place = case.tables.iter().position(|of| *of == table);
    let is_turn = case.sub.is_empty() || place == Some(number % case.tables.len());
    let is_asked = plan.cases.is_empty() || plan.cases.iter().any(|id| id == case.id);
    place.is_some()
        && is_asked
        && (plan.tables.is_empty() || plan.tables.contains(&table))
        && (!plan.is_brief || is_turn && case.is_brief_on(table))
        && case.seeds_max.is_none_or(|most| seed <= most)
        && (plan.size.rows < LARGE || case.is_large)
        && !matches!(case.act, Act::NotBuilt(_))
}

/// The tables' sites, each made when it is needed.
#[derive(Default)]
struct Worlds([OnceLock<World>; Table::ALL.len()]);

impl Worlds {
    fn of(&self, plan: &Plan, table: Table) -> &World {
        let at = Table::ALL.iter().position(|of| *of == table);
        let cell = &self.0[at.expect("a table")];
        cell.get_or_init(|| World::build(&plan.program, table, &plan.size))
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
    /// The same in words.
    #[must_use]
    pub fn words(self) -> &'static str {
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

    fn plan(tables: &[Table], rows: usize, is_brief: bool) -> Plan {
        Plan {
            program: PathBuf::new(),
            seeds: 2,
            cases: Vec::new(),
            tables: tables.to_vec(),
            size: Size {
                rows,
                issued: 1,
                delivered: 1,
                codewords: 0,
            },
            is_brief,
            budget: None,
            threads: 1,
        }
    }

    #[test]
    fn the_four_tables_cover_every_case_of_the_short_form() {
        let cases = cases();
        let asked = |tables: &[Table]| -> BTreeSet<_> {
            let turns = turns(&plan(tables, 3_000, true), &cases);
            let name = |turn: &Turn<'_>| {
                let Turn { case, table, seed } = turn;
                (
                    case.id,
                    case.variant.clone(),
                    case.sub.clone(),
                    *table,
                    *seed,
                )
            };
            turns.iter().map(name).collect()
        };
        let together = asked(&[]);
        let apart: BTreeSet<_> = Table::ALL
            .iter()
            .flat_map(|table| asked(&[*table]))
            .collect();
        assert_eq!(together, apart);
        let is_short = |case: &&Case| !case.is_long && !matches!(case.act, Act::NotBuilt(_));
        for case in cases.iter().filter(is_short) {
            let name = (case.id, &case.variant, &case.sub);
            let runs = together
                .iter()
                .filter(|(id, variant, sub, _, seed)| (*id, variant, sub) == name && *seed == 1);
            // Of several ways to do one thing each is tried on one table.
            let tables = case.tables.iter();
            let wanted = match case.sub.as_str() {
                "" => tables.filter(|table| case.is_brief_on(**table)).count(),
                _ => 1,
            };
            assert_eq!(runs.count(), wanted, "{name:?}");
        }
    }

    #[test]
    fn tables_of_a_million_rows_come_one_after_the_other() {
        let cases = cases();
        let tables = |rows: usize| {
            let turns = turns(&plan(&[], rows, false), &cases);
            let mut tables: Vec<Table> = turns.iter().map(|turn| turn.table).collect();
            tables.dedup();
            tables
        };
        assert_eq!(tables(LARGE), Table::ALL);
        // Others seed after seed.
        assert_eq!(tables(20_000), [Table::ALL, Table::ALL].concat());
    }

    #[test]
    fn what_the_reference_asks_for_is_tried_on_a_million_rows() {
        for case in cases() {
            if ["A2", "A6", "A17", "A19", "F2"].contains(&case.id) {
                assert!(case.is_large, "{} {} {}", case.id, case.variant, case.sub);
            }
        }
    }

    #[test]
    fn fewer_codewords_than_are_asked_for_do_not_count_as_all_of_them() {
        let cases = cases();
        let record = |codewords: usize| {
            let mut plan = plan(&[Table::Text], 20_000, false);
            plan.size.codewords = codewords;
            plan.size.issued = GRANTS;
            let turns = turns(&plan, &cases);
            let turn = turns.iter().find(|turn| turn.case.id == "F1");
            turn.expect("a turn").blank(&plan)
        };
        assert_eq!(record(1_000).codewords, Some(1_000));
        assert_ne!(record(1_000).key(), record(CODEWORDS).key());
        let all = asked_for(20_000);
        for (codewords, is_asked_for) in [(1_000, 0), (CODEWORDS, 1)] {
            let left = missing(20_000, [record(codewords)].iter());
            assert_eq!(left + is_asked_for, all);
        }
        // Where the suite itself gave up, nothing is known.
        let failed = Record {
            failed: Some("no delivery".to_owned()),
            ..record(CODEWORDS)
        };
        assert_eq!(missing(20_000, [failed].iter()), all);
    }

    #[test]
    fn results_are_kept_whatever_becomes_of_a_run() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join(RESULTS);
        let line = serde_json::to_string(&Record::default()).expect("a line");
        fs::write(&path, format!("{line}\n{}", &line[..9])).expect("results");
        let nothing = Plan {
            cases: vec!["A0".to_owned()],
            ..plan(&[], 3_000, true)
        };
        run(&nothing, directory.path()).expect("no results");
        assert_eq!(
            fs::read_to_string(&path).expect("results"),
            format!("{line}\n")
        );
        let files = fs::read_dir(directory.path()).expect("a directory");
        assert_eq!(files.count(), 1, "nothing is left beside them");
    }

    #[test]
    fn a_run_with_nothing_to_do_leaves_no_time_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let nothing = Plan {
            cases: vec!["A0".to_owned()],
            threads: 3,
            ..plan(&[], 3_000, true)
        };
        let ended = run(&nothing, directory.path()).expect("no results");
        assert_eq!(ended, Ended::default());
        assert_eq!(stretches(directory.path()).expect("none"), []);
        let stretch = Stretch {
            rows: 3_000,
            threads: 2,
            done: 5,
            wall: 1.5,
        };
        let line = serde_json::to_string(&stretch).expect("a line");
        fs::write(directory.path().join(RUNS), format!("{line}\n")).expect("a run");
        assert_eq!(stretches(directory.path()).expect("runs"), [stretch]);
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
