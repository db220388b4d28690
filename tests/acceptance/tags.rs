//! Tags in pseudonyms: a few of them name the grant, and nothing else changes.

use std::fs;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Schema};
use lockgate::clock::Clock;
use lockgate::installation::Installation;
use lockgate::ledger::Ledger;
use lockgate::marks::{grants_by_index, markings, read_scheme};
use lockgate_acceptance::site::{Dataset, Grant, Site, write_parquet};
use lockgate_transforms::marks::score::{Ballots, Scores, Standard, Verdict};
use serde_json::{Value, json};

use crate::PROGRAM;
use crate::cell::{Cell, array, column, texts};
use crate::pseudonym::{derived, pseudonym};

const ROWS: usize = 2_000;
const FIELDS: [&str; 3] = ["id", "place", "income"];
const TAGGED: &str = "{ kind = 'hmac', domain = 'person', tag = 4 }";
const PLAIN: &str = "{ kind = 'hmac', domain = 'person' }";

/// Rows of persons who appear twice, some without a number.
fn persons() -> RecordBatch {
    let of = |value: &dyn Fn(usize) -> Cell| (0..ROWS).map(value).collect::<Vec<_>>();
    let columns = [
        of(&|row| match row % 40 {
            39 => Cell::Null,
            _ => Cell::text(format!("P{:06}", row % (ROWS / 2))),
        }),
        of(&|row| Cell::text(format!("place {}", row % 7))),
        of(&|row| Cell::Whole((row as i128 * 7_919) % 1_000_003 + 10_000)),
    ];
    let types = [DataType::Utf8, DataType::Utf8, DataType::Decimal128(12, 2)];
    let columns: Vec<ArrayRef> = types
        .iter()
        .zip(&columns)
        .map(|(of_type, cells)| array(of_type, cells))
        .collect();
    let fields: Vec<Field> = FIELDS
        .iter()
        .zip(types)
        .map(|(name, of_type)| Field::new(*name, of_type, true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch of persons")
}

/// A site with persons, of whose fields nothing may move but, with a tolerance, the income.
fn site(tolerance: &str) -> Site {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("persons")
        .source("store = \"lake\", path = \"persons/\", format = \"parquet\"")
        .more("key = ['id']")
        .field("id", "utf8", "other", "1")
        .field("place", "utf8", "place", "1")
        .field("income", "decimal(12,2)", "income", "1");
    let dataset = match tolerance {
        "" => dataset,
        tolerance => dataset.declaring(&format!("tolerance = {tolerance:?}")),
    };
    site.dataset(&dataset);
    write_parquet(&site.path("lake/persons/1.parquet"), &persons(), 700);
    site
}

fn grant(id: &str, treatment: &str) -> Grant {
    Grant::new(id, "persons", &FIELDS).treatment("id", treatment)
}

/// The grants that a table with these columns names.
fn accused(site: &Site, leak: &RecordBatch) -> Vec<String> {
    let installation = Installation::open(&site.root(), Clock::System).expect("a site");
    let reader = Ledger::reader(&installation.ledger_dir()).expect("a ledger");
    let history = reader.entries().expect("entries");
    let issued = grants_by_index(&history);
    let marking = markings(&history, "persons").pop().expect("marks");
    let scheme = read_scheme(&installation.state(), &marking.scheme_sha256).expect("a scheme");
    let key = installation.mark_key_of("persons", scheme.epoch, scheme.key_version);
    let schema = leak.schema();
    let names: Vec<&String> = schema.fields().iter().map(|field| field.name()).collect();
    let marker = scheme
        .marker(&key.expect("a key"), &names)
        .expect("a marker");
    let columns: Vec<Option<ArrayRef>> = leak.columns().iter().cloned().map(Some).collect();
    let mut ballots = Ballots::default();
    ballots.add(marker.observe(&columns).expect("observations"));
    ballots.add_tags(marker.observe_tags(&columns).expect("tags"));
    let votes = ballots.close();
    let candidates: Vec<_> = issued.keys().copied().collect();
    let standard = Standard::new(10_000);
    let mut named: Vec<String> = Scores::new(&votes)
        .of(marker.code(), &candidates)
        .into_iter()
        .filter(|score| standard.verdict(score.ln_e) == Verdict::Accused)
        .flat_map(|score| issued[&score.grant].clone())
        .collect();
    named.sort();
    named
}

fn projected(batch: &RecordBatch, names: &[&str], rows: usize) -> RecordBatch {
    let schema = batch.schema();
    let places: Vec<usize> = names
        .iter()
        .map(|name| schema.index_of(name).expect("a column"))
        .collect();
    batch.slice(0, rows).project(&places).expect("columns")
}

/// The table with another text in the place of each identifier.
fn with_ids(batch: &RecordBatch, change: impl Fn(usize, String) -> String) -> RecordBatch {
    let ids = texts(batch, "id").into_iter().enumerate();
    let ids = ids.map(|(row, id)| match id {
        Some(id) => Cell::text(change(row, id)),
        None => Cell::Null,
    });
    let ids: Vec<Cell> = ids.collect();
    let mut columns = batch.columns().to_vec();
    columns[0] = array(&DataType::Utf8, &ids);
    RecordBatch::try_new(batch.schema(), columns).expect("a batch")
}

#[test]
fn fifty_pseudonyms_alone_name_the_grant() {
    let site = site("");
    for number in 1..=5 {
        site.signed(&grant(&format!("G-{number}"), TAGGED));
    }
    let leaked = site.deliver("G-3").rows();
    let ids = |rows| projected(&leaked, &["id"], rows);
    assert_eq!(accused(&site, &ids(50)), ["G-3"]);
    assert_eq!(accused(&site, &ids(5)), ["G-3"]);
    // Every second altered by a digit, before or in the tag.
    let altered = with_ids(&ids(50), |row, id| {
        let place = [5, 61][row / 2 % 2];
        let digit = if &id[place..=place] == "0" { "1" } else { "0" };
        match row % 2 {
            0 => format!("{}{digit}{}", &id[..place], &id[place + 1..]),
            _ => id.to_uppercase(),
        }
    });
    assert_eq!(accused(&site, &altered), ["G-3"]);
    // Drawn anew, or of nobody: no accusation.
    let anew = with_ids(&ids(2_000), |row, _| pseudonym(&[7; 32], &row.to_string()));
    assert_eq!(accused(&site, &anew), Vec::<String>::new());
}

/// Luhn's digit of a card.
fn check_digit(payload: &str) -> u32 {
    let digits = payload.bytes().rev().enumerate();
    let sum: u32 = digits
        .map(|(place, byte)| match (place % 2, u32::from(byte - b'0')) {
            (0, digit) if digit > 4 => digit * 2 - 9,
            (0, digit) => digit * 2,
            (_, digit) => digit,
        })
        .sum();
    (10 - sum % 10) % 10
}

#[test]
fn tags_in_structured_ids_name_the_grant() {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("persons")
        .source("store = \"lake\", path = \"cards.csv\", format = \"csv\"")
        .field("card", "utf8", "bank-card", "1");
    site.dataset(&dataset);
    let card = |row: usize| {
        let payload = format!("622202{:09}", (row * 7_919_317 + 11) % 1_000_000_000);
        format!("{payload}{}\n", check_digit(&payload))
    };
    let cards: String = (0..ROWS).map(card).collect();
    site.write("lake/cards.csv", &format!("card\n{cards}"));
    let treatment = "{ kind = 'structured-id', of = 'bank-card', domain = 'card', tag = 2, on_short = 'fail', on_invalid = 'fail' }";
    for id in ["G-1", "G-2", "G-3"] {
        site.signed(&Grant::new(id, "persons", &["card"]).treatment("card", treatment));
    }
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let bits = json!({ "probabilistic": { "bits": 43 } });
    assert_eq!(plan["fields"][0]["uniqueness"], bits);
    assert_eq!(plan["marks"]["fields"][0]["tag"], 2);
    assert_eq!(plan["marks"]["fields"][0]["changed"], 0.99);
    let leaked = site.deliver("G-2").rows();
    site.deliver("G-3");
    for card in texts(&leaked, "card") {
        let card = card.expect("a card");
        let (payload, check) = card.split_at(15);
        assert_eq!(check, check_digit(payload).to_string());
    }
    for rows in [50, 12] {
        assert_eq!(
            accused(&site, &projected(&leaked, &["card"], rows)),
            ["G-2"]
        );
    }
    // By the program, with evidence that counts again.
    let lines = texts(&leaked, "card").into_iter().take(60).flatten();
    let lines: String = lines.map(|card| card + "\n").collect();
    let leak = site.beside().join("leak.csv");
    fs::write(&leak, format!("number\n{lines}")).expect("a leak");
    let folder = site.beside().join("evidence");
    let [leak, folder] = [&leak, &folder].map(|path| path.to_str().expect("a path"));
    let traced = ["trace", leak, "--dataset", "persons", "--evidence", folder];
    let traced = site.json(traced).expecting(0).document();
    let first = &traced["verdicts"][0];
    assert_eq!(
        (&first["grant"], &first["verdict"]),
        (&"G-2".into(), &"accused".into())
    );
    let checked = site.json(["verify-trace", folder, "--leak", leak]);
    let checked = checked.expecting(0).document();
    assert_eq!(
        (&checked["valid"], &checked["recounted"]),
        (&true.into(), &true.into())
    );
}

#[test]
fn a_tag_changes_the_end_of_a_pseudonym_and_nothing_else() {
    let site = site("");
    site.signed(&grant("G-1", TAGGED));
    site.signed(&grant("G-2", PLAIN));
    let delivery = site.deliver("G-1");
    let (tagged, source) = (delivery.rows(), persons());
    for name in ["place", "income"] {
        assert_eq!(column(&tagged, name), column(&source, name), "{name}");
    }
    let key = derived(&site, 1, "person", "grant:G-1");
    let mut seen = std::collections::HashMap::new();
    let mut changed = 0;
    for (id, person) in texts(&tagged, "id").into_iter().zip(texts(&source, "id")) {
        let (Some(id), Some(person)) = (id.clone(), person.clone()) else {
            assert_eq!((id, person), (None, None));
            continue;
        };
        let own = pseudonym(&key, &person);
        assert_eq!((id.len(), &id[..60]), (64, &own[..60]));
        changed += usize::from(id != own);
        // One pseudonym a person, so that the delivery joins with itself.
        assert_eq!(*seen.entry(person).or_insert(id.clone()), id);
    }
    let stated = &delivery.manifest()["mark"]["fields"]["id"];
    assert_eq!(stated["freedom"], "tag of 4 characters");
    assert_eq!(stated["changed"], changed);
    assert_eq!(
        (&stated["max"], &stated["mean"]),
        (&Value::Null, &Value::Null)
    );
    // A delivery without a tag has the pseudonyms of the treatment alone.
    let key = derived(&site, 1, "person", "grant:G-2");
    let plain = site.deliver("G-2");
    assert_eq!(plain.manifest()["mark"], Value::Null);
    for (id, person) in texts(&plain.rows(), "id")
        .into_iter()
        .zip(texts(&source, "id"))
    {
        assert_eq!(id, person.map(|person| pseudonym(&key, &person)));
    }
    // Whatever the threads and batches.
    for (threads, batch_rows) in [(1, 97), (4, 1_000)] {
        site.configure_more(&format!(
            "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
        ));
        let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
        let again = lockgate_acceptance::site::Delivery::of_run(&run);
        assert!(again.bytes() == delivery.bytes(), "{threads} {batch_rows}");
    }
}

#[test]
fn the_key_of_one_grant_beside_the_cells_of_another_names_whose_key_it_is() {
    let site = site("5.00");
    site.signed(&grant("G-1", TAGGED));
    site.signed(&grant("G-2", TAGGED));
    site.signed(&grant("G-3", TAGGED));
    let (one, two) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    assert_eq!(accused(&site, &projected(&one, &FIELDS, 400)), ["G-1"]);
    let ids = texts(&one, "id");
    let mixed = with_ids(&two, |row, _| ids[row].clone().expect("an id"));
    let named = accused(&site, &mixed);
    assert!(named.contains(&"G-1".to_owned()), "{named:?}");
    assert!(!named.contains(&"G-3".to_owned()), "{named:?}");
    // Halves of both name both.
    let half = |batch: &RecordBatch, from| batch.slice(from, ROWS / 2);
    let halves = concat_batches(&one.schema(), &[half(&one, 0), half(&two, ROWS / 2)]);
    assert_eq!(accused(&site, &halves.expect("rows")), ["G-1", "G-2"]);
}

#[test]
fn a_tag_that_could_not_stand_is_refused_and_one_that_stands_is_planned() {
    let site = site("");
    site.signed(&grant("G-1", TAGGED));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let marks = &plan["marks"];
    assert_eq!(marks["fields"][0]["tag"], 4);
    assert_eq!(marks["traceable"][0]["rows"], 3);
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(text.contains("in a tag of 4 characters"), "{text}");
    for (treatment, what) in [
        (
            "{ kind = 'hmac', domain = 'person', tag = 4, join = 'group' }",
            "`tag` stands beside `join`",
        ),
        (
            "{ kind = 'hmac', domain = 'person', tag = 4, length = 20 }",
            "fewer than 80 bits",
        ),
        ("{ kind = 'null', tag = 4 }", "unknown key `tag`"),
    ] {
        site.grant(&grant("G-2", treatment));
        let checked = site.json(["check"]).expecting(2);
        assert!(checked.stdout.contains(what), "{treatment}: {checked:?}");
    }
    // A tag that policy asks for can't be left out, and what was signed without one is signed again.
    let policy = |treatment: &str| {
        let clear = "[[rules]]\ntreatment = { kind = \"clear\" }\n";
        site.policy(&format!(
            "[[rules]]\ncategory = \"other\"\ntreatment = {treatment}\n{clear}"
        ));
    };
    let refusals = |id: &str| site.json(["plan", id]).document()["refusals"].clone();
    policy(PLAIN);
    site.signed(&Grant::new("G-2", "persons", &FIELDS));
    site.signed(&grant("G-3", PLAIN));
    assert_eq!(refusals("G-2"), serde_json::json!([]));
    policy(TAGGED);
    assert_eq!(refusals("G-2")[0]["code"], "approval-stale");
    assert_eq!(refusals("G-3")[0]["code"], "below-floor");
    site.sign("G-2").expect_code(0);
    assert_eq!(refusals("G-2"), serde_json::json!([]));
}
