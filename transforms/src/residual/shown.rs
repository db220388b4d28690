//! What of an identifier a treated value shows, by position of the original.
//!
//! Where in the result a character stands doesn't matter, nor whether it stands there as itself: a
//! position is shown if the result depends on it. So the treatment is applied to the example and to
//! numbers that differ from it in one position, or in two where a check digit must stay right; a
//! position is hidden only if every other character could stand there without any difference in
//! the result; of a treatment that accepts numbers with a right check digit only, if one other could.
//! Where the result depends on a key, and so on every position, a position is shown if
//! it stays in its place whatever the key.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::datatypes::DataType;

use super::shape::{Shape, Variant};
use crate::key::{DerivedKey, KEY_BYTES, KeyUse, Keys};
use crate::options::{Action, Options};
use crate::spec::{Column, Read, Row, RowField, Strength, TreatmentSpec};
use crate::treatment::{Context, Treated, Treatment};
use crate::vault::{Provisional, Vault, VaultUse};

/// Keys that a keyed treatment is tried with: that a digit which doesn't stay is the same with all
/// of them happens once in 10^12, and then too much is taken for shown, not too little.
const KEYS: u8 = 12;

/// What one treatment, of no arms or rows of its own, shows of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// Nothing, or nothing without a key.
    Nothing,
    /// These positions of the original.
    Positions(Vec<bool>),
    /// That can't be told.
    Unknown,
}

/// What a treatment shows of the values of a shape.
pub(super) fn shown(
    shape: Shape,
    treatment: &TreatmentSpec,
    category: &str,
    data_type: &DataType,
) -> Shown {
    let strength = treatment.strength();
    if strength == Strength::CLEAR {
        return Shown::Positions(vec![true; shape.example().chars().count()]);
    }
    if strength >= Strength::UNLINKABLE {
        return Shown::Nothing;
    }
    let is_keyed = !treatment.key_uses().is_empty();
    if *data_type != DataType::Utf8 {
        return match is_keyed && strength == Strength::KEYED_EQUALITY {
            true => Shown::Nothing,
            false => Shown::Unknown,
        };
    }
    let found = match is_keyed {
        true => staying(shape, treatment, category),
        false => depended_on(shape, treatment, category),
    };
    match found {
        Some(positions) if is_keyed && !positions.contains(&true) => Shown::Nothing,
        Some(positions) => Shown::Positions(positions),
        // A pseudonym of other values than the example; keyed ones that keep a part are weaker.
        None if is_keyed && strength == Strength::KEYED_EQUALITY => Shown::Nothing,
        None => Shown::Unknown,
    }
}

/// Positions that the result depends on; `None` where the example itself doesn't fit.
fn depended_on(shape: Shape, treatment: &TreatmentSpec, category: &str) -> Option<Vec<bool>> {
    let example = shape.example();
    let variants = shape.variants();
    let texts: Vec<&str> = std::iter::once(example)
        .chain(variants.iter().map(|variant| variant.text.as_str()))
        .collect();
    let treated = apply(treatment, category, &texts, 0)?;
    let results = treated.array.as_string_opt::<i32>()?;
    let accepted = |row: usize| {
        let rejected = treated.rejected.as_ref();
        row < results.len() && !rejected.is_some_and(|rows| rows.value(row))
    };
    let result = |row: usize| results.is_valid(row).then(|| results.value(row));
    if !accepted(0) {
        return None;
    }
    let original = result(0);
    let positions = example.chars().count();
    let mut shown = vec![true; positions];
    for (position, shown) in shown.iter_mut().enumerate() {
        let here = variants.iter().enumerate();
        let here = here.filter(|(row, variant)| variant.position == position && accepted(row + 1));
        let (alone, coupled): (Vec<_>, Vec<_>) = here.partition(|(_, variant)| variant.is_alone);
        let same = |(row, _): &(usize, &Variant)| result(row + 1) == original;
        // A treatment that checks its values accepts no change but with a second one, and of some
        // positions none at all: whatever stays where it was is shown then.
        *shown = match alone.is_empty() {
            true => !coupled.iter().any(same) && stays(example, original, position),
            false => !alone.iter().all(same),
        };
    }
    Some(shown)
}

/// Whether a result has the example's character at a position, as far as positions mean anything.
fn stays(example: &str, result: Option<&str>, position: usize) -> bool {
    let Some(result) = result else {
        return false;
    };
    let same_length = example.chars().count() == result.chars().count();
    !same_length || example.chars().nth(position) == result.chars().nth(position)
}

/// Positions that stay in their place whatever the key; `None` where the example doesn't fit.
fn staying(shape: Shape, treatment: &TreatmentSpec, category: &str) -> Option<Vec<bool>> {
    let example: Vec<char> = shape.example().chars().collect();
    let mut staying = vec![true; example.len()];
    for key in 0..KEYS {
        let treated = apply(treatment, category, &[shape.example()], key)?;
        if treated.rejected.is_some_and(|rows| rows.value(0)) {
            return None;
        }
        let results = treated.array.as_string_opt::<i32>()?;
        let result: Vec<char> = match results.is_valid(0) {
            true => results.value(0).chars().collect(),
            false => Vec::new(),
        };
        let same_length = result.len() == example.len();
        for (position, stays) in staying.iter_mut().enumerate() {
            *stays &= same_length && result.get(position) == example.get(position);
        }
    }
    Some(staying)
}

/// Treats texts with keys made of a number, short and malformed ones rejected. Fields of the row
/// that are read hold the texts too.
fn apply(treatment: &TreatmentSpec, category: &str, texts: &[&str], number: u8) -> Option<Treated> {
    let strict = Options {
        on_short: Action::Reject,
        on_invalid: Action::Reject,
        ..Options::default()
    };
    let treatment = TreatmentSpec::new(treatment.treatment().clone(), strict);
    let reads = treatment.reads();
    let array: ArrayRef = Arc::new(StringArray::from(texts.to_vec()));
    let inputs: Vec<ArrayRef> = reads
        .iter()
        .map(|read| -> ArrayRef {
            match read {
                Read::Field(_) | Read::Entity(_) => Arc::clone(&array),
                Read::Condition(_) => Arc::new(BooleanArray::from(vec![false; texts.len()])),
            }
        })
        .collect();
    let built = build(&treatment, category, &reads, number)?;
    let context = Context {
        inputs: &inputs,
        chunk: None,
    };
    built.treat(&array, &context).ok()
}

fn build(
    treatment: &TreatmentSpec,
    category: &str,
    reads: &[Read],
    number: u8,
) -> Option<Box<dyn Treatment>> {
    let fields: Vec<RowField<'_>> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Field(name) | Read::Entity(name) => Some(RowField {
                name,
                data_type: &DataType::Utf8,
                category,
            }),
            Read::Condition(_) => None,
        })
        .collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone("example", &DataType::Utf8, category)
    };
    let uses = treatment.key_uses().into_iter();
    let keys: Vec<(KeyUse, DerivedKey)> = uses
        .map(|used| {
            let key = [number; KEY_BYTES];
            let key = DerivedKey::derive(&key, used.purpose, &used.domain, "example", 1);
            (used, key)
        })
        .collect();
    let held: Vec<(KeyUse, &DerivedKey)> =
        keys.iter().map(|(used, key)| (used.clone(), key)).collect();
    let vaults: Vec<(VaultUse, Arc<dyn Vault>)> = treatment
        .vault_uses()
        .into_iter()
        .map(|used| -> (VaultUse, Arc<dyn Vault>) {
            let key = DerivedKey::derive(
                &[number; KEY_BYTES],
                "encryption",
                &used.domain,
                "example",
                1,
            );
            (used.clone(), Arc::new(Provisional::new(&key, used)))
        })
        .collect();
    let keys = Keys::new(&held).with_vaults(&vaults);
    treatment.build_with(column, keys).ok()
}
