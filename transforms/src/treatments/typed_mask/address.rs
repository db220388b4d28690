//! Postal addresses: how far the names of divisions reach, and what comes after them.
//!
//! Provinces, prefectures and counties go by their names, which the table of divisions knows, each
//! only within what was read before it. Whatever the table doesn't know is no division: the address
//! is then cut at the coarser level, so that a doubt shows less, never more. Districts come and go;
//! an address that names one of former years shows its city.

use std::borrow::Cow;

use super::forms::Shown;
use super::places::{prefecture, province};
use crate::clusters;
use crate::divisions::beginnings::{ANYWHERE, codes_of, county};
use crate::error::Case;
use crate::fill::{Filler, Length};
use crate::text::{Output, has_white_space, is_blank};

/// Where the levels of an address end, in bytes. A level that isn't recognised is absent.
#[derive(Debug, Default, PartialEq, Eq)]
struct Levels {
    province: Option<usize>,
    city: Option<usize>,
    district: Option<usize>,
}

/// Masks an address: province, city and district stay as far as asked for and recognised.
pub(super) fn mask(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    let read = levels(value);
    // Down to a district every name was there without white space between, and what comes after is
    // covered by so many fills whatever it is: nearly every value need not be looked at further.
    let is_plain = read.district.is_some() && filler.length().fixed().is_some();
    if is_plain {
        return write(value, &read, shown, filler, out);
    }
    let text = spelling(value);
    if matches!(text, Cow::Borrowed(_)) && text.len() == value.len() {
        return write(value, &read, shown, filler, out);
    }
    write(&text, &levels(&text), shown, filler, out)
}

fn write(
    text: &str,
    levels: &Levels,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    let recognised = levels.district.or(levels.city).or(levels.province);
    let recognised = recognised.ok_or(Case::Invalid)?;
    let end = match shown.first {
        0 => 0,
        1 => levels.province.ok_or(Case::Invalid)?,
        2 => levels.city.or(levels.province).ok_or(Case::Invalid)?,
        _ => recognised,
    };
    let hidden = text.get(end..).unwrap_or_default();
    if is_blank(hidden) {
        return Err(Case::Short);
    }
    let characters = match filler.length() {
        Length::Fixed(_) => 0,
        Length::Same => clusters::count(hidden),
    };
    filler.write_over(text, end, text.len(), characters, out)
}

/// Without white space, and without the country's name.
fn spelling(value: &str) -> Cow<'_, str> {
    let country = |text: &str| {
        let text = text.strip_prefix("中")?;
        let rest = text.strip_prefix("华人民共和国");
        let rest = rest.or_else(|| text.strip_prefix("国"));
        rest.map(str::len)
    };
    if has_white_space(value) {
        let text: String = value
            .chars()
            .filter(|character| !character.is_whitespace())
            .collect();
        let from = country(&text).map_or(0, |rest| text.len() - rest);
        return Cow::Owned(text.get(from..).unwrap_or_default().to_owned());
    }
    let from = country(value).map_or(0, |rest| value.len() - rest);
    Cow::Borrowed(value.get(from..).unwrap_or_default())
}

fn levels(text: &str) -> Levels {
    let mut levels = Levels::default();
    let (mut at, mut codes, mut bare) = (0, ANYWHERE, false);
    if let Some(province) = province(text) {
        at = province.bytes;
        bare = province.bare;
        codes = codes_of(province.code);
        levels.province = Some(at);
        if province.is_city {
            levels.city = Some(at);
        }
    }
    let mut rest = text.get(at..).unwrap_or_default();
    if levels.city.is_none()
        && let Some(city) = prefecture(rest, &codes)
    {
        at += city.bytes;
        codes = codes_of(city.code);
        levels.city = Some(at);
        rest = text.get(at..).unwrap_or_default();
    }
    // What a municipality's or city's own divisions are filed under.
    if let Some(after) = rest.strip_prefix("市辖区") {
        at += rest.len() - after.len();
        rest = after;
    }
    levels.district = county(rest, &codes).map(|county| at + county.bytes);
    // `北京路1号` begins with the name of a city, too: a bare name needs a second level behind it.
    let alone =
        levels.district.is_none() && levels.city.is_none_or(|city| Some(city) == levels.province);
    if bare && alone {
        return Levels::default();
    }
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::divisions::Divisions;
    use crate::testing::treat_one;

    #[test]
    fn every_county_of_the_table_is_read_after_what_it_lies_in() {
        let divisions = Divisions::new();
        for own in divisions.all().iter().filter(|own| !own.county.is_empty()) {
            let whole = [own.province, own.prefecture, own.county].concat();
            let read = levels(&format!("{whole}文三路1号"));
            assert_eq!(read.district, Some(whole.len()), "{whole}");
            if !own.prefecture.is_empty() {
                let without_province = [own.prefecture, own.county].concat();
                let read = levels(&format!("{without_province}文三路1号"));
                assert_eq!(read.district, Some(without_province.len()), "{whole}");
            }
            // In no other province is it one, whatever it is called there.
            let elsewhere = match own.province {
                "海南省" => "青海省西宁市",
                _ => "海南省海口市",
            };
            let read = levels(&format!("{elsewhere}{}文三路1号", own.county));
            let same = divisions.all().iter().any(|other| {
                elsewhere.ends_with(other.prefecture)
                    && !other.prefecture.is_empty()
                    && other.county == own.county
            });
            assert_eq!(read.district.is_some(), same, "{whole}");
        }
    }

    proptest! {
        #[test]
        fn white_space_changes_nothing(
            province in "(浙江省|浙江|吉林|海南|北京市|新疆|中国浙江省)?",
            city in "(杭州市|荆州市|海西蒙古族藏族自治州|吉林市)?(市辖区)?",
            county in "(西湖|红旗|社旗|朝阳|津市|船营)?(区|县|市|旗)?",
            rest in "[区县市旗路一1]{1,4}",
            space in "[ \u{3000}\t]{1,2}",
            length in "('same'|2)",
        ) {
            let spec = format!("{{ kind = 'typed-mask', of = 'address', fill = '█', length = {length} }}");
            let plain = [province.as_str(), &city, &county, &rest].concat();
            let spaced = [province.as_str(), &city, &county, &rest].join(&space);
            let read = treat_one(&spec, &plain).unwrap();
            // What is covered whole has as many fills as the value as it is written.
            prop_assume!(!read.chars().all(|character| character == '█'));
            prop_assert_eq!(Some(read), treat_one(&spec, &spaced));
        }
    }
}
