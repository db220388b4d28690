//! Marks in deliveries: what they move and what they leave alone, that they are the grant's own and
//! the same every time, what the plan, the manifest and the ledger say of them, and that a part of a
//! delivery names the grant it was made for.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::compute::take_record_batch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lockgate::clock::Clock;
use lockgate::installation::Installation;
use lockgate::ledger::{History, Ledger};
use lockgate::marks::{Marking, grants_by_index, markings, read_scheme};
use lockgate_acceptance::site::{Dataset, Delivery, Grant, Site, write_parquet};
use lockgate_transforms::marks::score::{
    Ballots, Scores, Standard, Verdict, ln_presence, presence_from,
};
use serde_json::Value;

use crate::PROGRAM;
use crate::cell::{Cell, array, column, texts, wholes};

pub(crate) const ROWS: usize = 3_000;

/// Every field, in catalogue order.
pub(crate) const FIELDS: [&str; 8] = [
    "id", "name", "phone", "sex", "city", "income", "score", "updated",
];

/// Fields that carry marks where all of them are delivered clear.
const MARKED: [&str; 4] = ["city", "income", "score", "updated"];

/// Numbers that look random.
fn mixed(row: usize, salt: u64) -> u64 {
    let mut mixed = (row as u64)
        .wrapping_add(salt << 40)
        .wrapping_mul(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Citizens, some of whom lack a key, an income or a name.
pub(crate) fn citizens(rows: usize) -> RecordBatch {
    let of = |value: &dyn Fn(usize) -> Cell| (0..rows).map(value).collect::<Vec<_>>();
    let below = |row, salt, most: u64| i128::from(mixed(row, salt) % most);
    let cities = ["北京", "北京市", "上海", "上海市", "广州"];
    let columns = [
        of(&|row| match row % 50 {
            49 => Cell::Null,
            _ => Cell::text(format!("P{row:06}")),
        }),
        of(&|row| Cell::text(format!("张{}", row % 997))),
        of(&|row| Cell::text(format!("138{:08}", mixed(row, 1) % 100_000_000))),
        of(&|row| Cell::text(["男", "女"][row % 2])),
        of(&|row| Cell::text(cities[row % cities.len()])),
        of(&|row| match row % 11 {
            10 => Cell::Null,
            _ => Cell::Whole(below(row, 2, 3_000_000)),
        }),
        of(&|row| Cell::Float(below(row, 3, 10_000_000) as f64 / 100_000.0)),
        of(&|row| Cell::Whole(1_700_000_000_000 + below(row, 4, 31_536_000_000))),
    ];
    let types = [
        DataType::Utf8,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Utf8,
        DataType::Decimal128(12, 2),
        DataType::Float64,
        DataType::Timestamp(TimeUnit::Millisecond, None),
    ];
    let columns = types.iter().zip(&columns);
    let columns: Vec<ArrayRef> = columns
        .map(|(of_type, cells)| array(of_type, cells))
        .collect();
    let fields = FIELDS.iter().zip(types);
    let fields: Vec<Field> = fields
        .map(|(name, of_type)| Field::new(*name, of_type, true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch of citizens")
}

/// The catalogue's entry; with `freedom`, marks may move what they may.
fn dataset(id: &str, freedom: bool) -> Dataset {
    let declaring = |dataset: Dataset, line: &str| match freedom {
        true => dataset.declaring(line),
        false => dataset,
    };
    let dataset = Dataset::new(id)
        .source("store = \"lake\", path = \"citizens/\", format = \"parquet\"")
        .more("key = ['id']")
        .field("id", "utf8", "resident-id", "3")
        .field("name", "utf8", "person-name", "3")
        .field("phone", "utf8", "mobile", "3")
        .field("sex", "utf8", "gender", "1")
        .field("city", "utf8", "place", "1");
    let cities = "synonyms = [[\"北京\", \"北京市\"], [\"上海\", \"上海市\"]]";
    let dataset = declaring(dataset, cities).field("income", "decimal(12,2)", "income", "3");
    let dataset =
        declaring(dataset, "tolerance = \"5.00\"").field("score", "float64", "score", "2");
    let dataset = declaring(dataset, "tolerance = \"0.5\"\ndecimals = 3");
    let dataset = dataset.field("updated", "timestamp(ms)", "time", "1");
    declaring(dataset, "tolerance = \"30s\"")
}

pub(crate) fn grant(id: &str, dataset: &str) -> Grant {
    Grant::new(id, dataset, &FIELDS)
}

/// A site with citizens whose deliveries are marked, and the same without marks as `plain`.
pub(crate) fn site() -> Site {
    let site = Site::new(PROGRAM);
    site.dataset(&dataset("citizens", true));
    site.dataset(&dataset("plain", false));
    let file = site.path("lake/citizens/1.parquet");
    write_parquet(&file, &citizens(ROWS), 700);
    site
}

/// What a mark moves: a score rounded to its three decimals.
fn rounded(score: f64) -> f64 {
    (score * 1000.0).round() / 1000.0
}

#[test]
fn marks_stay_within_the_tolerance_and_leave_the_rest_alone() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    site.signed(&grant("G-plain", "plain"));
    let delivery = site.deliver("G-1");
    let (marked, plain) = (delivery.rows(), site.deliver("G-plain").rows());
    assert_eq!(marked.num_rows(), ROWS);
    for name in FIELDS {
        let same = column(&marked, name) == column(&plain, name);
        assert_eq!(same, !MARKED.contains(&name), "{name}");
    }
    let stated = &delivery.manifest()["mark"]["fields"];
    assert_eq!(
        stated.as_object().expect("marked fields").len(),
        MARKED.len()
    );
    // In cents, thousandths and milliseconds.
    for (name, tolerance, unit, per_unit) in [
        ("income", 500, 1, 100.0),
        ("score", 500, 1, 1000.0),
        ("updated", 30_000, 1_000, 1000.0),
    ] {
        let units = |cell: &Cell| match cell {
            Cell::Whole(whole) => Some(*whole),
            Cell::Float(float) => Some((rounded(*float) * 1000.0).round() as i128),
            _ => None,
        };
        let (before, after) = (column(&plain, name), column(&marked, name));
        let mut moves: Vec<i128> = Vec::new();
        for (before, after) in before.iter().zip(&after) {
            if let (Cell::Float(before), Cell::Float(after)) = (before, after) {
                // Of what the source has, which the delivery without marks doesn't round.
                assert!((after - before).abs() <= 0.5, "{before} {after}");
            }
            match (units(before), units(after)) {
                (Some(before), Some(after)) => {
                    let moved = after - before;
                    assert!(
                        moved.abs() <= tolerance && moved % unit == 0,
                        "{name} {moved}"
                    );
                    assert_eq!(before.signum(), after.signum(), "{name}");
                    moves.push(moved);
                }
                (None, None) => assert_eq!(before, after),
                _ => panic!("{name}: {before:?} became {after:?}"),
            }
        }
        if let Cell::Float(_) = after[0] {
            // No digit beyond the declared ones.
            assert!(after.iter().all(|cell| match cell {
                Cell::Float(float) => rounded(*float) == *float,
                _ => false,
            }));
        }
        assert_stated(&stated[name], &moves, per_unit);
    }
    let cities = texts(&plain, "city")
        .into_iter()
        .zip(texts(&marked, "city"));
    for (before, after) in cities {
        let (before, after) = (before.expect("a city"), after.expect("a city"));
        let stem = |city: &str| city.trim_end_matches('市').to_owned();
        assert!(before == after || stem(&before) == stem(&after) && stem(&before) != "广州");
    }
}

/// What the manifest states of a field is what was done to it.
fn assert_stated(stated: &Value, moves: &[i128], per_unit: f64) {
    let number = |key: &str| -> f64 { stated[key].as_str().expect(key).parse().expect(key) };
    let count = moves.len() as f64;
    assert_eq!(stated["values"], moves.len(), "{stated}");
    let changed = moves.iter().filter(|moved| **moved != 0).count();
    assert_eq!(stated["changed"], changed, "{stated}");
    // Half of the cells carry a mark, and half of those show it already.
    assert!((0.2..0.3).contains(&(changed as f64 / count)), "{stated}");
    let mean = moves.iter().sum::<i128>() as f64 / count / per_unit;
    assert!((number("mean") - mean).abs() < 1e-9, "{stated}");
    let square = |moved: &i128| (*moved as f64 / per_unit).powi(2);
    let variance = moves.iter().map(square).sum::<f64>() / count - mean * mean;
    let off = (number("variance") - variance).abs() / variance;
    assert!(off < 1e-9, "{stated}");
    let furthest = moves.iter().map(|moved| moved.abs()).max().expect("moves");
    let furthest = furthest as f64 / per_unit;
    let max = stated["max"].as_str().expect("max");
    let max: f64 = max.trim_end_matches('s').parse().expect("max");
    assert!((max - furthest).abs() < 1e-9, "{stated}");
}

#[test]
fn a_row_is_the_same_in_every_delivery_whatever_the_threads_and_batches() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    let first = site.deliver("G-1");
    for threads in [1, 2, 4] {
        for batch_rows in [97, 1_000, 50_000] {
            site.configure_more(&format!(
                "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
            ));
            let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
            let again = Delivery::of_run(&run);
            assert!(again.bytes() == first.bytes(), "{threads} {batch_rows}");
            assert_eq!(again.manifest()["mark"], first.manifest()["mark"]);
        }
    }
    // Another way of cutting the source into files, and fewer rows: each row is still the same.
    let rows = citizens(ROWS);
    std::fs::remove_dir_all(site.path("lake/citizens")).expect("the source can be removed");
    for (number, start) in (0..ROWS).step_by(900).enumerate() {
        let part = rows.slice(start, 900.min(ROWS - start));
        let file = site.path(&format!("lake/citizens/{number}.parquet"));
        write_parquet(&file, &part, 333);
    }
    assert_eq!(site.deliver("G-1").rows(), first.rows());
    let kept = site.path("lake/citizens/1.parquet");
    for other in [0, 2, 3] {
        std::fs::remove_file(site.path(&format!("lake/citizens/{other}.parquet")))
            .expect("a file of the source");
    }
    assert!(kept.exists());
    assert_eq!(site.deliver("G-1").rows(), first.rows().slice(900, 900));
}

#[test]
fn each_grant_has_marks_of_its_own_and_one_nobody_asked_to_be_marked_has_them() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    site.signed(&grant("G-2", "citizens"));
    let (one, two) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    for name in FIELDS {
        let same = column(&one, name) == column(&two, name);
        assert_eq!(same, !MARKED.contains(&name), "{name}");
    }
    // The scheme is the dataset's, and so is the commitment to its key.
    let history = history(&site);
    let [first, second] = <[Marking; 2]>::try_from(markings(&history, "citizens")).expect("two");
    assert_eq!(first.key, second.key);
    assert_eq!(first.scheme_sha256, second.scheme_sha256);
    assert_ne!(first.index, second.index);
}

#[test]
fn a_treatment_leaves_a_mark_no_room() {
    let site = site();
    let rounded = grant("G-1", "citizens").treatment("income", "{ kind = 'round', to = '1000' }");
    site.signed(&rounded);
    let plain = grant("G-plain", "plain").treatment("income", "{ kind = 'round', to = '1000' }");
    site.signed(&plain);
    let (marked, plain) = (site.deliver("G-1"), site.deliver("G-plain").rows());
    assert_eq!(column(&marked.rows(), "income"), column(&plain, "income"));
    assert_eq!(marked.manifest()["mark"]["fields"]["income"], Value::Null);
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["marks"]["unmarked"][0]["field"], "income");
}

#[test]
fn a_grant_is_traced_by_the_noise_it_was_given() {
    const NOISE: &str =
        "{ kind = 'noise-num', domain = 'income', distribution = 'laplace', scale = '100'";
    let site = site();
    let noisy = |id: &str, mark: &str| {
        let treatment = format!("{NOISE}{mark} }}");
        Grant::new(id, "citizens", &["phone", "income"]).treatment("income", &treatment)
    };
    for id in ["G-1", "G-2"] {
        site.signed(&noisy(id, ", mark = true"));
    }
    site.signed(&noisy("G-3", ""));
    let delivery = site.deliver("G-1");
    let leaked = delivery.rows();
    let rows = part(&leaked, &["phone", "income"], 0..600);
    assert_eq!(accused(&site, &rows), ["G-1"]);
    let rows = part(&site.deliver("G-2").rows(), &["phone", "income"], 0..600);
    assert_eq!(accused(&site, &rows), ["G-2"]);
    let stated = &delivery.manifest()["mark"]["fields"]["income"];
    assert_eq!(stated["freedom"], "the choice of its noise");
    assert_eq!(
        (&stated["max"], &stated["mean"]),
        (&Value::Null, &Value::Null)
    );
    let shares =
        [&stated["changed"], &stated["values"]].map(|count| count.as_u64().expect("a count"));
    assert!(shares[0].abs_diff(shares[1] / 2) < 150, "{stated}");
    // It is noise as before: never more than 45 scales, which are 100.00 each.
    let moved = column(&leaked, "income");
    for (noisy, own) in moved.into_iter().zip(column(&citizens(ROWS), "income")) {
        match (noisy, own) {
            (Cell::Whole(noisy), Cell::Whole(own)) => {
                assert!((noisy - own).abs() <= 45 * 10_000);
            }
            (noisy, own) => assert_eq!(noisy, own),
        }
    }
    assert_eq!(site.deliver("G-3").manifest()["mark"], Value::Null);
    for (threads, batch_rows) in [(1, 97), (4, 1_000)] {
        site.configure_more(&format!(
            "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
        ));
        let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
        assert!(Delivery::of_run(&run).bytes() == delivery.bytes());
    }
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(text.contains("in the choice of its noise"), "{text}");
}

#[test]
fn a_day_within_the_month_names_the_grant() {
    let site = site();
    let month = |id: &str, shown: &str| {
        let treatment = format!("{{ kind = 'date-trunc', unit = 'month'{shown} }}");
        Grant::new(id, "citizens", &["phone", "updated"]).treatment("updated", &treatment)
    };
    for id in ["G-1", "G-2"] {
        site.signed(&month(id, ", as = 'any'"));
    }
    site.signed(&month("G-3", ""));
    let delivery = site.deliver("G-1");
    let leaked = delivery.rows();
    let beginning = site.deliver("G-3").rows();
    let starts: std::collections::BTreeSet<i128> =
        wholes(&beginning, "updated").into_iter().collect();
    let moved = wholes(&leaked, "updated");
    for (shown, start) in moved.iter().zip(wholes(&beginning, "updated")) {
        let last = starts.range(..=*shown).next_back();
        assert_eq!((last, (shown - start) % 1_000), (Some(&start), 0));
    }
    let rows = part(&leaked, &["phone", "updated"], 0..600);
    assert_eq!(accused(&site, &rows), ["G-1"]);
    let rows = part(&site.deliver("G-2").rows(), &["phone", "updated"], 0..600);
    assert_eq!(accused(&site, &rows), ["G-2"]);
    let stated = &delivery.manifest()["mark"]["fields"]["updated"];
    assert_eq!(stated["freedom"], "any time of the month");
    assert_eq!(
        (&stated["max"], &stated["mean"]),
        (&Value::Null, &Value::Null)
    );
    for (threads, batch_rows) in [(1, 97), (4, 1_000)] {
        site.configure_more(&format!(
            "[limits]\nthreads = {threads}\nbatch_rows = {batch_rows}"
        ));
        let run = site.json(["run", "G-1", "--again"]).expecting(0).document();
        assert!(Delivery::of_run(&run).bytes() == delivery.bytes());
    }
}

#[test]
fn a_float_leaves_at_its_decimals_also_where_nothing_carries_a_mark() {
    let site = site();
    site.signed(&Grant::new("G-1", "citizens", &["score"]));
    site.signed(&Grant::new("G-plain", "plain", &["score"]));
    let delivery = site.deliver("G-1");
    assert_eq!(delivery.manifest()["mark"], Value::Null);
    let plain = column(&site.deliver("G-plain").rows(), "score");
    let expected: Vec<Cell> = plain
        .iter()
        .map(|score| match score {
            Cell::Float(score) => Cell::Float(rounded(*score)),
            other => panic!("{other:?} is no score"),
        })
        .collect();
    assert_eq!(column(&delivery.rows(), "score"), expected);
    assert_ne!(plain, expected);
}

fn history(site: &Site) -> History {
    let installation = Installation::open(&site.root(), Clock::System).expect("a site");
    let reader = Ledger::reader(&installation.ledger_dir()).expect("a ledger");
    reader.entries().expect("entries")
}

/// The grants that a table names, by what site, ledger and key tell; none where nothing says that it
/// is the site's at all.
fn accused(site: &Site, leak: &RecordBatch) -> Vec<String> {
    let installation = Installation::open(&site.root(), Clock::System).expect("a site");
    let history = history(site);
    let issued = grants_by_index(&history);
    let marking = markings(&history, "citizens").pop().expect("marks");
    let scheme = read_scheme(&installation.state(), &marking.scheme_sha256).expect("a scheme");
    let key = installation.mark_key_of("citizens", scheme.epoch, scheme.key_version);
    let key = key.expect("a key");
    assert!(key.opens(&marking.key.commitment, &marking.key.salt));
    let schema = leak.schema();
    let names: Vec<&str> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    let marker = scheme.marker(&key, &names).expect("a marker");
    let columns: Vec<Option<ArrayRef>> = leak.columns().iter().cloned().map(Some).collect();
    let mut ballots = Ballots::default();
    ballots.add(marker.observe(&columns).expect("observations"));
    let votes = ballots.close();
    if ln_presence(&votes.counts()) < presence_from(1, 1e-9) {
        return Vec::new();
    }
    let candidates: Vec<_> = issued.keys().copied().collect();
    let standard = Standard::new(10_000);
    let scores = Scores::new(&votes).of(marker.code(), &candidates);
    let accused = scores
        .into_iter()
        .filter(|score| standard.verdict(score.ln_e) == Verdict::Accused);
    let mut named: Vec<String> = accused
        .flat_map(|score| issued[&score.grant].clone())
        .collect();
    named.sort();
    named
}

/// Some columns of some rows.
pub(crate) fn part(
    batch: &RecordBatch,
    columns: &[&str],
    rows: impl Iterator<Item = u64>,
) -> RecordBatch {
    let rows = arrow::array::UInt64Array::from_iter_values(rows);
    let taken = take_record_batch(batch, &rows).expect("rows");
    let schema = batch.schema();
    let places: Vec<usize> = columns
        .iter()
        .map(|name| schema.index_of(name).expect("a column"))
        .collect();
    taken.project(&places).expect("columns")
}

#[test]
fn a_part_of_a_delivery_names_its_grant_and_nobody_else() {
    let site = site();
    for number in 1..=9 {
        site.signed(&grant(&format!("G-{number}"), "citizens"));
    }
    let leaked = site.deliver("G-3").rows();
    let other = site.deliver("G-7").rows();
    let every = |step| (0..ROWS as u64).rev().step_by(step);
    assert_eq!(accused(&site, &part(&leaked, &FIELDS, every(18))), ["G-3"]);
    // Any family by itself: the key, content, a single column.
    for columns in [
        &["income", "phone"][..],
        &["score", "id"],
        &["updated"],
        &["city", "id"],
    ] {
        assert_eq!(
            accused(&site, &part(&leaked, columns, every(4))),
            ["G-3"],
            "{columns:?}"
        );
    }
    // Halves of two deliveries name both.
    let mixed = arrow::compute::concat_batches(
        &leaked.schema(),
        &[
            part(&leaked, &FIELDS, 0..1_500),
            part(&other, &FIELDS, 1_500..3_000),
        ],
    );
    assert_eq!(accused(&site, &mixed.expect("rows")), ["G-3", "G-7"]);
    // The provider's own data, and nothing that a cell could be found by.
    assert_eq!(accused(&site, &citizens(ROWS)), Vec::<String>::new());
    let blind = part(&leaked, &["income", "score", "city"], every(1));
    assert_eq!(accused(&site, &blind), Vec::<String>::new());
}

#[test]
fn a_policy_of_sm4_marks_by_it_and_earlier_deliveries_are_traced_by_theirs() {
    let site = site();
    for id in ["G-1", "G-2"] {
        site.signed(&grant(id, "citizens"));
    }
    let earlier = site.deliver("G-1").rows();
    let clear = "[[rules]]\ntreatment = { kind = \"clear\" }\n";
    site.policy(&format!("[marking]\nsuite = \"SM4-CMAC\"\n{clear}"));
    // It is not what was approved.
    assert_eq!(site.run("G-1").expecting(3).refusals(), ["approval-stale"]);
    site.sign("G-1").expect_code(0);
    let later = site.deliver("G-1").rows();
    for name in FIELDS {
        let same = column(&earlier, name) == column(&later, name);
        assert_eq!(same, !MARKED.contains(&name), "{name}");
    }
    // One key, one commitment, a scheme for each.
    let [first, second] = <[Marking; 2]>::try_from(markings(&history(&site), "citizens"))
        .expect("a marking for each suite");
    assert_eq!((&first.key, first.index), (&second.key, second.index));
    assert_ne!(first.scheme_sha256, second.scheme_sha256);
    let scheme = site.read(&format!("state/marks/{}.json", second.scheme_sha256));
    assert!(scheme.contains("\"suite\":\"SM4-CMAC\""), "{scheme}");
    for (leak, of) in [(&earlier, &first), (&later, &second)] {
        let file = site.beside().join("leak.parquet");
        write_parquet(&file, &part(leak, &FIELDS, 0..600), 600);
        let file = file.to_str().expect("a path in UTF-8");
        let traced = site.json(["trace", file, "--dataset", "citizens"]);
        let traced = traced.expecting(0).document();
        let verdicts = traced["verdicts"].as_array().expect("verdicts");
        let accused = verdicts
            .iter()
            .filter(|found| found["verdict"] == "accused");
        let accused: Vec<&Value> = accused.map(|found| &found["grant"]).collect();
        assert_eq!(accused, ["G-1"], "{traced}");
        // The votes by rows and by values, of three classes and two symbols.
        assert_eq!(traced["counts"].as_array().map(Vec::len), Some(12));
        assert_eq!(traced["traced"][0]["scheme_sha256"], of.scheme_sha256);
    }
}

#[test]
fn a_grant_without_the_key_is_found_by_content() {
    let site = site();
    let keyless = Grant::new("G-1", "citizens", &["updated", "score", "income", "phone"]);
    site.signed(&keyless);
    site.signed(&grant("G-2", "citizens"));
    let leaked = site.deliver("G-1").rows();
    let rows = part(&leaked, &["score", "phone"], 0..800);
    assert_eq!(accused(&site, &rows), ["G-1"]);
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let fields = plan["marks"]["fields"].as_array().expect("fields");
    let found: Vec<&str> = fields
        .iter()
        .map(|field| field["found_by"].as_str().expect("found_by"))
        .collect();
    assert_eq!(found, ["content", "content", "value"]);
}

#[test]
fn the_plan_says_what_marks_will_do_and_what_they_are_good_for() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(plan["carriers"], 2 * ROWS);
    let marks = &plan["marks"];
    assert_eq!(marks["carriers_per_row"], 2.0);
    let mut fields = marks["fields"].as_array().expect("fields").iter();
    assert!(fields.all(|field| field["changed"] == 0.25), "{marks}");
    let traceable = marks["traceable"].as_array().expect("traceable");
    let rows: Vec<u64> = traceable
        .iter()
        .map(|traceable| traceable["rows"].as_u64().expect("rows"))
        .collect();
    assert_eq!(rows.len(), 4);
    // By the reference's table of carriers, two a row: half of four fields.
    for (rows, expected) in rows.iter().zip([94.0, 534.0, 1_178.0, 3_116.0]) {
        let off = (*rows as f64 * 2.0 - expected).abs() / expected;
        assert!(off < 0.06, "{rows} {expected}");
    }
    assert_eq!(plan["warnings"], serde_json::json!([]));
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(
        text.contains("2 a row; a leak is traced from so many rows:"),
        "{text}"
    );
    assert!(text.contains("income: found by content (phone)"), "{text}");
    assert!(text.contains("by at most 4.99, "), "{text}");
    // A key alone is a thing to know.
    site.signed(&Grant::new("G-2", "citizens", &["id", "score"]));
    let plan = site.json(["plan", "G-2"]).expecting(0).document();
    assert_eq!(plan["warnings"][0]["code"], "marks-by-key");
}

#[test]
fn what_a_leak_can_never_show_is_not_promised() {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("scores")
        .source("store = \"lake\", path = \"scores.csv\", format = \"csv\"")
        .field("score", "int64", "other", "1")
        .declaring("tolerance = \"3\"\ndomain_size = 4000");
    site.dataset(&dataset);
    let scores: String = (0..5_000)
        .map(|row| format!("{}\n", mixed(row, 5) % 4_000))
        .collect();
    site.write("lake/scores.csv", &format!("score\n{scores}"));
    site.signed(&Grant::new("G-1", "scores", &["score"]));
    // A thousand blocks are as many places, half of which carry, however many rows there are: two leakers
    // need more.
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let rows = |at: usize| &plan["marks"]["traceable"][at]["rows"];
    assert!(rows(0).is_u64() && rows(1).is_null(), "{plan}");
    assert_eq!(plan["marks"]["fields"][0]["places"], 1_000);
    let text = site.text(["plan", "G-1"]).expecting(0).stdout;
    assert!(
        text.contains("never (2 leakers), never (3 leakers), never (5 leakers)"),
        "{text}"
    );
    assert!(text.contains("too few different values"), "{text}");
}

#[test]
fn too_few_carriers_are_warned_of_or_refused() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    site.signed(&grant("G-plain", "plain"));
    let clear = "[[rules]]\ntreatment = { kind = \"clear\" }\n";
    let policy = |marking: &str| site.policy(&format!("{marking}{clear}"));
    let codes = |id: &str, list: &str| -> Vec<String> {
        let plan = site.json(["plan", id]).document();
        let found = plan[list].as_array().expect("a list");
        found
            .iter()
            .map(|found| found["code"].as_str().expect("a code").to_owned())
            .collect()
    };
    assert_eq!(codes("G-plain", "warnings"), ["unmarked"]);
    assert_eq!(codes("G-1", "warnings"), Vec::<String>::new());
    site.run("G-plain").expect_code(0);
    policy("[marking]\nmin_carriers = 0\n");
    assert_eq!(codes("G-plain", "warnings"), Vec::<String>::new());
    policy("[marking]\nbelow = \"refuse\"\n");
    assert_eq!(codes("G-plain", "refusals"), ["unmarked"]);
    assert_eq!(site.run("G-plain").expecting(3).refusals(), ["unmarked"]);
    assert_eq!(codes("G-1", "refusals"), Vec::<String>::new());
    // As many as the source's rows could have, and one more.
    policy("[marking]\nmin_carriers = 6000\nbelow = \"refuse\"\n");
    site.run("G-1").expect_code(0);
    policy("[marking]\nmin_carriers = 6001\nbelow = \"refuse\"\n");
    assert_eq!(codes("G-1", "refusals"), ["unmarked"]);
    let run = site.json(["run", "G-1", "--again"]).expecting(3);
    assert_eq!(run.refusals(), ["unmarked"]);
    policy("[marking]\nmin_carriers = 6001\n");
    assert_eq!(codes("G-1", "warnings"), ["unmarked"]);
    site.json(["run", "G-1", "--again"]).expect_code(0);
    // A quota can't be outgrown either.
    site.policy(&format!(
        "[marking]\nmin_carriers = 100\nbelow = \"refuse\"\n{clear}"
    ));
    let small = grant("G-2", "citizens").more("quota = { rows = 24 }");
    site.grant(&small);
    let refused = site.sign("G-2").expecting(3).document();
    assert_eq!(refused["error"]["refusals"][0]["code"], "unmarked");
}

#[test]
fn a_source_that_cannot_count_its_rows_is_judged_once_they_were_read() {
    let site = Site::new(PROGRAM);
    let dataset = Dataset::new("few")
        .source("store = \"lake\", path = \"few.csv\", format = \"csv\"")
        .more("key = ['id']")
        .field("id", "utf8", "resident-id", "3")
        .field("income", "decimal(12,2)", "income", "3")
        .declaring("tolerance = \"500.00\"");
    site.dataset(&dataset);
    let rows = "id,income\nP1,10000.00\nP2,20000.00\nP3,30000.00\n";
    site.write("lake/few.csv", rows);
    let clear = "[[rules]]\ntreatment = { kind = \"clear\" }\n";
    site.policy(&format!(
        "[marking]\nmin_carriers = 2\nbelow = \"refuse\"\n{clear}"
    ));
    site.signed(&Grant::new("G-1", "few", &["id", "income"]));
    assert_eq!(site.run("G-1").expecting(3).refusals(), ["unmarked"]);
    assert_eq!(history(&site).last_manifest("G-1"), None);
    // Half of the cells carry.
    site.write("lake/few.csv", &format!("{rows}P4,40000.00\n"));
    site.run("G-1").expect_code(0);
}

#[test]
fn the_ledger_holds_key_grant_and_scheme_before_the_release() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    site.deliver("G-1");
    site.json(["run", "G-1", "--again"]).expect_code(0);
    let listed = site.json(["ledger", "list"]).expecting(0).document();
    let events: Vec<&str> = listed["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| entry["event"].as_str().expect("an event"))
        .collect();
    assert_eq!(
        events,
        [
            "grant-signed",
            "marking-begun",
            "release-intended",
            "released",
            "release-intended",
            "released"
        ]
    );
    let (signed, begun) = (&listed["entries"][0], &listed["entries"][1]);
    assert_eq!(begun["grant_index"], signed["grant_index"]);
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(begun["plan_sha256"], plan["plan_sha256"]);
    site.json(["ledger", "verify"]).expect_code(0);
    // The scheme stands under its hash, and the manifest's commitments open with ledger and scheme.
    let sha256 = begun["scheme_sha256"].as_str().expect("a hash");
    let scheme = std::fs::read(site.path(&format!("state/marks/{sha256}.json"))).expect("a scheme");
    assert_eq!(lockgate::digest::sha256_hex(&scheme), sha256);
    let delivery = Delivery::of_run(&site.run("G-1").expecting(0).document());
    let mark = &delivery.manifest()["mark"];
    assert_eq!(mark["key_commitment"], begun["commitment"]);
    let salt = begun["commitment_salt"].as_str().expect("a salt");
    let salt: Vec<u8> = (0..32)
        .map(|at| u8::from_str_radix(&salt[2 * at..2 * at + 2], 16).expect("hex"))
        .collect();
    let commitment = lockgate::marks::statement::scheme_commitment(&salt, &scheme);
    assert_eq!(mark["scheme_commitment"], commitment);
    // A recipient learns that values moved, and not where marks are.
    let text = mark.to_string();
    for secret in ["phone", "\"anchor", "step", "density", sha256] {
        assert!(!text.contains(secret), "{secret}: {text}");
    }
    let verified = site
        .json([
            "verify",
            delivery.folder().to_str().expect("a path in UTF-8"),
        ])
        .expecting(0)
        .document();
    let notes = verified["notes"].to_string();
    assert!(notes.contains("`income` (within 5; "), "{notes}");
}

#[test]
fn a_key_that_was_exchanged_marks_nothing() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    let first = site.deliver("G-1").rows();
    let other = "lockgate-key:v1:mark:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
    let own = site.read("keys/mark.v1.key");
    site.write("keys/mark.v1.key", other);
    let failed = site.json(["run", "G-1", "--again"]).expecting(4);
    assert!(failed.stdout.contains("has a commitment to"), "{failed:?}");
    site.write("keys/mark.v1.key", &own);
    let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_eq!(Delivery::of_run(&again).rows(), first);
    // A new version is committed to anew, and marks other cells.
    site.json(["keys", "new", "mark"]).expect_code(0);
    let rotated = site.json(["run", "G-1", "--again"]).expecting(0).document();
    assert_ne!(Delivery::of_run(&rotated).rows(), first);
    let versions: Vec<u32> = markings(&history(&site), "citizens")
        .iter()
        .map(|marking| marking.key.key_version)
        .collect();
    assert_eq!(versions, [1, 2]);
    // Without any there is nothing to mark with, and `check` says so.
    for version in [1, 2] {
        std::fs::remove_file(site.path(&format!("keys/mark.v{version}.key"))).expect("a key");
    }
    let checked = site.json(["check"]).expecting(2);
    assert!(
        checked.stdout.contains("need a key of purpose `mark`"),
        "{checked:?}"
    );
    assert_ne!(site.json(["run", "G-1", "--again"]).code, 0);
}

#[test]
fn a_preview_shows_what_is_delivered() {
    let site = site();
    site.configure_more("[preview]\nbefore = true");
    site.grant(&grant("G-1", "citizens"));
    let preview = |arguments: &[&str]| {
        let arguments = ["preview", "G-1"].iter().chain(arguments);
        site.json(arguments).expecting(0).document()
    };
    let unsigned = preview(&["--rows", "40"]);
    assert!(
        unsigned["notes"].to_string().contains("marks aren't shown"),
        "{unsigned}"
    );
    site.sign("G-1").expect_code(0);
    let signed = preview(&["--rows", "40"]);
    assert_eq!(signed["notes"], serde_json::json!([]));
    assert_ne!(signed["rows"], unsigned["rows"]);
    let delivered = texts(&site.deliver("G-1").rows(), "city");
    let shown = signed["rows"].as_array().expect("rows");
    assert_eq!(shown.len(), 40);
    for (row, city) in shown.iter().zip(delivered) {
        assert_eq!(row[4].as_str(), city.as_deref(), "{row}");
    }
}

#[test]
fn rows_that_are_left_out_count_in_no_mark() {
    let site = site();
    let fewer = grant("G-1", "citizens").rows("id < 'P002000'").treatment(
        "name",
        "{ kind = 'keep-ends', first = 5, last = 0, on_short = 'reject' }",
    );
    site.signed(&fewer);
    // Names have at most four characters: all rows are rejected.
    let run = site.run("G-1").expecting(5).document();
    assert_eq!(run["rows"]["delivered"], 0);
    let delivery = Delivery::of_run(&run);
    let stated = &delivery.manifest()["mark"]["fields"]["income"];
    assert_eq!(
        (&stated["values"], &stated["changed"]),
        (&Value::from(0), &Value::from(0))
    );
    assert_eq!(stated["mean"], Value::Null);
}

#[test]
fn the_marks_of_a_field_do_not_depend_on_the_other_fields_asked_for() {
    let site = site();
    site.signed(&grant("G-1", "citizens"));
    let all = site.deliver("G-1").rows();
    // The same grant, narrowed and in another order.
    let narrow = Grant::new("G-1", "citizens", &["updated", "id", "score", "phone"]).version(2);
    site.signed(&narrow);
    let narrow = site.deliver("G-1").rows();
    for name in ["updated", "id", "score", "phone"] {
        assert_eq!(column(&narrow, name), column(&all, name), "{name}");
    }
    assert_eq!(wholes(&narrow, "updated").len(), ROWS);
}
