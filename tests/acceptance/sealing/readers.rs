//! Readers that know nothing of this program.

use std::ffi::OsString;
use std::process::Command;

use lockgate_acceptance::site::{Dataset, finish};
use serde_json::{Value, json};

use super::*;
use crate::PROGRAM;
use crate::oracle::python;

/// Rows that pyarrow reads of one delivery.
const ROWS: u64 = 1_000_000;

/// Fields of the large source and their types, as `opened.py` makes them.
const LARGE: [(&str, &str); 7] = [
    ("id", "int64"),
    ("person", "utf8"),
    ("status", "utf8"),
    ("income", "decimal(12,2)"),
    ("birth", "date"),
    ("seen", "timestamp(us)"),
    ("active", "boolean"),
];

/// Starts the script, which must succeed; gives what it says.
#[track_caller]
fn ask(python: &OsString, request: &Value) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/acceptance/sealing/opened.py");
    let mut command = Command::new(python);
    // -B: no compiled files beside the scripts.
    let done = finish(command.arg("-B").arg(script).arg(request.to_string()));
    assert_eq!(done.code, 0, "{done:?}");
    done.stdout.trim().to_owned()
}

/// What the script compares: a sealed delivery with plain files of the same rows.
fn comparison(site: &Site, sealed: &Delivery, plain: &[PathBuf]) -> Value {
    json!({
        "sealed": sealed.folder(),
        "attempt": sealed.manifest()["attempt"],
        "identity": site.private_key("recipient"),
        "sealed_files": sealed.files(),
        "plain_files": plain,
    })
}

/// A million rows in several row groups of several pages, each value read and compared with the one in
/// the source, which is delivered clear: the file that pyarrow wrote itself.
#[test]
fn pyarrow_reads_every_value_of_a_million_sealed_rows() {
    let Some(python) = python() else { return };
    let rows = crate::exchange_site::number("LOCKGATE_READER_ROWS", ROWS);
    let site = Site::new(PROGRAM);
    let mut dataset = Dataset::new("large");
    for (name, data_type) in LARGE {
        dataset = dataset.plain(name, data_type);
    }
    site.dataset(&dataset);
    fs::create_dir_all(site.path("lake/large")).unwrap();
    let source = site.path("lake/large/1.parquet");
    ask(&python, &json!({ "make": source, "rows": rows }));
    let fields = LARGE.map(|(name, _)| name);
    site.signed(&Grant::new(GRANT, "large", &fields).delivery("seal = \"parquet\""));
    let sealed = site.deliver(GRANT);
    let mut request = comparison(&site, &sealed, &[source]);
    request["groups_at_least"] = json!(4);
    let values = rows * LARGE.len() as u64;
    assert_eq!(ask(&python, &request), format!("agreed on {values} values"));
}

/// Columns with keys of their own, and types within types, each against the plain delivery of the same
/// rows; and nothing is read with another key, under another name or without the key of a column.
#[test]
fn pyarrow_reads_what_it_has_keys_for_and_nothing_else() {
    let Some(python) = python() else { return };
    let pair = Pair::new(3000, "", "[sealing]\ncolumn_keys_from_level = 3");
    let mut request = comparison(&pair.site, &pair.sealed, &pair.plain.files());
    request["keyed"] = json!(["person_id", "name", "income", "birth"]);
    let values = 3000 * FIELDS.len();
    assert_eq!(ask(&python, &request), format!("agreed on {values} values"));
    let site = nested::site();
    site.policy(
        "[sealing]\ncolumn_keys_from_level = 1\n[[rules]]\ntreatment = { kind = 'clear' }\n",
    );
    let grant = Grant::new(GRANT, "families", &nested::FIELDS);
    site.signed(&grant);
    let plain = site.deliver(GRANT);
    site.signed(&grant.version(2).delivery("seal = \"parquet\""));
    let sealed = site.deliver(GRANT);
    let request = comparison(&site, &sealed, &plain.files());
    let values = 5 * nested::FIELDS.len();
    assert_eq!(ask(&python, &request), format!("agreed on {values} values"));
}
