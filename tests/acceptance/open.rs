//! The recipient's opening of deliveries that the program made: the same rows as unsealed, files under
//! their own names, and nothing where anything is wrong.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use lockgate_acceptance::site::{Delivery, Finished, Site, finish};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::people::{self, FIELDS, grant};

const ROWS: usize = 700;

/// A site that delivered the register plain under `G-0` and as `delivery` says under `G-1`.
fn delivered(delivery: &str) -> (Site, Delivery) {
    let site = people::site(ROWS);
    site.signed(&grant("G-1", &FIELDS).delivery(delivery));
    let delivery = site.deliver("G-1");
    (site, delivery)
}

/// Opens a delivery as its recipient does: without the site, with the key obtained from it.
fn open(site: &Site, delivery: &Path, to: &Path, identity: &Path) -> Finished {
    let directory = tempfile::tempdir().expect("a place without a site");
    finish(
        site.command()
            .current_dir(directory.path())
            .args(["--json", "open"])
            .arg(delivery)
            .arg("--identity")
            .arg(identity)
            .arg("--key")
            .arg(site.path("keys/manifest.pub"))
            .arg("--to")
            .arg(to),
    )
}

fn names(directory: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(directory) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

fn rows(path: &Path) -> RecordBatch {
    let file = fs::File::open(path).expect("an opened file");
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).expect("plain Parquet");
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder
        .build()
        .expect("a reader")
        .map(|batch| batch.expect("rows"))
        .collect();
    concat_batches(&schema, &batches).expect("rows of one schema")
}

#[test]
fn sealed_parquet_opens_to_what_is_delivered_plain() {
    let (site, sealed) = delivered("seal = \"parquet\"");
    // The same keys, grant scope aside: a field whose treatment depends on the grant is left out.
    site.signed(&grant(
        "G-2",
        &["id", "name", "region", "status", "income", "birth", "seen"],
    ));
    let plain = site.deliver("G-2").rows();
    let to = site.beside().join("opened");
    let opened = open(&site, sealed.folder(), &to, &site.private_key("recipient"));
    let document = opened.expect_code(0).document();
    assert_eq!(document["rows"], ROWS);
    assert_eq!(names(&to), ["part-00000.parquet"]);
    let opened = rows(&to.join("part-00000.parquet"));
    assert_eq!(opened.num_rows(), ROWS);
    for name in ["id", "name", "region", "status", "income", "birth", "seen"] {
        assert_eq!(
            opened.column_by_name(name).expect("a column"),
            plain.column_by_name(name).expect("a column"),
            "{name}"
        );
    }
}

#[test]
fn an_envelope_opens_to_the_file_that_is_delivered_plain() {
    let fields = ["id", "name", "region", "status", "income", "birth", "seen"];
    let site = people::site(ROWS);
    site.signed(&grant("G-1", &fields).delivery("format = \"csv\"\nseal = \"envelope\""));
    site.signed(&grant("G-2", &fields).delivery("format = \"csv\"\nseal = \"none\""));
    let sealed = site.deliver("G-1");
    let plain = site.deliver("G-2");
    assert!(
        sealed.files()[0]
            .to_string_lossy()
            .ends_with("part-00000.csv.gdx")
    );
    let to = site.beside().join("opened");
    open(&site, sealed.folder(), &to, &site.private_key("recipient")).expect_code(0);
    assert_eq!(names(&to), ["part-00000.csv"]);
    let opened = fs::read(to.join("part-00000.csv")).expect("an opened file");
    assert!(opened == plain.bytes()[0], "the same bytes as unsealed");
    // A plain delivery is opened as a checked copy.
    let copied = site.beside().join("copied");
    open(
        &site,
        plain.folder(),
        &copied,
        &site.private_key("recipient"),
    )
    .expect_code(0);
    assert_eq!(
        fs::read(copied.join("part-00000.csv")).expect("a copy"),
        opened
    );
    // What is there is never overwritten.
    let again = open(&site, sealed.folder(), &to, &site.private_key("recipient"));
    again.expect_code(2);
    assert_eq!(
        fs::read(to.join("part-00000.csv")).expect("an opened file"),
        opened
    );
}

#[test]
fn another_recipients_key_opens_nothing() {
    let (site, sealed) = delivered("seal = \"parquet\"");
    site.pair("stranger", "recipient");
    let to = site.beside().join("opened");
    let refused = open(&site, sealed.folder(), &to, &site.private_key("stranger"));
    let document = refused.expect_code(2).document();
    let what = document["error"]["what"].as_str().expect("what is wrong");
    assert!(what.contains("not wrapped to this identity"), "{what}");
    assert_eq!(names(&to), Vec::<String>::new());
}

/// The files of a delivery, with a byte in the middle of each altered in turn.
fn altered(delivery: &Delivery) -> Vec<(PathBuf, usize)> {
    let attempt = delivery.manifest()["attempt"].as_str().expect("an attempt");
    let mut files = delivery.files();
    files.push(delivery.folder().join("manifest.json"));
    files.push(delivery.folder().join(attempt).join("keys.json"));
    let middle = |file: PathBuf| {
        let length = fs::metadata(&file).expect("a file").len();
        (file, usize::try_from(length / 2).expect("a small file"))
    };
    files.into_iter().map(middle).collect()
}

#[test]
fn an_altered_delivery_opens_to_nothing() {
    let (site, sealed) = delivered("seal = \"parquet\"");
    let to = site.beside().join("opened");
    let identity = site.private_key("recipient");
    for (file, position) in altered(&sealed) {
        let bytes = fs::read(&file).expect("a file of the delivery");
        let mut other = bytes.clone();
        other[position] ^= 1;
        fs::write(&file, &other).expect("an altered file");
        let refused = open(&site, sealed.folder(), &to, &identity);
        assert_eq!(refused.code, 4, "{}: {refused:?}", file.display());
        assert_eq!(refused.document()["valid"], false);
        assert_eq!(names(&to), Vec::<String>::new());
        fs::write(&file, &bytes[..position]).expect("a file cut off");
        open(&site, sealed.folder(), &to, &identity).expect_code(4);
        fs::write(&file, &bytes).expect("the file as it was");
    }
    open(&site, sealed.folder(), &to, &identity).expect_code(0);
}
