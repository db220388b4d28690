//! Who may turn a field's values back: nobody, the site with an approval of its own, or the recipient.
//! What the recipient can reveal counts as clear, whatever the treatment makes of it meanwhile.

use super::Subject;
use super::fields::Resolved;
use crate::plan::{Refusal, RefusalCode};
use crate::site::grant::Reveal;

/// Refuses what a grant says of fields that it doesn't deliver, and fields that their recipient could
/// reveal: no key of a field is handed out in this version, and a floor that asks for more than clear
/// would not be met if it were.
pub(super) fn check(subject: &Subject<'_>, resolved: &Resolved, refusals: &mut Vec<Refusal>) {
    for (name, by) in &subject.grant.reveal {
        let Some(field) = resolved.fields.iter().find(|field| field.name == *name) else {
            let what = "`reveal` names a field that is not delivered; take it out";
            refusals.push(Refusal::new(RefusalCode::FieldUnknown, what).of_field(name));
            continue;
        };
        if *by == Reveal::Recipient {
            let what = format!(
                "what the recipient can reveal counts as clear (strength 0, not {}): let it be delivered \
                 clear, by an exemption where the floor asks for more, or write reveal = \"site\"",
                field.strength
            );
            refusals.push(Refusal::new(RefusalCode::BelowFloor, what).of_field(name));
        }
    }
}
