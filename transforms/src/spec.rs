//! What a policy or grant writes about a field: `{ kind = "keep-ends", first = 1, last = 0 }`.
//!
//! One spec is one kind of treatment with its parameters, plus the options that every treatment
//! has. Specs are compared ("does this meet the floor?"), serialised canonically (every default
//! spelled out, so that an approver signs what is meant, not what was left out), and built into a
//! [`Treatment`] for a field.

mod disclosure;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use arrow::datatypes::DataType;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

use crate::error::{Case, Misfit};
use crate::facets::Facet;
use crate::key::{DerivedKey, KeyUse, Keys};
use crate::options::{Action, EmptyAction, Options, Scalar, StrictAction};
use crate::treatment::Treatment;
use crate::treatments::{self, AnyTreatment};
use crate::vault::VaultUse;

pub use crate::results::{Uniqueness, Width};

/// How much a treatment hides, from 0 (nothing) to 5 (nothing left).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Strength(pub u8);

impl Strength {
    /// Nothing is hidden.
    pub const CLEAR: Self = Self(0);
    /// Part of the text is hidden.
    pub const PARTIAL: Self = Self(1);
    /// A coarser value is left.
    pub const COARSER: Self = Self(2);
    /// Only equality under a key is left.
    pub const KEYED_EQUALITY: Self = Self(3);
    /// Not even equality is left.
    pub const UNLINKABLE: Self = Self(4);
    /// Nothing is left.
    pub const NOTHING_LEFT: Self = Self(5);
}

/// What a treatment reads of the original row beside its own field. `Debug` shows no condition.
#[derive(Clone, PartialEq, Eq)]
pub enum Read {
    /// A field, by name, whose value may show in the result.
    Field(String),
    /// A field, by name, that tells whose row it is: of its value the result shows nothing but,
    /// under a key, which rows belong together.
    Entity(String),
    /// A condition in the predicate language, evaluated over the original row. Nulls are handed
    /// over as nulls: they count as false, but for `drop-row`, which leaves such rows out.
    Condition(String),
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.debug_tuple("Field").field(name).finish(),
            Self::Entity(name) => f.debug_tuple("Entity").field(name).finish(),
            Self::Condition(_) => f.write_str("Condition(..)"),
        }
    }
}

/// The field a treatment is checked against and built for.
#[derive(Debug, Clone, Copy)]
pub struct Column<'a> {
    /// The field's name, for messages.
    pub name: &'a str,
    /// The field's type, as the catalogue declares it (plain: `Utf8`, never view or dictionary).
    pub data_type: &'a DataType,
    /// The field's category, which decides normalisation.
    pub category: &'a str,
    /// Every field of the dataset, for treatments that read others.
    pub row: Row<'a>,
}

impl<'a> Column<'a> {
    /// A field that stands alone: nothing else of its row can be read.
    pub fn alone(name: &'a str, data_type: &'a DataType, category: &'a str) -> Self {
        Self {
            name,
            data_type,
            category,
            row: Row(&[]),
        }
    }
}

/// The fields of a dataset, as catalogued.
#[derive(Debug, Clone, Copy, Default)]
pub struct Row<'a>(pub &'a [RowField<'a>]);

/// One field of a dataset.
#[derive(Debug, Clone, Copy)]
pub struct RowField<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its type, as the catalogue declares it.
    pub data_type: &'a DataType,
    /// Its category.
    pub category: &'a str,
}

impl<'a> Row<'a> {
    /// The field of that name.
    ///
    /// # Errors
    /// There is none; `parameter` names what refers to it.
    pub fn find(&self, parameter: &'static str, name: &str) -> Result<&'a RowField<'a>, Misfit> {
        self.0
            .iter()
            .find(|field| field.name == name)
            .ok_or_else(|| {
                Misfit::of_parameter(
                    parameter,
                    format!("`{parameter}` names a field `{name}`, which the dataset doesn't have"),
                )
            })
    }
}

/// One kind of treatment: its parameters, what they mean, and how to build it.
///
/// Implemented by one struct per kind, whose fields are the parameters as configuration writes
/// them. Field docs and serde defaults become the reference page and the JSON Schema.
pub trait Definition:
    Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema
{
    /// The kind as configuration writes it, in kebab-case.
    const KIND: &'static str;
    /// What it does, in one line without a full stop.
    const SUMMARY: &'static str;
    /// The types it fits, in words.
    const FITS: &'static str;
    /// A TOML inline table that uses it.
    const EXAMPLE: &'static str;
    /// The strength of the kind: the most that its parameters can make of it, or, where it holds
    /// other treatments, what its example comes to.
    const STRENGTH: Strength;
    /// Which parameters make it weaker than that, in words; absent where none do.
    const WEAKER: Option<&'static str> = None;
    /// What is left of the difference between values.
    const UNIQUENESS: Uniqueness;
    /// Whether no value but a sentinel becomes one: without that, different values may meet in a
    /// sentinel, which is kept as it is.
    const KEEPS_SENTINELS_APART: bool = false;
    /// Parameters, at any depth but in treatments within, that may quote values of rows: conditions
    /// and lists of values. Whoever approves reads them; recipients, refusals and logs don't.
    const CONCEALED: &'static [&'static str] = &[];
    /// How wide results of text or binary get, in words; absent where that follows the value.
    const WIDTH: Option<&'static str> = None;
    /// Who can restore the value, in words; absent where nobody can.
    const REVERSIBLE: Option<&'static str> = None;

    /// The strength with these parameters: what it counts as where it has to meet a floor. What
    /// is kept of a value lowers it.
    fn strength(&self) -> Strength {
        Self::STRENGTH
    }

    /// What has to be exceeded where this is the floor: the strength of the kind, whatever the
    /// parameters keep, because what they keep says nothing about the rest.
    fn strength_as_floor(&self) -> Strength {
        match self.parts().is_empty() {
            true => self.strength().max(Self::STRENGTH),
            false => self.strength(),
        }
    }

    /// Whether equality of values survives under a key, and with it their frequencies, here or in
    /// a treatment within.
    fn is_keyed_equality(&self) -> bool {
        let parts = self.parts();
        match parts.is_empty() {
            true => Self::STRENGTH == Strength::KEYED_EQUALITY,
            false => parts.iter().any(|part| part.is_keyed_equality()),
        }
    }

    /// Whether it leaves out rows on purpose, here or in a treatment within.
    fn leaves_out_rows(&self) -> bool {
        self.parts().iter().any(|part| part.leaves_out_rows())
    }

    /// What is left of the difference between values, with these parameters.
    fn uniqueness(&self) -> Uniqueness {
        Self::UNIQUENESS
    }

    /// Whether some values of that type may be short or invalid to it, as `case` asks, so that the
    /// options decide what becomes of them.
    fn refuses(&self, _data_type: &DataType, _case: Case) -> bool {
        true
    }

    /// What the options decide about values of that type.
    fn refused(&self, data_type: &DataType, options: &Options) -> Vec<Action> {
        let cases = [Case::Short, Case::Invalid].into_iter();
        let refused = cases.filter(|case| self.refuses(data_type, *case));
        refused.map(|case| options.action(case)).collect()
    }

    /// What is left of the difference between values of that type under these options.
    fn uniqueness_with(&self, data_type: &DataType, options: &Options) -> Uniqueness {
        let refused = self.refused(data_type, options);
        if Self::KEEPS_SENTINELS_APART {
            let unlisted = Options {
                sentinels: Vec::new(),
                ..options.clone()
            };
            return self.uniqueness().under(&unlisted, &refused);
        }
        self.uniqueness().under(options, &refused)
    }

    /// The most bytes that a value of that type can be treated to, whatever the value; absent where
    /// it follows the value, or the result isn't text or binary.
    fn width(&self, _data_type: &DataType) -> Option<usize> {
        None
    }

    /// The most bytes of what covers a whole value of text (`mask-all`); absent where it follows
    /// the value.
    fn cover_width(&self) -> Option<usize> {
        None
    }

    /// How wide results get, what these options keep and cover included.
    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        let (bytes, cover) = (self.width(data_type)?, self.cover_width());
        let refused = self.refused(data_type, options);
        Some(Width::with(bytes, cover, data_type, options, &refused))
    }

    /// The treatments within this one, in a fixed order.
    fn parts(&self) -> Vec<&TreatmentSpec> {
        Vec::new()
    }

    /// What it reads of the original row beside its own field: its own reads, then those of its
    /// [parts](Self::parts), in their order.
    fn reads(&self) -> Vec<Read> {
        reads_of(&self.parts())
    }

    /// The field of the row whose values the result follows under the key, where that isn't the
    /// treated field itself: a facet of a person follows the person's key.
    fn keyed_by(&self) -> Option<&str> {
        None
    }

    /// What it writes of a person or organisation that other treatments write facets of, too.
    fn facet(&self) -> Option<Facet<'_>> {
        None
    }

    /// What of its [reads](Self::reads) the delivered values may show, be it by which treatment a
    /// row got: everything but entities. A kind that shows less says so.
    fn reveals(&self) -> Vec<Read> {
        let parts = self.parts();
        let reads = self.reads();
        let own = reads.len().saturating_sub(reads_of(&parts).len());
        let own = reads.into_iter().take(own);
        own.filter(|read| !matches!(read, Read::Entity(_)))
            .chain(parts.iter().flat_map(|part| part.reveals()))
            .collect()
    }

    /// Whether every parameter reveals no more than `floor`'s.
    fn at_least(&self, floor: &Self) -> bool;

    /// Whether it may stand, with these options, where a floor of another kind is the least
    /// allowed. Not a coarser value for a floor that hides part of a text: read as a number or a date
    /// (a leaf of JSON, an element), the text may be its own coarser value.
    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        let own = self.strength();
        let worth = match own == Strength::COARSER {
            true => Strength::PARTIAL,
            false => own,
        };
        floor.outdone_by(worth, options)
    }

    /// Whether any treatment of that strength, with these options, may stand in for this one:
    /// it is stronger than this and everything within.
    fn outdone_by(&self, strength: Strength, options: &Options) -> bool {
        let parts = self.parts();
        strength > self.strength_as_floor()
            && parts.iter().all(|part| part.outdone_by(strength, options))
    }

    /// Type of the treated field; `None` where the field is withheld.
    ///
    /// # Errors
    /// The kind doesn't fit the field's type, or a parameter is out of its range.
    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit>;

    /// Whether a null may get a result of its own (`on_null = "synthesize"`).
    ///
    /// # Errors
    /// Why not: for every kind but surrogates, and for those that need something of the value.
    fn check_synthesis(&self, _column: Column<'_>) -> Result<(), Misfit> {
        let what = format!(
            "`on_null` is \"synthesize\", and `{}` makes nothing of a null",
            Self::KIND
        );
        Err(Misfit::of_parameter("on_null", what)
            .with_hint("surrogates do, with `by`: fake-name and its like"))
    }

    /// The key it needs itself.
    fn key_use(&self) -> Option<KeyUse> {
        None
    }

    /// Every key it needs: its own, then those of its [parts](Self::parts), none twice.
    fn key_uses(&self) -> Vec<KeyUse> {
        let mut uses: Vec<KeyUse> = self.key_use().into_iter().collect();
        for used in self.parts().iter().flat_map(|part| part.key_uses()) {
            if !uses.contains(&used) {
                uses.push(used);
            }
        }
        uses
    }

    /// The vault it needs itself.
    fn vault_use(&self) -> Option<VaultUse> {
        None
    }

    /// Every vault it needs: its own, then those of its [parts](Self::parts).
    fn vault_uses(&self) -> Vec<VaultUse> {
        let parts = self.parts().into_iter();
        let parts = parts.flat_map(|part| part.vault_uses());
        self.vault_use().into_iter().chain(parts).collect()
    }

    /// Makes the treatment for one field.
    ///
    /// # Errors
    /// As [`output_type`](Self::output_type); an option that doesn't fit; a key that is needed and
    /// absent; a field that is withheld, for which there is nothing to build.
    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit>;

    /// Makes the treatment for one field, with all the keys at hand. Only treatments with parts
    /// have a reason to look for more than [`key_use`](Self::key_use).
    ///
    /// # Errors
    /// As [`build`](Self::build).
    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let key = self.key_use().and_then(|used| keys.get(&used));
        self.build(column, options, key)
    }
}

/// What these treatments read, one after the other.
pub(crate) fn reads_of(parts: &[&TreatmentSpec]) -> Vec<Read> {
    parts.iter().flat_map(|part| part.reads()).collect()
}

/// A treatment as written: its kind with parameters, and its options. `Debug` is its
/// [summary](Self::summary).
#[derive(Clone, PartialEq)]
pub struct TreatmentSpec {
    treatment: AnyTreatment,
    options: Options,
}

impl TreatmentSpec {
    /// A spec of this treatment and these options.
    pub fn new(treatment: AnyTreatment, options: Options) -> Self {
        Self { treatment, options }
    }

    /// The treatment that leaves every value as it is.
    pub fn clear() -> Self {
        Self::new(
            AnyTreatment::Clear(treatments::clear::Clear {}),
            Options::default(),
        )
    }

    /// The treatment that removes the field from the delivery.
    pub fn withhold() -> Self {
        Self::new(
            AnyTreatment::Withhold(treatments::withhold::Withhold {}),
            Options::default(),
        )
    }

    /// The kind, as configuration writes it.
    pub fn kind(&self) -> &'static str {
        self.treatment.kind()
    }

    /// The treatment with its parameters.
    pub fn treatment(&self) -> &AnyTreatment {
        &self.treatment
    }

    /// The options.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// How much it hides.
    pub fn strength(&self) -> Strength {
        self.treatment.strength()
    }

    /// Whether this treatment may stand where `floor` is the least allowed: it is stronger, or of
    /// the same kind with every parameter revealing no more; and its options let no value pass
    /// that the floor's would not.
    ///
    /// This is about the field's own value. What is read of the row beside it is for the caller to
    /// compare: see [`reveals`](Self::reveals).
    pub fn meets(&self, floor: &Self) -> bool {
        if self.is_withhold() {
            let options = Options::withheld();
            let beyond = |kept| floor.treatment.outdone_by(Strength::NOTHING_LEFT, kept);
            return beyond(&options) || floor.is_withhold();
        }
        let alike =
            self.treatment.at_least(&floor.treatment) && self.options.at_least(&floor.options);
        alike || self.treatment.stands_for(&self.options, floor)
    }

    /// Whether any treatment of that strength, with these options, may stand in for this one.
    pub(crate) fn outdone_by(&self, strength: Strength, options: &Options) -> bool {
        self.treatment.outdone_by(strength, options) && options.keep_no_more(&self.options)
    }

    /// Whether it removes the field.
    pub(crate) fn is_withhold(&self) -> bool {
        matches!(self.treatment, AnyTreatment::Withhold(_))
    }

    /// The same treatment within one that has these options: of each pair the stricter holds, and
    /// the sentinels of both are kept.
    pub(crate) fn within(&self, outer: &Options) -> Self {
        Self::new(self.treatment.clone(), self.options.within(outer))
    }

    /// The same treatment under the limit of invalid values of one that has these options, and
    /// else leaves its parts their own.
    pub(crate) fn under_limit_of(&self, outer: &Options) -> Self {
        Self::new(self.treatment.clone(), self.options.under_limit_of(outer))
    }

    /// Type of the treated field; `None` where the field is withheld.
    ///
    /// # Errors
    /// The treatment or one of its options doesn't fit the field.
    pub fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        let output = self.treatment.output_type(column)?;
        self.check_options(column)?;
        if output.is_some() {
            crate::cases::check_sentinels(&self.options)?;
            crate::cases::Rules::resolve(&self.options, column)?;
        }
        Ok(output)
    }

    /// Refuses options that mean nothing here: surrogates for nulls where none are drawn, and a
    /// limit of invalid values where nothing is treated, or they aren't counted by themselves.
    fn check_options(&self, column: Column<'_>) -> Result<(), Misfit> {
        if self.options.on_null == Action::Synthesize {
            self.treatment.check_synthesis(column)?;
        }
        if self.is_withhold() && self.options.max_invalid.is_some() {
            let what = "`max_invalid` stands beside `withhold`, which treats no value";
            return Err(Misfit::of_parameter("max_invalid", what).with_hint("leave it out"));
        }
        let mut parts = self.treatment.parts().into_iter();
        if parts.any(Self::has_limit) {
            let what = "`max_invalid` stands in a treatment within another, whose invalid values \
                        aren't counted by themselves";
            return Err(Misfit::of_parameter("max_invalid", what)
                .with_hint("write it beside the outermost `kind`"));
        }
        Ok(())
    }

    /// Whether it, or a treatment within, has a limit of invalid values.
    fn has_limit(&self) -> bool {
        self.options.max_invalid.is_some()
            || self.treatment.parts().into_iter().any(Self::has_limit)
    }

    /// What is left of the difference between values of a field of that type, what the options do
    /// with those that don't fit included.
    pub fn uniqueness(&self, data_type: &DataType) -> Uniqueness {
        self.treatment.uniqueness_with(data_type, &self.options)
    }

    /// How wide the results of a part that treats values of that type get.
    pub(crate) fn part_width(&self, data_type: &DataType) -> Option<Width> {
        self.treatment.width_with(data_type, &self.options)
    }

    /// How wide the results of a field of type `data_type` get, which have type `output`; absent
    /// where they follow the value, or aren't text or binary.
    pub fn width(&self, data_type: &DataType, output: &DataType) -> Option<Width> {
        let has_width = matches!(output, DataType::Utf8 | DataType::Binary);
        self.part_width(data_type).filter(|_| has_width)
    }

    /// What it reads of the original row beside its own field.
    pub fn reads(&self) -> Vec<Read> {
        self.treatment.reads()
    }

    /// The fields of which equality of values survives under a key, and with it their frequencies,
    /// here or in a treatment within; none stands for the treated field itself.
    pub fn keyed_fields(&self) -> Vec<Option<&str>> {
        let keyed = self.treatment.parts().is_empty() && self.is_keyed_equality();
        let mut fields: Vec<_> = keyed
            .then(|| self.treatment.keyed_by())
            .into_iter()
            .collect();
        for part in self.treatment.parts() {
            fields.extend(part.keyed_fields());
        }
        fields
    }

    /// What it writes of persons and organisations, here or in a treatment within.
    pub(crate) fn facets(&self) -> Vec<Facet<'_>> {
        let parts = self.treatment.parts().into_iter();
        let parts = parts.flat_map(|part| part.facets());
        self.treatment.facet().into_iter().chain(parts).collect()
    }

    /// What it reads of the row that the delivered values may show.
    pub fn reveals(&self) -> Vec<Read> {
        self.treatment.reveals()
    }

    /// Whether equality of values survives under a key, and with it their frequencies, here or in
    /// a treatment within.
    pub fn is_keyed_equality(&self) -> bool {
        self.treatment.is_keyed_equality()
    }

    /// Whether it leaves out rows on purpose, here or in a treatment within.
    pub fn leaves_out_rows(&self) -> bool {
        self.treatment.leaves_out_rows()
    }

    /// What has to be exceeded where this is the floor.
    pub(crate) fn strength_as_floor(&self) -> Strength {
        self.treatment.strength_as_floor()
    }

    /// Every key it needs, none twice.
    pub fn key_uses(&self) -> Vec<KeyUse> {
        self.treatment.key_uses()
    }

    /// Every vault it needs; two treatments within it may need the same one.
    pub fn vault_uses(&self) -> Vec<VaultUse> {
        self.treatment.vault_uses()
    }

    /// Makes the treatment for one field, with the one key it needs.
    ///
    /// # Errors
    /// As [`build_with`](Self::build_with).
    pub fn build(
        &self,
        column: Column<'_>,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let uses = self.key_uses();
        let held = match (uses.as_slice(), key) {
            ([only], Some(key)) => vec![(only.clone(), key)],
            _ => Vec::new(),
        };
        self.build_with(column, Keys::new(&held))
    }

    /// Makes the treatment for one field.
    ///
    /// # Errors
    /// As [`output_type`](Self::output_type); a key that is needed and absent; a field that is
    /// withheld, for which there is nothing to build.
    pub fn build_with(
        &self,
        column: Column<'_>,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        self.treatment.build_with(column, &self.options, keys)
    }
}

/// The same value with the keys of its tables in order, whatever map `serde_json` was built with.
pub(crate) fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let entries: BTreeMap<String, Value> = map.into_iter().collect();
            let entries = entries.into_iter();
            Value::Object(entries.map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        other @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => other,
    }
}

/// The options as keys and values, in their fixed order; without those that are absent.
fn option_values(options: &Options) -> Vec<(&'static str, Value)> {
    let action = |action: Action| Value::from(action.as_str());
    let sentinels = options.sentinels.iter().map(|sentinel| match sentinel {
        Scalar::Boolean(value) => Value::from(*value),
        Scalar::Integer(value) => Value::from(*value),
        Scalar::Text(text) => Value::from(text.as_str()),
    });
    let mut values = vec![
        ("on_null", action(options.on_null)),
        ("on_empty", action(options.on_empty)),
        ("on_short", action(options.on_short)),
        ("on_invalid", action(options.on_invalid)),
        ("sentinels", sentinels.collect()),
    ];
    if let Some(limit) = options.max_invalid {
        values.push(("max_invalid", limit.to_string().into()));
    }
    values
}

impl Serialize for TreatmentSpec {
    /// The canonical form: `kind`, then the parameters by name, then the options; every default
    /// spelled out, and nothing for an optional parameter that is absent.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let parameters: BTreeMap<String, Value> = self.treatment.parameters();
        let options = option_values(&self.options);
        let mut map = serializer.serialize_map(Some(1 + parameters.len() + options.len()))?;
        map.serialize_entry("kind", self.kind())?;
        for (name, value) in &parameters {
            map.serialize_entry(name, value)?;
        }
        for (name, value) in &options {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for TreatmentSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(SpecVisitor)
    }
}

/// Reads the one table that holds kind, parameters and options side by side. serde's `flatten`
/// would accept misspelt keys here, so the keys are sorted out by hand.
struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = TreatmentSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a treatment such as { kind = \"clear\" }")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<TreatmentSpec, A::Error> {
        let mut kind: Option<&'static str> = None;
        let mut options = Options::default();
        let mut parameters = Map::new();
        let mut seen: Vec<String> = Vec::new();
        while let Some(key) = map.next_key_seed(KeySeed { kind })? {
            if seen.contains(&key) {
                return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
            }
            match key.as_str() {
                "kind" => kind = Some(map.next_value::<Kind>()?.0),
                "on_null" => options.on_null = map.next_value()?,
                "on_empty" => options.on_empty = map.next_value::<EmptyAction>()?.into(),
                "on_short" => options.on_short = map.next_value::<StrictAction>()?.into(),
                "on_invalid" => options.on_invalid = map.next_value::<StrictAction>()?.into(),
                "sentinels" => options.sentinels = map.next_value()?,
                "max_invalid" => options.max_invalid = Some(map.next_value()?),
                _ => {
                    parameters.insert(key.clone(), map.next_value::<Located>()?.0);
                }
            }
            seen.push(key);
        }
        let kind = kind.ok_or_else(|| de::Error::missing_field("kind"))?;
        for name in parameters.keys() {
            known_key(kind, name)?;
        }
        let treatment =
            AnyTreatment::parse(kind, Value::Object(parameters)).map_err(de::Error::custom)?;
        Ok(TreatmentSpec::new(treatment, options))
    }
}

/// A parameter's value. A table within that has a `kind` is a treatment, whose unknown keys are
/// refused at their place.
struct Located(Value);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(LocatedVisitor).map(Self)
    }
}

struct LocatedVisitor;

impl<'de> Visitor<'de> for LocatedVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(Located(value)) = items.next_element()? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut kind: Option<&'static str> = None;
        let mut entries = Map::new();
        while let Some(key) = map.next_key_seed(KeySeed { kind })? {
            let Located(value) = map.next_value()?;
            if key == "kind" {
                let text = value.as_str().unwrap_or_default();
                kind = treatments::KINDS
                    .iter()
                    .find(|kind| **kind == text)
                    .copied();
            }
            if entries.contains_key(&key) {
                return Err(de::Error::custom(format_args!("duplicate field `{key}`")));
            }
            entries.insert(key, value);
        }
        if let Some(kind) = kind {
            for key in entries.keys() {
                known_key_or_option(kind, key)?;
            }
        }
        Ok(Value::Object(entries))
    }
}

/// A key of the table, refused at its place where the kind is known already.
struct KeySeed {
    kind: Option<&'static str>,
}

impl<'de> DeserializeSeed<'de> for KeySeed {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        let key = String::deserialize(deserializer)?;
        if let Some(kind) = self.kind {
            known_key_or_option(kind, &key)?;
        }
        Ok(key)
    }
}

/// Refuses a key that a treatment of `kind` doesn't have.
fn known_key_or_option<E: de::Error>(kind: &str, key: &str) -> Result<(), E> {
    if key == "kind" || Options::KEYS.contains(&key) {
        return Ok(());
    }
    known_key(kind, key)
}

/// Refuses a key that is neither a parameter of `kind` nor an option, in serde's words.
fn known_key<E: de::Error>(kind: &str, key: &str) -> Result<(), E> {
    let parameters = treatments::parameter_names(kind);
    if parameters.contains(&key) {
        return Ok(());
    }
    let known: Vec<String> = parameters
        .iter()
        .chain(&Options::KEYS)
        .map(|name| format!("`{name}`"))
        .collect();
    Err(E::custom(format_args!(
        "unknown field `{key}`, expected one of {}",
        known.join(", ")
    )))
}

/// The kind, checked against the list of kinds.
struct Kind(&'static str);

impl<'de> Deserialize<'de> for Kind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        treatments::KINDS
            .iter()
            .find(|kind| **kind == text)
            .map(|kind| Self(kind))
            .ok_or_else(|| de::Error::unknown_variant(&text, treatments::KINDS))
    }
}

impl JsonSchema for TreatmentSpec {
    fn schema_name() -> Cow<'static, str> {
        "Treatment".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        treatments::schema(generator)
    }
}

/// The names of the fields of a struct, taken from what its `Deserialize` asks for.
pub(crate) fn field_names<T: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &'static [&'static str] = &[];
    // The probe answers every question with an error, once it has seen the names.
    let probed = T::deserialize(FieldProbe(&mut names));
    debug_assert!(probed.is_err(), "the probe never yields a value");
    names
}

struct FieldProbe<'a>(&'a mut &'static [&'static str]);

impl<'de> Deserializer<'de> for FieldProbe<'_> {
    type Error = de::value::Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
        Err(de::Error::custom("a probe holds no value"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Self::Error> {
        *self.0 = fields;
        Err(de::Error::custom("a probe holds no value"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests;
