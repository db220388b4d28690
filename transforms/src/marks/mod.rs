//! Marks: a recipient's fingerprint in the data, and the trace from a leaked copy back to a grant.

pub mod anchor;
mod canonical;
mod cmac;
pub mod code;
pub mod key;
pub mod predict;
pub mod score;
