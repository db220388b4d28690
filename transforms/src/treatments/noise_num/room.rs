//! What noise leaves to a mark: the choice between two draws.
//!
//! Results are cut into cells, and a cell's parity is the symbol that its results show. Beside the
//! first draw there is the first of the later ones that shows the other symbol, and a mark takes
//! whichever shows its own. Cells are so short beside the scale that both parities are as likely, so
//! that symbols which are fair give results which are distributed as the first draw alone is. The
//! parity is that of the result *before* it is held to its bounds: else results would crowd at a
//! bound, or keep away from it, wherever one parity has more of what lies within.

use std::cmp::Reverse;

use arrow::datatypes::DataType;

use super::{Amount, NoiseNum};
use crate::error::Misfit;
use crate::marks::carrier::NoiseRoom;
use crate::number::drawn::Candidates;
use crate::number::{Decimal, scale_of};

/// Draws among which a second result is looked for: all show the symbol of the first with a chance of
/// one in 32,768.
const CANDIDATES: u8 = 16;

/// Fewest and most cells that the scale is divided into: fewer would make one parity likelier, more would
/// be lost sooner where a leak is rounded.
const CELLS: std::ops::RangeInclusive<u128> = 4..=16;

/// Fewest of the field's last digits that the scale has.
const LAST_DIGITS_MIN: u128 = 16;

/// Longest cell, in units.
const STEP_MAX: u128 = 1 << 60;

/// Most decimals of a float that are told apart.
const DECIMALS_MAX: i8 = 15;

impl NoiseNum {
    /// The cells of results of that type.
    ///
    /// # Errors
    /// Parameters that leave a mark no choice.
    pub(super) fn room(&self, data_type: &DataType) -> Result<NoiseRoom, Misfit> {
        let refused = |what: &str, hint: &str| {
            Err(Misfit::of_parameter("mark", what.to_owned()).with_hint(hint.to_owned()))
        };
        if self.join.is_some() {
            let what = "`mark` stands beside `join`, whose grants have the same noise";
            return refused(what, "leave out one of them");
        }
        let Amount::Scale(scale) = self.amount()? else {
            let what = "`mark` stands beside `ratio`, and needs noise of one scale";
            return refused(what, "write `scale`, or leave out `mark`");
        };
        let (unit, places, decimals) = match scale_of(data_type) {
            Some(places) => (self.round, places, None),
            None => {
                let finest = Decimal::thousandth_below(scale);
                let round = self.round.map_or(0, Decimal::scale);
                let places = finest.scale().max(round).min(DECIMALS_MAX);
                let unit = self.round.unwrap_or(finest);
                (Some(unit), places, u8::try_from(places).ok())
            }
        };
        let units = |number: Decimal| {
            let units = number.scaled(places).ok()?.to_i128()?;
            u128::try_from(units).ok()
        };
        let unit = unit.map_or(Some(1), units);
        let step = unit
            .zip(units(scale).filter(|scale| *scale >= LAST_DIGITS_MIN))
            .and_then(|(unit, scale)| step_of(unit, scale));
        let Some(step) = step else {
            let what = "`scale` is less than 16 of the field's last digits, or less than four times \
                        `round`, too few for `mark`";
            return refused(what, "choose a larger scale, or leave out `mark`");
        };
        Ok(NoiseRoom {
            step,
            decimals,
            bounds: self.min().into_iter().chain(self.max()).collect(),
        })
    }
}

/// Units of a cell, a multiple of `unit`: of those of which the scale has enough and not too many, the one
/// by which the whole range of the noise, of two scales, is most nearly as much of the one parity as of
/// the other; the longest where several are. None where there is none.
fn step_of(unit: u128, scale: u128) -> Option<u64> {
    let longest = STEP_MAX.checked_div(unit)?;
    let steps = CELLS.filter_map(|cells| {
        let multiple = (scale / unit / cells).min(longest);
        (multiple > 0).then(|| multiple * unit)
    });
    let surplus = |step: u128| {
        let rest = 2 * scale % (2 * step);
        rest.min(2 * step - rest)
    };
    let step = steps.min_by_key(|step| (surplus(*step), Reverse(*step)))?;
    u64::try_from(step).ok()
}

/// The first of the later candidates that shows the other symbol than the first one does, with the symbol
/// that the first shows; none where that shows nothing, or none was found.
#[inline]
pub(super) fn other<N: Copy>(
    (_, shows): (N, Option<bool>),
    candidate: impl Fn(u8) -> Option<N>,
    symbol: impl Fn(N) -> Option<bool>,
) -> Option<(N, bool)> {
    let shows = shows?;
    let is_other = |noisy: &N| symbol(*noisy) == Some(!shows);
    let other = (2..=CANDIDATES).filter_map(candidate).find(is_other)?;
    Some((other, shows))
}

/// Both results, of which the other is held to its bounds; where they then are the same there is no choice.
#[inline]
pub(super) fn candidates<N, V: Copy + PartialEq>(
    first: V,
    other: Option<(N, bool)>,
    within: impl Fn(N) -> Option<V>,
) -> Option<Candidates<V>> {
    let other = other.and_then(|(other, shows)| Some((within(other)?, shows)));
    Some(Candidates {
        first,
        other: other.filter(|(other, _)| *other != first),
    })
}
