//! What a kind of treatment says of itself: the one trait that every file of [`crate::treatments`]
//! implements.

use std::fmt;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Column, Read, Strength, TreatmentSpec};
use crate::error::{Case, Misfit};
use crate::facets::Facet;
use crate::key::{DerivedKey, KeyUse, Keys};
use crate::marks::carrier::Freedom;
use crate::marks::tag::TagRoom;
use crate::options::{Action, Options};
use crate::results::{Uniqueness, Width};
use crate::treatment::Treatment;
use crate::vault::VaultUse;

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

    /// How many different values it has results for, where that is fewer than there can be values: what
    /// comes after them fails the run or is invalid.
    fn room(&self) -> Option<u128> {
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

    /// Whether every result is null, whatever the value is: then the field need not be read.
    fn is_always_null(&self, _options: &Options) -> bool {
        false
    }

    /// The fields of the row whose values together the result follows under the key, where that isn't
    /// the treated field itself: a facet of a person follows the person's key.
    fn keyed_by(&self) -> Vec<&str> {
        Vec::new()
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

    /// The characters of its results that it gives to the mark; none where it has none to give.
    fn tag(&self) -> Option<TagRoom> {
        None
    }

    /// What else of its results for values of that type is the mark's to choose.
    fn freedom(&self, _data_type: &DataType) -> Option<Freedom> {
        None
    }

    /// The parameter by which it leaves something of its results to the mark; none where it doesn't.
    fn lends(&self) -> Option<&'static str> {
        self.tag().map(|_| "tag")
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
