//! Positions as text: read exactly, written on a grid or as a geohash.

/// Decimal places of the units that positions are computed in: a ten-millionth of a millimetre.
pub(super) const UNIT_PLACES: i8 = 15;

/// Units in a degree.
const DEGREE: i64 = 1_000_000_000_000_000;

/// Decimal places of a degree, as a count.
const PLACES: usize = 15;

/// A position in units of 10^-15 degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) lng: i64,
    pub(super) lat: i64,
}

impl Position {
    /// Reads two decimal numbers with a comma between them, white space around either allowed.
    pub(super) fn parse(text: &str, lng_first: bool) -> Option<Self> {
        let (first, second) = text.split_once(',')?;
        let (lng, lat) = if lng_first {
            (first, second)
        } else {
            (second, first)
        };
        Some(Self {
            lng: coordinate(lng, 180)?,
            lat: coordinate(lat, 90)?,
        })
    }

    /// The nearest point of a grid.
    pub(super) fn on_grid(self, step: i64) -> Option<Self> {
        let nearest = |value: i64, degrees: i64| {
            let nearest = nearest_within(value.into(), step.into(), (degrees * DEGREE).into());
            i64::try_from(nearest?).ok()
        };
        Some(Self {
            lng: nearest(self.lng, 180)?,
            lat: nearest(self.lat, 90)?,
        })
    }
}

/// Reads a decimal number of degrees up to a limit. Digits beyond the units are looked at and left
/// out: they could only tell a half from a little more, and both are rounded away from zero.
fn coordinate(text: &str, degrees: i64) -> Option<i64> {
    let text = text.trim();
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (whole, fraction) = match text.split_once('.') {
        Some((_, "")) => return None,
        Some(parts) => parts,
        None => (text, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 3 || !is_digits(whole) || !is_digits(fraction) {
        return None;
    }
    let digits = |text: &str, places: usize| {
        let digits = text.bytes().chain(std::iter::repeat(b'0')).take(places);
        digits.fold(0_i64, |number, digit| number * 10 + i64::from(digit - b'0'))
    };
    let units = digits(whole, whole.len()) * DEGREE + digits(fraction, PLACES);
    let below = fraction.bytes().skip(PLACES).any(|digit| digit != b'0');
    let limit = degrees * DEGREE;
    let within = units < limit || (units == limit && !below);
    within.then_some(if negative { -units } else { units })
}

/// The nearest multiple of `step`, half away from zero, that lies within `limit` of zero; none if
/// the value doesn't.
pub(super) fn nearest_within(value: i128, step: i128, limit: i128) -> Option<i128> {
    if !(-limit..=limit).contains(&value) {
        return None;
    }
    let magnitude = value.abs();
    let rest = match (u64::try_from(magnitude), u64::try_from(step)) {
        (Ok(magnitude), Ok(step)) => i128::from(magnitude.checked_rem(step)?),
        _ => magnitude.checked_rem(step)?,
    };
    let below = magnitude - rest;
    let above = below.checked_add(step)?;
    let nearest = if rest >= step - rest && above <= limit {
        above
    } else {
        below
    };
    Some(if value < 0 { -nearest } else { nearest })
}

/// Appends a position with that many decimal places, which hold it exactly.
pub(super) fn write_position(position: Position, lng_first: bool, places: i8, out: &mut Vec<u8>) {
    let Position { lng, lat } = position;
    let (first, second) = if lng_first { (lng, lat) } else { (lat, lng) };
    write_degrees(first, places, out);
    out.push(b',');
    write_degrees(second, places, out);
}

fn write_degrees(units: i64, places: i8, out: &mut Vec<u8>) {
    if units < 0 {
        out.push(b'-');
    }
    let magnitude = units.unsigned_abs();
    let degree = DEGREE.unsigned_abs();
    let whole = magnitude / degree;
    let mut power = if whole >= 100 {
        100
    } else if whole >= 10 {
        10
    } else {
        1
    };
    while power > 0 {
        out.push(digit(whole / power));
        power /= 10;
    }
    let mut rest = magnitude % degree;
    for place in 0..places {
        if place == 0 {
            out.push(b'.');
        }
        rest *= 10;
        out.push(digit(rest / degree));
        rest %= degree;
    }
}

/// The last decimal digit of a number.
fn digit(number: u64) -> u8 {
    u8::try_from(number % 10).map_or(b'0', |digit| b'0' + digit)
}

/// The characters of a geohash, by their five bits.
const BASE32: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";

/// Appends a geohash: bits of longitude and latitude in turn, longitude first, each telling the
/// upper half of what is left from the lower.
pub(super) fn write_geohash(position: Position, length: u8, out: &mut Vec<u8>) {
    let bits = 5 * u32::from(length);
    let lng = cell(position.lng, 180, bits.div_ceil(2));
    let lat = cell(position.lat, 90, bits / 2);
    let mut lng_left = bits.div_ceil(2);
    let mut lat_left = bits / 2;
    let (mut index, mut taken) = (0_usize, 0);
    for bit in 0..bits {
        let next = if bit % 2 == 0 {
            lng_left -= 1;
            lng >> lng_left & 1
        } else {
            lat_left -= 1;
            lat >> lat_left & 1
        };
        index = index << 1 | usize::from(next == 1);
        taken += 1;
        if taken == 5 {
            out.push(BASE32.get(index).copied().unwrap_or(b'0'));
            (index, taken) = (0, 0);
        }
    }
}

/// Which of 2^`bits` equal cells from -`degrees` to `degrees` the coordinate falls into, the last
/// with its upper bound.
fn cell(units: i64, degrees: i64, bits: u32) -> i128 {
    let half = i128::from(degrees * DEGREE);
    let cell = ((i128::from(units) + half) << bits).div_euclid(2 * half);
    cell.min((1 << bits) - 1)
}
