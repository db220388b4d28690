//! HMAC-SHA-256 (FIPS 198-1 over FIPS 180-4) from midstates.
//!
//! The `hmac` crate gives each value a hasher of its own, which is cloned, and wiped when it goes.
//! Here a value costs the two compressions that the standard asks for and no more. The compression
//! itself is that of the `sha2` crate; the tests compare with the `hmac` crate.

use sha2::block_api::compress256;
use zeroize::{Zeroize, ZeroizeOnDrop};

/// Bytes of a block.
const BLOCK: usize = 64;

/// Bytes of the message's length at the end of the last block.
const LENGTH: usize = 8;

/// The state that SHA-256 begins with (FIPS 180-4, 5.3.3).
const INITIAL: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// A key, absorbed on both sides.
#[derive(Zeroize, ZeroizeOnDrop)]
pub(super) struct HmacSha256 {
    inner: [u32; 8],
    outer: [u32; 8],
}

impl HmacSha256 {
    /// Of a key of 32 bytes.
    pub(super) fn new(key: &[u8; 32]) -> Self {
        let absorbed = |pad: u8| {
            let mut block = [pad; BLOCK];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            let mut state = INITIAL;
            compress256(&mut state, &[block]);
            block.zeroize();
            state
        };
        Self {
            inner: absorbed(0x36),
            outer: absorbed(0x5c),
        }
    }

    /// The code of a message.
    pub(super) fn digest(&self, message: &[u8]) -> [u8; 32] {
        let mut state = self.inner;
        let (blocks, rest) = message.as_chunks::<BLOCK>();
        compress256(&mut state, blocks);
        finish(&mut state, rest, message.len());
        let digest = bytes(&state);
        let mut state = self.outer;
        finish(&mut state, &digest, digest.len());
        bytes(&state)
    }
}

/// Absorbs the rest of a message, less than a block, and the padding; one block, the key's, went
/// before the message of `length` bytes.
fn finish(state: &mut [u32; 8], rest: &[u8], length: usize) {
    let mut block = [0; BLOCK];
    let mut end = 0;
    for (byte, own) in block.iter_mut().zip(rest) {
        *byte = *own;
        end += 1;
    }
    if let Some(mark) = block.get_mut(end) {
        *mark = 0x80;
    }
    if end >= BLOCK - LENGTH {
        compress256(state, &[block]);
        block = [0; BLOCK];
    }
    let bits = u64::try_from(length.saturating_add(BLOCK)).unwrap_or(u64::MAX);
    if let Some(tail) = block.last_chunk_mut() {
        *tail = bits.wrapping_mul(8).to_be_bytes();
    }
    compress256(state, &[block]);
}

fn bytes(state: &[u32; 8]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (four, word) in bytes.as_chunks_mut::<4>().0.iter_mut().zip(state) {
        *four = word.to_be_bytes();
    }
    bytes
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;
    use sha2::Sha256;

    use super::*;

    fn expected(key: &[u8; 32], message: &[u8]) -> [u8; 32] {
        let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.chain_update(message).finalize().into_bytes().into()
    }

    #[test]
    fn every_length_around_the_blocks_agrees_with_the_hmac_crate() {
        let key = [0xA5; 32];
        let message: Vec<u8> = (0..300_u32).map(|at| at.to_le_bytes()[0]).collect();
        let mac = HmacSha256::new(&key);
        for length in 0..message.len() {
            let message = &message[..length];
            assert_eq!(mac.digest(message), expected(&key, message), "{length}");
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_hmac_crate(
            key in any::<[u8; 32]>(),
            message in prop::collection::vec(any::<u8>(), 0..1_000),
        ) {
            prop_assert_eq!(HmacSha256::new(&key).digest(&message), expected(&key, &message));
        }
    }
}
