// The examples of the README: its blocks of TypeScript, each a module that goes on from the first.

import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";

const README = new URL("../README.md", import.meta.url);
/** Inside the package, so that its own name leads to it. */
const FOLDER = new URL("./.readme/", import.meta.url);

/** The examples as `{line, code}`: where each begins, and a module that can be run alone. */
export function examples() {
  const text = readFileSync(README, "utf8");
  const blocks = [...text.matchAll(/^```ts\n(.*?)^```$/gms)].map(({ 1: code, index }) => ({
    line: text.slice(0, index).split("\n").length,
    code,
  }));
  const [first, ...others] = blocks;
  const modules = others.map(({ line, code }) => ({ line, code: /\brt\./.test(code) ? `${first.code}\n${code}` : code }));
  return [{ ...first, code: `${first.code}\nvoid rt;\n` }, ...modules].map(({ line, code }) => ({ line, code: merged(code) }));
}

/** Two imports of the same thing are one. */
function merged(code) {
  const imports = [...code.matchAll(/^import \{ (.*) \} from '@postrider\/sdk';\n/gm)];
  if (imports.length < 2) return `${code}export {};\n`;
  const names = imports.flatMap(({ 1: list }) => list.split(", "));
  const rest = imports.reduce((text, [line]) => text.replace(line, ""), code);
  return `import { ${[...new Set(names)].join(", ")} } from '@postrider/sdk';\n${rest}`;
}

/** Writes a file for each example, and gives their URLs. */
export function written(name, extension, texts) {
  const folder = new URL(`${name}/`, FOLDER);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  return texts.map(({ line, code }) => {
    const url = new URL(`line-${line}.${extension}`, folder);
    writeFileSync(url, code);
    return url;
  });
}
