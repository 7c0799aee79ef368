//! The bench's receiver: one thread, one loop over a buffer per connection, no library between the socket and the count.
//!
//! It has a process of its own, so that neither the raw client nor the product pays for it. Requests to `/s/N` are counted
//! in slot N and answered with an empty 200; where the body holds `"sentAt":NANOSECONDS`, the time since then is kept as
//! a latency. Requests to `/gate/N` are refused with 503 until the driver opens the gates, and then counted like those to
//! `/s/N`. Requests to `/hang` are never answered, those to `/refuse` and `/later` with 503. `/control/…` is for the driver.

use std::io::{ErrorKind, Result as IoResult, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::clock::now_ns;
use crate::failure::Result;

pub(super) const SLOTS: usize = 16;
/// What comes before a moment in a timed body.
pub(super) const SENT_AT: &[u8] = b"\"sentAt\":";
const HEADERS_MAX: usize = 64;
/// Two pages of a socket's buffer; a larger request grows it.
const BUFFER_BYTES: usize = 32 * 1024;
const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
const CLOSED: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
const LATER: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 86400\r\ncontent-length: 0\r\n\r\n";

#[derive(Default)]
struct Slot {
    count: u64,
    last_ns: u64,
    /// Microseconds from `sentAt` to the arrival of the whole request.
    latencies: Vec<u32>,
    /// The first request since the reset, byte for byte: what the raw client repeats.
    sample: Vec<u8>,
}

#[derive(Default)]
struct Slots {
    all: Mutex<[Slot; SLOTS]>,
    gates_open: AtomicBool,
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, [Slot; SLOTS]> {
        self.all.lock().expect("because nothing panics while it holds the lock")
    }
}

/// Serves until the process is killed. Writes its address to standard output first.
pub(crate) fn run() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let listener: TcpListener = socket.listen(4096)?;
        println!("{}", listener.local_addr()?);
        std::io::stdout().flush()?;
        let slots = Arc::new(Slots::default());
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let slots = Arc::clone(&slots);
            tokio::spawn(async move {
                // A client that goes away ends its connection, nothing else.
                let _ = serve(stream, &slots).await;
            });
        }
    })
}

async fn serve(mut stream: TcpStream, slots: &Slots) -> IoResult<()> {
    let mut buffer = Vec::with_capacity(BUFFER_BYTES);
    let mut answers = Vec::new();
    loop {
        if stream.read_buf(&mut buffer).await? == 0 {
            return Ok(());
        }
        let mut done = 0;
        while let Some(request) = Whole::at_start_of(&buffer[done..])? {
            let bytes = &buffer[done..done + request.length];
            match request.ask {
                Ask::Gate(_) if !slots.gates_open.load(Ordering::Relaxed) => {
                    answers.extend_from_slice(CLOSED)
                }
                Ask::Count(slot) | Ask::Gate(slot) => {
                    count(&mut slots.lock()[slot], bytes, request.body_at);
                    answers.extend_from_slice(OK);
                }
                Ask::Refuse => answers.extend_from_slice(CLOSED),
                Ask::Later => answers.extend_from_slice(LATER),
                Ask::Hang => return std::future::pending().await,
                Ask::Stats(slot) => {
                    let mut all = slots.lock();
                    let slot = &mut all[slot];
                    slot.latencies.sort_unstable();
                    let stats =
                        json!({"count": slot.count, "lastNs": slot.last_ns, "latenciesUs": slot.latencies});
                    answer(&mut answers, stats.to_string().as_bytes());
                }
                Ask::Progress(slot) => {
                    let stats = { json!({"count": slots.lock()[slot].count}) };
                    answer(&mut answers, stats.to_string().as_bytes());
                }
                Ask::Sample(slot) => answer(&mut answers, &slots.lock()[slot].sample),
                Ask::Open => {
                    slots.gates_open.store(true, Ordering::Relaxed);
                    answers.extend_from_slice(OK);
                }
                Ask::Reset => {
                    *slots.lock() = Default::default();
                    slots.gates_open.store(false, Ordering::Relaxed);
                    answers.extend_from_slice(OK);
                }
            }
            done += request.length;
        }
        buffer.drain(..done);
        if !answers.is_empty() {
            stream.write_all(&answers).await?;
            answers.clear();
        }
    }
}

fn count(slot: &mut Slot, request: &[u8], body_at: usize) {
    slot.count += 1;
    slot.last_ns = now_ns();
    if slot.sample.is_empty() {
        slot.sample = request.to_vec();
    }
    if let Some(sent) = sent_at(&request[body_at..]) {
        let us = slot.last_ns.saturating_sub(sent) / 1000;
        slot.latencies.push(u32::try_from(us).unwrap_or(u32::MAX));
    }
}

fn sent_at(body: &[u8]) -> Option<u64> {
    let at = body.windows(SENT_AT.len()).position(|window| window == SENT_AT)?;
    let digits = &body[at + SENT_AT.len()..];
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(digits.len());
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

fn answer(answers: &mut Vec<u8>, body: &[u8]) {
    answers
        .extend_from_slice(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len()).as_bytes());
    answers.extend_from_slice(body);
}

/// A whole request at the start of a buffer.
struct Whole {
    ask: Ask,
    body_at: usize,
    length: usize,
}

#[derive(Clone, Copy)]
enum Ask {
    Count(usize),
    Gate(usize),
    Hang,
    Refuse,
    Later,
    Progress(usize),
    Stats(usize),
    Sample(usize),
    Open,
    Reset,
}

impl Whole {
    fn at_start_of(buffer: &[u8]) -> IoResult<Option<Self>> {
        if buffer.is_empty() {
            return Ok(None);
        }
        let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
        let mut request = httparse::Request::new(&mut headers);
        let Ok(status) = request.parse(buffer) else { return Err(ErrorKind::InvalidData.into()) };
        let httparse::Status::Complete(body_at) = status else { return Ok(None) };
        let length = request.headers.iter().find(|header| header.name.eq_ignore_ascii_case("content-length"));
        let length = length.and_then(|header| std::str::from_utf8(header.value).ok()?.parse::<usize>().ok());
        let length = body_at + length.unwrap_or(0);
        if buffer.len() < length {
            return Ok(None);
        }
        let ask = Ask::of(request.path.unwrap_or_default()).ok_or(ErrorKind::InvalidInput)?;
        Ok(Some(Self { ask, body_at, length }))
    }
}

impl Ask {
    fn of(path: &str) -> Option<Self> {
        let slot = |text: &str| text.parse().ok().filter(|slot| *slot < SLOTS);
        if let Some(number) = path.strip_prefix("/s/") {
            return slot(number).map(Self::Count);
        }
        if let Some(number) = path.strip_prefix("/gate/") {
            return slot(number).map(Self::Gate);
        }
        match path.split_once("/control/").map(|(_, ask)| ask.split_once('/').unwrap_or((ask, "0"))) {
            None if path == "/hang" => Some(Self::Hang),
            None if path == "/refuse" => Some(Self::Refuse),
            None if path == "/later" => Some(Self::Later),
            Some(("progress", number)) => slot(number).map(Self::Progress),
            Some(("stats", number)) => slot(number).map(Self::Stats),
            Some(("sample", number)) => slot(number).map(Self::Sample),
            Some(("open", _)) => Some(Self::Open),
            Some(("reset", _)) => Some(Self::Reset),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_taken_when_it_is_whole() {
        let wire = b"POST /s/3 HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcdPOST";
        for end in 0..wire.len() - 4 {
            assert!(Whole::at_start_of(&wire[..end]).is_ok_and(|whole| whole.is_none()), "{end} bytes");
        }
        let whole = Whole::at_start_of(wire).expect("it is HTTP").expect("it is whole");
        assert!(matches!(whole.ask, Ask::Count(3)));
        assert_eq!(&wire[whole.body_at..whole.length], b"abcd");
    }

    #[test]
    fn a_timed_body_gives_a_latency() {
        assert_eq!(sent_at(br#"{"data":{"sentAt":1234567,"pad":"x"}}"#), Some(1_234_567));
        assert_eq!(sent_at(br#"{"data":{}}"#), None);
    }

    #[test]
    fn slots_beyond_the_last_are_refused() {
        assert!(Ask::of("/s/16").is_none() && Ask::of("/s/x").is_none() && Ask::of("/elsewhere").is_none());
    }
}
