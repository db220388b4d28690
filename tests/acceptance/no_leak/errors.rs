//! Errors of every kind that can be provoked, each with the log at its fullest: they say where, and
//! never what the value, the constant, the key or the secret was.

use std::fs;

use lockgate_acceptance::s3::{Fault, Operation, SECRET_ACCESS_KEY, Server};
use lockgate_acceptance::site::{
    Configuration, Dataset, Finished, Grant, Site, finish, write_parquet,
};

use super::scanner::Canaries;
use crate::PROGRAM;
use crate::people::{self, grant};

/// What any of the errors here might repeat.
fn canaries() -> Canaries {
    let mut canaries = Canaries::default();
    canaries.text("CANARY");
    canaries.text("canary"); // also the secret of the test server
    canaries
}

/// Runs a command twice, for people and for programs, with the log at its fullest; it must fail
/// with one of those codes, name the place, and show no canary.
#[track_caller]
fn fails(site: &Site, arguments: &[&str], codes: &[i32], place: &str) {
    for json in [false, true] {
        let mut command = site.command();
        command
            .env("LOCKGATE_LOG", "trace")
            .env("RUST_BACKTRACE", "0");
        if json {
            command.arg("--json");
        }
        let finished = finish(command.arg("--site").arg(site.root()).args(arguments));
        assert!(
            codes.contains(&finished.code),
            "{arguments:?}: {finished:?}"
        );
        assert!(!finished.stderr.contains("panicked"), "{finished:?}");
        let said = format!("{}{}", finished.stdout, finished.stderr);
        assert!(
            said.contains(place),
            "{arguments:?}: `{place}` is not named: {finished:?}"
        );
        canaries().absent_from(&format!("{arguments:?}"), &finished);
        assert!(
            finished.stdout.len() + finished.stderr.len() < 20_000,
            "an error, not a dump"
        );
    }
}

/// A site over one CSV file.
fn csv(source: &str, content: impl AsRef<[u8]>) -> Site {
    let site = Site::new(PROGRAM);
    let source = format!("store = 'lake', path = 'rows/', format = 'csv'{source}");
    let dataset = Dataset::new("rows")
        .source(&source)
        .plain("id", "int64")
        .plain("text", "utf8")
        .plain("day", "date")
        .plain("yes", "boolean")
        .plain("amount", "decimal(6,2)")
        .plain("at", "timestamp(s)")
        .plain("ratio", "float64");
    site.dataset(&dataset);
    fs::create_dir_all(site.path("lake/rows")).expect("a directory");
    fs::write(site.path("lake/rows/1.csv"), content).expect("a file");
    let all = ["id", "text", "day", "yes", "amount", "at", "ratio"];
    site.signed(&Grant::new("G-1", "rows", &all));
    site
}

const HEADER: &str = "id,text,day,yes,amount,at,ratio\n";

#[test]
fn malformed_csv_tells_the_row_and_the_field() {
    let good = [
        "1",
        "CANARY-TEXT",
        "2026-01-01",
        "true",
        "1.00",
        "2026-01-01T00:00:00",
        "0.5",
    ];
    for (index, field) in ["id", "day", "yes", "amount", "at", "ratio"]
        .iter()
        .enumerate()
    {
        let at = [0, 2, 3, 4, 5, 6][index];
        let mut bad = good;
        bad[at] = "CANARY-VALUE";
        let content = format!("{HEADER}{}\n{}\n", good.join(","), bad.join(","));
        let site = csv("", content);
        fails(&site, &["run", "G-1"], &[1], field);
        fails(&site, &["run", "G-1"], &[1], "row 2");
        fails(&site, &["preview", "G-1"], &[1], "1.csv");
    }
    let row = good.join(",");
    for (content, source) in [
        (format!("{HEADER}{row},CANARY-EXTRA\n"), ""),
        (format!("{HEADER}{row}\n1,\"CANARY-OPEN quote\n"), ""),
        (
            format!("{HEADER}1,\"CANARY\"-AFTER,2026-01-01,true,1.00,,\n"),
            "",
        ),
        (format!("CANARY-HEADER,text\n{row}\n"), ""),
        (format!("{HEADER}{row}\n"), ", delimiter = ';'"),
    ] {
        let site = csv(source, content);
        fails(&site, &["run", "G-1"], &[1, 3], "1.csv");
    }
    // Bytes outside the encoding.
    let mut bytes = format!("{HEADER}1,CANARY-").into_bytes();
    bytes.extend([0xff, 0xfe, 0x81]);
    bytes.extend(b",,,,,\n");
    fails(&csv("", &bytes), &["run", "G-1"], &[1], "1.csv");
    fails(
        &csv(", encoding = 'gb18030'", &bytes),
        &["run", "G-1"],
        &[1],
        "1.csv",
    );
}

#[test]
fn values_that_fail_a_treatment_are_not_told() {
    let site = people::bare_site();
    site.dataset(
        &Dataset::new("people")
            .plain("name", "utf8")
            .plain("number", "float64"),
    );
    let batch = {
        use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
        use std::sync::Arc;
        let names: ArrayRef = Arc::new(StringArray::from(vec!["CANARY-A", "CANARY-B@x", ""]));
        let numbers: ArrayRef = Arc::new(Float64Array::from(vec![1.0, f64::NAN, 2.0]));
        RecordBatch::try_from_iter([("name", names), ("number", numbers)]).expect("a batch")
    };
    write_parquet(&site.path("lake/people/1.parquet"), &batch, 10);
    let failing = [
        (
            "name",
            "{ kind = 'mask-around', on_invalid = 'fail' }",
            "row 1",
        ),
        (
            "name",
            "{ kind = 'keep-ends', first = 9, last = 0, on_short = 'fail' }",
            "row 1",
        ),
        ("name", "{ kind = 'clear', on_empty = 'fail' }", "row 3"),
        (
            "number",
            "{ kind = 'round', to = '0.1', on_invalid = 'fail' }",
            "row 2",
        ),
    ];
    for (number, (field, treatment, row)) in failing.into_iter().enumerate() {
        let id = format!("G-{number}");
        site.signed(&Grant::new(&id, "people", &["name", "number"]).treatment(field, treatment));
        fails(&site, &["run", &id], &[1], row);
        fails(&site, &["preview", &id], &[1], field);
    }
}

#[test]
fn predicates_that_fail_on_a_row_do_not_tell_it_or_their_constants() {
    let site = people::bare_site();
    site.dataset(
        &Dataset::new("people")
            .plain("name", "utf8")
            .plain("number", "int64"),
    );
    let batch = {
        use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
        use std::sync::Arc;
        let names: ArrayRef = Arc::new(StringArray::from(vec!["7", "CANARY-A"]));
        let numbers: ArrayRef = Arc::new(Int64Array::from(vec![0, i64::MAX]));
        RecordBatch::try_from_iter([("name", names), ("number", numbers)]).expect("a batch")
    };
    write_parquet(&site.path("lake/people/1.parquet"), &batch, 10);
    let failing = [
        "CAST(name AS int64) = 7 AND name <> 'CANARY-CONSTANT'",
        "CAST(name AS date) > DATE '2026-01-01' OR name = 'CANARY-CONSTANT'",
        "7 / number = 1 OR name = 'CANARY-CONSTANT'",
        "number * 7 > 1 AND name <> 'CANARY-CONSTANT'",
    ];
    for (number, predicate) in failing.into_iter().enumerate() {
        let id = format!("G-{number}");
        site.signed(&Grant::new(&id, "people", &["name"]).rows(predicate));
        fails(&site, &["run", &id], &[1], "row");
        fails(&site, &["preview", &id], &[1], "");
    }
}

#[test]
fn predicates_that_are_not_allowed_do_not_tell_their_constants() {
    let site = people::site(10);
    let wrong = [
        "name = 'CANARY-A' AND",
        "name = 'CANARY-A",
        "lower('CANARY-A') = name",
        "name = 'CANARY-A' AND nmae = 'CANARY-B'",
        "birth > DATE 'CANARY-A'",
        "birth > 'CANARY-A'",
        "id = 'CANARY-A'",
        "name LIKE 'CANARY-A' ESCAPE '!'",
        "CAST('CANARY-A' AS int64) = id",
        "name = $CANARY$A$CANARY$",
        "name = E'CANARY-A' -- CANARY-B",
        "/* CANARY-A */ id = 1",
        "id IN ('CANARY-A', 1)",
    ];
    for (number, predicate) in wrong.into_iter().enumerate() {
        let id = format!("G-{number}");
        site.grant(&grant(&id, &["id"]).rows(predicate));
        fails(&site, &["run", &id], &[2, 3], "predicate");
        let key = site.private_key("approver");
        let key = key.to_str().expect("a path").to_owned();
        fails(
            &site,
            &["grant", "sign", &id, "--key", &key],
            &[2, 3],
            "predicate",
        );
        fs::remove_file(site.path(&format!("grants/{id}.toml"))).expect("a grant");
    }
}

#[test]
fn sources_that_cannot_be_read_do_not_tell_what_they_hold() {
    let site = people::site(300);
    site.signed(&grant("G-1", &["id", "name"]));
    let path = site.path("lake/people/1.parquet");
    let good = fs::read(&path).expect("a file");
    let text = "CANARY-NOT-PARQUET ".repeat(50);
    for content in [
        text.as_bytes(),
        b"",
        b"PAR1",
        &good[..good.len() / 2],
        &[b"PAR1", text.as_bytes(), b"PAR1"].concat(),
    ] {
        fs::write(&path, content).expect("a file");
        fails(&site, &["run", "G-1"], &[1], "1.parquet");
    }
}

#[test]
fn unusable_site_files_do_not_tell_secrets_written_into_them() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["id"]));
    let store = |body: &str| {
        let site = &site;
        site.configure(&Configuration {
            lake: body,
            ..Configuration::default()
        });
    };
    for body in [
        "url = 's3://bucket/x'\nsecret_access_key = 'CANARY-SECRET'",
        "url = 's3://bucket/x'\nsecret_access_key = { value = 'CANARY-SECRET' }",
        "url = 's3://bucket/x'\nsecret_acces_key = 'CANARY-SECRET'",
        "url = 's3://bucket/x'\npassword = 'CANARY-SECRET'",
        "url = 's3://user:CANARY-SECRET@bucket/x'",
        "url = 'https://user:CANARY-SECRET@host/x?token=CANARY-TOKEN'",
        "url = 's3://bucket/x'\naccess_key_id = { env = 'NO_SUCH_VARIABLE_HERE' }\nsecret_access_key = { file = 'no-such-file' }",
        "url = 's3://bucket/x'\nsecret_access_key = 'CANARY-SECRET",
    ] {
        store(body);
        // Whether a secret can be found is for those to know who read the store.
        if !body.contains("NO_SUCH_VARIABLE") {
            fails_somewhere(&site, &["check"]);
        }
        fails_somewhere(&site, &["run", "G-1"]);
        fails_somewhere(&site, &["plan", "G-1"]);
    }
    site.configure_more("[databases.psb]\nurl = 'postgres://reader:CANARY-SECRET@db/psb'\npassword = 'CANARY-SECRET'");
    fails_somewhere(&site, &["check"]);
}

/// Fails in whatever way, and shows no canary.
#[track_caller]
fn fails_somewhere(site: &Site, arguments: &[&str]) {
    for json in [false, true] {
        let mut command = site.command();
        command
            .env("LOCKGATE_LOG", "trace")
            .arg("--site")
            .arg(site.root());
        if json {
            command.arg("--json");
        }
        let finished: Finished = finish(command.args(arguments));
        assert!(
            [1, 2, 3].contains(&finished.code),
            "{arguments:?}: {finished:?}"
        );
        canaries().absent_from(
            &format!("{arguments:?} of {}", site.read("lockgate.toml")),
            &finished,
        );
    }
}

#[test]
fn keys_that_cannot_be_used_are_not_told() {
    let site = people::site(10);
    site.signed(&grant("G-1", &["id", "person_id"]));
    for content in [
        "CANARY-KEY",
        "lockgate-key:v1:pseudonym:CANARYCANARYCANARY",
        "lockgate-key:v2:pseudonym:CANARYCANARYCANARYCANARYCANARYCANARYCANARYCA=",
        "lockgate-key:v1:mark:CANARYCANARYCANARYCANARYCANARYCANARYCANARYCA=",
        "lockgate-key:v1:pseudonym:CANARYCANARYCANARYCANARYCANARYCANARYCANARYCA=\nCANARY",
    ] {
        site.write("keys/pseudonym.v1.key", content);
        fails(&site, &["run", "G-1"], &[1, 2], "pseudonym.v1.key");
    }
    for name in ["manifest", "ledger"] {
        let site = people::site(10);
        site.signed(&grant("G-1", &["id"]));
        site.write(&format!("keys/{name}.v1.key"), "CANARY-KEY");
        fails(&site, &["run", "G-1"], &[1, 2], &format!("{name}.v1.key"));
    }
    let wrong = site.beside().join("wrong.key");
    fs::write(&wrong, "CANARY-PRIVATE-KEY").expect("a file");
    let wrong = wrong.to_str().expect("a path");
    fails(
        &site,
        &["grant", "sign", "G-1", "--key", wrong],
        &[1, 2],
        "wrong.key",
    );
    fails(
        &site,
        &["verify", "nowhere", "--key", "ed25519:CANARYCANARY"],
        &[1, 2],
        "",
    );
    fails(&site, &["verify", "nowhere", "--key", wrong], &[1, 2], "");
}

#[test]
fn stores_that_refuse_or_break_do_not_tell_the_secret() {
    let server = Server::start(&["lake", "outbox"]).expect("a server");
    let mut site = people::site(300);
    site.set_env("TEST_KEY_ID", "CANARYKEYID");
    site.set_env("TEST_SECRET", "CANARY-WRONG-SECRET");
    site.set_env("RIGHT_SECRET", SECRET_ACCESS_KEY);
    site.set_env("RIGHT_KEY_ID", lockgate_acceptance::s3::ACCESS_KEY_ID);
    let body = |url: &str, endpoint: &str, right: bool| {
        let prefix = if right { "RIGHT" } else { "TEST" };
        format!(
            "url = \"{url}\"\nendpoint = \"{endpoint}\"\nallow_http = true\naccess_key_id = {{ env = \
             \"{prefix}_KEY_ID\" }}\nsecret_access_key = {{ env = \"{prefix}_SECRET\" }}"
        )
    };
    site.signed(&grant("G-1", &["id"]));
    // A store that refuses the key, and one where nobody answers.
    for endpoint in [server.endpoint(), "http://127.0.0.1:9".to_owned()] {
        let outbox = body("s3://outbox", &endpoint, false);
        site.configure(&Configuration {
            outbox: &outbox,
            ..Configuration::default()
        });
        fails(&site, &["run", "G-1"], &[1, 2], "s3://outbox");
        fails(&site, &["check"], &[2], "delivery store");
    }
    // A store that fails halfway.
    let outbox = body("s3://outbox", &server.endpoint(), true);
    site.configure(&Configuration {
        outbox: &outbox,
        ..Configuration::default()
    });
    for operation in [
        Operation::Put,
        Operation::BeginUpload,
        Operation::Get,
        Operation::List,
        Operation::Create,
    ] {
        server.faults().clear();
        server.faults().inject(operation, 0, 500, Fault::Refuse);
        let mut command = site.command();
        command
            .env("LOCKGATE_LOG", "trace")
            .arg("--site")
            .arg(site.root());
        let finished = finish(command.args(["run", "G-1", "--again"]));
        canaries().absent_from(&format!("{operation:?}"), &finished);
    }
}
