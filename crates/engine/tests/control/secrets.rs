use std::time::Duration;

use postrider_domain::id::WebhookId;
use postrider_domain::problem::Code;
use postrider_domain::time::Clock;
use postrider_engine::EngineError;
use postrider_engine::control::{
    Created, NewWebhook, Repeatable, SecretRotation, WebhookChanged, WebhookPatch,
};
use secrecy::{ExposeSecret, SecretString};

use crate::support::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn begin() -> SecretRotation {
    SecretRotation::Begin { secret: None, overlap: None, activate_at: None }
}

async fn rotate(
    house: &House,
    tenant: &str,
    webhook: WebhookId,
    rotation: SecretRotation,
) -> Result<Created<WebhookChanged>, EngineError> {
    house.control.secret_rotate(&OPERATOR, &house.tenant(tenant), webhook, rotation, None).await
}

/// The signatures that a body has now, by the catalogue's keys, and those that `secrets` would make.
fn signed_by(house: &House, tenant: &str, webhook: WebhookId, secrets: &[&SecretString]) -> Vec<bool> {
    let tenant = house.tenant(tenant);
    let profile = tenant.profile();
    let keys: Vec<_> =
        tenant.webhook(webhook).expect("it is there").keys_at(house.clock.now()).cloned().collect();
    let signature = |keys: &[postrider_domain::profile::SigningKey]| {
        let message = postrider_domain::profile::Message {
            event_id: "evt_1",
            event_type: "vehicle.created",
            event_time: house.clock.now(),
            test: false,
            data: b"{}",
            tenant: &tenant.pinned.values,
            delivery_id: postrider_domain::id::DeliveryId::from_bytes([1; 16]),
            delivery_uuid: postrider_domain::id::DeliveryUuid::Is(
                postrider_domain::id::DeliveryId::from_bytes([1; 16]).uuid(),
            ),
            attempt: 1,
            sent_at: house.clock.now(),
        };
        let headers = profile.render_headers(&message, b"{}", keys);
        let name = ["webhook-signature", "x-propitbox-signature"];
        let header = headers.into_iter().find(|(header, _)| name.contains(&header.to_lowercase().as_str()));
        header.map(|(_, value)| value).unwrap_or_default()
    };
    let sent = signature(&keys);
    let mut signed = Vec::new();
    for secret in secrets {
        let key = profile.signing_key(secret.expose_secret()).expect("a secret of this profile");
        let alone = signature(&[key]);
        signed.push(sent.split(' ').any(|one| one == alone));
    }
    signed
}

#[tokio::test]
async fn where_the_header_carries_a_list_old_and_new_sign_together_for_a_day() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    let made = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await;
    let (id, old) = (made.webhook.id, made.secret.expect("generated"));
    house.clock.advance(DAY);
    let new = fresh(rotate(&house, "acme", id, begin()).await).secret.expect("shown once");
    assert_eq!(signed_by(&house, "acme", id, &[&old, &new]), [true, true]);
    house.clock.advance(DAY - Duration::from_millis(1));
    assert_eq!(signed_by(&house, "acme", id, &[&old, &new]), [true, true]);
    let house = house.restarted().await;
    assert_eq!(signed_by(&house, "acme", id, &[&old, &new]), [true, true]);
    house.clock.advance(Duration::from_millis(1));
    assert_eq!(signed_by(&house, "acme", id, &[&old, &new]), [false, true]);
    let house = house.restarted().await;
    assert_eq!(signed_by(&house, "acme", id, &[&old, &new]), [false, true]);
    assert!(!house.is_on_disk(new.expose_secret()) && !house.is_on_disk(old.expose_secret()));
}

#[tokio::test]
async fn the_newest_secret_signs_first_and_the_overlap_can_be_chosen() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    let made = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await;
    let (id, old) = (made.webhook.id, made.secret.expect("generated"));
    let chosen: SecretString = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into();
    let rotation = SecretRotation::Begin {
        secret: Some(chosen.clone()),
        overlap: Some(Duration::from_secs(60)),
        activate_at: None,
    };
    let changed = fresh(rotate(&house, "acme", id, rotation).await);
    assert_eq!(
        changed.secret.map(|secret| secret.expose_secret().to_owned()).as_deref(),
        Some(chosen.expose_secret())
    );
    assert_eq!(changed.webhook.keys.len(), 2);
    assert_eq!(changed.webhook.keys[0].until, None);
    assert_eq!(changed.webhook.keys[1].until, Some(house.clock.now().plus(Duration::from_secs(60))));
    house.clock.advance(Duration::from_secs(60));
    assert_eq!(signed_by(&house, "acme", id, &[&old, &chosen]), [false, true]);
}

#[tokio::test]
async fn at_most_four_secrets_are_in_force() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    let id = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await.webhook.id;
    for _ in 0..3 {
        fresh(rotate(&house, "acme", id, begin()).await);
    }
    refuses(&house, Code::SecretRotationConflict, None, rotate(&house, "acme", id, begin())).await;
    house.clock.advance(DAY);
    let changed = fresh(rotate(&house, "acme", id, begin()).await);
    assert_eq!(changed.webhook.keys.len(), 2);
}

#[tokio::test]
async fn where_the_header_carries_one_value_a_pending_secret_waits_for_its_confirmation() {
    let house = House::new().await;
    house.create_tenant("rc", "rcmanager").await;
    let made = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await;
    let (id, old) = (made.webhook.id, made.secret.expect("generated"));
    let changed = fresh(rotate(&house, "rc", id, begin()).await);
    assert!(changed.webhook.secret_pending(house.clock.now()));
    let new = changed.secret.expect("shown at once");
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [true, false]);
    house.clock.advance(DAY * 30);
    let house = house.restarted().await;
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [true, false]);
    refuses(&house, Code::SecretRotationConflict, None, rotate(&house, "rc", id, begin())).await;

    let changed = fresh(rotate(&house, "rc", id, SecretRotation::Confirm).await);
    assert!(changed.secret.is_none() && !changed.webhook.secret_pending(house.clock.now()));
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [false, true]);
    refuses(&house, Code::SecretRotationConflict, None, rotate(&house, "rc", id, SecretRotation::Confirm))
        .await;
    let house = house.restarted().await;
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [false, true]);
}

#[tokio::test]
async fn a_pending_secret_takes_over_at_its_moment_without_anybodys_doing() {
    let house = House::new().await;
    house.create_tenant("rc", "rcmanager").await;
    let made = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await;
    let (id, old) = (made.webhook.id, made.secret.expect("generated"));
    let at = house.clock.now().plus(DAY);
    let rotation = SecretRotation::Begin { secret: None, overlap: None, activate_at: Some(at) };
    let new = fresh(rotate(&house, "rc", id, rotation).await).secret.expect("shown at once");
    let pending = || house.tenant("rc").webhook(id).expect("it is there").secret_pending(house.clock.now());
    house.clock.set(at.minus(Duration::from_millis(1)));
    assert!(pending());
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [true, false]);
    house.clock.set(at);
    assert!(!pending());
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [false, true]);
    let house = house.restarted().await;
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [false, true]);
    assert!(!house.tenant("rc").webhook(id).expect("it is there").secret_pending(at));
    // It is the active one now: the next rotation may begin.
    fresh(rotate(&house, "rc", id, begin()).await);
    assert_eq!(signed_by(&house, "rc", id, &[&old, &new]), [false, true]);
}

#[tokio::test]
async fn a_pending_secret_can_be_forgotten() {
    let house = House::new().await;
    house.create_tenant("rc", "rcmanager").await;
    let made = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await;
    let (id, old) = (made.webhook.id, made.secret.expect("generated"));
    refuses(&house, Code::SecretRotationConflict, None, rotate(&house, "rc", id, SecretRotation::Cancel))
        .await;
    fresh(rotate(&house, "rc", id, begin()).await);
    fresh(rotate(&house, "rc", id, SecretRotation::Cancel).await);
    assert_eq!(signed_by(&house, "rc", id, &[&old]), [true]);
}

#[tokio::test]
async fn a_webhook_without_a_secret_signs_from_its_first_one_on() {
    let house = House::new().await;
    house.create_tenant("sm", "smartmaintenance").await;
    let id = house.create_webhook("sm", webhook("https://example.com/", &["*"])).await.webhook.id;
    let changed = fresh(rotate(&house, "sm", id, begin()).await);
    assert!(!changed.webhook.secret_pending(house.clock.now()));
    assert_eq!(changed.webhook.keys_at(house.clock.now()).count(), 1);
}

#[tokio::test]
async fn bad_rotations_are_refused_and_change_nothing() {
    let house = House::new().await;
    house.create_tenant("acme", "standard").await;
    house.create_tenant("rc", "rcmanager").await;
    let list = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await.webhook.id;
    let single = house.create_webhook("rc", webhook("https://example.com/", &["*"])).await.webhook.id;
    let now = house.clock.now();
    let with = |secret: Option<&str>, overlap, activate_at| SecretRotation::Begin {
        secret: secret.map(SecretString::from),
        overlap,
        activate_at,
    };
    for (tenant, id, rotation, code, field) in [
        ("acme", list, with(None, None, Some(now.plus(DAY))), Code::InvalidField, "activateAt"),
        ("acme", list, with(None, Some(DAY * 31), None), Code::InvalidField, "overlap"),
        ("acme", list, with(Some("plain"), None, None), Code::SecretInvalid, "secret"),
        ("rc", single, with(None, Some(DAY), None), Code::InvalidField, "overlap"),
        ("rc", single, with(None, None, Some(now)), Code::InvalidField, "activateAt"),
        ("rc", single, with(None, None, Some(now.plus(DAY * 366))), Code::InvalidField, "activateAt"),
        ("rc", single, with(Some(""), None, None), Code::SecretInvalid, "secret"),
    ] {
        refuses(&house, code, Some(field), rotate(&house, tenant, id, rotation)).await;
    }
    refuses(&house, Code::NotFound, None, rotate(&house, "rc", list, begin())).await;
}

#[tokio::test]
async fn a_repeated_rotation_rotates_once() {
    let house = House::new().await;
    let tenant = house.create_tenant("acme", "standard").await;
    let id = house.create_webhook("acme", webhook("https://example.com/", &["*"])).await.webhook.id;
    let answer = |changed: &WebhookChanged| format!("{}", changed.webhook.keys.len()).into_bytes();
    let again = || Some(Repeatable { idem: idem("k", 1), answer: &answer });
    fresh(house.control.secret_rotate(&OPERATOR, &tenant, id, begin(), again()).await);
    assert_eq!(replayed(house.control.secret_rotate(&OPERATOR, &tenant, id, begin(), again()).await), b"2");
    assert_eq!(house.tenant("acme").webhooks[0].keys.len(), 2);
}

#[tokio::test]
async fn a_patched_secret_replaces_all_others_at_once() {
    let house = House::new().await;
    let tenant = house.create_tenant("sm", "smartmaintenance").await;
    let new = NewWebhook {
        secret: Some("the first secret of this webhook".into()),
        ..webhook("https://example.com/", &["*"])
    };
    let id = house.create_webhook("sm", new).await.webhook.id;
    fresh(rotate(&house, "sm", id, begin()).await);
    let patch = WebhookPatch { secret: Some(Some("the third".into())), ..WebhookPatch::default() };
    let changed = house.control.webhook_update(&OPERATOR, &tenant, id, patch).await.expect("a change");
    assert_eq!(changed.warnings[0].code, "secret_short");
    assert_eq!((changed.webhook.keys.len(), changed.webhook.secret_pending(house.clock.now())), (1, false));
    let patch = WebhookPatch { secret: Some(None), ..WebhookPatch::default() };
    let changed = house.control.webhook_update(&OPERATOR, &tenant, id, patch).await.expect("a change");
    assert!(changed.webhook.keys.is_empty());
}
