// A check that cannot fail is none: here each meets a page that is at fault, and one that is not.

import { accessible, calm, fits, weight } from "./support/checks.ts";
import { expect, test } from "./support/test.ts";
import type { Page, Response } from "@playwright/test";

const GOOD = `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
  <title>A page</title><link rel="icon" href="data:,"></head><body><main><h1>A page</h1><p>Text.</p></main></body></html>`;

/** Shows a page of our own making. */
async function show(page: Page, body: string, headers: Record<string, string> = {}): Promise<Response | null> {
  await page.route("http://pages.test/", (route) => route.fulfill({ contentType: "text/html; charset=utf-8", body, headers }));
  return page.goto("http://pages.test/");
}

function spoiled(by: string): string {
  return GOOD.replace("</main>", `${by}</main>`);
}

test("a page without faults passes", async ({ page }) => {
  const response = await show(page, GOOD);
  await calm(page);
  await fits(page);
  await weight(response);
  await accessible(page);
});

test("a field without a label is not accessible, and the message says where", async ({ page }) => {
  await show(page, spoiled('<input id="nameless">'));
  await expect(accessible(page)).rejects.toThrow(/label[\s\S]*#nameless/);
});

test("grey on grey in the dark is not accessible", async ({ page }) => {
  await show(page, spoiled("<style>@media (prefers-color-scheme: dark) { p { color: #777; background: #666 } }</style>"));
  await expect(accessible(page)).rejects.toThrow(/dark: color-contrast/);
});

/** Waits for the first paint: what moves before it is not seen by anybody. */
const MOVES = `<script>
  new PerformanceObserver(() => requestAnimationFrame(() => (document.querySelector("h1").style.marginTop = "200px")))
    .observe({ type: "paint", buffered: true });
</script>`;
const RESTLESS: [string, string, Record<string, string>, RegExp][] = [
  ["what moves after it was painted", MOVES, {}, /the layout shifted/],
  ["an error on the console", "<script>console.error('alas')</script>", {}, /console: alas/],
  ["a script that throws", "<script>null.x</script>", {}, /error: TypeError/],
  ["a violated policy", "<script>1</script>", { "content-security-policy": "script-src 'none'" }, /policy: script-src/],
  ["an image that is not there", "<img alt='' width=1 height=1 src=http://127.0.0.1:9/x>", {}, /failed: GET/],
];
for (const [name, fault, headers, message] of RESTLESS) {
  test(`${name} is not calm`, async ({ page }) => {
    await show(page, spoiled(fault), headers);
    await expect.poll(() => calm(page).then(() => "calm", String)).toMatch(message);
  });
}

test("an answer of 404 is not calm, unless it is expected", async ({ page, server }) => {
  await page.goto(`${server.url}/nowhere`);
  await expect(calm(page)).rejects.toThrow(/status: GET .*404/);
  await calm(page, { statuses: [404] });
});

test("a wide table does not fit, and one that scrolls in its own frame does", async ({ page }) => {
  const wide = "<div id='wide' style='width:3000px'>x</div>";
  await show(page, spoiled(`<div style="overflow:auto" tabindex="0">${wide}</div>`));
  await fits(page);
  await page.unroute("http://pages.test/");
  await show(page, spoiled(wide));
  await expect(fits(page)).rejects.toThrow(/id="wide"/);
});

test("a large page is too heavy", async ({ page }) => {
  await expect(weight(await show(page, spoiled("x".repeat(101 * 1024))))).rejects.toThrow(/on the wire/);
});
