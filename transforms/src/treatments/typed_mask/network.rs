//! E-mail and IP addresses.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use unicode_normalization::UnicodeNormalization;

use super::forms::Shown;
use crate::error::Case;
use crate::fill::Filler;
use crate::text::Output;
use crate::words::{self, Hex, Mail};

/// Half-width, without white space around it.
fn spelling(value: &str) -> Cow<'_, str> {
    if value.is_ascii() {
        return Cow::Borrowed(value.trim());
    }
    Cow::Owned(value.nfkc().collect::<String>().trim().to_owned())
}

/// Masks an address: first character and domain, domain, or the domain's last part stay.
pub(super) fn mask_email(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut impl Output,
) -> Result<(), Case> {
    // What is valid has its one spelling already, and nearly every value has.
    if let Some(address) = Address::read(value) {
        return address.mask(shown, filler, out);
    }
    let text = spelling(value);
    let address = Address::read(&text).ok_or(Case::Invalid)?;
    address.mask(shown, filler, out)
}

/// An e-mail address, and where the last label of its domain begins.
struct Address<'a> {
    local: &'a str,
    domain: &'a str,
    top: usize,
}

impl<'a> Address<'a> {
    fn read(text: &'a str) -> Option<Self> {
        if let Some(address) = Self::read_short(text) {
            return Some(address);
        }
        let (local, domain) = text.split_at_checked(local_end(text)?)?;
        let domain = domain.strip_prefix("@")?;
        Some(Self {
            local,
            domain,
            top: top_of(domain)?,
        })
    }

    /// The same of fewer than 64 bytes, as nearly all are: told from where letters, digits, dots and
    /// `@` stand, without a look at each byte. `None` for what is none, and where it takes more to
    /// tell.
    #[inline]
    fn read_short(text: &'a str) -> Option<Self> {
        let Mail {
            letters,
            plain,
            dots,
            ats,
        } = Mail::read(text)?;
        let at = words::first(ats);
        let (local, domain) = text.split_at_checked(at)?;
        let domain = domain.get(1..)?;
        let all = words::lowest(text.len());
        let before = words::lowest(at);
        let behind = all & !(before | ats);
        // In the local part no dot stands first, last or behind another.
        let divides = dots & before | ats;
        let ends_well = divides & (divides << 1 | 1) == 0;
        // In the domain a letter or digit stands on each side of what divides it.
        let top = dots & behind;
        let edges = (top | ats) << 1 | top >> 1 | (all + 1) >> 1;
        let last = words::highest(top)?;
        let is_domain = edges & !plain == 0
            && letters >> last > 0
            && text.len() > last + 2
            && ats & ats.wrapping_sub(1) == 0;
        if !ends_well || !is_domain {
            return None;
        }
        let mut others = all & !(plain | dots | ats);
        while others != 0 {
            let place = words::first(others);
            let is_known = match sign(*text.as_bytes().get(place)?) {
                Sign::Hyphen => true,
                Sign::Atom => place < at,
                Sign::Letter | Sign::Digit | Sign::Dot | Sign::At | Sign::Other => false,
            };
            if !is_known {
                return None;
            }
            others &= others - 1;
        }
        Some(Self {
            local,
            domain,
            top: last - at,
        })
    }

    #[inline]
    fn mask(&self, shown: Shown, filler: &Filler, out: &mut impl Output) -> Result<(), Case> {
        let (first, rest) = self
            .local
            .split_at_checked(shown.first)
            .ok_or(Case::Invalid)?;
        // With the dot before it, where only the last label stays.
        let hidden = match shown.last {
            0 => self.domain.len(),
            1 => self.top - 1,
            _ => 0,
        };
        let covered = self.domain.get(..hidden).ok_or(Case::Invalid)?;
        let domain_shows = hidden == 0 || filler.is_as_written(covered, hidden);
        if rest.is_empty() || domain_shows && filler.is_as_written(rest, rest.len()) {
            return Err(Case::Short);
        }
        if shown.first > 0 {
            out.push(first);
        }
        filler.write(rest.len(), out);
        out.push("@");
        if hidden > 0 {
            filler.write(hidden, out);
        }
        let start = out.length();
        if shown.last > 0 {
            out.push(self.domain.get(hidden..).unwrap_or_default());
            out.make_lowercase(start);
        }
        Ok(())
    }
}

/// The domain of an address, in lower case, where it is one.
pub(crate) fn mail_domain(value: &str) -> Option<String> {
    let text = spelling(value);
    let (_, domain) = text.rsplit_once('@')?;
    top_of(domain).map(|_| domain.to_ascii_lowercase())
}

/// What a byte can be in an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    Letter,
    Digit,
    Hyphen,
    /// Another that stands in atoms: one of ``!#$%&'*+/=?^_`{|}~``.
    Atom,
    Dot,
    At,
    /// In no address.
    Other,
}

static SIGNS: [Sign; 256] = signs();

#[expect(
    clippy::indexing_slicing,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    reason = "the compiler evaluates it: a slip is an error of compilation"
)]
const fn signs() -> [Sign; 256] {
    let mut signs = [Sign::Other; 256];
    let mut byte = 0;
    while byte < 256 {
        signs[byte] = match byte as u8 {
            b'a'..=b'z' | b'A'..=b'Z' => Sign::Letter,
            b'0'..=b'9' => Sign::Digit,
            b'-' => Sign::Hyphen,
            b'!' | b'#'..=b'\'' | b'*' | b'+' | b'/' | b'=' | b'?' | b'^'..=b'`' | b'{'..=b'~' => {
                Sign::Atom
            }
            b'.' => Sign::Dot,
            b'@' => Sign::At,
            _ => Sign::Other,
        };
        byte += 1;
    }
    signs
}

#[inline(always)]
fn sign(byte: u8) -> Sign {
    SIGNS.get(usize::from(byte)).copied().unwrap_or(Sign::Other)
}

/// Where the first `@` stands, if a dot-atom (RFC 5322) of at most 64 characters stands before it.
fn local_end(text: &str) -> Option<usize> {
    let mut after_dot = true;
    for (place, byte) in text.bytes().enumerate() {
        after_dot = match sign(byte) {
            Sign::Letter | Sign::Digit | Sign::Hyphen | Sign::Atom => false,
            Sign::Dot if !after_dot => true,
            Sign::At if !after_dot && place <= 64 => return Some(place),
            Sign::Dot | Sign::At | Sign::Other => return None,
        };
    }
    None
}

/// Where the last label of a domain begins: two or more labels of letters, digits and hyphens, the
/// last one not a number. `None` for what is no domain.
fn top_of(domain: &str) -> Option<usize> {
    // As a hyphen does, what is empty can neither begin nor end a label.
    let (mut label, mut before, mut has_letter) = (0, Sign::Hyphen, false);
    for (place, byte) in domain.bytes().enumerate() {
        let own = sign(byte);
        match own {
            Sign::Letter => has_letter = true,
            Sign::Digit => {}
            Sign::Hyphen if place > label => {}
            Sign::Dot if before != Sign::Hyphen && place - label <= 63 => {
                (label, before, has_letter) = (place + 1, Sign::Hyphen, false);
                continue;
            }
            Sign::Hyphen | Sign::Dot | Sign::Atom | Sign::At | Sign::Other => return None,
        }
        before = own;
    }
    let top = domain.len() - label;
    let is_domain = label > 0
        && before != Sign::Hyphen
        && has_letter
        && (2..=63).contains(&top)
        && domain.len() <= 253;
    is_domain.then_some(label)
}

/// What stands for hidden parts of an address: a divider and fills for each part there can be.
#[derive(Debug)]
pub(super) struct HiddenParts {
    four: String,
    six: String,
    /// The part of an address of version 6 that reads like the fills: it would show.
    like_fills: Option<u16>,
}

impl HiddenParts {
    pub(super) fn new(filler: &Filler) -> Self {
        let mut fills = Vec::new();
        filler.write(1, &mut fills);
        let fills = String::from_utf8(fills).unwrap_or_default();
        let part = u16::from_str_radix(&fills, 16).ok();
        Self {
            four: format!(".{fills}").repeat(4),
            six: format!(":{fills}").repeat(8),
            like_fills: part.filter(|part| format!("{part:x}") == fills),
        }
    }
}

/// What stands for all but the first parts, of which something stands before where any is shown.
#[inline]
fn hidden_parts(parts: &str, all: usize, shown: usize) -> &str {
    let part = parts.len() / all;
    let from = usize::from(shown == 0);
    parts.get(from..part * (all - shown)).unwrap_or_default()
}

/// Masks an address: its first parts stay, every other part is one hidden stretch.
pub(super) fn mask_ip(
    value: &str,
    shown: Shown,
    hidden: &HiddenParts,
    out: &mut impl Output,
) -> Result<(), Case> {
    if let Some(ends) = octets(value) {
        let last = shown.first.checked_sub(1);
        let kept = last.and_then(|last| ends.get(last)).copied().unwrap_or(0);
        let (first, covered) = value.split_at_checked(kept).ok_or(Case::Invalid)?;
        let parts = hidden_parts(&hidden.four, ends.len(), shown.first);
        if covered == parts {
            return Err(Case::Short);
        }
        out.push(first);
        out.push(parts);
        return Ok(());
    }
    let parts = hidden_parts(&hidden.six, 8, shown.first);
    if hidden.like_fills.is_none()
        && let Some(first) = first_groups(value, shown.first)
    {
        out.push(first);
        out.push(parts);
        return Ok(());
    }
    let six = match groups(value.as_bytes()) {
        Some(groups) => Ipv6Addr::from(groups),
        None => match spelling(value).parse().map_err(|_| Case::Invalid)? {
            IpAddr::V4(four) => return mask_ip(&four.to_string(), shown, hidden, out),
            IpAddr::V6(six) => six,
        },
    };
    if let Some(four) = six.to_ipv4_mapped() {
        return mask_ip(&four.to_string(), shown, hidden, out);
    }
    let mut covered = six.segments().into_iter().skip(shown.first);
    if covered.all(|group| Some(group) == hidden.like_fills) {
        return Err(Case::Short);
    }
    write_groups(six, shown, out);
    out.push(parts);
    Ok(())
}

/// The first groups of an address of version 6 in hexadecimal alone, where they stand in it as they
/// are to be written: nearly always. `None` for other text, and where it takes more to tell.
#[inline]
fn first_groups(text: &str, shown: usize) -> Option<&str> {
    // What begins otherwise may stand for an address of version 4.
    if !matches!(text.as_bytes().first(), Some(b'1'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    let Hex {
        colons,
        zeros,
        upper,
    } = Hex::read(text)?;
    let digits = !colons & words::lowest(text.len());
    let five = digits & digits >> 1 & digits >> 2 & digits >> 3 & digits >> 4;
    let groups = (digits & !(digits << 1)).count_ones();
    let gaps = colons & colons >> 1;
    let ends_within = digits >> (text.len() - 1) == 1 || gaps >> text.len().checked_sub(2)? == 1;
    let is_whole = match gaps.count_ones() {
        0 => groups == 8,
        1 => groups < 8,
        _ => false,
    };
    if five != 0 || !ends_within || !is_whole {
        return None;
    }
    let end = match shown {
        0 => 0,
        _ => words::place(colons, shown - 1),
    };
    // Before any gap, without leading zeros and in lower case.
    let odd = gaps | upper | zeros & (colons << 1 | 1);
    if odd & words::lowest(end) != 0 {
        return None;
    }
    text.get(..end)
}

/// Where the four parts of an address of version 4 end, which is written as numbers without leading
/// zeros; `None` for what is no such address.
#[inline]
fn octets(text: &str) -> Option<[usize; 4]> {
    let (bytes, dots) = words::dots_between_digits(text)?;
    let (mut ends, mut begin, mut left) = ([text.len(); 4], 0, dots);
    for end in ends.iter_mut().take(3) {
        *end = words::first(left);
        left &= left.wrapping_sub(1);
    }
    if left != 0 {
        return None;
    }
    let mut are_parts = true;
    for end in ends {
        // The part, its last digit highest of four bytes.
        let digits = end.checked_sub(begin)?;
        let least = *LEAST.get(digits)?;
        let [_, hundreds, tens, ones] = u32::try_from(bytes >> (8 * begin) & 0xFF_FF_FF)
            .ok()?
            .wrapping_shl(u32::try_from(8 * (4 - digits)).ok()?)
            .to_le_bytes()
            .map(|digit| u32::from(digit & 0xF));
        let value = hundreds * 100 + tens * 10 + ones;
        are_parts &= (least..=255).contains(&value);
        begin = end + 1;
    }
    are_parts.then_some(ends)
}

/// The least numbers of no, one, two and three digits: of no digits there is none.
const LEAST: [u32; 4] = [u32::MAX, 0, 10, 100];

/// The groups of an address of version 6 that is written in hexadecimal alone (RFC 4291, forms 1
/// and 2); `None` for another.
fn groups(bytes: &[u8]) -> Option<[u16; 8]> {
    let mut groups = [0; 8];
    // How many were read, and after how many those left out stand.
    let (mut count, mut gap, mut at) = (0, None, 0);
    loop {
        let from = bytes.get(at..)?;
        if gap.is_none() && from.starts_with(b"::") {
            gap = Some(count);
            at += 2;
            if at == bytes.len() {
                break;
            }
        } else if count > 0 {
            if from.first() != Some(&b':') {
                return None;
            }
            at += 1;
        }
        let (mut value, mut digits) = (0, 0);
        while let Some(digit) = bytes
            .get(at)
            .and_then(|byte| char::from(*byte).to_digit(16))
        {
            value = value << 4 | digit;
            digits += 1;
            at += 1;
        }
        if !(1..=4).contains(&digits) {
            return None;
        }
        *groups.get_mut(count)? = u16::try_from(value).ok()?;
        count += 1;
        if at == bytes.len() {
            break;
        }
    }
    match gap {
        None => (count == groups.len()).then_some(groups),
        Some(gap) => {
            let after = count - gap;
            let left_out = groups
                .len()
                .checked_sub(count)
                .filter(|left_out| *left_out > 0)?;
            // Those after the gap go to the end, zeros take their places.
            groups
                .get_mut(gap..gap + after + left_out)?
                .rotate_right(left_out);
            Some(groups)
        }
    }
}

/// Writes the first groups of an address of version 6, none left out.
fn write_groups(address: Ipv6Addr, shown: Shown, out: &mut impl Output) {
    let mut text = [0; 8 * 5];
    let mut bytes = text.iter_mut();
    let mut length = 0;
    let mut put = |byte: u8| {
        if let Some(place) = bytes.next() {
            *place = byte;
            length += 1;
        }
    };
    for (place, group) in address.segments().into_iter().take(shown.first).enumerate() {
        if place > 0 {
            put(b':');
        }
        let digits = (u16::BITS - group.leading_zeros()).div_ceil(4).max(1);
        for digit in (0..digits).rev() {
            let value = usize::from(group >> (4 * digit) & 0xF);
            put(b"0123456789abcdef".get(value).copied().unwrap_or(b'0'));
        }
    }
    let text = text.get(..length).unwrap_or_default();
    out.push(str::from_utf8(text).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_short_address_is_read_as_every_address_is(
            text in "[a-zA-Z0-9.+_@é-]{0,9}@[a-zA-Z0-9.@_-]{0,12}",
            likely in "[a-z0-9]{1,9}([.+_-][A-Z]{1,3})?@([a-z0-9-]{1,9}\\.){1,3}[a-z0-9]{1,3}",
            long in "[a-z]{1,70}@[a-z]{1,70}\\.cn",
        ) {
            for text in [text, likely, long] {
                let short = Address::read_short(&text);
                let short = short.map(|address| (address.local.len(), address.top));
                let domain = |at: usize| top_of(text.get(at + 1..)?);
                let every = local_end(&text).and_then(|at| Some((at, domain(at)?)));
                prop_assert_eq!(short, every.filter(|_| text.len() < 64), "{}", text);
            }
        }

        #[test]
        fn parts_are_read_as_the_standard_library_reads_them(
            text in "[0-9]{0,4}(\\.[0-9]{0,3}){2,4}",
            likely in "(0|1?[1-9]?[0-9]|2[0-6][0-9])(\\.(0|1?[1-9]?[0-9]|2[0-6][0-9])){3}",
        ) {
            for text in [text, likely] {
                let read: Result<Ipv4Addr, _> = text.parse();
                let ends = octets(&text);
                prop_assert_eq!(ends.is_some(), read.is_ok(), "{}", text);
                for (part, end) in ends.into_iter().flatten().enumerate() {
                    let parts: Vec<&str> = text.split('.').take(part + 1).collect();
                    let parts = parts.join(".");
                    prop_assert_eq!(text.get(..end), Some(parts.as_str()));
                }
            }
        }

        #[test]
        fn groups_are_read_as_the_standard_library_reads_them(
            text in "[0-9a-fA-F:]{0,12}",
            likely in "(::)?([0-9a-fA-F]{1,4}:){0,4}(:|[0-9a-f]{0,5})(:[0-9a-fA-F]{1,4}){0,4}(::)?",
        ) {
            for text in [text, likely] {
                let read: Option<Ipv6Addr> = text.parse().ok();
                prop_assert_eq!(groups(text.as_bytes()).map(Ipv6Addr::from), read, "{}", text);
            }
        }

        #[test]
        fn groups_that_stand_as_they_are_written_are_those_that_are_read(
            text in "[0-9a-fA-F:]{0,12}",
            likely in "([1-9a-f][0-9a-f]{0,3}:){1,6}((:[0-9a-fA-F]{1,4}){0,3}|:|(:0|0)[0-9]{0,4}|[0-9a-f]{1,5})",
            whole in "[1-9a-f][0-9a-f]{0,4}(:[0-9a-fA-F]{1,4}){6,8}:{0,2}",
            shown in 0..=3_usize,
        ) {
            for text in [text, likely, whole] {
                let Some(first) = first_groups(&text, shown) else {
                    continue;
                };
                let read: Ipv6Addr = text.parse().unwrap();
                prop_assert_eq!(read.to_ipv4_mapped(), None);
                let mut written = Vec::new();
                write_groups(read, Shown { first: shown, last: 0 }, &mut written);
                prop_assert_eq!(first.as_bytes(), written, "{}", text);
            }
            // And nearly every address is read so.
            let usual = format!("2001:db8:{:x}::1", shown + 1);
            prop_assert!(first_groups(&usual, shown).is_some());
        }

        #[test]
        fn a_mail_address_is_labels_and_atoms(
            text in "[a-c.!@~ é-]{0,7}",
            domain in "[a-bA1.é-]{0,12}",
            length in 1..70_usize,
        ) {
            let atom = |atom: &str| {
                let known = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
                !atom.is_empty() && atom.bytes().all(known)
            };
            for text in [text, format!("{}@b", "a".repeat(length))] {
                let local = text.split_once('@').map(|(local, _)| local);
                let local = local.filter(|local| local.len() <= 64 && local.split('.').all(atom));
                prop_assert_eq!(local_end(&text), local.map(str::len));
            }
            let label = |label: &str| {
                let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
                (1..=63).contains(&label.len())
                    && label.bytes().all(known)
                    && !label.starts_with('-')
                    && !label.ends_with('-')
            };
            for domain in [domain, format!("a.{}", "b".repeat(length)), format!("{}.cn", "b".repeat(length))] {
                let top = domain.rsplit_once('.').map(|(_, top)| top).filter(|top| {
                    top.len() >= 2 && top.bytes().any(|byte| byte.is_ascii_alphabetic())
                });
                let top = top.filter(|_| domain.split('.').all(label));
                prop_assert_eq!(top_of(&domain), top.map(|top| domain.len() - top.len()));
            }
        }
    }

    #[test]
    fn atoms_are_letters_digits_and_signs() {
        for byte in 0..0x80_u8 {
            let known = byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
            let text = format!("a{}@", char::from(byte));
            assert_eq!(
                local_end(&text),
                (known || byte == b'@').then_some(if known { 2 } else { 1 })
            );
        }
        let long = format!("{}.cn", ["a".repeat(63).as_str(); 4].join("."));
        assert_eq!(top_of(&long), None);
    }
}
