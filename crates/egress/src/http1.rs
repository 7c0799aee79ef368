//! HTTP/1.1 as a client of one request at a time needs it (RFC 9112): bytes of a request's head, and a response out of bytes.
//! Pure: no I/O. Whatever a peer sends is data here, and every loop ends with it.

use std::mem::MaybeUninit;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderValue, Method};

use crate::HEAD_KEPT_BYTES;

/// More headers than this are refused, whatever the budget says.
const HEADERS_PARSED_MAX: usize = 128;
/// Extensions, leading zeros and trailers of a chunked body together; they are read and dropped.
const CHUNK_EXTRAS_BYTES_MAX: u32 = 64 * 1024;

/// Writes request line and headers: the caller's, then `Host`, then the length, where a body is expected (RFC 9110 §8.6).
/// Names go out in title case.
pub(crate) fn write_head(
    out: &mut Vec<u8>,
    method: &Method,
    path: &str,
    host: &HeaderValue,
    headers: &HeaderMap,
    body_bytes: usize,
) {
    out.extend_from_slice(method.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(path.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    for (name, value) in headers {
        if [&HOST, &CONTENT_LENGTH, &TRANSFER_ENCODING].contains(&name) {
            continue;
        }
        write_title_case(out, name.as_str());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"Host: ");
    out.extend_from_slice(host.as_bytes());
    out.extend_from_slice(b"\r\n");
    if body_bytes > 0 || matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        out.extend_from_slice(b"Content-Length: ");
        write_number(out, body_bytes);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

fn write_title_case(out: &mut Vec<u8>, name: &str) {
    let mut begins = true;
    for byte in name.bytes() {
        out.push(if begins { byte.to_ascii_uppercase() } else { byte });
        begins = byte == b'-';
    }
}

fn write_number(out: &mut Vec<u8>, mut number: usize) {
    let begin = out.len();
    loop {
        out.push(b'0' + (number % 10) as u8);
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out[begin..].reverse();
}

/// The head of a final response, and what it says about its body.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    /// `name: value` lines, cut at a whole line below [`HEAD_KEPT_BYTES`].
    pub(crate) text: Bytes,
    /// The first one.
    pub(crate) retry_after: Option<Bytes>,
    pub(crate) framing: Framing,
    /// HTTP/1.1, no `Connection: close`, and one clear way to say where the body ends.
    pub(crate) keeps_socket: bool,
}

/// Where a body ends (RFC 9112 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    UntilClose,
}

/// What is at the start of the bytes.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// More has to be read.
    Partial,
    /// An interim response (1xx) of so many bytes. 101 is none: nobody asked for another protocol.
    Interim(usize),
    Final(Head, usize),
}

/// No response that can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeadError {
    /// More headers, or larger ones, than are accepted.
    TooLarge,
    Status,
    /// HTTP/2, which was not offered.
    Http2,
    Invalid,
}

/// Parses the head at the start of `bytes`.
pub(crate) fn parse_head(bytes: &[u8], method: &Method, headers_max: usize) -> Result<Parsed, HeadError> {
    let mut headers = [const { MaybeUninit::uninit() }; HEADERS_PARSED_MAX];
    let headers = &mut headers[..headers_max.min(HEADERS_PARSED_MAX)];
    let mut response = httparse::Response::new(&mut []);
    let parsed = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut response, bytes, headers)
        .map_err(|error| head_error(error, bytes))?;
    let httparse::Status::Complete(length) = parsed else { return Ok(Parsed::Partial) };
    let status = response.code.unwrap_or_default();
    if (100..200).contains(&status) && status != 101 {
        return Ok(Parsed::Interim(length));
    }
    let mut head = Head {
        status,
        text: Bytes::new(),
        retry_after: None,
        framing: Framing::UntilClose,
        keeps_socket: response.version == Some(1),
    };
    let mut text = Vec::with_capacity(length.min(HEAD_KEPT_BYTES));
    let mut text_is_full = false;
    let mut declared = None;
    let mut coding = None;
    for header in response.headers.iter() {
        let line = header.name.len() + ": ".len() + header.value.len() + "\n".len();
        text_is_full |= text.len() + line > HEAD_KEPT_BYTES;
        if !text_is_full {
            text.extend(header.name.bytes().map(|byte| byte.to_ascii_lowercase()));
            text.extend_from_slice(b": ");
            text.extend_from_slice(header.value);
            text.push(b'\n');
        }
        if header.name.eq_ignore_ascii_case("content-length") {
            declared = Some(match declared {
                Some(Err(error)) => Err(error),
                earlier => content_length(earlier.and_then(Result::ok), header.value),
            });
        } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
            coding = Some(last_item(header.value).eq_ignore_ascii_case(b"chunked"));
        } else if header.name.eq_ignore_ascii_case("connection") {
            head.keeps_socket &= !items(header.value).any(|item| item.eq_ignore_ascii_case(b"close"));
        } else if header.name.eq_ignore_ascii_case("retry-after") && head.retry_after.is_none() {
            head.retry_after = Some(Bytes::copy_from_slice(header.value));
        }
    }
    head.text = Bytes::from(text);
    let without_body = *method == Method::HEAD || matches!(status, 204 | 304);
    head.framing = match (coding, declared) {
        // Whatever the headers say: their length is that of another answer.
        _ if without_body => Framing::Length(0),
        // One or the other is wrong about what it speaks (RFC 9112 §6.1).
        (Some(_), _) if response.version != Some(1) => return Err(HeadError::Invalid),
        (Some(true), _) => Framing::Chunked,
        (None, Some(length)) => Framing::Length(length?),
        (Some(false), _) | (None, None) => Framing::UntilClose,
    };
    let two_ways = coding.is_some() && declared.is_some();
    // 204 says that nothing follows.
    let contradicts = status == 204 && (coding.is_some() || declared.is_some_and(|length| length != Ok(0)));
    head.keeps_socket &= !two_ways && !contradicts && head.framing != Framing::UntilClose;
    Ok(Parsed::Final(head, length))
}

fn head_error(error: httparse::Error, bytes: &[u8]) -> HeadError {
    match error {
        httparse::Error::TooManyHeaders => HeadError::TooLarge,
        httparse::Error::Status => HeadError::Status,
        httparse::Error::Version if bytes.starts_with(b"HTTP/2") => HeadError::Http2,
        _ => HeadError::Invalid,
    }
}

/// A length given more than once has to be the same each time.
fn content_length(earlier: Option<u64>, value: &[u8]) -> Result<u64, HeadError> {
    let mut length = earlier;
    for item in items(value) {
        let digits = std::str::from_utf8(item).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        let given = digits.and_then(|digits| digits.parse().ok()).ok_or(HeadError::Invalid)?;
        if length.is_some_and(|length| length != given) {
            return Err(HeadError::Invalid);
        }
        length = Some(given);
    }
    length.ok_or(HeadError::Invalid)
}

fn items(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|byte| *byte == b',').map(|item| item.trim_ascii())
}

fn last_item(value: &[u8]) -> &[u8] {
    items(value).last().unwrap_or_default()
}

/// Takes a body out of what was read.
#[derive(Debug)]
pub(crate) struct BodyReader(State);

#[derive(Debug, Clone, Copy)]
enum State {
    Left(u64),
    UntilClose,
    Chunk { at: ChunkAt, extras: u32 },
}

/// Where in a chunked body the next byte stands (RFC 9112 §7.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ChunkAt {
    Size {
        size: u64,
        digits: bool,
    },
    /// White space or an extension after the size: up to the end of the line.
    Extension {
        size: u64,
    },
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// The start of a trailer, or of the empty line that ends the body.
    TrailerStart,
    Trailer,
    TrailerLf,
    EndLf,
    End,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Data(&'a [u8]),
    /// More has to be read.
    More,
    End,
}

/// The body's framing is none.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct BrokenFraming;

impl BodyReader {
    pub(crate) fn new(framing: Framing) -> Self {
        Self(match framing {
            Framing::Length(length) => State::Left(length),
            Framing::UntilClose => State::UntilClose,
            Framing::Chunked => {
                State::Chunk { at: ChunkAt::Size { size: 0, digits: false }, extras: CHUNK_EXTRAS_BYTES_MAX }
            }
        })
    }

    /// Whether the end of the connection is the end of the body.
    pub(crate) fn ends_with_connection(&self) -> bool {
        matches!(self.0, State::UntilClose)
    }

    /// Takes from the start of `bytes`; answers how many were taken, too. Data comes in one piece per call.
    pub(crate) fn step<'a>(&mut self, bytes: &'a [u8]) -> Result<(Step<'a>, usize), BrokenFraming> {
        match &mut self.0 {
            State::Left(0) => Ok((Step::End, 0)),
            _ if bytes.is_empty() => Ok((Step::More, 0)),
            State::UntilClose => Ok((Step::Data(bytes), bytes.len())),
            State::Left(left) => {
                let data = take(left, bytes);
                Ok((Step::Data(data), data.len()))
            }
            State::Chunk { at, extras } => chunk_step(at, extras, bytes),
        }
    }
}

fn take<'a>(left: &mut u64, bytes: &'a [u8]) -> &'a [u8] {
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
    *left -= count as u64;
    &bytes[..count]
}

fn chunk_step<'a>(
    at: &mut ChunkAt,
    extras: &mut u32,
    bytes: &'a [u8],
) -> Result<(Step<'a>, usize), BrokenFraming> {
    let mut extra = || match extras.checked_sub(1) {
        Some(left) => {
            *extras = left;
            Ok(())
        }
        None => Err(BrokenFraming),
    };
    for (index, byte) in bytes.iter().copied().enumerate() {
        *at = match (*at, byte) {
            (ChunkAt::End, _) => return Ok((Step::End, index)),
            (ChunkAt::Data { mut left }, _) => {
                let data = take(&mut left, &bytes[index..]);
                *at = if left == 0 { ChunkAt::DataCr } else { ChunkAt::Data { left } };
                return Ok((Step::Data(data), index + data.len()));
            }
            (ChunkAt::Size { size, digits }, b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                if digits && size == 0 {
                    extra()?;
                }
                let digit = char::from(byte).to_digit(16).map_or(0, u64::from);
                let size = size.checked_mul(16).ok_or(BrokenFraming)? | digit;
                ChunkAt::Size { size, digits: true }
            }
            (ChunkAt::Size { size, digits: true }, b' ' | b'\t' | b';') => {
                extra()?;
                ChunkAt::Extension { size }
            }
            (ChunkAt::Size { size, digits: true } | ChunkAt::Extension { size }, b'\r') => {
                ChunkAt::SizeLf { size }
            }
            (ChunkAt::Extension { size }, byte) if byte != b'\n' => {
                extra()?;
                ChunkAt::Extension { size }
            }
            (ChunkAt::SizeLf { size: 0 }, b'\n') => ChunkAt::TrailerStart,
            (ChunkAt::SizeLf { size }, b'\n') => ChunkAt::Data { left: size },
            (ChunkAt::DataCr, b'\r') => ChunkAt::DataLf,
            (ChunkAt::DataLf, b'\n') => ChunkAt::Size { size: 0, digits: false },
            (ChunkAt::TrailerStart, b'\r') => ChunkAt::EndLf,
            (ChunkAt::Trailer, b'\r') => ChunkAt::TrailerLf,
            (ChunkAt::TrailerStart | ChunkAt::Trailer, byte) if byte != b'\n' => {
                extra()?;
                ChunkAt::Trailer
            }
            (ChunkAt::TrailerLf, b'\n') => ChunkAt::TrailerStart,
            (ChunkAt::EndLf, b'\n') => {
                *at = ChunkAt::End;
                return Ok((Step::End, index + 1));
            }
            _ => return Err(BrokenFraming),
        };
    }
    Ok((Step::More, bytes.len()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn head(text: &str) -> Result<Parsed, HeadError> {
        parse_head(text.as_bytes(), &Method::POST, 100)
    }

    #[track_caller]
    fn check_framing(method: &Method, text: &str, framing: Framing, keeps_socket: bool) {
        match parse_head(text.as_bytes(), method, 100) {
            Ok(Parsed::Final(head, length)) => {
                assert_eq!((head.framing, head.keeps_socket), (framing, keeps_socket), "{text:?}");
                assert_eq!(length, text.len());
            }
            other => panic!("{text:?}: {other:?}"),
        }
    }

    #[test]
    fn a_request_is_written_as_it_is() {
        let mut headers = HeaderMap::new();
        headers.insert("x-a-bc", HeaderValue::from_static("Value"));
        headers.insert(HOST, HeaderValue::from_static("evil"));
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
        let host = HeaderValue::from_static("example.com:81");
        let written = |method: &Method, bytes| {
            let mut out = Vec::new();
            write_head(&mut out, method, "/a?b", &host, &headers, bytes);
            String::from_utf8(out).expect("text")
        };
        assert_eq!(
            written(&Method::POST, 1200),
            "POST /a?b HTTP/1.1\r\nX-A-Bc: Value\r\nHost: example.com:81\r\nContent-Length: 1200\r\n\r\n"
        );
        assert!(written(&Method::PUT, 0).ends_with("Content-Length: 0\r\n\r\n"));
        assert!(written(&Method::GET, 0).ends_with("Host: example.com:81\r\n\r\n"));
    }

    #[test]
    fn where_a_body_ends_follows_rfc_9112() {
        use Framing::{Chunked, Length, UntilClose};
        let post = &Method::POST;
        check_framing(post, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Length(7), true);
        check_framing(
            post,
            "HTTP/1.1 200 OK\r\nContent-Length: 7, 7\r\nContent-Length: 7\r\n\r\n",
            Length(7),
            true,
        );
        check_framing(
            post,
            "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: a, Close\r\n\r\n",
            Length(7),
            false,
        );
        check_framing(post, "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n", Length(7), false);
        check_framing(post, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n", Chunked, true);
        check_framing(post, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", UntilClose, false);
        check_framing(
            post,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 7\r\n\r\n",
            Chunked,
            false,
        );
        check_framing(
            post,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nContent-Length: 7\r\n\r\n",
            UntilClose,
            false,
        );
        check_framing(post, "HTTP/1.1 200\r\n\r\n", UntilClose, false);
        check_framing(post, "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n", Length(0), true);
        check_framing(post, "HTTP/1.1 204 No\r\nContent-Length: 7\r\n\r\n", Length(0), false);
        check_framing(post, "HTTP/1.1 204 No\r\nContent-Length: \r\n\r\n", Length(0), false);
        check_framing(post, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", Length(0), false);
        check_framing(post, "HTTP/1.1 304 No\r\n\r\n", Length(0), true);
        check_framing(&Method::HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", Length(0), true);
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for value in ["", "-1", "+1", "1a", "1, 2", "1,", "99999999999999999999", "0x1"] {
            let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\n");
            assert_eq!(head(&text).err(), Some(HeadError::Invalid), "{value:?}");
            let again = format!("HTTP/1.1 200 OK\r\nContent-Length: {value}\r\nContent-Length: 1\r\n\r\n");
            assert_eq!(head(&again).err(), Some(HeadError::Invalid), "{value:?}");
        }
        let coded = "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(head(coded).err(), Some(HeadError::Invalid));
    }

    #[test]
    fn what_is_no_head_is_told_apart() {
        assert!(matches!(head(""), Ok(Parsed::Partial)));
        assert!(matches!(head("HTTP/1.1 200 OK\r\nA: b\r\n"), Ok(Parsed::Partial)));
        assert!(matches!(head("HTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 200"), Ok(Parsed::Interim(22))));
        assert!(matches!(head("HTTP/1.1 101 Switch\r\n\r\n"), Ok(Parsed::Final(..))));
        assert_eq!(head("HTTP/2.0 200 OK\r\n\r\n").err(), Some(HeadError::Http2));
        assert_eq!(head("HTTP/1.1 20 OK\r\n\r\n").err(), Some(HeadError::Status));
        assert_eq!(head("SSH-2.0-x\r\n").err(), Some(HeadError::Invalid));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
        assert_eq!(head(&many).err(), Some(HeadError::TooLarge));
    }

    /// The body that comes out when `bytes` come in, cut anew after each `cut`; whether it ended; what was left over.
    fn read(framing: Framing, bytes: &[u8], cut: usize) -> Result<(Vec<u8>, bool, usize), BrokenFraming> {
        let mut reader = BodyReader::new(framing);
        let (mut body, mut start, mut end) = (Vec::new(), 0, cut.min(bytes.len()));
        loop {
            let (step, taken) = reader.step(&bytes[start..end])?;
            start += taken;
            match step {
                Step::Data(data) => body.extend_from_slice(data),
                Step::End => return Ok((body, true, bytes.len() - start)),
                Step::More if end == bytes.len() => return Ok((body, false, 0)),
                Step::More => end = (end + cut).min(bytes.len()),
            }
        }
    }

    #[test]
    fn a_chunked_body_comes_out_however_it_is_cut() {
        let wire =
            b"3\r\nabc\r\n0A;x=\"y\" \r\n0123456789\r\n1 \r\nz\r\n000\r\nTrailer: x\r\nT: y\r\n\r\nmore";
        for cut in 1..=wire.len() {
            let expected = (b"abc0123456789z".to_vec(), true, 4);
            let (body, ended, left) = read(Framing::Chunked, wire, cut).expect("it is chunked");
            assert_eq!((&body, ended), (&expected.0, true), "{cut}");
            assert!(left >= expected.2, "{cut}");
        }
    }

    #[test]
    fn framing_that_is_none_is_broken() {
        for wire in [
            "\r\n",
            ";\r\n",
            " 1\r\n",
            "zz\r\n",
            "1\na\r\n",
            "1;x\ny\r\n",
            "1\r\nab\r\n",
            "1\r\na\n",
            "-1\r\n",
            "0x1\r\n",
            "10000000000000000\r\n",
            "0\r\n\n",
            "0\r\nA: b\n",
            "0\r\n\rx",
        ] {
            assert_eq!(read(Framing::Chunked, wire.as_bytes(), 3), Err(BrokenFraming), "{wire:?}");
        }
        let extras = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(CHUNK_EXTRAS_BYTES_MAX as usize));
        assert_eq!(read(Framing::Chunked, extras.as_bytes(), 1000), Err(BrokenFraming));
        let zeros = "0".repeat(CHUNK_EXTRAS_BYTES_MAX as usize + 2);
        assert_eq!(read(Framing::Chunked, zeros.as_bytes(), 1000), Err(BrokenFraming));
        let trailers = format!("0\r\n{}\r\n", "A: b\r\n".repeat(CHUNK_EXTRAS_BYTES_MAX as usize));
        assert_eq!(read(Framing::Chunked, trailers.as_bytes(), 1000), Err(BrokenFraming));
    }

    #[test]
    fn a_body_of_a_length_ends_there() {
        assert_eq!(read(Framing::Length(3), b"abcdef", 2), Ok((b"abc".to_vec(), true, 3)));
        assert_eq!(read(Framing::Length(0), b"a", 1), Ok((Vec::new(), true, 1)));
        assert_eq!(read(Framing::Length(9), b"abc", 2), Ok((b"abc".to_vec(), false, 0)));
        assert_eq!(read(Framing::UntilClose, b"abc", 2), Ok((b"abc".to_vec(), false, 0)));
    }

    proptest! {
        #[test]
        fn chunks_give_what_was_put_in(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..6), cut in 1_usize..50) {
            let mut wire = Vec::new();
            for piece in &pieces {
                wire.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
                wire.extend_from_slice(piece);
                wire.extend_from_slice(b"\r\n");
            }
            wire.extend_from_slice(b"0\r\n\r\n");
            let (body, ended, _) = read(Framing::Chunked, &wire, cut).expect("it is chunked");
            prop_assert!(ended);
            prop_assert_eq!(body, pieces.concat());
        }

        #[test]
        fn nothing_foreign_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 1_usize..50) {
            let _ = parse_head(&bytes, &Method::POST, 100);
            for framing in [Framing::Chunked, Framing::Length(77), Framing::UntilClose] {
                let _ = read(framing, &bytes, cut);
            }
        }
    }
}
