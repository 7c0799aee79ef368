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
    let labels = Arc::new(labels);
    let mut log = Vec::new();
    for tenant in TENANTS {
        let ids = Arc::new(list(&mut Api::connect(address).await?, tenant).await?);
        let mut readers = JoinSet::new();
        for reader in 0..READERS {
            let (ids, labels) = (Arc::clone(&ids), Arc::clone(&labels));
            readers.spawn(async move {
                let mut api = Api::connect(address).await?;
                let mut read = Vec::new();
                for id in ids.iter().skip(reader).step_by(READERS) {
                    let delivery = api.get(&format!("/v1/deliveries/{id}"), tenant).await?;
                    read.push(logged(&delivery, &labels)?);
                }
                Ok::<_, Failure>(read)
            });
        }
        while let Some(read) = readers.join_next().await {
            log.extend(read??);
        }
    }
    Ok(log)
}

/// The ids of a tenant's deliveries.
async fn list(api: &mut Api, tenant: &str) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = api.get(&format!("/v1/deliveries?limit={PAGE}{cursor}"), tenant).await?;
        for delivery in page["data"].as_array().into_iter().flatten() {
            ids.push(text(delivery, "id")?);
        }
        let Some(next) = page["nextCursor"].as_str() else { return Ok(ids) };
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

fn text(object: &Value, name: &str) -> Result<String> {
    let text = object[name].as_str();
    text.map(str::to_owned).ok_or_else(|| Failure::new(format!("an answer has no `{name}`: {object}")))
}
