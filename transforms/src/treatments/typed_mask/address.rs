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
use crate::fill::Filler;
use crate::text::has_white_space;

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
    out: &mut Vec<u8>,
) -> Result<(), Case> {
    let text = spelling(value);
    let levels = levels(&text);
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
    out.extend_from_slice(text.get(..end).unwrap_or_default().as_bytes());
    filler.write(clusters::count(hidden), out);
    Ok(())
}

/// Without white space, and without the country's name.
fn spelling(value: &str) -> Cow<'_, str> {
    let country = |text: &str| {
        ["中华人民共和国", "中国"]
            .iter()
            .find_map(|name| text.strip_prefix(name).map(str::len))
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
    is_prefecture(name.strip_suffix('市').unwrap_or(name))
}

/// The bytes up to and with the first character that ends the name of a division.
fn first_name(text: &str) -> Option<usize> {
    let mut characters = text.char_indices().take(18).peekable();
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
        // 沙市区, 津市市, 梅县区, 辉县市, 红旗区, 社旗县: a name of two characters goes on.
        let goes_on = place == 1 && character != '区' && matches!(next, Some('区' | '市'))
            || place == 1 && character == '旗' && next == Some('县');
        if ends && !goes_on {
            return Some(end);
        }
        place += 1;
    }
    None
}

/// Whether a character stands in names of streets, villages, estates and buildings.
fn is_below_district(character: char) -> bool {
    matches!(
        character,
        '路' | '街'
            | '巷'
            | '弄'
            | '号'
            | '村'
            | '屯'
            | '栋'
            | '幢'
            | '楼'
            | '室'
            | '组'
            | '院'
            | '厂'
            | '校'
            | '店'
            | '苑'
            | '园'
            | '社'
            | '厦'
            | '墅'
            | '寓'
    )
}

/// Whether a stretch that ends like the name of a district can be one.
fn is_district(name: &str) -> bool {
    if name.contains(is_below_district) {
        return EXCEPTIONS.contains(&name);
    }
    let characters = name.chars().count();
    let autonomous = name.ends_with("自治县") || name.ends_with("自治旗");
    let longest = match name.chars().next_back() {
        _ if autonomous => 18,
        Some('旗') => 9,
        _ if name.ends_with("族区") => 8,
        _ => 5,
    };
    if !(2..=longest).contains(&characters) {
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
    let estate = characters >= 4
        && name
            .strip_suffix('区')
            .is_some_and(|stem| stem.ends_with(part));
    // 佛堂镇市场, 龙坞乡某区: a town before the word that looks like an end.
    let town = characters >= 4
        && !autonomous
        && name != "西乡塘区"
        && name.chars().skip(1).any(|c| matches!(c, '镇' | '乡'));
    !estate && !town && name != "小区"
}
