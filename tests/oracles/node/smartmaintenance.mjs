// SmartMaintenance: its four steps. The raw body as bytes; HMAC-SHA256(body, secret); the hex value after the `sha256=` prefix;
// a comparison in constant time.

import crypto from "node:crypto";
import { acceptedBy, answer, rawBytes, serve } from "./report.mjs";

function verify(rawBody, header, secret) {
  const digest = crypto.createHmac("sha256", secret).update(rawBody).digest();
  if (!header.startsWith("sha256=")) return false;
  return crypto.timingSafeEqual(digest, Buffer.from(header.slice("sha256=".length), "hex"));
}

serve(async (req, res) => {
  const rawBody = await rawBytes(req);
  answer(req, res, rawBody, acceptedBy((secret) => verify(rawBody, req.headers["x-smtm-signature"], secret)));
});
