//! `typed-mask`: a mask that knows what a value is.
//!
//! A mask by position shows whatever stands at those positions: four digits of a mobile number, but
//! the whole of a value that is too short or isn't a number at all. Common libraries return such
//! values as they are. Here a value is first brought to one spelling and checked, check digit and
//! calendar included; what isn't of the kind is invalid and covered.

mod address;
mod forms;
mod name;
mod names;
mod network;
mod number;
mod places;
mod plate;
mod surnames;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::error::{Case, Misfit};
use crate::fill::{Filler, Length, default_fill};
use crate::key::DerivedKey;
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{self, MaskTreatment, Output, TextKernel, Written};
use crate::treatment::Treatment;

use forms::Shown;
pub use forms::{Keep, Of};
use network::HiddenParts;
pub(crate) use network::mail_domain;

/// Hides a value by what it is, and checks that it is one: a value that isn't of the kind is
/// invalid.
///
/// Numbers are written in one spelling: half-width, upper case, without spaces, hyphens or country
/// code. Check digits are checked (GB 11643, GB 32100, Luhn), birth dates must exist.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TypedMask {
    /// What the value is. `"resident-id"`: 18 or 15 characters. `"mobile"`: mainland. `"landline"`:
    /// with area code, 400 and 800 numbers too. `"person-name"`: in Han characters, with or without
    /// `·`. `"bank-card"`: 16 to 19 digits. `"address"`: from province, city or county on, by the
    /// names of GB/T 2260 of 2023. `"credit-code"`: 18 characters. `"plate"`: 7 or 8 characters. `"passport"`: mainland, Hong
    /// Kong and Macao. `"permit"`: travel permits of the mainland, Hong Kong, Macao and Taiwan.
    /// `"email"`: in ASCII. `"ip"`: version 4 or 6.
    pub of: Of,
    /// What stays; absent means the first of the kind's list after `"nothing"`. Every kind takes
    /// `"nothing"`. `resident-id`: `"province"`, `"city"`, `"district"`, `"ends"` (1 + 1),
    /// `"district-and-last-4"` (of 15 characters the last 3). `mobile`: `"prefix"` (3), `"last-4"`,
    /// `"prefix-and-last-4"`. `landline`: `"area-code"`, `"area-code-and-last-2"`. `person-name`:
    /// `"surname"` (both characters of a compound one; the first of each part of a name with `·`).
    /// `bank-card`: `"bin"` (6), `"last-4"`, `"ends"` (4 + 4), `"bin-and-last-4"`. `address`:
    /// `"district"`, `"city"`, `"province"`; where a finer level isn't recognised, the coarser.
    /// `credit-code`: `"category"` (2), `"district"` (8), `"district-and-last-2"`. `plate`:
    /// `"region"` (2), `"region-and-last-1"`. `passport`, `permit`: `"letter"` (1, where it begins
    /// with one), `"letter-and-last-3"`, `"letter-and-last-4"`. `email`: `"top-level"` (`.cn`),
    /// `"domain"`, `"domain-and-first"`. `ip`: `"one-part"`, `"two-parts"`, `"three-parts"` of four
    /// (version 4) or eight (version 6).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
    /// The character written over hidden ones.
    #[serde(default = "default_fill")]
    pub fill: String,
    /// Number of fills for each hidden stretch: `"same"` as was hidden, or a number, which hides
    /// its length too. Absent means 2 for names, 3 for addresses and e-mail, `"same"` for others.
    /// An IP address has one fill a part, unless a number says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<Length>,
}

impl TypedMask {
    fn length(&self) -> Length {
        self.length.unwrap_or_else(|| self.of.default_length())
    }

    fn shown(&self) -> Result<Shown, Misfit> {
        let keep = self.keep.unwrap_or_else(|| self.of.default_keep());
        self.of.shown(keep).ok_or_else(|| {
            let what = format!(
                "`keep` doesn't fit what the value is ({})",
                self.of.as_str()
            );
            Misfit::of_parameter("keep", what).with_hint(self.of.keeps_in_words())
        })
    }

    fn kernel(&self) -> Result<Kernel, Misfit> {
        let filler = Filler::new(&self.fill, self.length())?;
        Ok(Kernel {
            of: self.of,
            shown: self.shown()?,
            hidden_parts: HiddenParts::new(&filler),
            filler,
            normalise: category::find(self.of.category()).map(|known| known.normalise),
        })
    }
}

impl Definition for TypedMask {
    const KIND: &'static str = "typed-mask";
    const SUMMARY: &'static str = "hides a value by what it is, after checking that it is one";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str = "{ kind = \"typed-mask\", of = \"mobile\" }";
    const STRENGTH: Strength = Strength::PARTIAL;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some(
        "with the fill `*` and as many fills as was hidden, 18 bytes for resident-id and credit-code, \
         11 for mobile and permit, 19 for bank-card, 24 for plate, 9 for passport, 39 for ip; that of \
         a landline, person-name, address or email follows the value",
    );

    fn width(&self, _: &DataType) -> Option<usize> {
        let shown = self.shown().ok()?;
        self.of.width(shown, self.fill.len(), self.length())
    }

    fn cover_width(&self) -> Option<usize> {
        self.length().fixed().map(|fills| fills * self.fill.len())
    }

    fn at_least(&self, floor: &Self) -> bool {
        let shows_no_more = match (self.shown(), floor.shown()) {
            (Ok(own), Ok(floor)) => own.within(floor),
            _ => false,
        };
        self.of == floor.of && shows_no_more && self.length().at_least(floor.length())
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        text::only(Self::KIND, column)?;
        self.kernel()?;
        Ok(Some(DataType::Utf8))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        text::only(Self::KIND, column)?;
        Ok(Box::new(MaskTreatment::new(
            self.kernel()?,
            options,
            column,
        )?))
    }
}

#[derive(Debug)]
struct Kernel {
    of: Of,
    shown: Shown,
    filler: Filler,
    hidden_parts: HiddenParts,
    normalise: Option<number::Normalise>,
}

impl Kernel {
    fn mask(
        &self,
        value: &str,
        out: &mut impl Output,
        scratch: &mut Vec<usize>,
    ) -> Result<(), Case> {
        let Self {
            of,
            shown,
            filler,
            hidden_parts,
            normalise,
        } = self;
        match of {
            Of::PersonName => name::mask(value, *shown, filler, out, scratch),
            Of::Address => address::mask(value, *shown, filler, out),
            Of::Email => network::mask_email(value, *shown, filler, out),
            Of::Ip => network::mask_ip(value, *shown, hidden_parts, out),
            Of::Landline => number::mask_landline(value, *shown, filler, out),
            Of::ResidentId
            | Of::Mobile
            | Of::BankCard
            | Of::CreditCode
            | Of::Plate
            | Of::Passport
            | Of::Permit => number::mask(*of, value, *normalise, *shown, filler, out),
        }
    }
}

impl<O: Output> TextKernel<O> for Kernel {
    fn treat(&self, value: &str, out: &mut O, scratch: &mut Vec<usize>) -> Result<Written, Case> {
        let start = out.length();
        match self.mask(value, out, scratch) {
            Ok(()) if !out.ends_with(start, value) => Ok(Written::Text),
            // Nothing was hidden: with a fill that values hold, or with no fill at all.
            Ok(()) => {
                out.truncate(start);
                Err(Case::Short)
            }
            Err(case) => {
                out.truncate(start);
                Err(case)
            }
        }
    }

    fn cover(&self, characters: usize, out: &mut O) {
        self.filler.write(characters, out);
    }

    fn output_bytes(&self, rows: usize, bytes: usize) -> usize {
        self.filler.output_bytes(rows, bytes)
    }
}

#[cfg(test)]
mod tests;
