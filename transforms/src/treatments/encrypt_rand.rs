//! `encrypt-rand`: encryption after which nothing is left, not even equality.
//!
//! AES-256-GCM or SM4-GCM, one [cell](crate::cell) a value: that module says byte by byte what a cell is, how
//! its key and nonce are made, and how Python opens one. Nonces come from the
//! [chunk](crate::treatment::ChunkId) that the run hands over and the row within it. Without a
//! chunk the treatment refuses: a nonce made up here would meet its key again.
//!
//! A chunk is one call: the same chunk and field handed over twice, with other values, would use
//! nonces twice. What applies a treatment to several parts of one field builds it under a field
//! name of its own for each.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BinaryArray, NullBufferBuilder, StringArray};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::{Outcome, Rules, failed};
use crate::cell::{Beside, CellKey, ChunkCipher, MAX_ROWS, OVERHEAD_BYTES, Suite};
use crate::error::{Misfit, TreatmentError};
use crate::key::{DerivedKey, KeyUse};
use crate::options::Options;
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::treatment::{Context, Treated, Treatment};
use crate::treatments::encrypt_det::append_base64url;
use crate::values::plain_type;

mod bound;
mod open;
mod plain;

use bound::Bound;
pub use open::Opener;
use plain::{Class, Plain};

/// The largest `pad`.
const MAX_PAD: u32 = 4096;

/// The most fields of `beside`.
const MAX_BESIDE: usize = 8;

/// Puts a randomly encrypted value in the place of a value: equal values get different results, and
/// no join, grouping or count of distinct values is left. The provider, who holds the key, can
/// restore them.
///
/// A null stays null. An empty value is encrypted like others where `on_empty` keeps it; `mask-all`
/// is null, whatever the type.
///
/// A result that is copied whole to another row, or into another delivery of the grant, can be restored
/// there like its own. With `beside` it is bound to its row: it can be restored beside those values
/// alone, so the fields have to be delivered exactly as they are. They should tell rows apart; where two
/// rows have the same values in them, a result may stand in either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EncryptRand {
    /// Domain of the key: what is encrypted (`"person.contact"`).
    pub domain: String,
    /// The cipher. Every result says which it was made with, and whoever holds the key opens both.
    #[serde(default = "default_algorithm")]
    pub algorithm: Algorithm,
    /// How the result is written.
    #[serde(default = "default_encoding")]
    pub encoding: Encoding,
    /// Pads values to a multiple of that many bytes, 2 to 4096, so that a result tells less of the
    /// length of its value; absent means no padding. Numbers, dates and the like have one length
    /// anyway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pad: Option<u32>,
    /// Fields of the row whose values are authenticated with the result (`["person_id"]`), 1 to 8, in any
    /// order; absent means none. They are of utf8, whole numbers, date or boolean, and nothing of them shows
    /// in the result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Vec<String>>,
}

/// The cipher of an `encrypt-rand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Algorithm {
    /// AES-256-GCM (FIPS 197, SP 800-38D).
    #[serde(rename = "aes-256-gcm")]
    AesGcm,
    /// SM4-GCM (GB/T 32907, RFC 8998), which has keys of 128 bits.
    #[serde(rename = "sm4-gcm")]
    Sm4Gcm,
}

impl Algorithm {
    fn suite(self) -> Suite {
        match self {
            Self::AesGcm => Suite::AesGcm,
            Self::Sm4Gcm => Suite::Sm4Gcm,
        }
    }
}

/// How a cell is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// As it is: the field becomes binary.
    Binary,
    /// As text, for formats without binary values: the URL-safe alphabet of RFC 4648, without
    /// padding.
    Base64url,
}

fn default_algorithm() -> Algorithm {
    Algorithm::AesGcm
}

fn default_encoding() -> Encoding {
    Encoding::Binary
}

impl EncryptRand {
    fn uses(&self) -> KeyUse {
        KeyUse {
            purpose: "encryption",
            domain: self.domain.clone(),
            join: None,
        }
    }

    fn check(&self, column: Column<'_>) -> Result<DataType, Misfit> {
        let data_type = plain_type(Self::KIND, column)?;
        self.uses().check()?;
        if self.pad.is_some_and(|pad| !(2..=MAX_PAD).contains(&pad)) {
            let what = format!("`pad` must be from 2 to {MAX_PAD} bytes");
            return Err(Misfit::of_parameter("pad", what)
                .with_hint("leave it out for no padding, or write the longest usual length"));
        }
        self.check_beside(column)?;
        Ok(data_type)
    }

    /// Checks that there are fields to be bound to, each another one whose values have one text.
    fn check_beside(&self, column: Column<'_>) -> Result<(), Misfit> {
        let Some(fields) = &self.beside else {
            return Ok(());
        };
        let wrong = |what: String| Misfit::of_parameter("beside", what);
        if !(1..=MAX_BESIDE).contains(&fields.len()) {
            let what = format!("`beside` must list 1 to {MAX_BESIDE} fields");
            return Err(wrong(what).with_hint("leave it out to bind results to nothing"));
        }
        if fields.iter().collect::<BTreeSet<_>>().len() < fields.len() {
            return Err(
                wrong("`beside` lists a field twice".to_owned()).with_hint("list each once")
            );
        }
        if fields.iter().any(|name| name == column.name) {
            return Err(wrong("`beside` lists the field itself".to_owned())
                .with_hint("list fields that are delivered as they are"));
        }
        for name in fields {
            let data_type = column.row.find("beside", name)?.data_type;
            if !bound::fits(data_type) {
                let what = format!("`beside` lists a field of type {data_type}");
                return Err(
                    wrong(what).with_hint("list fields of utf8, whole numbers, date or boolean")
                );
            }
        }
        Ok(())
    }

    /// The fields of the row that results are bound to, in the order of their names: one that is listed
    /// elsewhere than before binds to the same. None where they are bound to none.
    pub fn bound_to(&self) -> Vec<&str> {
        let mut names: Vec<&str> = self.beside.iter().flatten().map(String::as_str).collect();
        names.sort_unstable();
        names
    }

    fn bound_names(&self) -> Vec<String> {
        self.bound_to().into_iter().map(str::to_owned).collect()
    }

    /// What opens the cells of a field, given the key that `key_use` names.
    pub fn opener(&self, field: &str, key: &DerivedKey) -> Opener {
        let cells = CellKey::new(key, &self.domain, field).opener();
        Opener::new(cells, self.bound_names())
    }
}

impl Definition for EncryptRand {
    const KIND: &'static str = "encrypt-rand";
    const SUMMARY: &'static str =
        "puts an encrypted value in the place of the value, another one every time";
    const FITS: &'static str = "the types a catalogue can declare";
    const EXAMPLE: &'static str = "{ kind = \"encrypt-rand\", domain = \"person.contact\" }";
    const STRENGTH: Strength = Strength::UNLINKABLE;
    const UNIQUENESS: Uniqueness = Uniqueness::Randomised;
    const WIDTH: Option<&'static str> = Some(
        "54 bytes more than the value, padded by `pad`, and a third more again in base64url; the same \
         for all values of a type other than utf8 and binary",
    );
    const REVERSIBLE: Option<&'static str> = Some("the provider, who alone holds the key");

    fn width(&self, data_type: &DataType) -> Option<usize> {
        let plain = data_type.primitive_width().or_else(|| {
            let is_boolean = *data_type == DataType::Boolean;
            is_boolean.then_some(1)
        })?;
        let pad = usize::try_from(self.pad.unwrap_or(1)).ok()?;
        // The plaintext ends in a byte of its own.
        let cell = OVERHEAD_BYTES + (plain + 1).checked_next_multiple_of(pad)?;
        Some(match self.encoding {
            Encoding::Binary => cell,
            Encoding::Base64url => (cell * 4).div_ceil(3),
        })
    }

    /// What would be covered is null.
    fn cover_width(&self) -> Option<usize> {
        Some(0)
    }

    /// Of their values a result shows, under the key, whether it is of this row, and no more.
    fn reads(&self) -> Vec<Read> {
        self.bound_names().into_iter().map(Read::Entity).collect()
    }

    /// A floor's algorithm is not a matter of degree, so it must be the same. What a floor is bound to
    /// is the least.
    fn at_least(&self, floor: &Self) -> bool {
        let (own, least) = (self.pad.unwrap_or(1), floor.pad.unwrap_or(1));
        let bound = self.bound_to();
        self.domain == floor.domain
            && self.algorithm == floor.algorithm
            && own.is_multiple_of(least)
            && floor.bound_to().iter().all(|name| bound.contains(name))
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(match self.encoding {
            Encoding::Binary => DataType::Binary,
            Encoding::Base64url => DataType::Utf8,
        }))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.uses())
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let data_type = self.check(column)?;
        let rules = Rules::resolve(options, column)?;
        let key = key.ok_or_else(|| self.uses().missing(Self::KIND, column.name))?;
        Ok(Box::new(Encryption {
            output: match self.encoding {
                Encoding::Binary => DataType::Binary,
                Encoding::Base64url => DataType::Utf8,
            },
            data_type,
            rules,
            key: CellKey::new(key, &self.domain, column.name),
            suite: self.algorithm.suite(),
            encoding: self.encoding,
            beside: self.bound_names(),
            pad: self
                .pad
                .and_then(|pad| usize::try_from(pad).ok())
                .unwrap_or(1),
        }))
    }
}

/// `encrypt-rand` of one field.
#[derive(Debug)]
struct Encryption {
    data_type: DataType,
    output: DataType,
    rules: Rules,
    key: CellKey,
    suite: Suite,
    encoding: Encoding,
    /// The fields that cells are bound to, in the order of their names.
    beside: Vec<String>,
    pad: usize,
}

impl Treatment for Encryption {
    fn output_type(&self) -> &DataType {
        &self.output
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let column = plain::readable(column, &self.data_type)?;
        let plain = Plain::of(&column, &self.data_type, &self.rules)?;
        let rows = u32::try_from(column.len()).unwrap_or(u32::MAX);
        if rows > MAX_ROWS {
            let what = "rows of a chunk";
            return Err(TreatmentError::ChunkTooLarge {
                what,
                limit: MAX_ROWS,
            });
        }
        let chunk = context.chunk.ok_or(TreatmentError::NoChunk)?;
        let cipher = self.key.chunk(self.suite, chunk)?;
        let mut bound = Bound::read(&self.beside, context.inputs, column.len())?;
        let mut cases = self.rules.cases(column.len());
        let mut out = Cells::new(self, column.len(), plain.bytes());
        for (row, number) in (0..rows).enumerate() {
            match plain.class(row, &self.rules) {
                Class::Value => out.seal(&cipher, number, bound.row(row), (&plain, row))?,
                Class::Sentinel => {
                    cases.sentinel();
                    out.keep(&plain, row)?;
                }
                Class::Case(case) => match cases.decide(row, case)? {
                    Outcome::Keep => out.seal(&cipher, number, bound.row(row), (&plain, row))?,
                    Outcome::Null | Outcome::MaskAll => out.null()?,
                },
            }
        }
        Ok(cases.finish(out.finish()?))
    }
}

/// A column of cells being written.
struct Cells {
    encoding: Encoding,
    pad: usize,
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    nulls: NullBufferBuilder,
    /// One cell before it becomes text; reused.
    cell: Vec<u8>,
}

impl Cells {
    /// Room for the cells of `rows` plaintexts of together `bytes` bytes.
    fn new(treatment: &Encryption, rows: usize, bytes: usize) -> Self {
        let per_row = OVERHEAD_BYTES.saturating_add(treatment.pad);
        let binary = rows.saturating_mul(per_row).saturating_add(bytes);
        let mut offsets = Vec::with_capacity(rows.saturating_add(1));
        offsets.push(0);
        Self {
            encoding: treatment.encoding,
            pad: treatment.pad,
            bytes: Vec::with_capacity(match treatment.encoding {
                Encoding::Binary => binary,
                // 4 characters for 3 bytes, and up to 2 more for what remains of a cell.
                Encoding::Base64url => (binary / 3).saturating_mul(4).saturating_add(2 * rows),
            }),
            offsets,
            nulls: NullBufferBuilder::new(rows),
            cell: Vec::new(),
        }
    }

    fn seal(
        &mut self,
        cipher: &ChunkCipher,
        number: u32,
        beside: &Beside,
        (plain, row): (&Plain<'_>, usize),
    ) -> Result<(), TreatmentError> {
        let write = |out: &mut Vec<u8>| plain.append(row, out);
        match self.encoding {
            Encoding::Binary => cipher.seal(number, beside, self.pad, &mut self.bytes, write)?,
            Encoding::Base64url => {
                self.cell.clear();
                cipher.seal(number, beside, self.pad, &mut self.cell, write)?;
                append_base64url(&self.cell, &mut self.bytes);
            }
        }
        self.close()
    }

    /// Keeps a value as given.
    fn keep(&mut self, plain: &Plain<'_>, row: usize) -> Result<(), TreatmentError> {
        plain.append_given(row, &mut self.bytes);
        self.close()
    }

    fn close(&mut self) -> Result<(), TreatmentError> {
        self.nulls.append_non_null();
        self.end()
    }

    fn null(&mut self) -> Result<(), TreatmentError> {
        self.nulls.append_null();
        self.end()
    }

    fn end(&mut self) -> Result<(), TreatmentError> {
        let end = i32::try_from(self.bytes.len()).map_err(|_| TreatmentError::TooLarge)?;
        self.offsets.push(end);
        Ok(())
    }

    fn finish(mut self) -> Result<ArrayRef, TreatmentError> {
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.offsets));
        let (bytes, nulls) = (Buffer::from(self.bytes), self.nulls.finish());
        let array: ArrayRef = match self.encoding {
            Encoding::Binary => Arc::new(
                BinaryArray::try_new(offsets, bytes, nulls)
                    .map_err(|_| failed("assembling cells"))?,
            ),
            Encoding::Base64url => Arc::new(
                StringArray::try_new(offsets, bytes, nulls)
                    .map_err(|_| failed("assembling cells"))?,
            ),
        };
        Ok(array)
    }
}

#[cfg(test)]
mod tests;
