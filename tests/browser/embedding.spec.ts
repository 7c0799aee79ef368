// The portal inside a page of the product: where its link says so, and nowhere else.

import { openPortal } from "./support/sign-in.ts";
import { expect, test } from "./support/test.ts";

test("only the sites that a link names may frame its pages", async ({ page, server }) => {
  await server.tenant("acme");
  for (const [origins, ancestors, option] of [
    [[], "'none'", "DENY"],
    [["https://app.example.com", "https://other.example"], "https://app.example.com https://other.example", undefined],
  ] as const) {
    await page.context().clearCookies();
    await openPortal(page, server, "acme", "viewer", { origins: [...origins] });
    const headers = (await page.reload())?.headers() ?? {};
    expect(headers["content-security-policy"]).toContain(`frame-ancestors ${ancestors}`);
    expect(headers["content-security-policy"]).not.toContain("unsafe");
    expect(headers["x-frame-options"]).toBe(option);
  }
  const door = await page.request.get(`${server.url}/dashboard/login`);
  expect(door.headers()["content-security-policy"]).toContain("frame-ancestors 'none'");
});

test("a browser shows the portal in a page of the site that it names, and in no other", async ({ page, server, receiver }) => {
  await server.tenant("acme");
  // Over plain http a cookie goes only to frames of the same site: another port of localhost is one.
  const here = new URL(receiver.url("/")).port;
  for (const [site, shown] of [[`http://localhost:${here}`, true], ["http://localhost:9", false]] as const) {
    const { url } = await server.api("POST", "/v1/portal-sessions", { role: "viewer", name: "Our product", origins: [site] }, { tenant: "acme" });
    const there = url.replace("127.0.0.1", "localhost");
    receiver.answers({ headers: { "content-type": "text/html" }, body: `<!doctype html><title>x</title><iframe src="${there}" width="600" height="600"></iframe>` });
    await page.goto(`http://localhost:${here}/`);
    const frame = page.frameLocator("iframe");
    if (shown) {
      await expect(frame.getByRole("heading", { level: 1 })).toBeVisible();
      // What is over is said in the frame, not by the browser.
      await frame.getByRole("button", { name: "Sign out" }).click();
      await expect(frame.getByText("This session is over.")).toBeVisible();
      await page.goto(`http://localhost:${here}/`);
      await expect(frame.getByText("This link has ended or was revoked.")).toBeVisible();
    } else await expect.poll(() => page.frames()[1]?.url()).toMatch(/^chrome-error:/);
  }
});

test("nobody is let in by a link of another host's making", async ({ page, server }) => {
  await server.tenant("acme");
  for (const origins of [["https://app.example.com/path"], ["javascript:alert(1)"], ["*"], ["https://a.example; script-src *"], ["https://a.example\r\nx: y"]]) {
    const answer = await server.ask("POST", "/v1/portal-sessions", { role: "viewer", origins }, { tenant: "acme" });
    expect(answer.status, origins[0]).toBeGreaterThanOrEqual(400);
  }
  await page.goto(`${server.url}/portal/open/not-a-token`);
  await expect(page.getByText("This link has ended or was revoked.")).toBeVisible();
});
