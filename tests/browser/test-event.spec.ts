// A test event: chosen, changed, sent, and seen byte for byte with where the time went.

import { accessible, calm, fits } from "./support/checks.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

test("a test event shows its request and its answer", async ({ page, server, receiver }) => {
  await server.tenant("kahatex", "smartmaintenance", { attributes: { company_id: 1 } });
  await server.webhook("kahatex", receiver.url(), ["*"], { name: "SAP-PM bridge", secret: "a-secret-that-both-sides-know" });
  receiver.answers({ status: 202, headers: { "X-Seen-By": "sap" }, body: '{"taken": true}', delayMs: 300 });

  await openPortal(page, server, "kahatex", "admin");
  await page.getByRole("link", { name: "SAP-PM bridge" }).click();
  await page.getByRole("link", { name: "Send test event" }).click();
  await page.getByLabel("Event type").selectOption("task.completed");
  const data = page.getByLabel("Data");
  await expect(data).toHaveValue(/task_id/);
  await fits(page);
  await calm(page);
  await accessible(page);
  await shot(page, "test-event");

  await data.fill('{"task_id": }');
  await page.getByRole("button", { name: "Send it now" }).click();
  await expect(page.getByText("This is not JSON").first()).toBeVisible();
  await expect(data).toHaveValue('{"task_id": }');
  await fits(page);
  await calm(page, { statuses: [400, 422] });
  await accessible(page);

  await data.fill('{"task_id": 777, "note": "Schlüssel & <b>"}');
  await page.getByRole("button", { name: "Send it now" }).click();
  await expect(page.getByText("The request is under way.")).toBeVisible();
  await expect(page.getByText("The receiver accepted it.")).toBeVisible();
  const [request] = await receiver.got(1);
  if (!request) throw new Error("because one was awaited");
  const block = (name: string) => page.getByRole("region", { name, exact: true });
  expect(await block("Request body").textContent()).toBe(request.text);
  expect(request.text).toContain('"task_id":777');
  expect(request.text).toContain('"test":true');
  const head = (await block("Request headers").textContent()) ?? "";
  for (const name of ["x-smtm-event", "x-smtm-delivery", "x-smtm-signature", "user-agent", "content-type"]) {
    expect(head.toLowerCase()).toContain(`${name}: ${String(request.headers[name]).toLowerCase()}`);
  }
  await expect(block("Answer headers")).toContainText("202");
  await expect(block("Answer headers")).toContainText(/x-seen-by: sap/i);
  expect(await block("Answer body").textContent()).toBe('{"taken": true}');
  await expect(page.getByRole("img", { name: "Where the time went" })).toBeVisible();
  for (const part of ["DNS", "Connection", "TLS", "Waiting for the answer", "Reading the answer", "In all"]) {
    await expect(page.getByRole("listitem").filter({ hasText: new RegExp(`^\\s*${part}: [0-9.]+ (µs|ms|s)`) })).toBeVisible();
  }
  await fits(page);
  await calm(page, { statuses: [400, 422] });
  await accessible(page);
  await shot(page, "test-event-result");
});
