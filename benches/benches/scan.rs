//! What reading through the provider's source costs beside reading the same file with arrow-rs
//! directly: same columns, same batch size, one thread, every batch dropped as it comes.
//!
//! Input: 500,000 generated residents in Parquet (zstd), 14 of their fields.
#![expect(clippy::unwrap_used, reason = "a bench stops where it cannot go on")]

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use futures::StreamExt;
use lockgate::demo::generate::{Table, residents_schema, write_parquet};
use lockgate_connectors::{Format, ReadRequest, SourceSpec, Store, StoreConfig, open_source};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

const ROWS: u64 = 500_000;
const BATCH_ROWS: usize = 4096;
const FIELDS: usize = 14;

fn direct(directory: &Path) -> usize {
    let mut rows = 0;
    let mut files: Vec<_> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    for file in files {
        let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(file).unwrap()).unwrap();
        let mask = ProjectionMask::leaves(builder.parquet_schema(), 0..FIELDS);
        let reader = builder
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
            .unwrap();
        rows += reader.map(|batch| batch.unwrap().num_rows()).sum::<usize>();
    }
    rows
}

async fn through_source(directory: &Path) -> usize {
    let fields = residents_schema();
    let projection = fields
        .fields()
        .iter()
        .take(FIELDS)
        .map(|f| f.name().clone())
        .collect();
    let url = format!("file://{}", directory.parent().unwrap().display());
    let spec = SourceSpec {
        store: Store::open(&StoreConfig::new(url, "/")).unwrap(),
        path: "residents/".to_owned(),
        format: Format::Parquet,
        fields: Arc::clone(&fields),
    };
    let request = ReadRequest {
        projection,
        pruning: None,
        batch_rows: BATCH_ROWS,
    };
    let source = open_source(spec, request).await.unwrap();
    let mut rows = 0;
    for split in 0..source.splits().len() {
        let mut stream = source.open(split).await.unwrap();
        while let Some(batch) = stream.next().await {
            rows += batch.unwrap().batch.num_rows();
        }
    }
    rows
}

fn scan(criterion: &mut Criterion) {
    let directory = std::env::temp_dir().join(format!("lockgate-scan-{}", std::process::id()));
    let data = directory.join("residents");
    write_parquet(&data, Table::Residents, ROWS, 42).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let mut group = criterion.benchmark_group("scan");
    group.throughput(Throughput::Elements(ROWS)).sample_size(10);
    group.bench_function("arrow-rs directly", |bencher| {
        bencher.iter(|| direct(&data));
    });
    group.bench_function("through the source", |bencher| {
        bencher.iter(|| runtime.block_on(through_source(&data)));
    });
    group.finish();
    std::fs::remove_dir_all(&directory).unwrap();
}

criterion_group!(benches, scan);
criterion_main!(benches);
