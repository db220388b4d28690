//! Whether and how a delivery is sealed: what the grant asks for, what policy demands, what the
//! recipient's keys and the suite allow. What doesn't fit is refused; nothing is put in its place.

use lockgate_connectors::keyring::{KeyAlgorithm, PublicKey};
use lockgate_connectors::seal::{Release, Suite};

use super::Subject;
use super::fields::Resolved;
use crate::plan::{FilterField, Refusal, RefusalCode, Sealing};
use crate::site::dataset::Level;
use crate::site::grant::{DeliveryFormat, Seal};

/// How a delivery is sealed.
pub(super) struct Sealed {
    pub(super) seal: Seal,
    pub(super) sealing: Option<Sealing>,
}

/// Decides how the delivery is sealed, and refuses what may not be sealed so. Fields that decide which
/// rows leave, or how others are treated, count as delivered ones do: what is there tells of their
/// values.
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    read_only: &[FilterField],
    refusals: &mut Vec<Refusal>,
) -> Sealed {
    let delivery = &subject.grant.delivery;
    let policy = &subject.site.policy.sealing;
    let seal = delivery
        .seal
        .unwrap_or_else(|| Seal::strongest_of(delivery.format));
    if seal == Seal::None {
        if let Some(field) = at_or_above(resolved, read_only, policy.from_level) {
            refuse(
                refusals,
                Some(field.name),
                format!(
                    "policy demands sealing from level {}; write seal = \"{}\", or take `seal` out",
                    field.level,
                    Seal::strongest_of(delivery.format).as_str()
                ),
            );
        }
        if delivery.release.is_some() {
            let what = "`release` says how keys are given out, and seal = \"none\" has none";
            refuse(refusals, None, what.to_owned());
        }
        return Sealed {
            seal,
            sealing: None,
        };
    }
    let release = delivery.release.unwrap_or_default();
    check_kind(seal, delivery.format, policy.suite, refusals);
    check_recipient(subject, refusals);
    if release == Release::Online && policy.suite == Suite::Sm4GcmSm3 {
        let what = format!(
            "policy seals with {}, and keys that stay with the site are wrapped with AES; write \
             release = \"offline\"",
            policy.suite
        );
        refuse(refusals, None, what);
    }
    if release == Release::Offline
        && let Some(field) = at_or_above(resolved, read_only, policy.offline_below_level)
    {
        let what = "policy doesn't let keys of such data be given out ahead; write release = \
                    \"online\"";
        refuse(refusals, Some(field.name), what.to_owned());
    }
    Sealed {
        seal,
        sealing: Some(Sealing {
            suite: policy.suite,
            release,
            keyed_fields: keyed(seal, resolved, policy.column_keys_from_level),
        }),
    }
}

/// Parquet's encryption is of Parquet, and of AES only.
fn check_kind(seal: Seal, format: DeliveryFormat, suite: Suite, refusals: &mut Vec<Refusal>) {
    if seal != Seal::Parquet {
        return;
    }
    if format != DeliveryFormat::Parquet {
        let what = "seal = \"parquet\" is Parquet's own encryption; write seal = \"envelope\" for files \
                    of another format";
        refuse(refusals, None, what.to_owned());
    }
    if suite != Suite::Aes256GcmSha256 {
        let what = format!(
            "policy seals with {suite}, which Parquet's own encryption doesn't have; write seal = \
             \"envelope\""
        );
        refuse(refusals, None, what);
    }
}

/// Whether offline or online, keys are only ever given out sealed to the recipient.
fn check_recipient(subject: &Subject<'_>, refusals: &mut Vec<Refusal>) {
    let mut keys = subject.recipient.public_keys.iter();
    let can_be_sealed_to = |text: &String| {
        PublicKey::parse(text).is_ok_and(|key| key.algorithm() == KeyAlgorithm::X25519)
    };
    if !keys.any(can_be_sealed_to) {
        let what = format!(
            "recipient `{}` has no x25519 key to seal to; let it make one with `lockgate keys pair NAME \
             --kind recipient` and put the public side into its public_keys",
            subject.recipient.id
        );
        refuse(refusals, None, what);
    }
}

/// Fields whose columns get keys of their own: an envelope has one for the whole file.
fn keyed(seal: Seal, resolved: &Resolved, from: Option<Level>) -> Vec<String> {
    let Some(from) = from.filter(|_| seal == Seal::Parquet) else {
        return Vec::new();
    };
    let fields = resolved.fields.iter();
    fields
        .filter(|field| field.level >= from)
        .map(|field| field.name.clone())
        .collect()
}

/// A field that a delivery tells of.
struct Told<'a> {
    name: &'a str,
    level: Level,
}

/// The first field at or above a level: of the delivered ones, then of those that are only read.
fn at_or_above<'a>(
    resolved: &'a Resolved,
    read_only: &'a [FilterField],
    level: Option<Level>,
) -> Option<Told<'a>> {
    let level = level?;
    let delivered = resolved.fields.iter().map(|field| Told {
        name: &field.name,
        level: field.level,
    });
    let read = read_only.iter().map(|field| Told {
        name: &field.name,
        level: field.level,
    });
    delivered.chain(read).find(|field| field.level >= level)
}

fn refuse(refusals: &mut Vec<Refusal>, field: Option<&str>, reason: String) {
    let refusal = Refusal::new(RefusalCode::Seal, reason);
    refusals.push(match field {
        Some(field) => refusal.of_field(field),
        None => refusal,
    });
}

#[cfg(test)]
mod tests;
