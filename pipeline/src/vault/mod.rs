//! Token vaults: what `tokenize` keeps on disk, so that equal values get equal tokens in every
//! delivery, and the provider can turn a token back.
//!
//! A vault is one file in `state/vaults/`: an embedded key-value store of sealed entries, which
//! tells nothing of values without the site's key (their form is
//! [`lockgate_transforms::vault`]'s to say). It belongs to a domain, a grant or join group, a form of
//! tokens and a version of the key `encryption`.
//!
//! - A run holds its vaults alone, and waits for one that another process holds. What it draws is
//!   kept at the latest before its manifest is made; a run that is killed leaves a vault that
//!   opens, with or without the latest tokens, of which none was delivered.
//! - What is damaged or older than the last delivery gives no tokens: a value would get a second one.
//!   Every page is read before a run begins, and the ledger knows what a vault must hold (`saves`).
//! - A preview reads, and makes tokens up where there are none.
//! - [`reveal()`] turns tokens back, if an approver has signed for them, and records it first.

mod asked;
mod check;
mod draw;
mod fault;
mod file;
mod fresh;
mod label;
mod make;
mod open;
mod preview;
mod reader;
mod reveal;
mod saves;
mod store;

#[cfg(test)]
mod tests;

pub use check::{Content, Listed, list, problems};
pub use fault::VaultFault;
pub(crate) use fault::class_of;
pub use open::{HeldVaults, Vaults};
pub use preview::PreviewVaults;
pub use reveal::{RevealRequest, Revealed, RevealedToken, reveal};
