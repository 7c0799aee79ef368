//! What each behaviour does with an accepted connection.

use std::future::pending;
use std::io::Result;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Behaviour, HUGE_BODY_BYTES};
use crate::wire;

/// An honest answer, for those whose sin lies elsewhere.
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
/// What a smuggled second answer looks like: the next request on the connection must not get it.
const SMUGGLED: &str = "HTTP/1.1 299 Smuggled\r\nContent-Length: 0\r\n\r\n";

/// What an act needs to know about the receiver it belongs to.
pub(super) struct Ground<'a> {
    pub(super) address: SocketAddr,
    pub(super) pace: Duration,
    pub(super) requests: &'a AtomicUsize,
}

/// Plays one behaviour on one connection. Returning closes it with FIN.
pub(super) async fn act(behaviour: Behaviour, stream: &mut TcpStream, ground: &Ground<'_>) -> Result<()> {
    use Behaviour as B;
    match behaviour {
        B::NeverAccepts | B::NeverReads | B::TlsStalled => return pending().await,
        B::ResetAtAccept => return stream.set_zero_linger(),
        B::FinAtAccept => return Ok(()),
        B::TlsPlain => {
            stream.read_u8().await?;
            return stream.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n").await;
        }
        B::TlsResetMidHandshake => {
            stream.read_u8().await?;
            return stream.set_zero_linger();
        }
        B::TlsExpired | B::TlsSelfSigned | B::TlsWrongName => {
            unreachable!("because their connections are handed to TLS before")
        }
        _ => {}
    }

    let mut buffer = BytesMut::new();
    while read_request(stream, &mut buffer, ground.requests).await? {
        match after_request(behaviour, stream, ground).await? {
            Then::Close => return Ok(()),
            Then::Reset => return stream.set_zero_linger(),
            Then::Hang => return pending().await,
            Then::Serve => {}
        }
    }
    Ok(())
}

/// Answers every request with 200.
pub(super) async fn answer_well(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    requests: &AtomicUsize,
) -> Result<()> {
    while read_request(stream, buffer, requests).await? {
        stream.write_all(OK.as_bytes()).await?;
        stream.flush().await?;
    }
    Ok(())
}

async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    requests: &AtomicUsize,
) -> Result<bool> {
    let request = wire::read_request(stream, buffer).await?;
    if request.is_some() {
        requests.fetch_add(1, Ordering::SeqCst);
    }
    Ok(request.is_some())
}

/// What becomes of the connection.
enum Then {
    Close,
    Reset,
    Hang,
    /// Wait for the next request.
    Serve,
}

async fn after_request(behaviour: Behaviour, stream: &mut TcpStream, ground: &Ground<'_>) -> Result<Then> {
    use Behaviour as B;
    let then = match behaviour {
        B::NeverAnswers => Then::Hang,
        B::HeadDrips => {
            drip(stream, b"HTTP/1.1 200 OK\r\nX-Slow: ", ground.pace).await?;
            drip_forever(stream, b"z", ground.pace).await?
        }
        B::BodyDrips => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await?;
            drip_forever(stream, b"z", ground.pace).await?
        }

        B::HugeBody => {
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {HUGE_BODY_BYTES}\r\n\r\n");
            stream.write_all(head.as_bytes()).await?;
            flood(stream, &[b'z'; 64 * 1024], HUGE_BODY_BYTES / (64 * 1024)).await?;
            Then::Serve
        }
        B::EndlessChunkedBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").await?;
            let mut chunk = b"4000\r\n".to_vec();
            chunk.resize(chunk.len() + 0x4000, b'z');
            chunk.extend_from_slice(b"\r\n");
            flood(stream, &chunk, HUGE_BODY_BYTES / 0x4000).await?;
            Then::Hang
        }
        B::GzipBomb => {
            // Members of a gzip file follow one another (RFC 1952, section 2.2): 16 MiB in some 100 KiB.
            let bomb = gzip_of_zeroes(1024 * 1024).repeat(16);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {}\r\n\r\n",
                bomb.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&bomb).await?;
            Then::Serve
        }
        B::ManyHeaders => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n").await?;
            flood(stream, b"X-Many: z\r\n", 10_000).await?;
            stream.write_all(b"Content-Length: 0\r\n\r\n").await?;
            Then::Serve
        }
        B::HugeHeader => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nX-Huge: ").await?;
            flood(stream, &[b'z'; 1000], 1000).await?;
            stream.write_all(b"\r\nContent-Length: 0\r\n\r\n").await?;
            Then::Serve
        }
        B::InterimFlood => {
            flood(stream, b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 10_000).await?;
            say(stream, OK).await?
        }
        B::InterimForever => {
            flood(stream, b"HTTP/1.1 103 Early Hints\r\n\r\n", usize::MAX).await?;
            Then::Close
        }
        B::InterimDrips => drip_forever(stream, b"HTTP/1.1 103 Early Hints\r\n\r\n", ground.pace).await?,
        B::ChunkExtensionForever => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=").await?;
            flood(stream, &[b'z'; 1024], 1024).await?;
            Then::Hang
        }
        B::TrailersForever => {
            stream
                .write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n")
                .await?;
            flood(stream, b"X-Trailer: z\r\n", 100_000).await?;
            Then::Hang
        }

        B::ResetAfterRequest => Then::Reset,
        B::ResetMidHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await?;
            reset_after_read(stream, ground.pace).await
        }
        B::ResetAfterHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").await?;
            reset_after_read(stream, ground.pace).await
        }
        B::ResetMidBody => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf").await?;
            reset_after_read(stream, ground.pace).await
        }
        B::FinBeforeAnswer => Then::Close,
        B::FinMidHead => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Le").await?;
            Then::Close
        }

        B::LengthTooLong => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nshort").await?;
            Then::Close
        }
        B::LengthTooShort => {
            say(stream, &format!("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok{SMUGGLED}")).await?
        }
        B::LengthTwice => {
            say(stream, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok").await?
        }
        B::LengthNegative => say(stream, "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok").await?,
        B::LengthWithChunked => {
            let answer = "HTTP/1.1 200 OK\r\nContent-Length: 200\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n";
            say(stream, answer).await?
        }
        B::ChunkSizeOverflows => {
            let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFF\r\nok";
            say(stream, answer).await?
        }
        B::GarbageAfterBody => say(stream, &format!("{OK}{SMUGGLED}{SMUGGLED}")).await?,

        B::Switching101 => {
            say(stream, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
                .await?
        }
        B::Status0 => say(stream, &status("000")).await?,
        B::Status99 => say(stream, &status("099")).await?,
        B::Status600 => say(stream, &status("600")).await?,
        B::Status1000 => say(stream, &status("1000")).await?,
        B::NotHttp => say(stream, "SSH-2.0-OpenSSH_9.6\r\n").await?,
        B::SpeaksHttp2 => {
            // An empty SETTINGS frame (RFC 9113, section 6.5), as every HTTP/2 server begins.
            stream.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await?;
            Then::Hang
        }
        B::NulInHeader => say(stream, "HTTP/1.1 200 OK\r\nX-Nul: a\0b\r\nContent-Length: 0\r\n\r\n").await?,

        B::RedirectToSelf => {
            let (status, to) = ("301 Moved Permanently", format!("http://{}/hook", ground.address));
            say(stream, &head(status, "Location", &to)).await?
        }
        B::RedirectToForbidden => {
            let to = "http://169.254.169.254/latest/meta-data/";
            say(stream, &head("307 Temporary Redirect", "Location", to)).await?
        }

        B::RetryAfterNegative => say(stream, &retry_after("-5")).await?,
        B::RetryAfterHuge => say(stream, &retry_after("99999999999999999999999999")).await?,
        B::RetryAfterNan => say(stream, &retry_after("NaN")).await?,
        B::RetryAfterText => say(stream, &retry_after("later, please")).await?,
        B::RetryAfterYear9999 => say(stream, &retry_after("Fri, 31 Dec 9999 23:59:59 GMT")).await?,

        B::BodyNul => body(stream, b"nul \0 nul").await?,
        B::BodyInvalidUtf8 => body(stream, b"bad \xff\xfe \xc3\x28 \xed\xa0\x80 bytes").await?,
        B::BodyMarkup => body(stream, b"<script>alert(1)</script>\"'&\x1b[31m").await?,

        B::NeverAccepts
        | B::NeverReads
        | B::ResetAtAccept
        | B::FinAtAccept
        | B::TlsExpired
        | B::TlsSelfSigned
        | B::TlsWrongName
        | B::TlsStalled
        | B::TlsPlain
        | B::TlsResetMidHandshake => unreachable!("because these never read a request"),
    };
    Ok(then)
}

async fn say(stream: &mut TcpStream, answer: &str) -> Result<Then> {
    stream.write_all(answer.as_bytes()).await?;
    Ok(Then::Serve)
}

async fn body(stream: &mut TcpStream, body: &[u8]) -> Result<Then> {
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(&[head.as_bytes(), body].concat()).await?;
    Ok(Then::Serve)
}

fn status(status: &str) -> String {
    format!("HTTP/1.1 {status} Strange\r\nContent-Length: 0\r\n\r\n")
}

fn head(status: &str, name: &str, value: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{name}: {value}\r\nContent-Length: 0\r\n\r\n")
}

fn retry_after(value: &str) -> String {
    head("503 Service Unavailable", "Retry-After", value)
}

async fn drip(stream: &mut TcpStream, bytes: &[u8], pace: Duration) -> Result<()> {
    for byte in bytes {
        stream.write_all(&[*byte]).await?;
        tokio::time::sleep(pace).await;
    }
    Ok(())
}

/// Ends when the client hangs up.
async fn drip_forever(stream: &mut TcpStream, drop: &[u8], pace: Duration) -> Result<Then> {
    loop {
        stream.write_all(drop).await?;
        tokio::time::sleep(pace).await;
    }
}

async fn flood(stream: &mut TcpStream, wave: &[u8], waves: usize) -> Result<()> {
    for _ in 0..waves {
        stream.write_all(wave).await?;
    }
    Ok(())
}

/// Gives the client one pace to read what was sent, since a reset may throw away what it has not read yet.
async fn reset_after_read(stream: &mut TcpStream, pace: Duration) -> Then {
    let _ = tokio::time::timeout(pace, stream.read_u8()).await;
    Then::Reset
}

/// A valid gzip stream (RFC 1952) of `zeroes` zero bytes, in one block with fixed Huffman codes (RFC 1951, 3.2.6).
fn gzip_of_zeroes(zeroes: usize) -> Vec<u8> {
    let mut bits = BitWriter { bytes: vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255], used: 8 };
    bits.push(0b1, 1); // the last block
    bits.push(0b10, 2); // fixed codes, written from the low bit: 01 in value
    bits.push(0b0011_0000, 8); // the literal 0
    for _ in 0..(zeroes - 1) / 258 {
        bits.push(0b1100_0101, 8); // copy 258 bytes,
        bits.push(0b00000, 5); // from one byte back
    }
    for _ in 0..(zeroes - 1) % 258 {
        bits.push(0b0011_0000, 8);
    }
    bits.push(0b000_0000, 7); // the end of the block
    let mut stream = bits.bytes;
    stream.extend_from_slice(&crc32_of_zeroes(zeroes).to_le_bytes());
    stream.extend_from_slice(&u32::try_from(zeroes).unwrap_or(u32::MAX).to_le_bytes());
    stream
}

/// Huffman codes go out with their highest bit first, into bytes that fill from the lowest.
struct BitWriter {
    bytes: Vec<u8>,
    /// Bits used of the last byte.
    used: u32,
}

impl BitWriter {
    fn push(&mut self, code: u32, length: u32) {
        for place in (0..length).rev() {
            if self.used == 8 {
                self.bytes.push(0);
                self.used = 0;
            }
            if let Some(last) = self.bytes.last_mut() {
                *last |= u8::from(code >> place & 1 == 1) << self.used;
            }
            self.used += 1;
        }
    }
}

fn crc32_of_zeroes(zeroes: usize) -> u32 {
    let mut crc = u32::MAX;
    for _ in 0..zeroes {
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bomb_is_small_and_says_how_large_it_becomes() {
        // CRC and length as zlib computes them for as many zeroes.
        let bomb = gzip_of_zeroes(1_000_000);
        assert!(bomb.len() < 10_000, "{} bytes", bomb.len());
        assert_eq!(bomb[bomb.len() - 8..bomb.len() - 4], 0x1279cb9eu32.to_le_bytes());
        assert_eq!(bomb[bomb.len() - 4..], 1_000_000u32.to_le_bytes());
    }
}
