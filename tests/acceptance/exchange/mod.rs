//! The whole way of the data, through the command line: what is read, what is done to it, what is
//! delivered, and what a recipient can check of it.

mod complaints;
mod kinds;
mod ledger;
pub(crate) mod nested;
mod rows;
mod runs;
mod sources;
mod strength;
mod treatments;
mod tuning;
mod verifying;
