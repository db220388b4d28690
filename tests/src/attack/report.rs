//! The measured table: what was demanded, what came of it, and what isn't met.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::suite::{Record, Stretch, asked_for, seeds_asked_for};
use super::tables::Table;
use super::{Act, Case, cases};

/// 95 % quantile, both sides, of the normal distribution.
const QUANTILE: f64 = 1.959_964;

/// Seconds by the clock on the wall that the whole measurement may take.
const WALL_MOST: f64 = 6.0 * 3_600.0;

/// What came of the leaks of one kind.
#[derive(Debug, Default, Clone)]
struct Tally {
    run: usize,
    passed: usize,
}

impl Tally {
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
    carriers: Option<(u64, u64)>,
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
            carriers: None,
            seconds: 0.0,
            innocent: 0,
            failed: 0,
            notes: BTreeMap::new(),
        };
        for record in records {
            line.seconds += record.seconds;
            if record.unfit.is_some() {
                continue;
            }
            line.innocent += record.innocent.len();
            line.failed += usize::from(record.failed.is_some());
            let cell = line
                .cells
                .entry((record.table.as_str(), record.sub.as_str()))
                .or_default();
            for tally in [&mut line.all, cell] {
                tally.run += 1;
                tally.passed += usize::from(record.passed);
            }
            let note = record.failed.as_deref().unwrap_or(&record.note);
            if !record.passed && !note.is_empty() {
                *line.notes.entry(note).or_default() += 1;
            }
            if record.carriers > 0 {
                let (least, most) = line.carriers.unwrap_or((u64::MAX, 0));
                line.carriers = Some((least.min(record.carriers), most.max(record.carriers)));
            }
        }
        line
    }

    /// The cell with the lowest rate.
    fn worst(&self) -> Option<(String, &Tally)> {
        let cells = self.cells.iter();
        let worst = cells.min_by(|(_, one), (_, other)| one.rate().total_cmp(&other.rate()));
        worst.map(|((table, sub), tally)| {
            let name = match *sub {
                "" => (*table).to_owned(),
                sub => format!("{table}, {sub}"),
            };
            (name, tally)
        })
    }

    /// Whether every table, and each of several, is as demanded.
    fn is_met(&self) -> Option<bool> {
        let demand = self.case.demand?;
        let (_, worst) = self.worst()?;
        Some(self.innocent == 0 && self.failed == 0 && worst.rate() >= demand)
    }

    fn verdict(&self) -> String {
        let verdict = match self.is_met() {
            _ if self.innocent > 0 => "**INNOCENT ACCUSED**",
            _ if self.failed > 0 => "**the suite failed**",
            _ if self.all.run == 0 => "not run",
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "no demand",
        };
        verdict.to_owned()
    }

    fn to_row(&self) -> String {
        let demand = match self.case.demand {
            Some(percent) => format!("{percent:.0} %"),
            None => "nobody innocent".to_owned(),
        };
        let carriers = match self.carriers {
            Some((least, most)) if least == most => least.to_string(),
            Some((least, most)) => format!("{least} to {most}"),
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
            "| {} | {} | {} | {demand} | {rows} | {carriers} | {} | {rate} | {} | {} |\n",
            case.id,
            case.words,
            case.variant,
            self.all.run,
            self.innocent,
            self.verdict()
        )
    }
}

/// The page of results, and of how long the runs took that they come from.
#[must_use]
pub fn page(records: &[Record], stretches: &[Stretch]) -> String {
    let cases = cases();
    let lines = lines(&cases, records);
    let innocent: usize = lines.iter().map(|line| line.innocent).sum();
    let run: usize = lines.iter().map(|line| line.all.run).sum();
    let mut text = head(records, run, innocent);
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
    text.push_str(&walls(records, stretches));
    text
}

/// One line for each variant and size; those of several together.
fn lines<'a>(cases: &'a [Case], records: &'a [Record]) -> Vec<Line<'a>> {
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
            let of = records.iter().filter(|record| {
                record.rows == *rows && record.case == case.id && record.variant == case.variant
            });
            let of: Vec<&Record> = of.collect();
            if !of.is_empty() {
                found.push(Line::of(case, *rows, &of));
            }
        }
        // On a table that is too small for it, what the larger one says is enough.
        if found.iter().any(|line| line.all.run > 0) {
            found.retain(|line| line.all.run > 0);
        } else if found.is_empty() {
            found.push(Line::of(case, 0, &[]));
        }
        lines.extend(found);
    }
    lines
}

fn head(records: &[Record], run: usize, innocent: usize) -> String {
    let issued = records.iter().map(|record| record.issued).max();
    let mut text = format!(
        "# What marks withstand\n\nMeasured by `attack-suite run` and written by `attack-suite \
         report`; not edited. Each line is an attack on deliveries that were really made: {run} \
         leaks were traced or checked, each among up to {} grants, with a chance of at most one in \
         10^9 that any innocent is accused.\n\n",
        issued.unwrap_or_default()
    );
    text.push_str(&match innocent {
        0 => format!("Of the {run}, none accused anybody who had no part in it.\n"),
        _ => format!(
            "**{innocent} INNOCENT GRANTS WERE ACCUSED.** This must never happen: look for \
             `innocent` in the results.\n"
        ),
    });
    text.push_str(&seeds(records));
    text.push_str("\nThe tables:\n\n");
    for table in Table::ALL {
        let has = |record: &&Record| record.table == table.name() && record.unfit.is_none();
        let seen = records.iter().filter(has).count();
        let not_run = if seen == 0 { " (not run)" } else { "" };
        writeln!(text, "- `{}`{not_run}: {}", table.name(), table.words()).expect("text");
    }
    text.push_str(
        "\n`carriers read` are the cells in which the trace found a symbol, a single one for each \
         place in the code. `traced` counts the leaks of which the leaker was named (one of them at \
         least, where there are several), or of checks those that held. A demand is met where it is \
         met for every table and every way of putting copies together, by the share observed.\n",
    );
    text
}

/// How much of what is asked for was run, for each size of the tables.
fn seeds(records: &[Record]) -> String {
    let mut by_size: BTreeMap<usize, (BTreeSet<u32>, usize)> = BTreeMap::new();
    // Those that are asked for, also where nothing was run.
    for rows in [20_000, 1_000_000] {
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

/// What isn't met or carries no demand, with what was seen and why.
fn shortfalls(lines: &[Line<'_>]) -> String {
    let mut text = "\n## What isn't met, and where nothing is promised\n\n".to_owned();
    let mut is_any = false;
    for line in lines {
        let is_short = line.is_met() == Some(false) || line.all.run == 0 || line.failed > 0;
        if !is_short && (line.case.demand.is_some() || line.case.why.is_empty()) {
            continue;
        }
        is_any = true;
        write!(
            text,
            "- {} {}: {}",
            line.case.id,
            line.case.variant,
            line.verdict()
        )
        .expect("text");
        if !line.case.why.is_empty() {
            write!(text, ": {}", line.case.why).expect("text");
        }
        for ((table, sub), tally) in &line.cells {
            if is_short && tally.rate() < line.case.demand.unwrap_or_default() {
                let name = if sub.is_empty() { "" } else { ", " };
                write!(
                    text,
                    "; {table}{name}{sub}: {} of {}",
                    tally.passed, tally.run
                )
                .expect("text");
            }
        }
        let often = line.notes.iter().max_by_key(|(_, count)| **count);
        if let Some((note, count)) = often
            && is_short
        {
            write!(text, "; {count} times: {note}").expect("text");
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

- Whoever changes **every** value of every column that could carry a mark, by about as much as a mark
  moves it, erases the marks. It spoils the data everywhere, since nobody outside knows which values
  carry. So does moving **half** of them, drawn at random, each by exactly the step of the marks: it
  follows from the tolerance, which is no secret, and each mark is then as likely wrong as right.
  Replacing half of them by anything near is not enough.
- A part with fewer than about a hundred readable carriers names nobody, unless it holds pseudonyms with
  a tag, of which a few do.
- A leak without any marked column, or without anything that its rows are found by, names nobody. Neither
  does one in which every marked value was rounded more coarsely than its tolerance, or that was typed
  anew or added up.
- Groups of more than six recipients fade out: what is needed grows with the square of their number.
- A mark says for which grant a copy was made, and not who took it.
- All tables here are invented. Real ones have other distributions, and other things that follow from
  each other.
";

fn times(lines: &[Line<'_>]) -> String {
    let mut by_case: BTreeMap<(&str, u32), (f64, usize)> = BTreeMap::new();
    for line in lines {
        let (letter, number) = line.case.id.split_at(1);
        let of = by_case
            .entry((letter, number.parse().unwrap_or_default()))
            .or_default();
        of.0 += line.seconds;
        of.1 += line.all.run;
    }
    let mut text = "\n## How long it took\n\nSeconds of each leak, added up: of several at a time they overlap.\n\n\
                    | | leaks | seconds |\n|---|---|---|\n"
        .to_owned();
    for ((letter, number), (seconds, run)) in &by_case {
        writeln!(text, "| {letter}{number} | {run} | {seconds:.0} |").expect("text");
    }
    let all: f64 = by_case.values().map(|(seconds, _)| seconds).sum();
    writeln!(text, "| all | | {all:.0} |").expect("text");
    text
}

/// How long it took by the clock on the wall.
fn walls(records: &[Record], stretches: &[Stretch]) -> String {
    let mut by_run: BTreeMap<(usize, usize), (usize, f64)> = BTreeMap::new();
    for stretch in stretches {
        let of = by_run.entry((stretch.rows, stretch.threads)).or_default();
        of.0 += stretch.done;
        of.1 += stretch.wall;
    }
    if by_run.is_empty() {
        return "\nHow long it took by the clock on the wall was not recorded.\n".to_owned();
    }
    let mut text =
        "\nBy the clock on the wall, the making of the tables included:\n\n| rows of the table | \
                    at a time | leaks and checks | seconds |\n|---|---|---|---|\n"
            .to_owned();
    for ((rows, threads), (done, wall)) in &by_run {
        writeln!(text, "| {rows} | {threads} | {done} | {wall:.0} |").expect("text");
    }
    let done: usize = by_run.values().map(|(done, _)| done).sum();
    let wall: f64 = by_run.values().map(|(_, wall)| wall).sum();
    writeln!(text, "| all | | {done} | {wall:.0} |").expect("text");
    let is_met = if wall <= WALL_MOST {
        "met"
    } else {
        "**not met**"
    };
    let demand = format!("All that is asked for may take {WALL_MOST:.0} seconds");
    writeln!(text, "\n{demand}: {is_met}.").expect("text");
    if done < records.len() {
        let missing = records.len() - done;
        writeln!(
            text,
            "The time of {missing} results is not known: their runs were killed."
        )
        .expect("text");
    }
    text
}

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

    fn record(variant: &str, table: &str, passed: bool) -> Record {
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
    fn the_clock_on_the_wall_is_held_to_what_is_demanded() {
        let records = vec![record("200 carriers", "register", true); 5];
        assert!(page(&records, &[]).contains("was not recorded"));
        let stretch = |rows, done, wall| Stretch {
            rows,
            threads: 2,
            done,
            wall,
        };
        let mut stretches = vec![stretch(20_000, 2, 100.4), stretch(20_000, 1, 50.0)];
        let text = page(&records, &stretches);
        assert!(text.contains("| 20000 | 2 | 3 | 150 |") && text.contains("seconds: met."));
        assert!(text.contains("may take 21600 seconds"));
        assert!(text.contains("The time of 2 results is not known"));
        stretches.push(stretch(1_000_000, 2, 21_500.0));
        let text = page(&records, &stretches);
        assert!(text.contains("| all | | 5 | 21650 |") && text.contains("**not met**."));
        assert!(!text.contains("is not known"));
    }

    #[test]
    fn what_was_not_run_is_said() {
        let page = page(&[record("200 carriers", "register", true)], &[]);
        assert!(page.contains("- A1 500 carriers: not run"));
        assert!(page.contains("| A23 |") && page.contains("none are built"));
    }
}
