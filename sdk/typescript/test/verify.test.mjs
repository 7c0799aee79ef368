// `verifyWebhook` against vectors of other origin, and against what somebody might do to a request that holds.

import assert from "node:assert/strict";
import { createHmac, createPrivateKey, createPublicKey, generateKeyPairSync, sign } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { verifyWebhook, WebhookVerificationError } from "@postrider/sdk";
import { PRESETS, PROFILES } from "../dist/esm/verify/schemes.js";
import { PUBLISHED } from "./published.mjs";

const workspace = new URL("../../../", import.meta.url);
/** What an Ed25519 private key is before its 32 bytes (RFC 8410). */
const ED25519_PRIVATE = Buffer.from("302e020100300506032b657004220420", "hex");

/** Requests that hold: `{sender, secrets, now, request, expected}`; the negative tests start from them. */
const holding = [...profileVectors(), ...presetVectors("accepted"), ...PUBLISHED];

function vectorsIn(folder) {
  const url = new URL(folder, workspace);
  const files = existsSync(url) ? readdirSync(url).filter((name) => name.endsWith(".vectors.json")) : [];
  return files.flatMap((file) => {
    const vectors = JSON.parse(readFileSync(new URL(file, url), "utf8"));
    return vectors.map((vector) => ({ ...vector, of: file.replace(".vectors.json", "") }));
  });
}

function profileVectors() {
  const signed = vectorsIn("profiles/").filter(({ secrets }) => secrets.length > 0);
  return signed.map(({ of, name, secrets, attempt, body, headers, event }) => ({
    name: `profile ${of}: ${name}`,
    sender: { profile: of },
    // Whoever receives has the public half of a key pair.
    secrets: secrets.map((secret) => (secret.startsWith("whsk_") ? publicHalf(secret) : secret)),
    now: new Date(attempt.time),
    request: { headers, body },
    id: of === "standard" || of === "rcmanager" ? event.id : undefined,
  }));
}

function publicHalf(secret) {
  const seed = Buffer.from(secret.slice("whsk_".length), "base64").subarray(0, 32);
  const key = createPrivateKey({ key: Buffer.concat([ED25519_PRIVATE, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(key).export({ format: "der", type: "spki" });
  return `whpk_${spki.subarray(-32).toString("base64")}`;
}

function presetVectors(...expected) {
  const vectors = vectorsIn("presets/").filter(({ expect }) => expected.includes(expect));
  return vectors.map((vector) => ({
    name: `preset ${vector.of}: ${vector.name}`,
    sender: { preset: vector.of, tolerance: vector.tolerance_seconds },
    secrets: vector.secrets,
    now: new Date(vector.now),
    request: {
      headers: vector.headers,
      body: vector.body ?? Buffer.from(vector.body_base64, "base64"),
      url: vector.url,
      method: vector.method,
    },
    id: vector.dedup,
    expect: vector.expect,
  }));
}

function verify({ sender, secrets, now, request }, changes = {}) {
  return verifyWebhook({ ...request, ...changes.request }, { ...sender, secrets, now, ...changes.options });
}

/** Asserts that a request is refused; `codes` are the words for it. */
async function refused(vector, changes, codes, what) {
  await assert.rejects(verify(vector, changes), (error) => {
    assert.ok(error instanceof WebhookVerificationError, `${vector.name}: ${what}: ${error.stack}`);
    assert.ok([codes].flat().includes(error.code), `${vector.name}: ${what}: ${error.code}: ${error.message}`);
    // Some secrets of vectors are a letter.
    const secrets = vector.secrets.filter((secret) => secret.length >= 12);
    for (const secret of secrets) assert.ok(!error.message.includes(secret), error.message);
    return true;
  });
}

function schemesOf({ sender }) {
  return sender.preset ? PRESETS[sender.preset].schemes : PROFILES[sender.profile].schemes;
}

/** The scheme that a vector is signed by: the one whose signature header it has. */
function schemeOf(vector) {
  const names = vector.request.headers.map(([name]) => name.toLowerCase());
  const schemes = schemesOf(vector);
  return schemes.find(({ signature, key }) => {
    const there = signature.header === undefined || signature.header.some((name) => names.includes(name.toLowerCase()));
    const meant = vector.secrets.some((secret) => !key.startsWith("wh") || secret.startsWith(`${key}_`));
    return there && meant;
  });
}

function signatureHeaders(vector) {
  const names = (schemeOf(vector).signature.header ?? []).map((name) => name.toLowerCase());
  return vector.request.headers.filter(([name]) => names.includes(name.toLowerCase()));
}

test("every profile has vectors that hold", () => {
  for (const profile of Object.keys(PROFILES)) {
    assert.ok(holding.some(({ sender }) => sender.profile === profile), profile);
  }
});

test("what holds is believed, and gives its payload", async () => {
  assert.ok(holding.length > 40);
  for (const vector of holding) {
    const verified = await verify(vector).catch((error) => assert.fail(`${vector.name}: ${error.stack}`));
    const text = Buffer.from(vector.request.body).toString();
    if (/^[[{]/.test(text)) assert.deepEqual(verified.payload, JSON.parse(text), vector.name);
    if (vector.id !== undefined) assert.equal(verified.id, vector.id, vector.name);
    assert.equal(verified.timestamp !== undefined, schemeOf(vector).timestamp !== undefined, vector.name);
  }
});

test("requests and headers may come in any form", async () => {
  for (const vector of holding) {
    const { headers, body } = vector.request;
    const bytes = Uint8Array.from(Buffer.from(body));
    const object = Object.fromEntries(headers);
    for (const form of [
      { headers: new Headers(headers) },
      { headers: object },
      { headers: new Map(headers) },
      { headers: Object.fromEntries(headers.map(([name, value]) => [name.toLowerCase(), [value]])) },
      { headers: headers.map(([name, value]) => [name.toUpperCase(), ` ${value} `]) },
      { body: bytes },
      { body: bytes.buffer },
      { body: Buffer.from(body) },
    ]) {
      await verify(vector, { request: form }).catch((error) => assert.fail(`${vector.name}: ${error.stack}`));
    }
  }
});

test("another body is refused", async () => {
  for (const vector of holding) {
    const { signed } = schemeOf(vector);
    if (!signed.includes("{body}") && !signed.includes("{form|sorted}")) continue;
    const body = Buffer.from(vector.request.body);
    const codes = ["signature_mismatch", "body_unsigned"];
    const longer = Buffer.concat([body, Buffer.from("0")]);
    await refused(vector, { request: { body: longer } }, codes, "a byte more");
    if (body.length > 0) await refused(vector, { request: { body: new Uint8Array() } }, codes, "no body");
    if (signed.includes("{form|sorted}") || !/^[[{]/.test(body.toString())) continue;
    const spaced = JSON.stringify(JSON.parse(body), null, 1);
    await refused(vector, { request: { body: spaced } }, codes, "written again");
  }
});

test("another secret is refused, and one of several is enough", async () => {
  for (const vector of holding) {
    const other = otherSecret(schemeOf(vector));
    await refused(vector, { options: { secrets: other } }, "signature_mismatch", "another secret");
    await verify(vector, { options: { secrets: [other, ...vector.secrets] } });
    await verify(vector, { options: { secrets: [...vector.secrets, other] } });
  }
});

/** A good secret in the form of a scheme, which nothing was signed with. */
function otherSecret({ algorithm, key }) {
  const bytes = Buffer.alloc(32, 7);
  const ed25519 = () => generateKeyPairSync("ed25519").publicKey.export({ format: "der", type: "spki" }).subarray(-32);
  switch (key) {
    case "utf8":
      return "nobody signed with this";
    case "user-password":
      return "nobody:signed-with-this";
    case "whsec":
      return `whsec_${bytes.toString("base64")}`;
    case "whpk":
      return `whpk_${ed25519().toString("base64")}`;
    case "hex":
      return (algorithm === "ed25519" ? ed25519() : bytes).toString("hex");
    case "base64":
      return bytes.toString("base64");
    case "spki": {
      const kind = algorithm === "rsa-sha256" ? ["rsa", { modulusLength: 2048 }] : ["ec", { namedCurve: "P-256" }];
      return generateKeyPairSync(...kind).publicKey.export({ format: "pem", type: "spki" });
    }
  }
}

test("a time too far from now is refused, before and after", async () => {
  for (const vector of holding) {
    const { timestamp } = schemeOf(vector);
    if (timestamp === undefined) continue;
    const { timestamp: signedAt } = await verify(vector);
    const tolerance = vector.sender.tolerance ?? timestamp.toleranceSeconds ?? 300;
    const at = (seconds) => ({ options: { tolerance, now: new Date(signedAt.getTime() + seconds * 1000) } });
    await verify(vector, at(tolerance));
    await verify(vector, at(-tolerance));
    await refused(vector, at(tolerance + 1), "timestamp_old", "late");
    await refused(vector, at(-tolerance - 1), "timestamp_future", "early");
    const usual = { options: { now: new Date(signedAt.getTime() + 86_400_000) } };
    if (timestamp.toleranceSeconds === null && vector.sender.tolerance === undefined) await verify(vector, usual);
    else await refused(vector, usual, "timestamp_old", "a day");
  }
});

test("a signature that is missing or doubled is refused", async () => {
  for (const vector of holding) {
    const [first, ...more] = signatureHeaders(vector);
    if (first === undefined || more.length > 0) continue;
    const { headers } = vector.request;
    const others = headers.filter((header) => header !== first);
    await refused(vector, { request: { headers: others } }, "signature_missing", "missing");
    const object = Object.fromEntries(headers);
    const [name, value] = first;
    for (const doubled of [
      [...headers, first],
      [...headers, [name.toUpperCase(), value]],
      [[name, "somebody else's"], ...headers],
      { ...object, [name]: [value, value] },
      { ...object, [name.toUpperCase()]: value, [name.toLowerCase()]: value, [name]: value },
    ]) {
      await refused(vector, { request: { headers: doubled } }, "signature_doubled", JSON.stringify(doubled));
    }
    // Put together by the runtime. A token is compared as a whole, so there it is another token.
    for (const joined of [new Headers([...headers, first]), { ...object, [name]: `${value}, ${value}` }]) {
      const codes = schemeOf(vector).signed === "" ? ["signature_mismatch", "signature_malformed"] : "signature_doubled";
      await refused(vector, { request: { headers: joined } }, codes, "joined");
    }
  }
});

test("other headers that are signed may neither be missing nor doubled", async () => {
  for (const vector of holding) {
    const scheme = schemeOf(vector);
    if (signatureHeaders(vector).length > 1) continue;
    const names = [scheme.timestamp?.header ?? [], scheme.id?.header ?? []].flat().map((name) => name.toLowerCase());
    for (const header of vector.request.headers.filter(([name]) => names.includes(name.toLowerCase()))) {
      const others = vector.request.headers.filter((other) => other !== header);
      await refused(vector, { request: { headers: others } }, ["timestamp_missing", "header_missing"], "missing");
      const doubled = [...vector.request.headers, header];
      await refused(vector, { request: { headers: doubled } }, "header_doubled", "doubled");
      const changed = [...others, [header[0], `${header[1]}0`]];
      const codes = ["signature_mismatch", "timestamp_malformed"];
      await refused(vector, { request: { headers: changed } }, codes, "changed");
    }
  }
});

test("a signature that cannot be one is refused", async () => {
  for (const vector of holding) {
    const scheme = schemeOf(vector);
    const [first, ...more] = signatureHeaders(vector);
    if (first === undefined || more.length > 0 || scheme.signed === "") continue;
    const others = vector.request.headers.filter((header) => header !== first);
    const { prefix } = scheme.signature;
    for (const value of ["", prefix, `${prefix}zz`, `${prefix}AAAA`, `v9=${"0".repeat(64)}`, "x".repeat(9_000)]) {
      const codes = ["signature_malformed", "scheme_unknown", "timestamp_missing", "signature_mismatch"];
      await refused(vector, { request: { headers: [...others, [first[0], value]] } }, codes, value.slice(0, 20));
    }
  }
});

test("of a list of signatures the second is enough", async () => {
  for (const vector of holding) {
    const { signature } = schemeOf(vector);
    const [header] = signatureHeaders(vector);
    if (signature.separator === undefined || header === undefined) continue;
    const bytes = signature.encoding === "hex" ? "00".repeat(32) : Buffer.alloc(32).toString("base64");
    const value = `${signature.prefix}${bytes}${signature.separator}${header[1]}`;
    const headers = vector.request.headers.map((known) => (known === header ? [header[0], value] : known));
    await verify(vector, { request: { headers } }).catch((error) => assert.fail(`${vector.name}: ${error.stack}`));
  }
});

test("the presets' vectors come out as Postrider has them", async () => {
  const others = vectorsIn("presets/").map(({ expect }) => expect);
  const codes = [...new Set(others)].filter((expect) => !/^accepted$|_handshake$/.test(expect));
  for (const vector of presetVectors(...codes)) await refused(vector, {}, vector.expect, "as in the vectors");
  // What comes unsigned is not for the verifier, what is signed holds.
  for (const vector of presetVectors("signed_handshake")) await verify(vector);
});

test("a time in the body is looked for when the body holds", async () => {
  // Computed with another program for this project. Linear's own bodies carry the time.
  const headers = { "Linear-Signature": "02f27a7b3085e048c5d431e5d34b5647644f966bf9ce21c605fd773cf59f54be" };
  const request = { headers, body: '{"id":"evt_1","type":"ping"}' };
  const secrets = "lin_wh_test";
  await assert.rejects(verifyWebhook(request, { preset: "linear", secrets }), { code: "timestamp_missing" });
  const other = { preset: "linear", secrets: "another" };
  await assert.rejects(verifyWebhook(request, other), { code: "signature_mismatch" });
});

test("options that cannot be used are told", async () => {
  const request = { headers: [], body: "{}" };
  const code = { code: "secret_invalid" };
  await assert.rejects(verifyWebhook(request, { preset: "github", secrets: [] }), code);
  await assert.rejects(verifyWebhook(request, { preset: "github", secrets: "" }), code);
  await assert.rejects(verifyWebhook(request, { preset: "github", secrets: [undefined] }), code);
  await assert.rejects(verifyWebhook(request, { profile: "standard", secrets: "no prefix" }), code);
  await assert.rejects(verifyWebhook(request, { profile: "standard", secrets: "whsec_c2hvcnQ=" }), code);
  await assert.rejects(verifyWebhook(request, { preset: "sendgrid", secrets: "AAAA" }), code);
  // Meant as a signing token, and wrong: never taken for a token of another kind.
  await assert.rejects(verifyWebhook(request, { preset: "gitlab", secrets: "whsec_c2hvcnQ=" }), code);
  for (const options of [{ preset: "toString" }, { preset: "nobody" }, { profile: "github" }]) {
    await assert.rejects(verifyWebhook(request, { ...options, secrets: "s" }), TypeError);
  }
  await assert.rejects(verifyWebhook({ headers: [], body: { parsed: true } }, { preset: "github", secrets: "s" }), {
    message: /must be raw/,
  });
  const square = { headers: { "x-square-hmacsha256-signature": Buffer.alloc(32).toString("base64") }, body: "{}" };
  await assert.rejects(verifyWebhook(square, { preset: "square", secrets: "s" }), { code: "url_missing" });
});

test("a way of signing of one's own is data", async () => {
  const body = "lorry=7&lorry=8&driver=Zo%C3%AB&__proto__=x";
  const scheme = {
    algorithm: "hmac-sha512",
    key: "base64",
    signed: "{method}\n{header:X-Kind}\n{id}\n{body}",
    signature: { header: ["X-Sign"], prefix: "h=", encoding: "hex" },
    id: { header: ["X-Id"] },
  };
  const key = Buffer.alloc(40, 3);
  const mac = createHmac("sha512", key).update(`PUT\nfleet\n7\n${body}`).digest("hex");
  const form = { "Content-Type": "application/x-www-form-urlencoded" };
  const headers = { "X-Sign": `h=${mac}`, "x-kind": "fleet", "X-Id": "7", ...form };
  const options = { scheme, secrets: key.toString("base64") };
  const { id, payload } = await verifyWebhook({ headers, body, method: "put" }, options);
  assert.equal(id, "7");
  assert.deepEqual(Object.entries(payload), [["lorry", ["7", "8"]], ["driver", "Zoë"], ["__proto__", "x"]]);
  await assert.rejects(verifyWebhook({ headers, body, method: "POST" }, options), { code: "signature_mismatch" });
  const unsigned = { ...scheme, signed: "{timestamp}" };
  await assert.rejects(verifyWebhook({ headers, body }, { ...options, scheme: unsigned }), TypeError);
});

test("RSA and P-256 signatures are checked, and DER in its one form only", async () => {
  const body = '{"a":1}';
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const signature = { header: ["S"], prefix: "", encoding: "base64" };
  const scheme = { algorithm: "rsa-sha256", key: "spki", signed: "{body}", signature };
  const pem = (pair) => pair.publicKey.export({ format: "pem", type: "spki" });
  const request = (bytes) => ({ headers: { S: bytes.toString("base64") }, body });
  const signed = sign("sha256", Buffer.from(body), rsa.privateKey);
  await verifyWebhook(request(signed), { scheme, secrets: pem(rsa) });
  const short = generateKeyPairSync("rsa", { modulusLength: 1024 });
  await assert.rejects(verifyWebhook(request(signed), { scheme, secrets: pem(short) }), { code: "secret_invalid" });

  const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const options = { scheme: { ...scheme, algorithm: "ecdsa-p256-sha256" }, secrets: pem(ec) };
  // Enough of them that numbers with leading zeros, and with a high first bit, are among them.
  for (let n = 0; n < 300; n++) {
    const der = sign("sha256", Buffer.from(body), ec.privateKey);
    await verifyWebhook(request(der), options);
    if (n > 10) continue;
    const others = [der.subarray(0, -1), Buffer.concat([der, der]), Buffer.alloc(70), padded(der), Buffer.from([0x30, 0])];
    for (const other of others) {
      await assert.rejects(verifyWebhook(request(other), options), WebhookVerificationError);
    }
  }
});

/** The same numbers, the first with a zero before it that it does not need. */
function padded(der) {
  const length = der[3];
  const first = Buffer.concat([Buffer.from([0x02, length + 1, 0x00]), der.subarray(4, 4 + length)]);
  const rest = der.subarray(4 + length);
  return Buffer.concat([Buffer.from([0x30, first.length + rest.length]), first, rest]);
}
