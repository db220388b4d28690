//! Receipts: what a recipient signs once it has a delivery, and what a provider does with it.
//!
//! A receipt says which delivery, by the SHA-256 of its manifest, what was checked before signing, and
//! that the recipient saw the ledger's checkpoint: it signs that too, so that the ledger's operator
//! can't rewrite what was before without the recipient's copy showing it. A second kind states that
//! every copy was destroyed, which for a delivery whose key the recipient holds is all there is. A third
//! tells how the data was used, which becomes part of the usage records.
//!
//! A receipt that contradicts the ledger is refused and not recorded; it is evidence, and to be kept.

mod accept;
pub mod cosignature;
mod make;
mod statement;

pub use accept::{Accepted, accept};
pub(crate) use accept::{kept, opened};
pub use make::{Made, ReceiptRequest, destroyed, make, used};
pub use statement::{BYTES_MAX, Checked, PAYLOAD_TYPE, Receipt, ReceiptKind, Use};
