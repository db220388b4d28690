//! What the bench of treatments measures: every kind of the catalogue, over columns that it treats.
//!
//! It is made here and not in the bench, so that a test finds a kind that nobody measures, or one that
//! is measured by how fast it refuses.

#![expect(
    clippy::expect_used,
    reason = "a bench whose input is wrong has nothing to measure"
)]

mod inputs;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{ArrayRef, BooleanArray};
use arrow::datatypes::DataType;
use lockgate_transforms::treatments::catalogue;
use lockgate_transforms::{
    ChunkId, Column, Context, DerivedKey, KeyUse, Keys, Provisional, Read, Row, RowField, Treated,
    Treatment, TreatmentSpec, Vault, VaultError, VaultUse,
};

pub use inputs::{Input, ROWS};

/// Rows that a column is chosen by.
const TRIED_ROWS: usize = 512;

/// A treatment and the columns that it is measured over.
#[derive(Debug)]
pub struct Measured {
    /// The treatment.
    pub spec: TreatmentSpec,
    /// The columns.
    pub inputs: Vec<Input>,
}

impl Measured {
    fn new(spec: &str, inputs: impl IntoIterator<Item = Input>) -> Self {
        Self {
            spec: serde_json::from_str(spec).expect("the spec is well formed"),
            inputs: inputs.into_iter().collect(),
        }
    }
}

/// Everything that is measured: some kinds by hand over several columns, and every other kind of the
/// catalogue as its example writes it, over the column that it can do most with.
pub fn measured() -> Vec<Measured> {
    let mut measured = masks();
    measured.extend(typed_masks());
    measured.extend(keyed());
    measured.extend(numbers());
    let by_hand: BTreeSet<&str> = measured.iter().map(|known| known.spec.kind()).collect();
    let inputs = inputs::all();
    let others: Vec<_> = catalogue()
        .into_iter()
        .filter(|entry| !by_hand.contains(entry.kind))
        .filter_map(|entry| by_example(entry.example, &inputs))
        .collect();
    measured.extend(others);
    measured
}

fn masks() -> Vec<Measured> {
    use inputs::{
        address, as_view, dates, decimals, dictionary, email, integers, located, mobile, name,
        resident_id, segmented,
    };
    let all = || [mobile(), name(), integers(), decimals(), dates()];
    vec![
        Measured::new(r#"{"kind":"clear"}"#, all()),
        Measured::new(r#"{"kind":"null"}"#, all()),
        Measured::new(
            r#"{"kind":"constant","value":"1970-01-01"}"#,
            [mobile(), dates()],
        ),
        Measured::new(
            r#"{"kind":"keep-ends","first":3,"last":4}"#,
            [mobile(), as_view(&mobile(), "mobile, view"), address()],
        ),
        Measured::new(
            r#"{"kind":"keep-ends","first":1,"last":0}"#,
            [
                name(),
                as_view(&name(), "Han name, view"),
                dictionary(),
                segmented(),
            ],
        ),
        Measured::new(
            r#"{"kind":"mask-range","from":6,"to":13}"#,
            [resident_id(), address()],
        ),
        Measured::new(r#"{"kind":"mask-range","from":1,"to":-1}"#, [segmented()]),
        // Patterns whose groups have their places, and one that takes the engine.
        Measured::new(
            r#"{"kind":"regex","pattern":"(\\d{6})(\\d{8})(\\d{3}[\\dX])","groups":[2,3]}"#,
            [resident_id()],
        ),
        Measured::new(
            r#"{"kind":"regex","pattern":"(.)(.*)","groups":[2]}"#,
            [name(), address(), segmented()],
        ),
        Measured::new(
            r#"{"kind":"regex","pattern":"(\\p{Han})(\\p{Han}*)","groups":[2]}"#,
            [name()],
        ),
        Measured::new(
            r#"{"kind":"regex","pattern":"(\\w)([\\w.]*)@(.+)","groups":[2]}"#,
            [email()],
        ),
        Measured::new(
            r#"{"kind":"regex","pattern":"(.+)@(.+)","groups":[1]}"#,
            [email()],
        ),
        Measured::new(
            r#"{"kind":"regex","pattern":"(\\d{6})((?:19|20)?\\d{6})(\\d{3}[\\dX]?)","groups":[2]}"#,
            [resident_id()],
        ),
        Measured::new(r#"{"kind":"mask-around","keep":1}"#, [email()]),
        Measured::new(
            r#"{"kind":"mask-around","delimiter":"区","side":"after"}"#,
            [located()],
        ),
        Measured::new(
            r#"{"kind":"keep-classes","keep":["separator"]}"#,
            [resident_id(), email(), name(), address()],
        ),
    ]
}

fn typed_masks() -> Vec<Measured> {
    use inputs::{
        address_v4, address_v6, card, credit_code, dotted, email, landline, located,
        located_anywhere, located_in, mobile, passport, permit, plate, resident_id, surnamed,
    };
    let masks = [
        ("resident-id", resident_id()),
        ("mobile", mobile()),
        ("landline", landline()),
        ("person-name", surnamed()),
        ("bank-card", card()),
        ("address", located()),
        ("credit-code", credit_code()),
        ("plate", plate()),
        ("passport", passport()),
        ("permit", permit()),
        ("email", email()),
        ("ip", address_v4()),
    ];
    let mask = |(of, input)| {
        let mut inputs = vec![input];
        match of {
            "person-name" => inputs.push(dotted()),
            // What a dictionary costs follows its distinct values.
            "address" => {
                inputs.push(located_anywhere());
                inputs.extend(DISTINCT.map(located_in));
            }
            "ip" => inputs.push(address_v6()),
            _ => {}
        }
        Measured::new(&format!(r#"{{"kind":"typed-mask","of":"{of}"}}"#), inputs)
    };
    masks.map(mask).into()
}

/// Distinct values of the dictionaries that are measured, and what they are called.
const DISTINCT: [(usize, &str); 3] = [
    (100, "Han address, dictionary of 100"),
    (1_000, "Han address, dictionary of 1000"),
    (10_000, "Han address, dictionary of 10000"),
];

fn keyed() -> Vec<Measured> {
    use inputs::{account, as_view, card, credit_code, integers, mobile, resident_id};
    let mut measured = vec![
        Measured::new(
            r#"{"kind":"hmac","domain":"person.id"}"#,
            [
                resident_id(),
                as_view(&resident_id(), "resident id, view"),
                mobile(),
                integers(),
            ],
        ),
        Measured::new(
            r#"{"kind":"hmac","domain":"person.id","algorithm":"sm3"}"#,
            [resident_id()],
        ),
        Measured::new(
            r#"{"kind":"fpe","domain":"account","alphabet":"digits"}"#,
            [account()],
        ),
    ];
    let ids = [
        ("resident-id", resident_id()),
        ("mobile", mobile()),
        ("bank-card", card()),
        ("credit-code", credit_code()),
    ];
    measured.extend(ids.map(|(of, input)| {
        let spec = format!(r#"{{"kind":"structured-id","of":"{of}","domain":"person.id"}}"#);
        Measured::new(&spec, [input])
    }));
    measured
}

fn numbers() -> Vec<Measured> {
    use inputs::{dates, decimals, floats, integers, timestamps};
    vec![
        Measured::new(
            r#"{"kind":"round","to":"1000"}"#,
            [integers(), floats(), decimals()],
        ),
        Measured::new(
            r#"{"kind":"bucket","width":"1000"}"#,
            [integers(), decimals()],
        ),
        Measured::new(
            r#"{"kind":"date-trunc","unit":"month"}"#,
            [dates(), timestamps()],
        ),
        Measured::new(
            r#"{"kind":"age-band","as_of":"2026-01-01","width":10}"#,
            [dates()],
        ),
    ]
}

/// A treatment as an example of the catalogue writes it, over the column of which it refuses least;
/// none for what leaves nothing to treat.
fn by_example(example: &str, inputs: &[Input]) -> Option<Measured> {
    let table: toml::Table = toml::from_str(&format!("treatment = {example}")).expect("an example");
    let treatment = table.get("treatment").cloned().expect("a treatment");
    let spec: TreatmentSpec = treatment.try_into().expect("an example that reads");
    let read = reads(&spec);
    let fitting = inputs.iter().filter_map(|input| {
        let treatment = build(&spec, input)?;
        Some((refused(&*treatment, &read, input), input))
    });
    let (_, input) = fitting.min_by_key(|(refused, _)| *refused)?;
    Some(Measured {
        spec,
        inputs: vec![input.clone()],
    })
}

/// How many of the first values of a column are short or invalid to a treatment.
fn refused(treatment: &dyn Treatment, read: &[ArrayRef], input: &Input) -> u64 {
    let first = |column: &ArrayRef| column.slice(0, TRIED_ROWS);
    let read: Vec<ArrayRef> = read.iter().map(first).collect();
    let counts = treat(treatment, &first(&input.column), &read).counts;
    counts.short + counts.invalid
}

/// The treatment for a column, if it fits.
pub fn build(spec: &TreatmentSpec, input: &Input) -> Option<Box<dyn Treatment>> {
    let is_text = matches!(
        input.column.data_type(),
        DataType::Utf8View | DataType::Dictionary(_, _)
    );
    let data_type = if is_text {
        &DataType::Utf8
    } else {
        input.column.data_type()
    };
    let reads = spec.reads();
    let fields: Vec<RowField<'_>> = reads
        .iter()
        .filter_map(|read| match read {
            Read::Field(name) | Read::Entity(name) => Some(RowField {
                name,
                data_type: &DataType::Utf8,
                category: "resident-id",
            }),
            Read::Condition(_) => None,
        })
        .collect();
    let column = Column {
        row: Row(&fields),
        ..Column::alone("field", data_type, input.category)
    };
    let keys: Vec<(KeyUse, DerivedKey)> = spec
        .key_uses()
        .into_iter()
        .map(|used| {
            let key = DerivedKey::derive(&[7; 32], used.purpose, &used.domain, "grant:G-1", 1);
            (used, key)
        })
        .collect();
    let held: Vec<_> = keys.iter().map(|(used, key)| (used.clone(), key)).collect();
    let vaults = keys.iter().zip(spec.vault_uses());
    let vaults: Vec<(VaultUse, Arc<dyn Vault>)> = vaults
        .map(|((_, key), used)| -> (VaultUse, Arc<dyn Vault>) {
            (used.clone(), Arc::new(MemoryVault::new(key, used)))
        })
        .collect();
    let keys = Keys::new(&held).with_vaults(&vaults);
    spec.build_with(column, keys).ok()
}

/// What a treatment reads of the rows: identity numbers, conditions that hold for every other row.
pub fn reads(spec: &TreatmentSpec) -> Vec<ArrayRef> {
    let reads = spec.reads().into_iter();
    reads
        .map(|read| match read {
            Read::Field(_) | Read::Entity(_) => inputs::resident_id().column,
            Read::Condition(_) => {
                let holds = (0..ROWS).map(|row| Some(row % 2 == 0));
                Arc::new(holds.collect::<BooleanArray>())
            }
        })
        .collect()
}

/// Treats a column once.
///
/// # Panics
/// The treatment fails, which no option of what is measured asks for.
pub fn treat(treatment: &dyn Treatment, column: &ArrayRef, inputs: &[ArrayRef]) -> Treated {
    let chunk = Some(ChunkId {
        attempt: [1; 16],
        split: 0,
        chunk: 0,
    });
    let context = Context { inputs, chunk };
    treatment
        .treat(column, &context)
        .expect("no option says fail")
}

/// A vault that holds its tokens in memory: what one on disk costs isn't measured here.
#[derive(Debug)]
struct MemoryVault {
    fresh: Provisional,
    tokens: Mutex<HashMap<Box<str>, Box<[u8]>>>,
}

impl MemoryVault {
    fn new(key: &DerivedKey, used: VaultUse) -> Self {
        Self {
            fresh: Provisional::new(key, used),
            tokens: Mutex::default(),
        }
    }
}

impl Vault for MemoryVault {
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError> {
        let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = Vec::new();
        for value in values {
            if let Some(token) = tokens.get(*value) {
                out.extend_from_slice(token);
                continue;
            }
            fresh.clear();
            self.fresh.tokens(&[*value], &mut fresh)?;
            out.extend_from_slice(&fresh);
            tokens.insert((*value).into(), fresh.as_slice().into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_the_catalogue_is_measured() {
        let measured = measured();
        let kinds: BTreeSet<&str> = measured.iter().map(|known| known.spec.kind()).collect();
        // Nothing is left of a field that is withheld: there is nothing to measure.
        let catalogue: BTreeSet<&str> = catalogue().into_iter().map(|entry| entry.kind).collect();
        let missing: Vec<_> = catalogue.difference(&kinds).collect();
        assert_eq!(missing, [&"withhold"]);
    }

    /// Every word that `of` takes is measured, for the kinds that treat a value by what it is.
    #[test]
    fn every_kind_of_identifier_is_measured() {
        let measured = measured();
        for entry in catalogue() {
            let Some(of) = entry
                .parameters
                .iter()
                .find(|parameter| parameter.name == "of")
            else {
                continue;
            };
            for word in of.accepts.split('"').skip(1).step_by(2) {
                let is_measured = measured.iter().any(|known| {
                    let written = serde_json::to_value(&known.spec).expect("a spec");
                    written["kind"] == entry.kind && written["of"] == word
                });
                assert!(is_measured, "{} of {word}", entry.kind);
            }
        }
    }

    #[test]
    fn what_is_measured_is_treated_and_not_refused() {
        for known in measured() {
            let (summary, read) = (known.spec.summary(), reads(&known.spec));
            assert!(!known.inputs.is_empty(), "{summary}");
            for input in &known.inputs {
                let treatment = build(&known.spec, input).expect("the treatment fits");
                let refused = refused(&*treatment, &read, input);
                assert!(
                    refused < 50,
                    "{summary} refuses {refused} of {}",
                    input.name
                );
            }
        }
    }
}
