//! Keys and pseudonyms computed anew from the standards: HMAC (FIPS 198-1), HKDF (RFC 5869), and
//! the documented derivation. Nothing of the product is used.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lockgate_acceptance::site::Site;
use sha2::{Digest, Sha256};

/// HMAC-SHA-256.
pub(crate) fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0_u8; 64];
    if key.len() > 64 {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let padded = |pad: u8| block.map(|byte| byte ^ pad);
    let inner = Sha256::new()
        .chain_update(padded(0x36))
        .chain_update(message)
        .finalize();
    Sha256::new()
        .chain_update(padded(0x5c))
        .chain_update(inner)
        .finalize()
        .into()
}

/// The first 32 bytes of HKDF-SHA256 without a salt.
fn hkdf(input: &[u8], info: &[u8]) -> [u8; 32] {
    let extracted = hmac(&[0; 32], input);
    hmac(&extracted, &[info, &[1]].concat())
}

/// The 32 bytes of `keys/PURPOSE.vN.key`.
pub(crate) fn master(site: &Site, purpose: &str, version: u32) -> Vec<u8> {
    let line = site.read(&format!("keys/{purpose}.v{version}.key"));
    let encoded = line.trim().rsplit(':').next().expect("a key file");
    STANDARD.decode(encoded).expect("base64")
}

/// The key of a domain and a scope.
pub(crate) fn derived(site: &Site, version: u32, domain: &str, scope: &str) -> [u8; 32] {
    let mut info = Vec::new();
    for part in [
        "lockgate/v1",
        "pseudonym",
        domain,
        scope,
        &version.to_string(),
    ] {
        info.extend(
            u32::try_from(part.len())
                .expect("a short text")
                .to_be_bytes(),
        );
        info.extend(part.as_bytes());
    }
    hkdf(&master(site, "pseudonym", version), &info)
}

/// The pseudonym of a text that needs no normalisation.
pub(crate) fn pseudonym(key: &[u8; 32], value: &str) -> String {
    hmac(key, value.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[test]
fn the_reimplementation_meets_its_published_vectors() {
    let hex = |bytes: &[u8]| {
        bytes
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect::<String>()
    };
    // RFC 4231, test case 2.
    assert_eq!(
        hex(&hmac(b"Jefe", b"what do ya want for nothing?")),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    );
    // RFC 5869, test case 3: no salt, no info.
    assert_eq!(
        hex(&hkdf(&[0x0b; 22], b"")),
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d"
    );
}
