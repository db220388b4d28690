//! Lockgate: governed bulk exchange of datasets between government departments.
//!
//! One run is one sentence: a grant over a catalogued dataset is compiled into a plan; the plan
//! pulls, treats, marks, seals and delivers; a signed manifest and a ledger entry prove what left.

pub mod canonical_json;
pub mod digest;
pub mod dsse;
pub mod ledger;
pub mod plan;
pub mod site;
