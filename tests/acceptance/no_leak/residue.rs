//! Deliveries, manifests, the ledger, logs and documents of runs that work.

use std::fs;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use lockgate_acceptance::s3::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Server};
use lockgate_acceptance::site::{
    Configuration, Dataset, Delivery, Finished, Grant, Site, TextForm, finish, in_form,
    parquet_bytes, write_parquet,
};

use super::scanner::{Canaries, files_below, pages};
use crate::PROGRAM;
use crate::cell::{Cell, array, cells};
use crate::pseudonym::{derived, master};

const NUMBER: i64 = 0x5A17_C0DE_BEEF_1234;
const AMOUNT: i64 = 775_533_113_377; // 7755331133.77
const RATIO: f64 = 12_345.678_912_345;
const DAY: i32 = 21_307; // 2028-05-03
const MOMENT: i64 = 1_777_333_555_111_999;
const ROWS: usize = 400;

/// A treatment that quotes values: in a condition, as what is looked up, and as a sentinel (which
/// only rows out of scope hold, since it is kept where it occurs).
const GUARDED: &str = "{ kind = 'when', condition = \"guarded = 'CANARY-WHEN'\", \
    then = { kind = 'constant', value = '-' }, \
    else = { kind = 'map', entries = { CANARY-KEY = 'k', CANARY-KEY-TWO = 'k' }, \
    on_missing = { other = 'x' }, sentinels = ['CANARY-SENTINEL'] } }";

/// What the plan and the grant's own page show to whoever approves, and nothing else does.
const LITERALS: [&str; 4] = [
    "CANARY-LITERAL",
    "CANARY-WHEN",
    "CANARY-KEY",
    "CANARY-SENTINEL",
];

/// A value, what is done to it, and whether a canary is in it.
struct Secret {
    name: &'static str,
    notation: &'static str,
    data_type: DataType,
    treatment: &'static str,
    value: fn(usize) -> Cell,
}

fn text(name: &'static str, treatment: &'static str, value: fn(usize) -> Cell) -> Secret {
    Secret {
        name,
        notation: "utf8",
        data_type: DataType::Utf8,
        treatment,
        value,
    }
}

fn secrets() -> Vec<Secret> {
    let of = |name, notation, data_type, treatment, value| Secret {
        name,
        notation,
        data_type,
        treatment,
        value,
    };
    let moment = DataType::Timestamp(TimeUnit::Microsecond, None);
    vec![
        text("person", "{ kind = 'hmac', domain = 'person.id' }", |row| {
            Cell::text(format!("CANARY-PERSON-{row}"))
        }),
        text(
            "name",
            "{ kind = 'keep-ends', first = 1, last = 1 }",
            |row| Cell::text(format!("CANARY-NAME-{}", row % 7)),
        ),
        text(
            "mail",
            "{ kind = 'mask-around', delimiter = '@', keep = 1 }",
            |row| match row % 5 {
                0 => Cell::text("CANARY-NOT-A-MAIL"), // invalid: wholly covered
                _ => Cell::text(format!("CANARY-MAIL-{row}@example.org")),
            },
        ),
        text(
            "code",
            "{ kind = 'mask-range', from = 1, to = -1, on_short = 'null' }",
            |row| match row % 6 {
                0 => Cell::text("C"),
                _ => Cell::text(format!("CANARY-CODE-{row}")),
            },
        ),
        text("gone", "{ kind = 'null' }", |row| {
            Cell::text(format!("CANARY-GONE-{}", row % 3))
        }),
        text("fixed", "{ kind = 'constant', value = '-' }", |row| {
            Cell::text(format!("CANARY-FIXED-{row}"))
        }),
        text("kept_back", "{ kind = 'withhold' }", |row| {
            Cell::text(format!("CANARY-WITHHELD-{row}"))
        }),
        text(
            "judged",
            "{ kind = 'keep-ends', first = 1, last = 0, on_short = 'reject' }",
            |row| Cell::text(if row % 13 == 0 { "X" } else { "CANARY-JUDGED" }),
        ),
        // Clear, but not of rows that are rejected or out of scope.
        text("open", "{ kind = 'clear' }", |row| {
            Cell::text(match (row % 13, row % 11) {
                (0, _) => "CANARY-REJECTED",
                (_, 0) => "CANARY-FILTERED",
                _ => "open",
            })
        }),
        text("flag", "", |row| {
            Cell::text(if row % 11 == 0 {
                "CANARY-LITERAL"
            } else {
                "in"
            })
        }),
        // Literals of the treatment itself, of which recipients and logs see none.
        text("guarded", GUARDED, |row| {
            Cell::text(match (row % 11, row % 3) {
                (0, _) => "CANARY-SENTINEL",
                (_, 0) => "CANARY-WHEN",
                (_, 1) => "CANARY-KEY",
                _ => "rest",
            })
        }),
        text("ungranted", "", |row| {
            Cell::text(format!("CANARY-UNGRANTED-{row}"))
        }),
        of(
            "number",
            "int64",
            DataType::Int64,
            "{ kind = 'round', to = '1000000' }",
            |_| Cell::Whole(NUMBER.into()),
        ),
        of(
            "amount",
            "decimal(12,2)",
            DataType::Decimal128(12, 2),
            "{ kind = 'bucket', width = '1000000' }",
            |_| Cell::Whole(AMOUNT.into()),
        ),
        of(
            "ratio",
            "float64",
            DataType::Float64,
            "{ kind = 'round', to = '0.1' }",
            |_| Cell::Float(RATIO),
        ),
        of(
            "day",
            "date",
            DataType::Date32,
            "{ kind = 'date-trunc', unit = 'year' }",
            |_| Cell::Whole(DAY.into()),
        ),
        of(
            "moment",
            "timestamp(us)",
            moment,
            "{ kind = 'date-trunc', unit = 'day' }",
            |_| Cell::Whole(MOMENT.into()),
        ),
        text("unknown", "", |row| {
            Cell::text(format!("CANARY-NEW-COLUMN-{row}"))
        }),
    ]
}

/// What stands in the source and in no delivery.
fn values() -> Canaries {
    let mut canaries = Canaries::default();
    for word in [
        "ANARY-PERSON",
        "ANARY-NAME",
        "ANARY-MAIL",
        "ANARY-NOT-A-MAIL",
        "ANARY-CODE",
        "CANARY-GONE",
        "CANARY-FIXED",
        "CANARY-WITHHELD",
        "ANARY-JUDGED",
        "CANARY-REJECTED",
        "CANARY-FILTERED",
        "CANARY-LITERAL",
        "CANARY-WHEN",
        "CANARY-KEY",
        "CANARY-SENTINEL",
        "CANARY-UNGRANTED",
        "CANARY-NEW-COLUMN",
    ] {
        canaries.text(word);
    }
    canaries.number("number", NUMBER as u64, &NUMBER.to_string());
    canaries.number("amount", AMOUNT as u64, "7755331133.77");
    canaries.number("ratio", RATIO.to_bits(), "12345.678912345");
    canaries.number("moment", MOMENT as u64, &MOMENT.to_string());
    canaries.bytes("day", &DAY.to_le_bytes());
    canaries.text("2028-05-03");
    canaries
}

/// Keys of the site and of its people, in every form they have.
fn keys(site: &Site) -> Canaries {
    let mut canaries = Canaries::default();
    for purpose in [
        "pseudonym",
        "encryption",
        "fpe",
        "mark",
        "manifest",
        "ledger",
    ] {
        canaries.key(purpose, &master(site, purpose, 1));
    }
    canaries.bytes("derived", &derived(site, 1, "person.id", "grant:G-1"));
    canaries.people(site, &["approver", "recipient"]);
    canaries.text(SECRET_ACCESS_KEY);
    canaries
}

fn source(form: TextForm) -> RecordBatch {
    let (fields, columns): (Vec<_>, Vec<_>) = secrets()
        .into_iter()
        .map(|secret| {
            let values: Vec<Cell> = (0..ROWS).map(secret.value).collect();
            (
                Field::new(secret.name, secret.data_type.clone(), true),
                array(&secret.data_type, &values),
            )
        })
        .unzip();
    let batch = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("a batch");
    in_form(&batch, form)
}

fn dataset() -> Dataset {
    secrets()
        .iter()
        .filter(|secret| secret.name != "unknown")
        .fold(Dataset::new("secret"), |dataset, secret| {
            dataset.plain(secret.name, secret.notation)
        })
}

fn grant() -> Grant {
    let secrets: Vec<Secret> = secrets()
        .into_iter()
        .filter(|secret| !secret.treatment.is_empty())
        .collect();
    let names: Vec<&str> = secrets.iter().map(|secret| secret.name).collect();
    secrets
        .iter()
        .fold(Grant::new("G-1", "secret", &names), |grant, secret| {
            match secret.treatment {
                // A sentinel that the floor does not list is more than the floor shows.
                GUARDED => grant.exemption(secret.name, secret.treatment),
                treatment => grant.treatment(secret.name, treatment),
            }
        })
        .rows("flag <> 'CANARY-LITERAL'")
}

/// A command that logs all it can, and keeps its temporary files where they can be searched.
fn traced(site: &Site, arguments: &[&str]) -> Finished {
    let temporary = site.beside().join("temporary");
    fs::create_dir_all(&temporary).expect("a directory");
    let mut command = site.command();
    command
        .env("LOCKGATE_LOG", "trace")
        .env("TMPDIR", temporary);
    finish(command.arg("--site").arg(site.root()).args(arguments))
}

/// The parts of a site that are written by the program, and where deliveries go.
fn search_site(site: &Site, canaries: &Canaries) {
    let mut files = 0;
    for place in ["outbox", "state"] {
        files += canaries.absent_below(&site.path(place));
    }
    assert!(files > 3, "a delivery and a ledger were searched: {files}");
    canaries.absent_below(&site.beside().join("temporary"));
}

#[test]
fn the_scanner_finds_the_canaries_where_they_are() {
    let values = values();
    let bytes = parquet_bytes(&source(TextForm::Utf8), 100);
    let mut everything = bytes.clone();
    everything.extend(pages(&bytes).concat());
    let mut missing = values.names();
    missing.retain(|name| !values.found(&everything).contains(name));
    // Numbers are not written as text, and in one byte order only.
    missing.retain(|name| !name.ends_with("digits") && !name.ends_with("big-endian"));
    assert_eq!(missing, ["2028-05-03"]);
    // And in a delivery that treats nothing, through the same program.
    let site = Site::new(PROGRAM);
    site.dataset(&dataset());
    write_parquet(
        &site.path("lake/secret/1.parquet"),
        &source(TextForm::Utf8),
        100,
    );
    site.signed(&Grant::new("G-1", "secret", &["person", "open", "gone"]));
    let delivery = site.deliver("G-1");
    let bytes = delivery.bytes().concat();
    let mut everything = pages(&bytes).concat();
    everything.extend(&bytes);
    for name in [
        "ANARY-PERSON",
        "CANARY-REJECTED",
        "CANARY-FILTERED",
        "CANARY-GONE",
    ] {
        assert!(values.found(&everything).contains(&name), "{name}");
    }
    let keys = keys(&site);
    let line = site.read("keys/mark.v1.key");
    assert_eq!(keys.found(line.as_bytes()).len(), 1);
}

#[test]
fn a_run_leaves_no_value_no_constant_and_no_key_anywhere() {
    for form in [TextForm::Utf8, TextForm::View, TextForm::Dictionary] {
        let site = Site::new(PROGRAM);
        let (values, keys) = (values(), keys(&site));
        site.dataset(&dataset());
        let batch = source(form);
        write_parquet(
            &site.path("lake/secret/1.parquet"),
            &batch.slice(0, 250),
            90,
        );
        write_parquet(
            &site.path("lake/secret/2.parquet"),
            &batch.slice(250, 150),
            1000,
        );
        site.grant(&grant());
        let key = site.private_key("approver");
        let key = key.to_str().expect("a path");
        let commands: [&[&str]; 12] = [
            &["check"],
            &["grant", "sign", "G-1", "--key", key],
            &["--json", "run", "G-1"],
            &["run", "G-1", "--again"],
            &["run", "G-1"],
            &["--json", "preview", "G-1", "--rows", "50"],
            &["preview", "G-1"],
            &["grant", "list"],
            &["--json", "ledger", "list"],
            &["ledger", "verify"],
            &["--json", "keys", "list"],
            &["keys", "new", "pseudonym"],
        ];
        let mut delivered = None;
        for arguments in commands {
            let finished = traced(&site, arguments);
            assert!(
                [0, 5].contains(&finished.code),
                "{arguments:?}: {finished:?}"
            );
            values.absent_from(&format!("{arguments:?}"), &finished);
            keys.absent_from(&format!("{arguments:?}"), &finished);
            if arguments == ["--json", "run", "G-1"] {
                assert!(
                    finished.stderr.contains("DEBUG"),
                    "the log was on: {}",
                    finished.stderr
                );
                delivered = Some(Delivery::of_run(&finished.document()));
            }
        }
        // The plan and the grant's own page show literals to who may see the grant; nothing else.
        let mut but_literals = Canaries::default();
        for name in values.names() {
            if !LITERALS.contains(&name) && !name.contains(',') && name != "day" {
                but_literals.text(name);
            }
        }
        for arguments in [
            ["--json", "plan", "G-1"].as_slice(),
            &["plan", "G-1"],
            &["grant", "show", "G-1"],
        ] {
            let finished = traced(&site, arguments).expecting(0);
            but_literals.absent_from(&format!("{arguments:?}"), &finished);
            let seen = values.found(finished.stdout.as_bytes());
            for literal in &LITERALS[1..] {
                assert!(seen.contains(literal), "{arguments:?} shows {literal}");
            }
            keys.absent_from(&format!("{arguments:?}"), &finished);
            values.absent("the log of a plan", finished.stderr.as_bytes());
        }
        search_site(&site, &values);
        search_site(&site, &keys);
        let delivery = delivered.expect("a delivery");
        manifest_holds_none(&delivery, &values);
        manifest_holds_none(&delivery, &keys);
        no_cell_is_a_canary(&delivery.rows());
    }
}

/// The manifest's payload, which is encoded within the file.
fn manifest_holds_none(delivery: &Delivery, canaries: &Canaries) {
    canaries.absent("the manifest", delivery.manifest().to_string().as_bytes());
    let envelope = fs::read(delivery.folder().join("manifest.json")).expect("a manifest");
    canaries.absent("the envelope", &envelope);
}

/// Encodings that pack numbers hide them from a search of bytes, not from a reader.
fn no_cell_is_a_canary(rows: &RecordBatch) {
    let canaries = [
        i128::from(NUMBER),
        i128::from(AMOUNT),
        i128::from(DAY),
        i128::from(MOMENT),
    ];
    for (field, column) in rows.schema().fields().iter().zip(rows.columns()) {
        for cell in cells(column) {
            let leaked = match &cell {
                Cell::Whole(value) => canaries.contains(value),
                Cell::Float(value) => (value - RATIO).abs() < 1e-9,
                Cell::Text(text) => text.contains("ANARY"),
                Cell::Null | Cell::Bool(_) | Cell::Bytes(_) => false,
            };
            assert!(!leaked, "{}: {cell:?}", field.name());
        }
    }
}

#[test]
fn secrets_of_stores_reach_no_log_and_no_file() {
    let server = Server::start(&["lake", "outbox"]).expect("a server");
    let mut site = Site::new(PROGRAM);
    let (values, keys) = (values(), keys(&site));
    site.set_env("TEST_KEY_ID", ACCESS_KEY_ID);
    site.write("secret-file", &format!("{SECRET_ACCESS_KEY}\n"));
    let store = |url: &str| {
        format!(
            "url = \"{url}\"\nendpoint = \"{}\"\nallow_http = true\naccess_key_id = {{ env = \
             \"TEST_KEY_ID\" }}\nsecret_access_key = {{ file = \"secret-file\" }}",
            server.endpoint()
        )
    };
    let (lake, outbox) = (store("s3://lake"), store("s3://outbox/deep"));
    site.configure(&Configuration {
        lake: &lake,
        outbox: &outbox,
        more: "",
    });
    site.dataset(&dataset());
    let objects = server.store("s3://lake").expect("a store").object_store();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let bytes = parquet_bytes(&source(TextForm::Utf8), 100);
    runtime
        .expect("a runtime")
        .block_on(object_store::ObjectStoreExt::put(
            &objects,
            &object_store::path::Path::from("secret/1.parquet"),
            bytes.into(),
        ))
        .expect("an object");
    site.grant(&grant());
    site.sign("G-1").expect_code(0);
    let key = ACCESS_KEY_ID.as_bytes();
    for arguments in [
        ["check"].as_slice(),
        &["--json", "run", "G-1"],
        &["--json", "run", "G-1", "--again"],
    ] {
        let finished = traced(&site, arguments);
        assert!([0, 5].contains(&finished.code), "{finished:?}");
        values.absent_from(&format!("{arguments:?}"), &finished);
        keys.absent_from(&format!("{arguments:?}"), &finished);
        assert!(
            !finished
                .stdout
                .as_bytes()
                .windows(key.len())
                .any(|window| window == key)
        );
    }
    assert!(values.absent_below(&server.root().join("outbox")) > 2);
    keys.absent_below(&server.root().join("outbox"));
    assert!(values.absent_below(&site.path("state")) > 0);
    keys.absent_below(&site.path("state"));
    // The server also keeps state of uploads beside the buckets.
    for path in files_below(server.root()) {
        if !path.starts_with(server.root().join("lake")) {
            keys.absent(
                &path.display().to_string(),
                &fs::read(&path).expect("a file"),
            );
        }
    }
}

#[test]
fn a_killed_run_leaves_treated_bytes_only() {
    let site = Site::new(PROGRAM);
    let values = values();
    site.dataset(&dataset());
    let bytes = parquet_bytes(&source(TextForm::Utf8), 100);
    // More rows than a row group waits for, so that one is written long before the file's end.
    for number in 0..120 {
        let path = site.path(&format!("lake/secret/{number}.parquet"));
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, &bytes).expect("a source");
    }
    // Half a file has no pages to unpack: it is searched as it stands.
    site.signed(&grant().delivery("seal = \"none\"\ncompression = \"none\""));
    let temporary = site.beside().join("temporary");
    fs::create_dir_all(&temporary).expect("a directory");
    let mut command = site.command();
    command
        .env("LOCKGATE_LOG", "trace")
        .env("TMPDIR", &temporary);
    let child = command
        .arg("--site")
        .arg(site.root())
        .args(["run", "G-1"])
        .stderr(std::process::Stdio::null());
    let mut child = child.spawn().expect("a run");
    // The control: what is delivered clear stands in what is half written.
    let mut clear = Canaries::default();
    clear.text("open");
    let staged = || {
        files_below(&site.path("outbox")).iter().any(|path| {
            let is_part = path.extension().is_some_and(|end| end == "parquet");
            is_part && fs::read(path).is_ok_and(|bytes| clear.occur_in(&bytes))
        })
    };
    while !staged() && child.try_wait().expect("a child").is_none() {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    child.kill().expect("a kill");
    child.wait().expect("an end");
    assert!(staged(), "nothing was written");
    values.absent_below(&site.path("outbox"));
    values.absent_below(&site.path("state"));
    values.absent_below(&temporary);
}
