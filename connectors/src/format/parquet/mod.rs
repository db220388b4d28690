//! Parquet sources, read through DataFusion's scan: one execution for each split, with an access
//! plan that names its row groups.
//!
//! Everything that decides which rows come out is settled when the source is opened, from the
//! footers alone: row groups that the pruning predicate excludes are left out, and what remains is
//! joined to splits of consecutive row groups. Page indexes, bloom filters and row filters stay
//! off, so that a split yields exactly the rows it says and each batch knows its first row; the
//! number of rows is compared when the split ends.

mod conform;
pub mod encryption;
mod footer;
mod pruning;
mod reader;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::ops::Range;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef};
use async_trait::async_trait;
use datafusion::common::config::TableParquetOptions;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::parquet::ParquetAccessPlan;
use datafusion::datasource::physical_plan::{FileScanConfigBuilder, ParquetSource as ParquetScan};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::physical_plan::{ExecutionPlan, SendableRecordBatchStream};
use datafusion::prelude::SessionConfig;
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt, TryStreamExt};
use object_store::ObjectMeta;

use self::encryption::SourceKeys;
use self::footer::Footer;
use self::reader::{Fetch, SplitReaderFactory, decode_error};
use crate::error::ConnectorError;
use crate::format::Format;
use crate::schema;
use crate::snapshot::{CONCURRENT_FILES, PinnedStore, Snapshot, confirm_unchanged};
use crate::source::{ReadRequest, Source, SourceBatch, SourceSpec, Split};
use crate::store::Store;

/// A split is consecutive row groups joined until they have so many rows. It bounds what a split
/// costs to set up and depends on nothing but the files, because row order and boundaries of a
/// delivery follow from it.
const SPLIT_ROWS_MIN: u64 = 131_072;

/// A dataset of Parquet files.
#[derive(Debug)]
pub(crate) struct ParquetSource {
    store: Store,
    snapshot: Snapshot,
    ignored: Vec<String>,
    splits: Vec<Split>,
    /// The row groups of each split, in the order of `splits`.
    row_groups: Vec<Range<usize>>,
    footers: Vec<Footer>,
    runtime: Arc<RuntimeEnv>,
    /// The projected fields with the types that the scan gives.
    output: SchemaRef,
    batch_rows: usize,
    rows_total: u64,
    rows_pruned: u64,
}

impl ParquetSource {
    /// Reads the footers, checks them against the catalogue, and plans the splits.
    pub(crate) async fn open(
        spec: SourceSpec,
        request: ReadRequest,
        columns: Vec<usize>,
        snapshot: Snapshot,
    ) -> Result<Self, ConnectorError> {
        let pinned = Arc::new(PinnedStore::new(&spec.store, &snapshot)?);
        let keys = match &spec.format {
            Format::EncryptedParquet(keys) => Some(keys),
            Format::Parquet | Format::Csv(_) => None,
        };
        let footers = read_footers(&spec.store, &pinned, &snapshot, keys).await?;
        let mut ignored = BTreeSet::new();
        let mut differences = Vec::new();
        for (file, footer) in snapshot.files.iter().zip(&footers) {
            let found = schema::compare(&file.path, &footer.schema, &spec.fields, &mut ignored);
            differences.extend(found);
        }
        if !differences.is_empty() {
            return Err(ConnectorError::Schema { differences });
        }
        let pruning = request
            .pruning
            .as_ref()
            .and_then(|predicate| pruning::predicate(predicate, &spec.fields));
        let output = output_schema(&spec.fields, &columns)?;
        let mut plan = SplitPlan::default();
        for (index, footer) in footers.iter().enumerate() {
            let kept = pruning.as_ref().map_or_else(
                || vec![true; footer.metadata.num_row_groups()],
                |predicate| pruning::row_groups(predicate, footer),
            );
            footer.check_widths(&kept, &request.projection)?;
            plan.add_file(index, footer, &kept, &request.projection);
        }
        Ok(Self {
            runtime: runtime(&pinned)?,
            store: spec.store,
            snapshot,
            ignored: ignored.into_iter().collect(),
            splits: plan.splits,
            row_groups: plan.row_groups,
            rows_total: footers
                .iter()
                .map(|footer| footer.rows)
                .fold(0, u64::saturating_add),
            rows_pruned: plan.pruned,
            footers,
            output,
            batch_rows: request.batch_rows,
        })
    }

    fn scan(&self, split: usize) -> Result<SplitScan, ConnectorError> {
        let missing = || ConnectorError::bug(format!("split {split} does not exist"));
        let planned = self.splits.get(split).ok_or_else(missing)?;
        let groups = self.row_groups.get(split).ok_or_else(missing)?.clone();
        let file = self.snapshot.files.get(planned.file).ok_or_else(missing)?;
        let footer = self.footers.get(planned.file).ok_or_else(missing)?;
        Ok(SplitScan {
            place: self.store.place(&file.path),
            part: part(&groups),
            stream: self.execute(footer, groups)?,
            scanned: self.scanned(footer),
            next_row: planned.first_row,
            rows_left: planned.rows.unwrap_or(0),
            output: Arc::clone(&self.output),
        })
    }

    /// The columns as the scan is asked for them: lists, structs and maps as the file has them.
    fn scanned(&self, footer: &Footer) -> SchemaRef {
        let fields = self.output.fields().iter().map(|field| {
            match footer.schema.field_with_name(field.name()) {
                Ok(found) if field.data_type().is_nested() => {
                    Arc::new(Field::new(field.name(), found.data_type().clone(), true))
                }
                _ => Arc::clone(field),
            }
        });
        Arc::new(Schema::new(fields.collect::<Fields>()))
    }

    /// The names of the columns that are read.
    fn names(&self) -> Vec<String> {
        let fields = self.output.fields().iter();
        fields.map(|field| field.name().clone()).collect()
    }

    fn execute(
        &self,
        footer: &Footer,
        groups: Range<usize>,
    ) -> Result<SendableRecordBatchStream, ConnectorError> {
        let setup = |error: DataFusionError| {
            ConnectorError::bug(format!(
                "a scan could not be set up: {}",
                crate::error::brief(&error)
            ))
        };
        let batch_rows = footer.batch_rows(groups.clone(), &self.names(), self.batch_rows);
        let mut access = ParquetAccessPlan::new_none(footer.metadata.num_row_groups());
        for group in groups {
            access.scan(group);
        }
        let meta = ObjectMeta {
            location: footer.fetch.location.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: footer.fetch.size,
            e_tag: None,
            version: None,
        };
        let file = PartitionedFile::new_from_meta(meta).with_extension(access);
        let factory = SplitReaderFactory::new(footer.fetch.clone(), Arc::clone(&footer.metadata));
        let scan = ParquetScan::new(self.scanned(footer))
            .with_table_parquet_options(scan_options())
            .with_parquet_file_reader_factory(Arc::new(factory));
        let config = FileScanConfigBuilder::new(source_url().map_err(setup)?, Arc::new(scan))
            .with_file(file)
            .with_batch_size(Some(batch_rows))
            .build();
        let context = TaskContext::default()
            .with_session_config(SessionConfig::new().with_batch_size(batch_rows))
            .with_runtime(Arc::clone(&self.runtime));
        DataSourceExec::from_data_source(config)
            .execute(0, Arc::new(context))
            .map_err(setup)
    }
}

#[async_trait]
impl Source for ParquetSource {
    fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    fn ignored_columns(&self) -> &[String] {
        &self.ignored
    }

    fn splits(&self) -> &[Split] {
        &self.splits
    }

    fn rows_total(&self) -> Option<u64> {
        Some(self.rows_total)
    }

    fn rows_pruned(&self) -> Option<u64> {
        Some(self.rows_pruned)
    }

    async fn open(
        &self,
        split: usize,
    ) -> Result<BoxStream<'static, Result<SourceBatch, ConnectorError>>, ConnectorError> {
        let scan = self.scan(split)?;
        let batches = stream::try_unfold(Some(scan), |scan| async {
            match scan {
                Some(scan) => scan.next().await,
                None => Ok(None),
            }
        });
        Ok(batches.boxed())
    }

    async fn confirm_unchanged(&self) -> Result<(), ConnectorError> {
        confirm_unchanged(&self.store, &self.snapshot).await
    }
}

/// A split being read.
struct SplitScan {
    place: String,
    part: String,
    stream: SendableRecordBatchStream,
    next_row: u64,
    rows_left: u64,
    /// What the scan gives.
    scanned: SchemaRef,
    /// What is asked for.
    output: SchemaRef,
}

impl SplitScan {
    /// The next batch that has rows, and this scan to go on with.
    async fn next(mut self) -> Result<Option<(SourceBatch, Option<Self>)>, ConnectorError> {
        loop {
            // A damaged page can break an assumption of the decoder; that is the file's fault.
            let polled = AssertUnwindSafe(self.stream.next()).catch_unwind().await;
            let batch = match polled {
                Ok(None) if self.rows_left == 0 => return Ok(None),
                Ok(None) => return Err(self.damaged("it ends before its last row")),
                Ok(Some(Ok(batch))) => batch,
                Ok(Some(Err(error))) => {
                    return Err(decode_error(&error, &self.place, Some(&self.part)));
                }
                Err(_) => return Err(self.damaged("the decoder cannot make sense of it")),
            };
            let rows = u64::try_from(batch.num_rows()).unwrap_or(u64::MAX);
            self.rows_left = match self.rows_left.checked_sub(rows) {
                Some(left) => left,
                None => return Err(self.damaged("it holds more rows than its footer says")),
            };
            if rows == 0 {
                continue;
            }
            if batch.schema().fields() != self.scanned.fields() {
                return Err(ConnectorError::bug(
                    "a scan gave other columns than asked for",
                ));
            }
            let batch = self.conform(batch)?;
            let first_row = self.next_row;
            self.next_row = first_row.saturating_add(rows);
            return Ok(Some((
                SourceBatch {
                    batch,
                    first_row,
                    malformed: 0,
                },
                Some(self),
            )));
        }
    }

    /// Lists, structs and maps in the catalogue's form.
    fn conform(&self, batch: RecordBatch) -> Result<RecordBatch, ConnectorError> {
        if self.scanned == self.output {
            return Ok(batch);
        }
        let columns = batch.columns().iter().zip(self.output.fields());
        let columns = columns
            .map(|(column, field)| conform::conform(column, field.data_type()))
            .collect::<Result<Vec<_>, _>>();
        let batch =
            columns.and_then(|columns| RecordBatch::try_new(Arc::clone(&self.output), columns));
        batch.map_err(|_| {
            self.damaged("its lists, structs or maps cannot be brought to the catalogue's form")
        })
    }

    fn damaged(&self, what: &str) -> ConnectorError {
        ConnectorError::Damaged {
            place: self.place.clone(),
            part: Some(self.part.clone()),
            what: what.to_owned(),
        }
    }
}

/// Splits as they are put together, file by file.
#[derive(Debug, Default)]
struct SplitPlan {
    splits: Vec<Split>,
    row_groups: Vec<Range<usize>>,
    pruned: u64,
}

impl SplitPlan {
    fn add_file(&mut self, file: usize, footer: &Footer, kept: &[bool], projection: &[String]) {
        let leaves = footer.leaves(projection);
        let mut first_row = 0_u64;
        // Whether the last split may take further row groups.
        let mut open = false;
        let groups = footer
            .group_rows
            .iter()
            .zip(kept)
            .zip(footer.metadata.row_groups());
        for (index, ((&rows, &keep), metadata)) in groups.enumerate() {
            let next = index.saturating_add(1);
            if keep {
                let bytes = footer::projected_bytes(metadata, &leaves);
                match (self.splits.last_mut(), self.row_groups.last_mut()) {
                    (Some(split), Some(groups)) if open => {
                        split.rows = split.rows.map(|sum| sum.saturating_add(rows));
                        split.bytes = split.bytes.saturating_add(bytes);
                        split.held = split.held.max(bytes);
                        groups.end = next;
                    }
                    _ => {
                        self.splits.push(Split {
                            file,
                            first_row,
                            rows: Some(rows),
                            bytes,
                            held: bytes,
                        });
                        self.row_groups.push(index..next);
                    }
                }
                let enough = |split: &Split| split.rows >= Some(SPLIT_ROWS_MIN);
                open = !self.splits.last().is_some_and(enough);
            } else {
                self.pruned = self.pruned.saturating_add(rows);
                open = false;
            }
            first_row = first_row.saturating_add(rows);
        }
    }
}

async fn read_footers(
    store: &Store,
    pinned: &Arc<PinnedStore>,
    snapshot: &Snapshot,
    keys: Option<&SourceKeys>,
) -> Result<Vec<Footer>, ConnectorError> {
    let mut reads = Vec::with_capacity(snapshot.files.len());
    for file in &snapshot.files {
        let fetch = Fetch {
            store: Arc::clone(pinned),
            location: store.resolve(&file.path)?,
            size: file.size,
            place: Arc::from(store.place(&file.path)),
        };
        reads.push(footer::read(fetch, keys.cloned()));
    }
    stream::iter(reads)
        .buffered(CONCURRENT_FILES)
        .try_collect()
        .await
}

/// The projected fields as the scan gives them: text as views, which costs no copy.
fn output_schema(fields: &Schema, columns: &[usize]) -> Result<SchemaRef, ConnectorError> {
    let mut projected = Vec::with_capacity(columns.len());
    for &index in columns {
        let field = fields
            .fields()
            .get(index)
            .ok_or_else(|| ConnectorError::bug("a projected field does not exist"))?;
        let data_type = if schema::fits(field.data_type(), &DataType::Utf8) {
            DataType::Utf8View
        } else {
            field.data_type().clone()
        };
        projected.push(Field::new(field.name(), data_type, true));
    }
    Ok(Arc::new(Schema::new(projected)))
}

fn scan_options() -> TableParquetOptions {
    let mut options = TableParquetOptions::default();
    options.global.enable_page_index = false;
    options.global.bloom_filter_on_read = false;
    options.global.pushdown_filters = false;
    options.global.pruning = false;
    options
}

fn source_url() -> Result<ObjectStoreUrl, DataFusionError> {
    ObjectStoreUrl::parse("source://files")
}

/// A runtime that knows one store and never writes to disk: what is spilled would be unmasked.
fn runtime(pinned: &Arc<PinnedStore>) -> Result<Arc<RuntimeEnv>, ConnectorError> {
    let setup = |error: DataFusionError| {
        ConnectorError::bug(format!(
            "the scan's runtime: {}",
            crate::error::brief(&error)
        ))
    };
    let runtime = RuntimeEnvBuilder::new()
        .with_disk_manager_builder(
            DiskManagerBuilder::default().with_mode(DiskManagerMode::Disabled),
        )
        .build_arc()
        .map_err(setup)?;
    let url = source_url().map_err(setup)?;
    runtime.register_object_store(url.as_ref(), Arc::<PinnedStore>::clone(pinned));
    Ok(runtime)
}

fn part(groups: &Range<usize>) -> String {
    match groups.len() {
        0 | 1 => format!("row group {}", groups.start),
        _ => format!(
            "row groups {} to {}",
            groups.start,
            groups.end.saturating_sub(1)
        ),
    }
}
