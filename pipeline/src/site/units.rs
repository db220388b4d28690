//! Quantities as configuration writes them: text with a unit.

/// Reads a size of memory: `512MiB`, `2GiB`, `65536B`.
pub fn parse_memory(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor).filter(|bytes| *bytes > 0)
}

/// Reads a span of days: `180d`, `26w`, `3y` (of 365 days).
pub fn parse_days(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor = match unit {
        "d" => 1,
        "w" => 7,
        "y" => 365,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// A duration as written: how long, and in which unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    /// Nanoseconds of the unit it is written in.
    pub unit: u64,
    /// Nanoseconds in all.
    pub nanoseconds: u64,
}

impl Duration {
    /// Reads a duration: `500ms`, `30s`, `5m`, `1h`, `1d`.
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = split_number(text)?;
        let unit: u64 = match unit {
            "ns" => 1,
            "us" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            "d" => 86_400 * 1_000_000_000,
            _ => return None,
        };
        let nanoseconds = number.checked_mul(unit)?;
        Some(Self { unit, nanoseconds })
    }
}

/// Whether the text is a decimal number that is not negative: `5.00`, `0`, `12`.
pub(crate) fn is_decimal(text: &str) -> bool {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.len() <= 80 && digits(whole) && digits(fraction)
}

fn split_number(text: &str) -> Option<(u64, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    Some((number.parse().ok()?, unit.trim_start()))
}

/// Checks a schedule: five cron fields (minute, hour, day of month, month, day of week), each `*`,
/// a number, a range `a-b`, any of them with `/step`, or a list of those.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_schedule(text: &str) -> Result<(), String> {
    const FIELDS: [(&str, u8, u8); 5] = [
        ("minute", 0, 59),
        ("hour", 0, 23),
        ("day", 1, 31),
        ("month", 1, 12),
        ("weekday", 0, 7),
    ];
    let written: Vec<&str> = text.split_ascii_whitespace().collect();
    if written.len() != FIELDS.len() {
        return Err(format!(
            "a schedule has five fields, this one has {}",
            written.len()
        ));
    }
    for ((name, least, most), field) in FIELDS.into_iter().zip(written) {
        let in_range = |number: &str| {
            number.bytes().all(|byte| byte.is_ascii_digit())
                && number
                    .parse::<u8>()
                    .is_ok_and(|number| (least..=most).contains(&number))
        };
        let good = field.split(',').all(|item| {
            let (range, step) = item.split_once('/').unwrap_or((item, "1"));
            let step = step.parse::<u8>().is_ok_and(|step| step > 0);
            let range = range == "*"
                || in_range(range)
                || range
                    .split_once('-')
                    .is_some_and(|(from, to)| in_range(from) && in_range(to));
            step && range
        });
        if !good {
            return Err(format!(
                "the {name} of the schedule is not {least} to {most} or `*`"
            ));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_a_unit() {
        assert_eq!(parse_memory("512MiB"), Some(512 << 20));
        assert_eq!(parse_memory("2 GiB"), Some(2 << 30));
        for bad in [
            "",
            "512",
            "512MB",
            "MiB",
            "0MiB",
            "-1MiB",
            "99999999999TiB",
            "1.5GiB",
        ] {
            assert_eq!(parse_memory(bad), None, "{bad}");
        }
    }

    #[test]
    fn spans_of_days() {
        assert_eq!(parse_days("180d"), Some(180));
        assert_eq!(parse_days("3y"), Some(1095));
        assert_eq!(parse_days("180"), None);
        assert_eq!(parse_days("六月"), None);
    }

    #[test]
    fn durations_and_decimals() {
        let duration = Duration::parse("30s").unwrap();
        assert_eq!(
            (duration.unit, duration.nanoseconds),
            (1_000_000_000, 30_000_000_000)
        );
        assert_eq!(Duration::parse("30"), None);
        assert_eq!(Duration::parse("9999999999d"), None);
        assert!(is_decimal("5.00") && is_decimal("0"));
        assert!(!is_decimal("-1") && !is_decimal("1e3") && !is_decimal(".5") && !is_decimal("5."));
    }

    #[test]
    fn schedules_have_five_fields() {
        for good in ["30 2 * * *", "*/15 * * * 1-5", "0 0 1,15 * 7"] {
            assert_eq!(check_schedule(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "daily",
            "60 2 * * *",
            "0 2 * *",
            "0 2 * * mon",
            "*/0 * * * *",
            "1- * * * *",
        ] {
            assert!(check_schedule(bad).is_err(), "{bad}");
        }
    }
}
