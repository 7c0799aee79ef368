// RCManager: express parses the body, and the receiver signs what `JSON.stringify` makes of it. The raw bytes are kept for the
// test's eyes only; the verdict never looks at them.

const crypto = require("crypto");
const express = require("express");

function verifyWebhookSignature(payload, signature, secret) {
  const expectedSignature = crypto.createHmac("sha256", secret).update(payload).digest("hex");
  return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expectedSignature));
}

const app = express();
const seen = new WeakMap();
const parse = express.json({ verify: (req, _res, bytes) => seen.set(req, Buffer.from(bytes)) });

import("./report.mjs").then(({ acceptedBy, reportRequest, serve }) => {
  app.post("/webhooks/pro-pitbox", parse, (req, res) => {
    const signature = req.headers["x-propitbox-signature"];
    const payload = JSON.stringify(req.body);
    const accepted = acceptedBy((secret) => verifyWebhookSignature(payload, signature, secret));
    const status = accepted.some(Boolean) ? 200 : 401;
    reportRequest(req.headers, seen.get(req), accepted, status);
    if (status === 401) {
      return res.status(401).send("Invalid signature");
    }
    res.status(200).send("OK");
  });
  serve(app);
});
