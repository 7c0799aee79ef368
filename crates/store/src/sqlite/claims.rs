//! Which deliveries are claimed, as a log: one row for the claims of a transaction, not an index entry for each.
//!
//! After a crash the log tells what may have been under way (`sending`, a view over it). In memory the writer counts what
//! is open of each row; a row whose claims have all ended is overwritten by a later transaction.

use foldhash::HashMap;
use postrider_domain::id::DeliveryId;
use rusqlite::{Connection, params};

use crate::StoreError;

/// Ids as a list of hex texts: the view takes it apart.
const WRITE: &str = "INSERT OR REPLACE INTO claim (seq, deliveries) VALUES (?1, ?2)";
const LAST: &str = "SELECT MAX(seq) FROM claim";
/// Index: the primary key of `delivery`.
const OPEN: &str = "SELECT id FROM sending";
const CLEAR: &str = "DELETE FROM claim";
/// Of a row that a look writes.
const IDS_PER_ROW: usize = 256;

/// What the writer knows of the log. Changes only when a transaction has been committed.
#[derive(Default)]
pub(crate) struct ClaimLog {
    row_of: HashMap<DeliveryId, i64>,
    /// Claims that have not ended, by row.
    open: HashMap<i64, usize>,
    /// Rows without an open claim.
    free: Vec<i64>,
    /// The highest row that was ever written to; `None` before the first.
    last: Option<i64>,
}

/// What a transaction does to claims.
#[derive(Default)]
pub(crate) struct Claims {
    made: Vec<DeliveryId>,
    ended: Vec<DeliveryId>,
    /// What was found in the log, after a look at all of it.
    found: Option<Found>,
}

struct Found {
    row_of: HashMap<DeliveryId, i64>,
    last: i64,
}

impl Claims {
    pub(super) fn made(&mut self, delivery: DeliveryId) {
        self.made.push(delivery);
    }

    pub(super) fn ended(&mut self, delivery: DeliveryId) {
        self.ended.push(delivery);
    }

    /// Reads the whole log and writes it anew, with what is under way and nothing else: without the rows of a process before
    /// this one, of a transaction of which nobody knows whether it was committed, and without what one slow attempt keeps
    /// of all that was claimed beside it.
    pub(super) fn look(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let mut open = Vec::new();
        let mut statement = connection.prepare_cached(OPEN)?;
        let mut found = statement.query([])?;
        while let Some(row) = found.next()? {
            open.push(DeliveryId::from_bytes(row.get(0)?));
        }
        let mut last = last_row(connection)?;
        connection.prepare_cached(CLEAR)?.execute([])?;
        let mut row_of = HashMap::default();
        for some in open.chunks(IDS_PER_ROW) {
            last += 1;
            connection.prepare_cached(WRITE)?.execute(params![last, list(some)])?;
            row_of.extend(some.iter().map(|delivery| (*delivery, last)));
        }
        self.found = Some(Found { row_of, last });
        Ok(())
    }
}

impl ClaimLog {
    /// Writes a transaction's claims into a row, which is never written to again if this transaction fails: it may have
    /// been committed all the same.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        claims: &Claims,
    ) -> Result<Option<i64>, StoreError> {
        if claims.made.is_empty() {
            return Ok(None);
        }
        let last = match (self.last, &claims.found) {
            (Some(last), None) => last,
            _ => last_row(connection)?.max(self.last.unwrap_or(0)),
        };
        let seq = match &claims.found {
            None => self.free.pop().unwrap_or(last + 1),
            // The rows that were free before this transaction's look may be those that it wrote.
            Some(_) => last + 1,
        };
        self.last = Some(last.max(seq));
        connection.prepare_cached(WRITE)?.execute(params![seq, list(&claims.made)])?;
        Ok(Some(seq))
    }

    /// The transaction is durable.
    pub(crate) fn committed(&mut self, claims: Claims, seq: Option<i64>) {
        if let Some(found) = claims.found {
            self.open.clear();
            for row in found.row_of.values() {
                *self.open.entry(*row).or_default() += 1;
            }
            self.row_of = found.row_of;
            self.free.clear();
            self.last = self.last.max(Some(found.last));
        }
        for delivery in &claims.ended {
            self.end(delivery);
        }
        let Some(seq) = seq else { return };
        for delivery in claims.made {
            self.end(&delivery);
            self.row_of.insert(delivery, seq);
            *self.open.entry(seq).or_default() += 1;
        }
    }

    /// A transaction failed, and may have been committed all the same: which rows are there is asked anew, and none that was
    /// free is written to.
    pub(crate) fn doubt(&mut self) {
        self.free.clear();
        self.last = None;
    }

    fn end(&mut self, delivery: &DeliveryId) {
        let Some(seq) = self.row_of.remove(delivery) else { return };
        let Some(open) = self.open.get_mut(&seq) else { return };
        *open -= 1;
        if *open == 0 {
            self.open.remove(&seq);
            self.free.push(seq);
        }
    }
}

fn last_row(connection: &Connection) -> Result<i64, StoreError> {
    let last: Option<i64> = connection.prepare_cached(LAST)?.query_row([], |row| row.get(0))?;
    Ok(last.unwrap_or(0))
}

fn list(deliveries: &[DeliveryId]) -> String {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut list = String::with_capacity(2 + deliveries.len() * 35);
    list.push('[');
    for (index, delivery) in deliveries.iter().enumerate() {
        list.push_str(if index == 0 { "\"" } else { ",\"" });
        for byte in delivery.as_bytes() {
            list.push(char::from(HEX[usize::from(byte >> 4)]));
            list.push(char::from(HEX[usize::from(byte & 15)]));
        }
        list.push('"');
    }
    list.push(']');
    list
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::plans;

    fn delivery(byte: u8) -> DeliveryId {
        DeliveryId::from_bytes([byte; 16])
    }

    /// A database with deliveries of which the given ones are under way.
    fn database(sending: &[u8]) -> Connection {
        let connection = plans::migrated();
        for byte in sending {
            set_state(&connection, *byte, 1);
        }
        connection
    }

    fn set_state(connection: &Connection, byte: u8, state: i64) {
        connection
            .execute(
                "INSERT OR REPLACE INTO delivery (tenant_id, id, event_id, webhook_id, kind, state, reason, attempts,
                   step, fence, resend, created_ms) VALUES (x'00', ?1, x'00', x'00', 0, ?2, 0, 0, 0, 0, 0, 0)",
                params![[byte; 16], state],
            )
            .expect("a row");
    }

    fn commit(log: &mut ClaimLog, connection: &Connection, made: &[u8], ended: &[u8]) -> Option<i64> {
        let mut claims = Claims::default();
        made.iter().for_each(|byte| claims.made(delivery(*byte)));
        ended.iter().for_each(|byte| claims.ended(delivery(*byte)));
        let seq = log.write(connection, &claims).expect("written");
        log.committed(claims, seq);
        seq
    }

    fn sending(connection: &Connection) -> Vec<u8> {
        let mut statement = connection.prepare("SELECT id FROM sending ORDER BY id").expect("a view");
        let ids = statement.query_map([], |row| row.get::<_, [u8; 16]>(0)).expect("rows");
        ids.map(|id| id.expect("an id")[0]).collect()
    }

    fn rows(connection: &Connection) -> i64 {
        connection.query_row("SELECT COUNT(*) FROM claim", [], |row| row.get(0)).expect("a count")
    }

    #[test]
    fn a_row_is_used_again_once_its_claims_have_ended() {
        let connection = database(&[1, 2, 3]);
        let mut log = ClaimLog::default();
        assert_eq!(commit(&mut log, &connection, &[1, 2], &[]), Some(1));
        assert_eq!(commit(&mut log, &connection, &[3], &[1]), Some(2));
        assert_eq!(sending(&connection), [1, 2, 3]);
        assert_eq!(commit(&mut log, &connection, &[], &[2]), None);
        assert_eq!(commit(&mut log, &connection, &[1], &[]), Some(1));
        assert_eq!((sending(&connection), rows(&connection)), (vec![1, 3], 2));
    }

    #[test]
    fn a_delivery_that_was_claimed_again_is_under_way_once() {
        let connection = database(&[1, 2]);
        let mut log = ClaimLog::default();
        commit(&mut log, &connection, &[1, 2], &[]);
        commit(&mut log, &connection, &[1], &[1]);
        assert_eq!(sending(&connection), [1, 2]);
        // Its rows are free when the transaction that ends the claims is committed, not before.
        assert_eq!(commit(&mut log, &connection, &[1], &[1, 2]), Some(3));
        set_state(&connection, 2, 2);
        assert_eq!(sending(&connection), [1]);
        commit(&mut log, &connection, &[2], &[]);
        assert_eq!(rows(&connection), 3);
    }

    #[test]
    fn a_row_of_a_transaction_that_failed_is_not_written_to_again() {
        let connection = database(&[1, 2]);
        let mut log = ClaimLog::default();
        let mut claims = Claims::default();
        claims.made(delivery(1));
        assert_eq!(log.write(&connection, &claims).expect("written"), Some(1));
        // Nobody learns whether that was committed.
        assert_eq!(commit(&mut log, &connection, &[2], &[]), Some(2));
        assert_eq!(sending(&connection), [1, 2]);
    }

    /// A transaction with a look, and then claims.
    fn look(log: &mut ClaimLog, connection: &Connection, made: &[u8]) {
        let mut claims = Claims::default();
        claims.look(connection).expect("a look");
        made.iter().for_each(|byte| claims.made(delivery(*byte)));
        let seq = log.write(connection, &claims).expect("written");
        log.committed(claims, seq);
    }

    #[test]
    fn a_look_finds_what_an_earlier_process_claimed_and_drops_what_has_ended() {
        let connection = database(&[1, 2, 3]);
        let mut before = ClaimLog::default();
        commit(&mut before, &connection, &[1, 9], &[]);
        commit(&mut before, &connection, &[2], &[]);
        set_state(&connection, 2, 2);
        let mut log = ClaimLog::default();
        assert_eq!(commit(&mut log, &connection, &[3], &[]), Some(3), "rows of before are kept");
        look(&mut log, &connection, &[]);
        assert_eq!((sending(&connection), rows(&connection)), (vec![1, 3], 1));
        set_state(&connection, 1, 2);
        commit(&mut log, &connection, &[], &[1]);
        commit(&mut log, &connection, &[3], &[3]);
        assert_eq!(sending(&connection), [3]);
    }

    #[test]
    fn a_look_beside_a_claim_of_what_a_free_row_still_names_loses_nothing() {
        let connection = database(&[1, 2, 3]);
        let mut log = ClaimLog::default();
        commit(&mut log, &connection, &[1], &[]);
        commit(&mut log, &connection, &[], &[1]);
        // Claimed again in the transaction of the look, which finds it in the row of its first claim.
        look(&mut log, &connection, &[1]);
        for other in [2, 3] {
            commit(&mut log, &connection, &[other], &[]);
        }
        assert_eq!(sending(&connection), [1, 2, 3]);
    }

    #[test]
    fn a_look_of_which_nobody_knows_whether_it_was_committed_loses_nothing() {
        let connection = database(&[1, 2]);
        let mut log = ClaimLog::default();
        commit(&mut log, &connection, &[1], &[]);
        Claims::default().look(&connection).expect("a look");
        log.doubt();
        commit(&mut log, &connection, &[2], &[]);
        assert_eq!(sending(&connection), [1, 2]);
    }

    #[test]
    fn what_two_rows_name_is_found_after_either_is_used_again() {
        let connection = database(&[1, 2, 3, 4]);
        let mut log = ClaimLog::default();
        commit(&mut log, &connection, &[1], &[]);
        commit(&mut log, &connection, &[1, 2], &[1]);
        look(&mut log, &connection, &[3]);
        set_state(&connection, 2, 2);
        commit(&mut log, &connection, &[], &[2]);
        for _ in 0..3 {
            commit(&mut log, &connection, &[4], &[4]);
        }
        assert_eq!(sending(&connection), [1, 3, 4]);
    }

    #[test]
    fn statements_use_the_indexes_they_name() {
        plans::check(OPEN, &["delivery USING PRIMARY KEY (id=?)"]);
        plans::check(
            "SELECT kind FROM sending WHERE tenant_id = $1",
            &["delivery USING PRIMARY KEY (id=? AND tenant_id=?)"],
        );
        plans::check("SELECT kind FROM sending", &["delivery USING PRIMARY KEY (id=?)"]);
    }
}
