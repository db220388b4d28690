//! Sources read over the protocol: whole, through faults, and never through a change.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, StringArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use lockgate_connectors::conformance::{read_all, source_conforms};
use lockgate_connectors::{CsvOptions, ErrorClass, Format, ReadRequest, SourceSpec, open_source};
use object_store::ObjectStoreExt as _;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;

const ROWS: i64 = 300_000;

fn fields() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
    ]))
}

/// About 20 MB in three row groups, so that long ranges are fetched in pieces.
fn parquet_file() -> Vec<u8> {
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS));
    let name = |id: i64| format!("{:016x}{id:048}", id.wrapping_mul(0x1E37_79B9_7F4A_7C15));
    let names: ArrayRef = Arc::new(StringArray::from_iter_values((0..ROWS).map(name)));
    let batch = RecordBatch::try_new(fields(), vec![ids, names]).unwrap();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_max_row_group_row_count(Some(140_000))
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), fields(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.into_inner().unwrap()
}

async fn put(server: &Server, key: &str, bytes: Vec<u8>) {
    let objects = server.store("s3://lake").unwrap().object_store();
    objects.put(&Path::from(key), bytes.into()).await.unwrap();
}

fn spec(server: &Server, path: &str, format: Format) -> SourceSpec {
    let store = server.store("s3://lake/in").unwrap();
    SourceSpec {
        store,
        path: path.to_owned(),
        format,
        fields: fields(),
    }
}

fn request() -> ReadRequest {
    let projection = vec!["id".to_owned(), "name".to_owned()];
    ReadRequest {
        projection,
        pruning: None,
        batch_rows: 16_384,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parquet_conforms_and_survives_faults() {
    let server = tokio::task::block_in_place(|| Server::start(&["lake"])).unwrap();
    put(&server, "in/people/a.parquet", parquet_file()).await;
    let spec = spec(&server, "people/", Format::Parquet);
    let source = open_source(spec.clone(), request()).await.unwrap();
    assert!(source.snapshot().files[0].etag.is_some());
    let whole = read_all(&*source, &request()).await.unwrap();
    assert_eq!(whole.rows.len(), 300_000);

    server.faults().inject(Operation::Get, 0, 1, Fault::Refuse);
    server.faults().inject(Operation::Get, 1, 1, Fault::Drop);
    server
        .faults()
        .inject(Operation::Get, 2, 1, Fault::CutAnswer { after: 100_000 });
    let again = read_all(&*source, &request()).await.unwrap();
    assert_eq!(again, whole);
    source.confirm_unchanged().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_conforms() {
    let server = tokio::task::block_in_place(|| Server::start(&["lake"])).unwrap();
    let text = "name,id\n\"中,文\",1\n,2\n";
    put(&server, "in/people/a.csv", text.into()).await;
    put(&server, "in/people/b/c.csv", text.into()).await;
    let spec = spec(&server, "people/", Format::Csv(CsvOptions::default()));
    let fields = fields();
    let content = source_conforms(&fields, |request| open_source(spec.clone(), request));
    assert_eq!(content.await.unwrap().rows.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_object_fails_the_run() {
    let server = tokio::task::block_in_place(|| Server::start(&["lake"])).unwrap();
    put(&server, "in/a.parquet", parquet_file()).await;
    let spec = spec(&server, "a.parquet", Format::Parquet);
    let source = open_source(spec, request()).await.unwrap();
    let mut replaced = parquet_file();
    let middle = replaced.len() / 2;
    replaced[middle] ^= 1;
    put(&server, "in/a.parquet", replaced).await;
    let error = read_all(&*source, &request()).await.unwrap_err();
    assert!(error.contains("s3://lake/in/a.parquet changed"), "{error}");
    let error = source.confirm_unchanged().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_keys_are_denied_and_not_shown() {
    let server = tokio::task::block_in_place(|| Server::start(&["lake"])).unwrap();
    let mut config = server.store_config("s3://lake/in");
    config.secret_access_key = Some("canary-of-a-wrong-secret".to_owned().into());
    let store = Store::open(&config).unwrap();
    let spec = SourceSpec {
        store,
        ..spec(&server, "people/", Format::Parquet)
    };
    let error = open_source(spec, request()).await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Denied, "{error}");
    assert!(!error.to_string().contains("canary"), "{error}");
    assert!(!error.to_string().contains(ACCESS_KEY_ID), "{error}");
}
