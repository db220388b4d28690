//! How the 256 bits of a pseudonym are written.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bits of a digest.
const DIGEST_BITS: u32 = 256;

/// How a pseudonym is written. None has characters that a file format, a spreadsheet or a web
/// address would change; `"base64url"` tells upper from lower case, the others don't need to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Encoding {
    /// 64 lower-case hexadecimal digits.
    Hex,
    /// 43 characters of `A`-`Z`, `a`-`z`, `0`-`9`, `-`, `_` (RFC 4648 section 5), unpadded.
    #[serde(rename = "base64url")]
    Base64Url,
    /// 52 characters of `A`-`Z` and `2`-`7` (RFC 4648 section 6), unpadded.
    #[serde(rename = "base32")]
    Base32,
}

impl Encoding {
    /// Bits that a character stands for.
    pub(crate) fn bits_per_character(self) -> u32 {
        match self {
            Self::Hex => 4,
            Self::Base64Url => 6,
            Self::Base32 => 5,
        }
    }

    /// The characters, by what they stand for.
    pub(crate) fn symbols(self) -> &'static [u8] {
        match self {
            Self::Hex => b"0123456789abcdef",
            Self::Base64Url => b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
            Self::Base32 => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        }
    }

    /// Brings a text to the case of its characters, where case tells nothing.
    pub(crate) fn fold_case(self, text: &mut str) {
        match self {
            Self::Hex => text.make_ascii_lowercase(),
            Self::Base64Url => {}
            Self::Base32 => text.make_ascii_uppercase(),
        }
    }

    /// Characters of a whole pseudonym.
    pub(super) fn characters(self) -> u32 {
        self.characters_for(DIGEST_BITS)
    }

    /// Fewest characters with that many bits.
    pub(super) fn characters_for(self, bits: u32) -> u32 {
        bits.div_ceil(self.bits_per_character())
    }

    /// Bits of that many characters.
    pub(super) fn bits(self, characters: u32) -> u32 {
        characters
            .saturating_mul(self.bits_per_character())
            .min(DIGEST_BITS)
    }

    /// Appends a whole pseudonym.
    pub(super) fn write(self, digest: &[u8; 32], out: &mut Vec<u8>) {
        match self {
            Self::Hex => out.extend_from_slice(hex(digest).as_flattened()),
            Self::Base64Url => {
                let mut text = [0; 43];
                let written = URL_SAFE_NO_PAD.encode_slice(digest, &mut text);
                debug_assert_eq!(written.ok(), Some(text.len()), "32 bytes are 43 characters");
                out.extend_from_slice(&text);
            }
            Self::Base32 => base32(digest, out),
        }
    }
}

/// The lower-case hexadecimal digits of a digest.
fn hex(digest: &[u8; 32]) -> [[u8; 2]; 32] {
    let digit = |nibble: u8| {
        if nibble < 10 {
            b'0' + nibble
        } else {
            b'a' - 10 + nibble
        }
    };
    digest.map(|byte| [digit(byte >> 4), digit(byte & 15)])
}

/// The base32 digits of a digest: each five bits, from the first on, the last filled up with zeros.
fn base32(digest: &[u8; 32], out: &mut Vec<u8>) {
    let digit = |five: u8| {
        if five < 26 {
            b'A' + five
        } else {
            b'2' - 26 + five
        }
    };
    for group in digest.chunks(5) {
        let mut bytes = [0; 8];
        for (to, from) in bytes.iter_mut().skip(3).zip(group) {
            *to = *from;
        }
        let bits = u64::from_be_bytes(bytes);
        let digits = (group.len() * 8).div_ceil(5);
        for place in (0..8).rev().take(digits) {
            let [.., five] = (bits >> (5 * place) & 31).to_be_bytes();
            out.push(digit(five));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(encoding: Encoding, digest: [u8; 32]) -> String {
        let mut out = Vec::new();
        encoding.write(&digest, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_digest_is_written_as_rfc_4648_writes_it() {
        let counting = std::array::from_fn(|at| u8::try_from(at).unwrap());
        assert_eq!(
            written(Encoding::Hex, counting),
            "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
        );
        assert_eq!(
            written(Encoding::Base64Url, counting),
            "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
        );
        assert_eq!(
            written(Encoding::Base32, counting),
            "AAAQEAYEAUDAOCAJBIFQYDIOB4IBCEQTCQKRMFYYDENBWHA5DYPQ"
        );
        assert!(written(Encoding::Base64Url, [0xfb; 32]).contains("-_"));
    }

    #[test]
    fn every_digit_is_as_long_as_it_says() {
        for encoding in [Encoding::Hex, Encoding::Base64Url, Encoding::Base32] {
            let symbols = encoding.symbols();
            assert_eq!(symbols.len(), 1 << encoding.bits_per_character());
            for byte in 0..=255 {
                let text = written(encoding, [byte; 32]);
                assert!(text.bytes().all(|byte| symbols.contains(&byte)), "{text}");
                let mut folded = text.clone();
                encoding.fold_case(&mut folded);
                assert_eq!(folded, text);
            }
            let text = written(encoding, [0xA5; 32]);
            assert_eq!(u32::try_from(text.len()).unwrap(), encoding.characters());
            assert_eq!(encoding.bits(encoding.characters()), DIGEST_BITS);
            assert!(encoding.bits(encoding.characters_for(80)) >= 80);
        }
    }
}
