// The README's examples, run one after another as they stand.

import assert from "node:assert/strict";
import { createHmac, randomBytes } from "node:crypto";
import { before, test } from "node:test";
import ts from "typescript";
import { examples, written } from "../readme.mjs";
import { baseUrl, operator, operatorKey, tenantOf } from "./postrider.mjs";

const secret = randomBytes(32);

before(async () => {
  process.env.POSTRIDER_URL = baseUrl;
  process.env.POSTRIDER_API_KEY = operatorKey;
  process.env.POSTRIDER_TENANT = "acme";
  process.env.WEBHOOK_SECRET = `whsec_${secret.toString("base64")}`;
  await operator.tenants.get("garage").catch(() => tenantOf("rcmanager", "garage"));
});

const compilerOptions = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext };
const modules = examples().map(({ line, code }) => ({ line, code: ts.transpileModule(code, { compilerOptions }).outputText }));

written("run", "mjs", modules).forEach((file, at) => {
  test(`the example at line ${modules[at].line} runs`, async () => {
    const module = await import(file.href);
    if (module.default?.fetch) await worker(module.default);
  });
});

/** The example of a worker, asked with a webhook that is signed and with one that is not. */
async function worker(worker) {
  const body = '{"type":"order.created"}';
  const seconds = Math.floor(Date.now() / 1000);
  const signature = createHmac("sha256", secret).update(`evt_1.${seconds}.${body}`).digest("base64");
  const request = (signature) =>
    new Request("https://example.com/hooks", {
      method: "POST",
      headers: { "webhook-id": "evt_1", "webhook-timestamp": `${seconds}`, "webhook-signature": `v1,${signature}` },
      body,
    });
  assert.equal((await worker.fetch(request(signature))).status, 204);
  const refused = await worker.fetch(request(Buffer.alloc(32).toString("base64")));
  assert.deepEqual([refused.status, await refused.text()], [401, "signature_mismatch"]);
}
