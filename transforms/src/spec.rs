//! What a policy or grant writes about a field: `{ kind = "keep-ends", first = 1, last = 0 }`.
//!
//! One spec is one kind of treatment with its parameters, plus the options that every treatment
//! has. Specs are compared ("does this meet the floor?"), serialised canonically (every default
//! spelled out, so that an approver signs what is meant, not what was left out), and built into a
//! [`Treatment`] for a field.

use arrow::datatypes::DataType;

use crate::error::Misfit;
use crate::key::{DerivedKey, KeyUse};
use crate::treatment::Treatment;

/// How much a treatment hides, from 0 (nothing) to 5 (nothing left).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub struct Strength(pub u8);

/// The field a treatment is checked against and built for.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The field's name, for messages.
    pub name: &'a str,
    /// The field's type, as the catalogue declares it (plain: `Utf8`, never view or dictionary).
    pub data_type: &'a DataType,
    /// The field's category, which decides normalisation.
    pub category: &'a str,
}

// HELPER H1: `TreatmentSpec` with exactly these public methods.
// pub struct TreatmentSpec { .. }   Clone + Debug + PartialEq + Serialize (canonical, all defaults
//                                   explicit) + Deserialize (internally tagged by `kind`, unknown
//                                   keys are errors) + JsonSchema
// impl TreatmentSpec {
//     pub fn clear() -> Self;
//     pub fn kind(&self) -> &'static str;
//     pub fn strength(&self) -> Strength;
//     /// stronger, or same kind and every parameter and option reveals no more
//     pub fn meets(&self, floor: &Self) -> bool;
//     /// None: the field is withheld
//     pub fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit>;
//     pub fn is_keyed_equality(&self) -> bool;      // strength 3
//     pub fn key_use(&self) -> Option<KeyUse>;
//     pub fn build(&self, column: Column<'_>, key: Option<&DerivedKey>)
//         -> Result<Box<dyn Treatment>, Misfit>;
//     /// short form for tables: `keep-ends(first=1, last=0)`; only parameters that differ from default
//     pub fn summary(&self) -> String;
// }
