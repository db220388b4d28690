use std::time::Duration;

use object_store::memory::InMemory;

use super::*;
use crate::error::ErrorClass;
use crate::store::StoreConfig;

async fn objects(files: &[(&str, &str)]) -> (Arc<dyn ObjectStore>, Store) {
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for &(path, text) in files {
        objects
            .put(&Path::from(path), text.to_owned().into())
            .await
            .unwrap();
    }
    let store = Store::over(Arc::clone(&objects), "s3://bucket/lake", Path::from("lake"));
    (objects, store)
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot
        .files
        .iter()
        .map(|file| file.path.as_str())
        .collect()
}

#[tokio::test]
async fn listings_are_sorted_and_skip_what_writers_hide() {
    let (_, store) = objects(&[
        ("lake/d/b.csv", "1"),
        ("lake/d/a/z.csv", "2"),
        ("lake/d/a-b.csv", "3"),
        ("lake/d/B.csv", "4"),
        ("lake/d/_temporary/x.csv", "5"),
        ("lake/d/.x.csv", "6"),
        ("lake/d/.csv", "7"),
        ("lake/d/x.parquet", "8"),
        ("lake/d.csv", "9"),
        ("lake/dd/x.csv", "10"),
    ])
    .await;
    let snapshot = list_files(&store, "d/", "csv").await.unwrap();
    assert_eq!(
        paths(&snapshot),
        ["d/B.csv", "d/a-b.csv", "d/a/z.csv", "d/b.csv"]
    );
    let one = list_files(&store, "d.csv", "csv").await.unwrap();
    assert_eq!(paths(&one), ["d.csv"]);
    let error = list_files(&store, "none/", "csv").await.unwrap_err();
    assert!(matches!(error, ConnectorError::NoFiles { .. }));
    let error = list_files(&store, "none.csv", "csv").await.unwrap_err();
    assert!(matches!(error, ConnectorError::NotFound { .. }));
}

#[tokio::test]
async fn a_snapshot_serialises_as_what_pins_it() {
    let tagged = SourceFile {
        path: "a".to_owned(),
        size: 3,
        etag: Some("\"t\"".to_owned()),
        modified_ns: 1,
    };
    let timed = SourceFile {
        path: "b".to_owned(),
        size: 4,
        etag: None,
        modified_ns: 1_764_000_000_123_456_789,
    };
    let text = serde_json::to_string(&Snapshot {
        files: vec![tagged, timed],
    })
    .unwrap();
    assert_eq!(
        text,
        r#"{"files":[{"path":"a","size":3,"etag":"\"t\""},{"path":"b","size":4,"modified_ns":"1764000000123456789"}]}"#
    );
}

#[tokio::test]
async fn a_pinned_store_reads_listed_files_as_listed_and_nothing_else() {
    let (objects, store) = objects(&[("lake/d/a.csv", "0123456789"), ("lake/d/b.txt", "x")]).await;
    let snapshot = list_files(&store, "d/", "csv").await.unwrap();
    let pinned = PinnedStore::new(&store, &snapshot).unwrap();
    let listed = Path::from("lake/d/a.csv");
    assert_eq!(pinned.get_range(&listed, 2..4).await.unwrap(), "23");
    assert!(pinned.get(&Path::from("lake/d/b.txt")).await.is_err());
    assert!(pinned.put(&listed, "x".into()).await.is_err());
    confirm_unchanged(&store, &snapshot).await.unwrap();

    objects.put(&listed, "9876543210".into()).await.unwrap();
    let error = pinned.get_range(&listed, 2..4).await.unwrap_err();
    assert!(
        matches!(error, object_store::Error::Precondition { .. }),
        "{error}"
    );
    let error = confirm_unchanged(&store, &snapshot).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
    objects.delete(&listed).await.unwrap();
    let error = confirm_unchanged(&store, &snapshot).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
}

#[tokio::test]
async fn long_ranges_are_put_together_from_pieces() {
    let text: String = (0..3_000_000)
        .map(|number| format!("{number:07} "))
        .collect();
    let (_, store) = objects(&[("lake/a.csv", &text)]).await;
    let snapshot = list_files(&store, "a.csv", "csv").await.unwrap();
    let pinned = PinnedStore::new(&store, &snapshot).unwrap();
    let ranges = [3..20_000_003_u64, 23_000_000..23_000_010];
    let read = pinned
        .get_ranges(&Path::from("lake/a.csv"), &ranges)
        .await
        .unwrap();
    assert_eq!(read[0], text.as_bytes()[3..20_000_003]);
    assert_eq!(read[1], text.as_bytes()[23_000_000..23_000_010]);
}

#[cfg(unix)]
#[tokio::test]
async fn local_links_must_stay_in_the_store() {
    use std::os::unix::fs::symlink;
    let site = tempfile::tempdir().unwrap();
    let root = site.path().join("lake");
    std::fs::create_dir_all(root.join("d")).unwrap();
    std::fs::write(root.join("a.csv"), "x").unwrap();
    std::fs::write(site.path().join("secret.csv"), "x").unwrap();
    let store = Store::open(&StoreConfig::new("lake", site.path())).unwrap();
    symlink(root.join("a.csv"), root.join("d/inside.csv")).unwrap();
    assert_eq!(
        paths(&list_files(&store, "d/", "csv").await.unwrap()),
        ["d/inside.csv"]
    );
    symlink(site.path().join("secret.csv"), root.join("d/outside.csv")).unwrap();
    let error = list_files(&store, "d/", "csv").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Config);
    assert!(list_files(&store, "d/outside.csv", "csv").await.is_err());
    std::fs::remove_file(root.join("d/outside.csv")).unwrap();
    symlink(&root, root.join("d/loop")).unwrap();
    let error = list_files(&store, "d/", "csv").await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Config);
}

#[tokio::test]
async fn a_dead_endpoint_is_reported_soon_and_without_keys() {
    let config = StoreConfig {
        endpoint: Some("http://127.0.0.1:9".to_owned()),
        access_key_id: Some("AKIAX".to_owned().into()),
        secret_access_key: Some("hunter2".to_owned().into()),
        allow_http: true,
        ..StoreConfig::new("s3://bucket/lake", "/")
    };
    let store = Store::open(&config).unwrap();
    let listing = list_files(&store, "d/", "csv");
    let error = tokio::time::timeout(Duration::from_secs(30), listing)
        .await
        .unwrap()
        .unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable);
    let text = error.to_string();
    assert!(text.contains("refused"), "{text}");
    assert!(
        !text.contains("AKIAX") && !text.contains("hunter2"),
        "{text}"
    );
}
