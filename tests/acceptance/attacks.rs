//! The attack suite in its short form: every case once, on small tables, and the program beside the
//! library.

use lockgate::trace::Request;
use lockgate_acceptance::attack::draw::Draw;
use lockgate_acceptance::attack::sheet::Form;
use lockgate_acceptance::attack::suite::{Plan, Record, Stretch, results, run, stretches};
use lockgate_acceptance::attack::tables::Table;
use lockgate_acceptance::attack::world::{Size, World, request};
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
        // No coalition of the short form is larger.
        delivered: 3,
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
    case.demand.is_some() && !case.falls_short
}

/// Runs the short form on one table: of several ways to do one thing, those that are this table's turn.
fn attacks_on(table: Table) {
    // A row of the masked table has one carrier, and 5,000 are wanted.
    let rows = match table {
        Table::Masked => 6_000,
        Table::Register | Table::Text | Table::Tagged => 3_000,
    };
    let directory = tempfile::tempdir().expect("a directory");
    let plan = Plan {
        program: PROGRAM.into(),
        seeds: 1,
        cases: Vec::new(),
        tables: vec![table],
        size: size(rows, 300),
        is_brief: true,
        budget: None,
        threads: 1,
    };
    let ended = run(&plan, directory.path()).expect("results");
    let records = results(directory.path()).expect("results");
    assert_eq!(records.len(), ended.done);
    assert!(records.iter().all(|record| record.table == table.name()));
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
    assert!(records.iter().filter(|of| of.unfit.is_none()).count() > 1);
    let took = stretches(directory.path()).expect("how long it took");
    let is_whole = |of: &Stretch| of.done == ended.done && of.wall > 0.0;
    assert!(took.len() == 1 && took.iter().all(is_whole), "{took:?}");
    // Said and not held to the five minutes: this is the unoptimised program, beside other tests, on a machine
    // that nobody knows.
    for Stretch { done, wall, .. } in &took {
        println!("{}: {done} leaks and checks in {wall:.0} s", table.name());
    }
    // What is there already isn't run again, and the page has a line for each case.
    assert_eq!(run(&plan, directory.path()).expect("results").done, 0);
    let page = report::page(&records, &[]);
    for case in cases() {
        assert!(page.contains(&format!("| {} |", case.id)), "{}", case.id);
    }
}

// A test for each table, so that the tables don't wait for each other. That the four make up the short form
// is a test of the suite's own.

#[test]
fn attacks_on_a_register_are_traced_as_demanded_and_nobody_innocent_is_accused() {
    attacks_on(Table::Register);
}

#[test]
fn attacks_on_masked_rows_are_traced_as_demanded_and_nobody_innocent_is_accused() {
    attacks_on(Table::Masked);
}

#[test]
fn attacks_on_text_are_traced_as_demanded_and_nobody_innocent_is_accused() {
    attacks_on(Table::Text);
}

#[test]
fn attacks_on_tagged_pseudonyms_are_traced_as_demanded_and_nobody_innocent_is_accused() {
    attacks_on(Table::Tagged);
}

#[test]
fn the_program_says_what_the_library_says() {
    for table in Table::CLEAR {
        let world = World::build(PROGRAM.as_ref(), *table, &size(600, 100));
        let mut draw = Draw::of(&["program", table.name()]);
        let rows = world.sample(500, &mut draw).expect("rows enough");
        let sheet = world.copy(2, &rows);
        let exact = Request {
            exact: true,
            ..request()
        };
        let library = world.trace_as(&sheet, Form::Csv, &exact);
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
        // The exact chance is the program's too, and nothing else depends on it.
        let of_leaker = |of: &&(String, f64, f64, f64)| of.0 == "G-00002";
        let (_, _, bound, p_value) = library.scores.iter().find(of_leaker).expect("the leaker");
        let stated = verdicts[0]["p_value"].as_f64().expect("a chance");
        assert!((stated.ln() - p_value.ln()).abs() < 1e-9 && p_value <= bound);
        let plain = world.trace(&sheet, Form::Csv);
        let (_, _, _, missing) = plain.scores.iter().find(of_leaker).expect("the leaker");
        assert!(missing.is_nan());
        assert_eq!(plain.ln_e("G-00002"), library.ln_e("G-00002"));
    }
}
