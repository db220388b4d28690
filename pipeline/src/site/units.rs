//! Quantities as configuration writes them: text with a unit.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes of every public key.
const PUBLIC_KEY_BYTES: usize = 32;

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

/// Reads a duration, in nanoseconds: `500ms`, `30s`, `5m`, `1h`, `1d`.
pub fn parse_duration(text: &str) -> Option<u64> {
    let (number, unit) = split_number(text)?;
    let factor: u64 = match unit {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60 * 1_000_000_000,
        "h" => 3_600 * 1_000_000_000,
        "d" => 86_400 * 1_000_000_000,
        _ => return None,
    };
    number.checked_mul(factor)
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

/// How pages of a delivered file are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Zstandard (RFC 8878), level 1 to 22.
    Zstd(u8),
    /// Snappy.
    Snappy,
    /// LZ4, raw blocks.
    Lz4,
    /// Not compressed.
    Uncompressed,
}

impl Compression {
    /// What can be written, for messages.
    pub const KNOWN: &'static str = "zstd(1) to zstd(22), snappy, lz4, uncompressed";

    /// Reads a compression as a grant writes it: `zstd(1)`, `snappy`, `lz4`, `uncompressed`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "snappy" => return Some(Self::Snappy),
            "lz4" => return Some(Self::Lz4),
            "uncompressed" => return Some(Self::Uncompressed),
            _ => {}
        }
        let level = text.strip_prefix("zstd(")?.strip_suffix(')')?;
        let plain = !level.is_empty() && level.bytes().all(|byte| byte.is_ascii_digit());
        let level = level.parse().ok().filter(|level| plain && (1..=22).contains(level))?;
        Some(Self::Zstd(level))
    }
}

impl Default for Compression {
    /// `zstd(1)`: within a few percent of higher levels in size, at several times their speed.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd({level})"),
            Self::Snappy => f.write_str("snappy"),
            Self::Lz4 => f.write_str("lz4"),
            Self::Uncompressed => f.write_str("uncompressed"),
        }
    }
}

/// What a public key is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyKind {
    /// Signatures (RFC 8032).
    Ed25519,
    /// Key agreement (RFC 7748).
    X25519,
}

/// Checks a public key as text, `ed25519:BASE64` or `x25519:BASE64` of 32 bytes.
///
/// # Errors
/// What is wrong with it; never the key.
pub(crate) fn check_public_key(text: &str) -> Result<KeyKind, &'static str> {
    let (kind, encoded) = match text.split_once(':') {
        Some(("ed25519", encoded)) => (KeyKind::Ed25519, encoded),
        Some(("x25519", encoded)) => (KeyKind::X25519, encoded),
        _ => return Err("a public key begins with `ed25519:` or `x25519:`"),
    };
    let bytes = STANDARD
        .decode(encoded)
        .map_err(|_| "the public key is not padded standard base64 (RFC 4648)")?;
    let bytes: [u8; PUBLIC_KEY_BYTES] =
        bytes.try_into().map_err(|_| "the public key does not have 32 bytes")?;
    match kind {
        KeyKind::Ed25519 => match ed25519_dalek::VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(kind),
            _ => Err("the public key is not a usable point of Ed25519"),
        },
        KeyKind::X25519 if bytes == [0; PUBLIC_KEY_BYTES] => Err("the public key is all zero"),
        KeyKind::X25519 => Ok(kind),
    }
}

/// Checks a schedule: five cron fields (minute, hour, day of month, month, day of week), each `*`,
/// a number, a range `a-b`, any of them with `/step`, or a list of those.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check_schedule(text: &str) -> Result<(), String> {
    const FIELDS: [(&str, u8, u8); 5] =
        [("minute", 0, 59), ("hour", 0, 23), ("day", 1, 31), ("month", 1, 12), ("weekday", 0, 7)];
    let written: Vec<&str> = text.split_ascii_whitespace().collect();
    if written.len() != FIELDS.len() {
        return Err(format!("a schedule has five fields, this one has {}", written.len()));
    }
    for ((name, least, most), field) in FIELDS.into_iter().zip(written) {
        let in_range = |number: &str| {
            number.bytes().all(|byte| byte.is_ascii_digit())
                && number.parse::<u8>().is_ok_and(|number| (least..=most).contains(&number))
        };
        let good = field.split(',').all(|item| {
            let (range, step) = item.split_once('/').unwrap_or((item, "1"));
            let step = step.parse::<u8>().is_ok_and(|step| step > 0);
            let range = range == "*"
                || in_range(range)
                || range.split_once('-').is_some_and(|(from, to)| in_range(from) && in_range(to));
            step && range
        });
        if !good {
            return Err(format!("the {name} of the schedule is not {least} to {most} or `*`"));
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
        for bad in ["", "512", "512MB", "MiB", "0MiB", "-1MiB", "99999999999TiB", "1.5GiB"] {
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
        assert_eq!(parse_duration("30s"), Some(30_000_000_000));
        assert_eq!(parse_duration("30"), None);
        assert!(is_decimal("5.00") && is_decimal("0"));
        assert!(!is_decimal("-1") && !is_decimal("1e3") && !is_decimal(".5") && !is_decimal("5."));
    }

    #[test]
    fn compressions_round_trip() {
        for text in ["zstd(1)", "zstd(22)", "snappy", "lz4", "uncompressed"] {
            assert_eq!(Compression::parse(text).unwrap().to_string(), text);
        }
        for bad in ["zstd", "zstd()", "zstd(0)", "zstd(23)", "zstd(+1)", "gzip", "Snappy"] {
            assert_eq!(Compression::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn public_keys_are_checked_whole() {
        // The base point of Ed25519, RFC 8032 section 5.1.
        let point = "ed25519:WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY=";
        assert_eq!(check_public_key(point), Ok(KeyKind::Ed25519));
        let x25519 = "x25519:CQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        assert_eq!(check_public_key(x25519), Ok(KeyKind::X25519));
        for bad in [
            "",
            "WGZm",
            "rsa:AAAA",
            "ed25519:…",
            "ed25519:WGZm",
            "ed25519:WGZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmZmY",
            "x25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
        ] {
            assert!(check_public_key(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn schedules_have_five_fields() {
        for good in ["30 2 * * *", "*/15 * * * 1-5", "0 0 1,15 * 7"] {
            assert_eq!(check_schedule(good), Ok(()), "{good}");
        }
        for bad in ["", "daily", "60 2 * * *", "0 2 * *", "0 2 * * mon", "*/0 * * * *", "1- * * * *"]
        {
            assert!(check_schedule(bad).is_err(), "{bad}");
        }
    }
}
