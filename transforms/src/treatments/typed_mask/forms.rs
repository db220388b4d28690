//! What a typed mask can be of, and what each can show.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fill::Length;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Of {
    /// Resident identity number (GB 11643), 18 or 15 characters.
    ResidentId,
    /// Mainland mobile telephone number.
    Mobile,
    /// Landline telephone number with area code, or a 400 or 800 number.
    Landline,
    /// Name of a person, in Han characters.
    PersonName,
    /// Bank card number, 16 to 19 digits with a Luhn check digit.
    BankCard,
    /// Postal address that begins with a province, city or county.
    Address,
    /// Unified social credit code (GB 32100).
    CreditCode,
    /// Vehicle plate of 7 or 8 characters.
    Plate,
    /// Passport of the mainland, Hong Kong or Macao.
    Passport,
    /// Travel permit of the mainland, Hong Kong, Macao or Taiwan.
    Permit,
    /// E-mail address in ASCII.
    Email,
    /// IP address, version 4 or 6.
    Ip,
}

/// What a typed mask lets stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// Nothing but that it is one.
    Nothing,
    /// The province.
    Province,
    /// Down to the city.
    City,
    /// Down to the county or district.
    District,
    /// The first and last characters: one each of a resident ID, four each of a card.
    Ends,
    /// The six digits of the district and the last four characters.
    #[serde(rename = "district-and-last-4")]
    DistrictAndLast4,
    /// The first three digits.
    Prefix,
    /// The last four digits.
    #[serde(rename = "last-4")]
    Last4,
    /// The first three and the last four digits.
    #[serde(rename = "prefix-and-last-4")]
    PrefixAndLast4,
    /// The area code.
    AreaCode,
    /// The area code and the last two digits.
    #[serde(rename = "area-code-and-last-2")]
    AreaCodeAndLast2,
    /// The surname.
    Surname,
    /// The six digits that name the issuer.
    Bin,
    /// The six digits that name the issuer and the last four.
    #[serde(rename = "bin-and-last-4")]
    BinAndLast4,
    /// The two characters of registering authority and category.
    Category,
    /// The first eight and the last two characters.
    #[serde(rename = "district-and-last-2")]
    DistrictAndLast2,
    /// The two characters of the region.
    Region,
    /// The two characters of the region and the last one.
    #[serde(rename = "region-and-last-1")]
    RegionAndLast1,
    /// The first letter.
    Letter,
    /// The first letter and the last three characters.
    #[serde(rename = "letter-and-last-3")]
    LetterAndLast3,
    /// The first letter and the last four characters.
    #[serde(rename = "letter-and-last-4")]
    LetterAndLast4,
    /// The last part of the domain.
    TopLevel,
    /// The domain.
    Domain,
    /// The domain and the first character.
    DomainAndFirst,
    /// The first part.
    OnePart,
    /// The first two parts.
    TwoParts,
    /// The first three parts.
    ThreeParts,
}

/// How much is shown from the beginning and from the end, in the unit of the kind: characters, or
/// levels of an address, parts of a domain or an IP address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shown {
    pub(super) first: usize,
    pub(super) last: usize,
}

impl Shown {
    /// Whether no more is shown than `floor` shows.
    pub(super) fn within(self, floor: Self) -> bool {
        self.first <= floor.first && self.last <= floor.last
    }
}

/// What a kind can show: its word, how much from the beginning, how much from the end. The default
/// comes first.
type Keeps = &'static [(Keep, usize, usize)];

const RESIDENT_ID: Keeps = &[
    (Keep::Province, 2, 0),
    (Keep::City, 4, 0),
    (Keep::District, 6, 0),
    (Keep::Ends, 1, 1),
    (Keep::DistrictAndLast4, 6, 4),
];
const MOBILE: Keeps = &[
    (Keep::Prefix, 3, 0),
    (Keep::Last4, 0, 4),
    (Keep::PrefixAndLast4, 3, 4),
];
const LANDLINE: Keeps = &[(Keep::AreaCode, 1, 0), (Keep::AreaCodeAndLast2, 1, 2)];
const PERSON_NAME: Keeps = &[(Keep::Surname, 1, 0)];
const BANK_CARD: Keeps = &[
    (Keep::Bin, 6, 0),
    (Keep::Last4, 0, 4),
    (Keep::Ends, 4, 4),
    (Keep::BinAndLast4, 6, 4),
];
const ADDRESS: Keeps = &[
    (Keep::District, 3, 0),
    (Keep::City, 2, 0),
    (Keep::Province, 1, 0),
];
const CREDIT_CODE: Keeps = &[
    (Keep::Category, 2, 0),
    (Keep::District, 8, 0),
    (Keep::DistrictAndLast2, 8, 2),
];
const PLATE: Keeps = &[(Keep::Region, 2, 0), (Keep::RegionAndLast1, 2, 1)];
const DOCUMENT: Keeps = &[
    (Keep::Letter, 1, 0),
    (Keep::LetterAndLast3, 1, 3),
    (Keep::LetterAndLast4, 1, 4),
];
/// From the end: the domain's last part, or all of it.
const EMAIL: Keeps = &[
    (Keep::TopLevel, 0, 1),
    (Keep::Domain, 0, 2),
    (Keep::DomainAndFirst, 1, 2),
];
const IP: Keeps = &[
    (Keep::OnePart, 1, 0),
    (Keep::TwoParts, 2, 0),
    (Keep::ThreeParts, 3, 0),
];

impl Of {
    fn keeps(self) -> Keeps {
        match self {
            Self::ResidentId => RESIDENT_ID,
            Self::Mobile => MOBILE,
            Self::Landline => LANDLINE,
            Self::PersonName => PERSON_NAME,
            Self::BankCard => BANK_CARD,
            Self::Address => ADDRESS,
            Self::CreditCode => CREDIT_CODE,
            Self::Plate => PLATE,
            Self::Passport | Self::Permit => DOCUMENT,
            Self::Email => EMAIL,
            Self::Ip => IP,
        }
    }

    /// What is shown where nothing is said: little enough for a display.
    pub(super) fn default_keep(self) -> Keep {
        self.keeps()
            .first()
            .map_or(Keep::Nothing, |(keep, _, _)| *keep)
    }

    /// How much a word shows; `None` where the kind doesn't know the word.
    pub(super) fn shown(self, keep: Keep) -> Option<Shown> {
        if keep == Keep::Nothing {
            return Some(Shown { first: 0, last: 0 });
        }
        let known = self.keeps().iter().find(|(known, _, _)| *known == keep)?;
        Some(Shown {
            first: known.1,
            last: known.2,
        })
    }

    /// The words the kind knows, for messages.
    pub(super) fn keeps_in_words(self) -> String {
        let words = self.keeps().iter().map(|(keep, _, _)| word(keep));
        let words: Vec<String> = words.chain([word(&Keep::Nothing)]).collect();
        format!("write one of {}", words.join(", "))
    }

    /// Fills of a hidden stretch where nothing is said.
    pub(super) fn default_length(self) -> Length {
        match self {
            Self::PersonName => Length::Fixed(2),
            Self::Address | Self::Email => Length::Fixed(3),
            Self::ResidentId
            | Self::Mobile
            | Self::Landline
            | Self::BankCard
            | Self::CreditCode
            | Self::Plate
            | Self::Passport
            | Self::Permit
            | Self::Ip => Length::Same,
        }
    }

    /// The most bytes of a masked value, with a fill of `fill` bytes; absent where values have no
    /// longest.
    pub(super) fn width(self, shown: Shown, fill: usize, length: Length) -> Option<usize> {
        // Characters of the longest value, and bytes of its widest character.
        let (characters, widest) = match self {
            Self::ResidentId | Self::CreditCode => (18, 1),
            Self::Mobile | Self::Permit => (11, 1),
            Self::BankCard => (19, 1),
            Self::Plate => (8, 3),
            Self::Passport => (9, 1),
            // Eight parts and what divides them; each hidden part has fills of its own.
            Self::Ip => {
                let fills = length.fixed().unwrap_or(1).saturating_mul(fill);
                return Some(8 * fills.max(4) + 7);
            }
            Self::Landline | Self::PersonName | Self::Address | Self::Email => return None,
        };
        let most: usize = match length {
            Length::Same => characters,
            Length::Fixed(fills) => fills.max(1) + shown.first + shown.last,
        };
        Some(most * fill.max(widest))
    }

    /// The category whose spelling it follows.
    pub(super) fn category(self) -> &'static str {
        if self == Self::Permit {
            return "travel-permit";
        }
        self.as_str()
    }

    /// The word as configuration writes it.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ResidentId => "resident-id",
            Self::Mobile => "mobile",
            Self::Landline => "landline",
            Self::PersonName => "person-name",
            Self::BankCard => "bank-card",
            Self::Address => "address",
            Self::CreditCode => "credit-code",
            Self::Plate => "plate",
            Self::Passport => "passport",
            Self::Permit => "permit",
            Self::Email => "email",
            Self::Ip => "ip",
        }
    }
}

/// A word as configuration writes it.
fn word(keep: &Keep) -> String {
    serde_json::to_string(keep).unwrap_or_default()
}
