// Somebody who has just been sent to the portal, and owns no receiver: until the first delivery that is seen to be genuine.

import { sound } from "./support/checks.ts";
import { openPortal } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

const CLICKS_MAX = 8;
const MS_MAX = 60_000;

test("from nothing to a verified delivery takes few clicks, a minute, and no receiver", async ({ page, server }) => {
  // Beside the looks at each page, which a person does not take.
  test.setTimeout(120_000);
  let clicks = 0;
  let looking = 0;
  await page.context().exposeBinding("__clicked", () => void (clicks += 1));
  await page.context().addInitScript(() => {
    addEventListener("pointerdown", (event) => event.isTrusted && (window as unknown as { __clicked(): void }).__clicked(), true);
  });
  const looked = async (name: string) => {
    const began = Date.now();
    await sound(page);
    await shot(page, `first-webhook-${name}`);
    looking += Date.now() - began;
  };
  await server.tenant("acme");
  const began = Date.now();
  await openPortal(page, server, "acme", "admin");
  await expect(page.getByRole("heading", { name: "No webhook yet" })).toBeVisible();
  await looked("1-start");

  await page.getByRole("link", { name: "Create a webhook" }).click();
  await expect(page.getByRole("heading", { name: "New webhook", level: 1 })).toBeVisible();
  await looked("2-form");
  await page.getByRole("button", { name: "Use an inbox as the receiver" }).click();
  await expect(page.getByLabel("URL", { exact: true })).toHaveValue(/\/inbox\//);
  await page.getByLabel("Every event, also of types to come").check();
  // What saving would say is said while the form is filled in.
  await expect(page.getByText("Nothing would be refused.")).toBeVisible();
  await looked("3-filled");
  await page.getByRole("button", { name: "Create the webhook" }).click();
  await expect(page.getByRole("region", { name: "Signing secret" })).toContainText(/^whsec_/);
  await looked("4-made");

  await page.getByRole("link", { name: "Send a test event" }).click();
  await page.getByLabel("Event type").fill("order.created");
  await page.getByRole("button", { name: "Use this type" }).click();
  await page.getByLabel("Data").fill('{"id": 17}');
  await looked("5-test");
  await page.getByRole("button", { name: "Send it now" }).click();
  await expect(page.getByText("The receiver accepted it.")).toBeVisible();
  const sentAfter = clicks;
  await looked("6-sent");

  await page.getByRole("main").getByRole("link", { name: "See it in the inbox" }).click();
  await expect(page.getByText("Verified: the signature holds")).toBeVisible();
  const took = Date.now() - began - looking;
  await looked("7-verified");

  console.log(`first webhook: ${clicks} clicks (${sentAfter} until the event was sent), ${took} ms without the looks`);
  expect(clicks, "clicks").toBeLessThanOrEqual(CLICKS_MAX);
  expect(took, "ms without the looks").toBeLessThanOrEqual(MS_MAX);
});
