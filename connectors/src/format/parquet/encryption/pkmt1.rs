//! Key metadata of the form PKMT1, which key management of parquet-java and pyarrow's
//! `CryptoFactory` read: a JSON document in each `key_metadata` of a Parquet file.
//!
//! Written here with internal storage and single wrapping: the wrapped key stands in the file, and
//! the master key is the delivery's KEK. It is not authenticated, so that nothing in it is trusted:
//! an address of a key service is never used, a master key other than the expected one is refused,
//! and what a wrapped key is for is bound by its wrapping and by nothing that stands here.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::seal::DekUse;

/// What `keyMaterialType` must be.
const KIND: &str = "PKMT1";

/// What stands where a key service would be named, and is never read.
const NO_SERVICE: &str = "DEFAULT";

/// Longest document that is read: names of columns are the only part without a narrow limit.
const BYTES_MAX: usize = 8 << 10;

/// What a wrapped key is for, as it is bound when it is wrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyUse {
    /// The footer, and the columns without a key of their own.
    Footer,
    /// A column, by its path.
    Column(String),
}

impl KeyUse {
    /// The use that the key's wrapping is bound to.
    pub(crate) fn as_dek_use(&self) -> DekUse<'_> {
        match self {
            Self::Footer => DekUse::Footer,
            Self::Column(path) => DekUse::Column(path),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        match text {
            "footer" => Some(Self::Footer),
            _ => text
                .strip_prefix("column:")
                .filter(|path| !path.is_empty())
                .map(|path| Self::Column(path.to_owned())),
        }
    }
}

/// Where key metadata stands in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Beside the encrypted footer.
    Footer,
    /// Beside a column's own encrypted metadata, within the footer.
    Column,
}

/// A wrapped key as key metadata has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyMaterial {
    /// What it is for.
    pub(crate) used_for: KeyUse,
    /// The wrapped key: nonce, ciphertext, tag.
    pub(crate) wrapped: Vec<u8>,
}

/// The document as it is written. The order of its fields is that of parquet-java.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Document {
    key_material_type: String,
    internal_storage: bool,
    is_footer_key: bool,
    #[serde(
        rename = "kmsInstanceID",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    kms_instance_id: Option<String>,
    #[serde(
        rename = "kmsInstanceURL",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    kms_instance_url: Option<String>,
    #[serde(rename = "masterKeyID")]
    master_key_id: String,
    #[serde(rename = "wrappedDEK")]
    wrapped_dek: String,
    double_wrapping: bool,
}

impl KeyMaterial {
    /// The document, for that place in a file whose KEK is called `kek`.
    ///
    /// The wrapped key is written `USE.BASE64`. To a reader's key service it is one opaque text, and
    /// the only one it is given: it could not tell otherwise what the wrapping is bound to.
    pub(crate) fn to_bytes(&self, place: Place, kek: &str) -> Option<Vec<u8>> {
        let service = (place == Place::Footer).then(|| NO_SERVICE.to_owned());
        let document = Document {
            key_material_type: KIND.to_owned(),
            internal_storage: true,
            is_footer_key: place == Place::Footer,
            kms_instance_id: service.clone(),
            kms_instance_url: service,
            master_key_id: kek.to_owned(),
            wrapped_dek: format!(
                "{}.{}",
                self.used_for.as_dek_use(),
                STANDARD.encode(&self.wrapped)
            ),
            double_wrapping: false,
        };
        serde_json::to_vec(&document).ok()
    }

    /// Reads the document found at that place in a file whose KEK must be called `kek`. An error
    /// says what is wrong with it, and repeats nothing of it.
    pub(crate) fn read(bytes: &[u8], place: Place, kek: &str) -> Result<Self, &'static str> {
        if bytes.len() > BYTES_MAX {
            return Err("key metadata is too long");
        }
        let document: Document = serde_json::from_slice(bytes)
            .map_err(|_| "key metadata is not of the form PKMT1 that is written here")?;
        if document.key_material_type != KIND {
            return Err("key metadata is of another kind than PKMT1");
        }
        if !document.internal_storage {
            return Err("key metadata points to keys outside the file");
        }
        if document.double_wrapping {
            return Err("key metadata names a second wrapping");
        }
        if document.master_key_id != kek {
            return Err("key metadata names another master key than the delivery's");
        }
        if document.is_footer_key != (place == Place::Footer) {
            return Err("key metadata of footer and columns is exchanged");
        }
        let (used_for, wrapped) = document
            .wrapped_dek
            .rsplit_once('.')
            .ok_or("key metadata does not say what its key is for")?;
        let used_for =
            KeyUse::parse(used_for).ok_or("key metadata does not say what its key is for")?;
        if place == Place::Footer && used_for != KeyUse::Footer {
            return Err("key metadata of footer and columns is exchanged");
        }
        let wrapped = STANDARD
            .decode(wrapped)
            .map_err(|_| "key metadata holds a wrapped key that is not base64")?;
        Ok(Self { used_for, wrapped })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEK: &str = "0123456789abcdef0123456789abcdef.00112233445566aa";

    fn material(used_for: KeyUse) -> KeyMaterial {
        KeyMaterial {
            used_for,
            wrapped: vec![7; 60],
        }
    }

    fn footer() -> String {
        let bytes = material(KeyUse::Footer).to_bytes(Place::Footer, KEK);
        String::from_utf8(bytes.unwrap()).unwrap()
    }

    #[test]
    fn what_is_written_is_read_back() {
        for (place, used_for) in [
            (Place::Footer, KeyUse::Footer),
            (Place::Column, KeyUse::Footer),
            (Place::Column, KeyUse::Column("a.list.element".to_owned())),
            (Place::Column, KeyUse::Column("姓名".to_owned())),
        ] {
            let material = material(used_for);
            let bytes = material.to_bytes(place, KEK).unwrap();
            assert_eq!(KeyMaterial::read(&bytes, place, KEK), Ok(material));
        }
    }

    #[test]
    fn a_footers_document_has_what_key_tools_ask_for() {
        assert_eq!(
            footer(),
            format!(
                "{{\"keyMaterialType\":\"PKMT1\",\"internalStorage\":true,\"isFooterKey\":true,\
                 \"kmsInstanceID\":\"DEFAULT\",\"kmsInstanceURL\":\"DEFAULT\",\
                 \"masterKeyID\":\"{KEK}\",\"wrappedDEK\":\"footer.{}\",\"doubleWrapping\":false}}",
                STANDARD.encode([7; 60])
            )
        );
    }

    #[test]
    fn an_address_of_a_key_service_means_nothing() {
        let text = footer().replacen("DEFAULT", "http://169.254.169.254/", 2);
        let read = KeyMaterial::read(text.as_bytes(), Place::Footer, KEK);
        assert_eq!(read, Ok(material(KeyUse::Footer)));
    }

    #[test]
    fn whatever_is_not_as_it_is_written_is_refused() {
        let text = footer();
        for (from, to, what) in [
            ("PKMT1", "PKMT2", "another kind"),
            (
                "\"internalStorage\":true",
                "\"internalStorage\":false",
                "outside the file",
            ),
            (
                "\"doubleWrapping\":false",
                "\"doubleWrapping\":true",
                "second wrapping",
            ),
            (
                KEK,
                "0123456789abcdef0123456789abcdef.ffffffffffffffff",
                "another master key",
            ),
            ("\"isFooterKey\":true", "\"isFooterKey\":false", "exchanged"),
            ("footer.", "column:name.", "exchanged"),
            ("footer.", "", "what its key is for"),
            ("footer.", "column:.", "what its key is for"),
            ("footer.", "file.", "what its key is for"),
            ("footer.", "footer.%", "not base64"),
            ("{", "{\"wrappedKEK\":\"\",", "not of the form"),
            ("{", "{\"masterKeyID\":\"x\",", "not of the form"),
            ("}", "", "not of the form"),
        ] {
            assert!(text.contains(from), "{from}");
            let altered = text.replacen(from, to, 1);
            let error = KeyMaterial::read(altered.as_bytes(), Place::Footer, KEK).unwrap_err();
            assert!(error.contains(what), "{from} to {to}: {error}");
        }
        let exchanged = KeyMaterial::read(text.as_bytes(), Place::Column, KEK);
        assert!(exchanged.unwrap_err().contains("exchanged"));
        let long = vec![b' '; BYTES_MAX + 1];
        assert!(KeyMaterial::read(&long, Place::Footer, KEK).is_err());
    }
}
