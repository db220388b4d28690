//! Small deliveries, sealed in every way, and everything that must leave nothing behind.

use std::fs;

use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use lockgate_connectors::format::parquet::encryption::{Leaf, encryption_properties};
use lockgate_connectors::keyring::{PairKind, PublicKey, read_private, write_pair};
use lockgate_connectors::seal::envelope::EnvelopeWriter;
use lockgate_connectors::seal::{Kek, SealContext};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::{ObjectStoreExt as _, PutPayload};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use tempfile::TempDir;

use super::*;
use crate::digest::sha256_hex;
use crate::manifest::tests::{ATTEMPT, key, manifest};
use crate::manifest::{FILE_NAME, KeyFileStatement, SealStatement};

const CSV: &[u8] = "\u{feff}name,phone\r\n王*,138****0000\r\n".as_bytes();

/// A recipient with a store of deliveries, and a directory to open them into.
struct Recipient {
    directory: TempDir,
    public: PublicKey,
    identity: PrivateKey,
    store: Arc<dyn ObjectStore>,
    folder: Path,
}

/// A file of a delivery: its name, its bytes, its rows.
type Part = (String, Vec<u8>, u64);

impl Recipient {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let outbox = directory.path().join("outbox");
        fs::create_dir(&outbox).unwrap();
        let store = LocalFileSystem::new_with_prefix(&outbox).unwrap();
        Self::with(directory, Arc::new(store))
    }

    fn with(directory: TempDir, store: Arc<dyn ObjectStore>) -> Self {
        let pair = write_pair(directory.path(), "a", PairKind::Recipient).unwrap();
        Self {
            public: pair.key,
            identity: read_private(&pair.private).unwrap(),
            store,
            folder: Path::from("G-2026-0117/delivery"),
            directory,
        }
    }

    fn to(&self) -> std::path::PathBuf {
        self.directory.path().join("opened")
    }

    /// What stands in the directory opened into.
    fn opened(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.to()) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    async fn put(&self, relative: &str, bytes: &[u8]) {
        let location = Path::from(format!("{}/{relative}", self.folder));
        let payload = PutPayload::from(bytes.to_vec());
        self.store.put(&location, payload).await.unwrap();
    }

    async fn get(&self, relative: &str) -> Vec<u8> {
        let location = Path::from(format!("{}/{relative}", self.folder));
        let found = self.store.get(&location).await.unwrap();
        found.bytes().await.unwrap().to_vec()
    }

    /// Publishes files under a manifest that says they are sealed so.
    async fn publish(&self, parts: &[Part], seal: SealStatement) {
        let mut stated = manifest();
        stated.files = parts
            .iter()
            .map(|(name, bytes, rows)| FileStatement {
                path: format!("{ATTEMPT}/{name}"),
                bytes: u64::try_from(bytes.len()).unwrap(),
                rows: *rows,
                sha256: sha256_hex(bytes),
            })
            .collect();
        if parts.iter().any(|(name, ..)| name.ends_with(".parquet")) {
            let mut count = stated.fields[0].clone();
            "count".clone_into(&mut count.name);
            "int64".clone_into(&mut count.data_type);
            stated.fields.push(count);
        }
        stated.seal = seal;
        for (name, bytes, _) in parts {
            self.put(&format!("{ATTEMPT}/{name}"), bytes).await;
        }
        let signed = stated.sign(&key(1)).unwrap();
        self.put(FILE_NAME, &signed).await;
    }

    /// Puts a key file of that context, and states how files are sealed with it.
    async fn seal(&self, kind: &str, context: &SealContext, release: &str) -> SealStatement {
        let keys = context.key_file(&[self.public]).unwrap();
        let keys = match release {
            "online" => KeyFile::online(context.binding()),
            _ => keys,
        };
        let bytes = keys.to_bytes().unwrap();
        let path = format!("{ATTEMPT}/keys.json");
        self.put(&path, &bytes).await;
        let prefix = format!("lockgate/{}/{ATTEMPT}/{{file}}", manifest().delivery);
        SealStatement {
            kind: kind.to_owned(),
            suite: Some(context.suite().to_string()),
            release: Some(release.to_owned()),
            keys: Some(KeyFileStatement {
                path,
                bytes: u64::try_from(bytes.len()).unwrap(),
                sha256: sha256_hex(&bytes),
            }),
            aad_prefix: (kind == "parquet").then_some(prefix),
        }
    }

    async fn open(&self) -> Result<Opened, RunError> {
        self.open_with(Some(&self.identity), None).await
    }

    async fn open_with(
        &self,
        identity: Option<&PrivateKey>,
        release: Option<&[u8]>,
    ) -> Result<Opened, RunError> {
        let keys = [key(1).verifying_key()];
        let to = self.to();
        let opening = Opening {
            store: &self.store,
            folder: &self.folder,
            manifest_keys: &keys,
            ledger_keys: None,
            identity,
            release,
            to: &to,
        };
        Box::pin(open_delivery(&opening)).await
    }

    /// Opens a delivery that must not open, and leave nothing.
    async fn refused(&self) -> Vec<VerifyProblem> {
        let outcome = self.open().await;
        assert_eq!(self.opened(), Vec::<String>::new());
        match outcome.unwrap() {
            Opened::Files(_) => panic!("it was opened"),
            Opened::Unverified(report) => {
                assert!(!report.valid);
                report.problems
            }
        }
    }
}

fn context(suite: Suite) -> SealContext {
    let stated = manifest();
    let binding = Binding::new(suite, &stated.delivery, ATTEMPT, &stated.recipient).unwrap();
    SealContext::new(binding, Kek::draw().unwrap()).unwrap()
}

fn envelope(context: &SealContext, name: &str, content: &[u8], rows: u64) -> Part {
    let mut writer = EnvelopeWriter::new(Vec::new(), context, name).unwrap();
    writer.write_all(content).unwrap();
    (name.to_owned(), writer.finish().unwrap(), rows)
}

fn batch() -> RecordBatch {
    let names = ["王*", "李*", "", "张*", "赵*", "钱*", "孙*"].map(Some);
    let columns: [(&str, ArrayRef); 2] = [
        ("姓名", Arc::new(StringArray::from(names.to_vec()))),
        ("count", Arc::new(Int64Array::from_iter_values(0..7))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A sealed file of three row groups.
fn parquet(context: &SealContext, name: &str) -> Part {
    parquet_in_groups(context, name, 3)
}

fn parquet_in_groups(context: &SealContext, name: &str, group_rows: usize) -> Part {
    let leaf = |path, has_own_key| Leaf { path, has_own_key };
    let leaves = [leaf("姓名", true), leaf("count", false)];
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .with_file_encryption_properties(encryption_properties(context, name, &leaves).unwrap())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), batch().schema(), Some(properties)).unwrap();
    writer.write(&batch()).unwrap();
    (name.to_owned(), writer.into_inner().unwrap(), 7)
}

/// A delivery of two files in envelopes.
async fn in_envelopes(recipient: &Recipient, suite: Suite) {
    let context = context(suite);
    let parts = [
        envelope(&context, "part-00000.csv.gdx", CSV, 5),
        envelope(&context, "part-00001.csv.gdx", b"", 2),
    ];
    let seal = recipient.seal("envelope", &context, "offline").await;
    recipient.publish(&parts, seal).await;
}

fn report(opened: Opened) -> OpenReport {
    match opened {
        Opened::Files(report) => report,
        Opened::Unverified(report) => panic!("{:?}", report.problems),
    }
}

#[tokio::test]
async fn envelopes_become_the_files_they_hold() {
    use std::os::unix::fs::PermissionsExt as _;

    for &suite in Suite::all() {
        let recipient = Recipient::new();
        in_envelopes(&recipient, suite).await;
        let report = report(recipient.open().await.unwrap());
        assert_eq!(recipient.opened(), ["part-00000.csv", "part-00001.csv"]);
        let path = recipient.to().join("part-00000.csv");
        assert_eq!(fs::read(&path).unwrap(), CSV);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert_eq!(report.rows, 7);
        assert_eq!(report.files[0].bytes, u64::try_from(CSV.len()).unwrap());
        assert!(report.notes.iter().all(|note| !note.contains("sealed")));
        assert!(report.notes.iter().any(|note| note.contains("not counted")));
    }
}

#[tokio::test]
async fn a_delivery_elsewhere_opens_as_one_here() {
    let directory = TempDir::new().unwrap();
    let recipient = Recipient::with(directory, Arc::new(InMemory::new()));
    in_envelopes(&recipient, Suite::default()).await;
    report(recipient.open().await.unwrap());
    assert_eq!(
        fs::read(recipient.to().join("part-00000.csv")).unwrap(),
        CSV
    );
}

#[tokio::test]
async fn sealed_parquet_becomes_plain_parquet_of_the_same_values() {
    let recipient = Recipient::new();
    let context = context(Suite::default());
    let seal = recipient.seal("parquet", &context, "offline").await;
    recipient
        .publish(&[parquet(&context, "part-00000.parquet")], seal)
        .await;
    report(recipient.open().await.unwrap());
    assert_eq!(recipient.opened(), ["part-00000.parquet"]);
    let file = File::open(recipient.to().join("part-00000.parquet")).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    assert_eq!(builder.metadata().num_row_groups(), 3);
    let batches: Vec<RecordBatch> = builder.build().unwrap().map(Result::unwrap).collect();
    let opened = arrow::compute::concat_batches(&batch().schema(), &batches).unwrap();
    assert_eq!(opened.columns(), batch().columns());
}

#[tokio::test]
async fn what_is_not_sealed_is_copied_and_needs_no_identity() {
    let recipient = Recipient::new();
    recipient
        .publish(
            &[("part-00000.csv".to_owned(), CSV.to_vec(), 7)],
            SealStatement::none(),
        )
        .await;
    report(recipient.open_with(None, None).await.unwrap());
    assert_eq!(
        fs::read(recipient.to().join("part-00000.csv")).unwrap(),
        CSV
    );
}

/// Changes the bytes of key file and first part one by one. (That every byte of manifests, releases,
/// receipts, disposal records and the ledger counts is tested where each is read; of the manifest here
/// only that what is found there keeps a delivery from being opened.)
async fn every_byte_counts(recipient: &Recipient, part: &str) {
    for (file, step) in [
        (FILE_NAME.to_owned(), 41),
        (format!("{ATTEMPT}/keys.json"), 1),
        (format!("{ATTEMPT}/{part}"), 1),
    ] {
        let bytes = recipient.get(&file).await;
        for position in (0..bytes.len()).step_by(step) {
            let mut altered = bytes.clone();
            altered[position] ^= 1;
            recipient.put(&file, &altered).await;
            assert!(
                !recipient.refused().await.is_empty(),
                "{file}, byte {position}"
            );
        }
        recipient.put(&file, &bytes).await;
    }
    report(recipient.open().await.unwrap());
}

/// A recipient whose deliveries are in memory, for tests that read them some thousand times.
fn in_memory() -> Recipient {
    Recipient::with(TempDir::new().unwrap(), Arc::new(InMemory::new()))
}

#[tokio::test]
async fn every_byte_of_a_small_delivery_in_envelopes_counts() {
    let recipient = in_memory();
    in_envelopes(&recipient, Suite::default()).await;
    every_byte_counts(&recipient, "part-00000.csv.gdx").await;
}

#[tokio::test]
async fn every_byte_of_a_small_delivery_of_sealed_parquet_counts() {
    let recipient = in_memory();
    let context = context(Suite::default());
    let seal = recipient.seal("parquet", &context, "offline").await;
    let part = parquet_in_groups(&context, "part-00000.parquet", 7);
    recipient.publish(&[part], seal).await;
    every_byte_counts(&recipient, "part-00000.parquet").await;
}

#[tokio::test]
async fn a_plain_file_under_a_manifest_that_says_sealed_is_refused() {
    let recipient = Recipient::new();
    let context = context(Suite::default());
    for (kind, name) in [
        ("envelope", "part-00000.csv.gdx"),
        ("parquet", "part-00000.parquet"),
    ] {
        let seal = recipient.seal(kind, &context, "offline").await;
        recipient
            .publish(&[(name.to_owned(), CSV.to_vec(), 7)], seal)
            .await;
        recipient.refused().await;
    }
}

#[tokio::test]
async fn a_sealed_file_under_a_manifest_that_says_plain_is_refused() {
    let recipient = Recipient::new();
    let context = context(Suite::default());
    let (_, bytes, _) = envelope(&context, "part-00000.csv.gdx", CSV, 7);
    for name in ["part-00000.csv.gdx", "part-00000.csv"] {
        let parts = [(name.to_owned(), bytes.clone(), 7)];
        recipient.publish(&parts, SealStatement::none()).await;
        let problems = recipient.refused().await;
        assert!(problems[0].what.contains("it is sealed"), "{problems:?}");
    }
}

#[tokio::test]
async fn one_file_that_does_not_open_keeps_all_others_back() {
    let recipient = Recipient::new();
    let context = context(Suite::default());
    // The site sealed the second file as another: its hash is right, and it doesn't open.
    let (_, bytes, _) = envelope(&context, "part-00007.csv.gdx", CSV, 3);
    let parts = [
        envelope(&context, "part-00000.csv.gdx", CSV, 4),
        ("part-00001.csv.gdx".to_owned(), bytes, 3),
    ];
    let seal = recipient.seal("envelope", &context, "offline").await;
    recipient.publish(&parts, seal).await;
    let problems = recipient.refused().await;
    assert_eq!(problems[0].path, format!("{ATTEMPT}/part-00001.csv.gdx"));
}

#[tokio::test]
async fn keys_of_another_delivery_open_nothing() {
    let recipient = Recipient::new();
    let other = context(Suite::default());
    let own = context(Suite::default());
    let seal = recipient.seal("envelope", &other, "offline").await;
    recipient
        .publish(&[envelope(&own, "part-00000.csv.gdx", CSV, 7)], seal)
        .await;
    recipient.refused().await;
}

#[tokio::test]
async fn another_identity_is_a_mistake_of_whoever_gave_it() {
    let recipient = Recipient::new();
    in_envelopes(&recipient, Suite::default()).await;
    let stranger = write_pair(recipient.directory.path(), "b", PairKind::Recipient).unwrap();
    let approver = write_pair(recipient.directory.path(), "c", PairKind::Approver).unwrap();
    for private in [stranger.private, approver.private] {
        let identity = read_private(&private).unwrap();
        let error = recipient
            .open_with(Some(&identity), None)
            .await
            .unwrap_err();
        assert_eq!(error.exit_code(), crate::error::exit::INVALID, "{error}");
    }
    let error = recipient.open_with(None, None).await.unwrap_err();
    assert_eq!(error.exit_code(), crate::error::exit::INVALID);
    assert!(recipient.opened().is_empty());
}

#[tokio::test]
async fn a_file_that_is_there_is_never_overwritten() {
    let recipient = Recipient::new();
    in_envelopes(&recipient, Suite::default()).await;
    fs::create_dir(recipient.to()).unwrap();
    let mine = recipient.to().join("part-00001.csv");
    fs::write(&mine, "mine").unwrap();
    let error = recipient.open().await.unwrap_err();
    assert!(error.to_string().contains("never overwritten"), "{error}");
    assert_eq!(recipient.opened(), ["part-00001.csv"]);
    assert_eq!(fs::read(&mine).unwrap(), b"mine");
}

#[tokio::test]
async fn keys_released_online_need_a_release_document() {
    let recipient = Recipient::new();
    let context = context(Suite::default());
    let seal = recipient.seal("envelope", &context, "online").await;
    recipient
        .publish(&[envelope(&context, "part-00000.csv.gdx", CSV, 7)], seal)
        .await;
    let error = recipient.open().await.unwrap_err();
    assert!(error.to_string().contains("lockgate release"), "{error}");
    assert_eq!(error.exit_code(), crate::error::exit::INVALID);
    let error = recipient
        .open_with(Some(&recipient.identity), Some(b"{}"))
        .await
        .unwrap_err();
    assert_eq!(error.exit_code(), crate::error::exit::INVALID);
    assert!(recipient.opened().is_empty());
}
