//! The attack suite: what people may do to a delivered table to hide whose copy it is, and what the
//! trace still says.
//!
//! An attack is a function of what its maker holds, a delivery or several, and of a seed: it makes a
//! file. None knows a key, or which cells carry; what it may guess stands in
//! [`tables::Table::guesses`]. Some are told by the plan which fields carry and what their rows are found
//! by, as nobody outside is, so as to leave just that or to leave it out: A3, A4, A13, A14, of A18 the
//! leak without cells found by their own value, and of F2 the shuffled keys. A16 knows the catalogue. How
//! many rows a leak has follows from how many carriers the plan says that a row has. Every leak is traced
//! among all grants ever issued, through the same library as `lockgate trace`. What is no attack (F and D)
//! looks at the program from inside.
//!
//! - [`cases`]: every case, with what is demanded of it
//! - [`suite`]: runs them, one line of results each
//! - [`report`]: what came of it, as the page `pipeline/docs/attacks.md`

#![expect(
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::missing_panics_doc,
    reason = "a fixture that does not come about is a failed test"
)]

pub mod alter;
pub mod collude;
pub mod draw;
pub mod embed;
pub mod format;
pub mod innocent;
pub mod insert;
pub mod report;
pub mod rotation;
pub mod sheet;
pub mod speed;
pub mod subset;
pub mod suite;
pub mod tables;
pub mod tags;
pub mod visible;
pub mod world;

use draw::Draw;
use sheet::{Form, Sheet};
use suite::Record;
use tables::Table;
use world::{Traced, World};

/// A file that leaked.
#[derive(Debug)]
pub struct Leak {
    /// What it holds.
    pub sheet: Sheet,
    /// How it is written.
    pub form: Form,
    /// The grants whose copies it was made from; none of anybody else's.
    pub leakers: Vec<usize>,
}

/// Why a case can't be run on a table of that size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unfit {
    /// It has too few rows.
    Rows,
    /// Too few grants were delivered.
    Grants,
    /// It has no column that the attack is about.
    Table,
}

/// What came of a case that looks from inside.
#[derive(Debug, Clone, Default)]
pub struct Checked {
    /// Whether it is as demanded.
    pub passed: bool,
    /// What was measured.
    pub note: String,
    /// Grants that were accused and had no part in any leak.
    pub innocent: Vec<String>,
}

impl Checked {
    /// What was measured, and whether it is as demanded.
    #[must_use]
    pub fn of(passed: bool, note: String) -> Self {
        Self {
            passed,
            note,
            innocent: Vec::new(),
        }
    }

    /// The same, with whoever `traced` accuses beside the leakers.
    #[must_use]
    pub fn with(mut self, traced: &Traced, leakers: &[usize]) -> Self {
        self.innocent.extend(innocent(traced, leakers));
        self
    }
}

/// Grants that a trace accuses and that are none of the leakers.
#[must_use]
pub fn innocent(traced: &Traced, leakers: &[usize]) -> Vec<String> {
    let guilty: Vec<String> = leakers.iter().copied().map(world::grant_id).collect();
    let others = traced.accused.iter().filter(|name| !guilty.contains(name));
    others.cloned().collect()
}

/// Makes a leak, on any thread.
pub type MakeLeak = Box<dyn Fn(&World, &mut Draw) -> Result<Leak, Unfit> + Send + Sync>;

/// Looks at the program from inside, on any thread.
pub type MakeCheck = Box<dyn Fn(&World, &mut Draw) -> Result<Checked, Unfit> + Send + Sync>;

/// What a case does.
pub enum Act {
    /// Makes a leak, which is traced.
    Leak(Judge, MakeLeak),
    /// Looks for itself.
    Check(MakeCheck),
    /// Nothing: there is nothing of the kind to attack.
    NotBuilt(&'static str),
}

/// When a leak counts as traced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Judge {
    /// One of the leakers is accused.
    Any,
    /// All of them are.
    All,
    /// The first of them is.
    First,
    /// The file is read, nobody is accused, and presence is not claimed.
    NotOurs,
    /// The same, or no column of the file can be a marked field.
    NotOursOrStrange,
}

impl Judge {
    /// Whether a trace is as it should be.
    #[must_use]
    pub fn is_met(self, traced: &Traced, leakers: &[usize]) -> bool {
        let is_named = |leaker: &usize| traced.accused.contains(&world::grant_id(*leaker));
        let is_nobodys = traced.accused.is_empty() && !traced.is_ours;
        match self {
            Self::Any => leakers.iter().any(is_named),
            Self::All => leakers.iter().all(is_named),
            Self::First => leakers.first().is_some_and(is_named),
            Self::NotOurs => is_nobodys && traced.error.is_none(),
            Self::NotOursOrStrange => {
                is_nobodys
                    && traced
                        .error
                        .as_deref()
                        .is_none_or(|error| error == NO_COLUMN)
            }
        }
    }
}

/// What the trace says of a file that has none of the dataset's columns.
const NO_COLUMN: &str = "no column of the file can be one of the dataset's marked fields";

/// A case: one attack with its parameters.
pub struct Case {
    /// Its number in the reference's list, such as `A7`.
    pub id: &'static str,
    /// Its parameters.
    pub variant: String,
    /// Parameters whose worst counts, such as the strategy of a coalition; may be empty.
    pub sub: String,
    /// What is done, in words.
    pub words: &'static str,
    /// Of how many in a hundred leaks the leaker must be named; none where it is enough that nobody
    /// innocent is.
    pub demand: Option<f64>,
    /// The tables.
    pub tables: &'static [Table],
    /// What it does.
    pub act: Act,
    /// Most seeds that say anything new; none for as many as are asked for.
    pub seeds_max: Option<u32>,
    /// Whether it is run on a million rows too.
    pub is_large: bool,
    /// Whether it is left out of the short form.
    pub is_long: bool,
    /// Tables on which it is.
    pub long_on: &'static [Table],
    /// Whether by the reference nobody is named, not even the leaker: nothing is left to name one by.
    pub names_nobody: bool,
    /// Whether the demand is known not to be met.
    pub falls_short: bool,
    /// What is to be known of it: how it differs from the reference's, why the demand isn't met, or why
    /// none is made; for the report.
    pub why: &'static str,
}

impl Case {
    /// A case on the tables whose marks are in clear values.
    #[must_use]
    pub fn new(id: &'static str, variant: &str, words: &'static str, act: Act) -> Self {
        Self {
            id,
            variant: variant.to_owned(),
            sub: String::new(),
            words,
            demand: None,
            tables: Table::CLEAR,
            act,
            seeds_max: None,
            is_large: false,
            is_long: false,
            long_on: &[],
            names_nobody: false,
            falls_short: false,
            why: "",
        }
    }

    /// A leak of which any leaker must be named.
    #[must_use]
    pub fn leak(
        id: &'static str,
        variant: &str,
        words: &'static str,
        make: impl Fn(&World, &mut Draw) -> Result<Leak, Unfit> + Send + Sync + 'static,
    ) -> Self {
        Self::new(id, variant, words, Act::Leak(Judge::Any, Box::new(make)))
    }

    /// A check.
    #[must_use]
    pub fn check(
        id: &'static str,
        variant: &str,
        words: &'static str,
        make: impl Fn(&World, &mut Draw) -> Result<Checked, Unfit> + Send + Sync + 'static,
    ) -> Self {
        Self::new(id, variant, words, Act::Check(Box::new(make))).demanding(100.0)
    }

    /// The same where so many in a hundred must be traced.
    #[must_use]
    pub fn demanding(mut self, percent: f64) -> Self {
        self.demand = Some(percent);
        self
    }

    /// The same with another judge.
    #[must_use]
    pub fn judged(mut self, judge: Judge) -> Self {
        if let Act::Leak(of, _) = &mut self.act {
            *of = judge;
        }
        self
    }

    /// One of several of which the worst counts.
    #[must_use]
    pub fn as_one_of(mut self, sub: &str) -> Self {
        sub.clone_into(&mut self.sub);
        self
    }

    /// The same on other tables.
    #[must_use]
    pub fn on(mut self, tables: &'static [Table]) -> Self {
        self.tables = tables;
        self
    }

    /// The same with at most so many seeds.
    #[must_use]
    pub fn at_most(mut self, seeds: u32) -> Self {
        self.seeds_max = Some(seeds);
        self
    }

    /// The same on a million rows too.
    #[must_use]
    pub fn large(mut self) -> Self {
        self.is_large = true;
        self
    }

    /// The same, left out of the short form where that is so.
    #[must_use]
    pub fn long(mut self, is_long: bool) -> Self {
        self.is_long = is_long;
        self
    }

    /// The same, left out of the short form on these tables.
    #[must_use]
    pub fn long_on(mut self, tables: &'static [Table]) -> Self {
        self.long_on = tables;
        self
    }

    /// The same, of which the reference says that nobody is named.
    #[must_use]
    pub fn naming_nobody(mut self) -> Self {
        self.names_nobody = true;
        self
    }

    /// The same, of which it is to be known.
    #[must_use]
    pub fn because(mut self, why: &'static str) -> Self {
        self.why = why;
        self
    }

    /// The same, whose demand isn't met.
    #[must_use]
    pub fn falling_short_because(mut self, why: &'static str) -> Self {
        self.falls_short = true;
        self.because(why)
    }

    /// Whether the short form has it on a table.
    #[must_use]
    pub fn is_brief_on(&self, table: Table) -> bool {
        !self.is_long && !self.long_on.contains(&table)
    }

    /// Whether a record is of this case as it is now, on a table that it still has.
    #[must_use]
    pub fn has(&self, record: &Record) -> bool {
        let is_named =
            self.id == record.case && self.variant == record.variant && self.sub == record.sub;
        // F1 says how many codewords it scored; of older records nobody knows.
        let is_whole = self.scores_codewords() == record.codewords.is_some();
        let mut tables = self.tables.iter();
        is_named && is_whole && tables.any(|table| table.name() == record.table)
    }

    /// Whether it scores as many codewords as it is told to.
    #[must_use]
    pub fn scores_codewords(&self) -> bool {
        self.id == "F1"
    }
}

/// All cases, in the order of the reference's list.
#[must_use]
pub fn cases() -> Vec<Case> {
    let families = [
        subset::cases(),
        format::cases(),
        alter::cases(),
        insert::cases(),
        collude::cases(),
        tags::cases(),
        innocent::cases(),
        rotation::cases(),
        visible::cases(),
        embed::cases(),
    ];
    let mut all: Vec<Case> = families.into_iter().flatten().collect();
    // By letter, then by number; the order within a family stays.
    all.sort_by_key(|case| {
        let (letter, number) = case.id.split_at(1);
        (letter, number.parse::<u32>().unwrap_or_default())
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_could_not_be_read_is_no_proof_that_it_is_not_ours() {
        let failed = |error: &str| Traced {
            error: Some(error.to_owned()),
            ..Traced::default()
        };
        assert!(Judge::NotOurs.is_met(&Traced::default(), &[]));
        assert!(!Judge::NotOurs.is_met(&failed(NO_COLUMN), &[]));
        assert!(Judge::NotOursOrStrange.is_met(&failed(NO_COLUMN), &[]));
        assert!(!Judge::NotOursOrStrange.is_met(&failed("the file is empty"), &[]));
        let ours = Traced {
            is_ours: true,
            ..Traced::default()
        };
        assert!(!Judge::NotOurs.is_met(&ours, &[]) && !Judge::NotOursOrStrange.is_met(&ours, &[]));
    }

    #[test]
    fn a_case_has_no_records_of_tables_that_it_does_not_have() {
        let cases = cases();
        let rounded = cases.iter().find(|case| case.id == "A9").expect("a case");
        let record = |table: Table| Record {
            case: "A9".to_owned(),
            variant: rounded.variant.clone(),
            table: table.name().to_owned(),
            ..Record::default()
        };
        assert!(rounded.has(&record(Table::Register)) && !rounded.has(&record(Table::Text)));
        let codewords = cases.iter().find(|case| case.id == "F1").expect("a case");
        let mut record = Record {
            case: "F1".to_owned(),
            variant: codewords.variant.clone(),
            ..record(Table::Text)
        };
        assert!(!codewords.has(&record));
        record.codewords = Some(1_000);
        assert!(codewords.has(&record));
    }

    #[test]
    fn the_first_leaker_is_not_any() {
        let traced = Traced {
            accused: vec![world::grant_id(2)],
            ..Traced::default()
        };
        assert!(Judge::Any.is_met(&traced, &[1, 2]) && Judge::First.is_met(&traced, &[2, 1]));
        assert!(!Judge::First.is_met(&traced, &[1, 2]) && !Judge::All.is_met(&traced, &[1, 2]));
    }
}
