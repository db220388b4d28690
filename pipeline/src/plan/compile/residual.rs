//! How many originals fit each treated value, and whether policy finds that enough.

use std::collections::BTreeMap;

use lockgate_transforms::residual::{self, Beside, Released, Residual};

use super::Subject;
use super::fields::Resolved;
use crate::plan::{PlannedField, Refusal, RefusalCode, Warning};
use crate::site::FieldType;
use crate::site::policy::Below;

/// Candidates by field, for the fields where they can be counted. Too few are refused
/// (`below-floor`) or warned about (`few-candidates`), as policy says, and so are values that have a
/// shape and can't be counted (`below-floor`, `not-counted`): nothing passes a floor unseen.
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    refusals: &mut Vec<Refusal>,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    let fields = resolved.fields.iter();
    let released: Vec<(&str, Released<'_>)> = fields
        .flat_map(|field| {
            let released = Released::of(&field.category, &field.treatment);
            released
                .into_iter()
                .map(|released| (field.name.as_str(), released))
        })
        .collect();
    let divisions = subject.grant.divisions.as_deref().unwrap_or_default();
    for field in &resolved.fields {
        let found = residual(field, &released, divisions);
        if let Residual::Candidates(candidates) = found {
            counted.insert(field.name.clone(), candidates);
        }
        let Some(floor) = &subject.site.policy.residual else {
            continue;
        };
        let applies = floor.from_level.is_none_or(|level| field.level >= level);
        let Some((code, what)) = below(field, found, floor.min_candidates).filter(|_| applies)
        else {
            continue;
        };
        match floor.below {
            Below::Refuse => {
                refusals.push(Refusal::new(RefusalCode::BelowFloor, what).of_field(&field.name));
            }
            Below::Warn => warnings.push(Warning {
                code,
                field: Some(field.name.clone()),
                what,
            }),
        }
    }
    counted
}

fn residual(
    field: &PlannedField,
    released: &[(&str, Released<'_>)],
    divisions: &[String],
) -> Residual {
    let Ok(source_type) = FieldType::parse(&field.source_type) else {
        return Residual::Uncounted;
    };
    let others = released.iter().filter(|(name, _)| *name != field.name);
    let others: Vec<&Released<'_>> = others.map(|(_, other)| other).collect();
    let data_type = source_type.to_arrow();
    let beside = Beside {
        others: &others,
        divisions,
    };
    residual::candidates(&field.category, &field.treatment, &data_type, beside)
}

/// What is below the floor, as the code of a warning and in words.
fn below(field: &PlannedField, found: Residual, least: u64) -> Option<(&'static str, String)> {
    let treatment = field.treatment.summary();
    match found {
        Residual::Candidates(candidates) if candidates < least => {
            let what = format!(
                "{treatment} leaves {candidates} possible originals beside the other fields, and \
                 policy asks for at least {least}; strengthen it, or deliver fewer fields that give \
                 it away"
            );
            Some(("few-candidates", what))
        }
        Residual::Uncounted => {
            let what = format!(
                "how many originals fit a result of {treatment} can't be counted, and policy asks \
                 for at least {least}; use a pseudonym, or a mask of values that have a known shape"
            );
            Some(("not-counted", what))
        }
        Residual::Candidates(_) | Residual::Hidden | Residual::Shapeless => None,
    }
}
