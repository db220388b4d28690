//! How long it took.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::super::suite::{Record, SIZES, Stretch, missing};
use super::Line;

/// Seconds by the clock on the wall that the whole measurement may take.
const WALL_MOST: f64 = 6.0 * 3_600.0;

/// How long the leaks of each case took.
pub(super) fn times(lines: &[Line<'_>]) -> String {
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
pub(super) fn walls(records: &[&Record], stretches: &[Stretch]) -> String {
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
    let demand = format!("All that is asked for may take {WALL_MOST:.0} seconds");
    let verdict = Timed::of(records, stretches).verdict();
    writeln!(text, "\n{demand}: {verdict}.").expect("text");
    text
}

/// What is known of the time that all takes which is asked for.
#[derive(Debug, Clone, Copy, Default)]
struct Timed {
    /// Leaks and checks of it that were not run.
    left: usize,
    /// Results whose time is missing.
    untimed: usize,
    /// Seconds by the clock on the wall of the others.
    wall: f64,
}

impl Timed {
    fn of(records: &[&Record], stretches: &[Stretch]) -> Self {
        let mut timed = Self::default();
        for rows in SIZES {
            let of_size = |record: &&&Record| record.rows == rows;
            timed.left += missing(rows, records.iter().filter(of_size).copied());
            let mut done = 0;
            for stretch in stretches.iter().filter(|stretch| stretch.rows == rows) {
                done += stretch.done;
                timed.wall += stretch.wall;
            }
            timed.untimed += records.iter().filter(of_size).count().saturating_sub(done);
        }
        timed
    }

    /// Whether the demand is met: nobody knows unless all was run and timed, or the time is up already.
    fn verdict(self) -> String {
        if self.wall > WALL_MOST {
            return "**not met**".to_owned();
        }
        let mut unknown = Vec::new();
        if self.left > 0 {
            unknown.push(format!("{} leaks and checks of it were not run", self.left));
        }
        if self.untimed > 0 {
            let untimed = self.untimed;
            unknown.push(format!(
                "the time of {untimed} results is missing, whose runs were killed"
            ));
        }
        match unknown.is_empty() {
            true => "met".to_owned(),
            false => format!("not known: {}", unknown.join(", and ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::page;
    use super::super::tests::record;
    use super::*;

    #[test]
    fn the_clock_on_the_wall_is_shown_by_size_and_threads() {
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
        assert!(text.contains("| 20000 | 2 | 3 | 150 |"));
        assert!(text.contains("may take 21600 seconds: not known: "));
        assert!(text.contains("the time of 2 results is missing"));
        stretches.push(stretch(1_000_000, 2, 21_500.0));
        let text = page(&records, &stretches);
        assert!(text.contains("| all | | 5 | 21650 |") && text.contains("**not met**."));
    }

    #[test]
    fn the_time_is_met_only_where_all_was_run_and_timed() {
        let all = Timed {
            wall: 20_000.0,
            ..Timed::default()
        };
        assert_eq!(all.verdict(), "met");
        let left = Timed { left: 7, ..all };
        assert!(
            left.verdict()
                .contains("not known: 7 leaks and checks of it were not run")
        );
        let untimed = Timed { untimed: 3, ..all };
        assert!(
            untimed
                .verdict()
                .contains("not known: the time of 3 results is missing")
        );
        let over = Timed {
            wall: 21_601.0,
            ..left
        };
        assert_eq!(over.verdict(), "**not met**");
    }
}
