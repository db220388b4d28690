//! Postal addresses: the names of a division, then road, number, estate, building and room.

use super::draw::{Draw, another};
use super::places::{ESTATES, ROADS};
use crate::divisions::{Division, Divisions, Level};

/// The most bytes of an address that is written: 75 of the division's names, as of
/// 甘肃省临夏回族自治州积石山保安族东乡族撒拉族自治县, and 49 of what follows.
pub(crate) const BYTES_MAX: usize = 124;

/// Reads the division an address begins with, down to a level: its code, where every name down to
/// that level is there. Provinces may be written short (`浙江`, `内蒙古`), and be left out before
/// a prefecture's full name.
pub(crate) fn read(divisions: &Divisions, text: &str, level: Level) -> Option<u32> {
    let text = text.trim_start();
    let provinces = || {
        divisions
            .all()
            .chunk_by(|one, two| one.province == two.province)
    };
    let named = provinces().find_map(|group| {
        let first = group.first()?;
        Some((group, first, after_province(text, first.province)?))
    });
    match named {
        Some((_, first, _)) if level == Level::Province => Some(first.code),
        Some((group, _, rest)) => within(group, rest, true, level),
        None if level == Level::Province => None,
        None => provinces().find_map(|group| within(group, text, false, level)),
    }
}

/// The code in a province's group of which the text names prefecture and county.
fn within(group: &[Division], text: &str, named: bool, level: Level) -> Option<u32> {
    for city in group.chunk_by(|one, two| one.code / 100 == two.code / 100) {
        let Some(first) = city.first() else { continue };
        let rest = match text.strip_prefix(first.prefecture) {
            // Without a prefecture's name, the province's must be there.
            Some(rest) if named || !first.prefecture.is_empty() => rest,
            _ => continue,
        };
        let county = city.iter().find(|own| rest.starts_with(own.county));
        let is_nameless = first.prefecture.is_empty();
        match (level, county) {
            (Level::City, _) if !is_nameless => return Some(first.code),
            (_, Some(county)) => return Some(county.code),
            _ => {}
        }
    }
    None
}

/// What follows the province's name, full or short.
fn after_province<'a>(text: &'a str, province: &str) -> Option<&'a str> {
    if let Some(rest) = text.strip_prefix(province) {
        return Some(rest);
    }
    let short = short_name(province);
    let rest = text.strip_prefix(short)?;
    // 吉林市 is a prefecture, and the short name of a province only by chance.
    (!rest.starts_with('市')).then_some(rest)
}

fn short_name(province: &str) -> &str {
    for end in [
        "维吾尔自治区",
        "壮族自治区",
        "回族自治区",
        "自治区",
        "省",
        "市",
    ] {
        if let Some(short) = province.strip_suffix(end) {
            return short;
        }
    }
    province
}

/// Appends the address of a draw in a division, other than `original`.
pub(crate) fn write(draw: &Draw, division: &Division, original: &str, out: &mut Vec<u8>) {
    let parts = draw.more(b'a');
    let start = out.len();
    for name in [division.province, division.prefecture, division.county] {
        out.extend_from_slice(name.as_bytes());
    }
    let pick = |list: &[&'static str], word| {
        list.get(parts.below(word, list.len()))
            .map_or(&b""[..], |name| name.as_bytes())
    };
    let number = |word: usize, count: usize| 1 + parts.below(word, count);
    out.extend_from_slice(pick(&ROADS, 0));
    decimal(number(1, 600), out);
    out.extend_from_slice("号".as_bytes());
    out.extend_from_slice(pick(&ESTATES, 2));
    decimal(number(3, 40), out);
    out.extend_from_slice("幢".as_bytes());
    decimal(number(4, 4), out);
    out.extend_from_slice("单元".as_bytes());
    // Rooms 101 to 3004: the floor, then the door.
    let room = parts.below(5, 120);
    let end = out.len();
    let mut put = |room: usize| {
        out.truncate(end);
        decimal((room / 4 + 1) * 100 + room % 4 + 1, out);
        out.extend_from_slice("室".as_bytes());
        out.get(start..) == Some(original.trim().as_bytes())
    };
    if put(room) {
        let other = another(u64::try_from(room).unwrap_or(0), 120, draw);
        put(usize::try_from(other).unwrap_or(0));
    }
}

/// Appends a number below 10,000 in decimal digits.
fn decimal(number: usize, out: &mut Vec<u8>) {
    let mut began = false;
    for unit in [1_000, 100, 10, 1] {
        let digit = number / unit % 10;
        began |= digit > 0 || unit == 1;
        if began {
            out.push(b'0' + u8::try_from(digit).unwrap_or(0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_down_to_a_level() {
        let divisions = Divisions::new();
        for (text, level, code) in [
            (
                "浙江省杭州市西湖区文三路1号",
                Level::District,
                Some(330_106),
            ),
            ("浙江杭州市西湖区文三路1号", Level::District, Some(330_106)),
            ("杭州市西湖区文三路1号", Level::District, Some(330_106)),
            ("北京市朝阳区某路", Level::District, Some(110_105)),
            ("新疆维吾尔自治区石河子市", Level::District, Some(659_001)),
            ("广东省东莞市某路", Level::District, Some(441_900)),
            ("吉林市昌邑区", Level::District, Some(220_202)),
            ("文三路1号", Level::Province, None),
            ("浙江省某路", Level::City, None),
            ("浙江省杭州市某路", Level::District, None),
        ] {
            assert_eq!(read(&divisions, text, level), code, "{text}");
        }
        let city = read(&divisions, "浙江省杭州市某路", Level::City).unwrap();
        assert_eq!(city / 100, 3_301);
        assert_eq!(
            read(&divisions, "内蒙古呼和浩特市", Level::Province).unwrap() / 10_000,
            15
        );
    }

    #[test]
    fn an_address_is_read_back_and_never_becomes_itself() {
        let divisions = Divisions::new();
        for seed in 0..300 {
            let draw = Draw::of_seed(seed);
            let division = divisions.draw(&draw, 4, None).unwrap();
            let address = |original: &str| {
                let mut out = Vec::new();
                write(&draw, division, original, &mut out);
                String::from_utf8(out).unwrap()
            };
            let first = address("");
            assert_eq!(
                read(&divisions, &first, Level::District),
                Some(division.code),
                "{first}"
            );
            assert_ne!(address(&first), first);
        }
    }

    #[test]
    fn no_address_is_wider_than_the_widest() {
        let divisions = Divisions::new();
        let bytes = |list: &[&str]| list.iter().map(|word| word.len()).max().unwrap();
        let names = divisions.all().iter();
        let names = names.map(|own| own.province.len() + own.prefecture.len() + own.county.len());
        let fixed = "600号40幢4单元3004室".len();
        let widest = names.max().unwrap() + bytes(&ROADS) + bytes(&ESTATES) + fixed;
        assert_eq!(widest, BYTES_MAX);
    }
}
