//! How many originals fit each treated value, and whether policy finds that enough.

use std::collections::BTreeMap;

use lockgate_transforms::residual::{self, Released};

use super::Subject;
use super::fields::Resolved;
use crate::plan::{Refusal, RefusalCode, Warning};
use crate::site::FieldType;
use crate::site::policy::Below;

/// Candidates by field, for the fields where they can be counted. Too few are refused
/// (`below-floor`) or warned about (`few-candidates`), as policy says.
pub(super) fn check(
    subject: &Subject<'_>,
    resolved: &Resolved,
    refusals: &mut Vec<Refusal>,
    warnings: &mut Vec<Warning>,
) -> BTreeMap<String, u64> {
    let mut counted = BTreeMap::new();
    for field in &resolved.fields {
        let Ok(source_type) = FieldType::parse(&field.source_type) else {
            continue;
        };
        let others: Vec<Released<'_>> = resolved
            .fields
            .iter()
            .filter(|other| other.name != field.name)
            .map(|other| Released {
                category: &other.category,
                treatment: &other.treatment,
            })
            .collect();
        let data_type = source_type.to_arrow();
        let found = residual::candidates(&field.category, &field.treatment, &data_type, &others);
        let Some(candidates) = found else {
            continue;
        };
        counted.insert(field.name.clone(), candidates);
        let Some(floor) = &subject.site.policy.residual else {
            continue;
        };
        let applies = floor.from_level.is_none_or(|level| field.level >= level);
        if !applies || candidates >= floor.min_candidates {
            continue;
        }
        let what = format!(
            "{} leaves {candidates} possible originals beside the other fields, and policy asks for \
             at least {}; strengthen it, or deliver fewer fields that give it away",
            field.treatment.summary(),
            floor.min_candidates
        );
        match floor.below {
            Below::Refuse => {
                refusals.push(Refusal::new(RefusalCode::BelowFloor, what).of_field(&field.name));
            }
            Below::Warn => warnings.push(Warning {
                code: "few-candidates",
                field: Some(field.name.clone()),
                what,
            }),
        }
    }
    counted
}
