//! The trace: from a leaked copy back to the grants it was made from.
//!
//! A trace has the leak, the keys and the ledger, and not the original. It goes in four steps:
//! 1. [`Tracer::open`] reads every key and scheme that deliveries of the dataset were marked by, and
//!    holds the keys against their commitments
//! 2. `columns` finds the marked fields and what finds their rows again: by header, by what the
//!    values look like, and by trial. A trial asks whether marks are *present* and looks at nobody's
//!    symbols, so the choice says nothing about any grant, and the bound of what follows stays exact
//!    (the argument is that of `lockgate_transforms::marks::score`)
//! 3. `pass` reads the whole leak once and collects one vote a position
//! 4. every candidate is scored, and a [`Finding`] says what came of it
//!
//! A key with a scheme is a hypothesis. Those of which the leak shows marks are traced side by side,
//! and their number H raises the threshold; so does the number of traces there were before.
//!
//! [`evidence`] writes down what a third party needs to come to the same result.

mod columns;
pub mod evidence;
mod finding;
mod investigation;
mod pass;
mod tracer;

use std::collections::BTreeMap;

use lockgate_transforms::marks::score::Standard;

pub use columns::{Matched, Reading};
pub use finding::{Finding, NamedVerdict, Presence, TagMatches, Traced};
pub use investigation::{Order, Outcome, investigate};
pub use tracer::Tracer;

/// What is asked of a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// The probability ε that all traces of the dataset together accuse any innocent, if none of them
    /// had a larger one.
    pub error: f64,
    /// The how-manieth trace of the dataset it is, from 1: it has its share of ε alone.
    pub investigation: u64,
    /// Columns of the leak by the names of the dataset's fields, where the operator knows better
    /// than the search.
    pub columns: BTreeMap<String, String>,
    /// Whether the exact chance is computed of those that are accused or suspect: up to a second for
    /// each hypothesis. No verdict depends on it.
    pub exact: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            error: Standard::ERROR,
            investigation: 1,
            columns: BTreeMap::new(),
            exact: true,
        }
    }
}

impl Request {
    /// Whether an error is one that a trace can be held to: a probability above 0 and below 1.
    fn is_error(error: f64) -> bool {
        error > 0.0 && error < 1.0
    }

    /// The standard that a hypothesis is held to.
    fn standard(&self, issued: u64, hypotheses: u64) -> Standard {
        Standard {
            issued,
            hypotheses,
            error: Standard::share(self.error, self.investigation),
        }
    }
}
