//! E-mail and IP addresses.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv6Addr};

use unicode_normalization::UnicodeNormalization;

use super::forms::Shown;
use crate::error::Case;
use crate::fill::Filler;

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
    out: &mut Vec<u8>,
) -> Result<(), Case> {
    let text = spelling(value);
    let (local, domain) = text.split_once('@').ok_or(Case::Invalid)?;
    if !is_local(local) || !is_domain(domain) {
        return Err(Case::Invalid);
    }
    let (first, rest) = local.split_at_checked(shown.first).ok_or(Case::Invalid)?;
    if rest.is_empty() {
        return Err(Case::Short);
    }
    out.extend_from_slice(first.as_bytes());
    filler.write(rest.len(), out);
    out.push(b'@');
    let (hidden, top) = domain.rsplit_once('.').ok_or(Case::Invalid)?;
    let kept = match shown.last {
        0 => "",
        1 => top,
        _ => domain,
    };
    match shown.last {
        0 => filler.write(domain.len(), out),
        1 => {
            filler.write(hidden.len(), out);
            out.push(b'.');
        }
        _ => {}
    }
    out.extend(kept.bytes().map(|byte| byte.to_ascii_lowercase()));
    Ok(())
}

/// The domain of an address, in lower case, where it is one.
pub(crate) fn mail_domain(value: &str) -> Option<String> {
    let text = spelling(value);
    let (_, domain) = text.rsplit_once('@')?;
    is_domain(domain).then(|| domain.to_ascii_lowercase())
}

/// A dot-atom (RFC 5322) of at most 64 characters.
fn is_local(local: &str) -> bool {
    let atom = |atom: &str| {
        let known =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
        !atom.is_empty() && atom.bytes().all(known)
    };
    local.len() <= 64 && local.split('.').all(atom)
}

/// Two or more labels of letters, digits and hyphens, the last one not a number.
fn is_domain(domain: &str) -> bool {
    let label = |label: &str| {
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(known)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let named = |(_, top): (&str, &str)| {
        top.len() >= 2 && top.bytes().any(|byte| byte.is_ascii_alphabetic())
    };
    domain.len() <= 253
        && domain.split('.').all(label)
        && domain.rsplit_once('.').is_some_and(named)
}

/// Masks an address: its first parts stay, every other part is one hidden stretch.
pub(super) fn mask_ip(
    value: &str,
    shown: Shown,
    filler: &Filler,
    out: &mut Vec<u8>,
) -> Result<(), Case> {
    let text = spelling(value);
    let address: IpAddr = text.parse().map_err(|_| Case::Invalid)?;
    let four = match address {
        IpAddr::V4(four) => Some(four),
        IpAddr::V6(six) => six.to_ipv4_mapped(),
    };
    match (four, address) {
        (Some(four), _) => {
            let parts = four.octets().map(|octet| octet.to_string());
            write_parts(&parts, ".", shown, filler, out);
        }
        (None, IpAddr::V6(six)) => {
            write_parts(&groups(six), ":", shown, filler, out);
        }
        (None, IpAddr::V4(_)) => return Err(Case::Invalid),
    }
    Ok(())
}

/// The groups of an address of version 6, none left out.
fn groups(address: Ipv6Addr) -> [String; 8] {
    address.segments().map(|segment| format!("{segment:x}"))
}

fn write_parts(parts: &[String], divider: &str, shown: Shown, filler: &Filler, out: &mut Vec<u8>) {
    for (place, part) in parts.iter().enumerate() {
        if place > 0 {
            out.extend_from_slice(divider.as_bytes());
        }
        match place < shown.first {
            true => out.extend_from_slice(part.as_bytes()),
            false => filler.write(1, out),
        }
    }
}
