//! `postrider restored`: what to do once with a store that came from a backup, before a server starts on it.

use std::sync::Arc;

use postrider_store::end_restored;

use crate::complaint::Complaint;
use crate::config::{Config, Sources};
use crate::os::{OsRandom, SystemClock};
use crate::{telemetry, wire};

pub(crate) async fn run(sources: &Sources) -> Result<(), Complaint> {
    let config = Config::load(sources)?;
    telemetry::start(&config)?;
    if config.database_url.is_none() && !config.data.join(wire::DATABASE_FILE).exists() {
        return Err(Complaint::new(
            format!("there is no store in {}", config.data.display()),
            "nothing was restored into this data folder",
            "put the backup there as postrider.db, beside master.key, or name the folder with --data",
        ));
    }
    let options = wire::store_options(&config, None, &SystemClock, Arc::new(OsRandom));
    let (restored, ledger) =
        end_restored(options).await.map_err(|error| wire::not_opened(&config, &error))?;

    println!("{:>12}  deliveries waited to be sent and have ended as failed (restored)", restored.scheduled);
    println!(
        "{:>12}  deliveries were being sent; their attempts read unknown, and they have ended likewise",
        restored.sending
    );
    println!("{:>12}  recoveries were under way and have ended", restored.jobs);
    println!(
        "{:>12}  runs of workflows had not ended and have failed; replay those that are still wanted",
        restored.runs
    );
    if restored.renumbered > 0 {
        println!(
            "{:>12}  events have new numbers in the order of acceptance, that of their ids",
            restored.renumbered
        );
    }
    if let Some(row) = ledger.iter().find(|row| !row.is_balanced()) {
        return Err(Complaint::new(
            "the ledger does not balance after this",
            format!("{row:?}"),
            "restore the backup again, or an older one, and report it",
        ));
    }
    println!(
        "\nNothing is open, and the ledger balances. A server on it sends nothing that was accepted before the backup,\n\
         until somebody recovers a webhook (POST /v1/webhooks/ID/recover) or retries a delivery."
    );
    Ok(())
}
