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

test("a browser shows the portal in a page of the site that it names, and in no other", async ({ page, server }) => {
  await server.tenant("acme");
  // Pages of two sites that a product could be. The frame's address is on the same machine, as sessions over plain http must be.
  const { url } = await server.api("POST", "/v1/portal-sessions", { role: "viewer", origins: ["http://product.localhost:9"] }, { tenant: "acme" });
  for (const site of ["http://product.localhost:9", "http://other.localhost:9"]) {
    await page.route(`${site}/`, (route) => route.fulfill({ contentType: "text/html", body: `<!doctype html><title>x</title><iframe src="${url}"></iframe>` }));
  }
  const shown = async (site: string) => {
    const portal = page.waitForResponse((response) => response.url() === url);
    await page.goto(`${site}/`);
    expect((await portal).headers()["content-security-policy"]).toContain("frame-ancestors");
    return page.frames()[1];
  };
  const frame = await shown("http://other.localhost:9");
  await expect.poll(() => frame?.url()).toMatch(/^chrome-error:/);
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
