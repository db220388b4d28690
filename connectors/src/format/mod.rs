//! How files are written: one module per format, each a [`crate::Source`]; what is delivered as rows is
//! written by [`write`](mod@write).

pub mod csv;
pub mod found;
mod ipc;
pub mod parquet;
pub mod write;

/// A file format with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Apache Parquet; it describes itself.
    Parquet,
    /// Apache Parquet, encrypted by its provider.
    EncryptedParquet(parquet::encryption::SourceKeys),
    /// Delimited text.
    Csv(csv::CsvOptions),
}

impl Format {
    /// The extension that files of this format have in a directory, without its dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet | Self::EncryptedParquet(_) => "parquet",
            Self::Csv(_) => "csv",
        }
    }
}
