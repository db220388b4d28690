use std::io::Write as _;
use std::sync::Arc;

use bytes::Bytes;
use lockgate_connectors::publish::conformance::{self, Subject};
use lockgate_connectors::publish::{Attempt, Destination, Publication};
use lockgate_connectors::{ConnectorError, ErrorClass};
use object_store::path::Path;
use object_store::{Error, GetOptions, ObjectStore, ObjectStoreExt as _, PutMode, WriteMultipart};

use super::*;

const GRANT: &str = "G-1";
const DELIVERY: &str = "0123456789abcdef0123456789abcdef";

fn server() -> Server {
    Server::start(&["outbox"]).unwrap()
}

fn objects(server: &Server) -> Arc<dyn ObjectStore> {
    server.store("s3://outbox").unwrap().object_store()
}

fn destination(server: &Server) -> Destination {
    Destination::new(server.store("s3://outbox/deliveries").unwrap())
}

async fn write(attempt: &Attempt, size: usize) -> Result<(), ConnectorError> {
    let mut part = attempt.part(0, "parquet")?;
    let written = tokio::task::spawn_blocking(move || {
        let content = vec![7; size];
        // What went wrong with an upload may come out of the write or of the end.
        match content
            .chunks(1 << 20)
            .try_for_each(|piece| part.write_all(piece))
        {
            Ok(()) => part.finish().map(|_| ()),
            Err(error) => Err(*error
                .into_inner()
                .unwrap()
                .downcast::<ConnectorError>()
                .unwrap()),
        }
    });
    written.await.unwrap()
}

/// Files of the server other than objects and their attributes: open uploads.
fn open_uploads(server: &Server) -> usize {
    let names = std::fs::read_dir(server.root()).unwrap();
    names
        .filter(|entry| {
            let name = entry.as_ref().unwrap().file_name().into_string().unwrap();
            name.starts_with(".upload")
        })
        .count()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_a_destination() {
    let server = server();
    let store = server.store("s3://outbox/deliveries").unwrap();
    let destination = Destination::new(store.clone());
    let objects = store.object_store();
    let subject = Subject {
        destination: &destination,
        objects: &objects,
        prefix: store.prefix(),
    };
    conformance::all(subject).await;
    assert_eq!(open_uploads(&server), 0, "no upload is left open");
    assert!(
        server.faults().count(Operation::CompleteUpload) > 0,
        "large parts are uploads"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_concurrent_creates_exactly_one_wins() {
    let server = server();
    let objects = objects(&server);
    for round in 0..20 {
        let path = Path::from(format!("manifest-{round}.json"));
        let mut racing = JoinSet::new();
        for racer in 0..8_u8 {
            let (objects, path) = (Arc::clone(&objects), path.clone());
            racing.spawn(async move {
                let content = Bytes::from(vec![racer; 10_000]);
                objects
                    .put_opts(&path, content.into(), PutMode::Create.into())
                    .await
                    .map(|_| racer)
            });
        }
        let outcomes = racing.join_all().await;
        let won: Vec<u8> = outcomes
            .iter()
            .filter_map(|o| o.as_ref().ok().copied())
            .collect();
        assert_eq!(won.len(), 1);
        for lost in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(matches!(lost, Error::AlreadyExists { .. }), "{lost}");
        }
        let found = objects.get(&path).await.unwrap().bytes().await.unwrap();
        assert!(
            found.iter().all(|byte| *byte == won[0]),
            "the winner's content is there"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_object_fails_if_match() {
    let server = server();
    let objects = objects(&server);
    let path = Path::from("lake/residents.parquet");
    objects.put(&path, "first".into()).await.unwrap();
    let listed = objects
        .list_with_delimiter(Some(&Path::from("lake")))
        .await
        .unwrap()
        .objects;
    let e_tag = listed[0].e_tag.clone();
    assert_eq!(e_tag, objects.head(&path).await.unwrap().e_tag);
    let options = || GetOptions {
        if_match: e_tag.clone(),
        ..GetOptions::default()
    };
    let ranged = GetOptions {
        range: Some((1..3).into()),
        ..options()
    };
    let found = objects
        .get_opts(&path, ranged)
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    assert_eq!(found, "ir");
    objects.put(&path, "other".into()).await.unwrap();
    let error = objects.get_opts(&path, options()).await.unwrap_err();
    assert!(matches!(error, Error::Precondition { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn multipart_uploads_arrive_whole() {
    let server = server();
    let objects = objects(&server);
    let path = Path::from("large");
    let content: Vec<u8> = (0..=255).cycle().take(12_000_000).collect();
    let mut upload = WriteMultipart::new(objects.put_multipart(&path).await.unwrap());
    upload.write(&content);
    upload.finish().await.unwrap();
    assert_eq!(
        objects.get(&path).await.unwrap().bytes().await.unwrap(),
        content
    );
    assert_eq!(server.faults().count(Operation::UploadPart), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let server = server();
    let mut config = server.store_config("s3://outbox");
    config.secret_access_key = Some("another".to_owned().into());
    let destination = Destination::new(Store::open(&config).unwrap());
    let error = destination.probe_conditional_create().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    assert!(!error.to_string().contains(ACCESS_KEY_ID), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn passing_faults_are_retried() {
    let server = server();
    for operation in [
        Operation::BeginUpload,
        Operation::UploadPart,
        Operation::CompleteUpload,
        Operation::Create,
        Operation::Get,
        Operation::Head,
    ] {
        server.faults().inject(operation, 0, 1, Fault::Refuse);
    }
    let destination = destination(&server);
    let attempt = destination.begin(GRANT, DELIVERY).await.unwrap();
    write(&attempt, 20 << 20).await.unwrap();
    let published = attempt.publish(Bytes::from_static(b"m")).await.unwrap();
    assert_eq!(published, Publication::Published);
    assert_eq!(open_uploads(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_answer_is_lost_is_read_back() {
    let server = server();
    let destination = destination(&server);
    let attempt = destination.begin(GRANT, DELIVERY).await.unwrap();
    server
        .faults()
        .inject(Operation::Create, 0, 1, Fault::CutAnswer { after: 0 });
    let published = attempt.publish(Bytes::from_static(b"mine")).await.unwrap();
    assert_eq!(published, Publication::Published, "it was created, once");
    let later = destination.begin(GRANT, DELIVERY).await.unwrap();
    server
        .faults()
        .inject(Operation::Create, 0, 1, Fault::CutAnswer { after: 0 });
    let published = later.publish(Bytes::from_static(b"other")).await.unwrap();
    assert_eq!(
        published,
        Publication::AlreadyPublished(Bytes::from_static(b"mine"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_never_arrived_is_tried_again() {
    let server = server();
    let attempt = destination(&server).begin(GRANT, DELIVERY).await.unwrap();
    server.faults().inject(Operation::Create, 0, 2, Fault::Drop);
    let published = attempt.publish(Bytes::from_static(b"mine")).await.unwrap();
    assert_eq!(published, Publication::Published);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stays_unknown_is_not_reported_as_unpublished() {
    let server = server();
    let destination = destination(&server);
    let attempt = destination.begin(GRANT, DELIVERY).await.unwrap();
    write(&attempt, 10).await.unwrap();
    server
        .faults()
        .inject(Operation::Create, 0, 1, Fault::CutAnswer { after: 0 });
    server
        .faults()
        .inject(Operation::Create, 0, u64::MAX, Fault::Refuse);
    server
        .faults()
        .inject(Operation::Get, 0, u64::MAX, Fault::Refuse);
    let error = attempt
        .publish(Bytes::from_static(b"mine"))
        .await
        .unwrap_err();
    assert!(matches!(error, ConnectorError::Unsettled { .. }), "{error}");
    assert!(error.to_string().contains("manifest.json"), "{error}");
    attempt.discard().await.unwrap();
    server.faults().clear();
    // It had been created, and discarding left alone what it names.
    let found = destination
        .existing_manifest(GRANT, DELIVERY)
        .await
        .unwrap();
    assert_eq!(found, Some(Bytes::from_static(b"mine")));
    let prefix = Path::from(format!("deliveries/{GRANT}/{DELIVERY}"));
    let objects = objects(&server);
    let listed = objects.list_with_delimiter(Some(&prefix)).await.unwrap();
    assert_eq!(listed.common_prefixes.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_completed_without_an_answer_is_complete() {
    let server = server();
    let attempt = destination(&server).begin(GRANT, DELIVERY).await.unwrap();
    server.faults().inject(
        Operation::CompleteUpload,
        0,
        1,
        Fault::CutAnswer { after: 0 },
    );
    write(&attempt, 20 << 20).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_fails_is_aborted_and_named() {
    let server = server();
    let attempt = destination(&server).begin(GRANT, DELIVERY).await.unwrap();
    server
        .faults()
        .inject(Operation::UploadPart, 1, u64::MAX, Fault::Refuse);
    let error = write(&attempt, 64 << 20).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Unavailable, "{error}");
    assert!(error.to_string().contains("part-00000.parquet"), "{error}");
    attempt.discard().await.unwrap();
    assert_eq!(open_uploads(&server), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_byte_changed_in_the_store_is_found() {
    let server = server();
    let attempt = destination(&server).begin(GRANT, DELIVERY).await.unwrap();
    // The object is damaged between its upload and the reading back, which first is kept waiting.
    server.faults().inject(Operation::Get, 0, 1, Fault::Refuse);
    let name = format!(
        "deliveries/{GRANT}/{DELIVERY}/{}/part-00000.parquet",
        attempt.id()
    );
    let file = server.object_file("outbox", &name);
    let damage = std::thread::spawn(move || {
        let started = std::time::Instant::now();
        while std::fs::metadata(&file).is_err() && started.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        std::fs::write(&file, b"0123456780")
    });
    let mut part = attempt.part(0, "parquet").unwrap();
    let finished = tokio::task::spawn_blocking(move || {
        part.write_all(b"0123456789").unwrap();
        part.finish()
    });
    let error = finished.await.unwrap().unwrap_err();
    damage.join().unwrap().unwrap();
    assert_eq!(error.class(), ErrorClass::Integrity, "{error}");
    assert!(error.to_string().contains("SHA-256"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reading_cut_off_goes_on_where_it_stopped() {
    let server = server();
    let attempt = destination(&server).begin(GRANT, DELIVERY).await.unwrap();
    server
        .faults()
        .inject(Operation::Get, 0, 1, Fault::CutAnswer { after: 3_000_000 });
    write(&attempt, 6 << 20).await.unwrap();
    assert!(server.faults().count(Operation::Get) >= 2);
}
