//! Columns of every type a field can have.

use super::*;

/// Values that are hard on text: no, part of, or several characters, in every length of UTF-8.
pub(super) const TEXTS: [&str; 19] = [
    "",
    " ",
    "\u{3000}\t",
    "张三",
    "欧阳娜娜",
    "𠮷野家",
    "11010519491231002X",
    "13800138000",
    "zhang.san@example.cn",
    "👨‍👩‍👧",
    "e\u{301}a\u{30A}o",
    "a\r\nb",
    "🇨🇳🇫🇷",
    "1234567",
    "浙江省杭州市西湖区文三路1号",
    "-",
    r#"{"person": {"id": "11010519491231002X", "age": 41}, "tags": ["a", null, 1.50]}"#,
    r#"{"person": {"id": "11010519491231002X"}"#,
    "[{}]",
];

/// One column of every type a field can have.
pub(super) fn columns() -> Vec<ArrayRef> {
    let texts: Vec<Option<&str>> = TEXTS.iter().map(|text| Some(*text)).chain([None]).collect();
    vec![
        Arc::new(StringArray::from(texts)),
        Arc::new(BooleanArray::from(vec![Some(true), None, Some(false)])),
        Arc::new(Int8Array::from(vec![Some(-128), None, Some(0), Some(127)])),
        Arc::new(Int64Array::from(vec![
            Some(i64::MIN),
            None,
            Some(0),
            Some(i64::MAX),
        ])),
        Arc::new(UInt64Array::from(vec![Some(0), None, Some(u64::MAX)])),
        Arc::new(Float32Array::from(vec![
            Some(1.5),
            None,
            Some(f32::NAN),
            Some(f32::MAX),
        ])),
        Arc::new(Float64Array::from(vec![
            Some(-0.0),
            None,
            Some(f64::INFINITY),
            Some(f64::NAN),
            Some(1e300),
            Some(12.345),
        ])),
        Arc::new(
            Decimal128Array::from(vec![
                Some(123_456),
                None,
                Some(-1),
                Some(10_i128.pow(12) - 1),
            ])
            .with_precision_and_scale(12, 2)
            .unwrap(),
        ),
        Arc::new(
            Decimal256Array::from(vec![
                Some(i256::from_i128(i128::MAX)),
                None,
                Some(i256::from_i128(-1)),
                i256::from_string(&"9".repeat(60)),
            ])
            .with_precision_and_scale(60, 20)
            .unwrap(),
        ),
        Arc::new(Date32Array::from(vec![
            Some(0),
            None,
            Some(20_484),
            Some(-25_567),
        ])),
        Arc::new(TimestampSecondArray::from(vec![
            Some(0),
            None,
            Some(1_769_846_399),
        ])),
        Arc::new(
            TimestampMicrosecondArray::from(vec![Some(0), None, Some(1_769_846_399_000_001)])
                .with_timezone("Asia/Shanghai"),
        ),
        Arc::new(BinaryArray::from(vec![
            Some(b"abc".as_slice()),
            None,
            Some(b""),
        ])),
        nested::list(),
        nested::structs(),
        nested::map(),
    ]
}

/// Columns of nested types, with a null at every level.
mod nested {
    use arrow::array::{Int32Builder, ListBuilder, MapBuilder, StringBuilder, StructArray};
    use arrow::datatypes::{Field, Fields};

    use super::*;

    pub(super) fn list() -> ArrayRef {
        let mut lists = ListBuilder::new(StringBuilder::new());
        lists.append_value([Some("张三"), None, Some("abc")]);
        lists.append_null();
        lists.append_value([None::<&str>; 0]);
        lists.append_value([Some("欧阳娜娜")]);
        Arc::new(lists.finish())
    }

    pub(super) fn structs() -> ArrayRef {
        let fields = Fields::from(vec![
            Field::new("name", DataType::Utf8, true),
            Field::new("age", DataType::Int64, true),
        ]);
        let names = StringArray::from(vec![Some("张三"), Some("hidden"), None, Some("李四")]);
        let ages = Int64Array::from(vec![Some(41), Some(42), Some(43), None]);
        let nulls = NullBuffer::from(vec![true, false, true, true]);
        let columns: Vec<ArrayRef> = vec![Arc::new(names), Arc::new(ages)];
        Arc::new(StructArray::new(fields, columns, Some(nulls)))
    }

    pub(super) fn map() -> ArrayRef {
        let mut maps = MapBuilder::new(None, StringBuilder::new(), Int32Builder::new());
        maps.keys().append_value("a");
        maps.values().append_value(1);
        maps.append(true).unwrap();
        maps.append(false).unwrap();
        maps.append(true).unwrap();
        maps.keys().append_value("b");
        maps.values().append_null();
        maps.append(true).unwrap();
        Arc::new(maps.finish())
    }
}
