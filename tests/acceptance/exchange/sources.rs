//! Where data is read from and delivered to: file systems and S3, Parquet and CSV, sources that
//! are not what the catalogue says, and sources that change under the reader.

use std::fs;
use std::process::Child;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use futures::StreamExt;
use lockgate_acceptance::s3::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server};
use lockgate_acceptance::site::{
    Configuration, Dataset, Delivery, Finished, Site, parquet_bytes, write_parquet,
};
use object_store::ObjectStoreExt;
use object_store::path::Path as ObjectPath;

use crate::PROGRAM;
use crate::cell::{Cell, array, column, texts, wholes};
use crate::people::{self, FIELDS, grant, people};

/// The body of a store on a test server.
fn s3_store(server: &Server, url: &str) -> String {
    format!(
        "url = \"{url}\"\nendpoint = \"{}\"\nallow_http = true\naccess_key_id = {{ env = \
         \"TEST_KEY_ID\" }}\nsecret_access_key = {{ env = \"TEST_SECRET\" }}",
        server.endpoint()
    )
}

fn with_credentials(site: &mut Site) {
    site.set_env("TEST_KEY_ID", ACCESS_KEY_ID);
    site.set_env("TEST_SECRET", SECRET_ACCESS_KEY);
}

fn put(server: &Server, url: &str, key: &str, bytes: Vec<u8>) {
    let store = server.store(url).expect("a store").object_store();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime
        .expect("a runtime")
        .block_on(store.put(&ObjectPath::from(key), bytes.into()))
        .expect("an object");
}

/// The delivery at an S3 URL, read from the server's own files.
fn s3_delivery(server: &Server, document: &serde_json::Value) -> Delivery {
    let url = document["delivery"].as_str().expect("a URL");
    let key = url
        .strip_prefix("s3://outbox/")
        .expect("a URL of the bucket");
    Delivery::open(&server.object_file("outbox", key))
}

#[test]
fn a_secret_of_a_source_that_is_not_there_is_found_by_check() {
    let mut site = people::site(10);
    site.set_env("TEST_KEY_ID", ACCESS_KEY_ID);
    let lake = "url = \"s3://lake\"\naccess_key_id = { env = \"TEST_KEY_ID\" }\n\
                secret_access_key = { file = \"not-there\" }";
    site.configure(&Configuration {
        lake,
        ..Configuration::default()
    });
    let check = site.json(["check"]).expecting(2).document();
    let problems = check["problems"].as_array().expect("problems");
    assert_eq!(problems.len(), 1, "{check}");
    let what = problems[0]["what"].as_str().unwrap_or_default();
    assert!(what.contains("not-there"), "{check}");
    assert_eq!(problems[0]["file"], "lockgate.toml");
    site.write("not-there", SECRET_ACCESS_KEY);
    site.json(["check"]).expect_code(0);
}

#[test]
fn files_and_s3_are_sources_and_destinations_of_the_same_content() {
    let server = Server::start(&["lake", "outbox"]).expect("a server");
    let mut contents = Vec::new();
    for (from_s3, to_s3) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut site = people::bare_site();
        with_credentials(&mut site);
        // One key for all four, so that pseudonyms agree.
        let key = "lockgate-key:v1:pseudonym:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n";
        site.write("keys/pseudonym.v1.key", key);
        let lake = if from_s3 {
            s3_store(&server, "s3://lake/data")
        } else {
            "url = 'file:lake'".to_owned()
        };
        let outbox = format!("s3://outbox/{from_s3}");
        let outbox = if to_s3 {
            s3_store(&server, &outbox)
        } else {
            "url = 'file:outbox'".to_owned()
        };
        site.configure(&Configuration {
            lake: &lake,
            outbox: &outbox,
            more: "",
        });
        for (name, rows) in [("1.parquet", 0..400), ("2.parquet", 400..700)] {
            if from_s3 {
                let bytes = parquet_bytes(&people(rows), 100);
                put(&server, "s3://lake", &format!("data/people/{name}"), bytes);
            } else {
                write_parquet(&site.path("lake/people").join(name), &people(rows), 100);
            }
        }
        site.json(["check"]).expect_code(0);
        site.signed(&grant("G-1", &FIELDS).rows("id >= 150"));
        let run = site.run("G-1").expecting(0).document();
        assert_eq!(run["rows"]["pruned"], 100, "{run}");
        let delivery = if to_s3 {
            s3_delivery(&server, &run)
        } else {
            Delivery::of_run(&run)
        };
        assert_eq!(
            wholes(&delivery.rows(), "id"),
            (150..700).collect::<Vec<_>>()
        );
        contents.push(delivery.bytes());
        let url = run["delivery"].as_str().expect("a URL");
        let verified = site.json(["verify", url]).expecting(0).document();
        assert_eq!(
            (verified["valid"].as_bool(), verified["rows"].as_u64()),
            (Some(true), Some(550))
        );
        assert_eq!(
            site.run("G-1").expecting(0).document()["status"],
            "unchanged"
        );
        let again = site.json(["run", "G-1", "--again"]).expecting(0).document();
        assert_eq!(again["status"], "delivered");
    }
    assert!(
        contents.iter().all(|content| *content == contents[0]),
        "the same bytes everywhere"
    );
}

fn csv_dataset(source: &str) -> Dataset {
    Dataset::new("rows")
        .source(source)
        .plain("id", "int64")
        .plain("name", "utf8")
        .plain("amount", "decimal(10,2)")
        .plain("day", "date")
}

const CSV_FIELDS: [&str; 4] = ["id", "name", "amount", "day"];

fn csv_site(source: &str, bytes: &[u8]) -> Site {
    let site = Site::new(PROGRAM);
    site.dataset(&csv_dataset(source));
    fs::create_dir_all(site.path("lake/rows")).expect("a directory");
    fs::write(site.path("lake/rows/1.csv"), bytes).expect("a file");
    site.signed(&lockgate_acceptance::site::Grant::new(
        "G-1",
        "rows",
        &CSV_FIELDS,
    ));
    site
}

#[track_caller]
fn assert_rows(delivery: &Delivery) {
    let rows = delivery.rows();
    assert_eq!(wholes(&rows, "id"), [1, 2, 3]);
    let names: Vec<Option<String>> = texts(&rows, "name");
    assert_eq!(
        names,
        [Some("张三".to_owned()), Some("李,\"四\"".to_owned()), None]
    );
    assert_eq!(
        column(&rows, "amount"),
        [Cell::Whole(1250), Cell::Null, Cell::Whole(-1)]
    );
    assert_eq!(
        column(&rows, "day"),
        [Cell::Whole(0), Cell::Whole(20_454), Cell::Null]
    );
}

const CSV: &str = "id,name,amount,day\r\n1,张三,12.50,1970-01-01\r\n2,\"李,\"\"四\"\"\",,2026-01-01\r\n3,,-0.01,\r\n";

#[test]
fn csv_in_utf8_and_gb18030_is_read_alike() {
    let site = csv_site(
        "store = 'lake', path = 'rows/', format = 'csv'",
        CSV.as_bytes(),
    );
    assert_rows(&site.deliver("G-1"));
    // 张 D5C5, 三 C8FD, 李 C0EE, 四 CBC4 in GB 18030.
    let mut bytes = Vec::new();
    for character in CSV.chars() {
        match character {
            '张' => bytes.extend([0xD5, 0xC5]),
            '三' => bytes.extend([0xC8, 0xFD]),
            '李' => bytes.extend([0xC0, 0xEE]),
            '四' => bytes.extend([0xCB, 0xC4]),
            ascii => bytes.push(u8::try_from(ascii).expect("ASCII")),
        }
    }
    let source = "store = 'lake', path = 'rows/1.csv', format = 'csv', encoding = 'gb18030'";
    assert_rows(&csv_site(source, &bytes).deliver("G-1"));
    let other = CSV
        .replace(",\"李,\"\"四\"\"\",", ";'李,\"四\"';")
        .replace(',', ";")
        .replace("李;", "李,");
    let other = other.replace(";;", ";NULL;").replace(";\r", ";NULL\r");
    let source = "store = 'lake', path = 'rows/1.csv', format = 'csv', delimiter = ';', quote = \
                  \"'\", null = 'NULL'";
    assert_rows(&csv_site(source, other.as_bytes()).deliver("G-1"));
}

const DIRTY: &str = "id,name,amount,day\n1,a,1.00,2026-01-01\n2,b,one,2026-01-01\n3,c\n4,d,4.00,2026-02-30\n\
                     5,e,5.00,2026-01-05\n6,f,6.001,2026-01-06\n7,g,7.00,2026-01-07,extra\n";

#[test]
fn malformed_csv_rows_are_rejected_and_counted_where_the_dataset_says_so() {
    let source = "store = 'lake', path = 'rows/', format = 'csv', on_malformed = 'reject'";
    let site = csv_site(source, DIRTY.as_bytes());
    let run = site.run("G-1").expecting(5).document();
    assert_eq!(run["status"], "delivered-with-rejects");
    assert_eq!(wholes(&Delivery::of_run(&run).rows(), "id"), [1, 5]);
    let rows = &run["rows"];
    assert_eq!(
        (&rows["read"], &rows["rejected"], &rows["delivered"]),
        (&7.into(), &5.into(), &2.into())
    );
    assert!(rows["pruned"].is_null() || rows["pruned"] == 0, "{rows}");
}

#[test]
fn malformed_csv_rows_fail_the_run_otherwise() {
    let source = "store = 'lake', path = 'rows/', format = 'csv'";
    let site = csv_site(source, DIRTY.as_bytes());
    let failed = site.run("G-1").expecting(1);
    let error = failed.document();
    assert_eq!(error["error"]["class"], "data");
    let what = error["error"]["what"].as_str().expect("what");
    assert!(
        what.contains("1.csv") && what.contains("row 2") && what.contains("amount"),
        "{what}"
    );
    assert!(!what.contains("one"), "{what}");
}

/// A source with its columns changed.
fn write_changed(site: &Site, change: impl FnOnce(&mut Vec<(Field, arrow::array::ArrayRef)>)) {
    let batch = people(0..50);
    let schema = batch.schema();
    let mut columns: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.as_ref().clone())
        .zip(batch.columns().iter().map(Arc::clone))
        .collect();
    change(&mut columns);
    let (fields, columns): (Vec<_>, Vec<_>) = columns.into_iter().unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    write_parquet(&site.path("lake/people/1.parquet"), &batch, 100);
}

#[test]
fn a_new_column_of_the_source_is_ignored_and_reported() {
    let site = people::bare_site();
    write_changed(&site, |columns| {
        let secret = array(&DataType::Utf8, &vec![Cell::text("new-column-value"); 50]);
        columns.insert(0, (Field::new("secret_note", DataType::Utf8, true), secret));
    });
    site.signed(&grant("G-1", &FIELDS));
    let plan = site.json(["plan", "G-1"]).expecting(0).document();
    assert_eq!(
        plan["source"]["ignored_columns"],
        serde_json::json!(["secret_note"])
    );
    let run = site.run("G-1").expecting(0);
    assert_eq!(
        run.document()["ignored_columns"],
        serde_json::json!(["secret_note"])
    );
    assert!(run.stderr.contains("secret_note"), "{run:?}");
    let delivery = Delivery::of_run(&run.document());
    let names: Vec<String> = delivery
        .schema()
        .fields()
        .iter()
        .map(|f| f.name().clone())
        .collect();
    assert_eq!(names, FIELDS);
    let bytes = delivery.bytes().concat();
    assert!(
        !bytes
            .windows(16)
            .any(|window| window == b"new-column-value")
    );
}

#[test]
fn a_source_that_is_not_what_the_catalogue_says_is_refused() {
    type Change = fn(&mut Vec<(Field, arrow::array::ArrayRef)>);
    let changes: [(&str, Change, &str); 5] = [
        ("missing", |columns| drop(columns.remove(5)), "income"),
        (
            "renamed",
            |columns| columns[2].0 = Field::new("Name", DataType::Utf8, true),
            "did you mean `Name`",
        ),
        (
            "narrowed",
            |columns| {
                let cells: Vec<Cell> = (0..50).map(Cell::Whole).collect();
                columns[0] = (
                    Field::new("id", DataType::Int32, true),
                    array(&DataType::Int32, &cells),
                );
            },
            "is narrowed to int32",
        ),
        (
            "fewer digits",
            |columns| {
                let of_type = DataType::Decimal128(10, 2);
                let cells: Vec<Cell> = (0..50).map(Cell::Whole).collect();
                columns[5] = (
                    Field::new("income", of_type.clone(), true),
                    array(&of_type, &cells),
                );
            },
            "is narrowed to decimal(10,2)",
        ),
        (
            "of another kind",
            |columns| {
                let cells: Vec<Cell> = (0..50).map(|row| Cell::text(format!("{row}"))).collect();
                columns[6] = (
                    Field::new("birth", DataType::Utf8, true),
                    array(&DataType::Utf8, &cells),
                );
            },
            "birth",
        ),
    ];
    for (name, change, reason) in changes {
        let site = people::bare_site();
        write_changed(&site, change);
        // A field that isn't granted must be there all the same: the catalogue is what was approved.
        site.signed(&grant("G-1", &["id", "region"]));
        for command in ["run", "plan"] {
            let refused = site.json([command, "G-1"]).expecting(3);
            assert_eq!(refused.refusals(), ["schema"], "{name}");
            let text = refused.document()["refusals"][0]["reason"].to_string();
            assert!(
                text.contains(reason) && text.contains("1.parquet"),
                "{name}: {text}"
            );
        }
        assert!(
            !site.path("outbox").exists(),
            "{name}: the destination is untouched"
        );
    }
}

#[test]
fn a_source_that_is_not_there_fails() {
    let site = people::bare_site();
    site.signed(&grant("G-1", &["id"]));
    for path in ["lake/people", "lake"] {
        let failed = site.run("G-1");
        assert!([1, 2].contains(&failed.code), "{path}: {failed:?}");
        let error = failed.document();
        assert!(
            error["error"]["what"]
                .as_str()
                .is_some_and(|what| what.contains("people")),
            "{error}"
        );
        assert!(!site.path("outbox/G-1").exists());
        fs::remove_dir_all(site.path(path)).ok();
    }
}

/// Waits until a run has begun to stage, which it does after it opened its source.
fn wait_until_staging(site: &Site, child: &mut Child) {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if child.try_wait().expect("a child").is_some() {
            panic!("the run ended before it staged anything");
        }
        let staged = fs::read_dir(site.path("outbox/G-1"))
            .into_iter()
            .flatten()
            .filter_map(|delivery| fs::read_dir(delivery.ok()?.path()).ok())
            .any(|mut attempts| attempts.next().is_some());
        if staged {
            return;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("the run staged nothing in time");
}

/// Starts a run, changes its source while it is under way, and gives what came of it.
fn change_during_run(site: &Site, change: impl FnOnce()) -> Finished {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["--json", "run", "G-1"]);
    let mut child = command.spawn().expect("a run");
    wait_until_staging(site, &mut child);
    change();
    let output = child.wait_with_output().expect("an end");
    Finished {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

#[track_caller]
fn assert_failed_without_a_trace(site: &Site, finished: &Finished) {
    let error = finished.expect_code(1).document();
    assert_eq!(error["error"]["class"], "integrity", "{error}");
    let what = error["error"]["what"].as_str().expect("what");
    assert!(what.contains("people/") && what.contains("chang"), "{what}");
    let left: Vec<_> = walk(&site.path("outbox"));
    assert!(left.is_empty(), "{left:?}");
    let listed = site.json(["ledger", "list"]).expecting(0).document();
    let released = listed["entries"].to_string();
    assert!(!released.contains("released"), "{released}");
}

/// Every file below a directory.
fn walk(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}

/// Large enough that a debug build is at it for a while after it began to stage.
const BIG: usize = 60_000;

#[test]
fn a_file_that_changes_under_a_run_fails_it() {
    let site = people::bare_site();
    let path = site.path("lake/people/1.parquet");
    write_parquet(&path, &people(0..BIG), 20_000);
    site.signed(&grant("G-1", &FIELDS));
    let bytes = fs::read(&path).expect("a file");
    // Rewritten with the same bytes: even that is not the snapshot that was listed.
    let finished = change_during_run(&site, || fs::write(&path, bytes).expect("a file"));
    assert_failed_without_a_trace(&site, &finished);
    // The next run is of the new snapshot, and delivers.
    assert_eq!(site.deliver("G-1").rows().num_rows(), BIG);
}

#[test]
fn a_file_that_goes_under_a_run_fails_it() {
    let site = people::bare_site();
    write_parquet(&site.path("lake/people/1.parquet"), &people(0..BIG), 20_000);
    let last = site.path("lake/people/2.parquet");
    write_parquet(&last, &people(BIG..BIG + 10), 20_000);
    site.signed(&grant("G-1", &FIELDS));
    let finished = change_during_run(&site, || fs::remove_file(&last).expect("a file"));
    assert_failed_without_a_trace(&site, &finished);
}

#[test]
fn an_object_that_changes_under_a_run_fails_it() {
    let server = Server::start(&["lake"]).expect("a server");
    let mut site = people::bare_site();
    with_credentials(&mut site);
    let lake = s3_store(&server, "s3://lake");
    site.configure(&Configuration {
        lake: &lake,
        ..Configuration::default()
    });
    put(
        &server,
        "s3://lake",
        "people/1.parquet",
        parquet_bytes(&people(0..BIG), 20_000),
    );
    put(
        &server,
        "s3://lake",
        "people/2.parquet",
        parquet_bytes(&people(BIG..BIG + 10), 100),
    );
    site.signed(&grant("G-1", &FIELDS));
    let changed = parquet_bytes(&people(BIG..BIG + 11), 100);
    let finished = change_during_run(&site, || {
        put(&server, "s3://lake", "people/2.parquet", changed);
    });
    assert_failed_without_a_trace(&site, &finished);
    let store = server.store("s3://lake").expect("a store").object_store();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let listed = runtime
        .expect("a runtime")
        .block_on(store.list(None).count());
    assert_eq!(listed, 2, "nothing was left in the source's bucket");
}
