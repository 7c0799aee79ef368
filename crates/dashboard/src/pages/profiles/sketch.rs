//! What a profile makes of an example event: headers and body, signed with a key made for this page.

use maud::{Markup, html};
use postrider_domain::id::{DeliveryId, DeliveryUuid, EventId, WebhookId};
use postrider_domain::profile::{Message, Profile, TenantValues};

use crate::parts::text;
use crate::visit::Visit;

pub(super) fn request(visit: &Visit, profile: &Profile) -> Markup {
    let random = &**visit.engine().random();
    let (event_type, data) = match profile.catalogue.types.first() {
        Some(known) => (known.name.as_str(), known.example_json.as_slice()),
        None => ("order.created", br#"{"id":17,"total":49.9}"#.as_slice()),
    };
    let tenant = TenantValues {
        id: "acme".to_owned(),
        name: "Acme Ltd".to_owned(),
        timezone: jiff::tz::TimeZone::UTC,
        attributes: serde_json::Map::new(),
    };
    let event = EventId::new(visit.now, random);
    let message = Message {
        event_id: &event.to_string(),
        event_type,
        event_time: visit.now,
        test: false,
        data,
        tenant: &tenant,
        delivery_id: DeliveryId::new(visit.now, random),
        delivery_uuid: DeliveryUuid::Of(event, WebhookId::new(visit.now, random)),
        attempt: 1,
        sent_at: visit.now,
    };
    let Ok(body) = profile.render_body(&message) else { return html! {} };
    let key = profile.signing_key(&profile.generate_secret(random));
    let keys: Vec<_> = key.into_iter().collect();
    let headers: String = profile
        .render_headers(&message, &body, &keys)
        .iter()
        .map(|(name, value)| format!("{name}: {value}\n"))
        .collect();
    html! {
        h2 { "What a request looks like" }
        p { "An example: the event " code { (event_type) } " of a tenant called Acme Ltd, signed with a key made for this page." }
        (text::block(visit.words(), "Headers", &headers))
        (text::json(visit.words(), "Body, with line breaks for reading", &body))
    }
}
