//! Every treatment, one file each, and the one list of them.
//!
//! A new treatment is a file with a struct that implements [`Definition`], and one line below, in
//! the group it belongs to; the line says the type of results too, after an arrow, where it isn't
//! the field's. Parsing, schemas, the reference page and the contract tests follow from the line.

mod page;

use std::collections::BTreeMap;

use arrow::datatypes::DataType;
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::error::Misfit;
use crate::facets::Facet;
use crate::key::{KeyUse, Keys};
use crate::marks::carrier::Freedom;
use crate::marks::tag::TagRoom;
use crate::options::Options;
use crate::spec::{
    Column, Definition, Read, Strength, TreatmentSpec, Uniqueness, Width, field_names, sorted,
};
use crate::treatment::Treatment;
use crate::vault::VaultUse;

pub(crate) use page::schema;
pub use page::{Entry, Parameter, catalogue, render_markdown};

macro_rules! treatments {
    ($($group:literal { $($module:ident: $Name:ident $(-> $result:literal)?,)+ })+) => {
        $($(pub mod $module;)+)+

        /// A treatment of any kind, with its parameters.
        #[derive(Debug, Clone, PartialEq)]
        pub enum AnyTreatment {
            $($(
                #[doc = concat!("See [`", stringify!($module), "`].")]
                $Name($module::$Name),
            )+)+
        }

        /// The kinds, as configuration writes them, in the order of the list.
        pub const KINDS: &[&str] = &[$($($module::$Name::KIND,)+)+];

        impl AnyTreatment {
            /// The kind, as configuration writes it.
            pub fn kind(&self) -> &'static str {
                match self {
                    $($(Self::$Name(_) => $module::$Name::KIND,)+)+
                }
            }

            /// See [`Definition::strength`].
            pub fn strength(&self) -> Strength {
                match self {
                    $($(Self::$Name(treatment) => treatment.strength(),)+)+
                }
            }

            /// Whether this is the same kind and every parameter reveals no more than `floor`'s.
            pub fn at_least(&self, floor: &Self) -> bool {
                match (self, floor) {
                    $($((Self::$Name(own), Self::$Name(floor)) => own.at_least(floor),)+)+
                    _ => false,
                }
            }

            /// See [`Definition::output_type`].
            ///
            /// # Errors
            /// The kind doesn't fit the field's type, or a parameter is out of its range.
            pub fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
                match self {
                    $($(Self::$Name(treatment) => treatment.output_type(column),)+)+
                }
            }

            /// See [`Definition::check_synthesis`].
            ///
            /// # Errors
            /// Why a null gets no result of its own.
            pub(crate) fn check_synthesis(&self, column: Column<'_>) -> Result<(), Misfit> {
                match self {
                    $($(Self::$Name(treatment) => treatment.check_synthesis(column),)+)+
                }
            }

            /// See [`Definition::uniqueness`].
            pub fn uniqueness(&self) -> Uniqueness {
                match self {
                    $($(Self::$Name(treatment) => treatment.uniqueness(),)+)+
                }
            }

            /// See [`Definition::uniqueness_with`].
            pub fn uniqueness_with(&self, data_type: &DataType, options: &Options) -> Uniqueness {
                match self {
                    $($(Self::$Name(treatment) => treatment.uniqueness_with(data_type, options),)+)+
                }
            }

            /// See [`Definition::width_with`].
            pub fn width_with(&self, data_type: &DataType, options: &Options) -> Option<Width> {
                match self {
                    $($(Self::$Name(treatment) => treatment.width_with(data_type, options),)+)+
                }
            }

            /// See [`Definition::room`].
            pub fn room(&self) -> Option<u128> {
                match self {
                    $($(Self::$Name(treatment) => treatment.room(),)+)+
                }
            }

            /// See [`Definition::reads`].
            pub fn reads(&self) -> Vec<Read> {
                match self {
                    $($(Self::$Name(treatment) => treatment.reads(),)+)+
                }
            }

            /// See [`Definition::is_always_null`].
            pub(crate) fn is_always_null(&self, options: &Options) -> bool {
                match self {
                    $($(Self::$Name(treatment) => treatment.is_always_null(options),)+)+
                }
            }

            /// See [`Definition::keyed_by`].
            pub fn keyed_by(&self) -> Vec<&str> {
                match self {
                    $($(Self::$Name(treatment) => treatment.keyed_by(),)+)+
                }
            }

            /// See [`Definition::facet`].
            pub fn facet(&self) -> Option<Facet<'_>> {
                match self {
                    $($(Self::$Name(treatment) => treatment.facet(),)+)+
                }
            }

            /// See [`Definition::reveals`].
            pub fn reveals(&self) -> Vec<Read> {
                match self {
                    $($(Self::$Name(treatment) => treatment.reveals(),)+)+
                }
            }

            /// See [`Definition::is_keyed_equality`].
            pub fn is_keyed_equality(&self) -> bool {
                match self {
                    $($(Self::$Name(treatment) => treatment.is_keyed_equality(),)+)+
                }
            }

            /// See [`Definition::leaves_out_rows`].
            pub fn leaves_out_rows(&self) -> bool {
                match self {
                    $($(Self::$Name(treatment) => treatment.leaves_out_rows(),)+)+
                }
            }

            /// See [`Definition::strength_as_floor`].
            pub fn strength_as_floor(&self) -> Strength {
                match self {
                    $($(Self::$Name(treatment) => treatment.strength_as_floor(),)+)+
                }
            }

            /// See [`Definition::key_uses`].
            pub fn key_uses(&self) -> Vec<KeyUse> {
                match self {
                    $($(Self::$Name(treatment) => treatment.key_uses(),)+)+
                }
            }

            /// See [`Definition::tag`].
            pub fn tag(&self) -> Option<TagRoom> {
                match self {
                    $($(Self::$Name(treatment) => treatment.tag(),)+)+
                }
            }

            /// See [`Definition::freedom`].
            pub fn freedom(&self, data_type: &DataType) -> Option<Freedom> {
                match self {
                    $($(Self::$Name(treatment) => treatment.freedom(data_type),)+)+
                }
            }

            /// See [`Definition::lends`].
            pub fn lends(&self) -> Option<&'static str> {
                match self {
                    $($(Self::$Name(treatment) => treatment.lends(),)+)+
                }
            }

            /// See [`Definition::vault_uses`].
            pub fn vault_uses(&self) -> Vec<VaultUse> {
                match self {
                    $($(Self::$Name(treatment) => treatment.vault_uses(),)+)+
                }
            }

            /// See [`Definition::parts`].
            pub fn parts(&self) -> Vec<&TreatmentSpec> {
                match self {
                    $($(Self::$Name(treatment) => treatment.parts(),)+)+
                }
            }

            /// See [`Definition::stands_for`].
            pub fn stands_for(&self, options: &Options, floor: &TreatmentSpec) -> bool {
                match self {
                    $($(Self::$Name(treatment) => treatment.stands_for(options, floor),)+)+
                }
            }

            /// See [`Definition::outdone_by`].
            pub fn outdone_by(&self, strength: Strength, options: &Options) -> bool {
                match self {
                    $($(Self::$Name(treatment) => treatment.outdone_by(strength, options),)+)+
                }
            }

            /// See [`Definition::build_with`].
            ///
            /// # Errors
            /// As [`Definition::build_with`].
            pub fn build_with(
                &self,
                column: Column<'_>,
                options: &Options,
                keys: Keys<'_>,
            ) -> Result<Box<dyn Treatment>, Misfit> {
                match self {
                    $($(Self::$Name(treatment) => treatment.build_with(column, options, keys),)+)+
                }
            }

            /// See [`Definition::CONCEALED`].
            pub(crate) fn concealed(&self) -> &'static [&'static str] {
                match self {
                    $($(Self::$Name(_) => $module::$Name::CONCEALED,)+)+
                }
            }

            /// The parameters by name, defaults spelled out.
            pub(crate) fn parameters(&self) -> BTreeMap<String, Value> {
                let value = match self {
                    $($(Self::$Name(treatment) => serde_json::to_value(treatment),)+)+
                };
                match value {
                    Ok(Value::Object(map)) => {
                        map.into_iter().map(|(name, value)| (name, sorted(value))).collect()
                    }
                    _ => BTreeMap::new(),
                }
            }

            /// The default of a parameter of this kind.
            pub(crate) fn default_of(&self, parameter: &str) -> Option<Value> {
                match self {
                    $($(Self::$Name(_) => page::default_of::<$module::$Name>(parameter),)+)+
                }
            }

            /// Reads the parameters of a kind.
            pub(crate) fn parse(kind: &str, parameters: Value) -> Result<Self, serde_json::Error> {
                match kind {
                    $($($module::$Name::KIND => serde_json::from_value(parameters).map(Self::$Name),)+)+
                    _ => Err(serde::de::Error::unknown_variant(kind, KINDS)),
                }
            }
        }

        /// The names of the parameters of a kind; none for a kind that isn't listed.
        pub(crate) fn parameter_names(kind: &str) -> &'static [&'static str] {
            match kind {
                $($($module::$Name::KIND => field_names::<$module::$Name>(),)+)+
                _ => &[],
            }
        }

        /// The entry of every kind, in the order of the list.
        fn entries() -> Vec<Entry> {
            vec![$($(page::entry::<$module::$Name>($group, [$($result)?].first().copied()),)+)+]
        }

        /// The schema of every kind, in the order of the list.
        fn schemas(generator: &mut SchemaGenerator) -> Vec<Schema> {
            vec![$($(page::schema_of::<$module::$Name>(generator),)+)+]
        }
    };
}

treatments! {
    "Clear and suppression" {
        clear: Clear,
        null: Null,
        withhold: Withhold -> "nothing",
        constant: Constant,
        drop_row: DropRow -> "the type that `then` gives",
        sample: Sample -> "the type that `then` gives",
    }
    "Character masks" {
        keep_ends: KeepEnds,
        keep_classes: KeepClasses,
        mask_range: MaskRange,
        mask_around: MaskAround,
        regex: Regex,
        typed_mask: TypedMask,
    }
    "Pseudonyms" {
        hmac: Hmac256 -> "utf8",
        tokenize: Tokenize -> "utf8",
        encrypt_det: EncryptDet -> "utf8",
        encrypt_rand: EncryptRand -> "binary, or utf8 in base64url",
        fpe: Fpe,
        permute_int: PermuteInt,
        structured_id: StructuredId,
        map: Map,
    }
    "Surrogates" {
        fake_name: FakeName,
        fake_id: FakeId,
        fake_birth_date: FakeBirthDate,
        fake_sex: FakeSex,
        fake_age: FakeAge,
        fake_region: FakeRegion,
        fake_phone: FakePhone,
        fake_address: FakeAddress,
        fake_email: FakeEmail,
        fake_card: FakeCard,
        fake_org: FakeOrg,
        fake_uscc: FakeUscc,
        fake_plate: FakePlate,
        fake_vin: FakeVin,
        fake_passport: FakePassport,
        fake_ip: FakeIp,
        substitute: Substitute,
    }
    "Numbers, dates and places" {
        round: Round,
        bucket: Bucket -> "utf8, or the field's type with `as = \"lower\"` or `\"any\"`",
        top_bottom_code: TopBottomCode,
        rank_preserving: RankPreserving,
        noise_num: NoiseNum,
        date_trunc: DateTrunc,
        date_shift: DateShift,
        time_part: TimePart -> "int32, or the field's type with `keep`",
        age_from: AgeFrom -> "int32",
        age_band: AgeBand -> "utf8",
        geo_coarsen: GeoCoarsen,
        admin_level: AdminLevel,
    }
    "Structure" {
        json: Json,
        nested: Nested -> "the field's type, with the types that the treatments within give in it",
        when: When -> "the type that both treatments give",
        case: Case -> "the type that all its treatments give",
        pipeline: Pipeline -> "the type that its last step gives",
    }
}

#[cfg(test)]
mod tests;
