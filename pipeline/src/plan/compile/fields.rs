//! What happens to each granted field: floor, grant, exemption, and the gates of levels.

use std::collections::BTreeSet;

use arrow::datatypes::DataType;
use lockgate_transforms::{Column, Read, Row, TreatmentSpec, category};

use super::{CompileError, Subject, TINY_DOMAIN_REFUSED_FROM};
use crate::plan::predicate::Predicate;
use crate::plan::{Origin, PlannedField, Refusal, RefusalCode, Warning, WithheldField};
use crate::site::dataset::Level;
use crate::site::grant::OwnTreatment;
use crate::site::{Field, FieldType};

/// Fewest values of a domain that cannot be enumerated in passing.
const DOMAIN_MIN: u64 = 1_000_000;

/// Granted fields, resolved.
#[derive(Default)]
pub(super) struct Resolved {
    pub(super) fields: Vec<PlannedField>,
    pub(super) withheld: Vec<WithheldField>,
    /// Delivered by exemption: field, and the approver it names.
    pub(super) exempted: Vec<(String, String)>,
    /// Fields of the original row that treatments read, their own aside.
    pub(super) reads: BTreeSet<String>,
    /// Fields that the grant treats otherwise than the floor, and at least as strongly.
    pub(super) strengthened: Vec<String>,
}

/// Resolves every granted field, in the grant's order.
///
/// A grant whose fields are all withheld is refused (`below-floor`): it asks only for what policy
/// lets nobody have.
pub(super) fn resolve(
    subject: &Subject<'_>,
    refusals: &mut Vec<Refusal>,
    warnings: &mut Vec<Warning>,
) -> Result<Resolved, CompileError> {
    let mut resolved = Resolved::default();
    let known = refusals.len();
    for name in &subject.grant.fields {
        let Some(field) = subject.dataset.field(name) else {
            let reason = format!("dataset `{}` has no such field", subject.dataset.id);
            refusals.push(Refusal::new(RefusalCode::FieldUnknown, reason).of_field(name));
            continue;
        };
        Resolver {
            subject,
            field,
            refusals,
            warnings,
        }
        .resolve(&mut resolved)?;
    }
    warn_of_unused_joins(subject, &resolved, warnings);
    if resolved.fields.is_empty() && refusals.len() == known {
        let reason = "every granted field is withheld, so there is nothing to deliver";
        refusals.push(Refusal::new(RefusalCode::BelowFloor, reason));
    }
    Ok(resolved)
}

/// Join groups that a treatment's keys belong to.
fn joins_of(treatment: &TreatmentSpec) -> Vec<String> {
    let uses = treatment.key_uses().into_iter();
    uses.filter_map(|used| used.join).collect()
}

/// A listed group that no treatment uses is a slip of the pen, or left over.
fn warn_of_unused_joins(subject: &Subject<'_>, resolved: &Resolved, warnings: &mut Vec<Warning>) {
    let used: Vec<String> = resolved
        .fields
        .iter()
        .flat_map(|field| joins_of(&field.treatment))
        .collect();
    for join in subject
        .grant
        .joins
        .iter()
        .filter(|join| !used.contains(join))
    {
        warnings.push(Warning {
            code: "unused-join",
            field: None,
            what: format!("the grant lists join group `{join}`, which no treatment of it uses"),
        });
    }
}

/// The refusal of a field for its level alone.
pub(super) fn gate(field: &Field, important: bool) -> Option<Refusal> {
    match field.level {
        Level::Core => {
            let reason = "core data never leaves, and neither does what depends on it";
            Some(Refusal::new(RefusalCode::LevelCore, reason).of_field(&field.name))
        }
        Level::Important if !important => {
            let reason = "important data needs an explicit approval: important = true in the grant";
            Some(Refusal::new(RefusalCode::LevelImportant, reason).of_field(&field.name))
        }
        Level::Important | Level::General(_) => None,
    }
}

/// How many values a field can have, by category, declaration or type; never by its data.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only these types are small enough to matter"
)]
pub(super) fn domain_size(field: &Field) -> Option<u64> {
    let by_category = category::find(&field.category).and_then(|category| category.domain_size);
    let data_type = FieldType::parse(&field.data_type).ok();
    let by_type = data_type.and_then(|data_type| match data_type.to_arrow() {
        DataType::Boolean => Some(2),
        DataType::Int8 | DataType::UInt8 => Some(1 << 8),
        DataType::Int16 | DataType::UInt16 => Some(1 << 16),
        DataType::Decimal128(digits, _) => 10_u64.checked_pow(u32::from(digits)),
        _ => None,
    });
    [by_category, by_type, field.domain_size]
        .into_iter()
        .flatten()
        .min()
}

/// One field on its way into the plan.
struct Resolver<'a, 's> {
    subject: &'a Subject<'s>,
    field: &'a Field,
    refusals: &'a mut Vec<Refusal>,
    warnings: &'a mut Vec<Warning>,
}

impl Resolver<'_, '_> {
    fn refuse(&mut self, code: RefusalCode, reason: impl Into<String>) {
        self.refusals
            .push(Refusal::new(code, reason).of_field(&self.field.name));
    }

    fn resolve(mut self, resolved: &mut Resolved) -> Result<(), CompileError> {
        let field = self.field;
        // Core data is refused as soon as it is granted, even if policy would withhold it.
        if field.level == Level::Core {
            self.refusals
                .extend(gate(field, self.subject.grant.important));
        }
        let Some((_, rule)) = self.subject.site.policy.rule_for(field) else {
            let (category, level) = (&field.category, field.level);
            let reason = format!("no policy rule matches category `{category}` at level {level}");
            resolved.withheld.push(WithheldField {
                name: field.name.clone(),
                reason,
            });
            return Ok(());
        };
        let (treatment, origin) = self.treatment(&rule.treatment, resolved);
        if origin == Origin::Grant {
            self.check_reveals(&treatment, &rule.treatment)?;
        }
        let (source_type, output) = self.types(&treatment)?;
        let Some(output) = output else {
            let by = match origin {
                Origin::Floor => "policy withholds it",
                Origin::Grant | Origin::Exemption => "the grant withholds it",
            };
            let reason = by.to_owned();
            resolved.withheld.push(WithheldField {
                name: field.name.clone(),
                reason,
            });
            return Ok(());
        };
        if field.level == Level::Important {
            self.refusals
                .extend(gate(field, self.subject.grant.important));
        }
        self.check_domain(&treatment);
        self.check_join(&treatment);
        let reads = self.fields_of(treatment.reads())?;
        resolved.reads.extend(reads.iter().cloned());
        resolved.fields.push(PlannedField {
            name: field.name.clone(),
            source_type: source_type.to_string(),
            data_type: output.to_string(),
            category: field.category.clone(),
            level: field.level,
            strength: treatment.strength().0,
            treatment,
            reads: reads.into_iter().collect(),
            origin,
        });
        Ok(())
    }

    /// Exemption, else the grant's treatment, else the floor.
    fn treatment(
        &mut self,
        floor: &TreatmentSpec,
        resolved: &mut Resolved,
    ) -> (TreatmentSpec, Origin) {
        let (grant, name) = (self.subject.grant, &self.field.name);
        let treatment = match grant.own_treatment(name) {
            Some(OwnTreatment::Exempted(exemption)) => {
                self.check_exemption(&exemption.approver);
                resolved
                    .exempted
                    .push((name.clone(), exemption.approver.clone()));
                return (exemption.treatment.clone(), Origin::Exemption);
            }
            Some(OwnTreatment::Treated(treatment)) => treatment,
            None => return (floor.clone(), Origin::Floor),
        };
        if !treatment.meets(floor) {
            let reason = format!(
                "treatment {} is weaker than the floor {}; strengthen it, or have an exemption \
                 approved",
                treatment.summary(),
                floor.summary()
            );
            self.refuse(RefusalCode::BelowFloor, reason);
        } else if treatment != floor {
            resolved.strengthened.push(name.clone());
        }
        (treatment.clone(), Origin::Grant)
    }

    /// A grant's treatment may show what another field holds, by a condition that chooses constants
    /// or by a part that is kept. So whatever it shows, beyond what the floor itself shows, must be
    /// a field whose own floor lets it pass clear; that goes for the treated field as well, which a
    /// condition could spell out. Only an exemption of the treated field may show more.
    fn check_reveals(
        &mut self,
        treatment: &TreatmentSpec,
        floor: &TreatmentSpec,
    ) -> Result<(), CompileError> {
        let known = floor.reveals();
        let shown = treatment.reveals().into_iter();
        let beyond = self.fields_of(shown.filter(|read| !known.contains(read)))?;
        let mut reasons = Vec::new();
        for name in &beyond {
            let least = self.subject.dataset.field(name);
            let least = least.and_then(|field| self.subject.site.policy.rule_for(field));
            let least = least.map(|(_, rule)| &rule.treatment);
            if least.is_some_and(|least| TreatmentSpec::clear().meets(least)) {
                continue;
            }
            let least = least.map_or_else(|| "withhold".to_owned(), TreatmentSpec::summary);
            reasons.push(format!(
                "its treatment {} can show what field `{name}` holds, whose floor is {least}; let \
                 it read fields that may pass clear, or have an exemption for `{}` approved",
                treatment.summary(),
                self.field.name
            ));
        }
        for reason in reasons {
            self.refuse(RefusalCode::BelowFloor, reason);
        }
        Ok(())
    }

    /// The approver that an exemption names may release data of this provider.
    fn check_exemption(&mut self, approver: &str) {
        let provider = &self.subject.dataset.provider;
        let found = self.subject.site.file.approvers.get(approver);
        if !found.is_some_and(|found| found.providers.contains(provider)) {
            let reason = format!(
                "its exemption names approver `{approver}`, who is not listed for provider \
                 `{provider}`"
            );
            self.refuse(RefusalCode::BelowFloor, reason);
        }
    }

    /// The field's type, and the type as delivered; the latter is absent if it is withheld.
    fn types(
        &self,
        treatment: &TreatmentSpec,
    ) -> Result<(FieldType, Option<FieldType>), CompileError> {
        let problem = |what: String, hint| {
            let what = format!("field `{}`: {what}", self.field.name);
            self.subject.problem(&["fields"], what, hint)
        };
        let source = FieldType::parse(&self.field.data_type).map_err(|what| problem(what, None))?;
        let data_type = source.to_arrow();
        let row = self.subject.dataset.row();
        let fields = row.fields();
        let column = Column {
            name: &self.field.name,
            data_type: &data_type,
            category: &self.field.category,
            row: Row(&fields),
        };
        let output = treatment
            .output_type(column)
            .map_err(|misfit| problem(misfit.what, misfit.hint))?
            .map(|output| {
                FieldType::of(&output)
                    .ok_or_else(|| problem(format!("no delivery has type {output}"), None))
            })
            .transpose()?;
        Ok((source, output))
    }

    /// The fields of what a treatment reads, those of its conditions included.
    fn fields_of(
        &self,
        reads: impl IntoIterator<Item = Read>,
    ) -> Result<BTreeSet<String>, CompileError> {
        let mut fields = BTreeSet::new();
        for read in reads {
            match read {
                Read::Field(name) | Read::Entity(name) => {
                    fields.insert(name);
                }
                Read::Condition(text) => {
                    let predicate = Predicate::parse(&text, &self.subject.schema);
                    let predicate = predicate.map_err(|error| {
                        let what = format!(
                            "field `{}`: a condition of its treatment: {}",
                            self.field.name,
                            error.what_and_where()
                        );
                        self.subject.problem(&["fields"], what, Some(error.remedy))
                    })?;
                    fields.extend(predicate.fields());
                }
            }
        }
        Ok(fields)
    }

    /// A keyed pseudonym of few values can be undone by counting them all. A facet that is drawn for
    /// a person has as many values as there are keys of persons, and its own tell nothing.
    fn check_domain(&mut self, treatment: &TreatmentSpec) {
        let size_of = |name: &&str| domain_size(self.subject.dataset.field(name)?);
        let sizes = treatment.keyed_fields().into_iter();
        let sizes = sizes.filter_map(|names| match names.as_slice() {
            [] => domain_size(self.field),
            // Keyed together, there are as many values as combinations of them.
            names => names
                .iter()
                .map(size_of)
                .try_fold(1, |product: u64, size| product.checked_mul(size?)),
        });
        let Some(size) = sizes.min().filter(|size| *size < DOMAIN_MIN) else {
            return;
        };
        let what = format!(
            "{} over at most {size} possible values can be undone by how often each occurs",
            treatment.kind()
        );
        if self.field.level >= TINY_DOMAIN_REFUSED_FROM {
            self.refuse(RefusalCode::TinyDomain, what);
        } else {
            let field = Some(self.field.name.clone());
            self.warnings.push(Warning {
                code: "tiny-domain",
                field,
                what,
            });
        }
    }

    /// A join group makes deliveries of different grants linkable, so the grant has to list it, and
    /// with it the approver agrees.
    fn check_join(&mut self, treatment: &TreatmentSpec) {
        for join in joins_of(treatment) {
            if !self.subject.grant.joins.contains(&join) {
                let reason = format!(
                    "its treatment uses join group `{join}`, which the grant does not list; have \
                     joins = [\"{join}\"] approved, or take it out of the treatment"
                );
                self.refuse(RefusalCode::Linkage, reason);
            }
        }
    }
}
