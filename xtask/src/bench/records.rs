//! Records: an import of a million lines, and a scan that finds ten thousand of them due.

use std::io::Write as _;
use std::net::SocketAddr;

use hyper::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::time::Instant;

use super::report::{Asked, Figure, Unit};
use crate::failure::{Failure, Result};
use crate::product::{Api, OPERATOR_KEY, Server};

const TENANT: &str = "plant";
const PATH: &str = "/v1/records/work_order/import";
/// Bytes of one chunk of the body.
const CHUNK_BYTES: usize = 64 * 1024;

/// `records` are there already, `due` of them come overdue: with one webhook that wants to know.
pub(super) async fn measure(server: &Server, sink: &str, records: usize, due: usize) -> Result<Vec<Figure>> {
    let mut api = server.api().await?;
    let tenant = json!({"id": TENANT, "name": TENANT, "profile": "runtight", "plan": "pro"});
    api.call(Method::POST, "/v1/tenants", "", &tenant).await?;
    api.create_webhook(TENANT, sink, &["wo.overdue"]).await?;
    let before = server.memory_peak_mib()?;
    let address = server.address;
    let (rate, summary) = import(address, records, "2031-01-01", "events=false").await?;
    expect(&summary, "created", records)?;
    let imported = server.memory_peak_mib()?;
    let (with_events, summary) = import(address, due, "2026-01-01", "events=true&report=refused").await?;
    expect(&summary, "events", due)?;
    let began = Instant::now();
    let scan = api.call(Method::POST, "/v1/scans/run", TENANT, &Value::Null).await?;
    let took = began.elapsed().as_secs_f64();
    expect(&scan, "events", due)?;
    found_again(&mut api, due).await?;
    Ok(vec![
        Figure::new("import, without events", rate, Unit::PerSecond, Asked::Min(20_000.0)),
        Figure::new("memory peak before", before, Unit::Mib, Asked::Nothing),
        Figure::new("memory peak of the import", imported, Unit::Mib, Asked::Nothing),
        Figure::new("import, an event each", with_events, Unit::PerSecond, Asked::Nothing),
        Figure::new("scan", took * 1e3, Unit::Ms, Asked::Max(5_000.0)),
        Figure::new("memory peak of all", server.memory_peak_mib()?, Unit::Mib, Asked::Max(200.0)),
    ])
}

/// A second scan finds nothing.
async fn found_again(api: &mut Api, due: usize) -> Result<()> {
    let again = api.call(Method::POST, "/v1/scans/run", TENANT, &Value::Null).await?;
    match again["looked"].as_u64() {
        Some(0) => Ok(()),
        looked => Err(Failure::new(format!("after a scan of {due} another one looks at {looked:?}"))),
    }
}

fn expect(report: &Value, name: &str, count: usize) -> Result<()> {
    match report[name].as_u64() == Some(count as u64) {
        true => Ok(()),
        false => Err(Failure::new(format!("{name} should be {count}: {report}"))),
    }
}

/// Posts so many work orders, due on a day, and gives records a second with the report's last line.
async fn import(address: SocketAddr, records: usize, due: &'static str, query: &str) -> Result<(f64, Value)> {
    let head = format!(
        "POST {PATH}?{query} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {OPERATOR_KEY}\r\n\
         postrider-tenant: {TENANT}\r\ncontent-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\
         connection: close\r\n\r\n"
    );
    let began = Instant::now();
    let mut stream = TcpSocket::new_v4()?.connect(address).await?;
    stream.write_all(head.as_bytes()).await?;
    let mut chunk = Vec::with_capacity(CHUNK_BYTES + 512);
    for number in 0..records {
        writeln!(
            chunk,
            "{{\"id\":\"{due}-{number:07}\",\"data\":{{\"title\":\"Weekly Hydraulic Press Inspection\",\"priority\":\"high\",\
             \"status\":\"open\",\"wo_type\":\"preventive\",\"due_date\":\"{due}\",\"asset_id\":\"asset-{}\",\
             \"time_spent_minutes\":35,\"notes\":\"checked by the team\"}}}}",
            number % 1000
        )?;
        if chunk.len() >= CHUNK_BYTES || number + 1 == records {
            stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).await?;
            chunk.extend_from_slice(b"\r\n");
            stream.write_all(&chunk).await?;
            chunk.clear();
        }
    }
    stream.write_all(b"0\r\n\r\n").await?;
    // All of it was taken before the report comes: only its end is looked at.
    let mut answer = Vec::new();
    let mut part = vec![0; CHUNK_BYTES];
    loop {
        let length = stream.read(&mut part).await?;
        if length == 0 {
            break;
        }
        answer.extend_from_slice(&part[..length]);
        let surplus = answer.len().saturating_sub(CHUNK_BYTES);
        answer.drain(..surplus);
    }
    let took = began.elapsed().as_secs_f64();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let summary = answer.lines().find(|line| line.starts_with("{\"summary\""));
    let summary = summary.ok_or_else(|| Failure::new(format!("the import has no summary: {answer}")))?;
    let summary: Value = serde_json::from_str(summary)?;
    Ok((records as f64 / took, summary["summary"].clone()))
}
