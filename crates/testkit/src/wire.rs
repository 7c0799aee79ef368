//! HTTP/1.1 requests read byte by byte: what was sent, not what a library made of it.
//!
//! A library would lower the case of header names, join chunks and hide what a test wants to see. This reader keeps
//! the text. It is for requests of well-behaved clients: anything malformed is an error, not a guess.

use std::io::{Error, ErrorKind, Result};

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Larger heads and bodies are refused, so that a client gone wild cannot fill a test's memory.
const HEAD_BYTES_MAX: usize = 64 * 1024;
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A request as it stood on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRequest {
    pub method: String,
    /// The request target: path and query.
    pub path: String,
    /// In order, names in the case in which they came.
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

impl WireRequest {
    /// The first header of that name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        find(&self.headers, name)
    }
}

/// Reads the next request; `None` when the peer closed between two of them. `buffer` holds what was read beyond it.
pub async fn read_request(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
) -> Result<Option<WireRequest>> {
    let head_end = loop {
        if let Some(at) = find_bytes(buffer, b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > HEAD_BYTES_MAX {
            return Err(invalid("the head is too large"));
        }
        if stream.read_buf(buffer).await? == 0 {
            return if buffer.is_empty() { Ok(None) } else { Err(ErrorKind::UnexpectedEof.into()) };
        }
    };
    let head = buffer.split_to(head_end);
    buffer.advance(b"\r\n\r\n".len());
    let head = std::str::from_utf8(&head).map_err(|_| invalid("the head is not UTF-8"))?;

    let mut lines = head.split("\r\n");
    let mut start = lines.next().unwrap_or_default().split(' ');
    let (Some(method), Some(path), Some("HTTP/1.1"), None) =
        (start.next(), start.next(), start.next(), start.next())
    else {
        return Err(invalid("the request line is not METHOD TARGET HTTP/1.1"));
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| invalid("a header line has no colon"))?;
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }

    let (method, path) = (method.to_owned(), path.to_owned());
    let body = if find(&headers, "transfer-encoding").is_some() {
        read_chunks(stream, buffer).await?
    } else {
        let length = find(&headers, "content-length").unwrap_or("0");
        let length = length.parse().map_err(|_| invalid("the content length is not a number"))?;
        read_exactly(stream, buffer, length).await?
    };
    Ok(Some(WireRequest { method, path, headers, body }))
}

async fn read_chunks(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<Bytes> {
    let mut body = BytesMut::new();
    loop {
        let size = read_line(stream, buffer).await?;
        let size =
            usize::from_str_radix(size.trim(), 16).map_err(|_| invalid("the chunk size is not a number"))?;
        if body.len().saturating_add(size) > BODY_BYTES_MAX {
            return Err(invalid("the body is too large"));
        }
        body.extend_from_slice(&read_exactly(stream, buffer, size).await?);
        if !read_line(stream, buffer).await?.is_empty() {
            return Err(invalid("a chunk is longer than its size"));
        }
        if size == 0 {
            return Ok(body.freeze());
        }
    }
}

async fn read_line(stream: &mut (impl AsyncRead + Unpin), buffer: &mut BytesMut) -> Result<String> {
    loop {
        if let Some(end) = find_bytes(buffer, b"\r\n") {
            let line = buffer.split_to(end);
            buffer.advance(2);
            return String::from_utf8(line.to_vec()).map_err(|_| invalid("a chunk line is not UTF-8"));
        }
        if buffer.len() > HEAD_BYTES_MAX || stream.read_buf(buffer).await? == 0 {
            return Err(invalid("a chunk line has no end"));
        }
    }
}

async fn read_exactly(
    stream: &mut (impl AsyncRead + Unpin),
    buffer: &mut BytesMut,
    length: usize,
) -> Result<Bytes> {
    if length > BODY_BYTES_MAX {
        return Err(invalid("the body is too large"));
    }
    while buffer.len() < length {
        if stream.read_buf(buffer).await? == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(buffer.split_to(length).freeze())
}

fn find<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    headers.iter().find(|(have, _)| have.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

fn find_bytes(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn invalid(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read_all(mut wire: &[u8]) -> Vec<Result<WireRequest>> {
        let (mut buffer, mut requests) = (BytesMut::new(), Vec::new());
        while let Some(request) = read_request(&mut wire, &mut buffer).await.transpose() {
            let broken = request.is_err();
            requests.push(request);
            if broken {
                break;
            }
        }
        requests
    }

    #[tokio::test]
    async fn requests_are_kept_as_they_were_sent() {
        let wire =
            b"POST /a?b=c HTTP/1.1\r\nX-Two-Words:  v w \r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n\r\n";
        let requests = read_all(wire).await;
        let first = requests[0].as_ref().expect("the first request is well formed");
        assert_eq!((first.method.as_str(), first.path.as_str()), ("POST", "/a?b=c"));
        assert_eq!(first.headers[0], ("X-Two-Words".to_owned(), "v w".to_owned()));
        assert_eq!(first.header("x-two-words"), Some("v w"));
        assert_eq!(first.body, "abc");
        assert_eq!(requests[1].as_ref().expect("so is the second").method, "GET");
        assert_eq!(requests.len(), 2);
    }

    #[tokio::test]
    async fn chunks_are_joined() {
        let wire = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
        assert_eq!(read_all(wire).await[0].as_ref().expect("the request is well formed").body, "abcde");
    }

    #[tokio::test]
    async fn what_is_malformed_is_an_error() {
        for wire in [
            &b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc"[..],
            b"POST / HTTP/1.1\r\nno colon\r\n\r\n",
            b"POST /\r\n\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n",
            b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n",
            b"POST / HT",
        ] {
            assert!(read_all(wire).await[0].is_err(), "{}", String::from_utf8_lossy(wire));
        }
    }
}
