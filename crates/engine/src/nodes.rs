//! This node among others on the same database: it says that it is alive, hears what others changed and what waits, and
//! takes over from those that died. On a store of its own it is the only one, and leads.

use std::sync::Arc;
use std::time::Duration;

use postrider_domain::limits;
use postrider_store::{Heard, Listener, StoreError};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::clock;
use crate::control::Control;
use crate::outbound::dispatch::Outbound;

/// How often this node says that it is alive: several times in the time for which it is believed.
const BEAT_EVERY: Duration = Duration::from_secs(2);
/// How often it looks for what is due and nobody told it of. What others know of they send: this is for what they knew of
/// when they died, and for words that were lost.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How often it checks that the connection over which it hears others still answers.
const CHECK_EVERY: Duration = Duration::from_secs(2);
/// How often it compares what it knows with what is stored, for words that were lost: by the versions of tenants.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// The first beat, before anything is loaded: how many we are.
pub(crate) async fn enter(outbound: &Outbound) -> Result<(), StoreError> {
    let beat = outbound.store.node_beat().await?;
    outbound.lanes.share_among(beat.nodes);
    outbound.set_leads(beat.leads);
    Ok(())
}

/// Until the process ends.
pub(crate) async fn beat(control: Control, outbound: Arc<Outbound>) {
    if !outbound.store.is_shared() {
        return;
    }
    let mut look_at = outbound.clock.now().plus(LOOK_EVERY);
    let mut was_gone = false;
    let (mut taking_over, mut looking): (Option<JoinHandle<()>>, Option<JoinHandle<()>>) = (None, None);
    loop {
        // The machine's time, as the lease by the database's clock is: nobody moves it by hand.
        tokio::time::sleep(BEAT_EVERY).await;
        match outbound.store.node_beat().await {
            Ok(beat) => {
                outbound.lanes.share_among(beat.nodes);
                if outbound.set_leads(beat.leads) {
                    control.jobs_wait();
                }
                // Apart: the next beat does not wait for them.
                if beat.dead && taking_over.as_ref().is_none_or(JoinHandle::is_finished) {
                    let outbound = outbound.clone();
                    taking_over = Some(tokio::spawn(async move {
                        if let Err(error) = clock::reap_expired(&outbound).await {
                            tracing::error!(%error, "takeover.waits");
                        }
                    }));
                }
                let now = outbound.clock.now();
                // A clock that was set back must not put it off.
                let is_time = was_gone || now >= look_at || look_at.since(now) > LOOK_EVERY;
                if is_time && looking.as_ref().is_none_or(JoinHandle::is_finished) {
                    look_at = now.plus(LOOK_EVERY);
                    let outbound = outbound.clone();
                    looking = Some(tokio::spawn(async move { look_for_due(&outbound).await }));
                }
                was_gone = false;
            }
            Err(error) => {
                if !was_gone {
                    tracing::error!(%error, "node.beat_failed");
                }
                was_gone = true;
                outbound.set_leads(false);
            }
        }
    }
}

/// Until the process ends.
pub(crate) async fn listen(control: Control, outbound: Arc<Outbound>) {
    let Some(mut listener) = outbound.store.listener() else { return };
    // Something that was heard could not be followed: everything is compared, until that succeeds.
    let mut behind = false;
    let mut compared = Instant::now();
    loop {
        // By time, whatever is heard meanwhile.
        let wait = if behind { CHECK_EVERY } else { COMPARE_EVERY };
        if compared.elapsed() >= wait {
            behind = !act(&control, &outbound, Heard::Anything).await;
            compared = Instant::now();
        }
        match next(&mut listener).await {
            Ok(Some(heard)) => behind |= !act(&control, &outbound, heard).await,
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "node.hears_nothing");
                // The machine's time, as for beats.
                tokio::time::sleep(limits::STORE_RETRY).await;
            }
        }
    }
}

/// The next word; none after a while, when the connection still answers.
async fn next(listener: &mut Listener) -> Result<Option<Heard>, StoreError> {
    if !listener.is_connected() {
        return listener.next().await.map(Some);
    }
    let heard = tokio::select! {
        heard = listener.next() => Some(heard?),
        () = tokio::time::sleep(CHECK_EVERY) => None,
    };
    if heard.is_none() {
        listener.check().await?;
    }
    Ok(heard)
}

/// False: it could not be followed.
async fn act(control: &Control, outbound: &Arc<Outbound>, heard: Heard) -> bool {
    let followed = match heard {
        Heard::TenantChanged(tenant) => control.tenant_changed_elsewhere(tenant).await,
        Heard::InstallationChanged => control.anything_changed_elsewhere().await,
        Heard::Due(tenant, webhook) => {
            outbound.lanes.scheduled(tenant, webhook.into(), outbound.clock.now());
            Ok(())
        }
        Heard::JobsWait => {
            control.jobs_wait();
            Ok(())
        }
        Heard::NodesChanged => {
            look_for_due(outbound).await;
            Ok(())
        }
        Heard::Anything => {
            look_for_due(outbound).await;
            control.jobs_wait();
            control.anything_changed_elsewhere().await
        }
    };
    if let Err(error) = &followed {
        tracing::error!(%error, ?heard, "node.not_followed");
    }
    followed.is_ok()
}

async fn look_for_due(outbound: &Arc<Outbound>) {
    match outbound.store.webhooks_due_any_tenant().await {
        Ok(due) => {
            for (tenant, webhook, due) in due {
                outbound.lanes.scheduled(tenant, webhook.into(), due);
            }
        }
        Err(error) => tracing::error!(%error, "due.not_looked_for"),
    }
}
