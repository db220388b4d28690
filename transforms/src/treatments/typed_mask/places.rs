//! Names of provinces and prefecture-level divisions (GB/T 2260), for reading addresses.

use std::ops::Range;

use crate::divisions::beginnings::{self, Begun};

/// A province at the beginning of an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Province {
    /// Bytes of its name.
    pub(super) bytes: usize,
    /// Whether it is a municipality or a special administrative region: a city too.
    pub(super) is_city: bool,
    /// Whether the name stands without the word for what it is (`浙江`).
    pub(super) bare: bool,
    /// Its code.
    pub(super) code: u32,
}

/// The short names of provinces, the word that makes them whole, and the first two digits of their
/// codes. In the order of their code points; the first two characters of each are its own.
const PROVINCES: &[(&str, &str, u32)] = &[
    ("上海", "市", 31),
    ("云南", "省", 53),
    ("内蒙古", "自治区", 15),
    ("北京", "市", 11),
    ("台湾", "省", 71),
    ("吉林", "省", 22),
    ("四川", "省", 51),
    ("天津", "市", 12),
    ("宁夏", "回族自治区", 64),
    ("安徽", "省", 34),
    ("山东", "省", 37),
    ("山西", "省", 14),
    ("广东", "省", 44),
    ("广西", "壮族自治区", 45),
    ("新疆", "维吾尔自治区", 65),
    ("江苏", "省", 32),
    ("江西", "省", 36),
    ("河北", "省", 13),
    ("河南", "省", 41),
    ("浙江", "省", 33),
    ("海南", "省", 46),
    ("湖北", "省", 42),
    ("湖南", "省", 43),
    ("澳门", "特别行政区", 82),
    ("甘肃", "省", 62),
    ("福建", "省", 35),
    ("西藏", "自治区", 54),
    ("贵州", "省", 52),
    ("辽宁", "省", 21),
    ("重庆", "市", 50),
    ("陕西", "省", 61),
    ("青海", "省", 63),
    ("香港", "特别行政区", 81),
    ("黑龙江", "省", 23),
];

/// Prefectures of former years, which addresses still name, and the code of what they became.
const FORMER: &[(&str, u32)] = &[
    ("吐鲁番地区", 650_400),
    ("哈密地区", 650_500),
    ("山南地区", 540_500),
    ("日喀则地区", 540_200),
    ("昌都地区", 540_300),
    ("林芝地区", 540_400),
    ("毕节地区", 520_500),
    ("海东地区", 630_200),
    ("莱芜市", 370_100),
    ("那曲地区", 540_600),
    ("铜仁地区", 520_600),
];

/// Two Han characters.
type Two = [u8; 6];

/// A place in the list for each hash of two characters; no two of the provinces' have one hash.
static BY_BEGINNING: [u8; SLOTS] = by_beginning();

/// Slots of [`BY_BEGINNING`]: the fewest, of the powers of two, that keep the provinces apart.
const SLOTS: usize = 256;

#[expect(clippy::as_conversions, reason = "there are no more slots than fit")]
const fn slot_of([one, two, three, four, five, six]: Two) -> usize {
    let beginning = u64::from_le_bytes([one, two, three, four, five, six, 0, 0]);
    (beginning.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 41) as usize % SLOTS
}

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::panic,
    reason = "the compiler evaluates it, and there are fewer provinces than 256"
)]
const fn by_beginning() -> [u8; SLOTS] {
    let (mut slots, mut place) = ([0; SLOTS], 0);
    while place < PROVINCES.len() {
        let Some(two) = PROVINCES[place].0.as_bytes().first_chunk() else {
            panic!("a name of less than two Han characters")
        };
        let slot = slot_of(*two);
        assert!(slots[slot] == 0, "two provinces have one hash");
        place += 1;
        slots[slot] = place as u8;
    }
    slots
}

/// The province that text begins with.
#[inline]
pub(super) fn province(text: &str) -> Option<Province> {
    let two: &Two = text.as_bytes().first_chunk()?;
    let place = usize::from(*BY_BEGINNING.get(slot_of(*two))?).checked_sub(1)?;
    let (short, word, digits) = PROVINCES.get(place)?;
    if short.as_bytes().first_chunk() != Some(two) {
        return None;
    }
    if short.len() > two.len() && !text.starts_with(short) {
        return None;
    }
    let rest = text.get(short.len()..).unwrap_or_default();
    let bare = Province {
        bytes: short.len(),
        is_city: matches!(*word, "市" | "特别行政区"),
        bare: true,
        code: digits * 10_000,
    };
    if begins_with(rest, word) {
        return Some(Province {
            bytes: short.len() + word.len(),
            bare: false,
            ..bare
        });
    }
    // 吉林市 and 海南藏族自治州 lie in provinces that their addresses leave out.
    if rest.starts_with("市") || rest.starts_with("藏族自治州") {
        return None;
    }
    Some(bare)
}

/// Whether text begins with a word, which most are of one Han character: then they are compared in a
/// register.
#[inline(always)]
fn begins_with(text: &str, word: &str) -> bool {
    let first = |text: &str| text.as_bytes().first_chunk::<3>().copied();
    first(text) == first(word) && (word.len() == 3 || text.starts_with(word))
}

/// The prefecture among `codes` that text begins with, of today or of former years.
#[inline]
pub(super) fn prefecture(text: &str, codes: &Range<u32>) -> Option<Begun> {
    beginnings::prefecture(text, codes).or_else(|| former(text, codes))
}

fn former(text: &str, codes: &Range<u32>) -> Option<Begun> {
    let is_it = |(name, code): &&(&str, u32)| codes.contains(code) && text.starts_with(name);
    let (name, code) = FORMER.iter().find(is_it)?;
    Some(Begun {
        code: *code,
        bytes: name.len(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::divisions::Divisions;
    use crate::divisions::beginnings::{ANYWHERE, codes_of};

    #[test]
    fn every_province_and_prefecture_of_today_is_known() {
        for own in Divisions::new().all() {
            let found = province(own.province).unwrap();
            assert_eq!((found.bytes, found.bare), (own.province.len(), false));
            assert_eq!(found.code, own.code / 10_000 * 10_000, "{}", own.province);
            if !own.prefecture.is_empty() {
                let name = own.prefecture;
                let begun = prefecture(name, &codes_of(found.code)).unwrap();
                assert_eq!(
                    (begun.bytes, begun.code),
                    (name.len(), own.code / 100 * 100)
                );
            }
        }
    }

    #[test]
    fn former_prefectures_are_those_that_are_not_of_today() {
        assert!(FORMER.is_sorted());
        for (name, code) in FORMER {
            assert_eq!(beginnings::prefecture(name, &ANYWHERE), None, "{name}");
            let begun = prefecture(name, &codes_of(code / 10_000 * 10_000)).unwrap();
            assert_eq!((begun.bytes, begun.code), (name.len(), *code));
            let all = Divisions::new();
            let within = all.all().iter().filter(|own| own.code / 100 == code / 100);
            assert!(within.count() > 0, "{name}");
        }
    }

    #[test]
    fn names_are_in_order() {
        assert!(PROVINCES.is_sorted());
        for (short, word, _) in PROVINCES {
            let found = province(&format!("{short}{word}")).unwrap();
            assert_eq!(
                (found.bytes, found.bare),
                (short.len() + word.len(), false),
                "{short}"
            );
            assert!(province(&format!("{short}某某区")).unwrap().bare, "{short}");
        }
    }
}
