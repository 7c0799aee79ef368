// Writes what follows from files of the workspace. `src/generated.ts` from `docs/openapi.json`: a type for each schema, for each
// endpoint's query, and for the codes of problems. `src/verify/schemes.ts` from the profiles and presets. `--check` changes
// nothing, and fails when a file is out of date.

import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { schemes } from "./schemes.mjs";

const DOCUMENT = new URL("../../../docs/openapi.json", import.meta.url);
const PROFILES = new URL("../../../profiles/", import.meta.url);
const PRESETS = new URL("../../../presets/", import.meta.url);

/** The text of `src/generated.ts` for an OpenAPI 3.1 document. */
export function generate(document) {
  const out = ["// Made from docs/openapi.json by `npm run generate`. Changes here are lost.\n"];
  const codes = document["x-problem-codes"].map(({ code, status }) => ({ code, status }));
  out.push("/** The words to branch on that a refusal may carry. */");
  out.push(`export type ProblemCode =\n${codes.map(({ code }) => `  | ${JSON.stringify(code)}`).join("\n")};\n`);
  for (const [name, schema] of Object.entries(document.components.schemas)) {
    out.push(comment(schema.description ?? `\`${name}\` of the API.`, ""), declaration(name, schema));
  }
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query");
      if (query.length === 0) continue;
      out.push(comment(`Query of \`${method.toUpperCase()} ${path}\`: ${operation.summary}.`, ""));
      out.push(`export interface ${pascal(operation.operationId)}Query {\n${query.map(queryField).join("\n")}\n}\n`);
    }
  }
  return out.join("\n");
}

function declaration(name, schema) {
  if (schema.properties === undefined) return `export type ${name} = ${type(schema, "")};\n`;
  return `export interface ${name} ${type(schema, "")}\n`;
}

/** A schema as a type. `indent` is that of the line it stands in. */
function type(schema, indent) {
  if (schema === true || schema === undefined) return "unknown";
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((value) => JSON.stringify(value)).join(" | ");
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices) {
    const types = [...new Set(choices.map((choice) => type(choice, indent)))];
    return types.includes("unknown") ? "unknown" : types.join(" | ");
  }
  if (schema.allOf) return schema.allOf.map((part) => type(part, indent)).join(" & ");
  const types = [schema.type ?? []].flat().map((name) => plainType(name, schema, indent));
  return types.length === 0 ? "unknown" : types.join(" | ");
}

function plainType(name, schema, indent) {
  switch (name) {
    case "string":
    case "boolean":
    case "null":
      return name;
    case "integer":
    case "number":
      return "number";
    case "array": {
      const item = type(schema.items, indent);
      return /[ |&]/.test(item) ? `Array<${item}>` : `${item}[]`;
    }
    case "object": {
      if (schema.properties === undefined) {
        const values = typeof schema.additionalProperties === "object" ? schema.additionalProperties : true;
        // Not `Record<…>`: there is a schema of that name.
        return `{ [name: string]: ${type(values, indent)} }`;
      }
      const inner = `${indent}  `;
      const fields = Object.entries(schema.properties).map(([key, value]) => {
        const optional = schema.required?.includes(key) ? "" : "?";
        return `${comment(value.description, inner)}${inner}${property(key)}${optional}: ${type(value, inner)};`;
      });
      return fields.length === 0 ? "{}" : `{\n${fields.join("\n")}\n${indent}}`;
    }
    default:
      throw new Error(`a schema has the type ${name}, which this generator does not know`);
  }
}

function queryField({ name, required, description, schema }) {
  const time = schema.format === "date-time" ? " | Date" : "";
  return `${comment(description, "  ")}  ${property(name)}${required ? "" : "?"}: ${type(schema, "  ")}${time};`;
}

function comment(text, indent) {
  if (!text) return "";
  const lines = text.replaceAll("*/", "* /").split("\n");
  const end = indent === "" ? "" : "\n";
  if (lines.length === 1) return `${indent}/** ${lines[0]} */${end}`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}`.trimEnd()).join("\n")}\n${indent} */${end}`;
}

function property(name) {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? name : JSON.stringify(name);
}

/** `get_events_event` → `GetEventsEvent`. */
function pascal(operationId) {
  return operationId
    .split("_")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1))
    .join("");
}

/** The files that are made, with their texts. `presets`: a folder of presets. */
export function made(presets = PRESETS) {
  const files = {
    "src/generated.ts": generate(JSON.parse(readFileSync(DOCUMENT, "utf8"))),
    "src/verify/schemes.ts": schemes(PROFILES, presets),
  };
  return Object.entries(files).filter(([, text]) => text !== undefined);
}

/** Those of them that are out of date. */
export function outOfDate() {
  return made().filter(([name, text]) => readFileSync(new URL(`../${name}`, import.meta.url), "utf8") !== text);
}

/** Types that are still written by hand, though the document has them now. */
export function declaredTwice() {
  const declared = (file) => {
    const text = readFileSync(new URL(`../src/${file}`, import.meta.url), "utf8");
    return [...text.matchAll(/^export (?:interface (\w+)|type (\w+) =)/gm)].map(([, name, alias]) => name ?? alias);
  };
  const made = declared("generated.ts");
  return declared("inbound.ts").filter((name) => made.includes(name));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [option] = process.argv.slice(2);
  if (option === "--check") {
    for (const [name] of outOfDate()) {
      console.error(`${name} is out of date. Run: npm run generate`);
      process.exitCode = 1;
    }
  } else {
    const presets = option === undefined ? PRESETS : pathToFileURL(`${option}/`);
    for (const [name, text] of made(presets)) writeFileSync(new URL(`../${name}`, import.meta.url), text);
    const twice = declaredTwice();
    if (twice.length > 0) {
      console.log(`docs/openapi.json has what src/inbound.ts declares by hand. Write there instead:`);
      console.log(`export type { ${twice.join(", ")} } from "./generated.js";`);
    }
  }
}
