//! Which fields of the delivery carry marks, and whether policy finds them enough.

use super::Subject;
use super::fields::Resolved;
use crate::marks::{Laid, forecast, lay_out};
use crate::plan::{Refusal, RefusalCode, Warning};

/// Lays out the delivery's marks. Too few are refused (`unmarked`) or warned about (`unmarked`), as
/// policy says, as far as that can be told before a source is looked at: where no field carries, or
/// the quota allows too few rows. Marks that hang on the key alone are said (`marks-by-key`).
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    refusals: &mut Vec<Refusal>,
    warnings: &mut Vec<Warning>,
) -> Laid {
    let suite = subject.site.policy.prf_suite();
    let laid = lay_out(subject.dataset, &resolved.fields).of_suite(suite);
    let marking = &subject.site.policy.marking;
    let rows = subject.grant.quota.rows;
    // Where nothing is delivered, nothing is to be marked.
    let is_delivered = !resolved.fields.is_empty();
    if let Some(what) =
        forecast::too_few(marking, laid.layout.as_ref(), rows).filter(|_| is_delivered)
    {
        if forecast::is_refused(marking) {
            refusals.push(Refusal::new(RefusalCode::Unmarked, what));
        } else {
            warnings.push(Warning {
                code: "unmarked",
                field: None,
                what,
            });
        }
    }
    let key = &subject.dataset.key;
    let hangs_on_key = |layout| forecast::hangs_on_key(layout, key);
    if laid.layout.as_ref().is_some_and(hangs_on_key) {
        warnings.push(Warning {
            code: "marks-by-key",
            field: None,
            what: "every mark is found by the dataset's key, so a leak that has lost the key isn't \
                   traced, and neither are cells beside another grant's key; deliver a field that tells \
                   rows apart beside it"
            .to_owned(),
        });
    }
    laid
}
