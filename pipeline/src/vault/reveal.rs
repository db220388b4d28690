//! Turning tokens back into values: with an approver's signature over these very tokens, and only
//! once the ledger knows.

use std::fmt;

use lockgate_transforms::VaultCipher;

use super::check::{confirm, file_names, open};
use super::label::file_name_begin;
use super::open::{path_of, place_of};
use super::reader::VaultReader;
use super::saves;
use crate::approval::tokens::{self, Approved, TokenRequest};
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::Event;
use crate::reveal::{Revealing, check_tokens, once_recorded};

/// What to turn back.
#[derive(Clone, Copy)]
pub struct RevealRequest<'a> {
    /// Id of the grant whose deliveries held the tokens.
    pub grant: &'a str,
    /// The tokens.
    pub tokens: &'a [String],
    /// The approval's bytes.
    pub approval: &'a [u8],
}

impl fmt::Debug for RevealRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevealRequest({}, ..)", self.grant)
    }
}

/// What tokens stand for. `Debug` shows no value.
pub struct Revealed {
    /// Consistency domain of the tokens.
    pub domain: String,
    /// Who approved it.
    pub approver: String,
    /// The tokens, in the order they were asked for.
    pub tokens: Vec<RevealedToken>,
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revealed({} tokens, ..)", self.tokens.len())
    }
}

/// What a token stands for.
pub struct RevealedToken {
    /// The token.
    pub token: String,
    /// The value, and the version of the key that the token's vault is sealed with; absent where no
    /// vault of the grant holds the token.
    pub found: Option<(String, u32)>,
}

impl fmt::Debug for RevealedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevealedToken(..)")
    }
}

/// Turns tokens of a grant's deliveries back, once the ledger has recorded that it is done. The
/// approval is kept in `state/approvals/`, where an auditor finds it by the hash in the ledger.
///
/// # Errors
/// A grant that isn't in force as it was signed, but for its time and quota; no approval that covers every
/// one of the tokens today, or by an approver who may not release the data of every department in the
/// vault; a token that several of the vaults hold; a vault that is in use or can't be read; a ledger that
/// can't be written. Nothing is revealed then.
pub fn reveal(
    installation: &Installation,
    request: &RevealRequest<'_>,
) -> Result<Revealed, RunError> {
    let asked = Revealing {
        grant: request.grant,
        approval: request.approval,
    };
    let (approved, tokens, _) = once_recorded(
        installation,
        asked,
        |_| approved(installation, request),
        |compiled, approved| {
            check_tokens(&installation.site, compiled, &approved.domain)?;
            find(installation, request, approved)
        },
        |_, approved, tokens| Ok(event(request, approved, tokens)),
    )?;
    Ok(Revealed {
        domain: approved.domain,
        approver: approved.approver,
        tokens,
    })
}

/// What is recorded.
fn event(request: &RevealRequest<'_>, approved: &Approved, tokens: &[RevealedToken]) -> Event {
    let count = |tokens: usize| u64::try_from(tokens).unwrap_or(u64::MAX);
    let found = tokens.iter().filter(|token| token.found.is_some());
    Event::TokensRevealed {
        grant: request.grant.to_owned(),
        domain: approved.domain.clone(),
        approver: approved.approver.clone(),
        approval_sha256: approved.sha256.clone(),
        tokens: count(request.tokens.len()),
        found: count(found.count()),
    }
}

fn approved(
    installation: &Installation,
    request: &RevealRequest<'_>,
) -> Result<Approved, RunError> {
    tokens::verify(
        &installation.site,
        &TokenRequest {
            grant: request.grant,
            tokens: request.tokens,
            today: installation.today()?,
        },
        request.approval,
    )
}

fn find(
    installation: &Installation,
    request: &RevealRequest<'_>,
    approved: &Approved,
) -> Result<Vec<RevealedToken>, RunError> {
    let vaults = vaults(installation, approved)?;
    let mut tokens = Vec::with_capacity(request.tokens.len());
    for (at, token) in request.tokens.iter().enumerate() {
        let mut found = None;
        for (place, reader, cipher) in &vaults {
            let value = reader
                .value_of(cipher, token)
                .map_err(|trouble| trouble.at(place))?;
            let Some(value) = value else { continue };
            // They stand for different things, and one approval is for one of them.
            if found.is_some() {
                return Err(RunError::Denied {
                    what: format!("several vaults hold token {} of the list", at + 1),
                    remedy: "have it approved for one scope or one version of the key, with \
                             `--scope` or `--key-version`: the delivery's manifest names the version"
                        .to_owned(),
                });
            }
            found = Some((value, reader.id.key_version));
        }
        tokens.push(RevealedToken {
            token: token.clone(),
            found,
        });
    }
    Ok(tokens)
}

/// The vaults that may hold tokens of the grant's deliveries: of the domain, and of its own scope or
/// that of a join group it lists.
fn vaults(
    installation: &Installation,
    approved: &Approved,
) -> Result<Vec<(String, VaultReader, VaultCipher)>, RunError> {
    let begins = approved.scopes.iter();
    let begins: Vec<String> = begins
        .map(|scope| file_name_begin(&approved.domain, scope))
        .collect();
    let mut names = file_names(installation)?;
    let is_asked = |name: &String| begins.iter().any(|begin| name.starts_with(begin));
    names.retain(is_asked);
    let known = saves::known(installation)?;
    for name in known.keys().filter(|name| is_asked(name)) {
        if !names.contains(name) {
            tracing::warn!(
                vault = place_of(name),
                "This token vault is gone; none of its tokens can be found."
            );
        }
    }
    let mut vaults = Vec::new();
    for name in names {
        let place = place_of(&name);
        // Behind a damaged page tokens would be missed.
        let reader = VaultReader::open_checked(&path_of(installation, &name))
            .map_err(|trouble| trouble.at(&place))?;
        let (reader, cipher) = open(installation, &name, reader)?;
        let wanted = approved.key_version;
        if wanted.is_some_and(|version| version != reader.id.key_version) {
            continue;
        }
        // What an older copy has is right; what it lacks has to be explained.
        if let Err(fault) = confirm(&reader, known.get(&name), &place) {
            tracing::warn!("Tokens may not be found: {fault}.");
        }
        let providers = reader.providers().map_err(|trouble| trouble.at(&place))?;
        let missing = providers
            .iter()
            .find(|name| !approved.providers.contains(*name));
        if let Some(provider) = missing {
            return Err(RunError::Denied {
                what: format!(
                    "the vault also holds data of provider `{provider}`, for which approver `{}` is \
                     not listed",
                    approved.approver
                ),
                remedy: "have it approved by somebody whom lockgate.toml lists for every provider \
                         of the join group"
                    .to_owned(),
            });
        }
        vaults.push((place, reader, cipher));
    }
    Ok(vaults)
}
