//! A small real delivery, and every way of tampering with it that must be found.

use std::collections::BTreeMap;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use chrono::DateTime;
use futures::TryStreamExt as _;
use lockgate_connectors::format::write::{CsvForm, RowFormat};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use tempfile::TempDir;

use super::*;
use crate::digest::sha256_hex;
use crate::ledger::{Event, Ledger};
use crate::manifest::tests::{ATTEMPT, key, manifest};
use crate::manifest::{FILE_NAME, FieldStatement, FileStatement, FormStatement};

const FOLDER: &str = "outbox/G-2026-0117/0123456789abcdef0123456789abcdef";

fn columns() -> Vec<(&'static str, ArrayRef)> {
    let times = TimestampMicrosecondArray::from(vec![Some(1), None, Some(3), Some(4)]);
    vec![
        (
            "姓名",
            Arc::new(StringArray::from(vec![
                Some("王*"),
                None,
                Some("李*"),
                Some(""),
            ])),
        ),
        ("count", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))),
        ("at", Arc::new(times.with_timezone("Asia/Shanghai"))),
    ]
}

fn parquet(columns: Vec<(&'static str, ArrayRef)>, skip_arrow_schema: bool) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let options = ArrowWriterOptions::new().with_skip_arrow_metadata(skip_arrow_schema);
    let mut writer =
        ArrowWriter::try_new_with_options(&mut bytes, batch.schema(), options).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn field(name: &str, data_type: &str) -> FieldStatement {
    FieldStatement {
        name: name.to_owned(),
        data_type: data_type.to_owned(),
        ..manifest().fields[0].clone()
    }
}

/// A delivery of these files, with a real ledger behind its proof.
fn statement(files: &[(&str, &[u8], u64)]) -> Manifest {
    let mut stated = manifest();
    stated.fields = vec![
        field("姓名", "utf8"),
        field("count", "int64"),
        field("at", "timestamp(us, Asia/Shanghai)"),
    ];
    stated.files = files
        .iter()
        .map(|(name, bytes, rows)| FileStatement {
            path: format!("{ATTEMPT}/{name}"),
            bytes: u64::try_from(bytes.len()).unwrap(),
            rows: *rows,
            sha256: sha256_hex(bytes),
        })
        .collect();
    stated.rows.delivered = files.iter().map(|(_, _, rows)| rows).sum();
    stated.rows.read = stated.rows.delivered + stated.rows.filtered + stated.rows.rejected;
    let directory = TempDir::new().unwrap();
    let ledger = Ledger::open(directory.path(), key(2)).unwrap();
    let event = Event::ReleaseIntended {
        run: stated.run.clone(),
        delivery: stated.delivery.clone(),
        attempt: stated.attempt.clone(),
        grant: stated.grant.id.clone(),
        grant_version: stated.grant.version,
        plan_sha256: stated.plan_sha256.clone(),
        destination: "file:///outbox".to_owned(),
        rows: stated.rows.delivered,
        config: BTreeMap::new(),
        join_groups: Vec::new(),
        cell_attempt: stated.cell_attempt.clone(),
        about: None,
    };
    let at = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    stated.ledger = ledger.append(&event, at).unwrap().proof;
    stated
}

struct Delivery {
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

impl Delivery {
    async fn publish(
        store: Arc<dyn ObjectStore>,
        stated: &Manifest,
        files: &[(&str, &[u8], u64)],
    ) -> Self {
        let delivery = Self {
            store,
            folder: Path::from(FOLDER),
        };
        for (name, bytes, _) in files {
            delivery.put(&format!("{ATTEMPT}/{name}"), bytes).await;
        }
        delivery
            .put(FILE_NAME, &stated.sign(&key(1)).unwrap())
            .await;
        delivery
    }

    async fn put(&self, relative: &str, bytes: &[u8]) {
        let location = Path::from(format!("{FOLDER}/{relative}"));
        self.store
            .put(&location, PutPayload::from(bytes.to_vec()))
            .await
            .unwrap();
    }

    async fn get(&self, relative: &str) -> Vec<u8> {
        let location = Path::from(format!("{FOLDER}/{relative}"));
        self.store
            .get(&location)
            .await
            .unwrap()
            .bytes()
            .await
            .unwrap()
            .to_vec()
    }

    async fn delete(&self, relative: &str) {
        self.store
            .delete(&Path::from(format!("{FOLDER}/{relative}")))
            .await
            .unwrap();
    }

    async fn verify(&self) -> VerifyReport {
        let keys = [key(1).verifying_key()];
        let ledger_keys = [key(2).verifying_key()];
        verify_delivery(&self.store, &self.folder, &keys, Some(&ledger_keys))
            .await
            .unwrap()
    }

    async fn kinds(&self) -> Vec<VerifyProblemKind> {
        let report = self.verify().await;
        assert_eq!(report.valid, report.problems.is_empty());
        report.problems.iter().map(|problem| problem.kind).collect()
    }
}

/// Publishes one file with what the manifest states about it, and verifies it.
async fn verify_one(bytes: &[u8], rows: u64) -> Vec<VerifyProblemKind> {
    let files = [("part-00000.parquet", bytes, rows)];
    Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files)
        .await
        .kinds()
        .await
}

#[tokio::test]
async fn a_delivery_is_valid_on_local_and_other_stores() {
    let (first, second) = (parquet(columns(), false), parquet(columns(), true));
    let files = [
        ("part-00000.parquet", &first[..], 4),
        ("part-00001.parquet", &second[..], 4),
    ];
    let stated = statement(&files);
    let directory = TempDir::new().unwrap();
    let stores: [Arc<dyn ObjectStore>; 2] = [
        Arc::new(InMemory::new()),
        Arc::new(LocalFileSystem::new_with_prefix(directory.path()).unwrap()),
    ];
    for store in stores {
        let report = Delivery::publish(store, &stated, &files)
            .await
            .verify()
            .await;
        assert_eq!(report.problems, []);
        assert_eq!(report.notes, Vec::<String>::new());
        assert!(report.valid);
        assert_eq!((report.files, report.rows), (2, 8));
        assert_eq!(report.grant.as_deref(), Some("G-2026-0117"));
    }
}

#[tokio::test]
async fn a_folder_without_manifest_is_no_delivery() {
    let delivery = Delivery {
        store: Arc::new(InMemory::new()),
        folder: Path::from(FOLDER),
    };
    delivery
        .put(&format!("{ATTEMPT}/part-00000.parquet"), b"x")
        .await;
    assert_eq!(delivery.kinds().await, [VerifyProblemKind::NoDelivery]);
}

#[tokio::test]
async fn every_flipped_byte_of_the_delivery_is_found() {
    let bytes = parquet(columns(), false);
    let files = [("part-00000.parquet", &bytes[..], 4)];
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files).await;
    let part = format!("{ATTEMPT}/part-00000.parquet");
    for path in [FILE_NAME, part.as_str()] {
        let original = delivery.get(path).await;
        for position in 0..original.len() {
            let mut altered = original.clone();
            altered[position] ^= 1 << (position % 8);
            delivery.put(path, &altered).await;
            assert!(!delivery.verify().await.valid, "{path}, byte {position}");
        }
        for altered in [
            &original[..original.len() - 1],
            &[],
            &[&original[..], b"x"].concat(),
        ] {
            delivery.put(path, altered).await;
            assert!(!delivery.verify().await.valid, "{path}");
        }
        delivery.put(path, &original).await;
    }
    assert!(delivery.verify().await.valid);
}

#[tokio::test]
async fn missing_swapped_and_resized_files_are_told_apart() {
    let (first, mut other) = (parquet(columns(), false), columns());
    other[1].1 = Arc::new(Int64Array::from(vec![9, 9, 9, 9]));
    let second = parquet(other, true);
    let files = [
        ("part-00000.parquet", &first[..], 4),
        ("part-00001.parquet", &second[..], 4),
    ];
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files).await;
    let paths = [
        format!("{ATTEMPT}/part-00000.parquet"),
        format!("{ATTEMPT}/part-00001.parquet"),
    ];
    delivery.put(&paths[0], &second).await;
    delivery.delete(&paths[1]).await;
    assert_eq!(
        delivery.kinds().await,
        [VerifyProblemKind::Size, VerifyProblemKind::Missing]
    );
    let mut same_size = first.clone();
    same_size.rotate_left(1);
    delivery.put(&paths[0], &same_size).await;
    delivery.put(&paths[1], &second).await;
    assert_eq!(delivery.kinds().await, [VerifyProblemKind::Hash]);
}

#[tokio::test]
async fn another_manifest_or_ledger_key_is_refused() {
    let bytes = parquet(columns(), false);
    let files = [("part-00000.parquet", &bytes[..], 4)];
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files).await;
    let check = async |keys: u8, ledger: Option<u8>| {
        let ledger = ledger.map(|seed| [key(seed).verifying_key()]);
        let ledger = ledger.as_ref().map(|keys| keys.as_slice());
        verify_delivery(
            &delivery.store,
            &delivery.folder,
            &[key(keys).verifying_key()],
            ledger,
        )
        .await
        .unwrap()
    };
    assert_eq!(
        check(3, None).await.problems[0].kind,
        VerifyProblemKind::Manifest
    );
    assert_eq!(
        check(1, Some(3)).await.problems[0].kind,
        VerifyProblemKind::Ledger
    );
    // The ledger's checkpoint signed with the manifest's key is no checkpoint of the ledger.
    assert_eq!(
        check(1, Some(1)).await.problems[0].kind,
        VerifyProblemKind::Ledger
    );
    let unchecked = check(1, None).await;
    assert!(unchecked.valid && unchecked.notes[0].contains("ledger key"));
}

#[tokio::test]
async fn a_proof_of_another_release_is_refused() {
    let bytes = parquet(columns(), false);
    let files = [("part-00000.parquet", &bytes[..], 4)];
    let mut stated = statement(&files);
    let other = [("part-00000.parquet", &bytes[..], 5)];
    stated.ledger = statement(&other).ledger;
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &stated, &files).await;
    assert_eq!(delivery.kinds().await, [VerifyProblemKind::Ledger]);
    // Nor is another attempt of its cells that of the release.
    let stated = Manifest {
        cell_attempt: Some("0a".repeat(16)),
        ..statement(&files)
    };
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &stated, &files).await;
    assert_eq!(delivery.kinds().await, [VerifyProblemKind::Ledger]);
}

#[tokio::test]
async fn rows_and_fields_must_be_the_stated_ones() {
    use VerifyProblemKind::{Format, Rows, Schema};
    let whole = parquet(columns(), false);
    assert_eq!(verify_one(&whole, 4).await, []);
    assert_eq!(verify_one(&whole, 5).await, [Rows]);

    let mut more = columns();
    more.push(("extra", Arc::new(Int64Array::from(vec![1, 2, 3, 4]))));
    assert_eq!(verify_one(&parquet(more, false), 4).await, [Schema]);
    let mut fewer = columns();
    fewer.pop();
    assert_eq!(verify_one(&parquet(fewer, false), 4).await, [Schema]);
    let mut renamed = columns();
    renamed[1].0 = "Count";
    assert_eq!(verify_one(&parquet(renamed, false), 4).await, [Schema]);
    let mut swapped = columns();
    swapped.swap(0, 1);
    assert_eq!(verify_one(&parquet(swapped, false), 4).await, [Schema]);
    let mut retyped = columns();
    retyped[1].1 = Arc::new(arrow::array::Int32Array::from(vec![1, 2, 3, 4]));
    assert_eq!(verify_one(&parquet(retyped, false), 4).await, [Schema]);

    assert_eq!(verify_one(b"short", 4).await, [Format]);
    assert_eq!(verify_one(b"", 4).await, [Format]);
    assert_eq!(verify_one(b"not a parquet file at all", 4).await, [Format]);
    assert_eq!(verify_one(b"PAR1\xff\xff\xff\xffPAR1", 4).await, [Format]);
    assert_eq!(verify_one(b"PAR1\x00\x00\x00\x00PAR1", 4).await, [Format]);
}

#[tokio::test]
async fn a_mangled_footer_that_was_signed_is_a_finding_not_a_crash() {
    let whole = parquet(columns(), false);
    let footer = whole.len() - 8;
    for position in (footer - 300..footer).step_by(7) {
        for value in [0x00, 0x7f] {
            let mut altered = whole.clone();
            altered[position] = value;
            // Valid or not: no panic, no abort.
            verify_one(&altered, 4).await;
        }
    }
}

#[tokio::test]
async fn foreign_files_are_noted() {
    let bytes = parquet(columns(), false);
    let files = [("part-00000.parquet", &bytes[..], 4)];
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files).await;
    delivery
        .put("ffffffffffffffff/part-00000.parquet", b"loser")
        .await;
    delivery
        .put("manifest.pub", b"a key inside a delivery")
        .await;
    let report = delivery.verify().await;
    assert!(report.valid);
    assert_eq!(report.notes.len(), 1);
    assert!(
        report.notes[0].starts_with("2 files"),
        "{}",
        report.notes[0]
    );
    assert!(report.notes[0].contains("`ffffffffffffffff/part-00000.parquet`"));
    let listed: Vec<_> = delivery
        .store
        .list(Some(&delivery.folder))
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 4, "nothing was changed");
}

#[tokio::test]
async fn rows_of_other_formats_are_counted() {
    for (rows, content, problem) in [
        (1, b"a,b\n1,\"2\n3\"\n".as_slice(), None),
        (2, b"a,b\n1,\"2\n3\"\n", Some(VerifyProblemKind::Rows)),
        (1, b"a,b\n1,\"2\n", Some(VerifyProblemKind::Format)),
    ] {
        let files = [("part-00000.csv", content, rows)];
        let form = RowFormat::Csv(CsvForm::default());
        let stated = Manifest {
            form: Some(FormStatement::new(form, false, 0)),
            ..statement(&files)
        };
        let delivery = Delivery::publish(Arc::new(InMemory::new()), &stated, &files).await;
        let report = delivery.verify().await;
        let found = report.problems.first().map(|problem| problem.kind);
        assert_eq!(found, problem, "{:?}", report.problems);
        let is_counted = problem != Some(VerifyProblemKind::Format);
        let noted = report.notes.first();
        let is_noted = noted.is_some_and(|note| note.contains("Parquet and Arrow files only"));
        assert_eq!(is_noted, is_counted, "{:?}", report.notes);
    }
}

#[tokio::test]
async fn a_form_that_the_manifest_does_not_state_is_noted() {
    let files = [("part-00000.csv", b"a,b\n1,2\n".as_slice(), 1)];
    let delivery = Delivery::publish(Arc::new(InMemory::new()), &statement(&files), &files).await;
    let report = delivery.verify().await;
    assert!(report.valid);
    assert!(report.notes[0].contains("not counted"));
}
