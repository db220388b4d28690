//! Drawing tokens: random, and never the value itself.

use lockgate_transforms::VaultCipher;
use lockgate_transforms::vault::Index;
use zeroize::Zeroizing;

use super::fault::Trouble;
use super::store::NO_RANDOMNESS;

/// Random bytes drawn at a time.
const RANDOM_BYTES: usize = 4096;

/// Draws of one token after which it isn't chance any more that none was free.
pub(super) const DRAWS_MAX: usize = 1000;

pub(super) const NONE_FREE: Trouble = Trouble::Damaged("more tokens are taken than it holds");

/// A token for a value, which is its own once nobody else has it.
pub(super) struct Drawn {
    pub(super) token: Vec<u8>,
    /// What the token is found by.
    pub(super) token_index: Index,
    /// Token and value, sealed.
    pub(super) entry: Vec<u8>,
}

/// Draws tokens for a vault.
pub(super) struct Drawing<'a> {
    cipher: &'a VaultCipher,
    random: Random,
}

impl<'a> Drawing<'a> {
    pub(super) fn new(cipher: &'a VaultCipher) -> Self {
        Self {
            cipher,
            random: Random::default(),
        }
    }

    /// Draws a token for a value, and seals both.
    pub(super) fn draw(&mut self, value: &str) -> Result<Drawn, Trouble> {
        let form = self.cipher.form();
        for _ in 0..DRAWS_MAX {
            let mut token = Vec::with_capacity(form.characters());
            if !form.spell(&mut self.random, &mut token) {
                return Err(NO_RANDOMNESS);
            }
            if token != value.as_bytes() {
                return Ok(Drawn {
                    token_index: self.cipher.of_token(&token),
                    entry: self.cipher.seal(&token, value),
                    token,
                });
            }
        }
        Err(NONE_FREE)
    }
}

/// Bytes of the system's randomness; they end where it gives none.
struct Random {
    bytes: Zeroizing<[u8; RANDOM_BYTES]>,
    used: usize,
}

impl Default for Random {
    fn default() -> Self {
        Self {
            bytes: Zeroizing::new([0; RANDOM_BYTES]),
            used: RANDOM_BYTES,
        }
    }
}

impl Iterator for Random {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        if self.used >= RANDOM_BYTES {
            getrandom::fill(self.bytes.as_mut()).ok()?;
            self.used = 0;
        }
        let byte = self.bytes.get(self.used).copied();
        self.used += 1;
        byte
    }
}
