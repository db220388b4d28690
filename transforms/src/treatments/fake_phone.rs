//! `fake-phone`: a mobile number, or a landline of the area that stays or that the person lives in.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::category;
use crate::divisions::{Area, Areas, Divisions, Edition};
use crate::error::{Case, Misfit};
use crate::facets::Fact;
use crate::persona::draw::another;
use crate::persona::mobile::{self, Kept};
use crate::persona::{Draw, Landline};
use crate::spec::{Column, Uniqueness};
use crate::surrogate::origin::{self, Told};
use crate::surrogate::{Linkage, Original, Surrogate, SurrogateKernel};
use crate::text;

pub use crate::surrogate::origin::WhenUnfit;

/// Puts a mainland mobile number in the place of one, eleven digits under an assigned prefix.
///
/// A country code before the original and separators in it are dropped; other telephone numbers are
/// invalid, and so is a kept carrier whose prefix isn't known. A number never becomes itself. It may
/// be one that someone has: nobody can draw numbers that nobody has.
///
/// A mobile number agrees with no division of the person, and shows none that is kept: where one was
/// given out, only a table of some 500,000 segments says, which changes monthly and is no public
/// register by county; people take their number along when they move, and since 2019 to another
/// carrier, too.
///
/// A landline becomes a landline, written `0571-87654321`, in one of two ways; an extension goes. With
/// `landline = "drawn"` its area code is that of the division of the person's other facets, which their
/// `fake-region`, `fake-id` and `fake-address` show, as that of a prefecture; what is kept of birth and
/// division has to be written alike in all of them, and where no one can have been born then and there,
/// the value is invalid: see `fake-id`. Where a division no longer exists, the code is that of the one
/// that `fake-address` names in its place. Where `keep` lists `"region"`, the area code and the number of
/// digits stay. With neither a landline is invalid, and a 400 or 800 number, which has no region, is so
/// always. In a field of both, a mobile number becomes a mobile number still, and which of the two it
/// was is kept as well.
///
/// Numbers of two persons meet with a probability of 2 to the minus 32; with a kept carrier or prefix
/// 26, and where landlines are taken 22, for an area has 7 million numbers at least. Without `by`,
/// extensions of one landline are one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FakePhone {
    /// Consistency domain: fields of one domain write facets of the same persons
    /// (`"person.id"`).
    pub domain: String,
    /// Approved join group, whose grants share surrogates; absent means this grant alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub join: Option<String>,
    /// The field that holds the person's key, read from the original row; absent means the value
    /// itself. A row where it is null or empty is invalid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What stays of the original: `"carrier"` (the one the prefix was assigned to) or `"prefix"`
    /// (three digits) of a mobile number; `"region"` (the area code) of a landline. What stays of the
    /// person, in whose division a landline is drawn: `"province"`, `"city"` or `"district"` (need
    /// `region`), `"birth-year"` (needs `birth`).
    #[serde(default)]
    pub keep: Vec<Keep>,
    /// What becomes of a landline whose area code isn't kept: `"invalid"`, or `"drawn"`, which writes one
    /// of the area where the person's division lies. Absent means `"invalid"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub landline: Landlines,
    /// What becomes of the landline of someone of whom the kept city or district can't be kept, because
    /// no code of it was in force in the year of birth: `"invalid"`, or `"widen"`, which keeps the next
    /// wider part in its place. Written alike in every facet of a person. Absent means `"invalid"`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub when_unfit: WhenUnfit,
    /// The field a kept birth year is read from: a date, a year, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub birth: Option<String>,
    /// The field a kept division is read from: a division code, or a resident number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The edition of the division table (GB/T 2260) that landlines are drawn by, by its last list: 2023,
    /// the only one there is. Absent means it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gb2260_version: Option<Edition>,
}

/// Whether a parameter says what its absence says.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// What stays of a telephone number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Keep {
    /// The carrier of a mobile number.
    Carrier,
    /// Three digits of a mobile number.
    Prefix,
    /// The area code of a landline.
    Region,
    /// The first two digits of the person's division code.
    Province,
    /// The first four digits.
    City,
    /// The first six digits.
    District,
    /// The person's year of birth.
    BirthYear,
}

impl Keep {
    /// What it is of when and where the person was born; none of the number's own parts.
    fn of_origin(self) -> Option<origin::Keep> {
        match self {
            Self::Province => Some(origin::Keep::Province),
            Self::City => Some(origin::Keep::City),
            Self::District => Some(origin::Keep::District),
            Self::BirthYear => Some(origin::Keep::BirthYear),
            Self::Carrier | Self::Prefix | Self::Region => None,
        }
    }
}

/// What becomes of a landline whose area code isn't kept.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Landlines {
    /// The value is invalid.
    #[default]
    Invalid,
    /// One of the area where the person's division lies.
    Drawn,
}

impl FakePhone {
    fn keeps_region(&self) -> bool {
        self.keep.contains(&Keep::Region)
    }

    fn draws_landlines(&self) -> bool {
        self.landline == Landlines::Drawn
    }

    fn takes_landlines(&self) -> bool {
        self.keeps_region() || self.draws_landlines()
    }

    fn origin(&self) -> origin::Kept {
        let parts = self.keep.iter().filter_map(|part| part.of_origin());
        origin::Kept::of(parts, self.when_unfit)
    }

    /// Refuses what only drawn landlines show where none are, and to draw what is kept.
    fn check_landlines(&self) -> Result<(), Misfit> {
        if self.draws_landlines() {
            if !self.keeps_region() {
                return Ok(());
            }
            let what =
                "`landline` is \"drawn\", and `keep` lists \"region\", which keeps its area code";
            return Err(Misfit::of_parameter("landline", what)
                .with_hint("leave out one of them; `keep` may list \"city\" beside \"drawn\""));
        }
        let keeps_origin = self.keep.iter().any(|part| part.of_origin().is_some());
        let parameter = match (keeps_origin, self.gb2260_version) {
            (true, _) => "keep",
            (false, Some(Edition)) => "gb2260_version",
            (false, None) => return Ok(()),
        };
        let what = format!("`{parameter}` says of the person what only a drawn landline shows");
        Err(Misfit::of_parameter(parameter, what)
            .with_hint("add landline = \"drawn\", or leave it out"))
    }

    fn kept(&self) -> Kept {
        match (
            self.keep.contains(&Keep::Prefix),
            self.keep.contains(&Keep::Carrier),
        ) {
            (true, _) => Kept::Prefix,
            (false, true) => Kept::Carrier,
            (false, false) => Kept::Nothing,
        }
    }
}

impl Surrogate for FakePhone {
    const KIND: &'static str = "fake-phone";
    const SUMMARY: &'static str =
        "writes a mobile number, or a landline of the same or the person's area";
    const EXAMPLE: &'static str =
        r#"{ kind = "fake-phone", domain = "person.id", by = "person_id" }"#;
    const UNIQUENESS: Uniqueness = Uniqueness::Probabilistic { bits: 32 };
    const WIDTH: &'static str = "11 bytes, or 13 where landlines are taken";
    const ENTITY: &'static str = "person";
    const FOLLOWS: Option<&'static str> = Some("birth year");
    const SPELT_AS: Option<&'static str> = Some("mobile");

    fn linkage(&self) -> Linkage<'_> {
        Linkage {
            birth: self.birth.as_deref(),
            region: self.region.as_deref(),
            ..Linkage::of(&self.domain, &self.join, &self.by)
        }
    }

    fn kernel(&self) -> impl SurrogateKernel + 'static {
        Kernel {
            kept: self.kept(),
            landline: match (self.keeps_region(), self.landline) {
                (true, _) => OfLandline::SameArea,
                (false, Landlines::Drawn) => OfLandline::Home(Home {
                    divisions: Divisions::new(),
                    areas: Areas::new(),
                    kept: self.origin(),
                }),
                (false, Landlines::Invalid) => OfLandline::Invalid,
            },
        }
    }

    fn check(&self, column: Column<'_>) -> Result<(), Misfit> {
        text::only(Self::KIND, column)?;
        self.check_landlines()?;
        self.origin()
            .check(&self.keep, &self.linkage(), Told::Nothing)
    }

    fn keeps_any(&self) -> bool {
        !self.keep.is_empty()
    }

    fn keeps_no_more(&self, floor: &Self) -> bool {
        self.kept() <= floor.kept()
            && self.keeps_region() <= floor.keeps_region()
            && self.takes_landlines() <= floor.takes_landlines()
            && self.origin().no_more_than(floor.origin())
    }

    fn uniqueness(&self) -> Uniqueness {
        // 47 prefixes, or one at least, of 10^8 numbers each; 7 million numbers of an area.
        let bits = match (self.takes_landlines(), self.kept()) {
            (true, _) => 22,
            (false, Kept::Nothing) => 32,
            (false, Kept::Carrier | Kept::Prefix) => 26,
        };
        Uniqueness::Probabilistic { bits }
    }

    fn width(&self) -> Option<usize> {
        Some(if self.takes_landlines() { 13 } else { 11 })
    }

    fn facts(&self) -> Vec<Fact<'_>> {
        if self.draws_landlines() {
            return self.origin().facts(&self.linkage()).to_vec();
        }
        let kept = Fact {
            what: "division",
            kept: Some("city"),
            from: None,
        };
        self.keeps_region().then_some(kept).into_iter().collect()
    }

    fn stand_in(&self, _: &DataType) -> Option<&'static str> {
        let reads_value = !self.keep.is_empty() || self.takes_landlines();
        (!reads_value).then_some("13000000000")
    }
}

#[derive(Debug)]
struct Kernel {
    kept: Kept,
    landline: OfLandline,
}

/// What becomes of a landline.
#[derive(Debug)]
enum OfLandline {
    Invalid,
    SameArea,
    Home(Home),
}

/// Where persons live, and how one telephones there.
#[derive(Debug)]
struct Home {
    divisions: Divisions,
    areas: Areas,
    kept: origin::Kept,
}

impl Home {
    /// The area of the division that an address of the person names.
    fn area(&self, original: &Original<'_>) -> Result<Area, Case> {
        let origin = self.kept.origin(original, &self.divisions)?;
        let division = origin.home(&original.draw, &self.divisions);
        let area = division.and_then(|own| self.areas.find(own.code));
        area.ok_or(Case::Invalid)
    }
}

/// Separates the draws of landlines from others of the person.
const LANDLINE: u8 = b'l';

/// Writes another landline than `own`, of an area and with so many digits; the first is 2 to 8.
fn write_landline(own: &Landline, area: &[u8], digits: usize, draw: &Draw, out: &mut Vec<u8>) {
    let least = (1..digits).fold(2_u64, |power, _| 10 * power);
    let count = least / 2 * 7;
    let original = own
        .number()
        .iter()
        .fold(0, |value, digit| 10 * value + u64::from(digit - b'0'));
    let parts = draw.more(LANDLINE);
    let mut chosen = parts.below_wide(0, count);
    if own.area() == area && least + chosen == original {
        chosen = another(chosen, count, &parts);
    }
    out.extend_from_slice(area);
    out.push(b'-');
    out.extend_from_slice((least + chosen).to_string().as_bytes());
}

impl SurrogateKernel for Kernel {
    fn write(&self, original: &Original<'_>, out: &mut Vec<u8>) -> Result<(), Case> {
        let own = match category::find("mobile") {
            Some(known) => mobile::read(&(known.normalise)(original.value)),
            None => mobile::read(original.value),
        };
        let Some(own) = own else {
            let landline = Landline::read(original.value).filter(Landline::has_region);
            let landline = landline.ok_or(Case::Invalid)?;
            let (area, digits) = match &self.landline {
                OfLandline::Invalid => return Err(Case::Invalid),
                OfLandline::SameArea => (landline.area(), landline.number().len()),
                OfLandline::Home(home) => {
                    let Area { code, digits } = home.area(original)?;
                    (code.as_bytes(), digits)
                }
            };
            write_landline(&landline, area, digits, &original.draw, out);
            return Ok(());
        };
        let drawn = mobile::draw(&original.draw, own, self.kept);
        out.extend_from_slice(drawn.ok_or(Case::Invalid)?.to_string().as_bytes());
        Ok(())
    }

    fn usual_bytes(&self) -> usize {
        11
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::facets::{Delivered, differences};
    use crate::surrogate::testing::{alone, texts, treat_texts};
    use crate::testing::{misfit, spec};

    const REGION: &str = "{ kind = 'fake-phone', domain = 'd', keep = ['region', 'carrier'] }";

    #[test]
    fn a_landline_becomes_another_of_its_area() {
        let numbers: Vec<String> = (0..300)
            .map(|number| match number % 2 {
                0 => format!("0571-8{:07}", number * 7_919),
                _ => format!("(0851) 5{:06} 转 12", number * 31),
            })
            .collect();
        let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
        for (number, drawn) in values.iter().zip(alone(REGION, "landline", &values)) {
            let (own, drawn) = (Landline::read(number).unwrap(), drawn.unwrap());
            let read = Landline::read(&drawn).unwrap();
            assert_eq!(read.area(), own.area(), "{number} {drawn}");
            assert_eq!(read.number().len(), own.number().len());
            assert_ne!(read.number(), own.number());
            assert_eq!(drawn.len(), own.area().len() + 1 + own.number().len());
            assert!(matches!(read.number().first(), Some(b'2'..=b'8')));
        }
    }

    #[test]
    fn spellings_of_a_landline_are_one_number() {
        let spellings = [
            "0571-87654321",
            "(0571)87654321",
            "+86 571 8765 4321",
            "０５７１－８７６５４３２１转8001",
        ];
        let mobiles = ["13800001234", "+8613800001234", "0086 138 0000 1234"];
        for category in ["landline", "mobile"] {
            for values in [&spellings[..], &mobiles] {
                let drawn = alone(REGION, category, values);
                assert!(drawn.iter().all(|number| number == &drawn[0]), "{drawn:?}");
            }
        }
    }

    #[test]
    fn mobile_numbers_of_the_same_field_stay_mobile_and_other_numbers_are_covered() {
        let values = ["13800138000", "400-800-1234", "0571-87654321"];
        let drawn = alone(REGION, "mobile", &values);
        let mobile = drawn[0].as_deref().and_then(mobile::read).unwrap();
        assert!(mobile != 13_800_138_000 && mobile::is_drawn(mobile));
        assert_eq!(drawn[1].as_deref(), Some("************"));
        assert!(drawn[2].as_deref().unwrap().starts_with("0571-"));
        let carrier = "{ kind = 'fake-phone', domain = 'd', keep = ['carrier'] }";
        let drawn = alone(carrier, "mobile", &values);
        assert_eq!(drawn[2].as_deref(), Some("*************"));
    }

    #[test]
    fn landlines_of_one_area_meet_as_rarely_as_seven_million_numbers_do() {
        // Of 30,000 persons some 64 have a number that another has.
        let persons = || (0..30_000).map(|person| Some(person.to_string()));
        let phones = texts((0..30_000).map(|_| Some("0937-5123456".to_owned())));
        let spec = "{ kind = 'fake-phone', domain = 'd', by = 'who', keep = ['region'] }";
        let columns = [
            ("phone", "landline", phones),
            ("who", "other", texts(persons())),
        ];
        let drawn: Vec<String> = treat_texts(spec, &columns).into_iter().flatten().collect();
        let distinct: BTreeSet<&String> = drawn.iter().collect();
        assert_eq!(drawn.len(), 30_000);
        let meeting = drawn.len() - distinct.len();
        assert!((20..130).contains(&meeting), "{meeting}");
    }

    const DRAWN: &str = "{ kind = 'fake-phone', domain = 'd', landline = 'drawn' }";

    #[test]
    fn a_drawn_landline_is_one_of_its_area_whatever_the_original_was() {
        let (divisions, areas) = (Divisions::new(), Areas::new());
        let areas = divisions.all().iter().map(|own| areas.find(own.code));
        let areas = areas.flatten().map(|own| (own.code.as_bytes(), own.digits));
        let areas: BTreeMap<&[u8], usize> = areas.collect();
        let numbers: Vec<String> = (0..300)
            .map(|number| match number % 2 {
                0 => format!("010-8{:07}", number * 7_919),
                _ => format!("(0937) 5{:06} 转 12", number * 31),
            })
            .collect();
        let values: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let mut drawn_areas = BTreeSet::new();
        for drawn in alone(DRAWN, "landline", &values).iter().flatten() {
            let read = Landline::read(drawn).unwrap();
            let digits = areas.get(read.area()).copied();
            assert_eq!(digits, Some(read.number().len()), "{drawn}");
            assert_eq!(drawn.len(), read.area().len() + 1 + read.number().len());
            assert!(matches!(read.number().first(), Some(b'2'..=b'8')));
            drawn_areas.insert(read.area().to_vec());
        }
        assert!(drawn_areas.len() > 60, "{}", drawn_areas.len());
        let others = alone(DRAWN, "landline", &["400-800-1234", "12345", "13800138000"]);
        assert_eq!(others[0].as_deref(), Some("************"));
        assert_eq!(others[1].as_deref(), Some("*****"));
        let mobile = others[2].as_deref().and_then(mobile::read).unwrap();
        assert!(mobile::is_drawn(mobile));
    }

    #[test]
    fn a_drawn_landline_never_becomes_itself() {
        // Who is keyed by another field can hold the very number that is drawn.
        let spec = DRAWN.replace(" }", ", by = 'who' }");
        let who = |rows: usize| texts((0..rows).map(|row| Some(row.to_string())));
        let drawn_of = |numbers: &[String]| -> Vec<String> {
            let table = [
                ("phone", "landline", texts(numbers.iter().map(Some))),
                ("who", "other", who(numbers.len())),
            ];
            treat_texts(&spec, &table).into_iter().flatten().collect()
        };
        let same: Vec<String> = (0..100).map(|_| "010-87654321".to_owned()).collect();
        let first = drawn_of(&same);
        let second = drawn_of(&first);
        assert_eq!((first.len(), second.len()), (100, 100));
        for (one, other) in first.iter().zip(&second) {
            let area = |number: &str| Landline::read(number).unwrap().area().to_vec();
            assert!(one != other && area(one) == area(other), "{one} {other}");
        }
    }

    #[test]
    fn what_only_drawn_landlines_show_needs_them_and_no_kept_region() {
        for (rest, parameter) in [
            ("keep = ['city'], region = 'field'", "keep"),
            ("keep = ['birth-year'], birth = 'field'", "keep"),
            ("gb2260_version = 2023", "gb2260_version"),
            ("landline = 'drawn', keep = ['region']", "landline"),
            ("landline = 'drawn', keep = ['city']", "keep"),
            ("landline = 'drawn', region = 'field'", "region"),
            ("landline = 'drawn', when_unfit = 'widen'", "when_unfit"),
            ("landline = 'drawn', keep = ['city', 'city']", "keep"),
        ] {
            let misfit = misfit(&format!("{{ kind = 'fake-phone', domain = 'd', {rest} }}"));
            assert_eq!(misfit.parameter, Some(parameter), "{rest}: {misfit:?}");
        }
    }

    #[test]
    fn parameters_of_landlines_are_written_out_only_where_they_say_something() {
        let plain = spec("{ kind = 'fake-phone', domain = 'd' }");
        let names = |value: serde_json::Value| -> Vec<String> {
            let keys = value.as_object().unwrap().keys();
            keys.filter(|key| ["landline", "when_unfit", "gb2260_version"].contains(&key.as_str()))
                .cloned()
                .collect()
        };
        assert_eq!(
            names(serde_json::to_value(&plain).unwrap()),
            Vec::<String>::new()
        );
        let drawn = names(serde_json::to_value(spec(DRAWN)).unwrap());
        assert_eq!(drawn, ["landline"]);
    }

    #[test]
    fn drawn_landlines_alone_are_compared_with_the_persons_division() {
        let id = spec("{ kind = 'fake-id', domain = 'd', keep = ['city'] }");
        let differs = |rest: &str| {
            let phone = format!("{{ kind = 'fake-phone', domain = 'd', by = 'id'{rest} }}");
            let phone = spec(&phone);
            let delivered = |name, treatment| Delivered {
                name,
                category: "other",
                treatment,
            };
            !differences(&[delivered("id", &id), delivered("phone", &phone)]).is_empty()
        };
        assert!(!differs(""));
        assert!(differs(", landline = 'drawn'"));
        assert!(!differs(
            ", landline = 'drawn', keep = ['city'], region = 'id'"
        ));
    }

    #[test]
    fn a_drawn_landline_needs_a_floor_that_takes_landlines() {
        let phone = |rest: &str| spec(&format!("{{ kind = 'fake-phone', domain = 'd'{rest} }}"));
        let (plain, drawn) = (phone(""), phone(", landline = 'drawn'"));
        let region = phone(", keep = ['region']");
        let city = phone(", landline = 'drawn', keep = ['city'], region = 'r'");
        assert!(plain.meets(&drawn) && !drawn.meets(&plain));
        assert!(drawn.meets(&region) && !region.meets(&drawn));
        assert!(drawn.meets(&city) && !city.meets(&drawn) && !city.meets(&region));
    }

    #[test]
    fn a_kept_region_needs_a_floor_that_keeps_it() {
        let keep = |parts: &str| {
            spec(&format!(
                "{{ kind = 'fake-phone', domain = 'd', keep = [{parts}] }}"
            ))
        };
        assert!(keep("").meets(&keep("'region'")));
        assert!(keep("'region'").meets(&keep("'region', 'carrier'")));
        assert!(!keep("'region'").meets(&keep("'carrier'")));
        assert!(!keep("'region'").meets(&keep("")));
    }
}
