//! Whose data a key turns back. A key is derived for a grant or a join group, and turns back whatever was
//! ever treated with it: of another department's dataset, or for another recipient, as well.

use std::collections::BTreeSet;

use lockgate_transforms::KeyUse;

use crate::approval::reveals::ApprovedValues;
use crate::error::RunError;
use crate::ledger::{About, Event, History};
use crate::site::Site;

/// What was, or may be, treated with a key.
struct Treated<'a> {
    /// Departments whose data it was.
    providers: BTreeSet<&'a str>,
    /// Recipients of it.
    recipients: BTreeSet<&'a str>,
    /// Whether there was a delivery of which nobody knows that.
    is_unknown: bool,
}

impl<'a> Treated<'a> {
    fn with(history: &'a History, site: &'a Site, grant: &str, join: Option<&str>) -> Self {
        let mut treated = Self {
            providers: BTreeSet::new(),
            recipients: BTreeSet::new(),
            is_unknown: false,
        };
        for entry in history.iter() {
            let Event::ReleaseIntended {
                grant: of,
                join_groups,
                about,
                ..
            } = &entry.event
            else {
                continue;
            };
            if is_of(of, join_groups, grant, join) {
                treated.add(about.as_ref());
            }
        }
        for (id, written) in &site.grants {
            if !is_of(id, &written.joins, grant, join) {
                continue;
            }
            treated.recipients.insert(&written.recipient);
            match site.datasets.get(&written.dataset) {
                Some(dataset) => treated.providers.insert(&dataset.provider),
                None => true, // it delivers nothing
            };
        }
        treated
    }

    fn add(&mut self, about: Option<&'a About>) {
        let Some(about) = about else {
            self.is_unknown = true;
            return;
        };
        self.providers.insert(&about.provider);
        self.recipients.insert(&about.recipient);
    }
}

/// Whether a delivery of grant `id` has fields treated with the key of `grant`, or of the group `join`.
fn is_of(id: &str, joins: &[String], grant: &str, join: Option<&str>) -> bool {
    match join {
        Some(group) => joins.iter().any(|listed| listed == group),
        None => id == grant,
    }
}

/// Checks that whoever approved may release the data of every department that the field's key treated,
/// and that a recipient who asks is the only one whom it was treated for.
///
/// # Errors
/// [`RunError::Denied`] where not, or where nobody knows.
pub(super) fn check(
    history: &History,
    site: &Site,
    grant: &str,
    used: &KeyUse,
    approved: &ApprovedValues,
) -> Result<(), RunError> {
    let treated = Treated::with(history, site, grant, used.join.as_deref());
    let denied = |what: String, remedy: &str| RunError::Denied {
        what,
        remedy: remedy.to_owned(),
    };
    if treated.is_unknown {
        return Err(denied(
            "the field's key treated an earlier delivery of which the ledger doesn't say whose data it \
             was"
            .to_owned(),
            "ask the department that holds the data, which has the originals",
        ));
    }
    let mut providers = treated.providers.iter();
    if let Some(provider) = providers.find(|name| !approved.providers.contains(**name)) {
        return Err(denied(
            format!(
                "the field's key treated data of provider `{provider}` too, which `{}` may not release",
                approved.approver
            ),
            "have it approved by somebody whom lockgate.toml lists for every provider of the join group",
        ));
    }
    let Some(recipient) = &approved.recipient else {
        return Ok(());
    };
    let mut recipients = treated.recipients.iter();
    match recipients.find(|name| **name != recipient) {
        None => Ok(()),
        Some(other) => Err(denied(
            format!("the field's key treated what was delivered to `{other}` too"),
            "have it approved with `lockgate reveal approve`",
        )),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use chrono::DateTime;

    use super::*;
    use crate::approval::test_site::TestSite;
    use crate::ledger::Entry;

    fn released(grant: &str, joins: &[&str], about: Option<(&str, &str)>) -> Event {
        Event::ReleaseIntended {
            run: String::new(),
            delivery: String::new(),
            attempt: String::new(),
            grant: grant.to_owned(),
            grant_version: 1,
            plan_sha256: String::new(),
            destination: String::new(),
            rows: 1,
            config: BTreeMap::new(),
            join_groups: joins.iter().map(|join| (*join).to_owned()).collect(),
            cell_attempt: None,
            about: about.map(|(provider, recipient)| About {
                provider: provider.to_owned(),
                recipient: recipient.to_owned(),
                dataset: "residents".to_owned(),
                grant_sha256: String::new(),
                terms_sha256: String::new(),
            }),
        }
    }

    fn history(events: Vec<Event>) -> History {
        let at = DateTime::UNIX_EPOCH;
        (0..)
            .zip(events)
            .map(|(index, event)| Entry { index, at, event })
            .collect()
    }

    fn approved(providers: &[&str], recipient: Option<&str>) -> ApprovedValues {
        ApprovedValues {
            approver: "office".to_owned(),
            providers: providers.iter().map(|name| (*name).to_owned()).collect(),
            recipient: recipient.map(str::to_owned),
            key_version: None,
            delivery: None,
            uses: 1,
            sha256: String::new(),
        }
    }

    fn used(join: Option<&str>) -> KeyUse {
        KeyUse {
            purpose: "encryption",
            domain: "person.name".to_owned(),
            join: join.map(str::to_owned),
        }
    }

    const OWN: (&str, &str) = ("public-security", "civil-affairs");

    #[test]
    fn a_join_groups_key_needs_an_approver_of_every_provider_in_it() {
        let site = TestSite::new().site();
        let both = history(vec![
            released("G-1", &["families"], Some(OWN)),
            released("G-2", &["families"], Some(("taxes", "other"))),
        ]);
        let check = |providers: &[&str], join: Option<&str>| {
            let approved = approved(providers, None);
            check(&both, &site, "G-1", &used(join), &approved).is_ok()
        };
        assert!(!check(&["public-security"], Some("families")));
        assert!(check(&["public-security", "taxes"], Some("families")));
        // The grant's own key treated its own data alone.
        assert!(check(&["public-security"], None));
    }

    #[test]
    fn an_earlier_dataset_of_the_grant_counts_and_an_unknown_one_refuses() {
        let site = TestSite::new().site();
        let check = |events: Vec<Event>| {
            let approved = approved(&["public-security"], None);
            check(&history(events), &site, "G-1", &used(None), &approved).is_ok()
        };
        assert!(check(vec![released("G-1", &[], Some(OWN))]));
        assert!(!check(vec![released(
            "G-1",
            &[],
            Some(("taxes", "civil-affairs"))
        )]));
        assert!(!check(vec![released("G-1", &[], None)]));
        assert!(check(vec![released("G-2", &[], None)]));
    }

    #[test]
    fn a_recipient_asks_for_no_other_recipients_values() {
        let site = TestSite::new().site();
        let check = |recipient: &str| {
            let events = vec![
                released("G-1", &[], Some(("public-security", recipient))),
                released("G-1", &[], Some(OWN)),
            ];
            let approved = approved(&["public-security"], Some("civil-affairs"));
            check(&history(events), &site, "G-1", &used(None), &approved).is_ok()
        };
        assert!(check("civil-affairs"));
        assert!(!check("somebody-else"));
    }
}
