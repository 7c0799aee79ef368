// Two tenants of one installation: who is sent to the pages of one learns nothing of the other.

import { crawl } from "./support/crawl.ts";
import { seed } from "./support/seed.ts";
import { openPortal, session } from "./support/sign-in.ts";
import { expect, test } from "./support/test.ts";

test("the portal of one tenant shows nothing of another, whatever is asked for", async ({ page, somebodyElse, server, receiver }) => {
  test.setTimeout(240_000);
  await seed(server, receiver, "alpha", (place) => `Alphas ${place}`);
  const bravo = await seed(server, receiver, "bravo", (place) => `Bravos ${place}`);
  const own = /[Bb]ravo/;
  const marks = [...bravo.ids];

  await openPortal(page, server, "alpha", "admin");
  const { cookie } = await session(page);
  const seen = await crawl(page, `${server.url}/portal/`);
  expect(seen.length).toBeGreaterThan(30);
  for (const { at, html } of seen) {
    expect(html, at).not.toMatch(own);
    expect(marks.filter((mark) => html.includes(mark)), at).toEqual([]);
  }
  expect(seen.some(({ html }) => html.includes("Alphas")), "the crawl sees the tenant's own texts").toBe(true);

  // Every address that bravo's own admin comes to, and that names something of bravo's.
  const other = await somebodyElse();
  await openPortal(other, server, "bravo", "admin");
  const theirs = await crawl(other, `${server.url}/portal/`);
  const named = theirs.filter(({ at, status }) => status === 200 && marks.some((mark) => (at.split("?")[0] as string).includes(mark)));
  expect(named.length).toBeGreaterThan(10);
  for (const { at } of named) {
    const answer = await fetch(server.url + at, { redirect: "manual", headers: { cookie } });
    const html = await answer.text();
    expect(answer.status, at).toBe(404);
    expect(html.replaceAll(at, ""), at).not.toMatch(/Bravos/);
  }
  // Forms of bravo's things, with the token of alpha's session.
  const { csrf } = await session(page);
  for (const { action } of theirs.flatMap(({ sends }) => sends).filter(({ action }) => marks.some((mark) => action.includes(mark)))) {
    const body = new URLSearchParams({ csrf });
    const answer = await fetch(server.url + action, { method: "POST", redirect: "manual", headers: { cookie }, body });
    expect(answer.status, action).toBe(404);
  }
  // A filter that names what is bravo's finds nothing.
  for (const mark of marks) {
    for (const path of ["/portal/deliveries?webhook=", "/portal/search?q=", "/portal/requests?trigger=", "/portal/runs?workflow="]) {
      const html = await (await fetch(server.url + path + encodeURIComponent(mark), { headers: { cookie } })).text();
      expect(html, path + mark).not.toMatch(/Bravos/);
    }
  }
  // And the pages of the installation want another way in.
  for (const path of ["/dashboard/", "/dashboard/t/bravo/", "/dashboard/t/alpha/"]) {
    const answer = await fetch(server.url + path, { redirect: "manual", headers: { cookie } });
    expect([answer.status, answer.headers.get("location")?.split("?")[0]], path).toEqual([303, "/dashboard/login"]);
  }
});
