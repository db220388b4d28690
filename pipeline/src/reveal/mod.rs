//! Turning encrypted values of a field back, with an approver's signature over these very values, and
//! only once the ledger knows.
//!
//! For fields whose whole treatment is one that a key turns back: `encrypt-rand`, `encrypt-det`, `fpe`,
//! `permute-int`, `structured-id`. Tokens have [vaults](crate::vault) and their own command. A grant
//! says by whom a field may be revealed (`[reveal]`): by nobody, or by the site.

mod restore;

use std::fmt;

use arrow::datatypes::DataType;
use lockgate_connectors::ConnectorError;
use lockgate_connectors::keyring::Purpose;
use lockgate_transforms::{Column, DerivedKey, KeyUse};

use crate::approval::reveals::{self, ApprovedValues, ValuesRequest};
use crate::approval::tokens;
use crate::error::RunError;
use crate::installation::Installation;
use crate::ledger::Event;
use crate::life;
use crate::plan::PlannedField;
use crate::site::field_type::FieldType;
use crate::site::grant::Reveal;
use restore::{Authentic, kind_of, restore};

/// What stands in the ledger for a refusal to turn values back.
const REFUSED: &str = "reveal-unapproved";

/// What to turn back.
#[derive(Clone, Copy)]
pub struct RevealRequest<'a> {
    /// Id of the grant whose deliveries held the values.
    pub grant: &'a str,
    /// The field.
    pub field: &'a str,
    /// The values, as they were delivered.
    pub values: &'a [String],
    /// The approval's bytes.
    pub approval: &'a [u8],
}

impl fmt::Debug for RevealRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RevealRequest({}, {}, ..)", self.grant, self.field)
    }
}

/// What values stand for. `Debug` shows none.
pub struct Revealed {
    /// Who approved it.
    pub approver: String,
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
    /// The original, and the version of the key; absent where no key turns the value back.
    pub found: Option<(String, u32)>,
}

impl fmt::Debug for RevealedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevealedValue(..)")
    }
}

/// Turns values of a grant's deliveries back, once the ledger has recorded that it is done. The
/// approval is kept in `state/approvals/`.
///
/// # Errors
/// No approval that covers every one of the values today; a field that the grant lets nobody reveal,
/// or whose treatment no key turns back; a key that isn't there; a ledger that can't be written.
/// Nothing is revealed then.
pub fn reveal(
    installation: &Installation,
    request: &RevealRequest<'_>,
) -> Result<Revealed, RunError> {
    let revealed = life::check_stands(installation, request.grant)
        .and_then(|()| approved(installation, request))
        .and_then(|approved| Ok((find(installation, request, &approved)?, approved)));
    let ((values, authentic), approved) = match revealed {
        Err(error @ RunError::Denied { .. }) => {
            let event = Event::Refused {
                grant: request.grant.to_owned(),
                codes: vec![REFUSED.to_owned()],
            };
            installation
                .ledger()?
                .append(&event, installation.clock.now())?;
            return Err(error);
        }
        other => other?,
    };
    let kept = installation.state().join("approvals");
    tokens::keep(&kept, &approved.sha256, request.approval)?;
    let count = |values: usize| u64::try_from(values).unwrap_or(u64::MAX);
    let event = Event::Revealed {
        grant: request.grant.to_owned(),
        field: request.field.to_owned(),
        approver: approved.approver.clone(),
        approval_sha256: approved.sha256,
        values: count(request.values.len()),
        found: count(values.iter().filter(|value| value.found.is_some()).count()),
    };
    installation
        .ledger()?
        .append(&event, installation.clock.now())?;
    Ok(Revealed {
        approver: approved.approver,
        values,
        is_authentic: authentic == Authentic::Yes,
    })
}

fn approved(
    installation: &Installation,
    request: &RevealRequest<'_>,
) -> Result<ApprovedValues, RunError> {
    let grant = installation.site.grants.get(request.grant);
    if grant.is_some_and(|grant| grant.reveal.get(request.field) == Some(&Reveal::None)) {
        return Err(nobody_may(request.field));
    }
    reveals::verify(
        &installation.site,
        &ValuesRequest {
            grant: request.grant,
            field: request.field,
            values: request.values,
            today: installation.today()?,
        },
        request.approval,
    )
}

/// Checks that no field whose tokens are of that domain is one that the grant lets nobody reveal.
///
/// # Errors
/// [`RunError::Denied`] where one is.
pub(crate) fn check_tokens(
    installation: &Installation,
    grant: &str,
    domain: &str,
) -> Result<(), RunError> {
    let written = installation.site.grants.get(grant);
    let nobody =
        |field: &str| written.is_some_and(|grant| grant.reveal.get(field) == Some(&Reveal::None));
    if !written.is_some_and(|grant| grant.reveal.values().any(|by| *by == Reveal::None)) {
        return Ok(());
    }
    let compiled = installation.compile(grant, installation.mode_to_show(grant))?;
    let mut fields = compiled.plan().fields.iter();
    let kept = fields.find(|field| {
        let uses = field.treatment.vault_uses();
        nobody(&field.name) && uses.iter().any(|used| used.domain == domain)
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

fn find(
    installation: &Installation,
    request: &RevealRequest<'_>,
    approved: &ApprovedValues,
) -> Result<(Vec<RevealedValue>, Authentic), RunError> {
    let mode = installation.mode_to_show(request.grant);
    let compiled = installation.compile(request.grant, mode)?;
    let field = compiled.plan().fields.iter();
    let field = field.clone().find(|field| field.name == request.field);
    let field = field.ok_or_else(|| RunError::Denied {
        what: format!("the grant delivers no field `{}`", request.field),
        remedy: "`lockgate grant show` names the fields".to_owned(),
    })?;
    let authentic = kind_of(&field.treatment);
    let (authentic, used) = authentic
        .zip(field.treatment.key_uses().into_iter().next())
        .ok_or_else(|| RunError::Denied {
            what: format!("values of field `{}` can't be turned back", request.field),
            remedy: "its treatment takes something away, or is made of several; tokens are turned \
                     back with `lockgate tokens reveal`"
                .to_owned(),
        })?;
    let mut values: Vec<RevealedValue> = request
        .values
        .iter()
        .map(|value| RevealedValue {
            value: value.clone(),
            found: None,
        })
        .collect();
    let data_type = source_type(field)?;
    for version in versions(installation, &used, approved, authentic)? {
        let key = key_of(installation, request.grant, &used, version)?;
        let column = Column::alone(&field.name, &data_type, &field.category);
        let restored = restore(&field.treatment, column, &key, request.values)?;
        for (value, restored) in values.iter_mut().zip(restored) {
            if value.found.is_none() {
                value.found = restored.map(|original| (original, version));
            }
        }
    }
    Ok((values, authentic))
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
