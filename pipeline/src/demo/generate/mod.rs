//! Invented data that looks like a registry's: valid identifiers, plausible distributions, and
//! dirty rows on purpose, so that nobody needs real data to try what Lockgate does.
//!
//! Everything is deterministic: row *i* of a table depends on the seed and on *i*, never on how
//! the rows were cut into batches or files. The tables agree with each other under one seed:
//! payments and health records carry the identity numbers of residents, residents and payments the
//! credit codes of enterprises.

mod enterprises;
mod health;
mod identifier;
mod payments;
mod person;
mod random;
mod residents;
mod text;
mod vocabulary;
mod write;

#[cfg(test)]
mod tests;

use std::ops::Range;

pub use enterprises::{EMPLOYERS, enterprises, enterprises_schema};
pub use health::{health_records, health_records_schema};
pub use payments::{payments, payments_schema};
pub use person::Defect;
pub use residents::{residents, residents_schema};
pub use write::{Encoding, Table, WriteError, write_csv, write_parquet};

// Numbers that keep the random draws of one table apart from those of another.
const RESIDENTS: u64 = 1;
const DEFECTS: u64 = 2;
const ENTERPRISES: u64 = 3;
const BODIES: u64 = 4;
const PAYMENTS: u64 = 5;
const INSURED: u64 = 6;
const HEALTH: u64 = 7;

/// Number of rows of a range; 0 where it is beyond what memory can hold, so that it only sizes
/// buffers.
fn length(rows: &Range<u64>) -> usize {
    usize::try_from(rows.end.saturating_sub(rows.start)).unwrap_or(0)
}
