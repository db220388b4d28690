//! What a manifest says of a delivery's marks: that values may have moved, how far, and what came of
//! it. Recipients have a right to know; where the marks are, they don't learn. So nothing is said of how
//! many values carry no mark: where the anchor's nulls are as many, it would tell which field it is.

use std::collections::BTreeMap;

use lockgate_transforms::marks::distortion::Distortion;
use serde::{Deserialize, Serialize};

use super::forecast::freedom;
use super::layout::Layout;
use super::record::Recorded;
use super::scheme::FieldScheme;
use super::units::Units;
use crate::digest::{hex, is_hex, sha256_hex};

/// The marks of a delivery, as its manifest states them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkStatement {
    /// SHA-256 over the dataset's key and a salt: what the key is held to should a leak be traced. The
    /// ledger holds it too, with the salt.
    pub key_commitment: String,
    /// SHA-256 over the same salt and the scheme, in its canonical form: it binds the delivery to the
    /// scheme without telling it.
    pub scheme_commitment: String,
    /// The marked fields.
    pub fields: BTreeMap<String, MarkedField>,
}

/// What marks did to a field. Numbers are decimal text, of values in the field's unit, of times in
/// seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MarkedField {
    /// How far a value may have moved: `within 5`, `within 30s`, `synonyms`, `the choice of its
    /// noise`, `any value of an interval of 1000`, `any time of the month`, `tag of 4 characters`.
    pub freedom: String,
    /// Values that are not null.
    pub values: u64,
    /// Values that are other ones now.
    pub changed: u64,
    /// The mean of all moves, and so the change of the mean; absent for words, choices and
    /// tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean: Option<String>,
    /// The variance of all moves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance: Option<String>,
    /// By how much the variance of the values grew, or shrank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variance_change: Option<String>,
    /// The furthest that a value moved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<String>,
}

impl MarkStatement {
    /// The statement of a delivery's marks; `distortions` are in the order of the layout's fields.
    pub(crate) fn of(layout: &Layout, recorded: &Recorded, distortions: &[Distortion]) -> Self {
        let fields = layout.fields.iter().zip(distortions);
        Self {
            key_commitment: hex(&recorded.key.commitment),
            scheme_commitment: scheme_commitment(&recorded.key.salt, &recorded.scheme),
            fields: fields
                .map(|(field, distortion)| (field.name.clone(), MarkedField::of(field, distortion)))
                .collect(),
        }
    }

    /// What is wrong with it, if anything is; `is_delivered` knows the delivered fields.
    pub(crate) fn fault(&self, is_delivered: impl Fn(&str) -> bool) -> Option<String> {
        for (name, digest) in [
            ("key_commitment", &self.key_commitment),
            ("scheme_commitment", &self.scheme_commitment),
        ] {
            if !is_hex(digest, 64) {
                return Some(format!(
                    "`mark.{name}` is not 64 lower-case hexadecimal digits"
                ));
            }
        }
        if self.fields.is_empty() {
            return Some("`mark` names no field".to_owned());
        }
        for (name, field) in &self.fields {
            if !is_delivered(name) {
                return Some("`mark` names a field that is not delivered".to_owned());
            }
            if field.changed > field.values {
                return Some("`mark` counts more changes than values".to_owned());
            }
        }
        None
    }

    /// What a recipient should know, in a sentence.
    pub(crate) fn note(&self) -> String {
        let fields = self.fields.iter().map(|(name, field)| {
            let moved = match &field.max {
                Some(max) => format!(", by {max} at most"),
                None => String::new(),
            };
            format!(
                "`{name}` ({}; {} of {} values changed{moved})",
                field.freedom, field.changed, field.values
            )
        });
        let fields: Vec<String> = fields.collect();
        format!(
            "marked, so that a leak names its leaker: {}",
            fields.join(", ")
        )
    }
}

/// SHA-256 over salt and scheme, hex.
pub fn scheme_commitment(salt: &[u8], scheme: &[u8]) -> String {
    sha256_hex(&[salt, scheme].concat())
}

impl MarkedField {
    fn of(field: &FieldScheme, distortion: &Distortion) -> Self {
        let units = Units::of(field);
        let size = units.size();
        let is_number = units != Units::None;
        let nulls = distortion.skipped.null;
        let mean = distortion.mean_move();
        let variance = mean
            .zip(distortion.mean_square())
            .map(|(mean, square)| square - mean * mean);
        let text = |number: f64| number.is_finite().then(|| number.to_string());
        Self {
            freedom: freedom(field),
            values: distortion.rows.saturating_sub(nulls),
            changed: distortion.changed,
            mean: mean.and_then(|mean| text(mean * size)),
            variance: variance.and_then(|variance| text(variance.max(0.0) * size * size)),
            variance_change: distortion
                .variance_change()
                .and_then(|change| text(change * size * size)),
            max: is_number.then(|| units.length(distortion.furthest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array};
    use lockgate_transforms::marks::key::{GrantIndex, MarkKey, PrfSuite};

    use super::*;
    use crate::marks::layout::EPOCH;
    use crate::marks::record::KeyCommitment;
    use crate::marks::scheme::{Anchor, AnchorFamily, CarrierSpec, Density, FoundBy};

    fn layout() -> Layout {
        Layout {
            epoch: EPOCH,
            suite: PrfSuite::Aes,
            anchors: vec![Anchor {
                family: AnchorFamily::Key,
                fields: vec!["id".to_owned()],
                blocks: Vec::new(),
            }],
            fields: vec![FieldScheme {
                name: "income".to_owned(),
                data_type: "decimal(12,2)".to_owned(),
                carrier: CarrierSpec::Number {
                    tolerance: "5.00".parse().unwrap(),
                    decimals: None,
                    step: 500,
                    span: 1,
                    least: None,
                    greatest: None,
                    sentinels: Vec::new(),
                },
                density: Density::ALL,
                found_by: FoundBy::Row(0),
                keeps_block: false,
            }],
            places: BTreeMap::new(),
        }
    }

    #[test]
    fn a_statement_says_what_was_done_in_the_fields_own_unit() {
        let layout = layout();
        let scheme = layout.scheme("residents", 1);
        let key = MarkKey::derive(&[7; 32], "residents", EPOCH, 1);
        let marker = scheme.marker(&key, &["id", "income"]).unwrap();
        let ids: ArrayRef = Arc::new(Int64Array::from_iter(
            (0..500).map(|row| (row != 7).then_some(row)),
        ));
        let before = |row: i128| match row {
            3 => None,
            4 => Some(0),
            _ => Some(row * 7_919 + 100_000),
        };
        let incomes = Decimal128Array::from_iter((0..500).map(before));
        let incomes: ArrayRef = Arc::new(incomes.with_precision_and_scale(12, 2).unwrap());
        let marked = marker.embed(GrantIndex(9), &[ids, incomes]).unwrap();
        let recorded = Recorded {
            key: KeyCommitment {
                dataset: "residents".to_owned(),
                epoch: EPOCH,
                key_version: 1,
                commitment: [1; 32],
                salt: [2; 32],
            },
            scheme: scheme.to_bytes().unwrap(),
            index: GrantIndex(9),
        };
        let statement = MarkStatement::of(&layout, &recorded, &marked.distortions);
        assert_eq!(statement.key_commitment, "01".repeat(32));
        assert_eq!(
            statement.scheme_commitment,
            sha256_hex(&[vec![2; 32], recorded.scheme].concat())
        );
        assert_eq!(statement.fault(|name| name == "income"), None);
        assert!(statement.fault(|_| false).is_some());
        let field = &statement.fields["income"];
        assert_eq!((field.freedom.as_str(), field.values), ("within 5", 499));
        assert!((200..300).contains(&field.changed), "{field:?}");
        let number = |text: &Option<String>| -> f64 { text.as_ref().unwrap().parse().unwrap() };
        // E[d²] of a step of 500 cents is (500² - 1) / 6 cents² over all values.
        let variance = number(&field.variance);
        assert!((variance - 4.166_65).abs() < 0.8, "{field:?}");
        assert!(number(&field.mean).abs() < 0.3, "{field:?}");
        assert!((4.0..=4.99).contains(&number(&field.max)), "{field:?}");
        // One income is null and one row has no anchor, and nothing tells how many lack one.
        let stated = serde_json::to_value(field).unwrap();
        let mut stated: Vec<&String> = stated.as_object().unwrap().keys().collect();
        stated.sort();
        let expected = [
            "changed",
            "freedom",
            "max",
            "mean",
            "values",
            "variance",
            "variance_change",
        ];
        assert_eq!(stated, expected);
    }
}
