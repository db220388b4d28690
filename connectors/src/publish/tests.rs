use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;

use super::conformance::{self, Subject};
use super::*;
use crate::error::ErrorClass;

const GRANT: &str = "G-1";
const DELIVERY: &str = "0123456789abcdef0123456789abcdef";

fn local(root: &std::path::Path) -> Destination {
    Destination {
        url: "file:///test".to_owned(),
        place: Place::Local(Local::new(root)),
    }
}

async fn attempt(root: &std::path::Path) -> Attempt {
    local(root).begin(GRANT, DELIVERY).await.unwrap()
}

fn named(manifest: &[u8]) -> Option<String> {
    String::from_utf8(manifest.to_vec()).ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_a_destination() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("not/yet/there");
    let objects = LocalFileSystem::new();
    let prefix = ObjectPath::from_absolute_path(&root).unwrap();
    let destination = local(&root);
    destination.probe_conditional_create().await.unwrap();
    assert!(!root.exists(), "the probe makes no destination");
    let first = destination.begin(GRANT, DELIVERY).await.unwrap();
    first.discard().await.unwrap();
    let subject = Subject {
        destination: &destination,
        objects: &objects,
        prefix: &prefix,
    };
    conformance::all(subject).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_store_is_a_destination() {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let prefix = ObjectPath::from("out/box");
    let remote = Remote::new(Arc::clone(&objects), prefix.clone(), "s3://bucket/out/box");
    let destination = Destination {
        url: "s3://bucket/out/box".to_owned(),
        place: Place::Remote(remote),
    };
    conformance::all(Subject {
        destination: &destination,
        objects: &objects,
        prefix: &prefix,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_changed_on_the_way_to_the_disk_is_found() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let mut part = attempt.part(0, "parquet").unwrap();
    let content: Vec<u8> = vec![b'a'; 3 << 20];
    part.write_all(&content).unwrap();
    let path = directory
        .path()
        .join(GRANT)
        .join(DELIVERY)
        .join(attempt.id());
    let path = path.join("part-00000.parquet");
    let mut damaged = fs::read(&path).unwrap();
    damaged[1_000_000] ^= 1;
    fs::write(&path, damaged).unwrap();
    let error = part.finish().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
    assert!(error.to_string().contains("part-00000.parquet"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_vanished_is_an_error_that_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let mut part = attempt.part(0, "parquet").unwrap();
    part.write_all(b"content").unwrap();
    fs::remove_dir_all(directory.path().join(GRANT)).unwrap();
    let error = part.finish().unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
    assert!(error.to_string().contains(attempt.id()), "{error}");
    let error = attempt.part(1, "parquet").unwrap_err();
    assert!(error.to_string().contains("part-00001.parquet"), "{error}");
    let error = attempt.publish(Bytes::from_static(b"m")).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Altered { .. }), "{error}");
    attempt.discard().await.unwrap();
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    let full = std::path::Path::new("/dev/full");
    let mut part =
        local::LocalPart::over(full, fs::OpenOptions::new().write(true).open(full).unwrap());
    let written = part.write_all(&vec![0; 4 << 20]);
    let error = written
        .and_then(|()| part.finish(4 << 20, &[0; 32]))
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Exhausted);
    assert!(error.to_string().contains("/dev/full"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_is_never_written_twice() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let _first = attempt.part(0, "csv.gz").unwrap();
    assert!(attempt.part(0, "csv.gz").is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_not_readable_by_everybody() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let mut part = attempt.part(0, "parquet").unwrap();
    part.write_all(b"content").unwrap();
    part.finish().unwrap();
    attempt.publish(Bytes::from_static(b"m")).await.unwrap();
    let delivery = directory.path().join(GRANT).join(DELIVERY);
    let attempt_folder = delivery.join(attempt.id());
    for path in [
        &delivery,
        &delivery.join(MANIFEST),
        &attempt_folder.join("part-00000.parquet"),
    ] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o027, 0, "{}", path.display());
    }
    let names: Vec<_> = fs::read_dir(attempt_folder).unwrap().collect();
    assert_eq!(names.len(), 1, "the unnamed manifest is gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn links_are_neither_followed_nor_swept() {
    let directory = tempfile::tempdir().unwrap();
    let (root, elsewhere) = (
        directory.path().join("out"),
        directory.path().join("elsewhere"),
    );
    let attempt = "0123456789abcdef";
    fs::create_dir_all(elsewhere.join(attempt)).unwrap();
    fs::write(elsewhere.join(attempt).join("precious"), "x").unwrap();
    fs::write(elsewhere.join(MANIFEST), "x").unwrap();
    fs::create_dir_all(root.join(GRANT)).unwrap();
    symlink(&elsewhere, root.join(GRANT).join(DELIVERY)).unwrap();
    let destination = local(&root);
    assert!(destination.begin(GRANT, DELIVERY).await.is_err());
    assert!(
        destination
            .existing_manifest(GRANT, DELIVERY)
            .await
            .is_err()
    );

    let other = "f".repeat(32);
    fs::create_dir_all(root.join(GRANT).join(&other).join(attempt)).unwrap();
    symlink(
        &elsewhere,
        root.join(GRANT).join(&other).join("aaaaaaaaaaaaaaaa"),
    )
    .unwrap();
    symlink(
        &elsewhere,
        root.join(GRANT).join(&other).join(attempt).join("link"),
    )
    .unwrap();
    fs::create_dir_all(root.join(GRANT).join(&other).join("not-an-attempt")).unwrap();
    let rules = Sweep {
        older_than: Duration::ZERO,
        now: Utc::now() + TimeDelta::days(1),
        running: &Default::default(),
        named: &named,
    };
    let swept = destination.sweep(GRANT, &rules).await.unwrap();
    assert_eq!(swept.len(), 1);
    assert_eq!(swept[0].attempt, attempt);
    assert!(elsewhere.join(attempt).join("precious").exists());
    assert!(
        root.join(GRANT)
            .join(&other)
            .join("not-an-attempt")
            .exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_probe_left_is_swept_once_it_is_old() {
    let directory = tempfile::tempdir().unwrap();
    let destination = local(directory.path());
    let probes = directory.path().join(PROBES);
    fs::create_dir(&probes).unwrap();
    let (left, other) = (probes.join("probe-0123-link"), probes.join("theirs"));
    for file in [&left, &other] {
        fs::write(file, b"").unwrap();
    }
    let running = BTreeSet::new();
    let rules = |now| Sweep {
        older_than: Duration::from_secs(3600),
        now,
        running: &running,
        named: &named,
    };
    let young = destination.sweep_probes(&rules(Utc::now())).await;
    assert_eq!((young.unwrap(), left.exists()), (0, true));
    let later = rules(Utc::now() + TimeDelta::hours(2));
    assert_eq!(destination.sweep_probes(&later).await.unwrap(), 1);
    assert!(!left.exists() && other.exists());
    fs::remove_file(&other).unwrap();
    destination.sweep_probes(&later).await.unwrap();
    assert!(!probes.exists(), "an empty folder says nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_side_by_side_do_not_fail_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let mut probing = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let destination = local(directory.path());
        probing.spawn(async move {
            for _ in 0..200 {
                destination.probe_conditional_create().await.unwrap();
            }
        });
    }
    probing.join_all().await;
    assert!(!directory.path().join(PROBES).exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_inside_an_attempt_is_not_removed() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let folder = directory
        .path()
        .join(GRANT)
        .join(DELIVERY)
        .join(attempt.id())
        .join("theirs");
    fs::create_dir(&folder).unwrap();
    attempt.discard().await.unwrap();
    assert!(folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_abandoned_while_publishing_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let attempt = attempt(directory.path()).await;
    let folder = directory
        .path()
        .join(GRANT)
        .join(DELIVERY)
        .join(attempt.id());
    attempt.settle(Outcome::Unknown); // as a dropped `publish` leaves it
    attempt.discard().await.unwrap();
    assert!(folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_lets_both_creates_through_is_refused() {
    let destination = remote(Careless(InMemory::new(), Creates::Replace));
    let error = destination.probe_conditional_create().await.unwrap_err();
    assert!(
        matches!(error, ConnectorError::NoConditionalCreate { .. }),
        "{error}"
    );
    assert_eq!(error.class(), ErrorClass::Config);
    assert!(error.to_string().contains("If-None-Match"), "{error}");
}

fn remote(objects: Careless) -> Destination {
    let objects = Arc::new(objects);
    let remote = Remote::new(objects, ObjectPath::default(), "s3://bucket");
    Destination {
        url: "s3://bucket".to_owned(),
        place: Place::Remote(remote),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_further_create_begins_once_it_is_withdrawn() {
    let destination = remote(Careless(InMemory::new(), Creates::Fail));
    let attempt = destination.begin(GRANT, DELIVERY).await.unwrap();
    let asked = Arc::new(AtomicU32::new(0));
    let counting = Arc::clone(&asked);
    let once: Arc<dyn Fn() -> bool + Send + Sync> =
        Arc::new(move || counting.fetch_add(1, Ordering::Relaxed) == 0);
    let error = attempt
        .publish_while(Bytes::from_static(b"m"), &once)
        .await
        .unwrap_err();
    // One create was sent, and what became of it nobody can say.
    assert!(matches!(error, ConnectorError::Unsettled { .. }), "{error}");
    assert_eq!(asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_is_not_answered_is_given_up_and_not_repeated_unasked() {
    let destination = remote(Careless(InMemory::new(), Creates::Hang));
    let attempt = destination.begin(GRANT, DELIVERY).await.unwrap();
    let began = Instant::now();
    let early: Arc<dyn Fn() -> bool + Send + Sync> =
        Arc::new(move || began.elapsed() < Duration::from_secs(1));
    let error = attempt
        .publish_while(Bytes::from_static(b"m"), &early)
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectorError::Unsettled { .. }), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// What a store does with a conditional create.
#[derive(Debug, Clone, Copy)]
enum Creates {
    /// Lets it through, whatever is there, as old S3 servers do.
    Replace,
    /// Fails, and says nothing of whether it was done.
    Fail,
    /// Doesn't answer.
    Hang,
}

/// A store that doesn't keep what `PutMode::Create` asks for.
#[derive(Debug)]
struct Careless(InMemory, Creates);

impl fmt::Display for Careless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Careless")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Careless {
    async fn put_opts(
        &self,
        location: &ObjectPath,
        payload: object_store::PutPayload,
        options: object_store::PutOptions,
    ) -> object_store::Result<object_store::PutResult> {
        let is_create = matches!(options.mode, object_store::PutMode::Create);
        match self.1 {
            Creates::Fail if is_create => Err(object_store::Error::Generic {
                store: "Careless",
                source: "no answer".into(),
            }),
            Creates::Hang if is_create => std::future::pending().await,
            Creates::Replace | Creates::Fail | Creates::Hang => {
                self.0.put_opts(location, payload, Default::default()).await
            }
        }
    }

    async fn put_multipart_opts(
        &self,
        location: &ObjectPath,
        options: object_store::PutMultipartOptions,
    ) -> object_store::Result<Box<dyn object_store::MultipartUpload>> {
        self.0.put_multipart_opts(location, options).await
    }

    async fn get_opts(
        &self,
        location: &ObjectPath,
        options: object_store::GetOptions,
    ) -> object_store::Result<object_store::GetResult> {
        self.0.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: futures::stream::BoxStream<'static, object_store::Result<ObjectPath>>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<ObjectPath>> {
        self.0.delete_stream(locations)
    }

    fn list(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> futures::stream::BoxStream<'static, object_store::Result<object_store::ObjectMeta>> {
        self.0.list(prefix)
    }

    async fn list_with_delimiter(
        &self,
        prefix: Option<&ObjectPath>,
    ) -> object_store::Result<object_store::ListResult> {
        self.0.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        from: &ObjectPath,
        to: &ObjectPath,
        options: object_store::CopyOptions,
    ) -> object_store::Result<()> {
        self.0.copy_opts(from, to, options).await
    }
}
