//! Signed documents: DSSE v1 envelopes with one Ed25519 signature, in canonical form.
//!
//! The signature covers payload and payload type (the pre-authentication encoding), so that an
//! approval can never be taken for a manifest. An envelope is accepted only in the one byte form
//! that [`sign`] writes: canonical JSON, padded base64, exactly one signature, and a `keyid` that is
//! the SHA-256 of the key that verifies it. No byte of it can change unnoticed.
//!
//! What is signed beside manifests and approvals (receipts, records of disposal, release documents,
//! requests) is canonical JSON that is checked before it is signed and after it was opened.

use std::fmt;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use serde::de::{DeserializeOwned, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use thiserror::Error;

use crate::canonical_json::{self, CanonicalError};
use crate::digest::sha256_hex;

/// Why an envelope is not accepted.
#[derive(Debug, Error)]
pub enum DsseError {
    /// The envelope is not a canonical DSSE envelope.
    #[error("envelope: {0}")]
    Envelope(CanonicalError),
    /// The payload or the signature is not padded standard base64 of the right length.
    #[error("envelope: `{0}` is not padded base64 of the right length")]
    Encoding(&'static str),
    /// The envelope holds another kind of document.
    #[error("envelope does not hold a document of type `{expected}`")]
    PayloadType {
        /// The type that was asked for.
        expected: String,
    },
    /// Not exactly one signature.
    #[error("envelope holds {0} signatures instead of one")]
    SignatureCount(usize),
    /// Signed by a key that is not among those to trust.
    #[error("signed by a key that is not among the {0} trusted for it")]
    UnknownKey(usize),
    /// The signature does not verify.
    #[error("signature does not match: the document was altered or signed by another key")]
    BadSignature,
}

/// Why a signed document is not accepted, or can't be made. Each variant begins with the document's
/// name.
#[derive(Debug, Error)]
pub enum DocumentError {
    /// The signed envelope is not acceptable.
    #[error("{0}: {1}")]
    Envelope(&'static str, DsseError),
    /// The payload is not such a document in canonical form.
    #[error("{0}: {1}")]
    Payload(&'static str, CanonicalError),
    /// The document contradicts itself or the format.
    #[error("{0}: {1}")]
    Invalid(&'static str, &'static str),
}

/// A document that is signed in canonical form.
pub(crate) trait Document: Serialize + DeserializeOwned {
    /// Type of the signed payload.
    const PAYLOAD_TYPE: &'static str;

    /// What errors call it.
    const NAME: &'static str;

    /// Checks what the document says; `signer` is the key that it is signed with.
    fn check(&self, signer: &VerifyingKey) -> Result<(), &'static str>;
}

/// Says what doesn't hold of a document.
pub(crate) fn demand(holds: bool, what: &'static str) -> Result<(), &'static str> {
    match holds {
        true => Ok(()),
        false => Err(what),
    }
}

/// Signs a document; gives the envelope.
///
/// # Errors
/// A document that [`open_document`] would not accept.
pub(crate) fn sign_document<D: Document>(
    document: &D,
    key: &SigningKey,
) -> Result<Vec<u8>, DocumentError> {
    let checked = document.check(&key.verifying_key());
    checked.map_err(|what| DocumentError::Invalid(D::NAME, what))?;
    let payload = canonical_json::to_bytes(document)
        .map_err(|error| DocumentError::Payload(D::NAME, error))?;
    sign(D::PAYLOAD_TYPE, &payload, key).map_err(|error| DocumentError::Envelope(D::NAME, error))
}

/// Opens a document that one of `keys` signed, in canonical form; gives the key.
///
/// # Errors
/// See [`DocumentError`].
pub(crate) fn open_document<D: Document>(
    bytes: &[u8],
    keys: &[VerifyingKey],
) -> Result<(D, VerifyingKey), DocumentError> {
    let (payload, key) = open(bytes, D::PAYLOAD_TYPE, keys)
        .map_err(|error| DocumentError::Envelope(D::NAME, error))?;
    let document: D =
        canonical_json::read(&payload).map_err(|error| DocumentError::Payload(D::NAME, error))?;
    let checked = document.check(&key);
    checked.map_err(|what| DocumentError::Invalid(D::NAME, what))?;
    Ok((document, key))
}

/// The envelope as it is written, members in canonical order.
#[derive(Serialize)]
struct Envelope {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: [EnvelopeSignature; 1],
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnvelopeSignature {
    keyid: String,
    sig: String,
}

impl Envelope {
    /// Reads an envelope in the one form in which it is written. Nobody knows yet who wrote it, so it is
    /// read as what it should be: a tree of JSON values can take a hundred times as much memory as its
    /// bytes.
    fn read(bytes: &[u8]) -> Result<Self, DsseError> {
        if bytes.len() > canonical_json::BYTES_MAX {
            return Err(DsseError::Envelope(CanonicalError::TooLarge));
        }
        let claimed: Claimed = serde_json::from_slice(bytes)
            .map_err(|error| DsseError::Envelope(CanonicalError::Malformed(error)))?;
        let Signatures { first, count } = claimed.signatures;
        let Some(signature) = first.filter(|_| count == 1) else {
            return Err(DsseError::SignatureCount(count));
        };
        let envelope = Self {
            payload: claimed.payload,
            payload_type: claimed.payload_type,
            signatures: [signature],
        };
        match envelope.is_written_as(bytes) {
            true => Ok(envelope),
            false => Err(DsseError::Envelope(CanonicalError::NotCanonical)),
        }
    }

    fn is_written_as(&self, bytes: &[u8]) -> bool {
        let mut expected = Expected(bytes);
        serde_json::to_writer(&mut expected, self).is_ok() && expected.0.is_empty()
    }
}

/// An envelope as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Claimed {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Signatures,
}

/// The first signature, and how many there are. The others aren't kept: there may be a million of them.
struct Signatures {
    first: Option<EnvelopeSignature>,
    count: usize,
}

impl<'de> Deserialize<'de> for Signatures {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Counting;

        impl<'de> Visitor<'de> for Counting {
            type Value = Signatures;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of signatures")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut listed: A) -> Result<Signatures, A::Error> {
                let first = listed.next_element::<EnvelopeSignature>()?;
                let mut count = usize::from(first.is_some());
                while listed.next_element::<EnvelopeSignature>()?.is_some() {
                    count = count.saturating_add(1);
                }
                Ok(Signatures { first, count })
            }
        }

        deserializer.deserialize_seq(Counting)
    }
}

/// What is still to be written of some bytes; writing anything else fails.
struct Expected<'a>(&'a [u8]);

impl io::Write for Expected<'_> {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        let rest = self.0.strip_prefix(written);
        self.0 = rest.ok_or(io::ErrorKind::InvalidData)?;
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The `keyid` of a key: lower-case hex SHA-256 of its 32 bytes.
pub fn key_id(key: &VerifyingKey) -> String {
    sha256_hex(key.as_bytes())
}

/// Signs `payload` as a document of `payload_type`; returns the envelope's canonical bytes.
///
/// # Errors
/// [`DsseError::Envelope`] if the envelope would be larger than what is accepted
/// ([`canonical_json::BYTES_MAX`]).
pub fn sign(payload_type: &str, payload: &[u8], key: &SigningKey) -> Result<Vec<u8>, DsseError> {
    let signature = key.sign(&pre_authentication(payload_type, payload));
    let envelope = Envelope {
        payload: STANDARD.encode(payload),
        payload_type: payload_type.to_owned(),
        signatures: [EnvelopeSignature {
            keyid: key_id(&key.verifying_key()),
            sig: STANDARD.encode(signature.to_bytes()),
        }],
    };
    canonical_json::to_bytes(&envelope).map_err(DsseError::Envelope)
}

/// Opens an envelope: the payload, and which of `keys` signed it.
///
/// # Errors
/// Anything but a canonical envelope of `payload_type` with exactly one signature that verifies
/// under one of `keys`.
pub fn open(
    bytes: &[u8],
    payload_type: &str,
    keys: &[VerifyingKey],
) -> Result<(Vec<u8>, VerifyingKey), DsseError> {
    let envelope = Envelope::read(bytes)?;
    if envelope.payload_type != payload_type {
        return Err(DsseError::PayloadType {
            expected: payload_type.to_owned(),
        });
    }
    let [signature] = &envelope.signatures;
    let key = keys
        .iter()
        .find(|key| key_id(key) == signature.keyid)
        .ok_or(DsseError::UnknownKey(keys.len()))?;
    let payload = STANDARD
        .decode(&envelope.payload)
        .map_err(|_| DsseError::Encoding("payload"))?;
    let signature = STANDARD
        .decode(&signature.sig)
        .ok()
        .and_then(|raw| Signature::from_slice(&raw).ok())
        .ok_or(DsseError::Encoding("sig"))?;
    key.verify_strict(&pre_authentication(payload_type, &payload), &signature)
        .map_err(|_| DsseError::BadSignature)?;
    Ok((payload, *key))
}

/// The payload of an envelope whose signature is not checked: never to be trusted, only to tell what
/// a document claims to be. Absent if the bytes are no envelope.
pub fn unverified_payload(bytes: &[u8]) -> Option<Vec<u8>> {
    let envelope = Envelope::read(bytes).ok()?;
    STANDARD.decode(&envelope.payload).ok()
}

/// Of what type an envelope says its document is, whoever signed it. Absent if the bytes are no envelope.
pub(crate) fn claimed_type(bytes: &[u8]) -> Option<String> {
    let envelope = Envelope::read(bytes).ok()?;
    Some(envelope.payload_type)
}

/// The pre-authentication encoding of DSSE v1: what is signed.
fn pre_authentication(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut encoded = format!(
        "DSSEv1 {} {payload_type} {} ",
        payload_type.len(),
        payload.len()
    )
    .into_bytes();
    encoded.extend_from_slice(payload);
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    const TYPE: &str = "application/vnd.lockgate.test+json";

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn encoding_is_the_one_of_the_dsse_protocol_document() {
        assert_eq!(
            pre_authentication("http://example.com/HelloWorld", b"hello world"),
            b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
        );
    }

    #[test]
    fn a_signed_payload_opens_and_names_its_key() {
        let envelope = sign(TYPE, "{\"名\":1}".as_bytes(), &key(1)).unwrap();
        let keys = [key(2).verifying_key(), key(1).verifying_key()];
        let (payload, signer) = open(&envelope, TYPE, &keys).unwrap();
        assert_eq!(payload, "{\"名\":1}".as_bytes());
        assert_eq!(signer, key(1).verifying_key());
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Note {
        format: u32,
    }

    impl Document for Note {
        const PAYLOAD_TYPE: &'static str = TYPE;
        const NAME: &'static str = "note";

        fn check(&self, _: &VerifyingKey) -> Result<(), &'static str> {
            demand(self.format == 1, "its format is not known")
        }
    }

    #[test]
    fn a_document_is_checked_before_it_is_signed_and_after_it_was_opened() {
        let keys = [key(1).verifying_key()];
        let envelope = sign_document(&Note { format: 1 }, &key(1)).unwrap();
        let (note, signer) = open_document::<Note>(&envelope, &keys).unwrap();
        assert_eq!((note, signer), (Note { format: 1 }, keys[0]));
        let refused = sign_document(&Note { format: 2 }, &key(1)).unwrap_err();
        assert_eq!(refused.to_string(), "note: its format is not known");
        for payload in ["{\"format\":2}", "{ \"format\":1}", "{}"] {
            let envelope = sign(TYPE, payload.as_bytes(), &key(1)).unwrap();
            let refused = open_document::<Note>(&envelope, &keys).unwrap_err();
            assert!(refused.to_string().starts_with("note: "), "{payload}");
        }
    }

    #[test]
    fn another_key_or_type_is_refused() {
        let envelope = sign(TYPE, b"{}", &key(1)).unwrap();
        let own = [key(1).verifying_key()];
        assert!(matches!(
            open(&envelope, TYPE, &[key(2).verifying_key()]),
            Err(DsseError::UnknownKey(1))
        ));
        assert!(matches!(
            open(&envelope, TYPE, &[]),
            Err(DsseError::UnknownKey(0))
        ));
        assert!(matches!(
            open(&envelope, "application/other", &own),
            Err(DsseError::PayloadType { .. })
        ));
    }

    #[test]
    fn every_flipped_bit_is_found() {
        let envelope = sign(TYPE, b"{\"a\":1}", &key(1)).unwrap();
        let keys = [key(1).verifying_key()];
        for position in 0..envelope.len() {
            for bit in [0, 5] {
                let mut altered = envelope.clone();
                altered[position] ^= 1 << bit;
                assert!(
                    open(&altered, TYPE, &keys).is_err(),
                    "byte {position}, bit {bit}"
                );
            }
        }
        for length in 0..envelope.len() {
            assert!(open(&envelope[..length], TYPE, &keys).is_err());
        }
    }

    #[test]
    fn other_spellings_and_more_signatures_are_refused() {
        let envelope = String::from_utf8(sign(TYPE, b"{\"a\":12}", &key(1)).unwrap()).unwrap();
        let keys = [key(1).verifying_key()];
        assert!(open(format!("{envelope}\n").as_bytes(), TYPE, &keys).is_err());
        assert!(open(envelope.replacen(':', ": ", 1).as_bytes(), TYPE, &keys).is_err());
        // Unpadded base64 decodes in lenient readers to the same payload.
        assert!(open(envelope.replacen("=\",", "\",", 1).as_bytes(), TYPE, &keys).is_err());

        let mut value: serde_json::Value = serde_json::from_str(&envelope).unwrap();
        let one = value["signatures"][0].clone();
        value["signatures"] = serde_json::json!([one.clone(), one]);
        let doubled = canonical_json::to_bytes(&value).unwrap();
        assert!(matches!(
            open(&doubled, TYPE, &keys),
            Err(DsseError::SignatureCount(2))
        ));
        value["signatures"] = serde_json::json!([]);
        let unsigned = canonical_json::to_bytes(&value).unwrap();
        assert!(matches!(
            open(&unsigned, TYPE, &keys),
            Err(DsseError::SignatureCount(0))
        ));
    }

    #[test]
    fn whatever_is_written_for_an_envelope_is_refused_as_what_it_is() {
        let keys = [key(1).verifying_key()];
        let refused = |text: String| open(text.as_bytes(), TYPE, &keys).unwrap_err();
        let head = format!("{{\"payload\":\"e30=\",\"payloadType\":\"{TYPE}\",\"signatures\":");
        let signatures = vec!["{\"keyid\":\"\",\"sig\":\"\"}"; 50_000].join(",");
        assert!(matches!(
            refused(format!("{head}[{signatures}]}}")),
            DsseError::SignatureCount(50_000)
        ));
        for malformed in [
            head.clone(),
            format!("{head}{}", "[".repeat(100_000)),
            format!("{{\"payload\":{}", "[".repeat(100_000)),
            "[".repeat(100_000),
            format!("{head}[{{\"keyid\":\"\",\"sig\":\"\",\"more\":1}}]}}"),
        ] {
            assert!(matches!(
                refused(malformed),
                DsseError::Envelope(CanonicalError::Malformed(_))
            ));
        }
        let large = vec![b' '; canonical_json::BYTES_MAX + 1];
        assert!(matches!(
            open(&large, TYPE, &keys),
            Err(DsseError::Envelope(CanonicalError::TooLarge))
        ));
    }

    #[test]
    fn a_signature_that_is_not_reduced_is_refused() {
        let envelope = sign(TYPE, b"{}", &key(1)).unwrap();
        let mut value: serde_json::Value = serde_json::from_slice(&envelope).unwrap();
        let mut raw = STANDARD
            .decode(value["signatures"][0]["sig"].as_str().unwrap())
            .unwrap();
        // S + L is the same signature to a lenient verifier.
        const L: [u8; 32] = [
            0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9,
            0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
        ];
        let mut carry = 0u16;
        for (byte, add) in raw[32..].iter_mut().zip(L) {
            carry += u16::from(*byte) + u16::from(add);
            *byte = u8::try_from(carry & 0xff).unwrap();
            carry >>= 8;
        }
        value["signatures"][0]["sig"] = STANDARD.encode(raw).into();
        let malleated = canonical_json::to_bytes(&value).unwrap();
        assert!(open(&malleated, TYPE, &[key(1).verifying_key()]).is_err());
    }
}
