//! Rows on their way: in the form in which PostgreSQL's binary COPY takes them, and in which it gives values back.

use super::tables::{Column, Kind, Table};

/// Rows of one batch: a tenth of a second of work, and a kill loses no more.
pub(crate) const BATCH_ROWS_MAX: usize = 4096;
/// A batch ends with the row that reaches this: bodies of requests and answers may be large.
pub(crate) const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The signature, then no flags and no extension of the header.
const HEAD: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const END: [u8; 2] = (-1i16).to_be_bytes();
const NULL: [u8; 4] = (-1i32).to_be_bytes();

/// A value as SQLite gives it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Given<'a> {
    Null,
    Integer(i64),
    Text(&'a [u8]),
    Blob(&'a [u8]),
    Other,
}

/// Why a value cannot be written to PostgreSQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    #[error("it holds the character U+0000, which PostgreSQL keeps in no text")]
    Nul,
    #[error("it is not UTF-8")]
    NotUtf8,
    #[error("it is larger than its column on PostgreSQL takes")]
    TooLarge,
    #[error("it is not what this program writes there")]
    OtherType,
}

/// Some rows of one table, and where the next batch begins.
pub(crate) struct Batch {
    /// `HEAD`, then each row as the number of its fields and the fields.
    copy: Vec<u8>,
    /// Where each row's fields begin in `copy`.
    starts: Vec<usize>,
    position: Vec<u8>,
}

impl Batch {
    pub(crate) fn new() -> Self {
        Self { copy: HEAD.to_vec(), starts: Vec::new(), position: Vec::new() }
    }

    pub(crate) fn rows(&self) -> usize {
        self.starts.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.rows() >= BATCH_ROWS_MAX || self.copy.len() >= BATCH_BYTES_MAX
    }

    /// Adds a row of the table, with its place in the order of the source. An error names the column.
    pub(crate) fn add<'a>(
        &mut self,
        table: &Table,
        mut value: impl FnMut(usize) -> Given<'a>,
    ) -> Result<(), (&'static str, Unstorable)> {
        let count = i16::try_from(table.columns.len()).expect("because a table has some twenty columns");
        self.copy.extend_from_slice(&count.to_be_bytes());
        self.starts.push(self.copy.len());
        for (at, column) in table.columns.iter().enumerate() {
            write(&mut self.copy, column, value(at)).map_err(|why| (column.name, why))?;
        }
        self.position.clear();
        for (at, column) in table.order.iter().enumerate() {
            let value = value(table.columns.len() + at);
            write(&mut self.position, column, value).map_err(|why| (column.name, why))?;
        }
        Ok(())
    }

    /// What COPY is sent.
    pub(crate) fn into_copy(mut self) -> (Vec<u8>, Rows) {
        self.copy.extend_from_slice(&END);
        (self.copy, Rows { starts: self.starts, position: self.position })
    }
}

/// What stays of a batch beside its bytes.
pub(crate) struct Rows {
    starts: Vec<usize>,
    /// See [`parse_position`].
    pub(crate) position: Vec<u8>,
}

impl Rows {
    pub(crate) fn count(&self) -> usize {
        self.starts.len()
    }

    /// The fields of a row; NULL is `None`.
    pub(crate) fn fields<'a>(&self, copy: &'a [u8], row: usize) -> Fields<'a> {
        Fields { rest: &copy[self.starts[row]..] }
    }
}

/// Values with their lengths, one after the other.
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Fields<'a> {
    type Item = Option<&'a [u8]>;

    /// Does not know where a row ends: the table's columns say how many there are.
    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        match usize::try_from(i32::from_be_bytes(*length)) {
            Err(_) => {
                self.rest = rest;
                Some(None)
            }
            Ok(length) => {
                let (value, rest) = rest.split_at_checked(length)?;
                self.rest = rest;
                Some(Some(value))
            }
        }
    }
}

/// A value of a position, to be bound to SQLite's statement.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Id([u8; 16]),
    Number(i64),
    Text(String),
}

/// Reads what `Batch::add` wrote of the table's order. `None`: it is no place of this table.
pub(crate) fn parse_position(table: &Table, position: &[u8]) -> Option<Vec<Place>> {
    let mut fields = Fields { rest: position };
    let mut places = Vec::with_capacity(table.order.len());
    for column in table.order {
        let value = fields.next()??;
        places.push(match column.kind {
            Kind::Id => Place::Id(value.try_into().ok()?),
            Kind::Small => Place::Number(i16::from_be_bytes(value.try_into().ok()?).into()),
            Kind::Int => Place::Number(i32::from_be_bytes(value.try_into().ok()?).into()),
            Kind::Big => Place::Number(i64::from_be_bytes(value.try_into().ok()?)),
            Kind::Text => Place::Text(std::str::from_utf8(value).ok()?.to_owned()),
            Kind::Bytes => return None,
        });
    }
    fields.rest.is_empty().then_some(places)
}

fn write(to: &mut Vec<u8>, column: &Column, value: Given<'_>) -> Result<(), Unstorable> {
    let mut field = |value: &[u8]| {
        let length = i32::try_from(value.len()).map_err(|_| Unstorable::TooLarge)?;
        to.extend_from_slice(&length.to_be_bytes());
        to.extend_from_slice(value);
        Ok(())
    };
    match (column.kind, value) {
        (_, Given::Null) => {
            to.extend_from_slice(&NULL);
            Ok(())
        }
        (Kind::Id, Given::Blob(id)) if id.len() == 16 => field(id),
        (Kind::Bytes, Given::Blob(bytes)) => field(bytes),
        (Kind::Small, Given::Integer(number)) => {
            field(&i16::try_from(number).map_err(|_| Unstorable::TooLarge)?.to_be_bytes())
        }
        (Kind::Int, Given::Integer(number)) => {
            field(&i32::try_from(number).map_err(|_| Unstorable::TooLarge)?.to_be_bytes())
        }
        (Kind::Big, Given::Integer(number)) => field(&number.to_be_bytes()),
        (Kind::Text, Given::Text(text)) if text.contains(&0) => Err(Unstorable::Nul),
        (Kind::Text, Given::Text(text)) if std::str::from_utf8(text).is_err() => Err(Unstorable::NotUtf8),
        (Kind::Text, Given::Text(text)) => field(text),
        _ => Err(Unstorable::OtherType),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tables::TABLES;
    use super::*;

    fn table(name: &str) -> &'static Table {
        TABLES.iter().find(|table| table.name == name).expect("a table")
    }

    #[test]
    fn a_row_reads_back_field_by_field_with_its_place() {
        let table = table("event_external");
        let mut batch = Batch::new();
        for text in [&b"a"[..], b""] {
            let values = [Given::Blob(&[1; 16]), Given::Text(text), Given::Blob(&[2; 16])];
            let row = [values[0], values[1], values[2], values[0], values[1]];
            batch.add(table, |at| row[at]).expect("storable");
        }
        let (copy, rows) = batch.into_copy();
        assert_eq!(rows.count(), 2);
        let fields: Vec<_> = rows.fields(&copy, 1).take(3).collect();
        assert_eq!(fields, [Some(&[1; 16][..]), Some(b""), Some(&[2; 16])]);
        let places = [Place::Id([1; 16]), Place::Text(String::new())];
        assert_eq!(parse_position(table, &rows.position), Some(places.into()));
        for wrong in [&rows.position[1..], &[&rows.position[..], b"x"].concat()[..], &[]] {
            assert_eq!(parse_position(table, wrong), None);
        }
    }

    #[test]
    fn what_postgresql_cannot_hold_is_told_and_not_bent() {
        for (kind, value, why) in [
            (Kind::Text, Given::Text(b"a\0b"), Unstorable::Nul),
            (Kind::Text, Given::Text(b"\xff"), Unstorable::NotUtf8),
            (Kind::Text, Given::Blob(b"a"), Unstorable::OtherType),
            (Kind::Small, Given::Integer(40_000), Unstorable::TooLarge),
            (Kind::Int, Given::Integer(1 << 31), Unstorable::TooLarge),
            (Kind::Id, Given::Blob(&[1; 15]), Unstorable::OtherType),
            (Kind::Big, Given::Other, Unstorable::OtherType),
        ] {
            let column = Column { name: "a", kind, from: "a" };
            assert_eq!(write(&mut Vec::new(), &column, value), Err(why));
        }
    }
}
