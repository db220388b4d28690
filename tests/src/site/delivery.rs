//! A delivery as its recipient finds it.

use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

/// The folder of a delivery on the file system.
#[derive(Debug, Clone)]
pub struct Delivery {
    folder: PathBuf,
    manifest: Value,
}

impl Delivery {
    /// The delivery that a run's document names.
    #[track_caller]
    #[must_use]
    pub fn of_run(document: &Value) -> Self {
        let url = document["delivery"]
            .as_str()
            .unwrap_or_else(|| panic!("no delivery: {document}"));
        let path = url
            .strip_prefix("file://")
            .unwrap_or_else(|| panic!("not a file: {url}"));
        Self::open(Path::new(path))
    }

    /// The delivery in a folder. Reads the manifest, not its signature: that is for `verify`.
    #[track_caller]
    #[must_use]
    pub fn open(folder: &Path) -> Self {
        let bytes = fs::read(folder.join("manifest.json")).expect("a manifest");
        let envelope: Value = serde_json::from_slice(&bytes).expect("a manifest in JSON");
        let payload = envelope["payload"].as_str().expect("a payload");
        let payload = STANDARD.decode(payload).expect("a payload in base64");
        let manifest = serde_json::from_slice(&payload).expect("a payload in JSON");
        Self {
            folder: folder.to_owned(),
            manifest,
        }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the manifest states.
    #[must_use]
    pub fn manifest(&self) -> &Value {
        &self.manifest
    }

    /// The files that the manifest names, in order.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        let files = self.manifest["files"].as_array().expect("files");
        let path = |file: &Value| self.folder.join(file["path"].as_str().expect("a path"));
        files.iter().map(path).collect()
    }

    /// The files' bytes, in order.
    #[must_use]
    pub fn bytes(&self) -> Vec<Bytes> {
        self.files()
            .iter()
            .map(|file| Bytes::from(fs::read(file).expect("a part")))
            .collect()
    }

    /// The schema of the first file.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let first = self.bytes().into_iter().next().expect("a part");
        let reader = ParquetRecordBatchReaderBuilder::try_new(first).expect("a part in Parquet");
        std::sync::Arc::clone(reader.schema())
    }

    /// Every row, in order.
    #[must_use]
    pub fn rows(&self) -> RecordBatch {
        let schema = self.schema();
        let mut batches = Vec::new();
        for bytes in self.bytes() {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a part in Parquet");
            assert_eq!(reader.schema(), &schema, "parts of one schema");
            let reader = reader.build().expect("a reader");
            batches.extend(reader.map(|batch| batch.expect("rows")));
        }
        concat_batches(&schema, &batches).expect("rows of one schema")
    }

    /// Rows of each row group of each file.
    #[must_use]
    pub fn row_groups(&self) -> Vec<Vec<i64>> {
        let of = |bytes| {
            let reader =
                ParquetRecordBatchReaderBuilder::try_new(bytes).expect("a part in Parquet");
            reader
                .metadata()
                .row_groups()
                .iter()
                .map(|group| group.num_rows())
                .collect()
        };
        self.bytes().into_iter().map(of).collect()
    }
}
