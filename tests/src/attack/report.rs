//! The measured table: what was demanded, what came of it, and what isn't met.

mod clock;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{Display, Write as _};

use self::clock::{times, walls};
use super::suite::{Record, SIZES, Stretch, asked_for, seeds_asked_for};
use super::tables::Table;
use super::visible::least_chance;
use super::{Act, Case, Unfit, cases};

/// 95 % quantile, both sides, of the normal distribution.
const QUANTILE: f64 = 1.959_964;

/// What came of the leaks of one kind.
#[derive(Debug, Default, Clone)]
struct Tally {
    run: usize,
    passed: usize,
}

impl Tally {
    fn add(&mut self, passed: bool) {
        self.run += 1;
        self.passed += usize::from(passed);
    }

    fn rate(&self) -> f64 {
        100.0 * self.passed as f64 / self.run.max(1) as f64
    }

    /// The interval in which the true rate lies with 95 % (Wilson), in percent.
    fn interval(&self) -> (f64, f64) {
        let (count, share) = (self.run.max(1) as f64, self.rate() / 100.0);
        let square = QUANTILE * QUANTILE;
        let middle = share + square / (2.0 * count);
        let half =
            QUANTILE * (share * (1.0 - share) / count + square / (4.0 * count * count)).sqrt();
        let whole = 1.0 + square / count;
        (
            (100.0 * (middle - half) / whole).max(0.0),
            (100.0 * (middle + half) / whole).min(100.0),
        )
    }
}

/// Results of all that share case, variant and size of the table.
struct Line<'a> {
    case: &'a Case,
    rows: usize,
    all: Tally,
    /// By table and by which of several.
    cells: BTreeMap<(&'a str, &'a str), Tally>,
    /// How often it could not be run, by table, which of several, and why.
    unfit: BTreeMap<(&'a str, &'a str, &'a str), usize>,
    /// Leaks that were traced: of the runs those that aren't checks, and whose file could be read.
    traced: usize,
    carriers: Option<(u64, u64)>,
    /// Those in which as many carriers were read, at least, as the attack says: a leak is drawn by its rows,
    /// so that as many are expected.
    whole: Tally,
    codewords: Option<(usize, usize)>,
    /// The least chance that a leak's test gave.
    least_chance: Option<f64>,
    seconds: f64,
    innocent: usize,
    failed: usize,
    notes: BTreeMap<&'a str, usize>,
}

impl<'a> Line<'a> {
    fn of(case: &'a Case, rows: usize, records: &[&'a Record]) -> Self {
        let mut line = Self {
            case,
            rows,
            all: Tally::default(),
            cells: BTreeMap::new(),
            unfit: BTreeMap::new(),
            traced: 0,
            carriers: None,
            whole: Tally::default(),
            codewords: None,
            least_chance: None,
            seconds: 0.0,
            innocent: 0,
            failed: 0,
            notes: BTreeMap::new(),
        };
        for record in records {
            line.seconds += record.seconds;
            if let Some(why) = &record.unfit {
                let of = (record.table.as_str(), record.sub.as_str(), why.as_str());
                *line.unfit.entry(of).or_default() += 1;
                continue;
            }
            // Of a leak the note is why nothing was read.
            let is_traced = record.failed.is_none() && record.note.is_empty();
            line.traced += usize::from(is_traced && line.is_of_leaks());
            line.innocent += record.innocent.len();
            line.failed += usize::from(record.failed.is_some());
            let cell = line
                .cells
                .entry((record.table.as_str(), record.sub.as_str()))
                .or_default();
            for tally in [&mut line.all, cell] {
                tally.add(record.passed);
            }
            let said = said_carriers(&case.variant);
            if said.is_some_and(|said| record.carriers >= said) {
                line.whole.add(record.passed);
            }
            let note = record.failed.as_deref().unwrap_or(&record.note);
            if !record.passed && !note.is_empty() {
                *line.notes.entry(note).or_default() += 1;
            }
            if record.carriers > 0 {
                line.carriers = Some(ranging(line.carriers, record.carriers));
            }
            if let Some(codewords) = record.codewords {
                line.codewords = Some(ranging(line.codewords, codewords));
            }
            let chances = line
                .least_chance
                .into_iter()
                .chain(least_chance(&record.note));
            line.least_chance = chances.min_by(f64::total_cmp);
        }
        line
    }

    /// Whether there is a table, or one of several, that it was never run on for want of rows or grants.
    fn is_left_out(&self) -> bool {
        let mut unfit = self.unfit.keys();
        unfit.any(|(table, sub, why)| {
            *why != Unfit::Table.words() && !self.cells.contains_key(&(*table, *sub))
        })
    }

    /// The cell with the lowest rate.
    fn worst(&self) -> Option<(String, &Tally)> {
        let cells = self.cells.iter();
        let worst = cells.min_by(|(_, one), (_, other)| one.rate().total_cmp(&other.rate()));
        worst.map(|((table, sub), tally)| (named(table, sub), tally))
    }

    /// Whether it is an attack, and no check.
    fn is_of_leaks(&self) -> bool {
        matches!(self.case.act, Act::Leak(..))
    }

    /// Whether every table, and each of several, is as demanded.
    fn is_met(&self) -> Option<bool> {
        let demand = self.case.demand?;
        let (_, worst) = self.worst()?;
        Some(self.innocent == 0 && self.failed == 0 && worst.rate() >= demand)
    }

    fn verdict(&self) -> String {
        let Tally { run, passed } = self.all;
        let verdict = match self.is_met() {
            _ if self.innocent > 0 => "**INNOCENT ACCUSED**",
            _ if self.failed > 0 => "**the suite failed**",
            _ if run == 0 => "not run",
            Some(true) if self.is_left_out() => "met where it was run",
            Some(true) => "met",
            Some(false) => "**not met**",
            None if self.case.names_nobody => {
                return format!(
                    "reference: nobody named; the leaker was named in {passed} of {run}"
                );
            }
            None => "no demand",
        };
        verdict.to_owned()
    }

    fn to_row(&self) -> String {
        let demand = match self.case.demand {
            Some(percent) => format!("{percent:.0} %"),
            None => "nobody innocent".to_owned(),
        };
        let carriers = self.carriers.map(range_text).unwrap_or_default();
        let codewords = match self.codewords {
            Some(codewords) => format!(", {} of them each", range_text(codewords)),
            None => String::new(),
        };
        let mut rate = String::new();
        if self.all.run > 0 {
            let (low, high) = self.all.interval();
            write!(rate, "{:.1} % ({low:.1} to {high:.1})", self.all.rate()).expect("text");
        }
        if let Some((name, worst)) = self.worst()
            && self.cells.len() > 1
            && worst.passed < worst.run
        {
            write!(rate, "; lowest {}: {} of {}", name, worst.passed, worst.run).expect("text");
        }
        let Self { case, rows, .. } = self;
        format!(
            "| {} | {} | {}{codewords} | {demand} | {rows} | {carriers} | {} | {rate} | {} | {} |\n",
            case.id,
            case.words,
            case.variant,
            self.all.run,
            self.innocent,
            self.verdict()
        )
    }
}

/// How many carriers an attack's parameters say that a leak has.
fn said_carriers(variant: &str) -> Option<u64> {
    let mut parts = variant.split(", ");
    let said = parts.find_map(|part| part.strip_suffix(" carriers"));
    said?.replace(',', "").parse().ok()
}

/// What two of several come to: the least and the most.
fn ranging<T: Ord + Copy>(range: Option<(T, T)>, of: T) -> (T, T) {
    range.map_or((of, of), |(least, most)| (least.min(of), most.max(of)))
}

fn range_text<T: PartialEq + Display>((least, most): (T, T)) -> String {
    match least == most {
        true => least.to_string(),
        false => format!("{least} to {most}"),
    }
}

/// A table, and which of several if there are.
fn named(table: &str, sub: &str) -> String {
    match sub {
        "" => table.to_owned(),
        sub => format!("{table}, {sub}"),
    }
}

/// The page of results, and of how long the runs took that they come from.
#[must_use]
pub fn page(records: &[Record], stretches: &[Stretch]) -> String {
    let cases = cases();
    // A case may have been another, or had other tables, when a record was made.
    let records = records.iter();
    let records: Vec<&Record> = records
        .filter(|record| cases.iter().any(|case| case.has(record)))
        .collect();
    let lines = lines(&cases, &records);
    let mut text = head(&records, &lines);
    text.push_str(
        "\n| | attack | how much | demand | rows of the table | carriers read | leaks | traced (95 % \
         interval) | innocents accused | |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for line in &lines {
        text.push_str(&line.to_row());
    }
    for case in cases.iter() {
        if let Act::NotBuilt(why) = case.act {
            writeln!(
                text,
                "| {} | {} | | | | | 0 | | | not run: {why} |",
                case.id, case.words
            )
            .expect("text");
        }
    }
    text.push_str(&shortfalls(&lines));
    text.push_str(LIMITS);
    text.push_str(&times(&lines));
    text.push_str(&walls(&records, stretches));
    text
}

/// One line for each variant and size; those of several together.
fn lines<'a>(cases: &'a [Case], records: &[&'a Record]) -> Vec<Line<'a>> {
    let mut lines: Vec<Line<'a>> = Vec::new();
    let mut sizes: Vec<usize> = records.iter().map(|record| record.rows).collect();
    sizes.sort_unstable();
    sizes.dedup();
    for case in cases {
        let is_listed = lines
            .iter()
            .any(|line| line.case.id == case.id && line.case.variant == case.variant);
        if is_listed || matches!(case.act, Act::NotBuilt(_)) {
            continue;
        }
        let mut found = Vec::new();
        for rows in &sizes {
            let of = records.iter().copied().filter(|record| {
                record.rows == *rows && record.case == case.id && record.variant == case.variant
            });
            let of: Vec<&Record> = of.collect();
            if !of.is_empty() {
                found.push(Line::of(case, *rows, &of));
            }
        }
        if found.is_empty() {
            found.push(Line::of(case, 0, &[]));
        }
        lines.extend(found);
    }
    lines
}

fn head(records: &[&Record], lines: &[Line<'_>]) -> String {
    let issued = records.iter().map(|record| record.issued).max();
    let issued = issued.unwrap_or_default();
    let run: usize = lines.iter().map(|line| line.all.run).sum();
    let traced: usize = lines.iter().map(|line| line.traced).sum();
    let of_leaks = lines.iter().filter(|line| line.is_of_leaks());
    let leaks: usize = of_leaks.map(|line| line.all.run).sum();
    let innocent: usize = lines.iter().map(|line| line.innocent).sum();
    let mut text = format!(
        "# What marks withstand\n\nMeasured by `attack-suite run` and written by `attack-suite \
         report`; not edited. Each line is an attack on deliveries that were really made, or a check of \
         the program: {leaks} leaks were made, of which {traced} could be read and were traced, each \
         among up to {issued} grants, with a chance of at most one in 10^9 that any innocent is accused; \
         and {} checks were run, some of which trace several files.\n\n",
        run - leaks
    );
    text.push_str(&match innocent {
        0 => format!(
            "Of the {traced} leaks that were traced, none accused anybody who had no part in it, and no \
             check did.\n"
        ),
        _ => format!(
            "**{innocent} INNOCENT GRANTS WERE ACCUSED.** This must never happen: look for \
             `innocent` in the results.\n"
        ),
    });
    text.push_str(&seeds(records));
    text.push_str("\nThe tables:\n\n");
    for table in Table::ALL {
        let has = |record: &&Record| record.table == table.name() && record.unfit.is_none();
        let is_seen = records.iter().any(has);
        let not_run = if is_seen { "" } else { " (not run)" };
        writeln!(text, "- `{}`{not_run}: {}", table.name(), table.words()).expect("text");
    }
    text.push_str(
        "\n`carriers read` are the cells in which the trace found a symbol, a single one for each \
         place in the code; a pseudonym with a tag is none of them. Where the attack says how many carriers \
         a leak has, such a pseudonym counts as so many as name a leaker in its place, as in the plan. \
         `traced` counts the leaks of which the leaker was named (one of them at \
         least, where there are several), or of checks those that held. A demand is met where it is \
         met for every table and every way of putting copies together, by the share observed.\n",
    );
    text
}

/// How much of what is asked for was run, for each size of the tables.
fn seeds(records: &[&Record]) -> String {
    let mut by_size: BTreeMap<usize, (BTreeSet<u32>, usize)> = BTreeMap::new();
    // Those that are asked for, also where nothing was run.
    for rows in SIZES {
        by_size.entry(rows).or_default();
    }
    for record in records {
        let (seeds, run) = by_size.entry(record.rows).or_default();
        seeds.insert(record.seed);
        *run += 1;
    }
    let mut text = "\n**How much was run**, of what the full measurement asks for:\n\n".to_owned();
    for (rows, (seeds, run)) in by_size {
        let (asked, seeds_asked) = (asked_for(rows), seeds_asked_for(rows));
        writeln!(
            text,
            "- tables of {rows} rows: {} of {seeds_asked} seeds, {run} of {asked} leaks and checks",
            seeds.len()
        )
        .expect("text");
    }
    text
}

/// What isn't met, wasn't run or carries no demand, with what was seen and why; and what else is to be known of
/// a line.
fn shortfalls(lines: &[Line<'_>]) -> String {
    let mut text =
        "\n## What isn't met, where nothing is promised, and what else is to be known\n\n"
            .to_owned();
    let mut is_any = false;
    for line in lines {
        let is_short = line.is_met() == Some(false) || line.all.run == 0 || line.failed > 0;
        if !is_short && line.unfit.is_empty() && line.case.why.is_empty() {
            continue;
        }
        is_any = true;
        let Case { id, variant, .. } = line.case;
        let name = match variant.as_str() {
            "" => (*id).to_owned(),
            variant => format!("{id} {variant}"),
        };
        let rows = match line.rows {
            0 => String::new(),
            rows => format!(" ({rows} rows)"),
        };
        write!(text, "- {name}{rows}: {}", line.verdict()).expect("text");
        if !line.case.why.is_empty() {
            write!(text, ": {}", line.case.why).expect("text");
        }
        if let Some(least) = line.least_chance {
            write!(text, "; the least chance of any leak is {least:.5}").expect("text");
        }
        for ((table, sub), tally) in &line.cells {
            if is_short && tally.rate() < line.case.demand.unwrap_or_default() {
                let (name, (low, high)) = (named(table, sub), tally.interval());
                let Tally { run, passed } = tally;
                write!(
                    text,
                    "; {name}: {passed} of {run} ({low:.1} to {high:.1} %)"
                )
                .expect("text");
            }
        }
        let said = said_carriers(variant);
        if let Some(said) = said
            && is_short
            && (1..line.all.run).contains(&line.whole.run)
        {
            let Tally { run, passed } = line.whole;
            write!(
                text,
                "; of those with at least {said} carriers: {passed} of {run}"
            )
            .expect("text");
        }
        let often = line.notes.iter().max_by_key(|(_, count)| **count);
        if let Some((note, count)) = often
            && is_short
        {
            write!(text, "; {count} times: {note}").expect("text");
        }
        for ((table, sub, why), count) in &line.unfit {
            write!(text, "; not run on {}: {why}", named(table, sub)).expect("text");
            if line.cells.contains_key(&(*table, *sub)) {
                write!(text, " ({count} times)").expect("text");
            }
        }
        text.push('\n');
    }
    if !is_any {
        text.push_str("Nothing.\n");
    }
    text
}

/// What marks can't do, in words (§2.10 of the design).
const LIMITS: &str = "
## What marks can't do

From the design, where no attack above is named: not all of it was measured.

- Whoever draws **every** value of every column that could carry a mark anew, within at least its
  tolerance, erases the marks. It spoils the data everywhere, since nobody outside knows which values
  carry. Moving **half** of them, drawn at random, each by exactly the tolerance, which is no secret, erases
  the marks of cells that are found by their rows: each is then as likely wrong as right. Cells that are
  found by their own value may still name the leaker (A8). Replacing half of them by anything near is not
  enough.
- A part with fewer than about a hundred readable carriers names nobody, unless it holds pseudonyms with
  a tag, of which a few do.
- A leak without any marked column, or without anything that its rows are found by, names nobody. Neither
  does one in which every marked value was rounded more coarsely than its tolerance, or that was typed
  anew or added up.
- Groups of more than six recipients fade out: what is needed grows with the square of their number.
- Where the fields that rows are found by have few different values, many rows share one place of the
  code, which counts once: such a table names nobody, however many rows it has.
- A value that follows from other columns, as an age does from the date of birth, must carry no mark:
  whoever works it out anew erases the mark and spoils nothing. Nobody but the provider knows which do.
- Whoever can try files on the trace as often as he likes changes values until it names nobody, and so
  erases the marks with less harm to the data. It is for those alone who look into leaks, and all that it
  does is in the ledger.
- Of marks that are in the last digits nothing is left where all of these are drawn anew. What outlives
  that are the tags of pseudonyms, and words that mean the same as others.
- A mark says for which grant a copy was made, and not who took it.
- All tables here are invented. Real ones have other distributions, and other things that follow from
  each other.
";

/// Whether anybody innocent was accused.
#[must_use]
pub fn is_anyone_innocent_accused(records: &[Record]) -> bool {
    records.iter().any(|record| !record.innocent.is_empty())
}

/// Whether the suite itself gave up anywhere.
#[must_use]
pub fn has_failed(records: &[Record]) -> bool {
    records.iter().any(|record| record.failed.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn record(variant: &str, table: &str, passed: bool) -> Record {
        Record {
            case: "A1".to_owned(),
            variant: variant.to_owned(),
            table: table.to_owned(),
            rows: 20_000,
            issued: 10_000,
            passed,
            carriers: 200,
            ..Record::default()
        }
    }

    #[test]
    fn the_interval_is_wilsons() {
        let tally = Tally {
            run: 100,
            passed: 95,
        };
        let (low, high) = tally.interval();
        assert!((low - 88.8).abs() < 0.1 && (high - 97.8).abs() < 0.1);
        let none = Tally { run: 10, passed: 0 };
        assert!(none.interval().0.abs() < 1e-9);
    }

    #[test]
    fn a_demand_is_met_where_every_table_meets_it() {
        let mut records = vec![
            record("200 carriers", "register", true),
            record("200 carriers", "text", true),
        ];
        let row = |records: &[Record]| {
            let page = page(records, &[]);
            let row = page.lines().find(|line| line.contains("| 200 carriers |"));
            row.expect("a row").to_owned()
        };
        assert!(row(&records).ends_with("| 2 | 100.0 % (34.2 to 100.0) | 0 | met |"));
        records.push(record("200 carriers", "text", false));
        assert!(row(&records).contains("lowest text: 1 of 2"));
        assert!(row(&records).ends_with("**not met** |"));
        records[2].innocent.push("G-00007".to_owned());
        assert!(row(&records).contains("INNOCENT ACCUSED"));
        assert!(page(&records, &[]).contains("1 INNOCENT GRANTS WERE ACCUSED"));
        assert!(is_anyone_innocent_accused(&records));
    }

    #[test]
    fn where_the_suite_itself_failed_nothing_is_met() {
        // Of a case without a demand, too.
        let failed = Record {
            case: "A8".to_owned(),
            failed: Some("no delivery".to_owned()),
            ..record("flips of 50 %, 1,000 carriers", "text", false)
        };
        assert!(has_failed(std::slice::from_ref(&failed)));
        assert!(!has_failed(&[record("200 carriers", "register", true)]));
        let text = page(&[failed], &[]);
        assert!(text.contains("**the suite failed**") && text.contains("1 times: no delivery"));
    }

    #[test]
    fn how_much_was_run_stands_above_the_table() {
        let records = [record("200 carriers", "register", true)];
        let text = page(&records, &[]);
        let asked = asked_for(20_000);
        let line = format!("- tables of 20000 rows: 1 of 100 seeds, 1 of {asked} leaks and checks");
        let at = text.find(&line).expect("what was run");
        assert!(at < text.find("| A1 |").expect("the table"));
        assert!(text.contains("- tables of 1000000 rows: 0 of 5 seeds, 0 of"));
    }

    #[test]
    fn what_could_not_be_run_is_said() {
        let unfit = |variant: &str, table: &str, why: &str| Record {
            unfit: Some(why.to_owned()),
            ..record(variant, table, false)
        };
        let mut records = vec![
            record("200 carriers", "register", true),
            unfit("200 carriers", "masked", "too few rows"),
            unfit("100 carriers", "masked", "too few rows"),
            record("500 carriers", "text", true),
            unfit("500 carriers", "register", "no such column"),
        ];
        let text = page(&records, &[]);
        assert!(text.contains("| met where it was run |"));
        let line = "- A1 200 carriers (20000 rows): met where it was run; not run on masked: too few rows\n";
        assert!(text.contains(line), "{text}");
        let mut lines = text.lines();
        let line = lines.find(|line| line.starts_with("- A1 100 carriers (20000 rows): not run"));
        assert!(line.is_some_and(|line| line.ends_with("; not run on masked: too few rows")));
        // Where there is nothing of the kind, nothing is left out.
        assert!(text.contains(
            "- A1 500 carriers (20000 rows): met; not run on register: no such column\n"
        ));
        // Of larger tables there are others.
        records.push(Record {
            rows: 1_000_000,
            ..record("100 carriers", "masked", true)
        });
        let text = page(&records, &[]);
        assert!(text.contains("- A1 100 carriers (20000 rows): not run"));
        assert_eq!(text.matches("| 100 carriers |").count(), 2);
    }

    #[test]
    fn of_leaks_with_fewer_carriers_than_meant_it_is_said_how_the_others_fared() {
        let of = |carriers, passed| Record {
            carriers,
            ..record("100 carriers", "text", passed)
        };
        let records = [of(88, false), of(97, false), of(101, true), of(104, true)];
        let text = page(&records, &[]);
        assert!(
            text.contains(
                "text: 2 of 4 (15.0 to 85.0 %); of those with at least 100 carriers: 2 of 2\n"
            ),
            "{text}"
        );
        for (variant, said) in [
            ("2 colluders, 0 % altered, 508 carriers", Some(508)),
            ("noise of τ on 50 %, 1,000 carriers", Some(1_000)),
            ("95 % foreign, 5000 genuine carriers", None),
            ("order", None),
        ] {
            assert_eq!(said_carriers(variant), said, "{variant}");
        }
    }

    #[test]
    fn only_leaks_that_were_traced_accused_nobody() {
        let unread = Record {
            note: "the file is empty".to_owned(),
            ..record("200 carriers", "text", false)
        };
        let check = Record {
            case: "D2".to_owned(),
            ..record("", "text", true)
        };
        let records = [record("200 carriers", "register", true), unread, check];
        let text = page(&records, &[]);
        assert!(text.contains("2 leaks were made, of which 1 could be read and were traced"));
        assert!(text.contains("and 1 checks were run"));
        assert!(text.contains("Of the 1 leaks that were traced, none accused anybody"));
    }

    #[test]
    fn records_of_tables_that_a_case_no_longer_has_do_not_count() {
        let of_text = Record {
            case: "A14".to_owned(),
            ..record("unit", "text", false)
        };
        let of_register = Record {
            case: "A14".to_owned(),
            ..record("unit", "register", true)
        };
        let text = page(&[of_text, of_register], &[]);
        assert!(text.contains("| 1 | 100.0 % (20.7 to 100.0) | 0 | met |"));
        assert!(text.contains("- tables of 20000 rows: 1 of 100 seeds, 1 of"));
    }

    #[test]
    fn where_by_the_reference_nobody_is_named_it_is_said_how_often_the_leaker_was() {
        let flipped = |passed| Record {
            case: "A8".to_owned(),
            ..record("flips of 50 %, 1,000 carriers", "text", passed)
        };
        let text = page(&[flipped(true), flipped(false), flipped(false)], &[]);
        let said = "reference: nobody named; the leaker was named in 1 of 3";
        assert!(text.contains(&format!("| {said} |")));
        assert!(text.contains(&format!("{said}: cells found by their rows")));
    }

    #[test]
    fn codewords_and_least_chances_are_printed() {
        let scored = |codewords| Record {
            case: "F1".to_owned(),
            codewords: Some(codewords),
            carriers: 0,
            ..record("random codewords", "text", true)
        };
        let looked_at = |least: f64| Record {
            case: "A22".to_owned(),
            note: format!("of 5 tests the least chance is {least:.5}: last digits of paid"),
            ..record(
                "digits and parities, found by their own value",
                "masked",
                true,
            )
        };
        let records = [
            scored(1_000),
            scored(5_000),
            looked_at(0.2),
            looked_at(0.03),
        ];
        let text = page(&records, &[]);
        assert!(text.contains("| random codewords, 1000 to 5000 of them each |"));
        assert!(text.contains("; the least chance of any leak is 0.03000"));
    }

    #[test]
    fn what_was_not_run_is_said() {
        let page = page(&[record("200 carriers", "register", true)], &[]);
        assert!(page.contains("- A1 500 carriers: not run"));
        assert!(page.contains("| A23 |") && page.contains("none are built"));
    }
}
