//! Organisations that don't exist: a unified social credit code (GB 32100-2015) and the name that
//! goes with it, from one draw.
//!
//! | word of the draw | facet |
//! |---|---|
//! | 0 | form: what registers it, and the end of its name |
//! | 1 | division |
//! | 2, 3 | organisation code (GB 11714) |
//! | 4, 5 | name |

use super::draw::{Draw, another, share};
use super::places::{BRAND, TRADES};
use super::resident_id::{number, write_digits};
use crate::check_digit::{self, credit_code::ALPHABET as CREDIT_CODE_ALPHABET};
use crate::divisions::{Division, Divisions, Level};

/// Words of the draw, one a facet.
const FORM: usize = 0;
const DIVISION: usize = 1;
const CODE: usize = 2;
const NAME: usize = 4;

/// A form of organisation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// First two characters of the code: registering department, category.
    pub(crate) code: [u8; 2],
    /// How its name ends.
    pub(crate) suffix: &'static str,
    /// Whether its name holds a trade.
    trade: bool,
    /// Of a hundred organisations.
    share: u32,
}

const fn form(code: [u8; 2], suffix: &'static str, trade: bool, share: u32) -> Form {
    Form {
        code,
        suffix,
        trade,
        share,
    }
}

/// The forms. Longer endings stand before those they end in.
pub(crate) const FORMS: [Form; 11] = [
    form(*b"91", "股份有限公司", true, 6),
    form(*b"91", "有限责任公司", true, 10),
    form(*b"91", "有限公司", true, 38),
    form(*b"92", "经营部", true, 16),
    form(*b"93", "专业合作社", true, 4),
    form(*b"12", "中心小学", false, 4),
    form(*b"12", "服务中心", false, 6),
    form(*b"12", "医院", false, 4),
    form(*b"51", "协会", true, 5),
    form(*b"52", "养老院", false, 4),
    form(*b"53", "基金会", false, 3),
];

/// Codes of one form and division: 31^6 after `MA`, as they are given out since 2015.
const CODES: u64 = 887_503_681;

/// What a valid code says, and what a surrogate keeps of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CreditCode([u8; 18]);

impl CreditCode {
    /// Reads 18 characters with both check characters right; none for other text.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let code: [u8; 18] = text.as_bytes().try_into().ok()?;
        let (check, rest) = code.split_last()?;
        let (inner_check, inner) = rest.get(8..)?.split_last()?;
        let valid = check_digit::credit_code::check(rest)? == *check
            && check_digit::organisation_code::check(inner)? == *inner_check;
        number(rest.get(2..8)?)?;
        valid.then_some(Self(code))
    }

    /// Department and category.
    pub(crate) fn form(&self) -> [u8; 2] {
        let [department, category, ..] = self.0;
        [department, category]
    }

    /// The division.
    pub(crate) fn region(&self) -> u32 {
        self.0.get(2..8).and_then(number).unwrap_or(0)
    }

    /// The code as it is written.
    pub(crate) fn written(&self) -> &[u8; 18] {
        &self.0
    }
}

/// The form of a draw.
pub(crate) fn form_of(draw: &Draw) -> Option<&'static Form> {
    let total: u32 = FORMS.iter().map(|form| form.share).sum();
    let mut chosen = u32::try_from(draw.below(FORM, usize::try_from(total).ok()?)).ok()?;
    FORMS
        .iter()
        .find(|form| match chosen.checked_sub(form.share) {
            Some(rest) => {
                chosen = rest;
                false
            }
            None => true,
        })
}

/// The division of a draw.
pub(crate) fn division<'a>(
    draw: &Draw,
    divisions: &'a Divisions,
    kept: Option<(u32, Level)>,
) -> Option<&'a Division> {
    divisions.draw(draw, DIVISION, kept)
}

/// The credit code of these parts, other than `original`.
pub(crate) fn credit_code(
    draw: &Draw,
    form: [u8; 2],
    region: u32,
    original: Option<&CreditCode>,
) -> Option<CreditCode> {
    let chosen = draw.below_wide(CODE, CODES);
    let drawn = assemble(form, region, chosen)?;
    if Some(&drawn) == original {
        return assemble(form, region, another(chosen, CODES, draw));
    }
    Some(drawn)
}

fn assemble(form: [u8; 2], region: u32, mut chosen: u64) -> Option<CreditCode> {
    let mut code = [b'0'; 18];
    code.get_mut(..2)?.copy_from_slice(&form);
    write_digits(code.get_mut(2..8)?, u64::from(region));
    code.get_mut(8..10)?.copy_from_slice(b"MA");
    for slot in code.get_mut(10..16)?.iter_mut().rev() {
        *slot = *CREDIT_CODE_ALPHABET.get(usize::try_from(chosen % 31).ok()?)?;
        chosen /= 31;
    }
    *code.get_mut(16)? = check_digit::organisation_code::check(code.get(8..16)?)?;
    *code.get_mut(17)? = check_digit::credit_code::check(code.get(..17)?)?;
    Some(CreditCode(code))
}

/// The most bytes of a name: a place of eleven characters, ten of brand, trade and form.
pub(crate) const NAME_BYTES_MAX: usize = 63;

/// Appends the name: place, invented part, trade, form; other than `original`.
pub(crate) fn write_name(
    draw: &Draw,
    division: &Division,
    form: &Form,
    original: &str,
    out: &mut Vec<u8>,
) {
    let place = if division.prefecture.is_empty() {
        division.province
    } else {
        division.prefecture
    };
    let start = out.len();
    let brands = u64::try_from(BRAND.len() * BRAND.len()).unwrap_or(1);
    let chosen = u64::try_from(share(draw.word(NAME), BRAND.len() * BRAND.len())).unwrap_or(0);
    let mut write = |chosen: u64| {
        out.truncate(start);
        out.extend_from_slice(place.as_bytes());
        let chosen = usize::try_from(chosen).unwrap_or(0);
        for part in [chosen / BRAND.len(), chosen % BRAND.len()] {
            out.extend_from_slice(BRAND.get(part).map_or(b"", |brand| brand.as_bytes()));
        }
        if form.trade {
            let trade = TRADES.get(draw.below(NAME + 1, TRADES.len()));
            out.extend_from_slice(trade.map_or(b"", |trade| trade.as_bytes()));
        }
        out.extend_from_slice(form.suffix.as_bytes());
        out.get(start..) == Some(original.trim().as_bytes())
    };
    if write(chosen) {
        write(another(chosen, brands, draw));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_valid_and_never_the_original() {
        for seed in 0..2_000 {
            let draw = Draw::of_seed(seed);
            let form = form_of(&draw).unwrap();
            let code = credit_code(&draw, form.code, 330_106, None).unwrap();
            let text = std::str::from_utf8(code.written()).unwrap();
            assert_eq!(CreditCode::read(text), Some(code));
            assert_eq!((code.form(), code.region()), (form.code, 330_106));
            let anew = credit_code(&draw, form.code, 330_106, Some(&code)).unwrap();
            assert_ne!(anew, code);
        }
    }

    #[test]
    fn published_codes_are_read_and_slips_are_not() {
        // A code that begins with letters is as good as another.
        let of_letters = assemble(*b"N2", 330_106, 5).unwrap();
        assert!(CreditCode::read(std::str::from_utf8(of_letters.written()).unwrap()).is_some());
        let code = CreditCode::read("91110000600037341L").unwrap();
        assert_eq!((code.form(), code.region()), (*b"91", 110_000));
        for text in [
            "91110000600037342L",
            "91110000600037341",
            "9111000060003734IL",
            "",
        ] {
            assert_eq!(CreditCode::read(text), None, "{text}");
        }
    }

    #[test]
    fn names_end_as_their_form_does_and_never_become_themselves() {
        let divisions = Divisions::new();
        for seed in 0..500 {
            let draw = Draw::of_seed(seed);
            let form = form_of(&draw).unwrap();
            let division = division(&draw, &divisions, None).unwrap();
            let name = |original: &str| {
                let mut out = Vec::new();
                write_name(&draw, division, form, original, &mut out);
                String::from_utf8(out).unwrap()
            };
            let first = name("");
            assert!(first.ends_with(form.suffix));
            assert_ne!(name(&first), first);
        }
    }

    #[test]
    fn no_name_is_wider_than_the_widest() {
        let divisions = Divisions::new();
        let bytes = |list: &[&str]| list.iter().map(|word| word.len()).max().unwrap();
        let places = divisions.all().iter();
        let places = places.map(|own| match own.prefecture {
            "" => own.province.len(),
            prefecture => prefecture.len(),
        });
        let forms = FORMS.iter().map(|form| form.suffix.len()).max().unwrap();
        let widest = places.max().unwrap() + 2 * bytes(&BRAND) + bytes(&TRADES) + forms;
        assert_eq!(widest, NAME_BYTES_MAX);
    }
}
