//! Opens columns of cells.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayData, ArrayRef, AsArray, BinaryArray, BooleanArray, NullBufferBuilder, StringArray,
    make_array,
};
use arrow::buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::DataType;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::bound::Bound;
use crate::cell::{Beside, CellOpener};
use crate::error::{NotOpened, Unopenable};

/// Opens the cells of a field.
#[derive(Debug)]
pub struct Opener {
    cells: CellOpener,
    /// The fields that cells are bound to, in the order of their names.
    beside: Vec<String>,
}

impl Opener {
    pub(super) fn new(cells: CellOpener, beside: Vec<String>) -> Self {
        Self { cells, beside }
    }

    /// The same for cells of one attempt alone: those of any other don't open.
    #[must_use]
    pub fn of_attempt(self, attempt: [u8; 16]) -> Self {
        Self {
            cells: self.cells.of_attempt(attempt),
            ..self
        }
    }

    /// The values that a column of cells, binary or as base64url, was made of; `data_type` is the
    /// type of the field that was encrypted. Nulls stay null. Opens cells that are bound to no row.
    ///
    /// # Errors
    /// A value that isn't an authentic cell of this field (sentinels, which are kept as given,
    /// aren't), is bound to its row, or doesn't open to a value of that type; the row is named.
    pub fn open_column(
        &mut self,
        column: &ArrayRef,
        data_type: &DataType,
    ) -> Result<ArrayRef, NotOpened> {
        self.open_rows(column, &mut Bound::none(), data_type)
    }

    /// The same for cells that are bound to their rows: `row` holds the columns of the fields that they
    /// are bound to, as they are or as their texts, in the order of
    /// [`bound_to`](super::EncryptRand::bound_to), that of their names.
    ///
    /// # Errors
    /// As [`open_column`](Self::open_column), for a cell that stands beside another row, too, and for one
    /// that is bound to none; a column that isn't there, or is of another length.
    pub fn open_beside(
        &mut self,
        column: &ArrayRef,
        row: &[ArrayRef],
        data_type: &DataType,
    ) -> Result<ArrayRef, NotOpened> {
        let names = self.beside.clone();
        let bound = Bound::read(&names, row, column.len()).map_err(|_| NotOpened {
            row: 0,
            why: Unopenable::Bound,
        });
        self.open_rows(column, &mut bound?, data_type)
    }

    fn open_rows(
        &mut self,
        column: &ArrayRef,
        bound: &mut Bound<'_>,
        data_type: &DataType,
    ) -> Result<ArrayRef, NotOpened> {
        let mut bytes = Vec::new();
        let mut ends = vec![0];
        let mut nulls = NullBufferBuilder::new(column.len());
        let width = data_type.primitive_width();
        let mut plaintext = Vec::new();
        for row in 0..column.len() {
            let wrong = |why| NotOpened { row, why };
            if column.is_null(row) {
                nulls.append_null();
                bytes.resize(bytes.len() + width.unwrap_or_default(), 0);
            } else {
                nulls.append_non_null();
                self.open_row(column, row, bound.row(row), &mut plaintext)
                    .map_err(wrong)?;
                if width.is_some_and(|width| width != plaintext.len()) {
                    return Err(wrong(Unopenable::OtherType));
                }
                if width.is_some() && cfg!(target_endian = "little") {
                    plaintext.reverse();
                }
                bytes.extend_from_slice(&plaintext);
            }
            let end = i32::try_from(bytes.len()).map_err(|_| wrong(Unopenable::OtherType))?;
            ends.push(end);
        }
        let opened = Opened {
            bytes,
            ends,
            nulls: nulls.finish(),
        };
        // Where the values can't be taken apart any more, the first row stands for all.
        opened.into_array(data_type).ok_or(NotOpened {
            row: 0,
            why: Unopenable::OtherType,
        })
    }

    fn open_row(
        &mut self,
        column: &ArrayRef,
        row: usize,
        beside: &Beside,
        plaintext: &mut Vec<u8>,
    ) -> Result<(), Unopenable> {
        if let Some(cells) = column.as_binary_opt::<i32>() {
            return self.cells.open(cells.value(row), beside, plaintext);
        }
        let texts = column.as_string_opt::<i32>().ok_or(Unopenable::Malformed)?;
        let cell = URL_SAFE_NO_PAD
            .decode(texts.value(row))
            .map_err(|_| Unopenable::Malformed)?;
        self.cells.open(&cell, beside, plaintext)
    }
}

/// Plaintexts one after the other.
struct Opened {
    bytes: Vec<u8>,
    ends: Vec<i32>,
    nulls: Option<NullBuffer>,
}

impl Opened {
    fn into_array(self, data_type: &DataType) -> Option<ArrayRef> {
        let rows = self.ends.len().saturating_sub(1);
        if *data_type == DataType::Boolean {
            return self.into_booleans();
        }
        if data_type.primitive_width().is_some() {
            let data = ArrayData::builder(data_type.clone())
                .len(rows)
                .nulls(self.nulls)
                .add_buffer(Buffer::from(self.bytes))
                .align_buffers(true);
            return data.build().ok().map(make_array);
        }
        let offsets = OffsetBuffer::new(ScalarBuffer::from(self.ends));
        let bytes = Buffer::from(self.bytes);
        if *data_type == DataType::Utf8 {
            let texts = StringArray::try_new(offsets, bytes, self.nulls).ok()?;
            return Some(Arc::new(texts));
        }
        let values = BinaryArray::try_new(offsets, bytes, self.nulls).ok()?;
        (*data_type == DataType::Binary).then(|| -> ArrayRef { Arc::new(values) })
    }

    fn into_booleans(self) -> Option<ArrayRef> {
        let mut values = self.bytes.into_iter();
        let spans = self.ends.iter().zip(self.ends.iter().skip(1));
        let booleans = spans.map(|(start, end)| match end - start {
            0 => Some(None),
            1 => match values.next() {
                Some(0) => Some(Some(false)),
                Some(1) => Some(Some(true)),
                _ => None,
            },
            _ => None,
        });
        let booleans: BooleanArray = booleans.collect::<Option<Vec<Option<bool>>>>()?.into();
        let nulls = self.nulls.map_or(0, |nulls| nulls.null_count());
        (booleans.null_count() == nulls).then(|| -> ArrayRef { Arc::new(booleans) })
    }
}
