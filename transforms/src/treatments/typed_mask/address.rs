//! Postal addresses: how far the names of divisions reach, and what comes after them.
//!
//! Provinces and prefecture-level cities go by their names; counties and districts, of which there
//! are thousands and which change every year, by how their names are built. A stretch that might be
//! the name of a street, a village or an estate isn't taken for a district: the address is then cut
//! at the coarser level, so that a doubt shows less, never more.

use std::borrow::Cow;

use super::forms::Shown;
use super::places::{is_prefecture, province};
use crate::classes::is_han;
use crate::clusters;
use crate::error::Case;
use crate::fill::{Filler, Length};
use crate::text::{Output, has_white_space};

/// Names of districts that hold a character of streets, villages, estates or buildings.
#[rustfmt::skip]
const EXCEPTIONS: &[&str] = &[
    "上街区", "下花园区", "北屯市", "周村区", "大厂回族自治县", "头屯河区", "奎屯市",
    "孟村回族自治县", "小店区", "屯昌县", "屯溪区", "屯留区", "屯门区", "岳阳楼区", "张店区",
    "扎兰屯市", "拱墅区", "普兰店市", "普兰店区", "梁园区", "榆社县", "清苑区", "清苑县",
    "瓦房店市", "石楼县", "社旗县", "绿园区", "苏家屯区", "让胡路区", "路北区", "路南区", "路桥区",
    "钟楼区", "马村区", "高碑店市", "鼓楼区",
];

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
    let text = spelling(value);
    let levels = match remembered(text.as_bytes(), out) {
        Some(levels) => levels,
        None => remember(&text, levels(&text), out),
    };
    let recognised = levels
        .district
        .or(levels.city)
        .or(levels.province)
        .ok_or(Case::Invalid)?;
    let end = match shown.first {
        0 => 0,
        1 => levels.province.ok_or(Case::Invalid)?,
        2 => levels.city.or(levels.province).ok_or(Case::Invalid)?,
        _ => recognised,
    };
    let hidden = text.get(end..).unwrap_or_default();
    if hidden.is_empty() {
        return Err(Case::Short);
    }
    out.push(text.get(..end).unwrap_or_default());
    let characters = match filler.length() {
        Length::Fixed(_) => 0,
        Length::Same => clusters::count(hidden),
    };
    filler.write(characters, out);
    Ok(())
}

/// What was read of another text that begins like this one.
#[inline]
fn remembered(text: &[u8], out: &mut impl Output) -> Option<Levels> {
    let (bytes, [province, city, district]) = out.prefixes()?.find(text)?;
    // A name of two characters may go on with one of these.
    let goes_on = match text.get(bytes..).and_then(<[u8]>::first_chunk) {
        Some([lead, second, third]) => {
            matches!(
                u32::from_be_bytes([0, *lead, *second, *third]),
                DISTRICT | COUNTY | CITY
            )
        }
        None => false,
    };
    (!goes_on).then_some(Levels {
        province,
        city,
        district,
    })
}

/// Remembers what was read down to a district: nothing that follows has a part in it.
fn remember(text: &str, levels: Levels, out: &mut impl Output) -> Levels {
    let prefix = levels.district.and_then(|end| text.as_bytes().get(..end));
    if let (Some(prefix), Some(prefixes)) = (prefix, out.prefixes()) {
        prefixes.remember(prefix, [levels.province, levels.city, levels.district]);
    }
    levels
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
    let mut at = 0;
    let mut bare = false;
    if let Some(province) = province(text) {
        at = province.bytes;
        bare = province.bare;
        levels.province = Some(at);
        if province.is_city {
            levels.city = Some(at);
        }
    }
    let mut rest = text.get(at..).unwrap_or_default();
    let mut name = first_name(rest);
    if levels.city.is_none()
        && let Some(bytes) = name.filter(|bytes| is_city(rest.get(..*bytes).unwrap_or_default()))
    {
        at += bytes;
        levels.city = Some(at);
        rest = text.get(at..).unwrap_or_default();
        name = first_name(rest);
    }
    // What a municipality's or city's own divisions are filed under.
    if let Some(after) = rest.strip_prefix("市辖区") {
        at += rest.len() - after.len();
        rest = after;
        name = first_name(rest);
    }
    let district = name.filter(|bytes| is_district(rest.get(..*bytes).unwrap_or_default()));
    levels.district = district.map(|bytes| at + bytes);
    // `北京路1号` begins with the name of a city, too: a bare name needs a second level behind it.
    let alone =
        levels.district.is_none() && levels.city.is_none_or(|city| Some(city) == levels.province);
    if bare && alone {
        return Levels::default();
    }
    levels
}

/// Whether a name is that of a prefecture-level city.
fn is_city(name: &str) -> bool {
    is_prefecture(name.strip_suffix("市").unwrap_or(name))
}

/// Most characters of a division's name.
const NAME_MAX: usize = 18;

/// The three bytes of a character, as a number.
const fn code(character: &str) -> u32 {
    match character.as_bytes().first_chunk::<3>() {
        Some([lead, second, third]) => u32::from_be_bytes([0, *lead, *second, *third]),
        None => 0,
    }
}

const DISTRICT: u32 = code("区");
const COUNTY: u32 = code("县");
const CITY: u32 = code("市");

/// The bytes up to and with the first character that ends the name of a division.
fn first_name(text: &str) -> Option<usize> {
    const BANNER: u32 = code("旗");
    const PREFECTURE: u32 = code("州");
    const LEAGUE: u32 = code("盟");
    const FIRST: u32 = code("\u{4E00}");
    const LAST: u32 = code("\u{9FFF}");

    let (characters, _) = text.as_bytes().as_chunks::<3>();
    let at = |place: usize| match characters.get(place) {
        Some([lead, second, third]) => u32::from_be_bytes([0, *lead, *second, *third]),
        None => 0,
    };
    for place in 0..characters.len().min(NAME_MAX) {
        let character = at(place);
        if !(FIRST..=LAST).contains(&character) {
            return first_name_of_any(text);
        }
        let ends = match character {
            DISTRICT | COUNTY | CITY | BANNER => place > 0,
            PREFECTURE => text.get(..3 * place + 3)?.ends_with("自治州"),
            LEAGUE => is_prefecture(text.get(..3 * place + 3)?),
            _ => continue,
        };
        // 沙市区, 津市市, 梅县区, 辉县市, 红旗区, 社旗县: a name of two characters goes on.
        let goes_on = place == 1
            && match at(2) {
                DISTRICT | CITY => character != DISTRICT,
                COUNTY => character == BANNER,
                _ => false,
            };
        if ends && !goes_on {
            return Some(3 * place + 3);
        }
    }
    None
}

/// The same, of text with other characters than nearly all Han text consists of.
fn first_name_of_any(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().take(NAME_MAX).peekable();
    let mut place = 0;
    while let Some((at, character)) = characters.next() {
        if !is_han(character) {
            return None;
        }
        let end = at + character.len_utf8();
        let next = characters.peek().map(|(_, next)| *next);
        let ends = match character {
            '区' | '县' | '市' | '旗' => place > 0,
            '州' => text.get(..end)?.ends_with("自治州"),
            '盟' => is_prefecture(text.get(..end)?),
            _ => false,
        };
        let goes_on = place == 1 && character != '区' && matches!(next, Some('区' | '市'))
            || place == 1 && character == '旗' && next == Some('县');
        if ends && !goes_on {
            return Some(end);
        }
        place += 1;
    }
    None
}

/// Characters that stand in names of streets, villages, estates and buildings.
#[rustfmt::skip]
const BELOW_DISTRICT: &[char] = &[
    '路', '街', '巷', '弄', '号', '村', '屯', '栋', '幢', '楼', '室', '组', '院', '厂', '校', '店', '苑',
    '园', '社', '厦', '墅', '寓',
];

/// The second and third bytes of them, a bit for each of the 64 there can be.
const BELOW_BYTES: [u64; 2] = {
    let mut bits = [0, 0];
    let mut left = BELOW_DISTRICT;
    while let Some((character, rest)) = left.split_first() {
        let mut bytes = [0; 4];
        if let [_, second, third] = *character.encode_utf8(&mut bytes).as_bytes() {
            bits = [bits[0] | 1 << (second & 63), bits[1] | 1 << (third & 63)];
        }
        left = rest;
    }
    bits
};

/// Whether three characters or fewer, of three bytes each, have none of [`BELOW_DISTRICT`] among
/// them, as a look at single bytes tells. Where it doesn't tell, false.
#[inline]
fn is_above(characters: &[[u8; 3]]) -> bool {
    let [seconds, thirds] = BELOW_BYTES;
    let may_be =
        |[_, second, third]: &[u8; 3]| seconds >> (second & 63) & thirds >> (third & 63) & 1;
    characters.iter().map(may_be).fold(0, |all, one| all | one) == 0
}

/// Whether a stretch that ends like the name of a district can be one.
fn is_district(name: &str) -> bool {
    if let (characters @ ([_, _] | [_, _, _]), []) = name.as_bytes().as_chunks::<3>()
        && is_above(characters)
    {
        return name != "小区";
    }
    if name.contains(BELOW_DISTRICT) {
        return EXCEPTIONS.contains(&name);
    }
    let characters = name.chars().count();
    if characters <= 3 {
        return characters > 1 && name != "小区";
    }
    let autonomous = name.ends_with("自治县") || name.ends_with("自治旗");
    let longest = match name.chars().next_back() {
        _ if autonomous => 18,
        Some('旗') => 9,
        _ if name.ends_with("族区") => 8,
        _ => 5,
    };
    if characters > longest {
        return false;
    }
    // Parts of an estate: 阳光花城东区, 大学城三区, 幸福小区.
    let part = |c: char| {
        matches!(
            c,
            '东' | '西'
                | '南'
                | '北'
                | '中'
                | '一'
                | '二'
                | '三'
                | '四'
                | '五'
                | '六'
                | '七'
                | '八'
                | '九'
                | '十'
                | '小'
        )
    };
    let estate = name
        .strip_suffix('区')
        .is_some_and(|stem| stem.ends_with(part));
    // 佛堂镇市场, 龙坞乡某区: a town before the word that looks like an end.
    let town =
        !autonomous && name != "西乡塘区" && name.chars().skip(1).any(|c| matches!(c, '镇' | '乡'));
    !estate && !town
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::text::Line;

    proptest! {
        #[test]
        fn names_end_where_they_end_in_any_text(text in "[区县市旗州盟自治州海北藏族阿拉善㐀𠮷1 a]{0,24}") {
            prop_assert_eq!(first_name(&text), first_name_of_any(&text));
        }

        #[test]
        fn what_is_remembered_is_what_would_be_read(
            texts in prop::collection::vec(
                "(浙江省|浙江|吉林|海南|北京市|新疆)?(杭州市|荆州市|海西蒙古族藏族自治州|市)?(市辖区)?(沙市|梅县|西湖|红旗|社旗|朝阳|市|津市)(区|县|市|旗)[区县市旗路一1]{0,4}",
                1..60,
            ),
        ) {
            let mut line = Line::default();
            for text in texts {
                let read = match remembered(text.as_bytes(), &mut line) {
                    Some(levels) => levels,
                    None => remember(&text, levels(&text), &mut line),
                };
                prop_assert_eq!(read, levels(&text), "{}", text);
            }
        }

        #[test]
        fn what_is_above_holds_nothing_below(text in "[一-龥路街区县市]{0,3}") {
            let (characters, _) = text.as_bytes().as_chunks::<3>();
            prop_assert!(!is_above(characters) || !text.contains(BELOW_DISTRICT));
        }
    }
}
