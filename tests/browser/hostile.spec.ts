// The corpus itself: where a page takes a hostile text for what it looks like, it runs and is noticed; where it is text, nothing happens.

import type { Page } from "@playwright/test";

import { HOSTILE, type Hostile, nothingRan, type Taken } from "./support/hostile.ts";
import { expect, test } from "./support/test.ts";

/** How the page of a careless programmer takes a text. */
const CARELESS: Partial<Record<Taken, (text: string) => string>> = {
  markup: (text) => `<div>${text}</div>`,
  attribute: (text) => `<input value="${text}">`,
  "attribute in single quotes": (text) => `<input value='${text}'>`,
  "attribute without quotes": (text) => `<input value=${text}>`,
  link: (text) => `<a href="${text}">link</a>`,
  style: (text) => `<style>p { color: ${text} }</style>`,
  script: (text) => `<script>const x = "${text}"</script>`,
};

async function show(page: Page, body: string): Promise<void> {
  await page.route("**/*", (route) => {
    if (route.request().url() !== "http://pages.test/") return route.abort();
    return route.fulfill({ contentType: "text/html; charset=utf-8", body: `<!doctype html><title>x</title><p>Text.</p>${body}` });
  });
  await page.goto("http://pages.test/", { waitUntil: "domcontentloaded" });
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

for (const hostile of HOSTILE.filter(({ taken }) => taken in CARELESS)) {
  test(`${hostile.name} is noticed where it runs`, async ({ page }) => {
    await show(page, CARELESS[hostile.taken]?.(hostile.text) ?? "");
    if (hostile.taken === "link") await page.getByRole("link").click({ noWaitAfter: true });
    await expect.poll(() => ran(page, hostile)).toContain("a hostile text ran");
  });
}

test("as text and in attributes, none of them does anything", async ({ page }) => {
  const shown = HOSTILE.map(({ text }) => `<p title="${escaped(text)}">${escaped(text)}</p><textarea>\n${escaped(text)}</textarea>`);
  await show(page, shown.join("\n"));
  await nothingRan(page);
});

/** What `nothingRan` says. A page that is being left cannot be asked, and is asked again. */
async function ran(page: Page, hostile: Hostile): Promise<string> {
  return nothingRan(page).then(() => `nothing noticed of ${hostile.text}`, String);
}
