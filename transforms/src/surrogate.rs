//! What every treatment of surrogates shares: its [`Definition`], whose facet a value is, which
//! other fields of the row it reads, and the driver that hands a kernel the draw of each row.
//!
//! The entity of a row is the person (or organisation, card, …) that `by` names by its key field,
//! or the value itself. Its key field is brought to one spelling as its category says, and resident
//! numbers of fifteen digits to eighteen, before it is keyed.

pub(crate) mod origin;

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringArray};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::cases::{Rules, failed, to_text};
use crate::category;
use crate::error::{Case, Misfit, TreatmentError};
use crate::facets::{Facet, Fact};
use crate::key::{DerivedKey, KeyUse};
use crate::options::{Action, Options};
use crate::persona::{Draw, Landline, SurrogateKey, resident_id};
use crate::spec::{Column, Definition, Read, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::{Context, Treated, Treatment};

/// A kind of surrogate: what is its own. The rest of its [`Definition`] all of them share.
///
/// Every kind takes `domain`, `join` and `by`. They stand in each struct, because serde can't refuse
/// unknown keys of a struct that another is flattened into.
pub(crate) trait Surrogate:
    Clone + fmt::Debug + PartialEq + Serialize + DeserializeOwned + JsonSchema
{
    /// See [`Definition::KIND`].
    const KIND: &'static str;
    /// See [`Definition::SUMMARY`].
    const SUMMARY: &'static str;
    /// See [`Definition::FITS`].
    const FITS: &'static str = "utf8";
    /// See [`Definition::EXAMPLE`].
    const EXAMPLE: &'static str;
    /// See [`Definition::UNIQUENESS`].
    const UNIQUENESS: Uniqueness;
    /// See [`Definition::WIDTH`].
    const WIDTH: &'static str;
    /// What is drawn: separates the draws of persons, cards, … from each other.
    const ENTITY: &'static str;
    /// The fact that decides about it and doesn't show in it; absent where there is none.
    const FOLLOWS: Option<&'static str> = None;
    /// The category whose spellings a value that is keyed itself has, whatever that of its field;
    /// absent where the field's decides.
    const SPELT_AS: Option<&'static str> = None;

    /// Whose facet a value is, and what is read of the row.
    fn linkage(&self) -> Linkage<'_>;

    /// What writes the surrogates.
    fn kernel(&self) -> impl SurrogateKernel + 'static;

    /// Checks the field's type and the parameters but those of the linkage.
    ///
    /// # Errors
    /// The type doesn't fit; a parameter is out of its range, or means nothing without another.
    fn check(&self, column: Column<'_>) -> Result<(), Misfit>;

    /// Whether anything of the original is kept.
    fn keeps_any(&self) -> bool;

    /// Whether a value that fits stays as it is.
    fn keeps_all(&self) -> bool {
        false
    }

    /// Whether no more of the original is kept than `floor` keeps.
    fn keeps_no_more(&self, floor: &Self) -> bool;

    /// See [`Definition::uniqueness`].
    fn uniqueness(&self) -> Uniqueness {
        Self::UNIQUENESS
    }

    /// What it shows of the entity that other facets show too.
    fn facts(&self) -> Vec<Fact<'_>> {
        Vec::new()
    }

    /// The most bytes of a surrogate; absent where that follows the value.
    fn width(&self) -> Option<usize>;

    /// The value that a null counts as where it gets a surrogate (`on_null = "synthesize"`): any
    /// one that this kind takes. Absent where something of it would show: a part that is kept, of
    /// which sort it is (a long card or a short one), or how the result is written.
    fn stand_in(&self, _data_type: &DataType) -> Option<&'static str> {
        None
    }
}

impl<T: Surrogate> Definition for T {
    const KIND: &'static str = T::KIND;
    const SUMMARY: &'static str = T::SUMMARY;
    const FITS: &'static str = T::FITS;
    const EXAMPLE: &'static str = T::EXAMPLE;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const UNIQUENESS: Uniqueness = T::UNIQUENESS;
    const WIDTH: Option<&'static str> = Some(T::WIDTH);

    fn strength(&self) -> Strength {
        match (self.keeps_all(), self.keeps_any()) {
            (true, _) => Strength::CLEAR,
            (false, true) => Strength::PARTIAL,
            (false, false) => Strength::KEYED_EQUALITY,
        }
    }

    fn uniqueness(&self) -> Uniqueness {
        Surrogate::uniqueness(self)
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        Surrogate::width(self)
    }

    fn reads(&self) -> Vec<Read> {
        self.linkage().reads()
    }

    fn keyed_by(&self) -> Vec<&str> {
        self.linkage().by.iter().map(String::as_str).collect()
    }

    fn facet(&self) -> Option<Facet<'_>> {
        let (linkage, facts) = (self.linkage(), self.facts());
        (!facts.is_empty()).then(|| Facet {
            entity: T::ENTITY,
            key: Some(linkage.key_use()),
            by: linkage.by.first().map(String::as_str),
            follows: T::FOLLOWS,
            facts,
        })
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.linkage().at_least(&floor.linkage()) && self.keeps_no_more(floor)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        self.linkage().check(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn check_synthesis(&self, column: Column<'_>) -> Result<(), Misfit> {
        if self.linkage().by.is_empty() {
            let what = "`on_null` is \"synthesize\", and a null doesn't say whose it is";
            return Err(Misfit::of_parameter("on_null", what).with_hint(format!(
                "name the field that holds the {}'s key: by = \"FIELD\"",
                T::ENTITY
            )));
        }
        if self.stand_in(column.data_type).is_none() {
            let what = format!(
                "`on_null` is \"synthesize\", and `{}` needs something of the value here: what is \
                 kept of it, of which sort it is, or how it is written",
                T::KIND
            );
            return Err(
                Misfit::of_parameter("on_null", what).with_hint(match self.keeps_any() {
                    true => "keep nothing that is read from the value, or leave nulls null",
                    false => "leave nulls null",
                }),
            );
        }
        Ok(())
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(self.linkage().key_use())
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        Definition::output_type(self, column)?;
        let linkage = self.linkage();
        let key = needed(T::KIND, column, key)?;
        let normalise = match linkage.by {
            [] => vec![normaliser(T::SPELT_AS.unwrap_or(column.category))],
            names => names
                .iter()
                .map(|name| Ok(normaliser(column.row.find("by", name)?.category)))
                .collect::<Result<_, Misfit>>()?,
        };
        let rules = Rules::resolve(options, column)?;
        let is_text = *column.data_type == DataType::Utf8;
        let named = [linkage.sex, linkage.birth, linkage.region];
        Ok(Box::new(SurrogateTreatment {
            kernel: self.kernel(),
            stand_in: match options.on_null {
                Action::Synthesize => self.stand_in(column.data_type),
                Action::Keep | Action::Null | Action::MaskAll | Action::Fail | Action::Reject => {
                    None
                }
            },
            key: SurrogateKey::new(key, T::ENTITY)?,
            rules: if is_text { rules } else { rules.as_text()? },
            data_type: column.data_type.clone(),
            normalise,
            by: linkage.by.len(),
            reads: named.map(|name| name.is_some()),
        }))
    }
}

/// The parameters that say whose facet a value is and what is read of the row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Linkage<'a> {
    /// Consistency domain.
    pub(crate) domain: &'a str,
    /// Approved join group.
    pub(crate) join: Option<&'a str>,
    /// The fields that are the entity's key together; none for the value itself.
    pub(crate) by: &'a [String],
    /// The field a kept sex is read from.
    pub(crate) sex: Option<&'a str>,
    /// The field a kept birth year is read from.
    pub(crate) birth: Option<&'a str>,
    /// The field a kept division is read from.
    pub(crate) region: Option<&'a str>,
}

impl<'a> Linkage<'a> {
    /// The linkage of these parameters, which reads nothing else of the row.
    pub(crate) fn of(domain: &'a str, join: &'a Option<String>, by: &'a Option<String>) -> Self {
        Self::of_fields(domain, join, by.as_slice())
    }

    /// The same, where several fields may be the key.
    pub(crate) fn of_fields(domain: &'a str, join: &'a Option<String>, by: &'a [String]) -> Self {
        Self {
            domain,
            join: join.as_deref(),
            by,
            ..Self::default()
        }
    }

    /// The fields that are read, with the parameters that name them, in the order of the context.
    fn fields(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let named = [
            ("sex", self.sex),
            ("birth", self.birth),
            ("region", self.region),
        ];
        let named = named
            .into_iter()
            .filter_map(|(parameter, name)| name.map(|name| (parameter, name)));
        let by = self.by.iter().map(|name| ("by", name.as_str()));
        by.chain(named)
    }

    /// See [`Definition::reads`](crate::spec::Definition::reads).
    pub(crate) fn reads(&self) -> Vec<Read> {
        self.fields()
            .map(|(parameter, name)| match parameter {
                "by" => Read::Entity(name.to_owned()),
                _ => Read::Field(name.to_owned()),
            })
            .collect()
    }

    /// See [`Definition::key_use`](crate::spec::Definition::key_use).
    pub(crate) fn key_use(&self) -> KeyUse {
        KeyUse {
            purpose: "pseudonym",
            domain: self.domain.to_owned(),
            join: self.join.map(str::to_owned),
        }
    }

    /// Whether this links no more than `floor` does.
    pub(crate) fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let reads_no_more = |own: Option<&str>, floor| own.is_none() || own == floor;
        self.domain == floor.domain
            && narrower
            && self.by == floor.by
            && reads_no_more(self.sex, floor.sex)
            && reads_no_more(self.birth, floor.birth)
            && reads_no_more(self.region, floor.region)
    }

    /// Checks that domain and join group are named, and that the fields exist and can be read.
    ///
    /// # Errors
    /// An empty name; a field that doesn't exist, or is of a type that can't be read.
    pub(crate) fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        if self.domain.trim().is_empty() {
            return Err(Misfit::of_parameter("domain", "`domain` is empty")
                .with_hint("name what is replaced, such as \"person.id\""));
        }
        if self.join.is_some_and(|join| join.trim().is_empty()) {
            return Err(Misfit::of_parameter("join", "`join` is empty")
                .with_hint("name an approved join group, or leave it out"));
        }
        for (parameter, name) in self.fields() {
            let field = column.row.find(parameter, name)?;
            if !has_text(field.data_type) {
                let what = format!("`{parameter}` names a field of type {}", field.data_type);
                return Err(Misfit::of_parameter(parameter, what)
                    .with_hint("it can be utf8, a whole number, a decimal or a date"));
            }
        }
        Ok(())
    }
}

/// Refuses a `keep` that needs a field to read from, and a field that nothing is kept of.
///
/// # Errors
/// One without the other.
pub(crate) fn kept_from(
    parameter: &'static str,
    field: Option<&str>,
    part: &str,
    is_kept: bool,
) -> Result<(), Misfit> {
    match (field, is_kept) {
        (None, true) => Err(Misfit::of_parameter(
            "keep",
            format!("`keep` lists \"{part}\", which the value doesn't tell"),
        )
        .with_hint(format!(
            "name the field it is read from: {parameter} = \"FIELD\""
        ))),
        (Some(_), false) => Err(unkept(parameter, part)),
        _ => Ok(()),
    }
}

/// Refuses a field that is named, and nothing kept of it.
pub(crate) fn unkept(parameter: &'static str, part: &str) -> Misfit {
    let what = format!("`{parameter}` names a field, and `keep` lists nothing read from it");
    Misfit::of_parameter(parameter, what).with_hint(format!(
        "add \"{part}\" to `keep`, or leave `{parameter}` out"
    ))
}

/// Refuses a `keep` that lists a part twice.
///
/// # Errors
/// A part stands twice.
pub(crate) fn distinct<T: PartialEq>(keep: &[T]) -> Result<(), Misfit> {
    let mut rest = keep;
    while let Some((part, others)) = rest.split_first() {
        if others.contains(part) {
            return Err(Misfit::of_parameter("keep", "`keep` lists a part twice"));
        }
        rest = others;
    }
    Ok(())
}

/// Whether every part of `own` is one of `floor`.
pub(crate) fn subset<T: PartialEq>(own: &[T], floor: &[T]) -> bool {
    own.iter().all(|part| floor.contains(part))
}

/// Whether the values of a type have a text that is keyed or read.
fn has_text(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::Utf8 | DataType::Decimal128(_, _) | DataType::Date32
    ) || data_type.is_integer()
}

/// One row, as a kernel sees it.
#[derive(Debug)]
pub(crate) struct Original<'a> {
    /// The value, as given.
    pub(crate) value: &'a str,
    /// What was drawn for its entity.
    pub(crate) draw: Draw,
    /// What the field of `sex` holds, or the value itself.
    pub(crate) sex: &'a str,
    /// What the field of `birth` holds, or the value itself.
    pub(crate) birth: &'a str,
    /// What the field of `region` holds, or the value itself.
    pub(crate) region: &'a str,
    /// Whether what was written keeps a wider part than asked for: the kernel says so.
    pub(crate) is_widened: Cell<bool>,
}

/// Writes the surrogate of a value.
pub(crate) trait SurrogateKernel: fmt::Debug + Send + Sync {
    /// Appends the surrogate, or says why there is none, having appended nothing.
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case>;

    /// Bytes a surrogate usually has.
    fn usual_bytes(&self) -> usize;
}

type Normalise = fn(&str) -> Cow<'_, str>;

/// How the entity's key is brought to one spelling.
fn normaliser(category: &str) -> Normalise {
    fn as_it_is(text: &str) -> Cow<'_, str> {
        Cow::Borrowed(text)
    }
    fn resident(text: &str) -> Cow<'_, str> {
        resident_id::unified(identifier(text))
    }
    /// A column may hold numbers of both sorts.
    fn telephone(text: &str) -> Cow<'_, str> {
        let mobile = category::find("mobile").map_or(Cow::Borrowed(text), |known| {
            let normalise = known.normalise;
            normalise(text)
        });
        if mobile.len() == 11 && mobile.starts_with('1') {
            return mobile;
        }
        let Some(landline) = Landline::read(text) else {
            return identifier(text);
        };
        let digits = landline.area().iter().chain(landline.number());
        digits.map(|digit| char::from(*digit)).collect()
    }
    fn upper(text: &str) -> Cow<'_, str> {
        in_upper_case(identifier(text))
    }
    match category {
        "landline" | "mobile" => telephone,
        "plate" => plate,
        "vin" | "credit-code" | "organisation-code" | "passport" | "travel-permit" => upper,
        "resident-id" | "social-security-number" | "taxpayer-number" | "driving-licence" => {
            resident
        }
        other => category::find(other).map_or(as_it_is, |known| known.normalise),
    }
}

/// One spelling of an identifier: full-width forms, white space and hyphens as its category has it.
pub(crate) fn identifier(text: &str) -> Cow<'_, str> {
    match category::find("resident-id") {
        Some(known) => (known.normalise)(text),
        None => Cow::Borrowed(text),
    }
}

/// One spelling of a plate: as an identifier, in upper case, without the dot after the authority.
pub(crate) fn plate(text: &str) -> Cow<'_, str> {
    let is_dot = |character: char| matches!(character, '·' | '•' | '・' | '.');
    let text = identifier(text);
    if !text.contains(is_dot) {
        return in_upper_case(text);
    }
    let text: String = text.chars().filter(|own| !is_dot(*own)).collect();
    in_upper_case(Cow::Owned(text))
}

/// The text with its ASCII letters in upper case.
fn in_upper_case(text: Cow<'_, str>) -> Cow<'_, str> {
    match text.bytes().any(|byte| byte.is_ascii_lowercase()) {
        true => Cow::Owned(text.to_ascii_uppercase()),
        false => text,
    }
}

/// A treatment that puts surrogates in the place of values.
#[derive(Debug)]
struct SurrogateTreatment<K> {
    kernel: K,
    /// The value that nulls count as, where they get surrogates.
    stand_in: Option<&'static str>,
    key: SurrogateKey,
    rules: Rules,
    /// The type of the field, and of what is written into it.
    data_type: DataType,
    /// How the entity's key is brought to one spelling: one for each field of it, or that of the value.
    normalise: Vec<Normalise>,
    /// How many fields are the entity's key.
    by: usize,
    /// Which of `sex`, `birth` and `region` are read, in that order.
    reads: [bool; 3],
}

/// The key, which every surrogate needs.
///
/// # Errors
/// There is none.
pub(crate) fn needed<'a>(
    kind: &str,
    column: Column<'_>,
    key: Option<&'a DerivedKey>,
) -> Result<&'a DerivedKey, Misfit> {
    key.ok_or_else(|| Misfit {
        parameter: None,
        what: format!("treatment `{kind}` of field `{}` has no key", column.name),
        hint: Some("make one with `lockgate keys new pseudonym`".to_owned()),
    })
}

impl<K: SurrogateKernel> SurrogateTreatment<K> {
    /// The texts of the fields that are the entity's key, and of those that are read beside it;
    /// absent for those that aren't.
    fn fields(
        &self,
        rows: usize,
        context: &Context<'_>,
    ) -> Result<(Vec<StringArray>, [Option<StringArray>; 3]), TreatmentError> {
        let mut inputs = context.inputs.iter();
        let mut next = || {
            let input = inputs.next().filter(|input| input.len() == rows);
            plain_text(input.ok_or_else(|| failed("reading fields of the row"))?)
        };
        let entity = (0..self.by).map(|_| next()).collect::<Result<_, _>>()?;
        let mut fields = [None, None, None];
        for (field, _) in fields.iter_mut().zip(self.reads).filter(|(_, read)| *read) {
            *field = Some(next()?);
        }
        Ok((entity, fields))
    }
}

/// The text of a field, in its plain form.
fn plain_text(array: &ArrayRef) -> Result<StringArray, TreatmentError> {
    if let Some(texts) = array.as_string_opt::<i32>() {
        return Ok(texts.clone());
    }
    let is_text = array.as_any_dictionary_opt().is_some()
        || matches!(array.data_type(), DataType::LargeUtf8 | DataType::Utf8View);
    if !is_text {
        return to_text(array);
    }
    let plain = cast(array, &DataType::Utf8).map_err(|_| failed("reading text"))?;
    plain
        .as_string_opt()
        .cloned()
        .ok_or_else(|| failed("reading text"))
}

impl<K: SurrogateKernel> Treatment for SurrogateTreatment<K> {
    fn output_type(&self) -> &DataType {
        &self.data_type
    }

    fn treat(&self, column: &ArrayRef, context: &Context<'_>) -> Result<Treated, TreatmentError> {
        let is_text = self.data_type == DataType::Utf8;
        if !is_text && *column.data_type() != self.data_type {
            return Err(TreatmentError::UnexpectedType {
                expected: self.data_type.clone(),
                actual: column.data_type().clone(),
            });
        }
        let (entity, [sex, birth, region]) = self.fields(column.len(), context)?;
        let reads = self.by > 0 || self.reads.contains(&true);
        let kernel = Rows {
            of: self,
            entity,
            sex,
            birth,
            region,
        };
        let text = TextTreatment::with_rules(kernel, self.rules.clone());
        let mut treated = if !is_text {
            text.treat_texts_of(column, &to_text(column)?)?
        } else if reads && column.as_any_dictionary_opt().is_some() {
            let plain: ArrayRef = Arc::new(plain_text(column)?);
            text.treat(&plain, &Context::default())?
        } else {
            text.treat(column, &Context::default())?
        };
        if !is_text {
            let strict = CastOptions {
                safe: false,
                ..CastOptions::default()
            };
            treated.array = cast_with_options(&treated.array, &self.data_type, &strict)
                .map_err(|_| failed("writing surrogates in the field's type"))?;
        }
        Ok(treated)
    }
}

/// The rows of one batch.
#[derive(Debug)]
struct Rows<'a, K> {
    of: &'a SurrogateTreatment<K>,
    /// The fields that are the entity's key; none where the value is.
    entity: Vec<StringArray>,
    sex: Option<StringArray>,
    birth: Option<StringArray>,
    region: Option<StringArray>,
}

/// What a field holds in a row: nothing for a null; the value itself where no field is read.
fn held<'a>(field: Option<&'a StringArray>, row: usize, value: &'a str) -> &'a str {
    match field {
        None => value,
        Some(field) if row < field.len() && field.is_valid(row) => field.value(row),
        Some(_) => "",
    }
}

/// Begins the key of several fields, which no key of one field is taken for.
const SEVERAL: char = '\u{1E}';

impl<K> Rows<'_, K> {
    /// The key of a row's entity: the value or the field in its one spelling, or of several fields the
    /// length in bytes and the spelling of each. Empty where any of it is.
    fn entity<'r>(&'r self, row: usize, value: &'r str) -> Cow<'r, str> {
        if let [normalise] = self.of.normalise.as_slice() {
            return normalise(held(self.entity.first(), row, value));
        }
        let mut whole = String::from(SEVERAL);
        for (normalise, field) in self.of.normalise.iter().zip(&self.entity) {
            let part = normalise(held(Some(field), row, value));
            if part.trim().is_empty() {
                return Cow::Borrowed("");
            }
            whole.push_str(&part.len().to_string());
            whole.push(':');
            whole.push_str(&part);
        }
        Cow::Owned(whole)
    }
}

impl<K: SurrogateKernel> TextKernel for Rows<'_, K> {
    fn treat(
        &self,
        value: &str,
        out: &mut Vec<u8>,
        scratch: &mut Vec<usize>,
    ) -> Result<Written, Case> {
        self.treat_row(0, value, out, scratch)
    }

    fn treat_row(
        &self,
        row: usize,
        value: &str,
        out: &mut Vec<u8>,
        _: &mut Vec<usize>,
    ) -> Result<Written, Case> {
        let entity = self.entity(row, value);
        if entity.trim().is_empty() {
            // Whoever has no key field is no one: there is nothing to draw for.
            return Err(if self.entity.is_empty() {
                Case::Empty
            } else {
                Case::Invalid
            });
        }
        let original = Original {
            value,
            draw: self.of.key.draw(&entity),
            sex: held(self.sex.as_ref(), row, value),
            birth: held(self.birth.as_ref(), row, value),
            region: held(self.region.as_ref(), row, value),
            is_widened: Cell::new(false),
        };
        self.of.kernel.write(&original, out)?;
        Ok(match original.is_widened.get() {
            true => Written::Widened,
            false => Written::Text,
        })
    }

    fn cover(&self, characters: usize, out: &mut Vec<u8>) {
        out.resize(out.len() + characters, b'*');
    }

    /// Where the row says who it is: else there is no one to draw for, and the null stays.
    fn stand_in(&self, row: usize) -> Option<&'static str> {
        let entity = self.entity(row, "");
        self.of.stand_in.filter(|_| !entity.trim().is_empty())
    }

    fn covers_with_null(&self) -> bool {
        self.of.data_type != DataType::Utf8
    }

    fn output_bytes(&self, rows: usize, _: usize) -> usize {
        rows.saturating_mul(self.of.kernel.usual_bytes())
    }
}

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
