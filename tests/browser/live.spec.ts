// The list of deliveries follows what happens, without being loaded again.

import { accessible, calm, fits } from "./support/checks.ts";
import { go } from "./support/go.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

test("new deliveries appear by themselves, until somebody stops it", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  await server.webhook("acme", receiver.url(), ["*"], { name: "Billing" });
  await server.publish("acme", "invoice.first");
  await receiver.got(1);
  await openPortal(page, server, "acme", "admin");
  await go(page, "Deliveries");
  const rows = page.locator("tbody tr:not([hidden])");
  await expect(rows).toHaveCount(1);
  await page.evaluate(() => Object.assign(window, { __sameDocument: true }));

  await calm(page);
  const toggle = page.getByRole("button", { name: "Follow live" });
  await expect(toggle).toHaveAttribute("aria-pressed", "false");
  await toggle.click();
  await expect(toggle).toHaveAttribute("aria-pressed", "true");
  await server.publish("acme", "invoice.second");
  await expect(rows).toHaveCount(2);
  await expect(rows.first()).toContainText("invoice.second");
  // The row is renewed in place.
  await expect(rows.first()).toContainText("delivered");
  await fits(page);
  await accessible(page);
  await shot(page, "deliveries-live");

  await server.publishMany("acme", Array.from({ length: 200 }, (_, number) => ({ type: `invoice.many${number}` })));
  let most = 0;
  await expect.poll(async () => {
    const [count, done] = await page.evaluate(() => {
      const rows = [...document.querySelectorAll("tbody tr")];
      return [rows.length, rows.filter((row) => row.textContent?.includes("delivered")).length] as const;
    });
    most = Math.max(most, count);
    return done;
  }, { timeout: 40_000 }).toBe(50);
  expect(most, "rows at any time").toBeLessThanOrEqual(50);
  await expect(rows).toHaveCount(50);
  await fits(page);

  await toggle.click();
  await expect(toggle).toHaveAttribute("aria-pressed", "false");
  const event = await server.publish("acme", "invoice.after");
  await receiver.got(203);
  // What comes is told at most half a second later; a look at the server tells that it would have been there.
  await expect.poll(async () => (await server.deliveries("acme", "state=delivered"))[0]?.eventId).toBe(event);
  await page.waitForFunction(() => performance.now() - ((window as any).__since ??= performance.now()) > 1500);
  await expect(page.getByText("invoice.after")).toHaveCount(0);
  expect(await page.evaluate(() => "__sameDocument" in window), "the page was never loaded again").toBe(true);
  // That rows come and push the others down is what was asked for.
  await page.evaluate(() => Object.assign(window, { __shift: { sum: 0, of: [] } }));
  await calm(page);
});
