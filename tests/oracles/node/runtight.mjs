// RunTight: the HMAC of the text of the body, compared with its prefix.

import crypto from "crypto";
import { acceptedBy, answer, rawBytes, serve } from "./report.mjs";

function verifySignature(body, signatureHeader, secret) {
  const expected = "sha256=" + crypto.createHmac("sha256", secret).update(body).digest("hex");
  return crypto.timingSafeEqual(Buffer.from(expected), Buffer.from(signatureHeader));
}

serve(async (req, res) => {
  const bytes = await rawBytes(req);
  const request = new Request("http://receiver/", { method: "POST", headers: req.headers, body: bytes });
  const rawBody = await request.text();
  const signature = request.headers.get("x-webhook-signature");
  answer(req, res, bytes, acceptedBy((secret) => verifySignature(rawBody, signature, secret)));
});
