//! The recipient's side: a delivery is checked with the provider's public key, with and without a
//! site, and any change of it is found.

use std::fs;
use std::path::{Path, PathBuf};

use lockgate_acceptance::site::{Delivery, Finished, Site};

use crate::people::{self, FIELDS, grant};

struct Delivered {
    site: Site,
    delivery: Delivery,
}

fn delivered() -> Delivered {
    let site = people::site(400);
    site.signed(&grant("G-1", &FIELDS));
    let delivery = site.deliver("G-1");
    Delivered { site, delivery }
}

impl Delivered {
    fn folder(&self) -> &Path {
        self.delivery.folder()
    }

    /// `verify` in a directory without a site.
    fn outside(&self, arguments: &[&str]) -> Finished {
        let folder = self.folder().to_str().expect("a path");
        let mut command = vec!["--json", "verify", folder];
        command.extend(arguments);
        self.site.bare(command)
    }

    /// A copy of the delivery that may be changed.
    fn copy(&self, name: &str) -> PathBuf {
        let to = self.site.beside().join(name);
        copy(self.folder(), &to);
        to
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

#[test]
fn a_delivery_verifies_with_a_key_a_key_file_or_the_site() {
    let made = delivered();
    let line = made.site.read("keys/manifest.pub");
    let key = line.lines().last().expect("a key");
    let file = made.site.path("keys/manifest.pub");
    let file = file.to_str().expect("a path");
    for arguments in [
        &["--key", key][..],
        &["--key", file],
        &["--key", file, "--key", key],
    ] {
        let document = made.outside(arguments).expecting(0).document();
        assert_eq!(document["valid"], true, "{document}");
        assert_eq!(document["rows"], 400);
        assert_eq!(document["files"], 1);
        assert_eq!(document["problems"].as_array().map(Vec::len), Some(0));
        // Without the ledger's key, the recipient is told what was not checked.
        let notes = document["notes"].to_string();
        assert!(notes.contains("checkpoint"), "{notes}");
    }
    let ledger = made.site.path("keys/ledger.pub");
    let ledger = ledger.to_str().expect("a path");
    let document = made
        .outside(&["--key", key, "--ledger-key", ledger])
        .expecting(0)
        .document();
    assert_eq!(
        document["notes"].as_array().map(Vec::len),
        Some(0),
        "{document}"
    );
    let folder = made.folder().to_str().expect("a path").to_owned();
    let with_site = made.site.json(["verify", &folder]).expecting(0).document();
    assert_eq!(
        (
            with_site["valid"].as_bool(),
            with_site["notes"].as_array().map(Vec::len)
        ),
        (Some(true), Some(0))
    );
    let by_url = made
        .site
        .json(["verify", &format!("file://{folder}")])
        .expecting(0)
        .document();
    assert_eq!(by_url["valid"], true);
}

#[test]
fn without_a_site_a_key_is_required_and_another_key_does_not_do() {
    let made = delivered();
    let error = made.outside(&[]).expecting(2).document();
    assert_eq!(error["error"]["class"], "config");
    assert!(
        error["error"]["remedy"]
            .as_str()
            .expect("a remedy")
            .contains("--key")
    );
    for key in [made.site.approver_key(), &made.site.read("keys/ledger.pub")] {
        let document = made.outside(&["--key", key.trim()]).expecting(4).document();
        assert_eq!(document["valid"], false);
        assert_eq!(document["problems"][0]["kind"], "manifest", "{document}");
    }
}

#[test]
fn a_key_that_lies_in_the_delivery_is_never_trusted() {
    let made = delivered();
    let copied = made.copy("planted");
    fs::copy(
        made.site.path("keys/manifest.pub"),
        copied.join("manifest.pub"),
    )
    .expect("a copy");
    let folder = copied.to_str().expect("a path");
    made.site.bare(["--json", "verify", folder]).expect_code(2);
}

#[test]
fn every_kind_of_change_is_found() {
    let made = delivered();
    let part = made.delivery.files()[0]
        .strip_prefix(made.folder())
        .expect("a part")
        .to_owned();
    type Change<'a> = &'a dyn Fn(&Path);
    let changes: [(&str, &str, Change<'_>); 6] = [
        ("flipped", "hash", &|folder| {
            let path = folder.join(&part);
            let mut bytes = fs::read(&path).expect("a part");
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(path, bytes).expect("a part");
        }),
        ("longer", "size", &|folder| {
            let path = folder.join(&part);
            let mut bytes = fs::read(&path).expect("a part");
            bytes.push(0);
            fs::write(path, bytes).expect("a part");
        }),
        ("gone", "missing", &|folder| {
            fs::remove_file(folder.join(&part)).expect("a part");
        }),
        ("without-manifest", "no-delivery", &|folder| {
            fs::remove_file(folder.join("manifest.json")).expect("a manifest");
        }),
        ("spaced", "manifest", &|folder| {
            let path = folder.join("manifest.json");
            let text = fs::read_to_string(&path).expect("a manifest");
            fs::write(path, text + "\n").expect("a manifest");
        }),
        ("resigned", "manifest", &|folder| {
            let path = folder.join("manifest.json");
            let text = fs::read_to_string(&path).expect("a manifest");
            let at = text.find("\"sig\":\"").expect("a signature") + 7;
            let other = if &text[at..=at] == "A" { "B" } else { "A" };
            fs::write(path, format!("{}{other}{}", &text[..at], &text[at + 1..]))
                .expect("a manifest");
        }),
    ];
    for (name, kind, change) in changes {
        let folder = made.copy(name);
        change(&folder);
        let found = made
            .site
            .json(["verify", folder.to_str().expect("a path")])
            .expecting(4);
        let document = found.document();
        assert_eq!(document["valid"], false, "{name}");
        let kinds: Vec<&str> = document["problems"]
            .as_array()
            .expect("problems")
            .iter()
            .filter_map(|problem| problem["kind"].as_str())
            .collect();
        assert!(kinds.contains(&kind), "{name}: {document}");
    }
}

#[test]
fn the_manifest_states_what_was_delivered() {
    let made = delivered();
    let manifest = made.delivery.manifest();
    let keys: Vec<&str> = manifest
        .as_object()
        .expect("a manifest")
        .keys()
        .map(String::as_str)
        .collect();
    let expected = [
        "attempt",
        "created",
        "dataset",
        "delivery",
        "fields",
        "files",
        "format",
        "grant",
        "ledger",
        "mark",
        "plan_sha256",
        "previous",
        "provider",
        "recipient",
        "rows",
        "run",
        "seal",
        "software",
        "source",
        "treatment_counts",
        "window",
        "withheld",
    ];
    assert_eq!(keys, expected);
    assert_eq!(manifest["format"], 1);
    assert_eq!(manifest["grant"]["id"], "G-1");
    assert_eq!(manifest["rows"]["delivered"], 400);
    assert_eq!(manifest["rows"]["pruned"], 0);
    let run = manifest["run"].as_str().expect("a run");
    assert_eq!(manifest["delivery"].as_str(), run.get(..32));
    assert!(
        made.folder()
            .ends_with(manifest["delivery"].as_str().expect("a delivery"))
    );
    let field = &manifest["fields"][1];
    assert_eq!(field["name"], "person_id");
    assert_eq!(
        (&field["type"], &field["source_type"]),
        (&"utf8".into(), &"utf8".into())
    );
    assert_eq!(
        (field["level"].as_u64(), field["strength"].as_u64()),
        (Some(3), Some(3))
    );
    assert_eq!(field["treatment"]["kind"], "hmac");
    assert_eq!(
        manifest["source"]["snapshot"]["files"][0]["path"],
        "people/1.parquet"
    );
    let counts = &manifest["treatment_counts"]["region"];
    assert_eq!(counts["nulls"], 80, "{counts}");
}
