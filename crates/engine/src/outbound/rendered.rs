//! A delivery's request as it would be sent now, to be looked at or sent by hand.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use postrider_domain::delivery::DeliveryKind;
use postrider_domain::id::DeliveryId;
use postrider_domain::problem::{Code, Problem};
use postrider_domain::time::Timestamp;
use postrider_store::{AttemptRow, StoreError};

use super::attempt::{self, EventInHand, Subject};
use super::preview::{Reveal, shown_headers};
use crate::Engine;
use crate::catalogue::Tenant;
use crate::error::EngineError;

/// A request, ready to be shown.
#[derive(Clone, PartialEq, Eq)]
pub struct RenderedRequest {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
}

/// Without URL, headers and body: all three may hold credentials.
impl std::fmt::Debug for RenderedRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RenderedRequest").field("method", &self.method).finish_non_exhaustive()
    }
}

/// What would be sent for a delivery now: the same event in the format that it was accepted with, with a signature that is valid
/// now.
///
/// # Errors
/// `not_found`; `payload_expired`; `conflict` when its webhook is gone; `not_renderable`.
pub async fn rendered(
    engine: &Engine,
    tenant: &Tenant,
    delivery: DeliveryId,
    reveal: Reveal,
) -> Result<RenderedRequest, EngineError> {
    rendered_at(engine, tenant, delivery, None, reveal).await
}

/// What an attempt sent: with its number, at its time, with the secret that was in force then, as far as the webhook still
/// has it.
///
/// # Errors
/// As [`rendered`].
pub async fn rendered_as_sent(
    engine: &Engine,
    tenant: &Tenant,
    delivery: DeliveryId,
    sent: &AttemptRow,
    reveal: Reveal,
) -> Result<RenderedRequest, EngineError> {
    rendered_at(engine, tenant, delivery, Some((sent.number, sent.started)), reveal).await
}

async fn rendered_at(
    engine: &Engine,
    tenant: &Tenant,
    delivery: DeliveryId,
    sent: Option<(u32, Timestamp)>,
    reveal: Reveal,
) -> Result<RenderedRequest, EngineError> {
    let store = engine.store();
    let found = store.delivery_get(tenant.id, delivery).await?;
    let found = found.ok_or_else(|| Problem::not_found("delivery"))?;
    let webhook = tenant.webhook(found.webhook).ok_or_else(|| {
        Problem::new(Code::Conflict, "The delivery's webhook was deleted, and its secret with it.")
    })?;
    let event = store.event_get(tenant.id, found.event).await?.ok_or_else(|| {
        Problem::new(
            Code::PayloadExpired,
            "The event's payload is past its retention. Publish the event again.",
        )
    })?;
    let pinned = match engine.outbound().pinned(tenant, event.tenant_version).await {
        Ok(pinned) => pinned,
        Err(StoreError::Corrupt(_) | StoreError::NotFound) => {
            return Err(Problem::new(Code::NotRenderable, super::dispatch::UNREADABLE).into());
        }
        Err(error) => return Err(error.into()),
    };
    let event = EventInHand::new(event.into());
    let elsewhere = match found.kind {
        DeliveryKind::Test => store.delivery_elsewhere(tenant.id, delivery).await?,
        DeliveryKind::Normal | DeliveryKind::Replay => None,
    };
    let now = || (found.attempts.saturating_add(1), engine.clock().now());
    let (attempt, at) = sent.unwrap_or_else(now);
    let subject = Subject { webhook, pinned: &pinned, event: &event, delivery, attempt };
    let (headers, body) = attempt::render(&subject, at)
        .map_err(|not_made| Problem::new(Code::NotRenderable, not_made.detail))?;
    Ok(RenderedRequest {
        method: attempt::METHOD.as_str().to_owned(),
        url: elsewhere.unwrap_or_else(|| webhook.url.clone()),
        headers: shown_headers(webhook, &headers, reveal),
        body: body.bytes,
    })
}

/// A command for a POSIX shell that sends the request with curl, byte for byte. Nothing in the request is read by the shell, and
/// nothing in it makes curl read a file.
pub fn as_curl(request: &RenderedRequest) -> String {
    let mut lines =
        vec![format!("curl --globoff -X {} --url {}", quoted(&request.method), quoted(&request.url))];
    for (name, value) in &request.headers {
        // Without a value, curl would take a header away.
        let header = if value.is_empty() { format!("{name};") } else { format!("{name}: {value}") };
        lines.push(format!("  -H {}", quoted(&header)));
    }
    if !request.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type")) {
        // What curl would say by itself.
        lines.push("  -H 'Content-Type:'".to_owned());
    }
    let plain = |byte: &u8| matches!(byte, b'\n' | b' '..=b'~');
    match std::str::from_utf8(&request.body) {
        // Raw: an `@` at its beginning is no file.
        Ok(body) if body.len() <= ARGUMENT_BYTES_MAX && request.body.iter().all(plain) => {
            lines.push(format!("  --data-raw {}", quoted(body)));
            lines.join(" \\\n")
        }
        _ => {
            lines.push("  --data-binary @-".to_owned());
            let body = BASE64.encode(&request.body);
            format!("printf %s '{body}' | base64 -d | {}", lines.join(" \\\n"))
        }
    }
}

/// Linux takes 128 KiB in one argument. What is longer goes through a pipe.
const ARGUMENT_BYTES_MAX: usize = 64 * 1024;

/// One word of a POSIX shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    fn request(url: &str, headers: &[(&str, &str)], body: &[u8]) -> RenderedRequest {
        let header = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        RenderedRequest {
            method: "POST".to_owned(),
            url: url.to_owned(),
            headers: headers.iter().map(header).collect(),
            body: Bytes::copy_from_slice(body),
        }
    }

    /// What a shell makes of it: the arguments of `curl`, and what it would read.
    fn words(command: &str) -> (Vec<String>, Vec<u8>) {
        let script = format!(
            "curl() {{ for word in \"$@\"; do printf '%s\\0' \"$word\"; done; case \"$*\" in *@-) cat;; esac; }}\n{command}"
        );
        let mut shell = Command::new("sh")
            .arg("-s")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut typed = shell.stdin.take().expect("because it is piped");
        typed.write_all(script.as_bytes()).expect("the shell reads");
        drop(typed);
        let output = shell.wait_with_output().expect("the shell ends");
        assert!(output.status.success() && output.stderr.is_empty(), "{command}\n{output:?}");
        let mut parts: Vec<&[u8]> = output.stdout.split(|byte| *byte == 0).collect();
        // A body is read after the words, and may hold zeros itself.
        let ends = parts.iter().position(|part| *part == b"@-").map_or(parts.len() - 1, |at| at + 1);
        let body = parts.split_off(ends).join(&0);
        let words = parts.iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        (words, body)
    }

    const HOSTILE: [&str; 9] = [
        "'; touch /tmp/owned; '",
        "$(id) `id` $HOME ${HOME}",
        "\"\\\" \\\\ \\n",
        "a\nb\n",
        "!! !x #",
        "@/etc/passwd",
        "-o/tmp/owned",
        "'''",
        "%s %n {a,b} [1-3] * ?",
    ];

    #[test]
    fn a_shell_reads_hostile_texts_as_they_are() {
        for text in HOSTILE {
            let url = format!("https://example.com/?q={text}");
            let made = request(&url, &[("x-a", text), ("x-empty", "")], text.as_bytes());
            let (words, rest) = words(&as_curl(&made));
            let header = format!("x-a: {text}");
            let expected = [
                "--globoff",
                "-X",
                "POST",
                "--url",
                &url,
                "-H",
                &header,
                "-H",
                "x-empty;",
                "-H",
                "Content-Type:",
                "--data-raw",
                text,
            ];
            assert_eq!((words, rest), (expected.map(str::to_owned).to_vec(), Vec::new()));
        }
    }

    #[test]
    fn a_body_that_is_no_plain_text_goes_through_base64() {
        for body in [&b"\x00\xff\x00"[..], "ä".as_bytes(), b"a\tb", b"\r\n", &[0; 3000], &[b'x'; 200_000]] {
            let made = request("https://example.com/", &[("Content-Type", "a/b")], body);
            let (words, rest) = words(&as_curl(&made));
            assert_eq!(words.last().map(String::as_str), Some("@-"));
            assert_eq!(rest, body);
            assert!(!words.contains(&"Content-Type:".to_owned()));
        }
    }
}
