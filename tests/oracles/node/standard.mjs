// Standard Webhooks, by its own package.

import { Webhook } from "standardwebhooks";
import { acceptedBy, answer, rawBytes, serve } from "./report.mjs";

serve(async (req, res) => {
  const rawBody = await rawBytes(req);
  const accepted = acceptedBy((secret) => {
    new Webhook(secret).verify(rawBody.toString("utf8"), req.headers);
    return true;
  });
  answer(req, res, rawBody, accepted);
});
