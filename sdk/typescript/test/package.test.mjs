// The package as others meet it: what it imports, where it runs, how it is typed, and whether what is made is up to date.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import vm from "node:vm";
import { declaredTwice, outOfDate } from "../scripts/generate.mjs";
import { examples, written } from "./readme.mjs";
import { PUBLISHED } from "./published.mjs";

const folder = fileURLToPath(new URL("..", import.meta.url));
const require = createRequire(import.meta.url);

function filesIn(directory, ending) {
  const names = readdirSync(join(folder, directory), { recursive: true });
  return names.filter((name) => name.endsWith(ending)).map((name) => join(folder, directory, name));
}

test("what is made is up to date", () => {
  const names = outOfDate().map(([name]) => name);
  assert.deepEqual(names, [], "run: npm run generate");
});

test("no type is written by hand that the document has", () => {
  assert.deepEqual(declaredTwice(), [], "in src/inbound.ts, write instead: export type { … } from \"./generated.js\"");
});

test("the package imports nothing but itself", () => {
  for (const file of [...filesIn("dist/esm", ".js"), ...filesIn("dist/cjs", ".js")]) {
    const text = readFileSync(file, "utf8");
    const imports = [...text.matchAll(/(?:from|import|require\()\s*\(?["']([^"']+)["']/g)].map(([, name]) => name);
    for (const name of imports) assert.match(name, /^\.\.?\//, `${file} imports ${name}`);
    for (const word of [/\bprocess\./, /\bBuffer\b/, /\b__dirname\b/, /\bsetImmediate\b/]) assert.doesNotMatch(text, word, file);
  }
  assert.deepEqual(JSON.parse(readFileSync(join(folder, "package.json"))).dependencies, undefined);
});

/** What every runtime of the web has, and nothing of Node. */
const WEB = ["fetch", "crypto", "TextEncoder", "TextDecoder", "URL", "URLSearchParams", "Headers", "Response", "ReadableStream"];
const TIMERS = ["AbortController", "AbortSignal", "setTimeout", "clearTimeout", "atob", "btoa"];

test("it runs where there is only the web", async () => {
  const globals = Object.fromEntries([...WEB, ...TIMERS].map((name) => [name, globalThis[name]]));
  const context = vm.createContext(globals);
  const modules = new Map();
  const load = (file) => {
    if (!modules.has(file)) {
      const module = new vm.SourceTextModule(readFileSync(file, "utf8"), { context, identifier: file });
      modules.set(file, module);
    }
    return modules.get(file);
  };
  const entry = load(join(folder, "dist/esm/index.js"));
  await entry.link((name, from) => load(join(dirname(from.identifier), name)));
  await entry.evaluate();
  const { Postrider, verifyWebhook } = entry.namespace;

  let sent;
  const fetch = async (url, init) => {
    sent = { url, init };
    return Response.json({ id: "evt_1" }, { status: 202 });
  };
  const rt = new Postrider({ apiKey: "key", baseUrl: "https://hooks.example.com", fetch });
  assert.equal((await rt.events.publish({ type: "a", data: 1 })).id, "evt_1");
  assert.equal(sent.url, "https://hooks.example.com/v1/events");
  for (const { sender, secrets, now, request } of PUBLISHED) {
    await verifyWebhook(request, { ...sender, secrets, now });
    // Bytes of another realm than the package's.
    await verifyWebhook({ ...request, body: Buffer.from(request.body) }, { ...sender, secrets, now });
  }
});

test("it is required as well as imported", async () => {
  const required = require("@postrider/sdk");
  const imported = await import("@postrider/sdk");
  assert.equal(require.resolve("@postrider/sdk"), join(folder, "dist/cjs/index.js"));
  assert.deepEqual(Object.keys(required).sort(), Object.keys(imported).sort());
  assert.equal(typeof required.Postrider, "function");
});

test("its types hold for those who import and those who require, and so do the README's examples", () => {
  const consumer = `
    const rt = new Postrider({ apiKey: "key", baseUrl: "https://hooks.example.com" });
    export async function main(): Promise<string> {
      const page = await rt.workflows.runs("incoming-leads", 25);
      const cursor: string | null = page.nextCursor;
      const first: Run | undefined = page[0];
      const [both] = await Promise.all([rt.webhooks.list(), Promise.resolve(1)]);
      for await (const event of rt.events.list({ from: new Date(0), order: "asc" })) {
        const kind: "normal" | "test" | "operational" = event.kind;
        if (kind === "test") return event.id;
      }
      try {
        const { id, payload } = await verifyWebhook<{ a: number }>(
          { headers: new Headers(), body: new Uint8Array() },
          { preset: "stripe", secrets: ["a"] },
        );
        return id ?? payload.a.toFixed();
      } catch (error) {
        if (error instanceof ApiError && error.code === "not_found") return error.detail;
      }
      const summary = await rt.records.import("part", [{ id: "a", deleted: true }]);
      // @ts-expect-error: there is no such profile
      await verifyWebhook({ headers: {}, body: "" }, { profile: "github", secrets: "s" });
      // @ts-expect-error: a trigger has a type
      await rt.workflows.createTrigger("a", { name: "b" });
      return [cursor, first?.triggerType, both.length, summary.refused].join();
    }
  `;
  const names = "{ ApiError, Postrider, verifyWebhook, type Run }";
  const files = [
    [{ line: "import", code: `import ${names} from "@postrider/sdk";${consumer}` }, "mts"],
    [{ line: "require", code: `import ${names} from "@postrider/sdk";${consumer}` }, "cts"],
  ].flatMap(([text, extension]) => written(`types-${extension}`, extension, [text]));
  files.push(...written("types", "mts", examples()));
  // Without the DOM's library, and with declarations checked: as strict as a consumer may be.
  const options = "--noEmit --strict --target es2022 --lib es2022 --types node --module nodenext --exactOptionalPropertyTypes";
  const compiled = spawnSync(
    process.execPath,
    [require.resolve("typescript/bin/tsc"), ...options.split(" "), ...files.map((file) => fileURLToPath(file))],
    { encoding: "utf8", cwd: folder },
  );
  assert.equal(compiled.status, 0, compiled.stdout + compiled.stderr);
});

test("what is published is what is meant to be", () => {
  const options = { encoding: "utf8", cwd: folder, shell: process.platform === "win32" };
  const packed = spawnSync("npm", ["pack", "--dry-run", "--json", "--ignore-scripts"], options);
  const [{ name, files }] = JSON.parse(packed.stdout);
  assert.equal(name, "@postrider/sdk");
  const tops = new Set(files.map(({ path }) => path.split("/")[0]));
  assert.deepEqual([...tops].sort(), ["LICENSE", "README.md", "dist", "package.json"]);
});

test("the lock file names packages, not where they were fetched from", () => {
  assert.doesNotMatch(readFileSync(join(folder, "package-lock.json"), "utf8"), /"resolved"/);
});
