//! `postrider profile check FILE`: what the server would say about a profile, and what its requests look like.

use std::fmt::Write as _;
use std::path::Path;

use postrider_domain::id::{DeliveryId, DeliveryUuid};
use postrider_domain::profile::{Message, Profile, ProfileError, TenantValues};
use postrider_domain::time::Timestamp;
use serde_json::Map;
use uuid::Uuid;

use crate::complaint::Complaint;

/// The moment of the example's event: any will do, as long as it has milliseconds, which some formats cut.
const EXAMPLE_MOMENT: Timestamp = Timestamp::from_unix_ms(1_775_898_930_250);

pub(crate) fn check(file: &Path) -> Result<(), Complaint> {
    let profile = read(file)?;
    print!("{}", summary(&profile));
    print!("{}", example(&profile)?);
    Ok(())
}

/// A profile from a file, or all that is wrong with it.
pub(crate) fn read(file: &Path) -> Result<Profile, Complaint> {
    let shown = file.display();
    let source = std::fs::read_to_string(file).map_err(|error| {
        Complaint::new(format!("the profile {shown} cannot be read"), error.to_string(), "check the path")
    })?;
    Profile::parse(&source).map_err(|errors| {
        Complaint::new(
            format!(
                "the profile {shown} has {} {}",
                errors.len(),
                if errors.len() == 1 { "mistake" } else { "mistakes" }
            ),
            errors
                .iter()
                .map(|error| located(&shown.to_string(), error))
                .collect::<Vec<_>>()
                .join("\n       "),
            "correct these places; docs/profiles.md describes the format",
        )
    })
}

fn located(file: &str, error: &ProfileError) -> String {
    match error.line {
        Some(line) => format!("{file}:{line}: {}", error.message),
        None => format!("{file}: {}", error.message),
    }
}

fn summary(profile: &Profile) -> String {
    let catalogue = &profile.catalogue;
    format!(
        "{} ({}), version {}\n{} event {}, {} catalogue\n",
        profile.name,
        profile.title,
        profile.version,
        catalogue.types.len(),
        if catalogue.types.len() == 1 { "type" } else { "types" },
        if catalogue.open { "open" } else { "closed" },
    )
}

/// The request that the first event type's example makes, as it would be on the wire.
fn example(profile: &Profile) -> Result<String, Complaint> {
    let (event_type, data) = match profile.catalogue.types.first() {
        Some(known) => (known.name.as_str(), known.example_json.as_slice()),
        None => ("example.created", b"{}".as_slice()),
    };
    let tenant = TenantValues {
        id: "tenant-1".to_owned(),
        name: "Example tenant".to_owned(),
        timezone: jiff::tz::TimeZone::UTC,
        attributes: Map::new(),
    };
    let message = Message {
        event_id: "evt_example",
        event_type,
        event_time: EXAMPLE_MOMENT,
        test: false,
        data,
        tenant: &tenant,
        delivery_id: DeliveryId::from_bytes([1; 16]),
        delivery_uuid: DeliveryUuid::Is(Uuid::from_bytes([1; 16])),
        attempt: 1,
        sent_at: EXAMPLE_MOMENT,
    };
    let refused = |why: String| {
        Complaint::new(
            "the profile's own example cannot be written in its format",
            why,
            format!("correct the example of {event_type}"),
        )
    };
    let body = profile.render_body(&message).map_err(|error| refused(error.to_string()))?;
    let secret = example_secret(profile);
    let key = profile.signing_key(&secret).map_err(|problem| refused(problem.to_string()))?;
    let mut shown =
        format!("\nThe example of {event_type}, signed with the secret {secret}:\n\nPOST / HTTP/1.1\n");
    for (name, value) in profile.render_headers(&message, &body, &[key]) {
        writeln!(shown, "{name}: {value}").expect("because writing to a string cannot fail");
    }
    writeln!(shown, "\n{}", String::from_utf8_lossy(&body)).expect("because writing to a string cannot fail");
    Ok(shown)
}

/// A secret in the form that the profile takes, the same each time, so that two runs can be compared.
fn example_secret(profile: &Profile) -> String {
    struct Fixed;
    impl postrider_domain::random::Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(0x5a);
        }
    }
    profile.generate_secret(&Fixed)
}
