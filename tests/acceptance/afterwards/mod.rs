//! What happens to a delivery after it left: receipts, disposal, replay.

mod disposal;
mod online;
mod receipts;
mod replays;
mod reveals;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use lockgate_acceptance::site::{
    Dataset, Delivery, Finished, Grant, RECIPIENT, Site, write_parquet,
};
use serde_json::Value;

use crate::PROGRAM;

/// The grant of every site here.
const GRANT: &str = "G-1";

const ROWS: usize = 500;

/// A site whose recipient can sign receipts, with a signed grant over one dataset of two files.
fn site() -> Site {
    let site = unsigned();
    site.signed(&grant());
    site
}

/// The same, before its grant is written.
fn unsigned() -> Site {
    let site = Site::new(PROGRAM);
    let receipt = site.pair("receipt", "receipt");
    let sealing = fs::read_to_string(site.private_key("recipient").with_extension("pub"));
    let sealing = sealing.expect("a public key");
    site.write(
        &format!("recipients/{RECIPIENT}.toml"),
        &format!(
            "id = \"{RECIPIENT}\"\nname = \"民政局\"\npublic_keys = [\"{}\", \"{receipt}\"]\n",
            sealing.trim()
        ),
    );
    site.dataset(
        &Dataset::new("people")
            .plain("id", "utf8")
            .plain("name", "utf8")
            .plain("income", "int64")
            .declaring("tolerance = \"3\"")
            .plain("contact", "utf8"),
    );
    for file in 0..2 {
        let path = site.path(&format!("lake/people/{file}.parquet"));
        write_parquet(&path, &rows(file * ROWS), 100);
    }
    site
}

fn grant() -> Grant {
    grant_naming("{ kind = 'keep-ends', first = 1, last = 0 }")
}

/// The same with that treatment of the field `name`.
fn grant_naming(treatment: &str) -> Grant {
    Grant::new(GRANT, "people", &["id", "name", "income", "contact"])
        .treatment("id", "{ kind = 'hmac', domain = 'person.id' }")
        .treatment("name", treatment)
        .treatment(
            "contact",
            "{ kind = 'encrypt-rand', domain = 'person.contact' }",
        )
}

fn rows(from: usize) -> RecordBatch {
    let numbers = from..from + ROWS;
    let ids: ArrayRef = Arc::new(StringArray::from_iter_values(
        numbers.clone().map(|row| format!("P{row:05}")),
    ));
    let names: ArrayRef = Arc::new(StringArray::from_iter(
        numbers
            .clone()
            .map(|row| (row % 7 != 0).then(|| format!("名字{row}"))),
    ));
    let incomes: ArrayRef = Arc::new(Int64Array::from_iter(
        numbers
            .clone()
            .map(|row| i64::try_from(row * 37 % 9000).ok()),
    ));
    let contacts: ArrayRef = Arc::new(StringArray::from_iter_values(
        numbers.map(|row| format!("c{row}@example.org")),
    ));
    RecordBatch::try_from_iter([
        ("id", ids),
        ("name", names),
        ("income", incomes),
        ("contact", contacts),
    ])
    .expect("columns of one length")
}

/// A delivery's folder as the command line takes it.
fn folder(delivery: &Delivery) -> &str {
    delivery.folder().to_str().expect("a path")
}

/// Runs a command of the recipient, who has no site: only the provider's public keys.
fn as_recipient(site: &Site, arguments: &[&str], identity: &str, out: &Path) -> Finished {
    let manifest = site.path("keys/manifest.pub");
    let ledger = site.path("keys/ledger.pub");
    let mut command = site.command();
    command
        .arg("--json")
        .args(arguments)
        .arg("--identity")
        .arg(site.private_key(identity))
        .arg("--out")
        .arg(out)
        .arg("--key")
        .arg(manifest)
        .arg("--ledger-key")
        .arg(ledger);
    lockgate_acceptance::site::finish(&mut command)
}

/// A receipt of that kind, signed by the recipient.
#[track_caller]
fn receipt(site: &Site, delivery: &Delivery, kind: &str) -> PathBuf {
    let out = site.beside().join(format!("{kind}.json"));
    as_recipient(site, &["receipt", kind, folder(delivery)], "receipt", &out).expect_code(0);
    out
}

/// What the ledger has of one kind of event.
fn events(site: &Site, event: &str) -> Vec<Value> {
    let document = site.json(["ledger", "list"]).expecting(0).document();
    let entries = document["entries"].as_array().expect("entries");
    entries
        .iter()
        .filter(|entry| entry["event"] == event)
        .cloned()
        .collect()
}

/// Everything below a directory, by path, with its size.
fn listed(directory: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(listed(&path));
        } else {
            let length = path.metadata().expect("a file").len();
            found.push((path, length));
        }
    }
    found.sort();
    found
}

fn copy_directory(from: &Path, to: &Path) {
    for (path, _) in listed(from) {
        let target = to.join(path.strip_prefix(from).expect("a path below"));
        fs::create_dir_all(target.parent().expect("a directory")).expect("a directory");
        fs::copy(path, target).expect("a copy");
    }
}
