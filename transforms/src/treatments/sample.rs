//! `sample`: keeps a share of the entities, with all of their rows.
//!
//! Whether an entity is in the sample follows from a keyed hash of it (HMAC-SHA-256, whose first 64
//! bits are compared with the rate; the key is HKDF-SHA-256(derived key; no salt; info = 4-byte
//! big-endian length ‖ "lockgate/sample/v1")) and from nothing else, so
//! that its rows are in or out together in every table, batch and delivery of one grant, and
//! nobody without the key can tell who was in reach. A smaller rate keeps a part of a larger
//! sample.

use std::borrow::Cow;
use std::fmt;

use arrow::array::{Array, ArrayRef, StringArray};
use arrow::datatypes::DataType;
use hmac::{Hmac, KeyInit, Mac};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::cases::to_text;
use crate::category;
use crate::error::{Misfit, TreatmentError};
use crate::key::{DerivedKey, KEY_BYTES, KeyUse, Keys};
use crate::options::{Options, Scalar};
use crate::parts::{Part, PartBuilder, part_type, treat_kept};
use crate::spec::{
    Column, Definition, Read, RowField, Strength, TreatmentSpec, Uniqueness, Width, reads_of,
};
use crate::treatment::{Context, Treated, Treatment};

/// Names the key of samples, which is derived from that of the domain: a draw under the domain's own
/// key would be the pseudonym of some text.
const LABEL: &[u8] = b"lockgate/sample/v1";

/// Most decimals of a rate: with 64 bits drawn, more would mean nothing.
const DECIMALS_MAX: u32 = 18;

/// Keeps each entity with the given probability, drawn from a keyed hash of the field that names
/// it; the rows of the others are left out, and so are rows without one. The field's value in the
/// rows that stay is treated by `then`; of a row that is left out, nothing else is looked at.
///
/// The entity is normalised as its category says, like that of a pseudonym: text, whole numbers,
/// decimals and dates, as their text.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sample {
    /// The share of entities that stay, above 0 and at most 1, as decimal text (`"0.01"`).
    #[schemars(schema_with = "rate_schema")]
    pub rate: Scalar,
    /// The field that names the entity (`"person_id"`).
    pub by: String,
    /// Consistency domain: samples of one domain keep the same entities within a grant.
    pub domain: String,
    /// Approved join group, whose grants keep the same entities; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The treatment of the value in the rows that stay.
    #[serde(default = "super::drop_row::clear")]
    pub then: Box<TreatmentSpec>,
}

fn rate_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "oneOf": [
        { "type": "string", "pattern": "^(0\\.[0-9]{1,18}|1(\\.0{1,18})?)$" },
        { "type": "number", "exclusiveMinimum": 0, "maximum": 1 }
    ] })
}

impl Sample {
    /// The number of 64-bit draws that are kept: the rate times 2^64, rounded down, exactly.
    fn threshold(&self) -> Option<u128> {
        let text = self.rate.as_text();
        let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
        let decimals = u32::try_from(fraction.len()).ok()?;
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || decimals > DECIMALS_MAX || !digits(whole) || !digits(fraction) {
            return None;
        }
        let scaled: u128 = format!("{whole}{fraction}").parse().ok()?;
        let one = 10_u128.pow(decimals);
        (1..=one).contains(&scaled).then(|| (scaled << 64) / one)
    }

    fn check<'a>(&self, column: Column<'a>) -> Result<(u128, &'a RowField<'a>), Misfit> {
        let threshold = self.threshold().ok_or_else(|| {
            let what = format!("`rate` is `{}`", self.rate.as_text());
            Misfit::of_parameter("rate", what)
                .with_hint("write a share above 0 and at most 1, such as \"0.01\"")
        })?;
        if self.domain.trim().is_empty() {
            return Err(Misfit::of_parameter("domain", "`domain` is empty")
                .with_hint("name what is sampled, such as \"person.id\""));
        }
        if self
            .join
            .as_ref()
            .is_some_and(|join| join.trim().is_empty())
        {
            return Err(Misfit::of_parameter("join", "`join` is empty")
                .with_hint("name an approved join group, or leave it out"));
        }
        let entity = column.row.find("by", &self.by)?;
        let data_type = entity.data_type;
        let fits = matches!(
            data_type,
            DataType::Utf8 | DataType::Decimal128(_, _) | DataType::Date32
        ) || data_type.is_integer();
        if !fits {
            let what = format!("`by` names the field `{}` of type {data_type}", self.by);
            return Err(Misfit::of_parameter("by", what)
                .with_hint("it takes utf8, whole numbers, decimals, dates"));
        }
        Ok((threshold, entity))
    }
}

impl Definition for Sample {
    const KIND: &'static str = "sample";
    const SUMMARY: &'static str = "keeps a share of the entities with all of their rows";
    const FITS: &'static str = "the types that the treatment of the rows that stay fits";
    const EXAMPLE: &'static str = "{ kind = \"sample\", rate = \"0.5\", by = \"person_id\", \
         domain = \"person.id\", then = { kind = \"keep-ends\", first = 1, last = 0 } }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const WEAKER: Option<&'static str> = Some("that of the treatment within");
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("that of `then`");

    fn strength(&self) -> Strength {
        self.then.strength()
    }

    fn uniqueness(&self) -> Uniqueness {
        self.then.treatment().uniqueness()
    }

    fn uniqueness_with(&self, data_type: &DataType, options: &Options) -> Uniqueness {
        self.then.within(options).uniqueness(data_type)
    }

    fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
        self.then.within(options).part_width(data_type)
    }

    fn parts(&self) -> Vec<&TreatmentSpec> {
        vec![&self.then]
    }

    fn reads(&self) -> Vec<Read> {
        let mut reads = vec![Read::Entity(self.by.clone())];
        reads.extend(reads_of(&self.parts()));
        reads
    }

    fn leaves_out_rows(&self) -> bool {
        true
    }

    fn at_least(&self, floor: &Self) -> bool {
        let keeps_no_more = match (self.threshold(), floor.threshold()) {
            (Some(own), Some(floor)) => own <= floor,
            _ => false,
        };
        let narrower = self.join.is_none() || self.join == floor.join;
        keeps_no_more
            && narrower
            && self.by == floor.by
            && self.domain == floor.domain
            && self.then.meets(&floor.then)
    }

    fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
        self.then.within(options).meets(floor)
    }

    /// Never: no treatment of a value leaves out the row.
    fn outdone_by(&self, _: Strength, _: &Options) -> bool {
        false
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        part_type(&self.then, column, "then", "then").map(Some)
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(KeyUse {
            purpose: "pseudonym",
            domain: self.domain.clone(),
            join: self.join.clone(),
        })
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.build_with(column, options, Keys::default())
    }

    fn build_with(
        &self,
        column: Column<'_>,
        options: &Options,
        keys: Keys<'_>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.output_type(column)?;
        let (threshold, entity) = self.check(column)?;
        let key = self
            .key_use()
            .and_then(|used| keys.get(&used))
            .ok_or_else(|| Misfit {
                parameter: None,
                what: format!("treatment `sample` of field `{}` has no key", column.name),
                hint: Some("make one with `lockgate keys new pseudonym`".to_owned()),
            })?;
        let mac = Hmac::new_from_slice(subkey(key).as_ref())
            .map_err(|_| Misfit::of_parameter("domain", "the key has a length HMAC refuses"))?;
        let then = PartBuilder::new(keys, 1).build(&self.then.within(options), column);
        let then = then.map_err(|misfit| misfit.within("then", "then"))?;
        let draw = Draw {
            mac,
            threshold,
            normalise: category::find(entity.category).map(|known| known.normalise),
        };
        Ok(Box::new(Sampling { draw, then }))
    }
}

/// The key of samples of the domain and scope of `key`.
fn subkey(key: &DerivedKey) -> Zeroizing<[u8; KEY_BYTES]> {
    key.expand(&[LABEL])
}

/// Who stays.
struct Draw {
    /// Keyed with the key of samples.
    mac: Hmac<Sha256>,
    threshold: u128,
    normalise: Option<fn(&str) -> Cow<'_, str>>,
}

impl fmt::Debug for Draw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draw(..)")
    }
}

impl Draw {
    fn keeps(&self, entity: &str) -> bool {
        let entity = self
            .normalise
            .map_or(Cow::Borrowed(entity), |normalise| normalise(entity));
        if entity.trim().is_empty() {
            return false;
        }
        let mut mac = self.mac.clone();
        mac.update(entity.as_bytes());
        let digest: [u8; 32] = mac.finalize().into_bytes().into();
        let drawn = digest
            .iter()
            .take(8)
            .fold(0_u128, |drawn, byte| drawn << 8 | u128::from(*byte));
        drawn < self.threshold
    }
}

#[derive(Debug)]
struct Sampling {
    draw: Draw,
    then: Part,
}

impl Treatment for Sampling {
    fn output_type(&self) -> &DataType {
        self.then.output_type()
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let entities = context
            .inputs
            .first()
            .filter(|input| input.len() == column.len());
        let entities: StringArray = to_text(
            entities.ok_or_else(|| crate::cases::failed("reading the entities of a sample"))?,
        )?;
        treat_kept(&self.then, column, context, &Sample::KIND.into(), |row| {
            Ok(entities.is_valid(row) && self.draw.keeps(entities.value(row)))
        })
    }
}

#[cfg(test)]
mod tests;
