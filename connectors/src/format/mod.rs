//! How files are written: one module per format, each a [`crate::Source`].

pub mod csv;
pub mod found;
pub mod parquet;

/// A file format with its options.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// Apache Parquet; it describes itself.
    Parquet,
    /// Delimited text.
    Csv(csv::CsvOptions),
}

impl Format {
    /// The extension that files of this format have in a directory, without its dot.
    pub fn extension(&self) -> &'static str {
        match self {
            Self::Parquet => "parquet",
            Self::Csv(_) => "csv",
        }
    }
}
