//! `postrider connect postgres`: changes of an application's own tables, as changes of records.
//!
//! With `--print-sql`, `--apply` or `--remove` it deals with the triggers of one table; without them it is the connector,
//! until SIGTERM or SIGINT.

use tokio::sync::watch;

use super::serve::until_told_to_end;
use crate::cli::{ConnectCall, ConnectWork, OnSql};
use crate::client::Client;
use crate::complaint::Complaint;
use crate::config::Config;
use crate::connect::deliver::{self, Server};
use crate::connect::outbox::{Source, SourceError};
use crate::connect::{sql, table};
use crate::telemetry;

pub(crate) async fn postgres(call: ConnectCall) -> Result<(), Complaint> {
    let config = Config::load(&call.sources)?;
    telemetry::start(&config)?;
    let Some(url) = call.source_url else {
        return Err(Complaint::new(
            "there is no source",
            "neither --source-url nor POSTRIDER_SOURCE_URL names a PostgreSQL",
            "set it to postgres://user:password@host:5432/database; in the environment, if it has a password",
        ));
    };
    let source = Source::new(&url, &call.outbox_schema)?;
    match call.work {
        ConnectWork::Install { asked, on_sql } => {
            let mut connection = source.connect().await.map_err(complaint)?;
            let told = table::check(&mut connection, asked).await.map_err(complaint)?;
            let sql = sql::install(&told);
            match on_sql {
                OnSql::Print => print!("{sql}"),
                OnSql::Run => {
                    table::run(&mut connection, &sql).await.map_err(complaint)?;
                    eprintln!(
                        "Changes of {} are written into the outbox from now on, with {} as the id.",
                        told.table.shown(),
                        told.id_column
                    );
                }
            }
            Ok(())
        }
        ConnectWork::Remove { table: of, on_sql } => {
            let sql = sql::removal(&call.outbox_schema, &of);
            match on_sql {
                OnSql::Print => print!("{sql}"),
                OnSql::Run => {
                    let mut connection = source.connect().await.map_err(complaint)?;
                    table::run(&mut connection, &sql).await.map_err(complaint)?;
                    let stays = table::outbox_is_there(&mut connection).await.map_err(complaint)?;
                    eprintln!("Changes of {} are written down no more.", of.shown());
                    if stays {
                        eprintln!(
                            "The outbox stays: other tables write into it, or it holds changes that were not delivered or \
                             were refused. Deliver or delete them, then run this again."
                        );
                    }
                }
            }
            Ok(())
        }
        ConnectWork::Deliver { server, profile, until } => {
            let Some(key) = call.key else {
                return Err(Complaint::new(
                    "there is no key for the server",
                    "POSTRIDER_API_KEY is not set",
                    "make one with `postrider key create --role publisher --name connect`",
                ));
            };
            let server = Server { client: Client::new(&server, key)?, profile };
            // Asked for before anything starts, so that a signal during the start is not lost.
            let told = until_told_to_end()?;
            let (stop, stopped) = watch::channel(false);
            let mut work = std::pin::pin!(deliver::run(&source, &server, until, stopped));
            tokio::select! {
                ended = &mut work => return ended,
                () = told => {}
            }
            eprintln!("Stopping: what is under way is finished. A second signal ends at once.");
            let again = until_told_to_end()?;
            stop.send_replace(true);
            tokio::select! {
                ended = work => ended,
                // The batch under way is found by the next start.
                () = again => std::process::exit(130),
            }
        }
    }
}

fn complaint(error: SourceError) -> Complaint {
    match error {
        SourceError::Wrong(complaint) => complaint,
        SourceError::Away(why) => Complaint::new(
            "the source cannot be asked at this moment",
            why,
            "check that it runs and takes connections from here, and try again; nothing was changed",
        ),
    }
}
