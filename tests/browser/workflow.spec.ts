// A workflow and its trigger are made in the page, a request is sent as the page says, its run is followed to its end and done again.

import { accessible, calm, fits } from "./support/checks.ts";
import { go } from "./support/go.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

import type { Page } from "@playwright/test";

async function sound(page: Page): Promise<void> {
  await fits(page);
  await calm(page);
  await accessible(page);
}

/** Sends what a command of curl would, where it has a URL, headers and a body in single quotes. */
async function run(curl: string): Promise<Response> {
  const method = /-X (\w+)/.exec(curl)?.[1] ?? "POST";
  const url = /'(https?:[^']+)'/.exec(curl)?.[1] ?? "";
  const headers = [...curl.matchAll(/-H '([^:']+): ([^']*)'/g)].map(([, name, value]) => [name, value] as [string, string]);
  const body = /-d '([^']*)'/.exec(curl)?.[1] ?? "";
  return fetch(url, { method, headers, body });
}

test("a workflow is made, started by a request, followed to its end, and done again", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await openPortal(page, server, "acme", "admin");
  await go(page, "Workflows");
  await expect(page.getByRole("heading", { name: "No workflows yet" })).toBeVisible();
  await sound(page);
  await page.getByRole("link", { name: "Create a workflow" }).first().click();
  await page.getByLabel("Name").fill("greet");
  await page.getByLabel("Definition").fill("steps:\n  - id: tell\n    type: nonsense\n");
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByRole("alert").first()).toContainText("steps[0].type: it must be");
  await fits(page);
  await calm(page, { statuses: [400, 422] });
  await accessible(page);
  await shot(page, "workflow-refused");

  await page.getByLabel("Definition").fill(`description: Greets whom a request names
steps:
  - id: pause
    type: wait
    for: 3s
  - id: tell
    type: http
    method: POST
    url: ${receiver.url("/greet")}
    body: { hello: "{{ input.hello }}" }
`);
  await page.getByRole("button", { name: "Save" }).click();
  await expect(page.getByText("Saved. Runs that start from now on use this definition.")).toBeVisible();
  await fits(page);
  await accessible(page);
  await shot(page, "workflow");

  await page.getByRole("link", { name: "Add a trigger" }).first().click();
  await page.getByLabel("Name", { exact: true }).fill("From the shop");
  await fits(page);
  await accessible(page);
  await shot(page, "trigger-new");
  await page.getByRole("button", { name: "Add the trigger" }).click();
  await expect(page.getByText("This is the new secret.")).toBeVisible();
  const secret = (await page.getByRole("region", { name: "Secret", exact: true }).textContent()) ?? "";
  const curl = (await page.getByRole("region", { name: "With curl" }).textContent()) ?? "";
  expect(curl).toContain("YOUR_SECRET");
  await fits(page);
  await accessible(page);
  await shot(page, "trigger-made");
  const taken = await run(curl.replace("YOUR_SECRET", secret.trim()));
  expect(taken.status, await taken.clone().text()).toBe(202);

  await go(page, "Runs");
  await page.getByRole("table").getByRole("link").first().click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Run of greet");
  await page.evaluate(() => Object.assign(window, { __sameDocument: true }));
  await fits(page);
  await shot(page, "run-underway");
  // The page follows by itself.
  await expect(page.locator("#course")).toContainText("Replay the run");
  await expect(page.locator("#course")).toContainText("took");
  await expect(page.getByRole("listitem").filter({ has: page.getByRole("link", { name: "tell", exact: true }) })).toContainText("succeeded");
  expect(await page.evaluate(() => "__sameDocument" in window), "the page was never loaded again").toBe(true);
  const [request] = await receiver.got(1);
  expect(JSON.parse(request?.text ?? "")).toEqual({ hello: "world" });
  await fits(page);
  await accessible(page);
  await shot(page, "run");

  const first = page.url();
  await page.getByRole("button", { name: "Replay the run" }).click();
  await expect(page).not.toHaveURL(first);
  await page.getByText("Where it came from, and with what").click();
  await expect(page.getByText("Replay of")).toBeVisible();
  await receiver.got(2);
  await expect(page.locator("#course")).toContainText("Replay the run");
  await fits(page);
  await accessible(page);
  await calm(page, { statuses: [400, 422] });
});
