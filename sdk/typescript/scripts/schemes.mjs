// How everybody signs, for `src/verify/schemes.ts`: from `profiles/*.toml`, what Postrider sends, and `presets/*.toml`, what it
// takes from others.

import { existsSync, readdirSync, readFileSync } from "node:fs";
import { parse } from "smol-toml";

const TOLERANCE_SECONDS = 300;
const KEYS = { ed25519: "hex", "ecdsa-p256-sha256": "spki", "rsa-sha256": "spki", basic: "user-password" };

/** The text of `src/verify/schemes.ts`; `undefined` where there are no presets to make it from. */
export function schemes(profiles, presets) {
  if (!existsSync(presets)) return undefined;
  const known = { profile: files(profiles).map(([name, file]) => [name, profile(file)]) };
  known.preset = files(presets).map(([name, file]) => [name, preset(file)]);
  return `// Made from profiles/*.toml and presets/*.toml by \`npm run generate\`. Changes here are lost.

import type { Sender } from "./scheme.js";

/** A wire contract that Postrider sends with. */
${names("ProfileName", known.profile)}
/** A provider whose webhooks Postrider takes, and you can. */
${names("PresetName", known.preset)}
/** How Postrider signs. */
${table("PROFILES", "ProfileName", known.profile)}
/** How providers sign. */
${table("PRESETS", "PresetName", known.preset)}`;
}

function names(type, entries) {
  return `export type ${type} =\n${entries.map(([name]) => `  | ${JSON.stringify(name)}`).join("\n")};\n`;
}

function table(constant, type, entries) {
  const lines = entries.map(([name, sender]) => `  ${JSON.stringify(name)}: ${JSON.stringify(sender)},\n`);
  return `export const ${constant}: Readonly<Record<${type}, Sender>> = {\n${lines.join("")}};\n`;
}

function files(folder) {
  const names = readdirSync(folder).filter((name) => name.endsWith(".toml"));
  return names.sort().map((name) => {
    const file = parse(readFileSync(new URL(name, folder), "utf8"));
    return [file.name, file];
  });
}

function preset({ scheme, dedup = [] }) {
  return { schemes: scheme.map(presetScheme), dedup };
}

function presetScheme({ algorithm, key, signed = "", signature, timestamp, id, items, body_hash_query, dedup }) {
  const usual = { token: { encoding: "text" }, basic: { encoding: "base64", prefix: "Basic " } }[algorithm];
  return {
    algorithm,
    key: key ?? KEYS[algorithm] ?? "utf8",
    signed,
    signature: { prefix: "", ...usual, ...place(signature) },
    timestamp: timestamp && time(timestamp),
    id: id && place(id),
    items,
    bodyHashQuery: body_hash_query,
    dedup,
  };
}

function place({ header, ...rest }) {
  return header === undefined ? rest : { header: [header].flat(), ...rest };
}

function time({ unit = "s", tolerance_seconds = TOLERANCE_SECONDS, ...rest }) {
  return { ...place(rest), unit, toleranceSeconds: tolerance_seconds === "none" ? null : tolerance_seconds };
}

/** A profile says how to write a request; whoever reads it needs the same the other way round. */
function profile({ headers = {}, envelope = {}, signature }) {
  const headerOf = (value) => Object.keys(headers).find((name) => headers[name] === value);
  const timeHeader = headerOf("{attempt.time|unix-seconds}");
  const idHeader = headerOf("{event.id}");
  const deliveryHeader = headerOf("{delivery.uuid}");
  const idMember = Object.keys(envelope).find((name) => envelope[name] === "{event.id}");
  const scheme = (value, key) => {
    const [, prefix, algorithm, encoding, text, rest] = /^([^{]*)\{([a-z0-9-]+)-(hex|base64):(.*)\}([^{}]*)$/.exec(value) ?? [];
    const signed = text?.replaceAll("{event.id}", "{id}").replaceAll("{attempt.time|unix-seconds}", "{timestamp}");
    const unknown = signed?.replace(/\{(body|id|timestamp)\}/g, "").includes("{");
    if (signed === undefined || rest !== "" || unknown) throw new Error(`cannot read the signature ${value}`);
    return {
      algorithm,
      key,
      signed,
      signature: { prefix, header: [signature.header], separator: signature.separator, encoding },
      timestamp: signed.includes("{timestamp}")
        ? { header: [timeHeader], unit: "s", toleranceSeconds: TOLERANCE_SECONDS }
        : undefined,
      id: signed.includes("{id}") ? { header: [idHeader] } : undefined,
    };
  };
  const made = signature ? [scheme(signature.value, signature.secret_form ?? "utf8")] : [];
  if (signature?.value_ed25519) made.push(scheme(signature.value_ed25519, "whpk"));
  const signedId = made.some(({ id }) => id !== undefined);
  const dedup = [
    signedId && "{id}",
    idMember && `{json:${idMember}}`,
    !signedId && idHeader && `{header:${idHeader}}`,
    deliveryHeader && `{header:${deliveryHeader}}`,
  ];
  return { schemes: made, dedup: dedup.filter(Boolean) };
}
