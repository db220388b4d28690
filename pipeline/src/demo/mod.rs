//! Sites to try Lockgate with: invented data, a catalogue and a policy over it, and grants that show
//! unconditional, conditional, exempted and prohibited sharing.
//!
//! A site here is like any other: its grants are compiled, signed and run by the code that every
//! site uses. What is special is only that one person holds all keys, the approver's too, which
//! lie outside the site's own keys.

mod error;
pub mod generate;
mod keys;
pub mod sample;
mod site;

pub use error::DemoError;
pub use keys::PeopleKeys;
pub use site::{DemoGrant, GRANTS, Prepared, prepare};
