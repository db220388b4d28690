//! Marks as a run and a trace need them: which fields of a dataset carry, and how each cell is found
//! again.
//!
//! `lockgate_transforms::marks` writes and reads symbols and knows nothing of catalogues, grants or
//! the ledger. Here stands what joins them:
//! - [`scheme`]: everything a trace needs beside the key, in one canonical document
//! - [`index`]: the number by which marks name a grant
//! - [`record`]: what the ledger holds of key, grant and scheme before a marked delivery leaves

pub mod index;
pub mod record;
pub mod scheme;

pub use index::{grants_by_index, index_of};
pub use record::{KeyCommitment, Marking, markings, read_scheme};
pub use scheme::{
    Anchor, AnchorFamily, CarrierSpec, Density, FieldScheme, FoundBy, Scheme, SchemeError,
};
