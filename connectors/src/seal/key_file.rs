//! `keys.json`: to whom the KEK of a delivery is wrapped. The manifest names it with its SHA-256.
//!
//! The bytes are canonical JSON: sorted keys, no white space, padded base64, recipients by ascending
//! `kid`. A file is accepted only if it equals its own serialisation byte for byte, so that no byte of
//! it is free.

use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroizing;

use super::recipient::{ALGORITHM, unwrap_with, wrap_to};
use super::{Binding, SealError, Suite, UnwrappedKek};
use crate::durable::is_id;
use crate::error::ConnectorError;
use crate::keyring::{KEY_BYTES, KeyAlgorithm, PrivateKey, PublicKey};

/// Name of the file, in the folder of the attempt.
pub const KEY_FILE_NAME: &str = "keys.json";

/// Largest key file that is written or read, in bytes.
pub const KEY_FILE_BYTES_MAX: usize = 1 << 20;

/// The version of the format.
const FORMAT: u32 = 1;

/// How the recipient comes by the keys of a delivery.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// The KEK lies beside the data, wrapped to the recipient's keys: it opens without the site, and
    /// the site cannot take it back.
    #[default]
    Offline,
    /// The KEK never leaves the site, which releases keys on request until it destroys it.
    Online,
}

impl Release {
    /// The word in grants, manifests and key files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Online => "online",
        }
    }
}

/// What `keys.json` says. Fields stand in the order of their names, which is that of the bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The attempt that sealed.
    pub attempt: String,
    /// The delivery that is sealed.
    pub delivery: String,
    /// Version of the format, 1.
    pub format: u32,
    /// Id of the KEK: `DELIVERY.ATTEMPT`.
    pub kek: String,
    /// Id of the recipient.
    pub recipient: String,
    /// The KEK, wrapped to each of the recipient's keys; empty where the release is online.
    pub recipients: Vec<RecipientEntry>,
    /// How the recipient comes by the keys.
    pub release: Release,
    /// Cipher and hash of the delivery.
    pub suite: Suite,
}

/// A KEK wrapped to one public key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecipientEntry {
    /// How it is wrapped.
    pub alg: String,
    /// The wrapped KEK.
    #[serde(with = "base64_bytes")]
    pub ct: Vec<u8>,
    /// HPKE's encapsulated key.
    #[serde(with = "base64_bytes")]
    pub enc: Vec<u8>,
    /// Fingerprint of the public key.
    pub kid: String,
}

impl KeyFile {
    pub(super) fn offline(
        binding: &Binding,
        kek: &Zeroizing<[u8; KEY_BYTES]>,
        keys: &[PublicKey],
    ) -> Result<Self, ConnectorError> {
        let mut sealing: Vec<&PublicKey> = keys
            .iter()
            .filter(|key| key.algorithm() == KeyAlgorithm::X25519)
            .collect();
        sealing.sort_by_cached_key(|key| key.fingerprint());
        sealing.dedup();
        if sealing.is_empty() {
            return Err(SealError::NoRecipientKey.into());
        }
        let info = binding.hpke_info("kek");
        let mut recipients = Vec::with_capacity(sealing.len());
        for key in sealing {
            let wrapped = wrap_to(key, &info, kek.as_slice())?;
            recipients.push(RecipientEntry {
                alg: ALGORITHM.to_owned(),
                ct: wrapped.ct,
                enc: wrapped.enc.to_vec(),
                kid: key.fingerprint(),
            });
        }
        Ok(Self::of(binding, Release::Offline, recipients))
    }

    /// The key file of a delivery whose KEK stays at the site.
    pub fn online(binding: &Binding) -> Self {
        Self::of(binding, Release::Online, Vec::new())
    }

    fn of(binding: &Binding, release: Release, recipients: Vec<RecipientEntry>) -> Self {
        Self {
            attempt: binding.attempt().to_owned(),
            delivery: binding.delivery().to_owned(),
            format: FORMAT,
            kek: binding.kek_id(),
            recipient: binding.recipient().to_owned(),
            recipients,
            release,
            suite: binding.suite(),
        }
    }

    /// The canonical bytes.
    ///
    /// # Errors
    /// If they would be more than [`KEY_FILE_BYTES_MAX`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, ConnectorError> {
        let bytes = serde_json::to_vec(self)
            .map_err(|_| SealError::Fault("a key file could not be written"))?;
        if bytes.len() > KEY_FILE_BYTES_MAX {
            return Err(SealError::malformed("the recipient has too many keys").into());
        }
        Ok(bytes)
    }

    /// Reads a key file.
    ///
    /// # Errors
    /// If the bytes are not the canonical ones of a key file whose parts agree with each other.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConnectorError> {
        let malformed = |what: &str| ConnectorError::from(SealError::malformed(what));
        if bytes.len() > KEY_FILE_BYTES_MAX {
            return Err(malformed("the key file is larger than one can be"));
        }
        let file: Self = serde_json::from_slice(bytes)
            .map_err(|_| malformed("the key file is not of its form"))?;
        if file.to_bytes()? != bytes {
            return Err(malformed("the key file is not in canonical form"));
        }
        if file.format != FORMAT {
            return Err(malformed("the key file is of a format that is not known"));
        }
        let binding = file.binding()?;
        if file.kek != binding.kek_id() {
            return Err(malformed("the key file names another KEK than its own"));
        }
        if (file.release == Release::Online) != file.recipients.is_empty() {
            return Err(malformed(
                "the key file's recipients do not fit its way of release",
            ));
        }
        let ascending = file.recipients.is_sorted_by(|one, next| one.kid < next.kid);
        if !ascending || !file.recipients.iter().all(RecipientEntry::is_well_formed) {
            return Err(malformed("the key file's recipients are not of their form"));
        }
        Ok(file)
    }

    /// What everything sealed with these keys is bound to.
    ///
    /// # Errors
    /// If an id in it is malformed.
    pub fn binding(&self) -> Result<Binding, ConnectorError> {
        Binding::new(self.suite, &self.delivery, &self.attempt, &self.recipient)
    }

    /// Unwraps the KEK with the recipient's private key.
    ///
    /// # Errors
    /// If the release is online, nothing is wrapped to that key, or it does not unwrap.
    pub fn unwrap(&self, identity: &PrivateKey) -> Result<UnwrappedKek, ConnectorError> {
        if self.release == Release::Online {
            return Err(SealError::NeedsRelease.into());
        }
        let fingerprint = identity.public_key().fingerprint();
        let entry = self
            .recipients
            .iter()
            .find(|entry| entry.kid == fingerprint)
            .ok_or(SealError::NotForIdentity { fingerprint })?;
        let enc = entry
            .enc
            .as_slice()
            .try_into()
            .map_err(|_| SealError::WrappedKey)?;
        let info = self.binding()?.hpke_info("kek");
        let unwrapped = unwrap_with(identity, &info, enc, &entry.ct)?;
        let mut kek = Zeroizing::new([0; KEY_BYTES]);
        if unwrapped.len() != kek.len() {
            return Err(SealError::WrappedKey.into());
        }
        kek.copy_from_slice(&unwrapped);
        Ok(UnwrappedKek::new(self.suite, kek))
    }
}

impl RecipientEntry {
    fn is_well_formed(&self) -> bool {
        self.is_of_its_form() && self.ct.len() == KEY_BYTES + super::suite::TAG_BYTES
    }

    /// Whether algorithm, encapsulated key and fingerprint are of the form that this version writes,
    /// whatever is wrapped.
    pub fn is_of_its_form(&self) -> bool {
        self.alg == ALGORITHM
            && self.enc.len() == KEY_BYTES
            && self.kid.len() == 64
            && is_id(&self.kid)
            && self.kid.bytes().all(|byte| !byte.is_ascii_uppercase())
    }
}

/// Bytes as padded base64. Spare bits that are set are refused by the decoder.
pub(super) mod base64_bytes {
    use base64::Engine as _;

    use super::{Deserialize, Deserializer, STANDARD, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(from)?;
        STANDARD
            .decode(text)
            .map_err(|_| serde::de::Error::custom("not base64"))
    }
}
