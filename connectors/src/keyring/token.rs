//! A token behind PKCS#11: AES-256 keys that never leave it, found by label and the keyring's id.
//!
//! What a module answers is told coarsely: modules differ in which error they give, and SoftHSM
//! calls a wrong tag a general error.

use std::collections::BTreeMap;
use std::ffi::c_ulong;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Function, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, SessionState, UserType};
use cryptoki::types::AuthPin;
use zeroize::Zeroizing;

use super::cipher::{self, NONCE_BYTES, OVERHEAD_BYTES, TAG_BYTES};
use super::{KEY_BYTES, KeyringError, SecretSource};

/// What a key is tried with when it is made, or when a token's answer does not tell what failed.
const PROBE: [u8; KEY_BYTES] = [0; KEY_BYTES];

/// What the trial is bound to.
const PROBE_DATA: &[u8] = b"lockgate/v1 trial of a token";

/// `CKR_AEAD_DECRYPT_FAILED` of PKCS#11 3.0, which the library has no name for.
const AEAD_DECRYPT_FAILED: c_ulong = 66;

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

    /// The token's label.
    pub(super) fn label(&self) -> &str {
        &self.source.label
    }

    /// Refuses another token than this one: its keys cannot go there.
    pub(super) fn check_is(&self, source: &TokenSource) -> Result<(), KeyringError> {
        if (&self.source.module, &self.source.label) == (&source.module, &source.label) {
            return Ok(());
        }
        Err(self.unusable(
            "is another than the one that holds the keyring: dispose of its deliveries, protect the keyring by a passphrase or a key file, and then by the other token",
        ))
    }

    /// Whether a key is there.
    pub(super) fn holds(&self, label: &str, id: &[u8]) -> Result<bool, KeyringError> {
        self.with(|session| Ok(!session.find_objects(&named(label, id))?.is_empty()))
    }

    /// Whether a key's bytes can be, or ever could be, read: a key that was brought in was elsewhere before.
    pub(super) fn may_have_been_read(&self, label: &str, id: &[u8]) -> Result<bool, KeyringError> {
        self.with(|session| {
            let key = only(session, label, id)?;
            let told = session.get_attributes(
                key,
                &[
                    AttributeType::Extractable,
                    AttributeType::Sensitive,
                    AttributeType::NeverExtractable,
                    AttributeType::AlwaysSensitive,
                ],
            )?;
            let assured = [
                Attribute::Extractable(false),
                Attribute::Sensitive(true),
                Attribute::NeverExtractable(true),
                Attribute::AlwaysSensitive(true),
            ];
            Ok(!assured.iter().all(|assured| told.contains(assured)))
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
        let nonce = cipher::nonce()?;
        self.with(|session| {
            let mut template = kept(label, id);
            template.push(Attribute::ValueLen(KEY_BYTES.try_into()?));
            let key = session.generate_key(&Mechanism::AesKeyGen, &template)?;
            or_destroy(session, key, try_key(session, key, nonce))
        })
    }

    /// Brings a key into the token, which it never leaves again, and shows that the token took this very
    /// key, keeps it, and gives it to nobody.
    pub(super) fn import(
        &self,
        label: &str,
        id: &[u8],
        key: &[u8; KEY_BYTES],
    ) -> Result<(), KeyringError> {
        let nonce = cipher::nonce()?;
        self.with(|session| {
            let mut template = kept(label, id);
            template.push(Attribute::Value(key.to_vec()));
            let created = session.create_object(&template);
            for attribute in &mut template {
                if let Attribute::Value(value) = attribute {
                    zeroize::Zeroize::zeroize(value);
                }
            }
            let imported = created?;
            or_destroy(session, imported, try_import(session, imported, key, nonce))
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
            encrypt(session, key, nonce, plaintext, aad)
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
        let another = cipher::nonce()?;
        self.with(|session| {
            let key = only(session, label, id)?;
            match decrypt(session, key, *nonce, body, aad) {
                Ok(opened) => Ok(Some(opened)),
                Err(Error::Pkcs11(answer, Function::Decrypt)) if refuses_content(answer) => {
                    Ok(None)
                }
                // SoftHSM says so of a wrong tag, others of a token that is sick: which of the two it is,
                // the key tells.
                Err(Error::Pkcs11(
                    RvError::GeneralError | RvError::FunctionFailed,
                    Function::Decrypt,
                )) => try_key(session, key, another).map(|()| None),
                Err(error) => Err(error),
            }
        })
    }

    /// Does something in the session. After an error the session is given up, since nobody can tell
    /// what state it is in.
    fn with<T>(&self, work: impl FnOnce(&Session) -> Result<T, Error>) -> Result<T, KeyringError> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let session = match held.take().filter(is_logged_in) {
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
        let told = module.get_token_info(slot).map_err(failed)?;
        if told.user_pin_locked() {
            return Err(self.unusable(LOCKED));
        }
        if told.user_pin_final_try() {
            return Err(self.unusable(
                "would lock itself if its pin is wrong once more, so that it was not tried: log in with the token's own program first",
            ));
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
                | RvError::UserPinNotInitialized,
                _,
            ) => {
                return KeyringError::Pin {
                    token: self.source.label.clone(),
                };
            }
            Error::Pkcs11(RvError::PinLocked, _) => LOCKED,
            Error::Pkcs11(RvError::PinExpired, _) => {
                "has a pin that has expired: set a new one with the token's own program"
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
            Error::NotSupported => {
                "does not do AES-GCM with a nonce of 12 bytes as PKCS#11 says, or does not keep a key as it is given: take another token"
            }
            Error::InvalidValue => "does not hold the key that is asked for, or holds it twice",
            _ => "failed: look into the log of its module",
        };
        self.unusable(what)
    }
}

/// What is said of a token whose pin is locked.
const LOCKED: &str = "has locked its pin: have its security officer set it anew";

/// Whether a session is still logged in. A token of a network forgets one that was idle, and says of its
/// keys then that they are not there.
fn is_logged_in(session: &Session) -> bool {
    session
        .get_session_info()
        .is_ok_and(|told| matches!(told.session_state(), SessionState::RwUser))
}

/// AES-256-GCM: nonce, ciphertext, tag.
fn encrypt(
    session: &Session,
    key: ObjectHandle,
    nonce: [u8; NONCE_BYTES],
    plaintext: &[u8],
    aad: &[u8],
) -> Result<Vec<u8>, Error> {
    let encrypted = |mut iv: [u8; NONCE_BYTES]| -> Result<Vec<u8>, Error> {
        let body = {
            let mechanism = Mechanism::AesGcm(GcmParams::new(&mut iv, aad, 128.into())?);
            session.encrypt(&mechanism, key, plaintext)?
        };
        // One that used the zeros it was given for a nonce would use them again.
        if body.len() != plaintext.len().saturating_add(TAG_BYTES) || iv == [0; NONCE_BYTES] {
            return Err(Error::NotSupported);
        }
        // Some tokens draw the nonce themselves, and write it where ours was.
        Ok([iv.as_slice(), &body].concat())
    };
    match encrypted(nonce) {
        // Of those, some refuse any but zeros.
        Err(Error::Pkcs11(RvError::MechanismParamInvalid, _)) => encrypted([0; NONCE_BYTES]),
        done => done,
    }
}

fn decrypt(
    session: &Session,
    key: ObjectHandle,
    mut nonce: [u8; NONCE_BYTES],
    body: &[u8],
    aad: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let mechanism = Mechanism::AesGcm(GcmParams::new(&mut nonce, aad, 128.into())?);
    session.decrypt(&mechanism, key, body).map(Zeroizing::new)
}

/// Shows that a key opens what it sealed.
fn try_key(session: &Session, key: ObjectHandle, nonce: [u8; NONCE_BYTES]) -> Result<(), Error> {
    let sealed = encrypt(session, key, nonce, &PROBE, PROBE_DATA)?;
    let (nonce, body) = sealed
        .split_first_chunk::<NONCE_BYTES>()
        .ok_or(Error::NotSupported)?;
    let opened = decrypt(session, key, *nonce, body, PROBE_DATA)?;
    match opened.as_slice() == PROBE {
        true => Ok(()),
        false => Err(Error::NotSupported),
    }
}

/// Shows that a key that was brought in is the one that was given, stays, and cannot be read.
fn try_import(
    session: &Session,
    imported: ObjectHandle,
    key: &[u8; KEY_BYTES],
    nonce: [u8; NONCE_BYTES],
) -> Result<(), Error> {
    let sealed = encrypt(session, imported, nonce, &PROBE, PROBE_DATA)?;
    let opened = cipher::open(key, &sealed, PROBE_DATA);
    let is_same = opened.is_some_and(|opened| opened.as_slice() == PROBE);
    let asked = [
        AttributeType::Extractable,
        AttributeType::Sensitive,
        AttributeType::Token,
    ];
    let told = session.get_attributes(imported, &asked)?;
    let assured = [
        Attribute::Extractable(false),
        Attribute::Sensitive(true),
        Attribute::Token(true),
    ];
    match is_same && assured.iter().all(|assured| told.contains(assured)) {
        true => Ok(()),
        false => Err(Error::NotSupported),
    }
}

/// Destroys a key again that was not what it should be.
fn or_destroy(session: &Session, key: ObjectHandle, tried: Result<(), Error>) -> Result<(), Error> {
    if tried.is_err() {
        // The first error is the one to report.
        drop(session.destroy_object(key));
    }
    tried
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
            | RvError::SignatureInvalid
            | RvError::UnknownErrorCode(AEAD_DECRYPT_FAILED)
    )
}
