//! Local time: the offsets of a zone as a table, and the way back where clocks were changed.

use arrow::array::timezone::Tz;
use chrono::{DateTime, Offset, TimeZone};

use super::DAY_SECONDS;
use crate::error::Misfit;

/// The zones' rules begin with local mean times of the 19th century and are spelled out to 2100;
/// outside these days (1800-01-01, 2110-01-01) offsets do not change.
const PROBED_DAYS: std::ops::Range<i64> = -62_091..51_134;

/// Which instant is meant where a local time occurred twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Occurrence {
    /// The first: how a day begins.
    First,
    /// The last that is not after the instant asked about: how its hour begins.
    LastBefore,
}

/// A zone's offsets from UTC over time, in seconds.
#[derive(Debug, Clone)]
pub(crate) struct Zone {
    /// The first second of each span, ascending; the first span has always been.
    starts: Vec<i64>,
    /// Seconds that local time is ahead of UTC, for each span.
    offsets: Vec<i64>,
}

impl Zone {
    /// The zone of an Arrow timestamp: a name of the IANA database, or an offset such as `+08:00`.
    ///
    /// # Errors
    /// It is neither.
    pub(crate) fn parse(name: &str) -> Result<Self, Misfit> {
        let zone = named(name)?;
        let first = offset(&zone, PROBED_DAYS.start * DAY_SECONDS);
        let mut found = Self {
            starts: vec![i64::MIN],
            offsets: vec![first],
        };
        if name == "UTC" || name.starts_with(['+', '-']) {
            return Ok(found);
        }
        for day in PROBED_DAYS {
            found.probe(&zone, day * DAY_SECONDS, (day + 1) * DAY_SECONDS);
        }
        Ok(found)
    }

    /// Whether [`parse`](Self::parse) would succeed, without making the table.
    pub(crate) fn check(name: &str) -> Result<(), Misfit> {
        named(name).map(drop)
    }

    /// Finds the second between `known` and `later` at which the offset changed, if it did.
    fn probe(&mut self, zone: &Tz, known: i64, later: i64) {
        let after = offset(zone, later);
        let before = self.offsets.last().copied().unwrap_or(after);
        if before == after {
            return;
        }
        let (mut low, mut high) = (known, later);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if offset(zone, middle) == before {
                low = middle;
            } else {
                high = middle;
            }
        }
        self.starts.push(high);
        self.offsets.push(offset(zone, high));
        // A second change on the same day.
        self.probe(zone, high, later);
    }

    /// True if local time never was anything but UTC.
    pub(crate) fn is_utc(&self) -> bool {
        self.offsets.iter().all(|offset| *offset == 0)
    }

    /// Seconds that local time is ahead of UTC at an instant, in seconds since 1970.
    #[inline]
    pub(crate) fn offset(&self, instant: i64) -> i64 {
        // Most values are younger than the zone's last change.
        if let (Some(start), Some(offset)) = (self.starts.last(), self.offsets.last())
            && instant >= *start
        {
            return *offset;
        }
        self.offsets
            .get(self.span(instant))
            .copied()
            .unwrap_or_default()
    }

    fn span(&self, instant: i64) -> usize {
        self.starts
            .partition_point(|start| *start <= instant)
            .saturating_sub(1)
    }

    /// The instant at which a clock of the zone showed the local second `local`, which is not after
    /// the local time of `asked`.
    ///
    /// A time that was skipped becomes the instant of the change: the first that came after it.
    /// None beyond 64 bits.
    pub(crate) fn instant(&self, local: i64, asked: i64, pick: Occurrence) -> Option<i64> {
        let estimate = local.checked_sub(self.offset(asked))?;
        // Two days after the last change there is nothing left to tell apart.
        if self.starts.last()?.saturating_add(2 * DAY_SECONDS) < estimate {
            return Some(estimate);
        }
        // Offsets differ by a day at most and hold for longer, so the span of the estimate is the
        // right one or a neighbour.
        let near = self.span(estimate);
        let spans = near.saturating_sub(1)..=near.saturating_add(1);
        let mut found = None;
        for span in spans.clone() {
            let (Some(start), Some(offset)) = (self.starts.get(span), self.offsets.get(span))
            else {
                continue;
            };
            let instant = local.checked_sub(*offset)?;
            let end = self.starts.get(span + 1).copied();
            let shown = instant >= *start && end.is_none_or(|end| instant < end);
            if shown && (found.is_none() || (pick == Occurrence::LastBefore && instant <= asked)) {
                found = Some(instant);
            }
        }
        found.or_else(|| self.change_over(local, spans))
    }

    /// The start of the first span whose clocks begin after the local time `local`.
    fn change_over(&self, local: i64, spans: std::ops::RangeInclusive<usize>) -> Option<i64> {
        let starts = self.starts.iter().zip(&self.offsets).enumerate();
        starts
            .filter(|(span, _)| spans.contains(span))
            .find(|(_, (start, offset))| start.saturating_add(**offset) > local)
            .map(|(_, (start, _))| *start)
    }
}

fn named(name: &str) -> Result<Tz, Misfit> {
    name.parse().map_err(|_| Misfit {
        parameter: None,
        what: format!("the field's type names an unknown time zone `{name}`"),
        hint: Some("write a zone such as Asia/Shanghai or an offset such as +08:00".to_owned()),
    })
}

/// The offset at an instant within chrono's years.
fn offset(zone: &Tz, instant: i64) -> i64 {
    let utc = DateTime::from_timestamp(instant, 0)
        .unwrap_or_default()
        .naive_utc();
    i64::from(zone.offset_from_utc_datetime(&utc).fix().local_minus_utc())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn instant(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    /// The local second that text without a zone names.
    fn local(text: &str) -> i64 {
        instant(&format!("{text}Z"))
    }

    #[test]
    fn zones_are_names_or_offsets() {
        assert_eq!(Zone::parse("+08:00").unwrap().offset(0), 8 * 3600);
        assert_eq!(
            Zone::parse("Asia/Shanghai").unwrap().offset(1_700_000_000),
            8 * 3600
        );
        assert!(Zone::parse("UTC").unwrap().is_utc());
        assert!(!Zone::parse("Europe/London").unwrap().is_utc());
        for name in ["", "Asia/Nowhere", "+25:61", "8"] {
            assert!(Zone::parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_skipped_midnight_is_the_instant_of_the_change() {
        // Clocks went from 00:00 to 01:00 on 2017-10-15 in São Paulo.
        let zone = Zone::parse("America/Sao_Paulo").unwrap();
        let noon = instant("2017-10-15T12:00:00-02:00");
        for pick in [Occurrence::First, Occurrence::LastBefore] {
            let midnight = zone.instant(local("2017-10-15T00:00:00"), noon, pick);
            assert_eq!(midnight, Some(instant("2017-10-15T01:00:00-02:00")));
        }
    }

    #[test]
    fn a_midnight_that_came_twice_begins_the_day_the_first_time() {
        // Clocks went from 01:00 back to 00:00 on 2020-11-01 in Havana.
        let zone = Zone::parse("America/Havana").unwrap();
        let noon = instant("2020-11-01T12:00:00-05:00");
        let midnight = local("2020-11-01T00:00:00");
        let first = instant("2020-11-01T00:00:00-04:00");
        assert_eq!(zone.instant(midnight, noon, Occurrence::First), Some(first));
        let second = instant("2020-11-01T00:00:00-05:00");
        assert_eq!(
            zone.instant(midnight, noon, Occurrence::LastBefore),
            Some(second)
        );
        let earlier = instant("2020-11-01T00:30:00-04:00");
        assert_eq!(
            zone.instant(midnight, earlier, Occurrence::LastBefore),
            Some(first)
        );
    }

    #[test]
    fn instants_beyond_64_bits_are_none() {
        let zone = Zone::parse("+08:00").unwrap();
        assert_eq!(zone.instant(i64::MIN, i64::MIN, Occurrence::First), None);
    }

    proptest! {
        // A zone's table takes long to make without optimisation.
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn the_table_agrees_with_the_zone_database(
            name in prop::sample::select(vec![
                "Asia/Shanghai", "America/New_York", "Europe/London", "Australia/Lord_Howe",
                "Africa/Casablanca", "America/Sao_Paulo", "Pacific/Apia", "Asia/Kathmandu",
                "Antarctica/Troll", "America/Havana", "Europe/Dublin", "Asia/Urumqi", "-03:30",
            ]),
            instants in prop::collection::vec(-5_500_000_000_i64..5_000_000_000, 2_000),
        ) {
            let zone = Zone::parse(name).unwrap();
            let tz: Tz = name.parse().unwrap();
            for instant in instants {
                prop_assert_eq!(zone.offset(instant), offset(&tz, instant));
                // Every instant is found again from its local time, or its twin is.
                let shown = instant + zone.offset(instant);
                prop_assert_eq!(zone.instant(shown, instant, Occurrence::LastBefore), Some(instant));
                let first = zone.instant(shown, instant, Occurrence::First).unwrap();
                prop_assert!(first <= instant);
                prop_assert_eq!(first + zone.offset(first), shown);
            }
        }
    }
}
