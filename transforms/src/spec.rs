//! What a policy or grant writes about a field: `{ kind = "keep-ends", first = 1, last = 0 }`.
//!
//! One spec is one kind of treatment with its parameters, plus the options that every treatment
//! has. Specs are compared ("does this meet the floor?"), serialised canonically (every default
//! spelled out, so that an approver signs what is meant, not what was left out), and built into a
//! [`Treatment`] for a field.

mod definition;
mod disclosure;
mod written;

use std::fmt;

use arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use crate::error::Misfit;
use crate::facets::Facet;
use crate::key::{DerivedKey, KeyUse, Keys};
use crate::marks::carrier::Freedom;
use crate::marks::tag::TagRoom;
use crate::options::{Action, Options};
use crate::treatment::Treatment;
use crate::treatments::substitute::ValueFile;
use crate::treatments::{self, AnyTreatment};
use crate::vault::VaultUse;

pub use crate::results::{Uniqueness, Width};
pub use definition::Definition;

pub(crate) use definition::reads_of;
pub(crate) use written::{field_names, sorted};

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
    /// under a key, which rows belong together, or whether this is its row.
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
    /// limit of invalid values where nothing is treated, or they aren't counted by themselves; and tags
    /// of results that another treatment may not deliver.
    fn check_options(&self, column: Column<'_>) -> Result<(), Misfit> {
        if self.options.on_null == Action::Synthesize {
            self.treatment.check_synthesis(column)?;
        }
        if self.is_withhold() && self.options.max_invalid.is_some() {
            let what = "`max_invalid` stands beside `withhold`, which treats no value";
            return Err(Misfit::of_parameter("max_invalid", what).with_hint("leave it out"));
        }
        let parts = self.treatment.parts();
        if let Some(lent) = parts.iter().find_map(|part| part.lends_within()) {
            let what = format!(
                "`{lent}` stands in a treatment within another, where a mark can't find it"
            );
            let hint = format!(
                "leave it out, or let the field have the treatment with the `{lent}` alone"
            );
            return Err(Misfit::of_parameter(lent, what).with_hint(hint));
        }
        if parts.into_iter().any(Self::has_limit) {
            let what = "`max_invalid` stands in a treatment within another, whose invalid values \
                        aren't counted by themselves";
            return Err(Misfit::of_parameter("max_invalid", what)
                .with_hint("write it beside the outermost `kind`"));
        }
        Ok(())
    }

    /// The characters of its results that it gives to the mark; none where it gives none.
    pub fn tag(&self) -> Option<TagRoom> {
        self.treatment.tag()
    }

    /// What else of its results for values of that type is the mark's to choose.
    pub fn freedom(&self, data_type: &DataType) -> Option<Freedom> {
        self.treatment.freedom(data_type)
    }

    /// The parameter by which it leaves something of its results to the mark; none where it doesn't.
    pub fn lends(&self) -> Option<&'static str> {
        self.treatment.lends()
    }

    /// The same, of it or a treatment within.
    fn lends_within(&self) -> Option<&'static str> {
        let mut parts = self.treatment.parts().into_iter();
        self.lends().or_else(|| parts.find_map(Self::lends_within))
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

    /// Whether every result is null, whatever the value is: then the field need not be read.
    pub fn is_always_null(&self) -> bool {
        self.treatment.is_always_null(&self.options)
    }

    /// Whether equal values become different ones from one delivery to the next, here or in a
    /// treatment within.
    pub fn is_randomised(&self) -> bool {
        self.treatment.uniqueness() == Uniqueness::Randomised
            || self.treatment.parts().into_iter().any(Self::is_randomised)
    }

    /// The fields of which equality of values survives under a key, and with it their frequencies,
    /// here or in a treatment within: those that are keyed together in one list, an empty list for the
    /// treated field itself.
    pub fn keyed_fields(&self) -> Vec<Vec<&str>> {
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

    /// The files of values it takes, here or in a treatment within; whoever loads the configuration
    /// hands over what they hold.
    pub fn value_files(&self) -> Vec<&ValueFile> {
        let own = if let AnyTreatment::Substitute(substitute) = &self.treatment {
            substitute.values.file()
        } else {
            None
        };
        let parts = self.treatment.parts().into_iter();
        let parts = parts.flat_map(|part| part.value_files());
        own.into_iter().chain(parts).collect()
    }

    /// The fields of the row that its results are bound to, here or in a treatment within: they can be
    /// restored beside the original values of these fields alone, or not at all.
    pub fn bound_to(&self) -> Vec<&str> {
        let own = if let AnyTreatment::EncryptRand(encryption) = &self.treatment {
            encryption.bound_to()
        } else {
            Vec::new()
        };
        let parts = self.treatment.parts().into_iter();
        let parts = parts.flat_map(|part| part.bound_to());
        own.into_iter().chain(parts).collect()
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

#[cfg(test)]
mod tests;
