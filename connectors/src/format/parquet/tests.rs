use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, Decimal128Array, DictionaryArray, Float64Array, Int64Array,
    LargeStringArray, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::Operator;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{binary, col, is_null, lit};
use object_store::memory::InMemory;
use object_store::path::Path as ObjectPath;
use object_store::{ObjectStore, ObjectStoreExt};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

use super::*;
use crate::conformance::{Content, read_all, source_conforms};
use crate::error::ErrorClass;
use crate::format::Format;
use crate::source::open_source;
use crate::store::StoreConfig;

fn catalogue() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("name", DataType::Utf8, true),
        Field::new("money", DataType::Decimal128(12, 2), true),
        Field::new(
            "at",
            DataType::Timestamp(TimeUnit::Microsecond, Some("Asia/Shanghai".into())),
            true,
        ),
    ]))
}

fn column(array: impl arrow::array::Array + 'static) -> ArrayRef {
    Arc::new(array)
}

/// Rows `from..to`; every seventh name is null.
fn rows(from: i64, to: i64) -> RecordBatch {
    let name = |id: i64| (id % 7 != 0).then(|| format!("姓名 {id}"));
    let money = Decimal128Array::from_iter_values((from..to).map(i128::from));
    let at = TimestampMicrosecondArray::from_iter_values(from..to).with_timezone("UTC");
    RecordBatch::try_from_iter_with_nullable(vec![
        ("id", column(Int64Array::from_iter_values(from..to)), true),
        (
            "name",
            Arc::new((from..to).map(name).collect::<StringArray>()),
            true,
        ),
        (
            "money",
            Arc::new(money.with_precision_and_scale(12, 2).unwrap()),
            true,
        ),
        ("at", Arc::new(at), true),
    ])
    .unwrap()
}

fn write(path: &Path, batches: &[RecordBatch], group_rows: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group_rows))
        .build();
    let file = File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
    for batch in batches {
        writer.write(batch).unwrap();
    }
    writer.close().unwrap();
}

fn spec(root: &Path, path: &str, fields: SchemaRef) -> SourceSpec {
    let store = Store::open(&StoreConfig::new("file:lake", root)).unwrap();
    SourceSpec {
        store,
        path: path.to_owned(),
        format: Format::Parquet,
        fields,
    }
}

fn request(pruning: Option<Arc<dyn PhysicalExpr>>) -> ReadRequest {
    let projection = ["id", "name", "money", "at"].map(str::to_owned).to_vec();
    ReadRequest {
        projection,
        pruning,
        batch_rows: 1000,
    }
}

async fn open(
    root: &Path,
    pruning: Option<Arc<dyn PhysicalExpr>>,
) -> Result<Arc<dyn Source>, ConnectorError> {
    open_source(spec(root, "people/", catalogue()), request(pruning)).await
}

fn ids(content: &Content) -> Vec<i64> {
    content.columns[0]
        .as_primitive::<Int64Type>()
        .values()
        .to_vec()
}

fn compare(field: &str, operator: Operator, value: ScalarValue) -> Arc<dyn PhysicalExpr> {
    let schema = catalogue();
    binary(col(field, &schema).unwrap(), operator, lit(value), &schema).unwrap()
}

#[tokio::test]
async fn a_directory_conforms() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/b.parquet"),
        &[rows(5000, 5010)],
        100,
    );
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 5000)],
        700,
    );
    let content = source_conforms(&catalogue(), |request| {
        let spec = spec(site.path(), "people/", catalogue());
        async move { open_source(spec, request).await }
    })
    .await
    .unwrap();
    assert_eq!(ids(&content), (0..5010).collect::<Vec<_>>());
    assert_eq!(content.columns[1].null_count(), 716);
    assert_eq!(
        content.columns[3].data_type(),
        catalogue().field(3).data_type()
    );
}

#[tokio::test]
async fn an_object_store_conforms_and_notices_changes() {
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("a.parquet");
    write(&path, &[rows(0, 3000)], 700);
    let bytes = std::fs::read(&path).unwrap();
    let objects: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    for name in ["out/lake/people/x/1.parquet", "out/lake/people/2.parquet"] {
        objects
            .put(&ObjectPath::from(name), bytes.clone().into())
            .await
            .unwrap();
    }
    let store = Store::over(
        Arc::clone(&objects),
        "s3://bucket/out/lake",
        "out/lake".into(),
    );
    let spec = SourceSpec {
        store,
        ..spec(site.path(), "people/", catalogue())
    };
    let fields = catalogue();
    let content = source_conforms(&fields, |request| open_source(spec.clone(), request));
    assert_eq!(content.await.unwrap().rows.len(), 6000);

    let source = open_source(spec, request(None)).await.unwrap();
    assert!(
        source
            .snapshot()
            .files
            .iter()
            .all(|file| file.etag.is_some())
    );
    let replaced = ObjectPath::from("out/lake/people/2.parquet");
    objects.put(&replaced, bytes.into()).await.unwrap();
    let error = source.confirm_unchanged().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
    let error = read_all(&*source, &request(None)).await.unwrap_err();
    assert!(
        error.contains("s3://bucket/out/lake/people/2.parquet changed"),
        "{error}"
    );
}

#[tokio::test]
async fn rows_are_counted_without_columns() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 250)],
        100,
    );
    let request = ReadRequest {
        projection: Vec::new(),
        pruning: None,
        batch_rows: 60,
    };
    let source = open_source(spec(site.path(), "people/", catalogue()), request.clone())
        .await
        .unwrap();
    assert_eq!(read_all(&*source, &request).await.unwrap().rows.len(), 250);
}

#[tokio::test]
async fn batches_of_wide_values_have_fewer_rows() {
    let site = tempfile::tempdir().unwrap();
    let document = |row: usize| format!("{row:07}").repeat(37_450);
    let documents = StringArray::from_iter_values((0..400).map(document));
    let batch = RecordBatch::try_from_iter(vec![("text", column(documents))]).unwrap();
    write(&site.path().join("lake/people/a.parquet"), &[batch], 400);
    let fields: SchemaRef = Arc::new(Schema::new(vec![Field::new("text", DataType::Utf8, true)]));
    let request = ReadRequest {
        projection: vec!["text".to_owned()],
        pruning: None,
        batch_rows: 4096,
    };
    let source = open_source(spec(site.path(), "people/", fields), request)
        .await
        .unwrap();
    let batches: Vec<_> = source.open(0).await.unwrap().try_collect().await.unwrap();
    let rows: Vec<usize> = batches.iter().map(|read| read.batch.num_rows()).collect();
    // 32 MiB hold 127 values of 262,150 bytes.
    assert_eq!(rows.iter().sum::<usize>(), 400);
    assert!(rows.iter().all(|rows| *rows <= 128), "{rows:?}");
    assert!(rows.len() <= 5, "{rows:?}");
}

#[tokio::test]
async fn splits_join_row_groups_up_to_the_target() {
    let site = tempfile::tempdir().unwrap();
    let batch = RecordBatch::try_from_iter(vec![(
        "id",
        column(Int64Array::from_iter_values(0..400_000)),
    )])
    .unwrap();
    write(
        &site.path().join("lake/a.parquet"),
        std::slice::from_ref(&batch),
        50_000,
    );
    write(
        &site.path().join("lake/b.parquet"),
        &[batch.slice(0, 10)],
        50_000,
    );
    let fields: SchemaRef = Arc::new(Schema::new(vec![Field::new("id", DataType::Int64, true)]));
    std::fs::create_dir(site.path().join("lake/d")).unwrap();
    for name in ["a", "b"] {
        let file = format!("{name}.parquet");
        std::fs::rename(
            site.path().join("lake").join(&file),
            site.path().join("lake/d").join(file),
        )
        .unwrap();
    }
    let request = ReadRequest {
        projection: vec!["id".to_owned()],
        pruning: None,
        batch_rows: 8192,
    };
    let source = open_source(spec(site.path(), "d/", fields), request.clone())
        .await
        .unwrap();
    let splits: Vec<_> = source
        .splits()
        .iter()
        .map(|split| (split.file, split.first_row, split.rows))
        .collect();
    assert_eq!(
        splits,
        [
            (0, 0, Some(150_000)),
            (0, 150_000, Some(150_000)),
            (0, 300_000, Some(100_000)),
            (1, 0, Some(10)),
        ]
    );
    assert!(source.splits().iter().all(|split| split.bytes > 0));
    assert_eq!(source.rows_total(), Some(400_010));
    assert_eq!(
        read_all(&*source, &request).await.unwrap().rows.len(),
        400_010
    );
}

#[tokio::test]
async fn pruning_drops_row_groups_and_keeps_first_rows_exact() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 1000)],
        100,
    );
    let schema = catalogue();
    let either = binary(
        compare("id", Operator::Lt, ScalarValue::from(150_i64)),
        Operator::Or,
        compare("id", Operator::GtEq, ScalarValue::from(850_i64)),
        &schema,
    )
    .unwrap();
    let source = open(site.path(), Some(Arc::clone(&either))).await.unwrap();
    assert_eq!(source.rows_pruned(), Some(600));
    assert_eq!(source.rows_total(), Some(1000));
    let content = read_all(&*source, &request(Some(either))).await.unwrap();
    let expected: Vec<i64> = (0..200).chain(800..1000).collect();
    assert_eq!(ids(&content), expected);
    let rows: Vec<_> = expected
        .iter()
        .map(|&id| (0, u64::try_from(id).unwrap()))
        .collect();
    assert_eq!(content.rows, rows);
}

#[tokio::test]
async fn pruning_by_text_time_and_nulls_is_sound() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 1000)],
        100,
    );
    let zone: Option<Arc<str>> = Some("Asia/Shanghai".into());
    let late = ScalarValue::TimestampMicrosecond(Some(700), zone);
    let schema = catalogue();
    for (predicate, pruned) in [
        (compare("at", Operator::GtEq, late), Some(700)),
        (
            compare("name", Operator::Eq, ScalarValue::from("不在")),
            Some(1000),
        ),
        (is_null(col("name", &schema).unwrap()).unwrap(), Some(0)),
        (is_null(col("id", &schema).unwrap()).unwrap(), Some(1000)),
    ] {
        let source = open(site.path(), Some(Arc::clone(&predicate)))
            .await
            .unwrap();
        assert_eq!(source.rows_pruned(), pruned, "{predicate}");
    }
}

#[tokio::test]
async fn floats_are_not_pruned_because_of_nan() {
    let site = tempfile::tempdir().unwrap();
    let batch =
        RecordBatch::try_from_iter(vec![("x", column(Float64Array::from(vec![1.0, f64::NAN])))])
            .unwrap();
    write(&site.path().join("lake/x.parquet"), &[batch], 100);
    let fields: SchemaRef = Arc::new(Schema::new(vec![Field::new("x", DataType::Float64, true)]));
    let more = binary(col("x", &fields).unwrap(), Operator::Gt, lit(5.0), &fields).unwrap();
    let request = ReadRequest {
        projection: vec!["x".to_owned()],
        pruning: Some(more),
        batch_rows: 10,
    };
    let source = open_source(spec(site.path(), "x.parquet", fields), request)
        .await
        .unwrap();
    assert_eq!(source.rows_pruned(), Some(0));
}

#[tokio::test]
async fn other_physical_forms_of_a_type_are_read() {
    let site = tempfile::tempdir().unwrap();
    let dictionary: DictionaryArray<Int32Type> = ["a", "b", "a"].into_iter().collect();
    let batch = RecordBatch::try_from_iter(vec![
        ("d", column(dictionary)),
        ("l", column(LargeStringArray::from(vec!["x", "y", "z"]))),
        (
            "m",
            column(
                arrow::array::Decimal32Array::from(vec![1, 2, 3])
                    .with_precision_and_scale(9, 2)
                    .unwrap(),
            ),
        ),
    ])
    .unwrap();
    write(&site.path().join("lake/f.parquet"), &[batch], 100);
    let fields: SchemaRef = Arc::new(Schema::new(vec![
        Field::new("m", DataType::Decimal128(9, 2), true),
        Field::new("d", DataType::Utf8, true),
        Field::new("l", DataType::Utf8, true),
    ]));
    let content = source_conforms(&fields, |request| {
        let spec = spec(site.path(), "f.parquet", Arc::clone(&fields));
        async move { open_source(spec, request).await }
    })
    .await
    .unwrap();
    assert_eq!(
        content.columns[1]
            .as_string::<i32>()
            .iter()
            .flatten()
            .collect::<String>(),
        "aba"
    );
    assert_eq!(content.columns[0].data_type(), &DataType::Decimal128(9, 2));
}

#[tokio::test]
async fn every_file_is_checked_against_the_catalogue() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 10)],
        100,
    );
    let narrow = RecordBatch::try_from_iter(vec![
        ("id", column(arrow::array::Int32Array::from(vec![1]))),
        ("NAME", column(StringArray::from(vec!["x"]))),
    ])
    .unwrap();
    write(&site.path().join("lake/people/b.parquet"), &[narrow], 100);
    let error = open(site.path(), None).await.unwrap_err();
    let ConnectorError::Schema { differences } = &error else {
        panic!("{error}")
    };
    assert_eq!(differences.len(), 4);
    assert!(
        differences
            .iter()
            .all(|difference| difference.file == "people/b.parquet")
    );
    assert!(
        error.to_string().contains("did you mean `NAME`?"),
        "{error}"
    );
}

#[tokio::test]
async fn no_files_and_no_directory_are_told_apart() {
    let site = tempfile::tempdir().unwrap();
    let error = open(site.path(), None).await.unwrap_err();
    assert!(matches!(error, ConnectorError::NotFound { .. }), "{error}");
    std::fs::create_dir_all(site.path().join("lake/people/_temporary")).unwrap();
    let error = open(site.path(), None).await.unwrap_err();
    assert!(matches!(error, ConnectorError::NoFiles { .. }), "{error}");
}

#[tokio::test]
async fn a_file_replaced_between_snapshot_and_read_fails() {
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("lake/people/a.parquet");
    write(&path, &[rows(0, 100)], 100);
    let source = open(site.path(), None).await.unwrap();
    write(&path, &[rows(0, 90)], 100);
    let error = source.confirm_unchanged().await.unwrap_err();
    assert_eq!(error.class(), ErrorClass::Integrity);
    let error = read_all(&*source, &request(None)).await.unwrap_err();
    assert!(error.contains("changed"), "{error}");
}

#[tokio::test]
async fn a_dropped_stream_can_be_opened_again() {
    let site = tempfile::tempdir().unwrap();
    write(
        &site.path().join("lake/people/a.parquet"),
        &[rows(0, 5000)],
        5000,
    );
    let source = open(site.path(), None).await.unwrap();
    let mut stream = source.open(0).await.unwrap();
    assert_eq!(stream.try_next().await.unwrap().unwrap().first_row, 0);
    drop(stream);
    assert_eq!(
        read_all(&*source, &request(None)).await.unwrap().rows.len(),
        5000
    );
    assert_eq!(source.open(7).await.err().unwrap().class(), ErrorClass::Bug);
}

/// Opens and reads damaged bytes; the message must name the file and hold no value of it.
async fn read_damaged(site: &Path, bytes: &[u8]) -> Option<String> {
    std::fs::write(site.join("lake/people/a.parquet"), bytes).unwrap();
    let read = async {
        let source = open(site, None).await.map_err(|error| error.to_string())?;
        read_all(&*source, &request(None)).await
    };
    let error = read.await.err()?;
    assert!(
        error.contains("a.parquet") && !error.contains("姓名"),
        "{error}"
    );
    Some(error)
}

#[tokio::test]
async fn truncated_files_end_in_a_located_error() {
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("lake/people/a.parquet");
    write(&path, &[rows(0, 300)], 100);
    let whole = std::fs::read(&path).unwrap();
    for length in (0..whole.len()).step_by(97) {
        let error = read_damaged(site.path(), &whole[..length]).await;
        assert!(error.is_some(), "{length} bytes");
    }
}

#[tokio::test]
async fn flipped_bytes_never_panic() {
    // The decoder's own panics are caught; their messages would only fill the test's output.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let site = tempfile::tempdir().unwrap();
    let path = site.path().join("lake/people/a.parquet");
    write(&path, &[rows(0, 300)], 100);
    let whole = std::fs::read(&path).unwrap();
    let mut errors = 0;
    for (index, mask) in (0..whole.len())
        .step_by(5)
        .zip([0xFF, 0x01, 0x80, 0x10].iter().cycle())
    {
        let mut bytes = whole.clone();
        bytes[index] ^= mask;
        errors += usize::from(read_damaged(site.path(), &bytes).await.is_some());
    }
    std::panic::set_hook(hook);
    assert!(errors > 0);
}
