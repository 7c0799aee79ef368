// The page on which the API is read and tried.

import { accessible, calm, fits, weight } from "./support/checks.ts";
import { HOSTILE_DATA, nothingRan } from "./support/hostile.ts";
import { OPERATOR_KEY } from "./support/server.ts";
import { expect, shot, test } from "./support/test.ts";

// A hundred endpoints, light and dark.
test.describe.configure({ timeout: 120_000 });

test("the API can be read, at any width and in any light", async ({ page, server }) => {
  const response = await page.goto(`${server.url}/docs`);
  const { paths } = await server.api("GET", "/openapi.json");
  const operations = Object.values(paths).flatMap((path) => Object.keys(path as object));
  await expect(page.locator("details.operation")).toHaveCount(operations.length);
  await calm(page);
  await fits(page);
  await weight(response);
  await accessible(page);
  await shot(page, "docs");
});

test("an opened endpoint is accessible and fits", async ({ page, server }) => {
  await page.goto(`${server.url}/docs`);
  await page.getByRole("navigation").getByRole("link", { name: "Publish an event" }).click();
  await expect(page.locator("details.operation[open]")).toHaveCount(1);
  await fits(page);
  await accessible(page);
  await shot(page, "docs-publish");
});

test("a request that is tried is sent, and what it brings is shown as text", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await server.webhook("acme", receiver.url());
  const event = await server.publish("acme", "hostile.sent", HOSTILE_DATA);
  await receiver.got(1);

  await page.goto(`${server.url}/docs`);
  await page.getByLabel("API key").fill(OPERATOR_KEY);
  await page.getByLabel("Tenant", { exact: true }).fill("acme");
  await page.getByRole("navigation").getByRole("link", { name: "Read an event", exact: true }).click();
  const operation = page.locator("details.operation[open]");
  await operation.getByLabel("event (path)").fill(event);
  await operation.getByRole("button", { name: "Send" }).click();
  await expect(operation.locator("pre")).toContainText("200 OK");
  await expect(operation.locator("pre")).toContainText("<script>window.__pwned='script'</script>");
  await nothingRan(page);
  await fits(page);
  await calm(page);
});
