//! `POST /v1/records/{kind}/import`: records of any number, one on each line.
//!
//! Lines are read as they come, judged and written some hundreds at a time, while the next are being read: memory does not
//! grow with the file. What became of each line is kept beside (in memory for a while, then in a file that has no name) and
//! answered when the last has come, so that a caller may send everything before it reads anything.

use std::collections::VecDeque;
use std::io::{Read, Seek, Write};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::response::IntoResponse;
use bytes::{Buf, Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, StatusCode};
use http_body_util::BodyExt;
use postrider_domain::limits::{
    IMPORT_LINE_BYTES_MAX, IMPORT_REPORT_BYTES_MAX, RECORDS_BATCH_BYTES, RECORDS_BATCH_MAX,
};
use postrider_domain::problem::{Code, Problem};
use postrider_engine::control::Role;
use postrider_engine::derive::Held;
use postrider_engine::derive::place::Place;
use postrider_engine::derive::records::{Batch, Became, Change, Events, Report, Written};
use postrider_engine::{Engine, EngineError};
use postrider_store::StoreError;
use serde::Serialize;
use tempfile::SpooledTempFile;
use tokio::task::JoinHandle;

use super::line::{self, ItemView};
use crate::auth::{Access, Gate, Scope};
use crate::endpoint::{Answer, Call, Endpoint, Gives, Takes};
use crate::json::LINES;
use crate::problem::{ProblemBody, Refusal};
use crate::query::Parameter;

pub(crate) static ENDPOINT: Endpoint = Endpoint {
    method: Method::POST,
    path: "/v1/records/{kind}/import",
    tag: "Records",
    summary: "Write records of any number",
    detail: "One JSON object on each line: `{id, data}`, or `{id, deleted: true}`. The answer has a line for each, in order: `{line, status, id, became, events}` or `{line, status, id, problem}`; a line that is refused holds up no other. Its last line is `{summary: {lines, created, updated, unchanged, deleted, refused, events, complete}}`; `complete: false` says that it stopped early, and why. With `events=false` nothing fires, and rules that fire once take it that they have.",
    access: Access::Roles(&[Role::Operator, Role::Publisher], Scope::Records),
    gate: Gate::Open,
    query: &[
        Parameter::text(
            "events",
            "`false`: the records are there already, nothing happened. `true` when absent.",
        ),
        Parameter::text(
            "report",
            "`refused`: only lines that were refused, and the summary. `all` when absent.",
        ),
    ],
    takes: Takes::Lines {
        example: "{\"id\": \"p-1\", \"data\": {\"name\": \"bolt\", \"quantity\": 4}}\n{\"id\": \"p-2\", \"deleted\": true}\n",
    },
    gives: Gives::Other(LINES[0]),
    handle: |call| Box::pin(handle(call)),
};

/// Nothing comes for so long: the caller is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// Of the report, what is kept in memory.
const REPORT_BYTES_IN_MEMORY: usize = 1024 * 1024;
/// Parts of a file that are judged and written beside each other: some are judged while others are on their way to disk.
const WRITING_MAX: usize = 3;
const REPORT_CHUNK_BYTES: usize = 64 * 1024;
/// How often what the store has no place for is tried again, and the pause before.
const FULL_TRIES: u32 = 50;
const FULL_PAUSE: Duration = Duration::from_millis(100);

/// Of a file's lines, some that are judged together.
#[derive(Default)]
struct Lines {
    /// Each line's number and id, and why it is refused, unless it goes on.
    lines: Vec<(u64, Option<String>, Option<Problem>)>,
    changes: Vec<Change>,
    bytes: usize,
}

/// Lines that are being written.
type Writing = JoinHandle<(Vec<(u64, Option<String>, Option<Problem>)>, Result<Report, EngineError>)>;

#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    lines: u64,
    created: u64,
    updated: u64,
    unchanged: u64,
    deleted: u64,
    refused: u64,
    events: u64,
    complete: bool,
    /// Lines that the report had no room for.
    #[serde(skip_serializing_if = "is_zero")]
    counted_only: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<ProblemBody>,
}

#[derive(Serialize)]
struct SummaryLine<'a> {
    summary: &'a Summary,
}

struct Import {
    engine: Engine,
    place: Place,
    events: Events,
    all: bool,
    report: SpooledTempFile,
    told_bytes: u64,
    summary: Summary,
    /// What is being written, in the order of lines.
    writing: VecDeque<Writing>,
}

async fn handle(mut call: Call) -> Answer {
    let place = call.records()?;
    let word = |name: &str, [yes, no]: [&str; 2]| {
        let read = |text: &str| if text == yes { Some(true) } else { (text == no).then_some(false) };
        call.query.read(name, &format!("{yes} or {no}"), read)
    };
    let events = match word("events", ["true", "false"])? {
        None | Some(true) => Events::Fire,
        Some(false) => Events::Silent,
    };
    let all = word("report", ["all", "refused"])?.unwrap_or(true);
    let body = call.lines.take().expect("because the endpoint takes lines");
    let body = body.into_inner().expect("because nobody locks it");
    let mut import = Import {
        engine: call.app.engine.clone(),
        place,
        events,
        all,
        report: tempfile::spooled_tempfile(REPORT_BYTES_IN_MEMORY),
        told_bytes: 0,
        summary: Summary::default(),
        writing: VecDeque::new(),
    };
    let read = import.run(body).await;
    // What was begun is told in any case.
    match read.and(import.written().await) {
        Ok(()) => import.summary.complete = true,
        Err(stopped) => import.summary.problem = Some(ProblemBody::of(stopped.problem())),
    }
    import.answer()
}

impl Import {
    async fn run(&mut self, mut body: Body) -> Result<(), Refusal> {
        let mut rest = BytesMut::new();
        // So much of it has no end of a line.
        let mut searched = 0;
        let (mut number, mut skips) = (0, false);
        let mut some = Lines::default();
        loop {
            let frame = tokio::time::timeout(SILENCE_MAX, body.frame()).await;
            let ended = match frame {
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        rest.extend_from_slice(&data);
                    }
                    false
                }
                Ok(None) => true,
                Ok(Some(Err(_))) | Err(_) => {
                    self.write(some).await?;
                    let detail = "The body ended before it was complete. The lines above were taken.";
                    return Err(Problem::new(Code::MalformedJson, detail).into());
                }
            };
            let mut from = 0;
            loop {
                let left = rest.get(from..).unwrap_or_default();
                let known = std::mem::take(&mut searched).min(left.len());
                let line = match left[known..].iter().position(|byte| *byte == b'\n') {
                    Some(end) => &left[..known + end],
                    None if ended && !left.is_empty() => left,
                    None => {
                        searched = left.len();
                        break;
                    }
                };
                from += line.len() + 1;
                number += 1;
                if std::mem::take(&mut skips) {
                    continue;
                }
                some.add(number, line);
                if some.is_full() {
                    self.write(std::mem::take(&mut some)).await?;
                }
            }
            rest.advance(from.min(rest.len()));
            if rest.len() > IMPORT_LINE_BYTES_MAX && !skips {
                // It is read to its end, and not kept.
                some.lines.push((number + 1, None, Some(too_long())));
                skips = true;
            }
            if skips {
                rest.clear();
                searched = 0;
            }
            if ended {
                break;
            }
        }
        self.write(some).await
    }

    /// Hands lines to the writer, after those before them; meanwhile the next are read.
    async fn write(&mut self, some: Lines) -> Result<(), Refusal> {
        if some.lines.is_empty() {
            return Ok(());
        }
        let Lines { lines, changes, .. } = some;
        let (engine, place, events) = (self.engine.clone(), self.place.clone(), self.events);
        while self.writing.len() >= WRITING_MAX {
            self.written_first().await?;
        }
        // Held in the order of lines: a record may stand on several. Those before are written in tasks of their own.
        let held = engine.derive().hold_changed(&place, &changes).await;
        self.writing.push_back(tokio::spawn(async move {
            let made = written_in_parts(&engine, &held, &place, &changes, events).await;
            (lines, made)
        }));
        Ok(())
    }

    /// Waits for all that is being written. Answers the first failure.
    async fn written(&mut self) -> Result<(), Refusal> {
        let mut ended = Ok(());
        while !self.writing.is_empty() {
            ended = ended.and(self.written_first().await);
        }
        ended
    }

    /// Waits for the first lines that are being written, and reports them.
    async fn written_first(&mut self) -> Result<(), Refusal> {
        let Some(writing) = self.writing.pop_front() else { return Ok(()) };
        let (lines, made) = writing.await.map_err(|_| Refusal::from(StoreError::Closed))?;
        let (mut report, failed) = match made {
            Ok(report) => (report.into_iter(), None),
            Err(error) => (Vec::new().into_iter(), Some(Refusal::from(error).problem())),
        };
        for (line, id, refused) in lines {
            let made = match (refused, &failed) {
                (Some(problem), _) => Err(problem),
                (None, Some(problem)) => Err(problem.clone()),
                (None, None) => report.next().expect("because every change is reported"),
            };
            self.tell(line, id.as_deref(), &made)?;
        }
        failed.map_or(Ok(()), |problem| Err(problem.into()))
    }

    fn tell(&mut self, line: u64, id: Option<&str>, made: &Result<Written, Problem>) -> Result<(), Refusal> {
        let summary = &mut self.summary;
        summary.lines += 1;
        match made {
            Ok(written) => {
                summary.events += written.events.len() as u64;
                match written.became {
                    Became::Created => summary.created += 1,
                    Became::Updated => summary.updated += 1,
                    Became::Unchanged => summary.unchanged += 1,
                    Became::Deleted => summary.deleted += 1,
                }
            }
            Err(_) => summary.refused += 1,
        }
        if self.told_bytes > IMPORT_REPORT_BYTES_MAX {
            self.summary.counted_only += 1;
        } else if self.all || made.is_err() {
            self.line(&ItemView::of(Some(line), id, made))?;
        }
        Ok(())
    }

    fn line(&mut self, line: &impl Serialize) -> Result<(), Refusal> {
        let mut json = serde_json::to_vec(line).expect("because a view has only strings as names");
        json.push(b'\n');
        self.told_bytes += json.len() as u64;
        self.report.write_all(&json).map_err(|error| no_room(&error))
    }

    fn answer(mut self) -> Answer {
        let summary = std::mem::take(&mut self.summary);
        self.line(&SummaryLine { summary: &summary })?;
        self.report.rewind().map_err(|error| no_room(&error))?;
        let media_type = (CONTENT_TYPE, HeaderValue::from_static(LINES[0]));
        Ok((StatusCode::OK, [media_type], Body::new(Told(self.report))).into_response())
    }
}

/// Writes changes in order: at once, or where what is stored of their records is too much for that, in parts. What the store has
/// no room for is tried again; the records are held all the while.
async fn written_in_parts(
    engine: &Engine,
    held: &Held,
    place: &Place,
    changes: &[Change],
    events: Events,
) -> Result<Report, EngineError> {
    let mut report = Report::with_capacity(changes.len());
    let mut rest = changes;
    let mut size = changes.len();
    let mut tries = 0;
    while !rest.is_empty() {
        let (part, others) = rest.split_at(size.min(rest.len()));
        match engine.derive().held_change(held, place, part, events, None).await {
            Ok(Batch::Done(done)) => {
                report.extend(done);
                rest = others;
            }
            Ok(Batch::Replayed(_)) => return Err(StoreError::Closed.into()),
            Err(EngineError::Refused(problem)) if problem.code == Code::TooManyItems && size > 1 => {
                size = part.len().div_ceil(2);
            }
            Err(EngineError::Store(StoreError::Overloaded)) if tries < FULL_TRIES => {
                tries += 1;
                engine.clock().sleep(FULL_PAUSE).await;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(report)
}

impl Lines {
    fn add(&mut self, number: u64, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        self.bytes += line.len();
        if line.len() > IMPORT_LINE_BYTES_MAX {
            self.lines.push((number, None, Some(too_long())));
            return;
        }
        let (id, change) = line::read(line);
        self.lines.push((number, id, change.as_ref().err().cloned()));
        self.changes.extend(change);
    }

    fn is_full(&self) -> bool {
        self.lines.len() >= RECORDS_BATCH_MAX || self.bytes >= RECORDS_BATCH_BYTES
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde asks")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn too_long() -> Problem {
    let detail = format!(
        "A line has at most {IMPORT_LINE_BYTES_MAX} bytes. Leave out what no rule and no event needs."
    );
    Problem::new(Code::BodyTooLarge, detail)
}

fn no_room(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "import.no_room_for_the_report");
    let detail = "There is no room for the report on the server. What was sent so far was taken; ask with `report=refused`.";
    Problem::new(Code::StoreUnavailable, detail).into()
}

/// The report, read as fast as the caller takes it.
struct Told(SpooledTempFile);

impl http_body::Body for Told {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, std::io::Error>>> {
        let mut chunk = vec![0; REPORT_CHUNK_BYTES];
        // Written moments ago: it is still in the kernel's memory.
        Poll::Ready(match self.0.read(&mut chunk) {
            Ok(0) => None,
            Ok(length) => {
                chunk.truncate(length);
                Some(Ok(http_body::Frame::data(chunk.into())))
            }
            Err(error) => Some(Err(error)),
        })
    }
}
