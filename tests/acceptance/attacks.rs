//! The attack suite in its short form: every case once, on small tables, and the program beside the
//! library.

use lockgate_acceptance::attack::draw::Draw;
use lockgate_acceptance::attack::sheet::Form;
use lockgate_acceptance::attack::suite::{Plan, Record, results, run};
use lockgate_acceptance::attack::tables::Table;
use lockgate_acceptance::attack::world::{Size, World};
use lockgate_acceptance::attack::{cases, report};

use crate::PROGRAM;

/// What small tables and few grants are not fit for, by case, variant, which of several and table, where
/// nothing stands for any. All else must run.
const UNFIT: &[(&str, &str, &str, &str)] = &[
    ("A2", "0.1 %", "", ""),
    ("A2", "1 %", "", ""),
    ("A3", "500 rows", "column 3", "masked"),
    ("A3", "500 rows", "column 4", "masked"),
    ("A3", "500 rows", "column 5", "masked"),
    ("A3", "500 rows", "column 5", "register"),
    ("A4", "dropped", "", "masked"),
    ("A4", "replaced", "", "masked"),
];

fn may_be_unfit(record: &Record) -> bool {
    UNFIT.iter().any(|(case, variant, sub, table)| {
        let is = |asked: &str, text: &str| asked.is_empty() || asked == text;
        *case == record.case
            && *variant == record.variant
            && is(sub, &record.sub)
            && is(table, &record.table)
    })
}

fn size(rows: usize, issued: usize) -> Size {
    Size {
        rows,
        issued,
        delivered: 5,
        codewords: 20_000,
    }
}

/// Whether something is demanded that isn't known to fall short. Keys, indices and leaks follow from
/// the seed, so that what is traced once is traced always.
fn is_demanded(record: &Record) -> bool {
    let case = cases().into_iter().find(|case| {
        case.id == record.case && case.variant == record.variant && case.sub == record.sub
    });
    let case = case.expect("a case of the suite");
    case.demand.is_some() && case.why.is_empty()
}

#[test]
fn every_attack_is_traced_as_demanded_and_nobody_innocent_is_accused() {
    let directory = tempfile::tempdir().expect("a directory");
    let plan = Plan {
        program: PROGRAM.into(),
        seeds: 1,
        cases: Vec::new(),
        tables: Vec::new(),
        size: size(3_000, 1_000),
        is_brief: true,
        budget: None,
    };
    let ended = run(&plan, directory.path()).expect("results");
    let records = results(directory.path()).expect("results");
    assert_eq!(records.len(), ended.done);
    let innocent = records.iter().filter(|record| !record.innocent.is_empty());
    assert_eq!(innocent.collect::<Vec<_>>(), Vec::<&Record>::new());
    let failed = records.iter().filter(|record| record.failed.is_some());
    assert_eq!(failed.collect::<Vec<_>>(), Vec::<&Record>::new());
    let unfit = records
        .iter()
        .filter(|record| record.unfit.is_some() && !may_be_unfit(record));
    assert_eq!(unfit.collect::<Vec<_>>(), Vec::<&Record>::new());
    let missed = records
        .iter()
        .filter(|record| record.unfit.is_none() && !record.passed && is_demanded(record));
    assert_eq!(missed.collect::<Vec<_>>(), Vec::<&Record>::new());
    for table in Table::ALL {
        let of = |record: &&Record| record.table == table.name() && record.unfit.is_none();
        assert!(records.iter().filter(of).count() > 1, "{table:?}");
    }
    // What is there already isn't run again, and the page has a line for each case.
    assert_eq!(run(&plan, directory.path()).expect("results").done, 0);
    let page = report::page(&records);
    for case in cases() {
        assert!(page.contains(&format!("| {} |", case.id)), "{}", case.id);
    }
}

#[test]
fn the_program_says_what_the_library_says() {
    for table in Table::CLEAR {
        let world = World::build(PROGRAM.as_ref(), *table, &size(600, 100));
        let mut draw = Draw::of(&["program", table.name()]);
        let rows = world.sample(500, &mut draw).expect("rows enough");
        let sheet = world.copy(2, &rows);
        let library = world.trace(&sheet, Form::Csv);
        let path = world.leak(&sheet, Form::Csv);
        let path = path.to_str().expect("a path in UTF-8");
        let traced = world.site.json(["trace", path, "--dataset", table.name()]);
        let document = traced.document();
        let verdicts = document["verdicts"].as_array().expect("verdicts");
        let accused: Vec<&str> = verdicts
            .iter()
            .filter(|of| of["verdict"] == "accused")
            .map(|of| of["grant"].as_str().expect("a grant"))
            .collect();
        assert_eq!(accused, ["G-00002"], "{document}");
        assert_eq!(library.accused, accused);
        let ln_e = verdicts[0]["ln_e"].as_f64().expect("ln E");
        let other = library.ln_e("G-00002").expect("the leaker");
        assert!((ln_e - other).abs() < 1e-9, "{ln_e} {other}");
        assert_eq!(document["carriers"], library.carriers);
    }
}
