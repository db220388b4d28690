//! Wrapping to a recipient's public key: HPKE (RFC 9180), base mode, DHKEM(X25519, HKDF-SHA256),
//! HKDF-SHA256, AES-256-GCM, one message, no associated data.
//!
//! The suite of the delivery is bound through the info; the wrapping itself is the same in both suites
//! and named as what it is, because there is no SM2 key to wrap to.

use std::convert::Infallible;

use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{TryCryptoRng, TryRng};
use hpke::{Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _};
use zeroize::Zeroizing;

use super::SealError;
use super::kek::random_key;
use crate::keyring::{KEY_BYTES, KeyAlgorithm, PairKind, PrivateKey, PublicKey};

/// The algorithm's name in key files and release documents.
pub(super) const ALGORITHM: &str = "HPKE-X25519-SHA256-AES256GCM";

type X25519 = X25519HkdfSha256;

/// A message to a recipient.
pub(super) struct Wrapped {
    /// The encapsulated key.
    pub(super) enc: [u8; KEY_BYTES],
    /// The ciphertext and its tag.
    pub(super) ct: Vec<u8>,
}

/// Wraps a secret to a public key.
pub(super) fn wrap_to(key: &PublicKey, info: &[u8], secret: &[u8]) -> Result<Wrapped, SealError> {
    if key.algorithm() != KeyAlgorithm::X25519 {
        return Err(SealError::NoRecipientKey);
    }
    let message = Message { info, aad: &[] };
    message.seal(key.as_bytes(), secret, random_key()?)
}

/// Unwraps what was wrapped to the public side of `identity`.
pub(super) fn unwrap_with(
    identity: &PrivateKey,
    info: &[u8],
    enc: &[u8; KEY_BYTES],
    ct: &[u8],
) -> Result<Zeroizing<Vec<u8>>, SealError> {
    if identity.kind() != PairKind::Recipient {
        return Err(SealError::NotARecipient);
    }
    let message = Message { info, aad: &[] };
    message.open(identity.expose(), enc, ct)
}

/// What a single message is bound to.
struct Message<'a> {
    info: &'a [u8],
    aad: &'a [u8],
}

impl Message<'_> {
    fn seal(
        &self,
        public: &[u8; KEY_BYTES],
        secret: &[u8],
        ikm: Zeroizing<[u8; KEY_BYTES]>,
    ) -> Result<Wrapped, SealError> {
        let fault = |_| SealError::Fault("a key could not be wrapped to its recipient");
        let public = <X25519 as Kem>::PublicKey::from_bytes(public).map_err(fault)?;
        let (enc, ct) = hpke::single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519>(
            &OpModeS::Base,
            &public,
            self.info,
            secret,
            self.aad,
            &mut Drawn(ikm),
        )
        .map_err(fault)?;
        Ok(Wrapped {
            enc: enc.to_bytes().into(),
            ct,
        })
    }

    fn open(
        &self,
        secret: &[u8; KEY_BYTES],
        enc: &[u8; KEY_BYTES],
        ct: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let wrong = |_| SealError::WrappedKey;
        let private = <X25519 as Kem>::PrivateKey::from_bytes(secret).map_err(wrong)?;
        let enc = <X25519 as Kem>::EncappedKey::from_bytes(enc).map_err(wrong)?;
        hpke::single_shot_open::<AesGcm256, HkdfSha256, X25519>(
            &OpModeR::Base,
            &private,
            &enc,
            self.info,
            ct,
            self.aad,
        )
        .map(Zeroizing::new)
        .map_err(wrong)
    }
}

/// Randomness that was drawn beforehand: hpke's own source panics when the system has none.
///
/// It is asked for exactly one key's worth. Asked again it would repeat itself, so the caller makes a
/// new one for every message.
struct Drawn(Zeroizing<[u8; KEY_BYTES]>);

impl TryRng for Drawn {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        for (byte, drawn) in out.iter_mut().zip(self.0.iter().cycle()) {
            *byte = *drawn;
        }
        Ok(())
    }
}

impl TryCryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits = text.as_bytes().chunks(2);
        digits
            .map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap())
            .collect()
    }

    fn array(text: &str) -> [u8; 32] {
        hex(text).try_into().unwrap()
    }

    /// The test vectors published with RFC 9180: mode_base, DHKEM(X25519, HKDF-SHA256), HKDF-SHA256,
    /// AES-256-GCM, first encryption.
    #[test]
    fn vector_of_rfc_9180() {
        let public = array("430f4b9859665145a6b1ba274024487bd66f03a2dd577d7753c68d7d7d00c00c");
        let (private, derived) = <X25519 as Kem>::derive_keypair(&hex(
            "dac33b0e9db1b59dbbea58d59a14e7b5896e9bdf98fad6891e99d1686492b9ee",
        ));
        assert_eq!(derived.to_bytes().as_slice(), public);
        let info = hex("4f6465206f6e2061204772656369616e2055726e");
        let aad = hex("436f756e742d30");
        let secret = hex("4265617574792069732074727574682c20747275746820626561757479");
        let ikm = array("2cd7c601cefb3d42a62b04b7a9041494c06c7843818e0ce28a8f704ae7ab20f9");
        let enc = hex("6c93e09869df3402d7bf231bf540fadd35cd56be14f97178f0954db94b7fc256");
        let ct = hex(
            "e5d84cd531cfb583096e7cfa9641bd3079cf3a91cda813c52deb5f512be9931980a41de125a925cdad859d5b7a",
        );
        let message = Message {
            info: &info,
            aad: &aad,
        };
        let wrapped = message.seal(&public, &secret, Zeroizing::new(ikm)).unwrap();
        assert_eq!(wrapped.enc.as_slice(), enc);
        assert_eq!(wrapped.ct, ct);
        let private: [u8; 32] = private.to_bytes().into();
        assert_eq!(
            message
                .open(&private, &wrapped.enc, &ct)
                .unwrap()
                .as_slice(),
            secret
        );
    }

    #[test]
    fn every_byte_and_the_info_count() {
        let (private, public) = <X25519 as Kem>::derive_keypair(&[7; 32]);
        let private: [u8; 32] = private.to_bytes().into();
        let public: [u8; 32] = public.to_bytes().into();
        let message = Message {
            info: b"info",
            aad: b"",
        };
        let wrapped = message
            .seal(&public, &[9; 32], Zeroizing::new([1; 32]))
            .unwrap();
        assert_eq!(
            message
                .open(&private, &wrapped.enc, &wrapped.ct)
                .unwrap()
                .as_slice(),
            [9; 32]
        );
        for position in 0..32 {
            let mut enc = wrapped.enc;
            enc[position] ^= 1;
            assert!(message.open(&private, &enc, &wrapped.ct).is_err());
        }
        for position in 0..wrapped.ct.len() {
            let mut ct = wrapped.ct.clone();
            ct[position] ^= 1;
            assert!(message.open(&private, &wrapped.enc, &ct).is_err());
            assert!(
                message
                    .open(&private, &wrapped.enc, &wrapped.ct[..position])
                    .is_err()
            );
        }
        let other = Message {
            info: b"inf",
            aad: b"",
        };
        assert!(other.open(&private, &wrapped.enc, &wrapped.ct).is_err());
        // A point of small order would give a shared secret that everyone knows.
        assert!(message.open(&private, &[0; 32], &wrapped.ct).is_err());
    }
}
