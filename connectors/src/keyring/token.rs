//! A token behind PKCS#11: AES-256 keys that never leave it, found by label and the keyring's id.
//!
//! What a module answers is told coarsely: modules differ in which error they give, and SoftHSM
//! calls a wrong tag a general error.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::cipher::{self, NONCE_BYTES, OVERHEAD_BYTES};
use super::{KEY_BYTES, KeyringError, SecretSource};

/// Where a token is.
#[derive(Debug, Clone)]
pub struct TokenSource {
    /// The module: a shared library of the token's maker.
    pub module: PathBuf,
    /// The token's label.
    pub label: String,
    /// Its user pin.
    pub pin: SecretSource,
}

/// Modules that were loaded. PKCS#11 knows one initialisation per process and module, so that this
/// cannot belong to a keyring; none is unloaded before the process ends.
static MODULES: Mutex<BTreeMap<PathBuf, Pkcs11>> = Mutex::new(BTreeMap::new());

/// A token with a session that is logged in. One operation at a time.
pub(super) struct Token {
    source: TokenSource,
    session: Mutex<Option<Session>>,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({})", self.source.label)
    }
}

impl Token {
    /// Opens a session and logs in.
    pub(super) fn open(source: &TokenSource) -> Result<Self, KeyringError> {
        let token = Self {
            source: source.clone(),
            session: Mutex::new(None),
        };
        token.with(|_| Ok(()))?;
        Ok(token)
    }

    /// Whether a key is there.
    pub(super) fn holds(&self, label: &str, id: &[u8]) -> Result<bool, KeyringError> {
        self.with(|session| Ok(!session.find_objects(&named(label, id))?.is_empty()))
    }

    /// Whether a key's bytes can be read out of the token.
    pub(super) fn is_extractable(&self, label: &str, id: &[u8]) -> Result<bool, KeyringError> {
        self.with(|session| {
            let key = only(session, label, id)?;
            let asked = [AttributeType::Extractable, AttributeType::Sensitive];
            let told = session.get_attributes(key, &asked)?;
            Ok(told.iter().any(|attribute| {
                matches!(
                    attribute,
                    Attribute::Extractable(true) | Attribute::Sensitive(false)
                )
            }))
        })
    }

    /// Labels of all keys of a keyring.
    pub(super) fn labels(&self, id: &[u8]) -> Result<Vec<String>, KeyringError> {
        self.with(|session| {
            let template = [
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::Id(id.to_vec()),
            ];
            let mut labels = Vec::new();
            for key in session.find_objects(&template)? {
                for told in session.get_attributes(key, &[AttributeType::Label])? {
                    if let Attribute::Label(label) = told {
                        labels.extend(String::from_utf8(label).ok());
                    }
                }
            }
            Ok(labels)
        })
    }

    /// Makes a key that never leaves the token.
    pub(super) fn generate(&self, label: &str, id: &[u8]) -> Result<(), KeyringError> {
        self.with(|session| {
            let mut template = kept(label, id);
            template.push(Attribute::ValueLen(KEY_BYTES.try_into()?));
            session.generate_key(&Mechanism::AesKeyGen, &template)?;
            Ok(())
        })
    }

    /// Brings a key into the token, which it never leaves again.
    pub(super) fn import(
        &self,
        label: &str,
        id: &[u8],
        key: &[u8; KEY_BYTES],
    ) -> Result<(), KeyringError> {
        self.with(|session| {
            let mut template = kept(label, id);
            template.push(Attribute::Value(key.to_vec()));
            let created = session.create_object(&template);
            for attribute in &mut template {
                if let Attribute::Value(value) = attribute {
                    zeroize::Zeroize::zeroize(value);
                }
            }
            created.map(drop)
        })
    }

    /// Destroys a key; whether there was one.
    pub(super) fn destroy(&self, label: &str, id: &[u8]) -> Result<bool, KeyringError> {
        self.with(|session| {
            let keys = session.find_objects(&named(label, id))?;
            for key in &keys {
                session.destroy_object(*key)?;
            }
            Ok(!keys.is_empty())
        })
    }

    /// Seals under a key, as [`cipher::seal`] does.
    pub(super) fn seal(
        &self,
        label: &str,
        id: &[u8],
        plaintext: &[u8],
        aad: &[u8],
    ) -> Result<Vec<u8>, KeyringError> {
        let aad = cipher::data(aad)?;
        let nonce = cipher::nonce()?;
        self.with(|session| {
            let key = only(session, label, id)?;
            let mut iv = nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, aad, 128.into())?);
            let body = session.encrypt(&mechanism, key, plaintext)?;
            Ok([nonce.as_slice(), &body].concat())
        })
    }

    /// Opens what [`Self::seal`] gave; `None` if the key, the bytes or the additional data are others.
    pub(super) fn open_sealed(
        &self,
        label: &str,
        id: &[u8],
        sealed: &[u8],
        aad: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, KeyringError> {
        let aad = cipher::data(aad)?;
        let Some((nonce, body)) = sealed.split_first_chunk::<NONCE_BYTES>() else {
            return Ok(None);
        };
        if sealed.len() <= OVERHEAD_BYTES {
            return Ok(None);
        }
        self.with(|session| {
            let key = only(session, label, id)?;
            let mut iv = *nonce;
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, aad, 128.into())?);
            Ok(match session.decrypt(&mechanism, key, body) {
                Ok(opened) => Some(Zeroizing::new(opened)),
                Err(Error::Pkcs11(answer, Function::Decrypt)) if refuses_content(answer) => None,
                Err(error) => return Err(error),
            })
        })
    }

    /// Does something in the session. After an error the session is given up, since nobody can tell
    /// what state it is in.
    fn with<T>(&self, work: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, KeyringError> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match held.take() {
            Some(session) => session,
            None => self.log_in()?,
        };
        let done = work(&session).map_err(|error| self.failed(&error))?;
        *held = Some(session);
        Ok(done)
    }

    fn log_in(&self) -> Result<Session, KeyringError> {
        let failed = |error: Error| self.failed(&error);
        let module = self.module()?;
        let slots = module.get_slots_with_initialized_token().map_err(failed)?;
        let mut found = slots.into_iter().filter(|slot| {
            module
                .get_token_info(*slot)
                .is_ok_and(|told| told.label() == self.source.label)
        });
        let (slot, another) = (found.next(), found.next());
        let slot = slot.ok_or_else(|| {
            self.unusable("is not there: check its label in [keys] and that it is plugged in")
        })?;
        if another.is_some() {
            return Err(self.unusable("there are several of that label: give them different ones"));
        }
        let session = module.open_rw_session(slot).map_err(failed)?;
        let pin = AuthPin::from(self.source.pin.fetch()?.as_str().to_owned());
        match session.login(UserType::User, Some(&pin)) {
            // Logins are the process's: another keyring of it may have made one.
            Ok(()) | Err(Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => Ok(session),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn module(&self) -> Result<Pkcs11, KeyringError> {
        let mut modules = MODULES.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = modules.get(&self.source.module) {
            return Ok(module.clone());
        }
        let module = Pkcs11::new(&self.source.module)
            .map_err(|_| self.unusable("its module cannot be loaded: check `module` in [keys]"))?;
        match module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)) {
            Ok(()) | Err(Error::Pkcs11(RvError::CryptokiAlreadyInitialized, _)) => {}
            Err(error) => return Err(self.failed(&error)),
        }
        modules.insert(self.source.module.clone(), module.clone());
        Ok(module)
    }

    fn unusable(&self, what: &'static str) -> KeyringError {
        KeyringError::Token {
            token: self.source.label.clone(),
            what,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "a hundred answers, of which few tell what to do"
    )]
    fn failed(&self, error: &Error) -> KeyringError {
        let what = match error {
            Error::Pkcs11(
                RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinExpired
                | RvError::PinLocked
                | RvError::UserPinNotInitialized,
                _,
            ) => {
                return KeyringError::Pin {
                    token: self.source.label.clone(),
                };
            }
            Error::Pkcs11(
                RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SlotIdInvalid,
                _,
            ) => "is not there any more: plug it in and try again",
            Error::Pkcs11(RvError::DeviceMemory, _) => "is full: dispose of deliveries first",
            Error::Pkcs11(RvError::TokenWriteProtected | RvError::SessionReadOnly, _) => {
                "is write-protected: allow this site's user to write to it"
            }
            Error::Pkcs11(RvError::MechanismInvalid | RvError::MechanismParamInvalid, _) => {
                "has no AES-GCM: take a token that has"
            }
            Error::InvalidValue => "does not hold the key that is asked for, or holds it twice",
            _ => "failed: look into the log of its module",
        };
        self.unusable(what)
    }
}

/// What finds a key.
fn named(label: &str, id: &[u8]) -> [Attribute; 3] {
    [
        Attribute::Class(ObjectClass::SECRET_KEY),
        Attribute::Label(label.as_bytes().to_vec()),
        Attribute::Id(id.to_vec()),
    ]
}

/// A key that encrypts and decrypts in the token, and can do nothing else.
fn kept(label: &str, id: &[u8]) -> Vec<Attribute> {
    let mut template = named(label, id).to_vec();
    template.extend([
        Attribute::KeyType(KeyType::AES),
        Attribute::Token(true),
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Modifiable(false),
        Attribute::Encrypt(true),
        Attribute::Decrypt(true),
        Attribute::Wrap(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ]);
    template
}

/// The one key of that name.
fn only(session: &Session, label: &str, id: &[u8]) -> Result<ObjectHandle, Error> {
    match session.find_objects(&named(label, id))?.as_slice() {
        [key] => Ok(*key),
        _ => Err(Error::InvalidValue),
    }
}

/// Whether an answer to a decryption says that the bytes, or the data beside them, are not those that
/// were sealed.
const fn refuses_content(answer: RvError) -> bool {
    matches!(
        answer,
        RvError::EncryptedDataInvalid
            | RvError::EncryptedDataLenRange
            | RvError::DataInvalid
            | RvError::DataLenRange
            | RvError::GeneralError
            | RvError::FunctionFailed
    )
}
