//! What an approver signs when a step of a grant's life, or the end of a halt, is theirs: which step, of
//! which version, why, and which entry of which ledger it answers, so that it can't be used a second
//! time.

use std::collections::BTreeSet;
use std::path::Path;

use ed25519_dalek::{SigningKey, VerifyingKey};
use lockgate_connectors::durable;
use lockgate_connectors::keyring::read_private;
use serde::{Deserialize, Serialize};

use super::standing::Resumed;
use crate::approval::{approvers_of, key_of};
use crate::digest::{is_hex, sha256_hex};
use crate::error::RunError;
use crate::ledger::{GrantState, HaltScope};
use crate::site::Site;
use crate::{canonical_json, dsse};

/// DSSE payload type of a step that an approver signed.
const PAYLOAD_TYPE: &str = "application/vnd.lockgate.grant-step+json";

/// DSSE payload type of the end of a halt that an approver signed.
const LIFT_PAYLOAD_TYPE: &str = "application/vnd.lockgate.halt-lift+json";

/// Version of the payloads' forms.
const FORMAT: u32 = 1;

/// Most bytes of a step that is read back.
const BYTES_MAX: u64 = 1 << 20;

/// What an approver signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Order {
    /// Version of this form.
    pub(super) format: u32,
    /// Id of the grant.
    pub(super) grant: String,
    /// Version of the grant.
    pub(super) version: u32,
    /// The state that the grant comes into.
    pub(super) to: GrantState,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) reason: Option<String>,
    /// The legal basis of a refusal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) basis: Option<String>,
    /// Department that holds the data.
    pub(super) provider: String,
    /// Name of the approver in lockgate.toml.
    pub(super) approver: String,
    /// Origin of the ledger that this is about; absent where nothing was recorded yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) ledger: Option<String>,
    /// The entry of the grant's life that this answers; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) answers: Option<u64>,
}

/// What an approver signs to end a halt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Lift {
    /// Version of this form.
    pub(super) format: u32,
    /// What is halted.
    pub(super) scope: HaltScope,
    /// Why it ends.
    pub(super) reason: String,
    /// Name of the approver in lockgate.toml.
    pub(super) approver: String,
    /// Origin of the ledger.
    pub(super) ledger: Option<String>,
    /// The entry of the halt.
    pub(super) answers: u64,
}

/// A signed order.
#[derive(Debug)]
pub(super) struct SignedOrder {
    /// The approver whose key signed.
    pub(super) approver: String,
    /// The envelope.
    pub(super) envelope: Vec<u8>,
    /// Its hash.
    pub(super) sha256: String,
}

/// Signs an order with the key of an approver of its provider; the order's `approver` and `format` are
/// filled in here.
pub(super) fn sign(site: &Site, mut order: Order, key: &Path) -> Result<SignedOrder, RunError> {
    let key = read_private(key)?.signing_key()?;
    let names = approvers_of(site, &order.provider, &key.verifying_key());
    let Some(approver) = names.first() else {
        return Err(RunError::Denied {
            what: format!(
                "the key is not that of an approver listed for provider `{}` in lockgate.toml",
                order.provider
            ),
            remedy: "have an approver of the provider sign".to_owned(),
        });
    };
    (*approver).clone_into(&mut order.approver);
    order.format = FORMAT;
    signed(PAYLOAD_TYPE, &order, &order.approver, &key)
}

/// Signs the end of a halt with the key of an approver: of the provider where the halt is over its data,
/// else of any. The document's `approver` and `format` are filled in here.
pub(super) fn sign_lift(site: &Site, mut lift: Lift, key: &Path) -> Result<SignedOrder, RunError> {
    let key = read_private(key)?.signing_key()?;
    let names = match &lift.scope {
        HaltScope::Provider(provider) => approvers_of(site, provider, &key.verifying_key()),
        HaltScope::Recipient(_) | HaltScope::All => approvers_of_any(site, &key.verifying_key()),
    };
    let Some(approver) = names.first() else {
        let whose = match &lift.scope {
            HaltScope::Provider(provider) => format!(" for provider `{provider}`"),
            HaltScope::Recipient(_) | HaltScope::All => String::new(),
        };
        return Err(RunError::Denied {
            what: format!("the key is not that of an approver listed{whose} in lockgate.toml"),
            remedy: "have an approver lift the halt".to_owned(),
        });
    };
    (*approver).clone_into(&mut lift.approver);
    lift.format = FORMAT;
    signed(LIFT_PAYLOAD_TYPE, &lift, &lift.approver, &key)
}

/// Names of the approvers that have this key and are listed for anybody.
fn approvers_of_any<'a>(site: &'a Site, key: &VerifyingKey) -> BTreeSet<&'a str> {
    let approvers = site.file.approvers.iter();
    approvers
        .filter(|(_, approver)| !approver.providers.is_empty())
        .filter(|(_, approver)| key_of(&approver.public_key).as_ref() == Some(key))
        .map(|(name, _)| name.as_str())
        .collect()
}

fn signed(
    payload_type: &str,
    document: &impl Serialize,
    approver: &str,
    key: &SigningKey,
) -> Result<SignedOrder, RunError> {
    let internal = |error: &dyn std::error::Error| RunError::internal("signing the step", error);
    let payload = canonical_json::to_bytes(document).map_err(|error| internal(&error))?;
    let envelope = dsse::sign(payload_type, &payload, key).map_err(|error| internal(&error))?;
    Ok(SignedOrder {
        approver: approver.to_owned(),
        sha256: sha256_hex(&envelope),
        envelope,
    })
}

/// Reads an order, if an approver who is listed for the provider signed it.
fn open(site: &Site, provider: &str, envelope: &[u8]) -> Result<Order, String> {
    let approvers = site.file.approvers.values();
    let keys: Vec<VerifyingKey> = approvers
        .filter_map(|approver| key_of(&approver.public_key))
        .collect();
    let (payload, key) = dsse::open(envelope, PAYLOAD_TYPE, &keys)
        .map_err(|error| format!("the approver's signature does not count: {error}"))?;
    let order: Order = canonical_json::read(&payload)
        .map_err(|_| "what the approver signed cannot be read".to_owned())?;
    let is_listed = order.provider == provider
        && approvers_of(site, provider, &key).contains(order.approver.as_str());
    if order.format != FORMAT || !is_listed {
        return Err(format!(
            "it was signed as `{}`, who is not listed with that key for provider `{provider}`",
            order.approver
        ));
    }
    Ok(order)
}

/// Whether an approver signed that this very suspension ends, in the ledger of that origin.
pub(super) fn check_resumed(
    site: &Site,
    approvals: &Path,
    provider: &str,
    (resumed, ledger): (&Resumed, Option<&str>),
) -> Result<(), String> {
    let missing = || "what an approver signed for it is not in state/approvals".to_owned();
    let sha256 = resumed.document_sha256.as_deref().ok_or_else(missing)?;
    if !is_hex(sha256, 64) {
        return Err(missing());
    }
    let path = approvals.join(format!("{sha256}.json"));
    let envelope = durable::read_bounded(&path, BYTES_MAX).map_err(|_| missing())?;
    if sha256_hex(&envelope) != sha256 {
        return Err("what an approver signed for it was altered".to_owned());
    }
    let order = open(site, provider, &envelope)?;
    let is_it = order.to == GrantState::Approved
        && order.ledger.as_deref() == ledger
        && order.grant == resumed.grant
        && order.answers == Some(resumed.suspension);
    if is_it {
        Ok(())
    } else {
        Err("what an approver signed for it is over another step".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::approval::test_site::TestSite;

    const LEDGER: &str = "lockgate.local/0123456789abcdef";

    fn order() -> Order {
        Order {
            format: 0,
            grant: "G-1".to_owned(),
            version: 1,
            to: GrantState::Approved,
            reason: Some("cleared".to_owned()),
            basis: None,
            provider: "public-security".to_owned(),
            approver: String::new(),
            ledger: Some(LEDGER.to_owned()),
            answers: Some(4),
        }
    }

    fn resumed(sha256: &str, suspension: u64) -> Resumed {
        Resumed {
            grant: "G-1".to_owned(),
            suspension,
            document_sha256: Some(sha256.to_owned()),
        }
    }

    #[test]
    fn a_resumption_counts_with_its_document_alone() {
        let site = TestSite::new();
        let key = |name: &str| site.root().join(format!("{name}.key"));
        let loaded = site.site();
        let signed = sign(&loaded, order(), &key("office")).unwrap();
        let kept = site.root().join(format!("{}.json", signed.sha256));
        let check_in = |resumed: &Resumed, ledger| {
            check_resumed(&loaded, &site.root(), "public-security", (resumed, ledger))
        };
        let check = |resumed: &Resumed| check_in(resumed, Some(LEDGER));
        assert!(check(&resumed(&signed.sha256, 4)).is_err(), "not kept");
        fs::write(&kept, &signed.envelope).unwrap();
        assert_eq!(check(&resumed(&signed.sha256, 4)), Ok(()));
        assert!(check(&resumed(&signed.sha256, 9)).is_err(), "another step");
        let elsewhere = check_in(&resumed(&signed.sha256, 4), Some("lockgate.local/another"));
        assert!(elsewhere.is_err(), "another ledger");
        assert!(check(&resumed("../x", 4)).is_err());
        let other = Order {
            to: GrantState::Refused,
            ..order()
        };
        let other = sign(&loaded, other, &key("office")).unwrap();
        let path = site.root().join(format!("{}.json", other.sha256));
        fs::write(path, &other.envelope).unwrap();
        assert!(check(&resumed(&other.sha256, 4)).is_err(), "a refusal");
        fs::write(&kept, &other.envelope).unwrap();
        assert!(check(&resumed(&signed.sha256, 4)).is_err(), "altered");
    }

    #[test]
    fn a_halt_is_lifted_by_an_approver_of_its_provider_or_where_it_has_none_by_any() {
        let site = TestSite::new();
        let by = |name: &str, scope: HaltScope| {
            let lift = Lift {
                format: 0,
                scope,
                reason: "over".to_owned(),
                approver: String::new(),
                ledger: Some(LEDGER.to_owned()),
                answers: 4,
            };
            let key = site.root().join(format!("{name}.key"));
            sign_lift(&site.site(), lift, &key).map(|signed| signed.approver)
        };
        let provider = || HaltScope::Provider("public-security".to_owned());
        assert_eq!(by("office", provider()).unwrap(), "office");
        // `stranger` is an approver of another provider, `outsider` of none.
        assert!(by("stranger", provider()).is_err());
        for scope in [HaltScope::All, HaltScope::Recipient("tax".to_owned())] {
            assert_eq!(by("stranger", scope.clone()).unwrap(), "stranger");
            assert!(by("outsider", scope).is_err());
        }
    }

    #[test]
    fn approvers_of_other_providers_and_strangers_sign_no_step() {
        let site = TestSite::new();
        for name in ["stranger", "outsider"] {
            let key = site.root().join(format!("{name}.key"));
            let refused = sign(&site.site(), order(), &key).unwrap_err();
            assert!(matches!(refused, RunError::Denied { .. }), "{name}");
        }
    }
}
