// Made from profiles/*.toml and presets/*.toml by `npm run generate`. Changes here are lost.

import type { Sender } from "./scheme.js";

/** A wire contract that Postrider sends with. */
export type ProfileName =
  | "org-jobs"
  | "rcmanager"
  | "runtight"
  | "smartmaintenance"
  | "standard";

/** A provider whose webhooks Postrider takes, and you can. */
export type PresetName =
  | "adyen"
  | "basic"
  | "bitbucket"
  | "box"
  | "cal-com"
  | "calendly"
  | "circleci"
  | "customer-io"
  | "discord"
  | "docusign"
  | "dropbox"
  | "elevenlabs"
  | "forgejo"
  | "gitea"
  | "github"
  | "gitlab"
  | "header-secret"
  | "hubspot-v1"
  | "hubspot-v2"
  | "hubspot-v3"
  | "intercom"
  | "jira"
  | "linear"
  | "mailgun"
  | "meta"
  | "ms-graph"
  | "okta"
  | "onfleet"
  | "paddle"
  | "pagerduty"
  | "sendgrid"
  | "shopify"
  | "slack"
  | "square"
  | "standard-webhooks"
  | "stripe"
  | "trello"
  | "twilio"
  | "twitch"
  | "typeform"
  | "vercel"
  | "webflow"
  | "x"
  | "xero"
  | "zendesk"
  | "zoom";

/** How Postrider signs. */
export const PROFILES: Readonly<Record<ProfileName, Sender>> = {
  "org-jobs": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Webhook-Signature"],"encoding":"hex"}}],"dedup":[]},
  "rcmanager": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-ProPitbox-Signature"],"encoding":"hex"}}],"dedup":["{json:id}"]},
  "runtight": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Webhook-Signature"],"encoding":"hex"}}],"dedup":[]},
  "smartmaintenance": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-SMTM-Signature"],"encoding":"hex"}}],"dedup":["{header:X-SMTM-Delivery}"]},
  "standard": {"schemes":[{"algorithm":"hmac-sha256","key":"whsec","signed":"{id}.{timestamp}.{body}","signature":{"prefix":"v1,","header":["webhook-signature"],"separator":" ","encoding":"base64"},"timestamp":{"header":["webhook-timestamp"],"unit":"s","toleranceSeconds":300},"id":{"header":["webhook-id"]}},{"algorithm":"ed25519","key":"whpk","signed":"{id}.{timestamp}.{body}","signature":{"prefix":"v1a,","header":["webhook-signature"],"separator":" ","encoding":"base64"},"timestamp":{"header":["webhook-timestamp"],"unit":"s","toleranceSeconds":300},"id":{"header":["webhook-id"]}}],"dedup":["{id}"]},
};

/** How providers sign. */
export const PRESETS: Readonly<Record<PresetName, Sender>> = {
  "adyen": {"schemes":[{"algorithm":"hmac-sha256","key":"hex","signed":"{json:pspReference}:{json:originalReference?}:{json:merchantAccountCode?}:{json:merchantReference?}:{json:amount.value?}:{json:amount.currency?}:{json:eventCode}:{json:success}","signature":{"prefix":"","json":"additionalData.hmacSignature","encoding":"base64"},"items":"notificationItems[].NotificationRequestItem"}],"dedup":["{json:notificationItems[].NotificationRequestItem.pspReference}:{json:notificationItems[].NotificationRequestItem.eventCode}:{json:notificationItems[].NotificationRequestItem.success}"]},
  "basic": {"schemes":[{"algorithm":"basic","key":"user-password","signed":"","signature":{"prefix":"Basic ","encoding":"base64","header":["Authorization"]}}],"dedup":["{header:Idempotency-Key}","{header:webhook-id}"]},
  "bitbucket": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Hub-Signature"],"encoding":"hex"}}],"dedup":["{header:X-Request-UUID}"]},
  "box": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}{timestamp}","signature":{"prefix":"","header":["BOX-SIGNATURE-PRIMARY","BOX-SIGNATURE-SECONDARY"],"encoding":"base64"},"timestamp":{"header":["BOX-DELIVERY-TIMESTAMP"],"unit":"rfc3339","toleranceSeconds":600}}],"dedup":["{header:BOX-DELIVERY-ID}"]},
  "cal-com": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-Cal-Signature-256"],"encoding":"hex"}}],"dedup":[]},
  "calendly": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}.{body}","signature":{"prefix":"v1=","header":["Calendly-Webhook-Signature"],"separator":",","encoding":"hex"},"timestamp":{"part":"t=","unit":"s","toleranceSeconds":180}}],"dedup":[]},
  "circleci": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"v1=","header":["circleci-signature"],"separator":",","encoding":"hex"}}],"dedup":["{json:id}"]},
  "customer-io": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"v0:{timestamp}:{body}","signature":{"prefix":"","header":["X-CIO-Signature"],"encoding":"hex"},"timestamp":{"header":["X-CIO-Timestamp"],"unit":"s","toleranceSeconds":300}}],"dedup":["{json:event_id}"]},
  "discord": {"schemes":[{"algorithm":"ed25519","key":"hex","signed":"{timestamp}{body}","signature":{"prefix":"","header":["X-Signature-Ed25519"],"encoding":"hex"},"timestamp":{"header":["X-Signature-Timestamp"],"unit":"s","toleranceSeconds":null}}],"dedup":["{json:id}"]},
  "docusign": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-DocuSign-Signature-1","X-DocuSign-Signature-2","X-DocuSign-Signature-3","X-DocuSign-Signature-4","X-DocuSign-Signature-5","X-DocuSign-Signature-6","X-DocuSign-Signature-7","X-DocuSign-Signature-8","X-DocuSign-Signature-9","X-DocuSign-Signature-10"],"encoding":"base64"}}],"dedup":[]},
  "dropbox": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-Dropbox-Signature"],"encoding":"hex"}}],"dedup":[]},
  "elevenlabs": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}.{body}","signature":{"prefix":"v0=","header":["ElevenLabs-Signature"],"separator":",","encoding":"hex"},"timestamp":{"part":"t=","unit":"s","toleranceSeconds":1800}}],"dedup":[]},
  "forgejo": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-Forgejo-Signature"],"encoding":"hex"}}],"dedup":["{header:X-Forgejo-Delivery}","{header:X-Gitea-Delivery}"]},
  "gitea": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-Gitea-Signature"],"encoding":"hex"}}],"dedup":["{header:X-Gitea-Delivery}"]},
  "github": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Hub-Signature-256"],"encoding":"hex"}}],"dedup":["{header:X-GitHub-Delivery}"]},
  "gitlab": {"schemes":[{"algorithm":"hmac-sha256","key":"whsec","signed":"{id}.{timestamp}.{body}","signature":{"prefix":"v1,","header":["webhook-signature"],"separator":" ","encoding":"base64"},"timestamp":{"header":["webhook-timestamp"],"unit":"s","toleranceSeconds":300},"id":{"header":["webhook-id"]},"dedup":["{id}"]},{"algorithm":"token","key":"utf8","signed":"","signature":{"prefix":"","encoding":"text","header":["X-Gitlab-Token"]},"dedup":["{header:Idempotency-Key}","{header:X-Gitlab-Event-UUID}"]}],"dedup":[]},
  "header-secret": {"schemes":[{"algorithm":"token","key":"utf8","signed":"","signature":{"prefix":"","encoding":"text","header":["X-Webhook-Secret","X-Webhook-Token","X-Auth-Token","X-Api-Key","X-Telegram-Bot-Api-Secret-Token"]}}],"dedup":["{header:Idempotency-Key}","{header:webhook-id}"]},
  "hubspot-v1": {"schemes":[{"algorithm":"sha256","key":"utf8","signed":"{secret}{body}","signature":{"prefix":"","header":["X-HubSpot-Signature"],"encoding":"hex"}}],"dedup":["{json:[].eventId}"]},
  "hubspot-v2": {"schemes":[{"algorithm":"sha256","key":"utf8","signed":"{secret}{method}{url}{body}","signature":{"prefix":"","header":["X-HubSpot-Signature"],"encoding":"hex"}}],"dedup":["{json:[].eventId}"]},
  "hubspot-v3": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{method}{url|hubspot-decoded}{body}{timestamp}","signature":{"prefix":"","header":["X-HubSpot-Signature-v3"],"encoding":"base64"},"timestamp":{"header":["X-HubSpot-Request-Timestamp"],"unit":"ms","toleranceSeconds":300}}],"dedup":["{json:[].eventId}"]},
  "intercom": {"schemes":[{"algorithm":"hmac-sha1","key":"utf8","signed":"{body}","signature":{"prefix":"sha1=","header":["X-Hub-Signature"],"encoding":"hex"}}],"dedup":["{json:id}"]},
  "jira": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Hub-Signature"],"encoding":"hex"}}],"dedup":["{header:X-Atlassian-Webhook-Identifier}"]},
  "linear": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["Linear-Signature"],"encoding":"hex"},"timestamp":{"json":"webhookTimestamp","unit":"ms","toleranceSeconds":60}}],"dedup":["{header:Linear-Delivery}"]},
  "mailgun": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{json:signature.timestamp}{json:signature.token}","signature":{"prefix":"","json":"signature.signature","encoding":"hex"},"timestamp":{"json":"signature.timestamp","unit":"s","toleranceSeconds":300}}],"dedup":["{json:signature.token}"]},
  "meta": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Hub-Signature-256"],"encoding":"hex"}}],"dedup":[]},
  "ms-graph": {"schemes":[{"algorithm":"token","key":"utf8","signed":"","signature":{"prefix":"","encoding":"text","json":"clientState"},"items":"value[]"}],"dedup":["{json:value[].id}"]},
  "okta": {"schemes":[{"algorithm":"token","key":"utf8","signed":"","signature":{"prefix":"","encoding":"text","header":["Authorization"]}}],"dedup":["{json:eventId}"]},
  "onfleet": {"schemes":[{"algorithm":"hmac-sha512","key":"hex","signed":"{body}","signature":{"prefix":"","header":["X-Onfleet-Signature"],"encoding":"hex"}}],"dedup":[]},
  "paddle": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}:{body}","signature":{"prefix":"h1=","header":["Paddle-Signature"],"separator":";","encoding":"hex"},"timestamp":{"part":"ts=","unit":"s","toleranceSeconds":300}}],"dedup":["{json:event_id}","{json:notification_id}"]},
  "pagerduty": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"v1=","header":["X-PagerDuty-Signature"],"separator":",","encoding":"hex"}}],"dedup":["{json:event.id}"]},
  "sendgrid": {"schemes":[{"algorithm":"ecdsa-p256-sha256","key":"spki","signed":"{timestamp}{body}","signature":{"prefix":"","header":["X-Twilio-Email-Event-Webhook-Signature"],"encoding":"base64"},"timestamp":{"header":["X-Twilio-Email-Event-Webhook-Timestamp"],"unit":"s","toleranceSeconds":null}}],"dedup":["{json:[].sg_event_id}"]},
  "shopify": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["X-Shopify-Hmac-SHA256"],"encoding":"base64"}}],"dedup":["{header:X-Shopify-Webhook-Id}","{header:X-Shopify-Event-Id}"]},
  "slack": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"v0:{timestamp}:{body}","signature":{"prefix":"v0=","header":["X-Slack-Signature"],"encoding":"hex"},"timestamp":{"header":["X-Slack-Request-Timestamp"],"unit":"s","toleranceSeconds":300}}],"dedup":["{json:event_id}","{json:trigger_id}"]},
  "square": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{url}{body}","signature":{"prefix":"","header":["x-square-hmacsha256-signature"],"encoding":"base64"}}],"dedup":["{json:event_id}"]},
  "standard-webhooks": {"schemes":[{"algorithm":"hmac-sha256","key":"whsec","signed":"{id}.{timestamp}.{body}","signature":{"prefix":"v1,","header":["webhook-signature","svix-signature"],"separator":" ","encoding":"base64"},"timestamp":{"header":["webhook-timestamp","svix-timestamp"],"unit":"s","toleranceSeconds":300},"id":{"header":["webhook-id","svix-id"]}},{"algorithm":"ed25519","key":"whpk","signed":"{id}.{timestamp}.{body}","signature":{"prefix":"v1a,","header":["webhook-signature","svix-signature"],"separator":" ","encoding":"base64"},"timestamp":{"header":["webhook-timestamp","svix-timestamp"],"unit":"s","toleranceSeconds":300},"id":{"header":["webhook-id","svix-id"]}}],"dedup":["{id}"]},
  "stripe": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}.{body}","signature":{"prefix":"v1=","header":["Stripe-Signature"],"separator":",","encoding":"hex"},"timestamp":{"part":"t=","unit":"s","toleranceSeconds":300}}],"dedup":["{json:id}"]},
  "trello": {"schemes":[{"algorithm":"hmac-sha1","key":"utf8","signed":"{body}{url}","signature":{"prefix":"","header":["X-Trello-Webhook"],"encoding":"base64"}}],"dedup":["{json:action.id}"]},
  "twilio": {"schemes":[{"algorithm":"hmac-sha1","key":"utf8","signed":"{url}{form|sorted}","signature":{"prefix":"","header":["X-Twilio-Signature"],"encoding":"base64"},"bodyHashQuery":"bodySHA256"}],"dedup":["{header:I-Twilio-Idempotency-Token}"]},
  "twitch": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{id}{timestamp}{body}","signature":{"prefix":"sha256=","header":["Twitch-Eventsub-Message-Signature"],"encoding":"hex"},"timestamp":{"header":["Twitch-Eventsub-Message-Timestamp"],"unit":"rfc3339","toleranceSeconds":600},"id":{"header":["Twitch-Eventsub-Message-Id"]}}],"dedup":["{id}"]},
  "typeform": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["Typeform-Signature"],"encoding":"base64"}}],"dedup":["{json:event_id}"]},
  "vercel": {"schemes":[{"algorithm":"hmac-sha1","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["x-vercel-signature"],"encoding":"hex"}}],"dedup":["{json:id}"]},
  "webflow": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}:{body}","signature":{"prefix":"","header":["x-webflow-signature"],"encoding":"hex"},"timestamp":{"header":["x-webflow-timestamp"],"unit":"ms","toleranceSeconds":300}}],"dedup":[]},
  "x": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"sha256=","header":["X-Twitter-Webhooks-Signature"],"encoding":"base64"}}],"dedup":[]},
  "xero": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{body}","signature":{"prefix":"","header":["x-xero-signature"],"encoding":"base64"}}],"dedup":[]},
  "zendesk": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"{timestamp}{body}","signature":{"prefix":"","header":["X-Zendesk-Webhook-Signature"],"encoding":"base64"},"timestamp":{"header":["X-Zendesk-Webhook-Signature-Timestamp"],"unit":"rfc3339","toleranceSeconds":null}}],"dedup":["{header:X-Zendesk-Webhook-Invocation-Id}"]},
  "zoom": {"schemes":[{"algorithm":"hmac-sha256","key":"utf8","signed":"v0:{timestamp}:{body}","signature":{"prefix":"v0=","header":["x-zm-signature"],"encoding":"hex"},"timestamp":{"header":["x-zm-request-timestamp"],"unit":"s","toleranceSeconds":300}}],"dedup":["{header:x-zm-trackingid}"]},
};
