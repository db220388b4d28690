//! The scripts of `pipeline/docs/opening.md`, run exactly as they stand there: Python opens what was
//! sealed, with the packages `cryptography` and `pyarrow` and nothing of this program.
//!
//! As the oracles, these tests need `LOCKGATE_ORACLES`; where it is not set they say so and pass.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use lockgate_acceptance::site::{Delivery, Finished, Site, finish};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::oracle::python;
use crate::people::{self, FIELDS, grant};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../pipeline/docs/opening.md");

/// Writes the page's scripts to a directory, each under the name its first line gives.
fn scripts(directory: &Path) -> Vec<String> {
    let page = fs::read_to_string(PAGE).expect("the page");
    let mut names = Vec::new();
    for block in page.split("```python\n").skip(1) {
        let (script, _) = block.split_once("\n```").expect("an end of the script");
        let name = script
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("# "));
        let name = name.expect("a name in the script's first line");
        fs::write(directory.join(name), format!("{script}\n")).expect("a script");
        names.push(name.to_owned());
    }
    names
}

struct Reader<'a> {
    python: std::ffi::OsString,
    site: &'a Site,
    directory: tempfile::TempDir,
}

impl<'a> Reader<'a> {
    /// A recipient's directory with the scripts in it, if there is a Python.
    fn new(site: &'a Site) -> Option<Self> {
        let python = python()?;
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(
            scripts(directory.path()),
            ["lockgate_open.py", "lockgate_parquet.py"]
        );
        fs::create_dir(directory.path().join("opened")).expect("a directory");
        Some(Self {
            python,
            site,
            directory,
        })
    }

    fn target(&self, name: &str) -> PathBuf {
        self.directory.path().join("opened").join(name)
    }

    /// Names in the directory that is opened into.
    fn opened(&self) -> Vec<String> {
        let entries = fs::read_dir(self.target("")).expect("a directory");
        entries
            .map(|entry| {
                entry
                    .expect("an entry")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect()
    }

    fn run(&self, script: &str, delivery: &Path, identity: &str, target: &Path) -> Finished {
        let key = fs::read_to_string(self.site.path("keys/manifest.pub")).expect("a key");
        finish(
            Command::new(&self.python)
                .arg("-B")
                .current_dir(self.directory.path())
                .arg(script)
                .arg(delivery)
                .arg(key.trim())
                .arg(self.site.private_key(identity))
                .arg(target),
        )
    }
}

/// Alters a byte in the middle of a file.
fn alter(file: &Path) {
    let mut bytes = fs::read(file).expect("a file");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(file, bytes).expect("an altered file");
}

fn delivery(site: &Site, id: &str, delivery: &str) -> Delivery {
    site.signed(&grant(id, &FIELDS).delivery(delivery));
    site.deliver(id)
}

#[test]
fn the_page_opens_an_envelope() {
    // Several chunks, the last one short.
    let site = people::site(3000);
    let Some(reader) = Reader::new(&site) else {
        return;
    };
    let sealed = delivery(&site, "G-1", "format = \"csv\"\nseal = \"envelope\"");
    let to = reader.target("");
    reader
        .run("lockgate_open.py", sealed.folder(), "recipient", &to)
        .expect_code(0);
    let ours = site.beside().join("ours");
    let opened = site.json([
        "open".as_ref(),
        sealed.folder().as_os_str(),
        "--identity".as_ref(),
        site.private_key("recipient").as_os_str(),
        "--to".as_ref(),
        ours.as_os_str(),
    ]);
    opened.expect_code(0);
    let theirs = fs::read(reader.target("part-00000.csv")).expect("what Python opened");
    assert!(theirs.len() > 100_000);
    assert!(theirs == fs::read(ours.join("part-00000.csv")).expect("what we opened"));
    assert_eq!(reader.opened(), ["part-00000.csv"]);
}

#[test]
fn the_page_opens_no_envelope_that_was_altered_or_is_for_others() {
    let site = people::site(300);
    let Some(reader) = Reader::new(&site) else {
        return;
    };
    let sealed = delivery(&site, "G-1", "format = \"csv\"\nseal = \"envelope\"");
    site.pair("stranger", "recipient");
    let to = reader.target("");
    let refused = reader.run("lockgate_open.py", sealed.folder(), "stranger", &to);
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("not wrapped to this identity"),
        "{refused:?}"
    );
    let attempt = sealed.manifest()["attempt"].as_str().expect("an attempt");
    let keys = sealed.folder().join(attempt).join("keys.json");
    for file in [
        sealed.files()[0].clone(),
        keys,
        sealed.folder().join("manifest.json"),
    ] {
        let bytes = fs::read(&file).expect("a file");
        alter(&file);
        let refused = reader.run("lockgate_open.py", sealed.folder(), "recipient", &to);
        assert_ne!(refused.code, 0, "{}", file.display());
        assert_eq!(reader.opened(), Vec::<String>::new());
        fs::write(&file, bytes).expect("the file as it was");
    }
}

#[test]
fn the_page_opens_sealed_parquet() {
    let site = people::site(3000);
    let Some(reader) = Reader::new(&site) else {
        return;
    };
    let sealed = delivery(&site, "G-1", "seal = \"parquet\"");
    let to = reader.target("table.parquet");
    reader
        .run("lockgate_parquet.py", sealed.folder(), "recipient", &to)
        .expect_code(0);
    let ours = site.beside().join("ours");
    site.json([
        "open".as_ref(),
        sealed.folder().as_os_str(),
        "--identity".as_ref(),
        site.private_key("recipient").as_os_str(),
        "--to".as_ref(),
        ours.as_os_str(),
    ])
    .expect_code(0);
    let rows = |path: &Path| {
        let file = fs::File::open(path).expect("a file");
        let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("plain Parquet");
        let batches = builder.with_batch_size(10_000).build().expect("a reader");
        let batches: Vec<_> = batches.map(|batch| batch.expect("rows")).collect();
        arrow::compute::concat_batches(&batches[0].schema(), &batches).expect("rows")
    };
    let theirs = rows(&to);
    assert_eq!(theirs.num_rows(), 3000);
    assert_eq!(
        theirs.columns(),
        rows(&ours.join("part-00000.parquet")).columns()
    );
}
