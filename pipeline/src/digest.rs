//! SHA-256 and its hexadecimal form, as manifests, ledger and approvals write it.

use sha2::{Digest, Sha256};

/// SHA-256 (FIPS 180-4) of `bytes`.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

/// SHA-256 of `bytes` as 64 lower-case hexadecimal digits.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&sha256(bytes))
}

/// Lower-case hexadecimal digits, two a byte.
pub fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().saturating_mul(2));
    for byte in bytes {
        for nibble in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
    text
}

/// Whether `text` is `digits` lower-case hexadecimal digits and nothing else.
pub fn is_hex(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The bytes that [`hex`] writes so; none where they are other digits, or not so many.
pub fn from_hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    if !is_hex(text, 2 * BYTES) {
        return None;
    }
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let pair = std::str::from_utf8(pair).ok()?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(bytes)
}

/// The bytes that [`hex`] writes so, however many; none where they are other digits.
pub fn from_hex_bytes(text: &str) -> Option<Vec<u8>> {
    if !is_hex(text, text.len()) || !text.len().is_multiple_of(2) {
        return None;
    }
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_is_lower_case_and_padded() {
        assert_eq!(hex(&[0, 1, 0xab, 0xff]), "0001abff");
        assert_eq!(
            sha256_hex(b"abc"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn hex_is_read_back_where_it_has_the_length_asked_for() {
        assert_eq!(from_hex(&hex(&[0, 1, 0xab])), Some([0, 1, 0xab]));
        assert_eq!(from_hex::<2>("0001ab"), None);
        assert_eq!(from_hex::<1>("AB"), None);
        assert_eq!(from_hex_bytes("0001ab"), Some(vec![0, 1, 0xab]));
        assert_eq!(from_hex_bytes("0001a"), None);
        assert_eq!(from_hex_bytes("0001aB"), None);
    }

    #[test]
    fn only_lower_case_of_the_right_length_is_hex() {
        assert!(is_hex("00ff", 4));
        assert!(!is_hex("00FF", 4));
        assert!(!is_hex("00f", 4));
        assert!(!is_hex("00fg", 4));
    }
}
