//! `postrider key`: API keys, through the API of a running server; and a new operator key when the old one is lost.

use http::Method;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use crate::cli::{KeyAction, KeyCall};
use crate::client::Client;
use crate::complaint::Complaint;
use crate::config::{Config, Sources};
use crate::wire;

/// `key create`, `key list`, `key revoke`.
pub(crate) async fn run(call: KeyCall) -> Result<(), Complaint> {
    let key = std::env::var("POSTRIDER_OPERATOR_KEY").ok().filter(|key| !key.is_empty()).ok_or_else(|| {
        Complaint::new(
            "there is no key to ask the server with",
            "POSTRIDER_OPERATOR_KEY is not set",
            "set it to the operator key; if it is lost, stop the server and run `postrider key new-operator`",
        )
    })?;
    let client = Client::new(&call.server, SecretString::from(key))?;
    match call.action {
        KeyAction::Create { role, tenant, name } => {
            let mut body = json!({ "role": role, "name": name });
            if let Some(tenant) = tenant {
                body["tenant"] = Value::String(tenant);
            }
            let created = client.expect(Method::POST, "/v1/keys", None, Some(&body)).await?;
            println!("{}", text(&created["key"]));
            eprintln!("This is key {}. It is shown this once.", text(&created["id"]));
        }
        KeyAction::List => list(&client).await?,
        KeyAction::Revoke { id } => {
            client.expect(Method::DELETE, &format!("/v1/keys/{id}"), None, None).await?;
            eprintln!("Key {id} is revoked.");
        }
    }
    Ok(())
}

async fn list(client: &Client) -> Result<(), Complaint> {
    println!("{:<32} {:<10} {:<24} {:<25} name", "id", "role", "tenant", "last used");
    let mut path = "/v1/keys?limit=100".to_owned();
    loop {
        let page = client.expect(Method::GET, &path, None, None).await?;
        for key in page["data"].as_array().into_iter().flatten() {
            let last_used = key["lastUsedAt"].as_str().unwrap_or("never");
            println!(
                "{:<32} {:<10} {:<24} {:<25} {}{}",
                text(&key["id"]),
                text(&key["role"]),
                text(&key["tenant"]),
                last_used,
                text(&key["name"]),
                if key["revokedAt"].is_string() { " (revoked)" } else { "" },
            );
        }
        let Some(cursor) = page["nextCursor"].as_str() else { return Ok(()) };
        path = format!("/v1/keys?limit=100&cursor={cursor}");
    }
}

/// `key new-operator`: adds an operator key to the store of a stopped server. The old ones stay; revoke them with it.
pub(crate) async fn new_operator(sources: &Sources) -> Result<(), Complaint> {
    let config = Config::load(sources)?;
    if !config.data.join(wire::DATABASE_FILE).exists() {
        return Err(Complaint::new(
            format!("there is no store in {}", config.data.display()),
            "no server has run with this data folder",
            "name the folder with --data; a first `postrider serve` prints a key by itself",
        ));
    }
    let key = wire::new_operator_key(&config).await?;
    println!("{}", key.expose_secret());
    eprintln!(
        "This operator key is shown this once. `postrider key list` shows the others; revoke the lost one."
    );
    Ok(())
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}
