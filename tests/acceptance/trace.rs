//! The trace: leaked copies of deliveries, changed as other hands change them, name the grants they
//! were made for and nobody else; what it says of others' data; its evidence; what it refuses.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate::clock::Clock;
use lockgate::installation::Installation;
use lockgate::trace::evidence::PAYLOAD_TYPE;
use lockgate::{canonical_json, digest, dsse};
use lockgate_acceptance::site::{Dataset, Delivery, Finished, Grant, Site, parquet_bytes};
use lockgate_connectors::keyring::Purpose;
use rust_xlsxwriter::Workbook;
use serde_json::{Map, Value};

use crate::PROGRAM;
use crate::marks::{FIELDS, ROWS, citizens, grant, part, site};

/// A table of text, the header first.
type Sheet = Vec<Vec<String>>;

/// A table as text: what anybody sees of it.
fn sheet(batch: &RecordBatch) -> Sheet {
    let options = FormatOptions::default();
    let columns: Vec<ArrayFormatter<'_>> = batch
        .columns()
        .iter()
        .map(|column| ArrayFormatter::try_new(column, &options).expect("values as text"))
        .collect();
    let schema = batch.schema();
    let header = schema.fields().iter().map(|field| field.name().clone());
    let rows = (0..batch.num_rows()).map(|row| {
        let cells = columns.iter().map(|column| column.value(row).to_string());
        cells.collect()
    });
    [header.collect()].into_iter().chain(rows).collect()
}

fn csv(sheet: &Sheet) -> String {
    let lines = sheet.iter().map(|row| row.join(",") + "\n");
    lines.collect()
}

/// Writes a leak beside the site.
fn leak(site: &Site, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    let path = site.beside().join(name);
    fs::write(&path, bytes).expect("a leak");
    path
}

fn trace_with(site: &Site, leak: &Path, more: &[&str]) -> Finished {
    let leak = leak.to_str().expect("a path in UTF-8");
    let fixed = ["trace", leak, "--dataset", "citizens"];
    site.json(fixed.iter().chain(more))
}

#[track_caller]
fn trace(site: &Site, leak: &Path) -> Value {
    trace_with(site, leak, &[]).expecting(0).document()
}

/// The grants that a trace accuses, by name.
fn accused(document: &Value) -> Vec<&str> {
    let verdicts = document["verdicts"].as_array().expect("verdicts");
    let accused = verdicts.iter().filter(|of| of["verdict"] == "accused");
    let mut named: Vec<&str> = accused
        .map(|of| of["grant"].as_str().expect("a grant"))
        .collect();
    named.sort_unstable();
    named
}

/// The ledger's entries of a kind.
fn recorded(site: &Site, event: &str) -> Vec<Value> {
    let entries = site.json(["ledger", "list"]).expecting(0).document();
    let entries = entries["entries"].as_array().expect("entries").iter();
    let found = entries.filter(|entry| entry["event"] == event);
    found.cloned().collect()
}

/// Changes a record and signs it anew with the site's own key, as its owner could.
fn sign_anew(site: &Site, folder: &Path, change: impl FnOnce(&mut Value)) {
    let path = folder.join("record.json");
    let payload = dsse::unverified_payload(&fs::read(&path).expect("a record"));
    let payload = payload.expect("an envelope");
    let mut record: Value = serde_json::from_slice(&payload).expect("a record");
    change(&mut record);
    let payload = canonical_json::to_bytes(&record).expect("a record");
    let installation = Installation::open(&site.root(), Clock::System).expect("a site");
    let signer = installation.keyring().signing_key(Purpose::Manifest);
    let envelope = dsse::sign(PAYLOAD_TYPE, &payload, &signer.expect("a key"));
    fs::write(path, envelope.expect("an envelope")).expect("a record");
}

/// A site with three grants, of which the first and the second were delivered.
fn leaky_site() -> (Site, RecordBatch, RecordBatch) {
    let site = site();
    for id in ["G-1", "G-2", "G-3"] {
        site.signed(&grant(id, "citizens"));
    }
    let (one, two) = (site.deliver("G-1").rows(), site.deliver("G-2").rows());
    site.deliver("G-3");
    (site, one, two)
}

#[test]
fn a_whole_file_and_a_part_of_it_name_the_grant() {
    let (site, rows, _) = leaky_site();
    let file = Delivery::of_run(&site.run("G-1").document())
        .files()
        .remove(0);
    let whole = trace(&site, &file);
    assert_eq!(accused(&whole), ["G-1"]);
    assert_eq!(whole["rows"], ROWS);
    assert_eq!(whole["presence"]["ours"], true);
    assert_eq!(whole["candidates"], 3);
    assert_eq!(whole["more_rows"], Value::Null);
    let first = &whole["verdicts"][0];
    assert_eq!(first["grant"], "G-1");
    assert_eq!(first["recipient"], "civil-affairs");
    let [ln_e, p_value, from] = [&first["ln_e"], &first["p_value"], &whole["accused_from"]]
        .map(|number| number.as_f64().expect("a number"));
    assert!(
        ln_e >= from && p_value <= (-ln_e).exp().max(1e-50),
        "{first}"
    );
    for other in &whole["verdicts"].as_array().expect("verdicts")[1..] {
        assert_eq!(
            (&other["verdict"], &other["p_value"]),
            (&"none".into(), &Value::Null)
        );
    }
    // Every tenth row, backwards, as a spreadsheet writes them.
    let part = part(&rows, &FIELDS, (0..ROWS as u64).rev().step_by(10));
    let part = trace(&site, &leak(&site, "part.csv", csv(&sheet(&part))));
    assert_eq!(
        (accused(&part), &part["rows"]),
        (vec!["G-1"], &Value::from(ROWS / 10))
    );
}

#[test]
fn other_forms_encodings_and_spellings_name_the_grant() {
    let (site, rows, _) = leaky_site();
    let table = sheet(&part(&rows, &FIELDS, 0..600));
    let text = csv(&table);
    let (encoded, _, is_lossy) = encoding_rs::GB18030.encode(&text);
    assert!(!is_lossy);
    let encoded = trace(&site, &leak(&site, "gb.csv", encoded));
    assert_eq!(accused(&encoded), ["G-1"]);
    assert!(
        encoded["leak"]["form"].to_string().contains("gb18030"),
        "{encoded}"
    );
    // JSON lines, numbers as numbers.
    let lines = table[1..].iter().map(|row| {
        let cells = table[0].iter().zip(row).map(|(name, cell)| {
            let number = serde_json::from_str::<serde_json::Number>(cell);
            (
                name.clone(),
                number.map_or(cell.clone().into(), Value::Number),
            )
        });
        Value::Object(cells.collect::<Map<_, _>>()).to_string() + "\n"
    });
    let lines: String = lines.collect();
    assert_eq!(
        accused(&trace(&site, &leak(&site, "leak.jsonl", lines))),
        ["G-1"]
    );
    // A workbook, with numbers as numbers and times as Excel's days.
    let mut book = Workbook::new();
    let sheet = book.add_worksheet();
    for (at, row) in (0_u32..).zip(&table) {
        for (place, cell) in (0_u16..).zip(row) {
            let name = &table[0][usize::from(place)];
            let days = match name.as_str() {
                "updated" => days_since_1900(cell),
                "income" | "score" => cell.parse().ok(),
                _ => None,
            };
            let written = match days {
                Some(number) => sheet.write_number(at, place, number).map(drop),
                None => sheet.write_string(at, place, cell).map(drop),
            };
            written.expect("a cell");
        }
    }
    let book = book.save_to_buffer().expect("a workbook");
    let traced = trace(&site, &leak(&site, "leak.xlsx", book));
    assert_eq!(accused(&traced), ["G-1"]);
    let read: Vec<&str> = traced["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .filter_map(|of| (of["field"] == "updated").then(|| of["read"].as_str())?)
        .collect();
    assert_eq!(read, ["timestamp(ms), Excel's days since 1900"]);
}

/// A time as Excel counts it.
fn days_since_1900(text: &str) -> Option<f64> {
    let (date, clock) = text.split_once('T')?;
    let number = |text: &str| text.parse::<i64>().ok();
    let [year, month, day] = <[&str; 3]>::try_from(date.split('-').collect::<Vec<_>>()).ok()?;
    let (year, month, day) = (number(year)?, number(month)?, number(day)?);
    // Days from the civil calendar (Hinnant), from 1970-01-01 on.
    let shifted = if month <= 2 { year - 1 } else { year };
    let of_era = shifted - shifted.div_euclid(400) * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let days = shifted.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100
        + of_year
        - 719_468;
    let parts: Vec<f64> = clock
        .split(':')
        .filter_map(|part| part.parse().ok())
        .collect();
    let seconds = parts.iter().fold(0.0, |sum, part| sum * 60.0 + part);
    Some(days as f64 + 25_569.0 + seconds / 86_400.0)
}

#[test]
fn renamed_reordered_and_dropped_columns_are_found_by_trial() {
    let (site, rows, _) = leaky_site();
    // Names that say nothing, in another order, and without the name, sex and city.
    let order = ["score", "phone", "updated", "id", "income"];
    let mut table = sheet(&part(&rows, &order, 0..1_500));
    table[0] = ["a", "b", "c", "d", "e"].map(str::to_owned).to_vec();
    let renamed = trace(&site, &leak(&site, "renamed.csv", csv(&table)));
    assert_eq!(accused(&renamed), ["G-1"]);
    let mut found: Vec<(&str, &str)> = renamed["columns"]
        .as_array()
        .expect("columns")
        .iter()
        .map(|of| {
            (
                of["field"].as_str().expect("field"),
                of["column"].as_str().expect("column"),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            ("id", "column 4"),
            ("income", "column 5"),
            ("phone", "column 2"),
            ("score", "column 1"),
            ("updated", "column 3")
        ]
    );
    // Without a header at all.
    let bare = csv(&table[1..].to_vec());
    let bare = trace(&site, &leak(&site, "bare.csv", bare));
    assert_eq!(accused(&bare), ["G-1"]);
    // One column that is found by its own values.
    let single = part(&rows, &["updated"], 0..1_000);
    let mut single = sheet(&single);
    single[0] = vec!["when".to_owned()];
    assert_eq!(
        accused(&trace(&site, &leak(&site, "one.csv", csv(&single)))),
        ["G-1"]
    );
    // What the operator says overrides the search.
    let leak = leak(&site, "renamed.csv", csv(&table));
    let given = ["--column", "income=e", "--column", "phone=b"];
    let given = trace_with(&site, &leak, &given).expecting(0).document();
    assert_eq!(accused(&given), ["G-1"]);
}

#[test]
fn two_copies_put_together_name_both() {
    let (site, one, two) = leaky_site();
    let mixed = concat_batches(
        &one.schema(),
        &[
            part(&one, &FIELDS, 0..1_000),
            part(&two, &FIELDS, 1_000..2_000),
        ],
    );
    let mixed = parquet_bytes(&mixed.expect("rows"), 700);
    assert_eq!(
        accused(&trace(&site, &leak(&site, "mixed.parquet", mixed))),
        ["G-1", "G-2"]
    );
    // Two files, one after the other, each with its header.
    let parts = [&one, &two].map(|rows| csv(&sheet(&part(rows, &FIELDS, 0..800))));
    let joined = trace(&site, &leak(&site, "joined.csv", parts.concat()));
    assert_eq!(accused(&joined), ["G-1", "G-2"]);
}

#[test]
fn data_without_these_marks_accuses_nobody() {
    let (site, rows, _) = leaky_site();
    // The provider's own copy, under the very names.
    let plain = trace(&site, &leak(&site, "own.csv", csv(&sheet(&citizens(ROWS)))));
    assert_eq!(plain["presence"]["ours"], false, "{plain}");
    assert!(accused(&plain).is_empty());
    // Something else.
    let other: String = (0..900_u64)
        .map(|row| {
            format!(
                "{},{}.{:02},shop {}\n",
                row,
                row * 7_919 % 1_000,
                row % 97,
                row % 13
            )
        })
        .collect();
    let other = trace(
        &site,
        &leak(&site, "other.csv", format!("no,price,where\n{other}")),
    );
    assert_eq!(
        (accused(&other).len(), &other["presence"]["ours"]),
        (0, &false.into())
    );
    // Too little of ours: it says how much more it would take.
    let few = part(&rows, &FIELDS, 0..8);
    let few = trace(&site, &leak(&site, "few.csv", csv(&sheet(&few))));
    assert!(accused(&few).is_empty());
    let more = few["more_rows"].as_u64().expect("more rows");
    assert!((5..200).contains(&more), "{few}");
    let text = site.beside().join("few.csv");
    let text = text.to_str().expect("a path");
    let text = site
        .text(["trace", text, "--dataset", "citizens"])
        .expecting(0)
        .stdout;
    assert!(
        text.contains("nobody is accused") && text.contains("\nif it is ours, about "),
        "{text}"
    );
}

#[test]
fn every_trace_is_recorded_and_asks_more_than_the_one_before() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..500))),
    );
    let from: Vec<f64> = (0..3)
        .map(|_| {
            trace(&site, &file)["accused_from"]
                .as_f64()
                .expect("a threshold")
        })
        .collect();
    // The shares of the error are 1/2, 1/6 and 1/12.
    assert!((from[1] - from[0] - 3_f64.ln()).abs() < 1e-9, "{from:?}");
    assert!((from[2] - from[0] - 6_f64.ln()).abs() < 1e-9, "{from:?}");
    let (begun, traced) = (recorded(&site, "trace-begun"), recorded(&site, "traced"));
    assert_eq!((begun.len(), traced.len()), (3, 3));
    for (at, (begun, traced)) in begun.iter().zip(&traced).enumerate() {
        assert_eq!(
            (&begun["investigation"], &begun["error"]),
            (&(at + 1).into(), &"0.000000001".into())
        );
        assert_eq!(begun["leak_sha256"], traced["leak_sha256"]);
        assert_eq!(traced["accused"], serde_json::json!(["G-1"]));
        assert!(begun["index"].as_u64() < traced["index"].as_u64());
    }
    // Two at once don't share a number.
    let mut both: Vec<u64> = std::thread::scope(|scope| {
        let traces = [(); 2].map(|()| scope.spawn(|| trace(&site, &file)));
        let documents = traces.map(|trace| trace.join().expect("a trace"));
        let numbers = documents.iter().map(|of| of["investigation"].as_u64());
        numbers.collect::<Option<_>>().expect("numbers")
    });
    both.sort_unstable();
    assert_eq!(both, [4, 5]);
    let numbers = |event: &str| -> Vec<u64> {
        let entries = recorded(&site, event);
        let numbers = entries.iter().map(|of| of["investigation"].as_u64());
        numbers.collect::<Option<_>>().expect("numbers")
    };
    assert_eq!(numbers("trace-begun"), [1, 2, 3, 4, 5]);
    let mut ended = numbers("traced");
    ended.sort_unstable();
    assert_eq!(ended, [1, 2, 3, 4, 5]);
    site.json(["ledger", "verify"]).expect_code(0);
}

#[test]
fn evidence_is_checked_by_whoever_has_the_key_and_a_changed_byte_shows() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..400))),
    );
    let folder = site.beside().join("evidence");
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    let written = trace_with(&site, &file, &["--evidence", &path(&folder), "--open-key"]);
    let written = written.expecting(0).document();
    assert_eq!(accused(&written), ["G-1"]);
    let key = fs::read_dir(&folder)
        .expect("evidence")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.extension().is_some_and(|extension| extension == "key"))
        .expect("an opened key");
    let mode = fs::metadata(&key).expect("a key").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Somebody outside, with the public keys alone.
    let (manifest, ledger) = (site.path("keys/manifest.pub"), site.path("keys/ledger.pub"));
    let outside = |more: &[&str]| {
        let (folder, manifest, ledger) = (path(&folder), path(&manifest), path(&ledger));
        let fixed = [
            "--json",
            "verify-trace",
            &folder,
            "--key",
            &manifest,
            "--ledger-key",
            &ledger,
        ];
        site.bare(fixed.iter().chain(more))
    };
    let stated = outside(&[]).expecting(0).document();
    assert_eq!(
        (&stated["valid"], &stated["recounted"]),
        (&true.into(), &false.into())
    );
    assert_eq!(stated["accused"][0]["grant"], "G-1");
    assert_eq!(stated["accused"][0]["ln_e"], written["verdicts"][0]["ln_e"]);
    assert_eq!(
        stated["accused"][0]["bound"],
        written["verdicts"][0]["bound"]
    );
    let recounted = outside(&["--leak", &path(&file)]).expecting(0).document();
    assert_eq!(
        (&recounted["valid"], &recounted["recounted"]),
        (&true.into(), &true.into())
    );
    // Any other leak is another leak.
    let other = leak(
        &site,
        "other.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..401))),
    );
    let other = outside(&["--leak", &path(&other)]).expecting(4).document();
    assert_eq!(other["valid"], false);
    // A changed byte of the record, or another scheme.
    let record = folder.join("record.json");
    let bytes = fs::read(&record).expect("a record");
    for at in (0..bytes.len()).step_by(bytes.len() / 12) {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&record, &changed).expect("a record");
        outside(&[]).expect_code(4);
    }
    fs::write(&record, &bytes).expect("a record");
    let scheme = fs::read_dir(&folder)
        .expect("evidence")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.to_string_lossy().contains("scheme-"))
        .expect("a scheme");
    let mut changed = fs::read(&scheme).expect("a scheme");
    changed.push(b' ');
    fs::write(&scheme, changed).expect("a scheme");
    outside(&[]).expect_code(4);
    assert_eq!(outside(&[]).document()["accused"], serde_json::json!([]));
    // Evidence isn't overwritten.
    let again = trace_with(&site, &file, &["--evidence", &path(&folder)]).expecting(2);
    assert_eq!(again.document()["error"]["where"], "--evidence");
}

#[test]
fn evidence_that_its_owner_signs_anew_is_held_against_the_ledger() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..400))),
    );
    let folder = site.beside().join("evidence");
    let path = folder.to_str().expect("a path");
    trace_with(&site, &file, &["--evidence", path]).expect_code(0);
    let check = || site.json(["verify-trace", path]);
    check().expect_code(0);
    let text = site.text(["verify-trace", path]).expecting(0).stdout;
    for shown in [
        "1 accused",
        "G-1",
        " N ",
        "trace 1 of dataset `citizens`",
        "error 0.000000001",
        "(H) 1",
    ] {
        assert!(text.contains(shown), "{shown}: {text}");
    }
    // A scheme that fits better, made afterwards.
    let scheme = fs::read_dir(&folder)
        .expect("evidence")
        .map(|entry| entry.expect("a file").path())
        .find(|path| path.to_string_lossy().contains("scheme-"))
        .expect("a scheme");
    let scheme = fs::read(scheme).expect("a scheme");
    let mut scheme: Value = serde_json::from_slice(&scheme).expect("a scheme");
    scheme["fields"].as_array_mut().expect("fields").pop();
    let scheme = canonical_json::to_bytes(&scheme).expect("a scheme");
    let sha256 = digest::sha256_hex(&scheme);
    fs::write(folder.join(format!("scheme-{sha256}.json")), scheme).expect("a scheme");
    let ln_e = |record: &mut Value, factor: f64| {
        let stated = &mut record["verdicts"][0]["ln_e"];
        let number: f64 = stated.as_str().expect("text").parse().expect("a number");
        *stated = (number * factor).to_string().into();
    };
    type Change<'a> = Box<dyn FnOnce(&mut Value) + 'a>;
    let changes: [(&str, Change<'_>); 8] = [
        ("no entry", Box::new(|of| of["error"] = "0.0001".into())),
        ("no probability", Box::new(|of| of["error"] = "2".into())),
        ("no entry", Box::new(|of| of["investigation"] = 2.into())),
        ("form 3", Box::new(|of| of["format"] = 3.into())),
        (
            "has the scheme",
            Box::new(|of| of["hypotheses"][0]["scheme_sha256"] = sha256.into()),
        ),
        (
            "no entry",
            Box::new(|of| of["proofs"] = Value::Array(Vec::new())),
        ),
        ("what is said of G-1", Box::new(|of| ln_e(of, 1.000_001))),
        // What another machine may make of a logarithm is no forgery.
        ("", Box::new(|of| ln_e(of, 1.000_000_000_001))),
    ];
    let record = folder.join("record.json");
    let bytes = fs::read(&record).expect("a record");
    for (problem, change) in changes {
        fs::write(&record, &bytes).expect("a record");
        sign_anew(&site, &folder, change);
        if problem.is_empty() {
            check().expect_code(0);
            continue;
        }
        let problems = check().expecting(4).document()["problems"].to_string();
        assert!(problems.contains(problem), "{problem}: {problems}");
    }
}

#[test]
fn a_trace_that_fails_has_its_end_recorded_and_verdicts_are_told_without_evidence() {
    let (site, rows, _) = leaky_site();
    // What can't be read, or isn't there, begins no trace.
    let empty = leak(&site, "header.csv", "id,income\n");
    trace_with(&site, &empty, &[]).expect_code(2);
    let few = csv(&sheet(&part(&rows, &FIELDS, 0..50)));
    let few = leak(&site, "few.csv", few);
    trace_with(&site, &few, &["--column", "income=nowhere"]).expect_code(2);
    trace_with(&site, &few, &["--column", "nothing=income"]).expect_code(2);
    assert_eq!(recorded(&site, "trace-begun").len(), 0);
    // Begun, and then no column holds anything.
    let blank = leak(&site, "blank.csv", "a,b\n\"\",\"\"\n\"\",\"\"\n");
    let class = trace_with(&site, &blank, &[]).expecting(2).document()["error"]["class"].clone();
    let traced = recorded(&site, "traced");
    assert_eq!((traced.len(), &traced[0]["failed"]), (1, &class));
    assert_eq!(traced[0]["accused_total"], 0);
    // Traced, and then the record can't be written: its name leads nowhere.
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..400))),
    );
    let folder = site.beside().join("evidence");
    fs::create_dir(&folder).expect("a folder");
    std::os::unix::fs::symlink("/nowhere/at/all", folder.join("record.json")).expect("a link");
    let folder = folder.to_str().expect("a path");
    let told = trace_with(&site, &file, &["--evidence", folder]);
    assert_ne!(told.code, 0);
    let document = told.document();
    assert_eq!(accused(&document), ["G-1"]);
    assert_eq!(document["evidence_sha256"], Value::Null);
    let ends = recorded(&site, "traced");
    assert_eq!(ends.len(), 2);
    assert_eq!(ends[1]["failed"], document["failure"]["class"]);
    assert_eq!(ends[1]["accused"], serde_json::json!(["G-1"]));
    assert_eq!(ends[1].get("evidence_sha256"), None);
    let leak = file.to_str().expect("a path");
    let told = site.text(["trace", leak, "--dataset", "citizens", "--evidence", folder]);
    assert!(
        told.code == 1 && told.stdout.contains("1 accused") && told.stdout.contains("FAILED"),
        "{told:?}"
    );
    // One that comes to its end says nothing of a failure.
    assert_eq!(trace(&site, &file)["failure"], Value::Null);
    assert_eq!(recorded(&site, "traced")[3].get("failed"), None);
}

#[test]
fn a_larger_error_of_an_earlier_trace_is_named_in_every_later_one() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..300))),
    );
    let first = trace(&site, &file);
    assert_eq!(first["largest_error"], 1e-9);
    let large = trace_with(&site, &file, &["--error", "0.5"]).expecting(0);
    assert_eq!(large.document()["largest_error"], 0.5);
    let later = trace(&site, &file);
    assert_eq!(
        (&later["error"], &later["largest_error"]),
        (&1e-9.into(), &0.5.into())
    );
    let leak = file.to_str().expect("a path");
    let text = |more: &[&str]| {
        let fixed = ["trace", leak, "--dataset", "citizens"];
        site.text(fixed.iter().chain(more)).expecting(0).stdout
    };
    let note = "the largest error of a trace of this dataset was 5e-1";
    assert!(text(&[]).contains(note));
    assert!(!text(&["--error", "0.5"]).contains(note));
}

#[test]
fn the_site_recounts_evidence_without_an_opened_key() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..300))),
    );
    let folder = site.beside().join("evidence");
    let (folder, file) = (
        folder.to_str().expect("a path"),
        file.to_str().expect("a path"),
    );
    trace_with(&site, Path::new(file), &["--evidence", folder]).expect_code(0);
    let checked = site
        .json(["verify-trace", folder, "--leak", file])
        .expecting(0)
        .document();
    assert_eq!(
        (&checked["valid"], &checked["recounted"]),
        (&true.into(), &true.into())
    );
    let manifest = site.path("keys/manifest.pub");
    let manifest = manifest.to_str().expect("a path");
    // Without the key nobody else can.
    let outside = [
        "--json",
        "verify-trace",
        folder,
        "--key",
        manifest,
        "--leak",
        file,
    ];
    site.bare(outside).expect_code(4);
}

#[test]
fn a_key_that_was_exchanged_or_destroyed_is_refused() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..300))),
    );
    let key = site.path("keys/mark.v1.key");
    let own = fs::read(&key).expect("a key");
    fs::copy(Site::new(PROGRAM).path("keys/mark.v1.key"), &key).expect("another key");
    let refused = trace_with(&site, &file, &[]).expecting(4).document();
    assert_eq!(refused["error"]["class"], "integrity");
    fs::remove_file(&key).expect("a key");
    let missing = trace_with(&site, &file, &[]);
    assert!(missing.code == 1 || missing.code == 2, "{missing:?}");
    assert!(
        missing.document()["error"]["what"]
            .as_str()
            .expect("what")
            .contains("mark")
    );
    // Nothing was traced, so nothing is recorded.
    let entries = site.json(["ledger", "list"]).expecting(0).stdout;
    assert!(!entries.contains("trace-begun"), "{entries}");
    fs::write(&key, own).expect("a key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("a key of its owner");
    // A new version: what the old one marked is still traced, and noted where its file is gone.
    site.json(["keys", "new", "mark"]).expect_code(0);
    site.run("G-2").expect_code(0);
    site.json(["run", "G-2", "--again"]).expect_code(0);
    assert_eq!(accused(&trace(&site, &file)), ["G-1"]);
    fs::remove_file(&key).expect("a key");
    let noted = trace(&site, &file);
    assert!(accused(&noted).is_empty());
    assert!(
        noted["notes"][0]
            .as_str()
            .expect("a note")
            .contains("version 1"),
        "{noted}"
    );
}

#[test]
fn leaks_that_cannot_be_read_are_errors_that_say_what_to_do() {
    let (site, rows, _) = leaky_site();
    let whole = parquet_bytes(&part(&rows, &FIELDS, 0..500), 100);
    let cut = &whole[..whole.len() / 2];
    let cases: [(&str, &[u8]); 5] = [
        ("cut.parquet", cut),
        ("empty.csv", b""),
        ("header.csv", b"id,income\n"),
        ("noise.xlsx", b"PK\x03\x04 no workbook at all"),
        ("words.csv", "name,city\n甲,乙\n丙,丁\n".as_bytes()),
    ];
    for (name, bytes) in cases {
        let refused = trace_with(&site, &leak(&site, name, bytes), &[]);
        // A file of words may be read, and isn't ours.
        if name == "words.csv" && refused.code == 0 {
            assert_eq!(refused.document()["presence"]["ours"], false);
            continue;
        }
        assert!(
            refused.code == 1 || refused.code == 2,
            "{name}: {refused:?}"
        );
        let error = &refused.document()["error"];
        let what = error["what"].as_str().expect("what");
        let told = |key: &str| error[key].as_str().is_some_and(|text| !text.is_empty());
        assert!(
            !what.is_empty() && told("remedy") && told("where"),
            "{name}: {error}"
        );
    }
    let there = leak(&site, "part.csv", csv(&sheet(&part(&rows, &FIELDS, 0..50))));
    let missing = site.beside().join("nowhere.csv");
    let missing = trace_with(&site, &missing, &[]).expecting(1).document();
    let place = missing["error"]["where"].as_str().expect("where");
    assert!(place.ends_with("nowhere.csv"), "{missing}");
    // What Parquet has no use for is refused, not ignored.
    let parquet = leak(&site, "whole.parquet", &whole);
    for useless in [
        &["--encoding", "gb18030"][..],
        &["--delimiter", ";"],
        &["--sheet", "1"],
        &["--no-header"],
    ] {
        trace_with(&site, &parquet, useless).expect_code(2);
    }
    for wrong in [
        &["--column", "income"][..],
        &["--column", "income=nowhere"],
        &["--column", "sex=sex"],
        &["--error", "0"],
        &["--error", "1.5"],
        &["--delimiter", "ab"],
    ] {
        let refused = trace_with(&site, &there, wrong).expecting(2);
        assert_ne!(refused.document()["error"]["remedy"], "", "{wrong:?}");
    }
    let there = there.to_str().expect("a path");
    for (dataset, what) in [
        ("nobody", "there is no dataset"),
        ("plain", "was ever marked"),
    ] {
        let refused = site
            .json(["trace", there, "--dataset", dataset])
            .expecting(2);
        let error = refused.document()["error"]["what"].to_string();
        assert!(error.contains(what), "{error}");
    }
}

#[test]
fn a_lost_ledger_or_scheme_is_told_and_never_begun_anew() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..300))),
    );
    let problems = || -> String { site.json(["check"]).document()["problems"].to_string() };
    assert_eq!(problems(), "[]");
    let schemes = || {
        let listed = fs::read_dir(site.path("state/marks")).expect("schemes");
        let paths = listed.map(|entry| entry.expect("a scheme").path());
        let mut schemes = paths.filter(|path| path.extension().is_some_and(|of| of == "json"));
        schemes.next().expect("a scheme")
    };
    // A scheme that was altered is found before a trace needs it.
    let (path, scheme) = (schemes(), fs::read(schemes()).expect("a scheme"));
    fs::write(&path, b"{}").expect("a scheme");
    assert!(problems().contains("state/marks/"), "{}", problems());
    fs::write(&path, &scheme).expect("a scheme");
    // One that no entry of the ledger has.
    let stray = path.with_file_name(format!("{}.json", "0".repeat(64)));
    fs::write(&stray, &scheme).expect("a scheme");
    assert!(
        problems().contains("no entry of the ledger"),
        "{}",
        problems()
    );
    fs::remove_file(stray).expect("a scheme");
    assert_eq!(problems(), "[]");
    // The ledger is gone.
    let (ledger, away) = (site.path("state/ledger"), site.path("state/away"));
    fs::rename(&ledger, &away).expect("the ledger");
    let lost = "state/ledger is gone";
    assert!(problems().contains(lost), "{}", problems());
    let refused = trace_with(&site, &file, &[]).expecting(4).document();
    let what = refused["error"]["what"].as_str().expect("what");
    assert!(
        what.contains(lost) && what.contains("put it back"),
        "{what}"
    );
    assert_ne!(site.json(["run", "G-1", "--again"]).code, 0);
    assert!(!ledger.join("checkpoint").exists());
    if ledger.exists() {
        fs::remove_dir_all(&ledger).expect("nothing");
    }
    fs::rename(&away, &ledger).expect("the ledger");
    assert_eq!(accused(&trace(&site, &file)), ["G-1"]);
}

#[test]
fn an_opened_key_lies_in_a_folder_of_its_owner() {
    let (site, rows, _) = leaky_site();
    let file = leak(
        &site,
        "part.csv",
        csv(&sheet(&part(&rows, &FIELDS, 0..300))),
    );
    let mode = |path: &Path| {
        let found = fs::metadata(path).expect("a file");
        found.permissions().mode() & 0o777
    };
    let traced = |folder: &Path| {
        let folder = folder.to_str().expect("a path");
        trace_with(&site, &file, &["--evidence", folder, "--open-key"])
    };
    let folder = site.beside().join("opened");
    traced(&folder).expect_code(0);
    assert_eq!(mode(&folder), 0o700);
    let open = site.beside().join("open");
    fs::create_dir(&open).expect("a folder");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o755)).expect("a mode");
    let private = site.beside().join("private");
    fs::create_dir(&private).expect("a folder");
    fs::set_permissions(&private, fs::Permissions::from_mode(0o700)).expect("a mode");
    let link = site.beside().join("link");
    std::os::unix::fs::symlink(&private, &link).expect("a link");
    for unfit in [&open, &link] {
        let refused = traced(unfit).expecting(2).document();
        assert_ne!(refused["error"]["remedy"], "", "{refused}");
        assert_eq!(fs::read_dir(unfit).expect("a folder").count(), 0);
    }
    // Refused before it was begun.
    assert_eq!(recorded(&site, "trace-begun").len(), 1);
    traced(&private).expect_code(0);
}

#[test]
fn pseudonyms_with_tags_name_the_grant_by_themselves() {
    let site = Site::new(PROGRAM);
    let people = Dataset::new("people")
        .source("store = \"lake\", path = \"citizens/\", format = \"parquet\"")
        .more("key = ['id']")
        .field("id", "utf8", "resident-id", "3")
        .field("name", "utf8", "person-name", "3")
        .field("phone", "utf8", "mobile", "3")
        .field("sex", "utf8", "gender", "1")
        .field("city", "utf8", "place", "1")
        .field("income", "decimal(12,2)", "income", "3")
        .field("score", "float64", "score", "2")
        .field("updated", "timestamp(ms)", "time", "1");
    site.dataset(&people);
    let file = site.path("lake/citizens/1.parquet");
    lockgate_acceptance::site::write_parquet(&file, &citizens(ROWS), 700);
    for id in ["G-1", "G-2"] {
        let tagged = Grant::new(id, "people", &["id", "city"])
            .treatment("id", "{ kind = 'hmac', domain = 'person.id', tag = 4 }");
        site.signed(&tagged);
    }
    let rows = site.deliver("G-2").rows();
    site.deliver("G-1");
    let few = leak(
        &site,
        "few.csv",
        csv(&sheet(&part(&rows, &["id", "city"], 0..60))),
    );
    let few = few.to_str().expect("a path");
    let traced = site
        .json(["trace", few, "--dataset", "people"])
        .expecting(0)
        .document();
    assert_eq!(accused(&traced), ["G-2"], "{traced}");
    assert_eq!(
        (&traced["carriers"], &traced["presence"]["ours"]),
        (&0.into(), &true.into())
    );
    // One row doesn't name anybody, and it is said how many more would.
    let one = csv(&sheet(&part(&rows, &["id", "city"], 0..1)));
    let one = leak(&site, "one.csv", one);
    let one = one.to_str().expect("a path");
    let traced = site
        .json(["trace", one, "--dataset", "people"])
        .expecting(0)
        .document();
    let more = traced["more_rows"].as_u64();
    assert!(
        accused(&traced).is_empty() && traced["tags"] == 1,
        "{traced}"
    );
    assert!(more.is_some_and(|more| (1..20).contains(&more)), "{traced}");
}

#[test]
fn two_amounts_alone_name_the_grant_by_each_others_blocks() {
    let site = Site::new(PROGRAM);
    let payments = Dataset::new("citizens")
        .source("store = \"lake\", path = \"payments.csv\", format = \"csv\"")
        .field("paid", "decimal(10,2)", "other", "1")
        .declaring("tolerance = \"2.00\"")
        .field("due", "decimal(10,2)", "other", "1")
        .declaring("tolerance = \"2.00\"");
    site.dataset(&payments);
    let amount = |row: u64, by: u64| {
        let cents = (row + 1) * by % 9_999_991 + 1_000;
        format!("{}.{:02}", cents / 100, cents % 100)
    };
    let rows: String = (0..3_000)
        .map(|row| format!("{},{}\n", amount(row, 7_919_317), amount(row, 5_741_903)))
        .collect();
    site.write("lake/payments.csv", &format!("paid,due\n{rows}"));
    for id in ["G-1", "G-2"] {
        site.signed(&Grant::new(id, "citizens", &["paid", "due"]));
    }
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    let field = &plan["marks"]["fields"][0];
    assert_eq!(field["found_by"], "blocks", "{plan}");
    assert_eq!(field["anchor"], serde_json::json!(["paid", "due"]));
    let rows = site.deliver("G-1").rows();
    site.deliver("G-2");
    let some = csv(&sheet(&part(&rows, &["paid", "due"], 0..1_000)));
    let traced = trace(&site, &leak(&site, "some.csv", some));
    assert_eq!(accused(&traced), ["G-1"], "{traced}");
    // By trial: in another order, under names that say nothing.
    let mut renamed = sheet(&part(&rows, &["due", "paid"], 0..2_500));
    renamed[0] = ["a", "b"].map(str::to_owned).to_vec();
    let renamed = trace(&site, &leak(&site, "renamed.csv", csv(&renamed)));
    assert_eq!(accused(&renamed), ["G-1"], "{renamed}");
    // One without the other finds no row.
    let single = csv(&sheet(&part(&rows, &["paid"], 0..2_500)));
    let single = leak(&site, "single.csv", single);
    let failed = trace_with(&site, &single, &[]).expecting(2).document();
    assert!(
        failed["error"]["what"].to_string().contains("column"),
        "{failed}"
    );
}

#[test]
fn what_stands_where_a_header_should_reaches_neither_results_nor_evidence() {
    let (site, rows, _) = leaky_site();
    let mut table = sheet(&part(&rows, &["name", "city"], 0..400));
    table.remove(0);
    let first = table[0].clone();
    let file = leak(&site, "bare.csv", csv(&table));
    let folder = site.beside().join("evidence-bare");
    let (file, folder) = (file.to_str(), folder.to_str());
    let (file, folder) = (file.expect("a path"), folder.expect("a path"));
    let order = ["trace", file, "--dataset", "citizens", "--evidence", folder];
    let told = site.text(order).expecting(0).stdout;
    let record = fs::read(Path::new(folder).join("record.json")).expect("a record");
    let record: Value = serde_json::from_slice(&record).expect("an envelope");
    let payload = STANDARD.decode(record["payload"].as_str().expect("a payload"));
    let payload = String::from_utf8(payload.expect("base64")).expect("text");
    for value in first {
        assert!(
            !told.contains(&value) && !payload.contains(&value),
            "{told}"
        );
    }
    // Nor can a header look like a line of the result.
    let forged = "\"name\n G-1 civil-affairs accused 99.0\"";
    let few = csv(&sheet(&part(&rows, &FIELDS, 0..50))).replacen("name", forged, 1);
    let few = leak(&site, "forged.csv", few);
    let few = few.to_str().expect("a path");
    let order = ["trace", few, "--dataset", "citizens", "--column", "name=no"];
    let told = site.text(order).expecting(2).stderr;
    assert!(!told.contains("civil-affairs"), "{told}");
}
