//! Marks as a run and a trace need them: which fields of a dataset carry, and how each cell is found
//! again.
//!
//! `lockgate_transforms::marks` writes and reads symbols and knows nothing of catalogues, grants or
//! the ledger. Here stands what joins them:
//! - [`layout`]: which fields of a delivery carry, decided by the catalogue
//! - [`forecast`]: what that promises, before anything is delivered
//! - [`scheme`]: everything a trace needs beside the key, in one canonical document
//! - [`index`]: the number by which marks name a grant
//! - [`statement`]: what the manifest says of what marks did
//! - [`record`]: what the ledger holds of key, grant and scheme before a marked delivery leaves

mod carrier;
pub mod forecast;
pub mod index;
pub mod layout;
pub mod record;
pub mod scheme;
pub mod statement;
mod units;

pub(crate) use carrier::{CarrierFault, carrier_of, rounding_of};
pub use forecast::Forecast;
pub use index::{grants_by_index, index_of};
pub use layout::{Laid, Layout, Unmarked, lay_out};
pub use record::{KeyCommitment, Marking, markings, read_scheme};
pub use scheme::{
    Anchor, AnchorFamily, CarrierSpec, Density, FieldScheme, FoundBy, Scheme, SchemeError,
};
pub use statement::MarkStatement;
pub(crate) use units::Units;
