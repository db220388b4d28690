//! Lockgate: governed bulk exchange of datasets between government departments.
//!
//! One run is one sentence: a grant over a catalogued dataset is compiled into a plan; the plan
//! pulls, treats, marks, seals and delivers; a signed manifest and a ledger entry prove what left.

mod allocator;
pub mod approval;
pub mod approval_record;
pub mod canonical_json;
pub mod cli;
pub mod clock;
pub mod command;
pub mod delivered;
pub mod demo;
pub mod digest;
pub mod dispose;
pub mod dsse;
pub mod engine;
pub mod error;
pub mod fault;
pub mod id;
pub mod installation;
pub mod ledger;
pub mod life;
pub mod manifest;
pub mod marks;
pub mod open;
pub mod plan;
pub mod preview;
pub mod receipt;
mod recording;
pub mod release_keys;
pub mod replay;
pub mod reveal;
pub mod run;
pub mod site;
pub mod trace;
pub mod usage;
pub mod vault;
pub mod verify;
