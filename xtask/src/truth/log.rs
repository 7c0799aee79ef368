//! Our own account of the run, read through the API as a customer would.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::task::JoinSet;

use super::checker::{Attempt, Ledger, Logged, Pair};
use super::producer::TENANTS;
use crate::failure::{Failure, Result};
use crate::product::Api;

/// Tenants are read side by side, and each with so many connections.
const READERS: usize = 4;
const PAGE: usize = 100;

/// Every delivery with its attempts. `labels` are those of the webhooks, by id.
pub(crate) async fn read(address: SocketAddr, labels: BTreeMap<String, String>) -> Result<Vec<Logged>> {
    let mut log = Vec::new();
    for tenant in TENANTS {
        let deliveries = details(address, tenant, "/v1/deliveries").await?;
        log.extend(deliveries.iter().map(|delivery| logged(delivery, &labels)).collect::<Result<Vec<_>>>()?);
    }
    Ok(log)
}

/// Everything that a tenant has under a path, each as it is shown by itself.
pub(crate) async fn details(
    address: SocketAddr,
    tenant: &'static str,
    path: &'static str,
) -> Result<Vec<Value>> {
    let listed = list(&mut Api::connect(address).await?, tenant, path, "").await?;
    let ids = Arc::new(listed.iter().map(|one| text(one, "id")).collect::<Result<Vec<_>>>()?);
    let mut readers = JoinSet::new();
    for reader in 0..READERS {
        let ids = Arc::clone(&ids);
        readers.spawn(async move {
            let mut api = Api::connect(address).await?;
            let mut read = Vec::new();
            for id in ids.iter().skip(reader).step_by(READERS) {
                read.push(api.get(&format!("{path}/{id}"), tenant).await?);
            }
            Ok::<_, Failure>(read)
        });
    }
    let mut all = Vec::new();
    while let Some(read) = readers.join_next().await {
        all.extend(read??);
    }
    Ok(all)
}

/// A whole list, page by page. `query`: more of it, as `&name=value`.
pub(crate) async fn list(api: &mut Api, tenant: &str, path: &str, query: &str) -> Result<Vec<Value>> {
    let mut all = Vec::new();
    let mut cursor = String::new();
    loop {
        let mut page = api.get(&format!("{path}?limit={PAGE}{query}{cursor}"), tenant).await?;
        if let Value::Array(rows) = page["data"].take() {
            all.extend(rows);
        }
        let Some(next) = page["nextCursor"].as_str() else { return Ok(all) };
        cursor = format!("&cursor={next}");
    }
}

fn logged(delivery: &Value, labels: &BTreeMap<String, String>) -> Result<Logged> {
    let webhook = text(delivery, "webhookId")?;
    let attempts = delivery["attempts"].as_array().into_iter().flatten();
    let attempts = attempts.map(|attempt| {
        let body_sha256 = attempt["bodySha256"].as_str().unwrap_or_default().to_owned();
        Ok(Attempt { class: text(attempt, "class")?, body_sha256 })
    });
    Ok(Logged {
        pair: Pair {
            event: text(delivery, "eventId")?,
            webhook: labels.get(&webhook).cloned().unwrap_or(webhook),
        },
        state: text(delivery, "state")?,
        attempts: attempts.collect::<Result<_>>()?,
    })
}

pub(crate) async fn ledgers(api: &mut Api) -> Result<Vec<Ledger>> {
    let mut ledgers = Vec::new();
    for tenant in TENANTS {
        ledgers.push(ledger(api, tenant).await?);
    }
    Ok(ledgers)
}

/// A tenant's ledger, without tests and replays, of which a crash run has none.
pub(crate) async fn ledger(api: &mut Api, tenant: &str) -> Result<Ledger> {
    let ledger = api.get("/v1/ledger", tenant).await?;
    let count = |name: &str| {
        let count = ledger[name].as_u64();
        count.ok_or_else(|| Failure::new(format!("the ledger has no count `{name}`: {ledger}")))
    };
    Ok(Ledger {
        tenant: tenant.to_owned(),
        accepted: count("accepted")?,
        scheduled: count("scheduled")?,
        sending: count("sending")?,
        delivered: count("delivered")?,
        failed: count("failed")?,
        cancelled: count("cancelled")?,
        balanced: ledger["balanced"].as_bool().unwrap_or(false),
    })
}

pub(crate) fn text(object: &Value, name: &str) -> Result<String> {
    let text = object[name].as_str();
    text.map(str::to_owned).ok_or_else(|| Failure::new(format!("an answer has no `{name}`: {object}")))
}
