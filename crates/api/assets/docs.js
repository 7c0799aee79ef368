// Shows openapi.json as a page on which every endpoint can be tried. Everything from the document is put into the page
// as text, never as markup.
"use strict";

const byId = (id) => document.getElementById(id);

function element(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties ?? {})) {
    if (value === undefined) continue;
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function resolve(api, schema) {
  const name = schema?.$ref?.split("/").pop();
  return name ? api.components.schemas[name] : schema;
}

function typeOf(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.enum) return schema.enum.map((word) => JSON.stringify(word)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeOf).join(" | ");
  if (schema.type === "array") return typeOf(schema.items) + "[]";
  if (schema.format) return schema.format;
  return [schema.type ?? "any"].flat().join(" | ");
}

function fieldsTable(api, schema, depth) {
  const found = resolve(api, schema);
  if (!found?.properties) return element("p", {}, element("code", {}, typeOf(schema ?? {})));
  const rows = [];
  for (const [name, field] of Object.entries(found.properties)) {
    const required = found.required?.includes(name) ? "" : " (optional)";
    const cell = element("td", {}, field.description ?? "");
    const inner = [field, field.items, ...(field.anyOf ?? [])].find((part) => part?.$ref);
    if (inner && depth < 3) {
      cell.append(element("details", {}, element("summary", {}, typeOf(inner)), fieldsTable(api, inner, depth + 1)));
    }
    rows.push(element("tr", {}, element("td", {}, element("code", {}, name), required), element("td", {}, element("code", {}, typeOf(field))), cell));
  }
  return element("table", {}, element("tbody", {}, ...rows));
}

// What a body is sent as, or an answer comes as: JSON where that is one of the ways, otherwise the first of them.
function mediaOf(content) {
  const ways = Object.entries(content ?? {});
  const [type, media] = ways.find(([type]) => type === "application/json") ?? ways[0] ?? [];
  return { type, ...media };
}

function tryForm(path, method, operation) {
  const inputs = new Map();
  const fields = element("div", { className: "fields" });
  for (const parameter of operation.parameters) {
    if (parameter.name === "Postrider-Tenant") continue;
    const input = element("input", { placeholder: parameter.description ?? "", autocomplete: "off" });
    inputs.set(parameter, input);
    fields.append(element("label", {}, `${parameter.name} (${parameter.in})`, input));
  }
  const { type, example } = mediaOf(operation.requestBody?.content);
  const text = typeof example === "string" ? example : JSON.stringify(example, null, 2);
  const body = example === undefined ? null : element("textarea", { value: text, spellcheck: false, ariaLabel: "Request body" });
  const output = element("pre", { hidden: true, ariaLive: "polite" });
  const send = async () => {
    let target = path;
    const query = new URLSearchParams();
    const headers = {};
    for (const [parameter, input] of inputs) {
      if (parameter.in === "path") target = target.replace(`{${parameter.name}}`, encodeURIComponent(input.value));
      else if (input.value && parameter.in === "query") query.set(parameter.name, input.value);
      else if (input.value) headers[parameter.name] = input.value;
    }
    if (byId("key").value) headers.Authorization = `Bearer ${byId("key").value}`;
    if (byId("tenant").value) headers["Postrider-Tenant"] = byId("tenant").value;
    if (body) headers["Content-Type"] = type;
    // Relative to this page, so that it also works below a proxy's prefix.
    const address = `.${target}${query.size ? `?${query}` : ""}`;
    output.hidden = false;
    output.textContent = "…";
    try {
      const response = await fetch(address, { method: method.toUpperCase(), headers, body: body?.value });
      const text = await response.text();
      let shown = text;
      try { shown = JSON.stringify(JSON.parse(text), null, 2); } catch { /* not JSON: shown as it is */ }
      output.textContent = `${response.status} ${response.statusText}\n\n${shown}`;
    } catch (error) {
      output.textContent = `The request did not get through: ${error.message}`;
    }
  };
  return element("div", {}, fields, ...(body ? [body] : []), element("p", {}, element("button", { type: "button", onclick: send }, "Send")), output);
}

function operationCard(api, path, method, operation) {
  const content = element("div", {}, element("p", {}, operation.description ?? ""));
  const request = mediaOf(operation.requestBody?.content).schema;
  if (request) content.append(element("h3", {}, "Body"), fieldsTable(api, request, 0));
  for (const [status, response] of Object.entries(operation.responses)) {
    const { schema } = mediaOf(response.content);
    if (status === "default") continue;
    content.append(element("h3", {}, `Answer ${status}`));
    if (schema) content.append(fieldsTable(api, schema.properties?.data?.items ?? schema, 0));
  }
  content.append(element("h3", {}, "Try it"), tryForm(path, method, operation));
  const title = element("summary", {}, element("span", { className: "method" }, method.toUpperCase()), element("code", {}, path), ` ${operation.summary}`);
  return element("details", { className: "operation", id: operation.operationId }, title, content);
}

function problemsTable(api) {
  const rows = api["x-problem-codes"].map((entry) =>
    element("tr", { id: `problem-${entry.code}` }, element("td", {}, element("code", {}, entry.code)), element("td", {}, String(entry.status)), element("td", {}, entry.title)));
  return element("table", {}, element("tbody", {}, ...rows));
}

function openTarget() {
  const target = byId(decodeURIComponent(location.hash.slice(1)));
  if (!target) return;
  if (target.tagName === "DETAILS") target.open = true;
  target.scrollIntoView();
}

function show(api) {
  const main = byId("operations");
  const contents = byId("contents");
  main.replaceChildren();
  for (const tag of api.tags) {
    const links = [];
    main.append(element("h2", {}, tag.name));
    for (const [path, item] of Object.entries(api.paths)) {
      for (const [method, operation] of Object.entries(item)) {
        if (!operation.tags.includes(tag.name)) continue;
        main.append(operationCard(api, path, method, operation));
        links.push(element("li", {}, element("a", { href: `#${operation.operationId}` }, operation.summary)));
      }
    }
    contents.append(element("h2", {}, tag.name), element("ul", {}, ...links));
  }
  main.append(element("h2", { id: "problems" }, "Problem codes"), problemsTable(api));
  contents.append(element("h2", {}, element("a", { href: "#problems" }, "Problem codes")));
  openTarget();
  addEventListener("hashchange", openTarget);
}

fetch("./openapi.json")
  .then((response) => response.json())
  .then(show)
  .catch((error) => { byId("status").textContent = `The document could not be read: ${error.message}`; });
