//! `structured-id`: an identifier turned into another valid one of its kind.
//!
//! An identifier is more than its digits: a date that exists, a check character that fits, a
//! division that was in force. Encrypting the digits breaks all of that. So the valid identifiers
//! of a kind are numbered, the number is permuted (FF1), and the identifier of
//! the new number is written, check characters computed anew. Different identifiers stay
//! different, and the holder of the key can go back.
//!
//! The number is permuted as [`permute_int`](super::permute_int) says, with another tweak: after
//! LP("structured-id") ‖ LP(kind) ‖ LP(each part kept, in the order of [`Keep`]) ‖ LP(domain) ‖ one
//! byte for the class of identifiers and zeros up to a multiple of 16 come 7 bytes, big-endian, of
//! what is kept. Walking goes on where a number is no valid identifier's.
//!
//! - mobile: one class; kept the first three digits or 0; the number counts from 13000000000, or
//!   from the first that begins with what is kept;
//! - bank-card: the class is the length less 16; kept the digits kept, or 0; the number is the
//!   digits between those and the check digit.

mod card;
mod credit_code;
mod kernel;
mod mobile;
mod region;
mod resident_id;
#[cfg(test)]
mod tests;

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::divisions::Edition;
use crate::error::{Case, Misfit};
use crate::facets::{self, Facet, Fact};
use crate::ff1::{DOMAIN_MIN, Direction, keyed};
use crate::key::{DerivedKey, KeyUse};
use crate::marks::tag::identifier::{DIGITS_MAX, IdKind};
use crate::marks::tag::{TagForm, TagRoom};
use crate::options::Options;
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextTreatment, only};
use crate::treatment::Treatment;

use card::Card;
use credit_code::CreditCode;
use kernel::{Kernel, Shape};
use mobile::Mobile;
use resident_id::ResidentId;

/// Turns an identifier into another valid one of its kind; anything else is invalid.
///
/// Values are brought to one spelling as their kind's category says. What is kept is part of the
/// tweak, so that people of one region are permuted unlike those of another.
///
/// - **resident-id** (GB 11643): 18 characters, born from 1900 to 2049; 15 digits are upgraded
///   first. Result: an existing date (which may lie ahead), any sequence, the check character. A
///   region in force in the year of birth becomes another that was, so that such results pass a checker
///   with a table of years; of the others, a known region becomes another known one out of force, an
///   unknown one another unknown one, or with `not_in_force = "invalid"` none. The table lacks one in
///   a hundred of the years that others know.
/// - **mobile**: 11 digits, `1` and then `3` to `9` first; so is the result.
/// - **bank-card**: 16 to 19 digits with a Luhn check digit; the length stays. Without `bin6` or
///   `bin8` the issuer is hidden too.
/// - **credit-code** (GB 32100): characters 1 and 2, which say what kind of body it is, stay; the
///   organisation code's check (GB 11714) and the code's own are computed anew; a known region
///   becomes another known one.
///
/// With a `tag`, the mark writes some digits anew, another number in every grant, and the check character with
/// them: results stay valid, and a leak of them names the grant. The digits are taken from what tells values
/// apart, so different identifiers may then meet (`plan` says how likely), and the holder of the key can't restore
/// the value: ten or a hundred fit.
///
/// What stays is delivered in clear, so with anything kept it counts as partly hidden text (1), and
/// a credit code always does, because its first two characters stay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StructuredId {
    /// The kind of identifier.
    pub of: Of,
    /// What stays as it is: `region2`, `region4` or `region6` (digits of the division code) of a
    /// resident-id or credit-code; `birth-year` and `sex` of a resident-id; `prefix3` of a mobile;
    /// `bin6` or `bin8` of a bank-card. Less than a million possible results are refused.
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// Consistency domain: fields of one domain share results within a grant (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share results; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// What becomes of a resident number whose region was not in force in the year of birth, as far as
    /// the table knows: people who got their number long after their birth have such numbers. A result
    /// is never out of force but where the value is.
    #[serde(default)]
    pub not_in_force: NotInForce,
    /// The edition of the division table (GB/T 2260), by its last list: 2023, the only one there is.
    /// Of resident-id and credit-code.
    #[serde(default)]
    pub gb2260_version: Edition,
    /// Digits that are given to the mark, 1 or 2: of a resident-id those of the sequence before its last,
    /// which tells the sex, of a mobile the last, of a bank-card the last before the check digit. Not with
    /// `join`, and not of a credit-code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<u32>,
}

/// What becomes of a resident number whose region was not in force in the year of birth.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NotInForce {
    /// It becomes another such number: of a known region out of force, or of an unknown region. A
    /// checker with a table of years refuses the result as it refuses the value.
    #[default]
    Apart,
    /// It is invalid, so that every result passes such a checker.
    Invalid,
}

/// A kind of identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Resident identity number (公民身份号码).
    ResidentId,
    /// Mobile number (手机号码).
    Mobile,
    /// Bank card number (银行卡号).
    BankCard,
    /// Unified social credit code (统一社会信用代码).
    CreditCode,
}

impl Of {
    /// As configuration writes it, which is also the name of its category.
    fn name(self) -> &'static str {
        match self {
            Self::ResidentId => "resident-id",
            Self::Mobile => "mobile",
            Self::BankCard => "bank-card",
            Self::CreditCode => "credit-code",
        }
    }

    /// The kind of its tags; none where no digit can be one.
    fn tagged(self) -> Option<IdKind> {
        match self {
            Self::ResidentId => Some(IdKind::ResidentId),
            Self::Mobile => Some(IdKind::Mobile),
            Self::BankCard => Some(IdKind::BankCard),
            Self::CreditCode => None,
        }
    }

    /// What can be kept of it.
    fn parts(self) -> &'static [Keep] {
        match self {
            Self::ResidentId => &[
                Keep::Region2,
                Keep::Region4,
                Keep::Region6,
                Keep::BirthYear,
                Keep::Sex,
            ],
            Self::Mobile => &[Keep::Prefix3],
            Self::BankCard => &[Keep::Bin6, Keep::Bin8],
            Self::CreditCode => &[Keep::Region2, Keep::Region4, Keep::Region6],
        }
    }
}

/// A part of an identifier that stays as it is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The province of the division code.
    Region2,
    /// The prefecture.
    Region4,
    /// The county.
    Region6,
    /// The year of birth.
    BirthYear,
    /// Whether the sequence is odd.
    Sex,
    /// The first three digits of a mobile number: the operator.
    Prefix3,
    /// The first six digits of a card: the issuer.
    Bin6,
    /// The first eight.
    Bin8,
}

impl Keep {
    fn name(self) -> &'static str {
        match self {
            Self::Region2 => "region2",
            Self::Region4 => "region4",
            Self::Region6 => "region6",
            Self::BirthYear => "birth-year",
            Self::Sex => "sex",
            Self::Prefix3 => "prefix3",
            Self::Bin6 => "bin6",
            Self::Bin8 => "bin8",
        }
    }

    /// The digits it keeps of a part that can be kept to more than one length.
    fn digits(self) -> usize {
        match self {
            Self::Region2 => 2,
            Self::Region4 => 4,
            Self::Region6 | Self::Bin6 => 6,
            Self::Bin8 => 8,
            Self::BirthYear | Self::Sex | Self::Prefix3 => 0,
        }
    }
}

/// What is kept, sorted out.
#[derive(Debug, Clone, Copy, Default)]
struct Kept {
    /// Leading digits of the region or card.
    digits: usize,
    birth_year: bool,
    sex: bool,
    prefix: bool,
}

impl StructuredId {
    fn kept(&self) -> Result<Kept, Misfit> {
        let parts = self.of.parts();
        let mut kept = Kept::default();
        for (index, part) in self.keep.iter().enumerate() {
            if !parts.contains(part) {
                let names: Vec<&str> = parts.iter().map(|part| part.name()).collect();
                let (part, of) = (part.name(), self.of.name());
                return Err(
                    keep_misfit(format!("`keep` holds `{part}`, which a {of} hasn't"))
                        .with_hint(format!("it may hold {}", names.join(", "))),
                );
            }
            if self.keep.iter().take(index).any(|earlier| earlier == part) {
                return Err(keep_misfit(format!("`keep` holds `{}` twice", part.name())));
            }
            if part.digits() > 0 && kept.digits > 0 {
                let what = "`keep` holds one part to two lengths";
                return Err(keep_misfit(what.to_owned()).with_hint("keep the longer one only"));
            }
            kept.digits += part.digits();
            kept.birth_year |= *part == Keep::BirthYear;
            kept.sex |= *part == Keep::Sex;
            kept.prefix |= *part == Keep::Prefix3;
        }
        if kept.birth_year && kept.digits > 2 {
            return Err(too_few());
        }
        Ok(kept)
    }

    fn check(&self, column: Column<'_>) -> Result<Kept, Misfit> {
        only(Self::KIND, column)?;
        keyed::check(&self.domain, self.join.as_ref())?;
        if self.not_in_force != NotInForce::Apart && self.of != Of::ResidentId {
            let what = format!(
                "`not_in_force` says nothing of a {}, which has no year of birth",
                self.of.name()
            );
            return Err(Misfit::of_parameter("not_in_force", what).with_hint("leave it out"));
        }
        self.check_tag()?;
        self.kept()
    }

    fn check_tag(&self) -> Result<(), Misfit> {
        let Some(tag) = self.tag else {
            return Ok(());
        };
        let refused =
            |what: String, hint: &str| Err(Misfit::of_parameter("tag", what).with_hint(hint));
        if self.join.is_some() {
            let what = "`tag` stands beside `join`: grants of a join group share results, and a tag is \
                        another one in every grant";
            return refused(what.to_owned(), "leave one of them out");
        }
        if self.of.tagged().is_none() {
            let what = format!(
                "`tag` takes decimal digits, which a {} lacks",
                self.of.name()
            );
            return refused(what, "leave it out");
        }
        if !(1..=DIGITS_MAX).contains(&tag) {
            let what = format!("`tag` is not 1 to {DIGITS_MAX} digits");
            return refused(what, "write tag = 2, or leave it out");
        }
        Ok(())
    }

    /// How many results there are at least among which values of one class are told apart, but for a tag.
    fn results(&self) -> u64 {
        /// Divisions in force in any year, and days of the window, rounded down.
        const DIVISIONS: u64 = 2_000;
        const DAYS: u64 = 54_000;
        let is_whole = self.keep.is_empty();
        let digits = self.keep.iter().map(|part| part.digits()).max();
        match self.of {
            Of::Mobile if is_whole => 7_000_000_000,
            Of::Mobile => 100_000_000,
            // Of the shortest card.
            Of::BankCard => {
                let hidden = 15_u32
                    .saturating_sub(u32::try_from(digits.unwrap_or_default()).unwrap_or_default());
                10_u64.saturating_pow(hidden) / 10 * 9
            }
            Of::ResidentId if is_whole => DIVISIONS * DAYS * 1_000,
            Of::ResidentId if self.keep == [Keep::Sex] => DIVISIONS * DAYS * 500,
            // Narrower classes are refused.
            Of::ResidentId | Of::CreditCode => DOMAIN_MIN,
        }
    }

    fn make(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
        direction: Direction,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let kept = self.check(column)?;
        let maker = Maker {
            of: self,
            column,
            options,
            key,
            direction,
        };
        match self.of {
            Of::ResidentId => maker.make(ResidentId::new(kept, self.not_in_force)),
            Of::Mobile => maker.make(Mobile::new(kept)),
            Of::BankCard => maker.make(Card::new(kept)),
            Of::CreditCode => maker.make(CreditCode::new(kept)),
        }
    }

    /// The parts of the tweak that all values share.
    fn context(&self) -> Vec<u8> {
        let mut keep = self.keep.clone();
        keep.sort_unstable();
        let mut parts: Vec<&str> = vec![Self::KIND, self.of.name()];
        for part in keep {
            parts.push(part.name());
        }
        parts.push(&self.domain);
        keyed::context(&parts)
    }

    /// Makes the treatment that restores what this one permuted, for the holder of the key.
    ///
    /// # Errors
    /// As [`Definition::build`]; a tag, which took digits that nobody can restore.
    pub fn restore(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        if self.tag.is_some() {
            let what = "`tag` took digits of the results, so that values can't be restored";
            return Err(Misfit::of_parameter("tag", what));
        }
        self.make(column, options, key, Direction::Decrypt)
    }
}

fn keep_misfit(what: String) -> Misfit {
    Misfit::of_parameter("keep", what)
}

fn too_few() -> Misfit {
    let what = format!("`keep` leaves fewer than {DOMAIN_MIN} possible results");
    keep_misfit(what).with_hint("keep less: with the year of birth, the province at most")
}

struct Maker<'a> {
    of: &'a StructuredId,
    column: Column<'a>,
    options: &'a Options,
    key: Option<&'a DerivedKey>,
    direction: Direction,
}

impl Maker<'_> {
    fn make<S: Shape>(&self, shape: S) -> Result<Box<dyn Treatment>, Misfit> {
        let ff1 = keyed::cipher(StructuredId::KIND, self.column, self.key)?;
        let normalise = category::find(self.of.of.name()).map(|known| known.normalise);
        let context = self.of.context();
        let kernel =
            Kernel::new(ff1, self.direction, shape, &context, normalise).ok_or_else(too_few)?;
        Ok(Box::new(TextTreatment::new(
            kernel,
            self.options,
            self.column,
        )?))
    }
}

impl Definition for StructuredId {
    const KIND: &'static str = "structured-id";
    const SUMMARY: &'static str = "turns an identifier into another valid one of its kind";
    const FITS: &'static str = "utf8";
    const EXAMPLE: &'static str =
        r#"{ kind = "structured-id", of = "resident-id", domain = "person.id" }"#;
    const STRENGTH: Strength = Strength::KEYED_EQUALITY;
    const WEAKER: Option<&'static str> =
        Some("1 where anything is kept, and for credit codes, whose first two characters stay");
    const UNIQUENESS: Uniqueness = Uniqueness::Bijective;
    const WIDTH: Option<&'static str> = Some("18 bytes, 19 for cards and 11 for mobile numbers");
    const REVERSIBLE: Option<&'static str> =
        Some("the holder of the `fpe` key can restore the value, where no `tag` took digits");

    /// With a tag, values whose results differ in its digits alone meet.
    fn uniqueness(&self) -> Uniqueness {
        match self.tag {
            None => Self::UNIQUENESS,
            Some(digits) => {
                let left = self.results() / 10_u64.saturating_pow(digits).max(1);
                Uniqueness::Probabilistic {
                    bits: left.checked_ilog2().unwrap_or_default(),
                }
            }
        }
    }

    fn tag(&self) -> Option<TagRoom> {
        Some(TagRoom {
            characters: self.tag?,
            domain: self.domain.clone(),
            form: TagForm::Id(self.of.tagged()?),
        })
    }

    fn strength(&self) -> Strength {
        match self.keep.is_empty() && self.of != Of::CreditCode {
            true => Self::STRENGTH,
            false => Strength::PARTIAL,
        }
    }

    fn refuses(&self, _: &DataType, case: Case) -> bool {
        case == Case::Invalid
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(match self.of {
            Of::ResidentId | Of::CreditCode => 18,
            Of::Mobile => 11,
            Of::BankCard => 19,
        })
    }

    fn at_least(&self, floor: &Self) -> bool {
        let narrower = self.join.is_none() || self.join == floor.join;
        let digits = |keep: &[Keep]| keep.iter().map(|part| part.digits()).max().unwrap_or(0);
        let whole = |part: &&Keep| part.digits() == 0;
        let keeps_no_more = digits(&self.keep) <= digits(&floor.keep)
            && self
                .keep
                .iter()
                .filter(whole)
                .all(|part| floor.keep.contains(part));
        let passes_no_more =
            self.not_in_force == NotInForce::Invalid || self.not_in_force == floor.not_in_force;
        self.of == floor.of
            && self.domain == floor.domain
            && narrower
            && keeps_no_more
            && passes_no_more
            && self.tag >= floor.tag
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.check(column)?;
        Ok(Some(DataType::Utf8))
    }

    fn key_use(&self) -> Option<KeyUse> {
        Some(keyed::key_use(&self.domain, self.join.as_ref()))
    }

    fn facet(&self) -> Option<Facet<'_>> {
        // A part that stays only in part fits another treatment's draw of the rest by chance.
        let kept = |part, said| match self.keep.contains(&part) {
            true => Some(said),
            false => Some(facets::PERMUTED),
        };
        let fact = |what, kept| Fact {
            what,
            kept,
            from: None,
        };
        let division = kept(Keep::Region6, "district");
        let (entity, facts) = match self.of {
            Of::ResidentId => (
                "person",
                vec![
                    fact("sex", kept(Keep::Sex, "sex")),
                    fact("birth year", Some(facets::PERMUTED)),
                    fact("division", division),
                ],
            ),
            Of::CreditCode => (
                "organisation",
                vec![fact("division", division), fact("form", Some("category"))],
            ),
            Of::Mobile | Of::BankCard => return None,
        };
        Some(Facet {
            entity,
            key: None,
            by: None,
            follows: None,
            facts,
        })
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        key: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        self.make(column, options, key, Direction::Encrypt)
    }
}
