//! What the tests of treatments share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use arrow::array::{ArrayRef, AsArray, BooleanArray, StringArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::DataType;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::error::{Misfit, TreatmentError};
use crate::key::{DerivedKey, KeyUse, Keys};
use crate::spec::{Column, TreatmentSpec};
use crate::treatment::{Context, Treated, Treatment};
use crate::vault::{Provisional, Vault, VaultError, VaultUse};

/// A category that brings no normalisation.
pub(crate) const CATEGORY: &str = "other";

/// A spec read from a TOML inline table.
pub(crate) fn spec(text: &str) -> TreatmentSpec {
    try_spec(text).unwrap()
}

/// A spec read from a TOML inline table, or what is wrong with it.
pub(crate) fn try_spec(text: &str) -> Result<TreatmentSpec, toml::de::Error> {
    #[derive(serde::Deserialize)]
    struct Rule {
        treatment: TreatmentSpec,
    }
    toml::from_str::<Rule>(&format!("treatment = {text}")).map(|rule| rule.treatment)
}

/// A key as a grant's pseudonyms use it.
pub(crate) fn key() -> DerivedKey {
    DerivedKey::derive(&[7; 32], "pseudonym", "person.id", "grant:G-1", 1)
}

/// Asserts that `own`, a key that HKDF made of `key` for an algorithm's `name` and `label`, isn't
/// what `hmac` delivers under `key` for a text somebody thought of: HKDF's own second step, under
/// any spelling of its information, or the label behind a prefix.
pub(crate) fn no_pseudonym_is(key: &DerivedKey, own: &[u8], name: &str, label: &str) {
    let lp = |part: &str| {
        let length = u32::try_from(part.len()).unwrap().to_be_bytes();
        String::from_utf8(length.to_vec()).unwrap() + part
    };
    let parts = [name, label];
    let info: String = parts.iter().map(|part| lp(part)).collect();
    let texts = [
        label.to_owned(),
        name.to_owned(),
        lp(name),
        format!("{}\u{1}", lp(name)),
        parts.concat(),
        parts.join("/"),
        parts.join("\0"),
        parts.join("\n"),
        format!("{}\u{1}", parts.join("\n")),
        info.clone(),
        format!("{info}\u{1}"),
        format!("lockgate/v1/surrogate/{label}"),
        format!("lockgate/sample\0{label}"),
    ];
    for text in texts {
        let mac = Hmac::<Sha256>::new_from_slice(key.expose()).unwrap();
        let pseudonym = mac.chain_update(&text).finalize().into_bytes();
        assert_ne!(pseudonym.as_slice(), own, "{name}, {label}");
    }
}

/// Treats a column of any type, without normalisation.
pub(crate) fn treat_array(text: &str, array: &ArrayRef) -> Result<Treated, TreatmentError> {
    treat_with(text, array, CATEGORY, &key())
}

/// Treats a column of a category.
pub(crate) fn treat_with(
    text: &str,
    array: &ArrayRef,
    category: &str,
    key: &DerivedKey,
) -> Result<Treated, TreatmentError> {
    let is_text = array.as_any_dictionary_opt().is_some()
        || matches!(array.data_type(), DataType::LargeUtf8 | DataType::Utf8View);
    let data_type = if is_text {
        DataType::Utf8
    } else {
        array.data_type().clone()
    };
    let column = Column::alone("field", &data_type, category);
    let spec = spec(text);
    let built = build_keyed(&spec, column, key).unwrap();
    let treated = built.apply(array)?;
    assert_eq!(treated.array.len(), array.len());
    assert_eq!(treated.array.data_type(), built.output_type());
    assert_eq!(
        Some(built.output_type()),
        spec.output_type(column).unwrap().as_ref()
    );
    Ok(treated)
}

/// Treats a column of text.
pub(crate) fn treat(text: &str, values: &[Option<&str>]) -> Treated {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    treat_array(text, &array).unwrap()
}

/// Treats one value.
pub(crate) fn treat_one(text: &str, value: &str) -> Option<String> {
    let treated = treat(text, &[Some(value)]);
    treated
        .array
        .as_string::<i32>()
        .iter()
        .next()
        .flatten()
        .map(str::to_owned)
}

/// How many were null, empty, short, invalid.
pub(crate) fn cases_of(treated: &Treated) -> (u64, u64, u64, u64) {
    let counts = &treated.counts;
    (counts.nulls, counts.empty, counts.short, counts.invalid)
}

/// Why a spec doesn't fit a text field.
pub(crate) fn misfit(text: &str) -> Misfit {
    misfit_of(text, &DataType::Utf8)
}

/// Why a spec doesn't fit a field of that type.
pub(crate) fn misfit_of(text: &str, data_type: &DataType) -> Misfit {
    let column = Column::alone("field", data_type, CATEGORY);
    let spec = spec(text);
    let misfit = spec.output_type(column).unwrap_err();
    assert_eq!(build_keyed(&spec, column, &key()).unwrap_err(), misfit);
    misfit
}

/// A key for every use of a spec: one for each domain and join group.
pub(crate) fn keys_of(spec: &TreatmentSpec) -> Vec<(KeyUse, DerivedKey)> {
    let derive = |used: KeyUse| {
        let scope = used
            .join
            .as_ref()
            .map_or_else(|| "grant:G-1".to_owned(), |join| format!("join:{join}"));
        let key = DerivedKey::derive(&[7; 32], used.purpose, &used.domain, &scope, 1);
        (used, key)
    };
    spec.key_uses().into_iter().map(derive).collect()
}

/// Builds a spec with a key for each of its uses.
pub(crate) fn build(
    spec: &TreatmentSpec,
    column: Column<'_>,
) -> Result<Box<dyn Treatment>, Misfit> {
    let keys = keys_of(spec);
    let held: Vec<_> = keys.iter().map(|(used, key)| (used.clone(), key)).collect();
    let vaults = vaults_of(spec, &held);
    spec.build_with(column, Keys::new(&held).with_vaults(&vaults))
}

/// Builds a spec with this key, where it needs one, and a vault of it.
pub(crate) fn build_keyed(
    spec: &TreatmentSpec,
    column: Column<'_>,
    key: &DerivedKey,
) -> Result<Box<dyn Treatment>, Misfit> {
    let uses = spec.key_uses();
    let held = match uses.as_slice() {
        [only] => vec![(only.clone(), key)],
        _ => Vec::new(),
    };
    let vaults = vaults_of(spec, &held);
    spec.build_with(column, Keys::new(&held).with_vaults(&vaults))
}

/// A vault in memory for every use of a spec, each made with the key of its domain and scope.
pub(crate) fn vaults_of(
    spec: &TreatmentSpec,
    keys: &[(KeyUse, &DerivedKey)],
) -> Vec<(VaultUse, Arc<dyn Vault>)> {
    let vault = |used: VaultUse| -> Option<(VaultUse, Arc<dyn Vault>)> {
        let mut keys = keys.iter();
        let of_use = |(key, _): &&(KeyUse, _)| key.domain == used.domain && key.join == used.join;
        let (_, key) = keys.find(of_use)?;
        Some((used.clone(), Arc::new(MemoryVault::new(key, used))))
    };
    spec.vault_uses().into_iter().filter_map(vault).collect()
}

/// A vault in memory, whose draws follow a key, so that two of one key agree.
#[derive(Debug)]
pub(crate) struct MemoryVault {
    draws: Provisional,
    domain: String,
    full_at: u128,
    kept: Mutex<Kept>,
}

/// Tokens by value, and the tokens given.
#[derive(Debug, Default)]
struct Kept {
    tokens: HashMap<String, Vec<u8>>,
    given: HashSet<Vec<u8>>,
}

impl MemoryVault {
    pub(crate) fn new(key: &DerivedKey, vault: VaultUse) -> Self {
        Self {
            domain: vault.domain.clone(),
            full_at: vault.form.space() / 2,
            draws: Provisional::new(key, vault),
            kept: Mutex::default(),
        }
    }

    /// The same, which is full once it holds that many tokens.
    pub(crate) fn full_at(self, full_at: u128) -> Self {
        Self { full_at, ..self }
    }
}

impl Vault for MemoryVault {
    fn tokens(&self, values: &[&str], out: &mut Vec<u8>) -> Result<(), VaultError> {
        let mut kept = self.kept.lock().unwrap();
        for value in values {
            if let Some(token) = kept.tokens.get(*value) {
                out.extend_from_slice(token);
                continue;
            }
            let held = kept.tokens.len();
            if u128::try_from(held).unwrap() >= self.full_at {
                return Err(VaultError::Full {
                    domain: self.domain.clone(),
                    held: u64::try_from(held).unwrap(),
                    space: u64::try_from(2 * self.full_at).unwrap(),
                });
            }
            let drawn = (0..).map(|time: u32| {
                let mut token = Vec::new();
                let again = format!("{value}\0{time}");
                self.draws.tokens(&[&again], &mut token).unwrap();
                token
            });
            let token = drawn
                .into_iter()
                .find(|token| !kept.given.contains(token))
                .unwrap();
            out.extend_from_slice(&token);
            kept.given.insert(token.clone());
            kept.tokens.insert((*value).to_owned(), token);
        }
        Ok(())
    }
}

/// Treats a column of text with what it reads of its rows: `row` has one field for each.
pub(crate) fn treat_row(
    text: &str,
    values: &[Option<&str>],
    inputs: &[ArrayRef],
) -> Result<Treated, TreatmentError> {
    let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
    let column = Column::alone("field", &DataType::Utf8, CATEGORY);
    let built = build(&spec(text), column).unwrap();
    built.treat(
        &array,
        &Context {
            inputs,
            chunk: None,
        },
    )
}

/// A condition's answers.
pub(crate) fn answers(answers: &[Option<bool>]) -> ArrayRef {
    Arc::new(BooleanArray::from(answers.to_vec()))
}

/// The answers of a condition that has no value for the rows `unanswered`.
pub(crate) fn answers_but(answers: &[Option<bool>], unanswered: &[usize]) -> ArrayRef {
    let flags = (0..answers.len()).map(|row| unanswered.contains(&row));
    let flags = BooleanBuffer::from_iter(flags);
    crate::condition::input(BooleanArray::from(answers.to_vec()), Some(&flags))
}

/// The texts of a treated column.
pub(crate) fn texts(treated: &Treated) -> Vec<Option<&str>> {
    treated.array.as_string::<i32>().iter().collect()
}

/// The rows that are flagged.
pub(crate) fn flagged(flags: Option<&BooleanBuffer>) -> Vec<usize> {
    flags
        .map(|flags| flags.set_indices().collect())
        .unwrap_or_default()
}

/// Whether the bytes stand anywhere in an array, in its values or under its nulls.
pub(crate) fn holds(array: &ArrayRef, bytes: &[u8]) -> bool {
    fn within(data: &arrow::array::ArrayData, bytes: &[u8]) -> bool {
        let mut buffers = data.buffers().iter();
        buffers.any(|buffer| {
            buffer
                .as_slice()
                .windows(bytes.len())
                .any(|window| window == bytes)
        }) || data.child_data().iter().any(|child| within(child, bytes))
    }
    within(&array.to_data(), bytes)
}
