// Signatures that the senders themselves publish, or that were computed with other programs for this project.

const STANDARD = {
  now: new Date(1614265330_000),
  headers: { "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek", "webhook-timestamp": "1614265330" },
  body: '{"test": 2432232314}',
  id: "msg_p5jXN8AQM9LWM0D4loKWxJek",
};
const SVIX = { "svix-id": STANDARD.id, "svix-timestamp": "1614265330" };
const SHARED = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SIGNED = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
const PUBLIC = "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=";
const SIGNED_ED25519 = "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg==";

const SLACK_BODY =
  "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar" +
  "&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=" +
  "&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN" +
  "&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";

const PING = { now: new Date(1700000000_000), body: '{"id":"evt_1","type":"ping"}' };

/** `{name, sender, secrets, now, request: {headers, body}, id}`. */
export const PUBLISHED = [
  row("Standard Webhooks", { profile: "standard" }, SHARED, STANDARD, { ...STANDARD.headers, "webhook-signature": SIGNED }),
  row("Standard Webhooks, as a preset", { preset: "standard-webhooks" }, SHARED, STANDARD, {
    ...STANDARD.headers,
    "webhook-signature": SIGNED,
  }),
  row("Svix", { preset: "standard-webhooks" }, SHARED, STANDARD, { ...SVIX, "svix-signature": SIGNED }),
  row("GitLab's signing token", { preset: "gitlab" }, SHARED, STANDARD, {
    ...STANDARD.headers,
    "webhook-signature": SIGNED,
  }),
  row("Standard Webhooks, asymmetric", { profile: "standard" }, PUBLIC, STANDARD, {
    ...STANDARD.headers,
    "webhook-signature": SIGNED_ED25519,
  }),
  row("GitHub", { preset: "github" }, "It's a Secret to Everybody", { ...PING, body: "Hello, World!" }, {
    "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
  }),
  row("Slack", { preset: "slack" }, "8f742231b10e8888abcd99yyyzzz85a5", { now: new Date(1531420618_000), body: SLACK_BODY }, {
    "Content-Type": "application/x-www-form-urlencoded",
    "X-Slack-Request-Timestamp": "1531420618",
    "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
  }),
  row("Stripe", { preset: "stripe" }, "whsec_test_secret", { ...PING, id: "evt_1" }, {
    "Stripe-Signature": "t=1700000000,v1=74a11abdd08483d064a2a1571e7881b084c522f9f3ccd0b800ec8c74aba47fc2",
  }),
  row("Paddle", { preset: "paddle" }, "pdl_ntfset_test", PING, {
    "Paddle-Signature": "ts=1700000000;h1=248431ddbbb6b4cbc111076da85fe706b4bab8a9811d520f2bb0fba7703b1508",
  }),
  row("Shopify", { preset: "shopify" }, "shop_secret", PING, {
    "X-Shopify-Hmac-SHA256": "5ek+LNrNNxEsI/TWLUdJDUVcAvenxl2UfJNubAcmZn8=",
  }),
  row("PagerDuty", { preset: "pagerduty" }, "pd_secret", PING, {
    "X-PagerDuty-Signature": "v1=974a662cb26a78dd2fe8ecfd094db5803816e9e2fba331e9299c3288c0780838",
  }),
];

function row(name, sender, secret, { now, body, id }, headers) {
  const request = { headers: Object.entries(headers), body };
  return { name: `published: ${name}`, sender, secrets: [secret], now, request, id };
}
