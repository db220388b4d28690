//! Turning encrypted values of a field back, with a signature over these very values, and only once the
//! ledger knows.
//!
//! For fields whose whole treatment is one that a key turns back: `encrypt-rand`, `encrypt-det`, `fpe`,
//! `permute-int`, `structured-id`. Tokens have [vaults](crate::vault) and their own command. A grant
//! says by whom a field may be revealed (`[reveal]`): by nobody; by the site, with an approval of its own;
//! or by its recipient, whose [request] is answered without one, since the field then counts as
//! clear. No key ever leaves the site: what it was derived for is more than one field of one delivery.
//!
//! A value of `encrypt-rand` with `beside` is given with what its row holds, and turned back beside that
//! alone. Values of `encrypt-rand` say which attempt they are of, so that an approval or request can be for
//! those of one delivery.

mod line;
mod record;
pub mod request;
mod restore;
mod scope;

use std::fmt;

use arrow::datatypes::DataType;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::Purpose;
use lockgate_transforms::treatments::AnyTreatment;
use lockgate_transforms::{Column, DerivedKey, KeyUse, Unopenable};

use crate::approval::reveals::{self, ApprovedValues, ValuesRequest};
use crate::delivered::Delivered;
use crate::digest::from_hex;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::{Event, History};
use crate::plan::{Compiled, PlannedField};
use crate::site::Site;
use crate::site::field_type::FieldType;
use crate::site::grant::Reveal;
pub(crate) use record::{Revealing, once_recorded};
use restore::{Authentic, check_lines, kind_of, restore};

/// What to turn back.
#[derive(Clone, Copy)]
pub struct RevealRequest<'a> {
    /// Id of the grant whose deliveries held the values.
    pub grant: &'a str,
    /// The field.
    pub field: &'a str,
    /// The values, as they were delivered; of a field that is bound to others, each is a record of CSV: the
    /// value, and what its row holds of those.
    pub values: &'a [String],
    /// The bytes of the approval, or of the recipient's request.
    pub approval: &'a [u8],
}

impl fmt::Debug for RevealRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevealRequest({}, {}, ..)", self.grant, self.field)
    }
}

/// What values stand for. `Debug` shows none.
pub struct Revealed {
    /// Who approved it; `recipient ID` where it was the recipient who asked.
    pub approver: String,
    /// How often values can still be turned back with that approval.
    pub uses_left: u32,
    /// The values, in the order they were asked for.
    pub values: Vec<RevealedValue>,
    /// Whether a wrong key would have shown; where not, any version of the key gives some value.
    pub is_authentic: bool,
}

impl fmt::Debug for Revealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Revealed({} values, ..)", self.values.len())
    }
}

/// What a value stands for.
pub struct RevealedValue {
    /// The value, as it was delivered.
    pub value: String,
    /// The original, and the version of the key; or why no key turns the value back.
    pub found: Result<(String, u32), Unopenable>,
}

impl RevealedValue {
    /// A value that no key was tried on yet.
    fn untried(value: &str) -> Self {
        Self {
            value: value.to_owned(),
            found: Err(Unopenable::OtherKey),
        }
    }

    /// Takes what one more key gave. Every key but its own says of a cell that it is of another, so what
    /// its own says against it stays.
    fn tried(&mut self, outcome: Result<(String, u32), Unopenable>) {
        let is_better = match self.found {
            Ok(_) => false,
            Err(Unopenable::OtherKey) => true,
            Err(_) => outcome.is_ok(),
        };
        if is_better {
            self.found = outcome;
        }
    }
}

impl fmt::Debug for RevealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevealedValue(..)")
    }
}

/// What was found, and by what.
struct Found {
    values: Vec<RevealedValue>,
    authentic: Authentic,
    used: KeyUse,
}

/// Turns values of a grant's deliveries back, once the ledger has recorded that it is done. The
/// approval is kept in `state/approvals/`.
///
/// # Errors
/// A grant that isn't in force as it was signed, but for its time and quota; no approval that covers every
/// one of the values today and isn't used up, by somebody who may release whatever the key treated; a
/// field that the grant doesn't let them reveal, or whose treatment no key turns back; a key that isn't
/// there; a ledger that can't be written. Nothing is revealed then.
pub fn reveal(
    installation: &Installation,
    request: &RevealRequest<'_>,
) -> Result<Revealed, RunError> {
    let asked = Revealing {
        grant: request.grant,
        approval: request.approval,
    };
    let (approved, found, recorded) = once_recorded(
        installation,
        asked,
        |compiled| approved(installation, compiled, request),
        |compiled, approved| find(installation, compiled, request, approved),
        |history, approved, found| event(installation, history, request, approved, found),
    )?;
    let used = uses(&recorded.history, &approved.sha256).saturating_add(1);
    Ok(Revealed {
        approver: approved.approver,
        uses_left: approved.uses.saturating_sub(used),
        values: found.values,
        is_authentic: found.authentic == Authentic::Yes,
    })
}

/// How often values were turned back with an approval.
fn uses(history: &History, sha256: &str) -> u32 {
    let used = history.iter().filter(|entry| {
        matches!(&entry.event, Event::Revealed { approval_sha256, .. } if approval_sha256 == sha256)
    });
    u32::try_from(used.count()).unwrap_or(u32::MAX)
}

/// What is recorded, if by the entries before it this may be shown.
fn event(
    installation: &Installation,
    history: &History,
    request: &RevealRequest<'_>,
    approved: &ApprovedValues,
    found: &Found,
) -> Result<Event, RunError> {
    let used = uses(history, &approved.sha256);
    if used >= approved.uses {
        return Err(RunError::Denied {
            what: format!(
                "the approval was for {} uses, and is used up",
                approved.uses
            ),
            remedy: "have the values approved anew".to_owned(),
        });
    }
    scope::check(
        history,
        &installation.site,
        request.grant,
        &found.used,
        approved,
    )?;
    let count = |values: usize| u64::try_from(values).unwrap_or(u64::MAX);
    let values = found.values.iter();
    Ok(Event::Revealed {
        grant: request.grant.to_owned(),
        field: request.field.to_owned(),
        approver: approved.approver.clone(),
        approval_sha256: approved.sha256.clone(),
        values: count(request.values.len()),
        found: count(values.filter(|value| value.found.is_ok()).count()),
    })
}

/// Who a grant says may reveal a field.
fn by(site: &Site, grant: &str, field: &str) -> Reveal {
    let grant = site.grants.get(grant);
    let by = grant.and_then(|grant| grant.reveal.get(field).copied());
    by.unwrap_or(Reveal::Site)
}

fn approved(
    installation: &Installation,
    compiled: &Compiled,
    request: &RevealRequest<'_>,
) -> Result<ApprovedValues, RunError> {
    let site = &installation.site;
    let asked = ValuesRequest {
        grant: request.grant,
        field: request.field,
        values: request.values,
        today: installation.today()?,
    };
    let is_recipients = request::is_one(request.approval);
    match by(site, request.grant, request.field) {
        Reveal::None => Err(nobody_may(request.field)),
        Reveal::Recipient if is_recipients => {
            request::verify(site, compiled.plan(), &asked, request.approval)
        }
        Reveal::Site if is_recipients => Err(RunError::Denied {
            what: format!(
                "the grant doesn't let its recipient reveal field `{}`",
                request.field
            ),
            remedy: "have the values approved with `lockgate reveal approve`".to_owned(),
        }),
        Reveal::Recipient | Reveal::Site => reveals::verify(site, &asked, request.approval),
    }
}

/// Checks that no field whose tokens are of that domain is one that the grant lets nobody reveal.
///
/// # Errors
/// [`RunError::Denied`] where one is.
pub(crate) fn check_tokens(site: &Site, compiled: &Compiled, domain: &str) -> Result<(), RunError> {
    let plan = compiled.plan();
    let kept = plan.fields.iter().find(|field| {
        let uses = field.treatment.vault_uses();
        by(site, &plan.grant, &field.name) == Reveal::None
            && uses.iter().any(|used| used.domain == domain)
    });
    match kept {
        None => Ok(()),
        Some(field) => Err(nobody_may(&field.name)),
    }
}

fn nobody_may(field: &str) -> RunError {
    RunError::Denied {
        what: format!("the grant lets nobody reveal field `{field}`"),
        remedy: "another version of the grant, signed by the approver, may".to_owned(),
    }
}

/// Holds other fields of the grant to what it says of them: the same key turns back their values too.
fn check_others(
    site: &Site,
    compiled: &Compiled,
    used: &KeyUse,
    approved: &ApprovedValues,
) -> Result<(), RunError> {
    let plan = compiled.plan();
    for field in &plan.fields {
        if !field.treatment.key_uses().contains(used) {
            continue;
        }
        match by(site, &plan.grant, &field.name) {
            Reveal::None => return Err(nobody_may(&field.name)),
            Reveal::Site if approved.recipient.is_some() => {
                return Err(RunError::Denied {
                    what: format!(
                        "the key is that of field `{}` too, which the grant doesn't let its recipient \
                         reveal",
                        field.name
                    ),
                    remedy: "give the fields domains of their own, in another version of the grant"
                        .to_owned(),
                });
            }
            Reveal::Site | Reveal::Recipient => {}
        }
    }
    Ok(())
}

/// Checks before an approval is signed that it could be used: a field that the grant delivers, lines of that
/// field, a delivery of the grant, and values that say which they are of.
///
/// # Errors
/// Whatever of it isn't so; problems in the files of the grant.
pub fn check_approvable(
    installation: &Installation,
    asked: &ValuesRequest<'_>,
    delivery: Option<&str>,
) -> Result<(), RunError> {
    let delivery = reveals::check_delivery(delivery)?;
    let compiled = installation.compile(asked.grant, installation.mode_to_show(asked.grant))?;
    let field = field_of(&compiled, asked.field)?;
    check_lines(&field.treatment, asked.values)?;
    attempt_of(installation, asked.grant, field, delivery.as_deref())?;
    Ok(())
}

fn field_of<'a>(compiled: &'a Compiled, name: &str) -> Result<&'a PlannedField, RunError> {
    let mut fields = compiled.plan().fields.iter();
    let field = fields.find(|field| field.name == name);
    field.ok_or_else(|| RunError::Denied {
        what: format!("the grant delivers no field `{name}`"),
        remedy: "`lockgate grant show` names the fields".to_owned(),
    })
}

fn find(
    installation: &Installation,
    compiled: &Compiled,
    request: &RevealRequest<'_>,
    approved: &ApprovedValues,
) -> Result<Found, RunError> {
    let field = field_of(compiled, request.field)?;
    let authentic = kind_of(&field.treatment);
    let (authentic, used) = authentic
        .zip(field.treatment.key_uses().into_iter().next())
        .ok_or_else(|| RunError::Denied {
            what: format!("values of field `{}` can't be turned back", request.field),
            remedy: "its treatment takes something away, or is made of several; tokens are turned \
                     back with `lockgate tokens reveal`"
                .to_owned(),
        })?;
    check_others(&installation.site, compiled, &used, approved)?;
    check_lines(&field.treatment, request.values)?;
    let delivery = approved.delivery.as_deref();
    let attempt = attempt_of(installation, request.grant, field, delivery)?;
    let mut values: Vec<RevealedValue> = request
        .values
        .iter()
        .map(|value| RevealedValue::untried(value))
        .collect();
    let data_type = source_type(field)?;
    for version in versions(installation, &used, approved, authentic)? {
        let key = key_of(installation, request.grant, &used, version)?;
        let column = Column::alone(&field.name, &data_type, &field.category);
        let restored = restore(&field.treatment, column, &key, request.values, attempt)?;
        for (value, restored) in values.iter_mut().zip(restored) {
            value.tried(restored.map(|original| (original, version)));
        }
    }
    Ok(Found {
        values,
        authentic,
        used,
    })
}

/// The attempt that values have to be of: that of the one delivery that they were approved for, as the
/// ledger has it. Absent where they may be of any.
fn attempt_of(
    installation: &Installation,
    grant: &str,
    field: &PlannedField,
    delivery: Option<&str>,
) -> Result<Option<[u8; 16]>, RunError> {
    let Some(delivery) = delivery else {
        return Ok(None);
    };
    let denied = |what: String| RunError::Denied {
        what,
        remedy: "have the values approved without --delivery, or for the delivery that holds them"
            .to_owned(),
    };
    if !matches!(field.treatment.treatment(), AnyTreatment::EncryptRand(_)) {
        return Err(denied(format!(
            "values of field `{}` don't say which delivery they are of",
            field.name
        )));
    }
    let history = installation.history()?;
    let delivered = Delivered::find(&history, delivery).filter(|found| found.grant == grant);
    let delivered = delivered.ok_or_else(|| {
        denied(format!(
            "the ledger released no delivery {delivery} of `{grant}`"
        ))
    })?;
    let cell_attempt = delivered.cell_attempt.as_deref().and_then(from_hex);
    cell_attempt.map(Some).ok_or_else(|| {
        denied(format!(
            "the ledger doesn't say of which attempt the values of delivery {delivery} are"
        ))
    })
}

fn source_type(field: &PlannedField) -> Result<DataType, RunError> {
    FieldType::parse(&field.source_type)
        .map(|data_type| data_type.to_arrow())
        .map_err(|what| RunError::Invalid {
            what,
            at: format!("field {}", field.name),
            remedy: String::new(),
        })
}

/// The versions of the key to try, the newest first: where a wrong one shows, each; else one.
fn versions(
    installation: &Installation,
    used: &KeyUse,
    approved: &ApprovedValues,
    authentic: Authentic,
) -> Result<Vec<u32>, RunError> {
    let listed = installation.keyring().list()?;
    let mut versions: Vec<u32> = listed
        .iter()
        .filter(|key| key.purpose.as_str() == used.purpose)
        .map(|key| key.version)
        .filter(|version| approved.key_version.is_none_or(|only| only == *version))
        .collect();
    if versions.is_empty() {
        let version = approved.key_version;
        let version = version.map_or(String::new(), |number| format!(" of version {number}"));
        return Err(RunError::Denied {
            what: format!("the keyring has no key `{}`{version}", used.purpose),
            remedy:
                "`lockgate keys list` names the versions; have the values approved for one of them"
                    .to_owned(),
        });
    }
    versions.sort_unstable_by(|one, other| other.cmp(one));
    if authentic == Authentic::No && versions.len() > 1 {
        return Err(RunError::Denied {
            what: "each version of the key gives some value, and nothing shows which is right"
                .to_owned(),
            remedy: "have it approved for one with --key-version: the delivery's manifest names it"
                .to_owned(),
        });
    }
    Ok(versions)
}

fn key_of(
    installation: &Installation,
    grant: &str,
    used: &KeyUse,
    version: u32,
) -> Result<DerivedKey, RunError> {
    let purpose: Purpose = used.purpose.parse().map_err(ConnectorError::from)?;
    let master = installation.keyring().get(purpose, Some(version))?;
    let scope = Installation::scope(grant, used.join.as_deref());
    Ok(DerivedKey::derive(
        master.expose(),
        used.purpose,
        &used.domain,
        &scope,
        master.version,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_own_key_says_of_a_value_stays_whichever_is_tried_last() {
        let original = || Ok(("original".to_owned(), 2));
        for (outcomes, expected) in [
            (vec![], Err(Unopenable::OtherKey)),
            (
                vec![Err(Unopenable::Bound), Err(Unopenable::OtherKey)],
                Err(Unopenable::Bound),
            ),
            (
                vec![Err(Unopenable::OtherKey), Err(Unopenable::NotAuthentic)],
                Err(Unopenable::NotAuthentic),
            ),
            (vec![Err(Unopenable::NotAuthentic), original()], original()),
            (vec![original(), Err(Unopenable::NotAuthentic)], original()),
        ] {
            let mut value = RevealedValue::untried("AAAA");
            for outcome in outcomes {
                value.tried(outcome);
            }
            assert_eq!(value.found, expected);
        }
    }
}
