//! The presets that come with the binary: each a file of `presets/`.

use std::sync::{Arc, LazyLock};

use super::Preset;

const SOURCES: [(&str, &str); 46] = [
    ("adyen", include_str!("../../../../presets/adyen.toml")),
    ("basic", include_str!("../../../../presets/basic.toml")),
    ("bitbucket", include_str!("../../../../presets/bitbucket.toml")),
    ("box", include_str!("../../../../presets/box.toml")),
    ("cal-com", include_str!("../../../../presets/cal-com.toml")),
    ("calendly", include_str!("../../../../presets/calendly.toml")),
    ("circleci", include_str!("../../../../presets/circleci.toml")),
    ("customer-io", include_str!("../../../../presets/customer-io.toml")),
    ("discord", include_str!("../../../../presets/discord.toml")),
    ("docusign", include_str!("../../../../presets/docusign.toml")),
    ("dropbox", include_str!("../../../../presets/dropbox.toml")),
    ("elevenlabs", include_str!("../../../../presets/elevenlabs.toml")),
    ("forgejo", include_str!("../../../../presets/forgejo.toml")),
    ("gitea", include_str!("../../../../presets/gitea.toml")),
    ("github", include_str!("../../../../presets/github.toml")),
    ("gitlab", include_str!("../../../../presets/gitlab.toml")),
    ("header-secret", include_str!("../../../../presets/header-secret.toml")),
    ("hubspot-v1", include_str!("../../../../presets/hubspot-v1.toml")),
    ("hubspot-v2", include_str!("../../../../presets/hubspot-v2.toml")),
    ("hubspot-v3", include_str!("../../../../presets/hubspot-v3.toml")),
    ("intercom", include_str!("../../../../presets/intercom.toml")),
    ("jira", include_str!("../../../../presets/jira.toml")),
    ("linear", include_str!("../../../../presets/linear.toml")),
    ("mailgun", include_str!("../../../../presets/mailgun.toml")),
    ("meta", include_str!("../../../../presets/meta.toml")),
    ("ms-graph", include_str!("../../../../presets/ms-graph.toml")),
    ("okta", include_str!("../../../../presets/okta.toml")),
    ("onfleet", include_str!("../../../../presets/onfleet.toml")),
    ("paddle", include_str!("../../../../presets/paddle.toml")),
    ("pagerduty", include_str!("../../../../presets/pagerduty.toml")),
    ("sendgrid", include_str!("../../../../presets/sendgrid.toml")),
    ("shopify", include_str!("../../../../presets/shopify.toml")),
    ("slack", include_str!("../../../../presets/slack.toml")),
    ("square", include_str!("../../../../presets/square.toml")),
    ("standard-webhooks", include_str!("../../../../presets/standard-webhooks.toml")),
    ("stripe", include_str!("../../../../presets/stripe.toml")),
    ("trello", include_str!("../../../../presets/trello.toml")),
    ("twilio", include_str!("../../../../presets/twilio.toml")),
    ("twitch", include_str!("../../../../presets/twitch.toml")),
    ("typeform", include_str!("../../../../presets/typeform.toml")),
    ("vercel", include_str!("../../../../presets/vercel.toml")),
    ("webflow", include_str!("../../../../presets/webflow.toml")),
    ("x", include_str!("../../../../presets/x.toml")),
    ("xero", include_str!("../../../../presets/xero.toml")),
    ("zendesk", include_str!("../../../../presets/zendesk.toml")),
    ("zoom", include_str!("../../../../presets/zoom.toml")),
];

static PRESETS: LazyLock<Vec<Arc<Preset>>> = LazyLock::new(|| {
    let mut presets = Vec::with_capacity(SOURCES.len());
    for (name, source) in SOURCES {
        match Preset::parse(source) {
            Ok(preset) => presets.push(Arc::new(preset)),
            // A test parses every one of them, so a binary with a broken preset is never built.
            Err(errors) => panic!("preset {name} does not parse: {errors:?}"),
        }
    }
    presets
});

/// Name and source of each.
pub fn sources() -> &'static [(&'static str, &'static str)] {
    &SOURCES
}

/// All of them, parsed once.
pub fn presets() -> &'static [Arc<Preset>] {
    &PRESETS
}

/// One by its name. `custom` is none: it comes with its trigger.
pub fn preset(name: &str) -> Option<&'static Arc<Preset>> {
    PRESETS.iter().find(|preset| preset.name() == name)
}
