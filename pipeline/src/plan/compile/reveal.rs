//! Who may turn a field's values back: nobody, the site with an approval of its own, or the recipient.
//! What the recipient can reveal counts as clear, whatever the treatment makes of it meanwhile.

use lockgate_transforms::TreatmentSpec;

use super::Subject;
use super::fields::Resolved;
use crate::plan::{PlannedField, Refusal, RefusalCode};
use crate::site::grant::Reveal;

/// Refuses what a grant says of fields that it doesn't deliver, and fields that their recipient could
/// reveal where the floor asks for more than clear, or the key is that of other grants too. A field that
/// its recipient may reveal is planned with strength 0.
pub(super) fn check(subject: &Subject<'_>, resolved: &mut Resolved, refusals: &mut Vec<Refusal>) {
    for (name, by) in &subject.grant.reveal {
        let mut fields = resolved.fields.iter_mut();
        let Some(field) = fields.find(|field| field.name == *name) else {
            let what = "`reveal` names a field that is not delivered; take it out";
            refusals.push(Refusal::new(RefusalCode::FieldUnknown, what).of_field(name));
            continue;
        };
        if *by == Reveal::Recipient {
            let refused = of_recipient(subject, field);
            refusals.extend(refused.map(|(code, what)| Refusal::new(code, what).of_field(name)));
            field.strength = TreatmentSpec::clear().strength().0;
        }
    }
}

/// What keeps a recipient from revealing a field.
fn of_recipient(subject: &Subject<'_>, field: &PlannedField) -> Option<(RefusalCode, String)> {
    let floor = subject.dataset.field(&field.name);
    let floor = floor.and_then(|field| subject.site.policy.rule_for(field));
    let floor = floor.map(|(_, rule)| &rule.treatment);
    if !floor.is_some_and(|floor| TreatmentSpec::clear().meets(floor)) {
        let floor = floor.map_or_else(|| "withhold".to_owned(), TreatmentSpec::summary);
        let what = format!(
            "what the recipient can reveal counts as clear (strength 0, not {}), and the floor is {floor}; \
             write reveal = \"site\"",
            field.treatment.strength().0
        );
        return Some((RefusalCode::BelowFloor, what));
    }
    let mut uses = field.treatment.key_uses().into_iter();
    let join = uses.find_map(|used| used.join)?;
    let what = format!(
        "what the recipient can reveal can't be of join group `{join}`, whose key treats deliveries to \
         others too; take the group out of the treatment, or write reveal = \"site\""
    );
    Some((RefusalCode::Linkage, what))
}

#[cfg(test)]
mod tests {
    use crate::approval::test_site::TestSite;
    use crate::plan::RefusalCode;

    /// A site that delivers `name` and `region` so that a key turns them back.
    fn revealing(more: &str, reveal: &str) -> TestSite {
        let site = TestSite::new();
        site.grant_table(&format!(
            "[treatments]\nname = {{ kind = \"encrypt-det\", domain = \"name\" }}\n\
             region = {{ kind = \"encrypt-det\", domain = \"region\"{more} }}\n\
             [reveal]\n{reveal}"
        ));
        site
    }

    #[test]
    fn a_recipient_reveals_what_could_be_delivered_clear_and_nothing_else() {
        let site = revealing("", "region = \"recipient\"");
        assert_eq!(site.codes_but_unsigned(), []);
        let compiled = site.compile();
        let mut fields = compiled.plan().fields.iter();
        let region = fields.find(|field| field.name == "region").unwrap();
        assert_eq!(region.strength, 0);
        let refused = revealing("", "name = \"recipient\"").codes_but_unsigned();
        assert_eq!(
            refused,
            [(RefusalCode::BelowFloor, Some("name".to_owned()))]
        );
        assert_eq!(revealing("", "name = \"site\"").codes_but_unsigned(), []);
    }

    #[test]
    fn a_recipient_reveals_nothing_of_a_join_group() {
        let site = revealing(", join = \"J\"", "region = \"recipient\"");
        site.grant("modes =", "joins = [\"J\"]\nmodes =");
        let refused = site.codes_but_unsigned();
        assert_eq!(refused, [(RefusalCode::Linkage, Some("region".to_owned()))]);
    }
}
