//! Treatments of columns: Arrow arrays in, Arrow arrays out.
//!
//! A *treatment* is what is done to a field's values before they may leave: a mask, a pseudonym,
//! a coarser value, nothing at all. This crate holds the treatments and nothing else: no file, no
//! network, no clock, no environment, no thread, no global state. Keys, dates and seeds are
//! arguments; the same input gives the same output, whatever the batch, slice or order.
//!
//! - [`treatment`]: the contract every treatment keeps ([`Treatment`], [`Treated`], [`Counts`])
//! - [`spec`]: what a policy or grant writes ([`TreatmentSpec`]), its strength and its fit
//! - [`results`]: what joins and readers of results can rely on: uniqueness and width
//! - [`options`] and [`cases`]: the options every treatment has, and how kernels follow them
//! - [`treatments`]: one file per treatment, and the one list of them
//! - [`facets`]: which surrogates of one person can't agree
//! - [`category`]: the known categories of fields: normalisation and domain size
//! - [`key`]: derived keys, which never show themselves
//! - [`cell`]: the form of a randomly encrypted value
//! - [`vault`]: what keeps random tokens, and the form it keeps them in
#![forbid(unsafe_code)]

mod calendar;
pub mod cases;
pub mod category;
pub mod cell;
mod check_digit;
mod classes;
mod clusters;
pub mod condition;
pub mod date;
mod divisions;
mod draw;
mod entity;
pub mod error;
pub mod facets;
mod ff1;
pub mod fill;
mod json;
pub mod key;
pub mod marks;
pub mod number;
pub mod options;
mod parts;
mod persona;
pub mod residual;
pub mod results;
mod siv;
pub mod spec;
mod surrogate;
#[cfg(test)]
mod testing;
mod text;
pub mod treatment;
pub mod treatments;
mod values;
pub mod vault;
mod words;

pub use date::Date;
pub use divisions::Edition;
pub use error::{Misfit, NotOpened, TreatmentError, Unopenable};
pub use key::{DerivedKey, KeyUse, Keys};
pub use options::{Action, Options, Scalar, Share};
pub use results::{Uniqueness, Width};
pub use spec::{Column, Definition, Read, Row, RowField, Strength, TreatmentSpec};
pub use treatment::{Choice, ChunkId, Context, Counts, Reason, Treated, Treatment};
pub use vault::{Provisional, TokenForm, Vault, VaultCipher, VaultError, VaultUse};
