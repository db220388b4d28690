//! Values that only a key turns back: with an approval over these very values, once the ledger knows.

use std::fs;
use std::path::PathBuf;

use arrow::array::AsArray;
use lockgate_acceptance::site::{Finished, Site};

use super::{GRANT, events, grant, grant_naming, unsigned};

/// A site that delivers `name` encrypted deterministically, and `contact` at random.
fn site(more: &str) -> Site {
    let site = unsigned();
    site.signed(&grant_naming("{ kind = 'encrypt-det', domain = 'person.name' }").more(more));
    site
}

/// The first delivered values of a text column, one a line, in a file.
fn list(site: &Site, field: &str, rows: usize) -> PathBuf {
    let delivery = site.deliver(GRANT);
    let delivered = delivery.rows();
    let column = delivered.column_by_name(field).unwrap();
    let texts: Vec<String> = match column.as_string_opt::<i32>() {
        Some(texts) => texts.iter().flatten().map(str::to_owned).collect(),
        None => {
            use base64::Engine as _;
            let cells = column.as_binary::<i32>();
            let engine = base64::engine::general_purpose::STANDARD;
            cells
                .iter()
                .flatten()
                .map(|cell| engine.encode(cell))
                .collect()
        }
    };
    let path = site.beside().join(format!("{field}.txt"));
    fs::write(&path, texts[..rows].join("\n")).unwrap();
    path
}

fn approve(site: &Site, field: &str, values: &PathBuf, key: &str, out: &str) -> Finished {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args(["--json", "reveal", "approve", GRANT, "--field", field])
        .args(["--reason", "核对投诉", "--until", "2099-12-31", "--key"])
        .arg(site.private_key(key))
        .arg("--values")
        .arg(values)
        .arg("--out")
        .arg(site.beside().join(out));
    lockgate_acceptance::site::finish(&mut command)
}

fn reveal(site: &Site, field: &str, values: &PathBuf, approval: &str) -> Finished {
    let mut command = site.command();
    command
        .arg("--site")
        .arg(site.root())
        .args([
            "--json",
            "reveal",
            "values",
            GRANT,
            "--field",
            field,
            "--approval",
        ])
        .arg(site.beside().join(approval))
        .arg("--values")
        .arg(values);
    lockgate_acceptance::site::finish(&mut command)
}

#[test]
fn approved_values_are_turned_back_and_recorded_first() {
    let site = site("");
    for (field, originals) in [
        ("name", ["名字1", "名字2", "名字3"]),
        (
            "contact",
            ["c0@example.org", "c1@example.org", "c2@example.org"],
        ),
    ] {
        let values = list(&site, field, 3);
        // A newer key doesn't hide what an older one made.
        site.json(["keys", "new", "encryption"]).expect_code(0);
        let approval = format!("{field}.json");
        approve(&site, field, &values, "approver", &approval).expect_code(0);
        let document = reveal(&site, field, &values, &approval)
            .expecting(0)
            .document();
        let found: Vec<&str> = document["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["original"].as_str().unwrap())
            .collect();
        assert_eq!(found, originals, "{field}");
        assert_eq!(document["authentic"], true);
        fs::remove_dir_all(site.path("outbox")).unwrap();
    }
    let recorded = events(&site, "revealed");
    assert_eq!(recorded.len(), 2);
    assert_eq!(recorded[0]["values"], 3);
    assert_eq!(recorded[0]["found"], 3);
    assert!(!site.json(["ledger", "list"]).stdout.contains("名字1"));
}

#[test]
fn nothing_is_revealed_that_nobody_approved() {
    let site = site("");
    let values = list(&site, "name", 2);
    approve(&site, "name", &values, "approver", "two.json").expect_code(0);
    let more = list_more(&values);
    reveal(&site, "name", &more, "two.json").expect_code(3);
    // Nor for another field, by another's key, or of what a treatment took away.
    reveal(&site, "contact", &values, "two.json").expect_code(3);
    site.pair("stranger", "approver");
    approve(&site, "name", &values, "stranger", "strange.json").expect_code(3);
    approve(&site, "id", &values, "approver", "id.json").expect_code(0);
    reveal(&site, "id", &values, "id.json").expect_code(3);
    assert!(events(&site, "revealed").is_empty());
    assert!(!events(&site, "refused").is_empty());
}

/// The same list with a value more.
fn list_more(values: &PathBuf) -> PathBuf {
    let path = values.with_extension("more");
    let text = fs::read_to_string(values).unwrap();
    fs::write(&path, format!("{text}\nanother")).unwrap();
    path
}

#[test]
fn a_grant_says_who_may_reveal() {
    let forbidden = site("reveal = { name = 'none' }");
    let values = list(&forbidden, "name", 1);
    approve(&forbidden, "name", &values, "approver", "a.json").expect_code(0);
    reveal(&forbidden, "name", &values, "a.json").expect_code(3);
    assert!(events(&forbidden, "revealed").is_empty());
    // What the recipient could reveal is no encryption.
    let site = unsigned();
    site.grant(&grant().more("reveal = { contact = 'recipient' }"));
    let refused = site.sign(GRANT).expecting(3);
    assert!(refused.stdout.contains("below-floor"), "{refused:?}");
    assert!(refused.stdout.contains("strength 0"), "{refused:?}");
}
