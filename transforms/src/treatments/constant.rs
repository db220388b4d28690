//! `constant`: the same value in every row.

use arrow::datatypes::DataType;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::cases::scalar_array;
use crate::error::{Case, Misfit};
use crate::key::DerivedKey;
use crate::options::{Options, Scalar};
use crate::spec::{Column, Definition, Strength, Uniqueness};
use crate::text::{TextKernel, TextTreatment, Written};
use crate::treatment::Treatment;
use crate::values::{self, Replacement, ValueTreatment};

/// Puts one value in the place of every other. `mask-all` is that value too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constant {
    /// The value, of the field's type; fractions of decimal fields are written as text.
    pub value: Scalar,
}

impl Constant {
    fn replacement(&self, column: Column<'_>) -> Result<Replacement, Misfit> {
        let data_type = values::plain_type(Self::KIND, column)?;
        let refused = |what: String| Misfit::of_parameter("value", what);
        if data_type == DataType::Utf8 && !matches!(self.value, Scalar::Text(_)) {
            let what = format!("`{}` is not text", self.value.as_text());
            return Err(refused(what).with_hint("put it in quotes"));
        }
        let array = scalar_array(&self.value, &data_type).map_err(refused)?;
        if !values::is_finite(&array) {
            return Err(refused("`value` is not finite".to_owned()));
        }
        Ok(Replacement::Constant(array))
    }
}

impl Definition for Constant {
    const KIND: &'static str = "constant";
    const SUMMARY: &'static str = "puts one value in the place of every other";
    const FITS: &'static str = "every type";
    const EXAMPLE: &'static str = "{ kind = \"constant\", value = \"0\" }";
    const STRENGTH: Strength = Strength::NOTHING_LEFT;
    const UNIQUENESS: Uniqueness = Uniqueness::Lossy;
    const WIDTH: Option<&'static str> = Some("that of `value`");

    /// The constant takes the place of every value.
    fn refuses(&self, _: &DataType, _: Case) -> bool {
        false
    }

    fn width(&self, _: &DataType) -> Option<usize> {
        Some(self.value.as_text().len())
    }

    fn cover_width(&self) -> Option<usize> {
        Some(self.value.as_text().len())
    }

    fn at_least(&self, floor: &Self) -> bool {
        self.value.same_as(&floor.value)
    }

    fn output_type(&self, column: Column<'_>) -> Result<Option<DataType>, Misfit> {
        self.replacement(column)?;
        Ok(Some(column.data_type.clone()))
    }

    fn build(
        &self,
        column: Column<'_>,
        options: &Options,
        _: Option<&DerivedKey>,
    ) -> Result<Box<dyn Treatment>, Misfit> {
        let replacement = self.replacement(column)?;
        if *column.data_type == DataType::Utf8 {
            let kernel = Kernel {
                value: self.value.as_text().into_owned(),
            };
            return Ok(Box::new(TextTreatment::new(kernel, options, column)?));
        }
        let data_type = column.data_type.clone();
        Ok(Box::new(ValueTreatment::new(
            data_type,
            replacement,
            options,
            column,
        )?))
    }
}

#[derive(Debug)]
struct Kernel {
    value: String,
}

impl TextKernel for Kernel {
    fn treat(&self, _: &str, out: &mut Vec<u8>, _: &mut Vec<usize>) -> Result<Written, Case> {
        out.extend_from_slice(self.value.as_bytes());
        Ok(Written::Text)
    }

    fn cover(&self, _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self.value.as_bytes());
    }

    fn output_bytes(&self, rows: usize, _: usize) -> usize {
        rows.saturating_mul(self.value.len())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, AsArray, Date32Array, Decimal128Array, Float64Array, Int32Array};
    use arrow::datatypes::{DataType, Date32Type, Decimal128Type, Float64Type, Int32Type};

    use crate::testing::{misfit_of, spec, treat, treat_array, treat_one};

    #[test]
    fn every_value_becomes_the_constant() {
        let text = "{ kind = 'constant', value = '某' }";
        assert_eq!(treat_one(text, "张三"), Some("某".into()));
        let array: ArrayRef = Arc::new(Int32Array::from(vec![Some(1), None, Some(3)]));
        let treated = treat_array("{ kind = 'constant', value = 7 }", &array).unwrap();
        let values: Vec<_> = treated.array.as_primitive::<Int32Type>().iter().collect();
        assert_eq!(values, [Some(7), None, Some(7)]);
        let array: ArrayRef = Arc::new(
            Decimal128Array::from(vec![123])
                .with_precision_and_scale(12, 2)
                .unwrap(),
        );
        let treated = treat_array("{ kind = 'constant', value = '0.5' }", &array).unwrap();
        assert_eq!(treated.array.as_primitive::<Decimal128Type>().value(0), 50);
    }

    #[test]
    fn a_bare_date_is_a_date() {
        let array: ArrayRef = Arc::new(Date32Array::from(vec![Some(7)]));
        let treated = treat_array("{ kind = 'constant', value = 1970-01-02 }", &array).unwrap();
        assert_eq!(treated.array.as_primitive::<Date32Type>().value(0), 1);
    }

    #[test]
    fn mask_all_is_the_constant() {
        let text =
            "{ kind = 'constant', value = 'x', on_null = 'mask-all', on_empty = 'mask-all' }";
        let treated = treat(text, &[None, Some(" "), Some("a")]);
        let values: Vec<_> = treated.array.as_string::<i32>().iter().collect();
        assert_eq!(values, [Some("x"), Some("x"), Some("x")]);
        let array: ArrayRef = Arc::new(Float64Array::from(vec![None, Some(f64::NAN), Some(2.5)]));
        let spec = "{ kind = 'constant', value = 1, on_null = 'mask-all' }";
        let treated = treat_array(spec, &array).unwrap();
        let values: Vec<_> = treated.array.as_primitive::<Float64Type>().iter().collect();
        assert_eq!(values, [Some(1.0), Some(1.0), Some(1.0)]);
        assert_eq!(treated.counts.invalid, 1);
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (value, data_type) in [
            ("'x'", DataType::Int8),
            ("300", DataType::Int8),
            ("5", DataType::Utf8),
            ("'1.005'", DataType::Decimal128(12, 2)),
            ("'nan'", DataType::Float64),
            ("'inf'", DataType::Float32),
            ("'2026-13-01'", DataType::Date32),
        ] {
            let misfit = misfit_of(
                &format!("{{ kind = 'constant', value = {value} }}"),
                &data_type,
            );
            assert_eq!(misfit.parameter, Some("value"), "{value}");
        }
    }

    #[test]
    fn only_the_same_constant_meets_a_constant() {
        let floor = spec("{ kind = 'constant', value = '0' }");
        assert!(spec("{ kind = 'constant', value = '0' }").meets(&floor));
        assert!(!spec("{ kind = 'constant', value = '1' }").meets(&floor));
        assert!(!spec("{ kind = 'null' }").meets(&floor));
    }
}
