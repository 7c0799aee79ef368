// Compiles `src` twice: ES modules into `dist/esm`, CommonJS into `dist/cjs`, each with its declarations.

import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL("..", import.meta.url));
const compiler = createRequire(import.meta.url).resolve("typescript/bin/tsc");

rmSync(`${folder}dist`, { recursive: true, force: true });
cpSync(`${folder}../../LICENSE`, `${folder}LICENSE`);
compile("esm", "module", ["--module", "NodeNext", "--moduleResolution", "NodeNext"]);
compile("cjs", "commonjs", ["--module", "CommonJS", "--moduleResolution", "Node10"]);

function compile(name, type, options) {
  const out = `${folder}dist/${name}`;
  mkdirSync(out, { recursive: true });
  // What the files of this folder are, whatever the package says.
  writeFileSync(`${out}/package.json`, `${JSON.stringify({ type })}\n`);
  const compiled = spawnSync(process.execPath, [compiler, "--project", folder, "--outDir", out, ...options], {
    stdio: "inherit",
  });
  if (compiled.status !== 0) process.exit(compiled.status ?? 1);
}
