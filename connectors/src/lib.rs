//! Where data comes from and where deliveries go: stores, file formats, key files and publication.
//!
//! A [`Store`] is a place for files, local or S3. A [`Source`] reads one dataset
//! from it under a [`Snapshot`], in splits, with projection and pruning pushed down.
//! This crate knows nothing of treatments or grants: it hands over what was asked for, proves that
//! it was all of it, and says where reading failed without ever repeating a value.

pub mod durable;
pub mod error;
pub mod format;
pub mod keyring;
pub mod publish;
pub mod schema;
pub mod seal;
pub mod snapshot;
pub mod source;
pub mod store;

#[doc(hidden)]
pub mod conformance;

pub use error::{ConnectorError, ErrorClass};
pub use format::Format;
pub use format::csv::{CsvOptions, Encoding, LeadingZeros, OnMalformed};
pub use schema::Difference;
pub use snapshot::{Snapshot, SourceFile};
pub use source::{ReadRequest, Source, SourceBatch, SourceSpec, Split, open_source};
pub use store::{Store, StoreConfig};
