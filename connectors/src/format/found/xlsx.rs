//! A sheet of an Excel workbook, its cells streamed by calamine.
//!
//! A thread of its own reads ahead by one batch: calamine's reader borrows the workbook, and both
//! live there. Rows without any cell are left out, and so are rows and columns before the first.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};

use arrow::record_batch::RecordBatch;
use calamine::{DataRef, ExcelDateTime, Reader, SheetType, Xlsx, XlsxCellReader, XlsxError};

use super::rows::{BatchBuilder, COLUMNS_MAX, Columns};
use super::{Batches, FoundOptions, guard, guarded, open_file, senseless, unreadable};
use crate::error::ConnectorError;

type Input = BufReader<File>;
type Workbook = Xlsx<Input>;

/// Where the table is.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    sheet: String,
    first_column: u32,
}

impl Layout {
    pub(super) fn sheet(&self) -> &str {
        &self.sheet
    }
}

/// Finds the sheet and its columns, after making sure that the workbook is fit to be read.
pub(super) fn open(
    path: &Path,
    place: &str,
    options: &FoundOptions,
) -> Result<(Layout, Columns), ConnectorError> {
    guard::check(open_file(path, place)?, place)?;
    guarded(place, || {
        let mut workbook = workbook(path, place)?;
        let mut best: Option<(String, Extent)> = None;
        for sheet in sheets(&workbook, options.sheet.as_deref(), place)? {
            let extent = survey(&mut workbook, &sheet, place)?;
            let larger = |(_, other): &(String, Extent)| extent.cells > other.cells;
            if best.as_ref().is_none_or(larger) {
                best = Some((sheet, extent));
            }
        }
        let Some((sheet, extent)) = best else {
            return Err(unreadable(
                place,
                None,
                "it has no sheet",
                "find a whole copy",
            ));
        };
        let width = |column: u32| usize::try_from(column).unwrap_or(usize::MAX);
        let first_column = extent.first_column;
        let mut first = vec![String::new(); width(extent.end_column.saturating_sub(first_column))];
        for (column, text) in extent.first_row {
            if let Some(cell) = first.get_mut(width(column.saturating_sub(first_column))) {
                *cell = text;
            }
        }
        let columns = Columns::from_first_row(&first, 0, options.header, place)?;
        Ok((
            Layout {
                sheet,
                first_column,
            },
            columns,
        ))
    })
}

fn workbook(path: &Path, place: &str) -> Result<Workbook, ConnectorError> {
    let file = BufReader::new(open_file(path, place)?);
    Workbook::new(file).map_err(|error| refusal(&error, place))
}

/// The sheets to choose from: the one asked for, or all that hold cells.
fn sheets(
    workbook: &Workbook,
    wanted: Option<&str>,
    place: &str,
) -> Result<Vec<String>, ConnectorError> {
    let all = workbook.sheets_metadata().iter();
    let of_cells = all.filter(|sheet| sheet.typ == SheetType::WorkSheet);
    let names: Vec<String> = of_cells.map(|sheet| sheet.name.clone()).collect();
    match wanted {
        None => Ok(names),
        Some(wanted) if names.iter().any(|name| name == wanted) => Ok(vec![wanted.to_owned()]),
        Some(wanted) => Err(ConnectorError::config(
            format!("{place} has no sheet `{wanted}`"),
            format!(
                "it has `{}`",
                names.into_iter().take(20).collect::<Vec<_>>().join("`, `")
            ),
        )),
    }
}

/// Where the cells of a sheet are.
#[derive(Default)]
struct Extent {
    cells: u64,
    first_column: u32,
    end_column: u32,
    /// The cells of the first row that has any.
    first_row: Vec<(u32, String)>,
}

fn survey(workbook: &mut Workbook, sheet: &str, place: &str) -> Result<Extent, ConnectorError> {
    let mut cells = Cells::open(workbook, sheet, place)?;
    let mut extent = Extent::default();
    let mut first_row = None;
    while let Some(((row, column), text)) = cells.next()? {
        if extent.cells == 0 {
            extent.first_column = column;
        }
        extent.first_column = extent.first_column.min(column);
        extent.end_column = extent.end_column.max(column.saturating_add(1));
        extent.cells = extent.cells.saturating_add(1);
        if *first_row.get_or_insert(row) == row {
            extent.first_row.push((column, text));
        }
    }
    Ok(extent)
}

/// A cell: its row and column, from 0, and its text.
type Placed = ((u32, u32), String);

/// The cells of a sheet that have text, as places and texts.
struct Cells<'a> {
    reader: XlsxCellReader<'a, Input>,
    place: &'a str,
}

impl<'a> Cells<'a> {
    fn open(
        workbook: &'a mut Workbook,
        sheet: &str,
        place: &'a str,
    ) -> Result<Self, ConnectorError> {
        let reader = workbook
            .worksheet_cells_reader(sheet)
            .map_err(|error| refusal(&error, place))?;
        Ok(Self { reader, place })
    }

    fn next(&mut self) -> Result<Option<Placed>, ConnectorError> {
        loop {
            let cell = self
                .reader
                .next_cell()
                .map_err(|error| refusal(&error, self.place))?;
            let Some(cell) = cell else { return Ok(None) };
            let (row, column) = cell.get_position();
            if !usize::try_from(column).is_ok_and(|column| column < COLUMNS_MAX) {
                return Err(senseless(self.place));
            }
            if let Some(text) = text(cell.get_value()) {
                return Ok(Some(((row, column), text)));
            }
        }
    }
}

/// The text of a cell; an empty one has none.
fn text(value: &DataRef<'_>) -> Option<String> {
    let text = match value {
        DataRef::Empty => return None,
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => decimal(*number),
        DataRef::Bool(value) => value.to_string(),
        DataRef::DateTime(serial) => moment(serial),
        DataRef::DateTimeIso(text) => match text.split_once('T') {
            Some((date, time)) if time.trim_end_matches(['0', ':', '.', 'Z']).is_empty() => {
                date.to_owned()
            }
            Some((date, time)) => format!("{date} {time}"),
            None => text.clone(),
        },
        DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => error.to_string(),
    };
    (!text.is_empty()).then_some(text)
}

/// A number with the 15 significant digits that Excel shows, without an exponent.
fn decimal(number: f64) -> String {
    let rounded: f64 = format!("{number:.14e}").parse().unwrap_or(number);
    // Adding zero takes the sign off a negative zero.
    (rounded + 0.0).to_string()
}

/// A date, a time or both. What lies outside of Excel's calendar stays a number.
fn moment(serial: &ExcelDateTime) -> String {
    let days = serial.as_f64();
    let (year, month, day, hour, minute, second, milli) = serial.to_ymd_hms_milli();
    if !(0.0..2_958_466.0).contains(&days) {
        return decimal(days);
    }
    let fraction = match milli {
        0 => String::new(),
        milli => format!(".{milli:03}"),
    };
    if serial.is_duration() {
        let millis = (days * 86_400_000.0).round();
        let (seconds, milli) = ((millis / 1_000.0).floor(), millis % 1_000.0);
        let fraction = if milli > 0.0 {
            format!(".{milli:03}")
        } else {
            String::new()
        };
        let (hours, minutes) = (
            (seconds / 3_600.0).floor(),
            (seconds % 3_600.0 / 60.0).floor(),
        );
        return format!("{hours:02}:{minutes:02}:{:02}{fraction}", seconds % 60.0);
    }
    let time = format!("{hour:02}:{minute:02}:{second:02}{fraction}");
    if days < 1.0 {
        time
    } else if time == "00:00:00" {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{year:04}-{month:02}-{day:02} {time}")
    }
}

/// Why calamine refuses a workbook. Its own words are not repeated, because they may quote a cell.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "only a few of calamine's many errors have a remedy of their own"
)]
fn refusal(error: &XlsxError, place: &str) -> ConnectorError {
    match error {
        XlsxError::Password => unreadable(
            place,
            None,
            "it is protected by a password",
            "open it in a spreadsheet and save it without",
        ),
        XlsxError::FileNotFound(_) | XlsxError::RelationshipNotFound => unreadable(
            place,
            None,
            "it is an archive, but holds no Excel workbook",
            "unpack it and trace the files in it, or save the workbook as .xlsx or CSV",
        ),
        XlsxError::Io(_) | XlsxError::Zip(_) | XlsxError::Xml(_) | XlsxError::XmlEof(_) => {
            guard::cut_short(place)
        }
        _ => senseless(place),
    }
}

/// The rows of a sheet.
pub(super) struct Rows {
    place: String,
    batches: Receiver<RecordBatch>,
    /// The thread that reads, until it was heard out.
    reading: Option<JoinHandle<Result<(), ConnectorError>>>,
}

impl Rows {
    pub(super) fn open(
        path: &Path,
        place: String,
        layout: &Layout,
        columns: &Columns,
    ) -> Result<Self, ConnectorError> {
        let (sender, batches) = sync_channel(1);
        let reading = Reading {
            path: path.to_owned(),
            place: place.clone(),
            layout: layout.clone(),
            builder: BatchBuilder::new(columns),
            width: columns.names.len(),
            skip_header: columns.has_header,
            sender,
        };
        let thread = thread::Builder::new()
            .name("found-workbook".to_owned())
            .spawn(move || reading.run())
            .map_err(|error| ConnectorError::from_io(&error, &place))?;
        Ok(Self {
            place,
            batches,
            reading: Some(thread),
        })
    }
}

impl Batches for Rows {
    fn next(&mut self) -> Result<Option<RecordBatch>, ConnectorError> {
        if let Ok(batch) = self.batches.recv() {
            return Ok(Some(batch));
        }
        match self.reading.take().map(JoinHandle::join) {
            None => Ok(None),
            Some(Ok(ended)) => ended.map(|()| None),
            Some(Err(_)) => Err(senseless(&self.place)),
        }
    }

    fn irregular(&self) -> u64 {
        0
    }
}

/// What the thread works on.
struct Reading {
    path: PathBuf,
    place: String,
    layout: Layout,
    builder: BatchBuilder,
    width: usize,
    skip_header: bool,
    sender: SyncSender<RecordBatch>,
}

impl Reading {
    fn run(mut self) -> Result<(), ConnectorError> {
        let place = self.place.clone();
        let mut workbook = workbook(&self.path, &place)?;
        let mut cells = Cells::open(&mut workbook, &self.layout.sheet, &place)?;
        let mut current = None;
        let mut row: Vec<Option<String>> = vec![None; self.width];
        while let Some(((number, column), text)) = cells.next()? {
            if current
                .replace(number)
                .is_some_and(|current| current != number)
                && !self.add(&mut row)?
            {
                return Ok(());
            }
            let column = column.checked_sub(self.layout.first_column);
            let column = column.and_then(|column| usize::try_from(column).ok());
            if let Some(cell) = column.and_then(|column| row.get_mut(column)) {
                *cell = Some(text);
            }
        }
        if current.is_some() && !self.add(&mut row)? {
            return Ok(());
        }
        // If nobody reads on, nobody misses the last batch either.
        if let Some(batch) = self.builder.finish()? {
            self.sender.send(batch).unwrap_or_default();
        }
        Ok(())
    }

    /// Adds a row, and clears it. Says whether anybody reads on.
    fn add(&mut self, row: &mut [Option<String>]) -> Result<bool, ConnectorError> {
        if !std::mem::take(&mut self.skip_header) {
            self.builder.push(row.iter().map(Option::as_deref));
        }
        row.fill(None);
        if !self.builder.is_full() {
            return Ok(true);
        }
        let batch = self.builder.finish()?;
        Ok(batch.is_none_or(|batch| self.sender.send(batch).is_ok()))
    }
}

#[cfg(test)]
mod tests {
    use calamine::ExcelDateTimeType;

    use super::*;

    #[test]
    fn a_number_has_the_digits_that_excel_shows() {
        for (number, text) in [
            (0.1 + 0.2, "0.3"),
            (1_234.5, "1234.5"),
            (-0.0, "0"),
            (110_101_199_003_071_234.0, "110101199003071000"),
            (1e22, "10000000000000000000000"),
            (1.5e-7, "0.00000015"),
            (42.0, "42"),
        ] {
            assert_eq!(decimal(number), text);
        }
    }

    #[test]
    fn a_serial_is_a_date_a_time_or_both() {
        let text = |serial, is_1904| {
            moment(&ExcelDateTime::new(
                serial,
                ExcelDateTimeType::DateTime,
                is_1904,
            ))
        };
        assert_eq!(text(45_943.0, false), "2025-10-13");
        assert_eq!(text(45_943.0 - 1_462.0, true), "2025-10-13");
        assert_eq!(text(45_943.541, false), "2025-10-13 12:59:02.400");
        assert_eq!(text(0.75, false), "18:00:00");
        assert_eq!(text(-3.5, false), "-3.5");
        assert_eq!(text(f64::NAN, false), "NaN");
        let duration = ExcelDateTime::new(1.0625, ExcelDateTimeType::TimeDelta, false);
        assert_eq!(moment(&duration), "25:30:00");
    }
}
