//! Lists: `{data, nextCursor}`, newest first, at most 100 a page, going on from an opaque cursor.
//!
//! A cursor is the id of the last row that was shown, bound to the list and the filters it came from: one that is used
//! with another list, tenant or filter would skip rows without anybody noticing, so it is refused.

use axum::response::{IntoResponse, Response};
use serde::Serialize;
use sha2::{Digest, Sha256};

use postrider_domain::limits::{LIST_ITEMS_DEFAULT, LIST_ITEMS_MAX};
use postrider_domain::problem::{Code, Problem};

use crate::query::Query;

const CHECK_BYTES: usize = 4;
const ID_BYTES: usize = 16;

/// Where a page begins and how long it may be.
#[derive(Debug)]
pub(crate) struct Page {
    /// The list and its filters, in one hash.
    list: [u8; CHECK_BYTES],
    /// The last row of the page before: its id, or, where rows are known by text, that.
    after: Option<Vec<u8>>,
    pub(crate) limit: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    data: Vec<T>,
    next_cursor: Option<String>,
}

impl Page {
    /// `list` names the list, `scope` the tenant; every query parameter but `cursor` and `limit` is a filter.
    pub(crate) fn from_query(list: &str, scope: &[u8], query: &Query) -> Result<Self, Problem> {
        let limit = match query.count("limit")? {
            None => LIST_ITEMS_DEFAULT,
            Some(limit) if (1..=LIST_ITEMS_MAX as u64).contains(&limit) => limit as usize,
            Some(_) => {
                let detail = format!("`limit` must be 1 to {LIST_ITEMS_MAX}.");
                return Err(Problem::at(Code::InvalidField, "limit", detail));
            }
        };
        let mut hash = Sha256::new();
        hash.update(list.as_bytes());
        hash.update([0]);
        hash.update(scope);
        for (name, value) in query.filters() {
            for part in [name, value] {
                hash.update((part.len() as u64).to_be_bytes());
                hash.update(part.as_bytes());
            }
        }
        let list: [u8; CHECK_BYTES] =
            hash.finalize()[..CHECK_BYTES].try_into().expect("because the slice has that length");
        let after = query.text("cursor").map(|cursor| read_cursor(cursor, list)).transpose()?;
        Ok(Self { list, after, limit })
    }

    /// The last row of the page before, by its id.
    pub(crate) fn after(&self) -> Result<Option<[u8; ID_BYTES]>, Problem> {
        let id = self.after.as_ref().map(|after| <[u8; ID_BYTES]>::try_from(after.as_slice()));
        id.transpose().map_err(|_| not_of_this_list())
    }

    /// The last row of the page before, of a list that is in the order of texts.
    pub(crate) fn after_text(&self) -> Result<Option<&str>, Problem> {
        let Some(after) = &self.after else { return Ok(None) };
        let text = std::str::from_utf8(after).ok().filter(|text| !text.contains(char::is_control));
        text.map(Some).ok_or_else(not_of_this_list)
    }

    /// How many rows to read: one more than is shown, which tells whether there is a next page.
    pub(crate) const fn rows(&self) -> usize {
        self.limit + 1
    }

    /// `rows` as they came for [`Page::rows`]; `id` of a row is what the next page begins after.
    pub(crate) fn answer<R, T: Serialize>(
        &self,
        rows: Vec<R>,
        id: impl Fn(&R) -> [u8; ID_BYTES],
        show: impl FnMut(R) -> T,
    ) -> Response {
        self.answer_by(rows, |row| id(row).to_vec(), show)
    }

    /// As [`Self::answer`], where `place` is what the next page begins after.
    pub(crate) fn answer_by<R, T: Serialize>(
        &self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> Vec<u8>,
        show: impl FnMut(R) -> T,
    ) -> Response {
        let more = rows.len() > self.limit;
        rows.truncate(self.limit);
        let next_cursor = rows.last().filter(|_| more).map(|row| self.cursor(&place(row)));
        let list = List { data: rows.into_iter().map(show).collect(), next_cursor };
        axum::Json(list).into_response()
    }

    /// For lists that are whole in memory and have no ids: the cursor is the place of the last row shown.
    pub(crate) fn answer_by_place<'r, R, T: Serialize>(
        &self,
        rows: &'r [R],
        mut show: impl FnMut(&'r R) -> T,
    ) -> Response {
        let after = self.after().ok().flatten();
        let start = after.map_or(0, |after| u128::from_be_bytes(after).saturating_add(1));
        let start = usize::try_from(start).unwrap_or(usize::MAX).min(rows.len());
        let rows: Vec<(usize, &R)> = rows.iter().enumerate().skip(start).take(self.rows()).collect();
        self.answer(rows, |(place, _)| (*place as u128).to_be_bytes(), |(_, row)| show(row))
    }

    fn cursor(&self, place: &[u8]) -> String {
        hex::encode([place, &self.list].concat())
    }
}

fn read_cursor(text: &str, list: [u8; CHECK_BYTES]) -> Result<Vec<u8>, Problem> {
    let bytes = hex::decode(text).unwrap_or_default();
    match bytes.split_last_chunk::<CHECK_BYTES>() {
        Some((place, check)) if *check == list && !place.is_empty() => Ok(place.to_vec()),
        _ => Err(not_of_this_list()),
    }
}

fn not_of_this_list() -> Problem {
    Problem::at(
        Code::CursorInvalid,
        "cursor",
        "This cursor is not one of this list. Use `nextCursor` of the page before, with the same filters.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_good_for_its_own_list_only() {
        let open = |list: &str, tenant: &[u8], text: &str| {
            Page::from_query(list, tenant, &Query::parse(Some(text)).expect("the test's query is a query"))
        };
        let page = open("events", b"a", "type=x&limit=2").expect("a first page needs no cursor");
        assert_eq!((page.limit, page.rows(), page.after.is_none()), (2, 3, true));
        let cursor = page.cursor(&[7; 16]);
        let next = open("events", b"a", &format!("type=x&cursor={cursor}")).expect("the same list goes on");
        assert_eq!(next.after(), Ok(Some([7; 16])));
        for (list, tenant, text) in [
            ("events", b"a", format!("type=y&cursor={cursor}")),
            ("events", b"a", format!("cursor={cursor}")),
            ("events", b"b", format!("type=x&cursor={cursor}")),
            ("deliveries", b"a", format!("type=x&cursor={cursor}")),
            ("events", b"a", "type=x&cursor=zz".to_owned()),
            ("events", b"a", format!("type=x&cursor={}", &cursor[2..])),
        ] {
            let refused = open(list, tenant, &text).and_then(|page| page.after());
            let refused = refused.expect_err("another list's cursor is refused");
            assert_eq!(refused.code, Code::CursorInvalid, "{list} {text}");
        }
    }

    #[test]
    fn a_page_has_a_bound() {
        for text in ["limit=0", "limit=101", "limit=-1", "limit=many"] {
            let query = Query::parse(Some(text)).expect("the test's query is a query");
            let refused = Page::from_query("events", b"", &query).expect_err("the limit is out of bounds");
            assert_eq!(
                (refused.code, refused.field.as_deref()),
                (Code::InvalidField, Some("limit")),
                "{text}"
            );
        }
    }
}
