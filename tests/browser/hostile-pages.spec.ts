// Every text that a tenant, a receiver or a stranger may choose is from the hostile corpus: on no page does any of them do anything.

import { crawl } from "./support/crawl.ts";
import { fits } from "./support/checks.ts";
import { HOSTILE, hostileNames, nothingRan } from "./support/hostile.ts";
import { seed, type Words } from "./support/seed.ts";
import { openPortal, signIn } from "./support/sign-in.ts";
import { expect, shot, test } from "./support/test.ts";

/** In each place another one, so that together they are all of them; `from`: where to begin. */
function corpus(from: number): Words {
  let next = from;
  return (_, bytes) => {
    const short = bytes <= 200;
    const all = short ? hostileNames(bytes) : HOSTILE.filter(({ text }) => Buffer.byteLength(text) <= bytes && text.isWellFormed() && !text.includes("\u0000"));
    return all[next++ % all.length]!.text;
  };
}

// A tenant has some twenty places; three of them have had the most of the corpus.
for (const round of [0, 1, 2]) {
  test(`hostile texts stay texts on every page of a tenant (${round + 1} of 3)`, async ({ page, somebodyElse, server, receiver }) => {
    test.setTimeout(300_000);
    await seed(server, receiver, "acme", corpus(round * 21));
    const look = async () => {
      await nothingRan(page);
      await fits(page);
      // What is shown as a link leads to the web or to our own pages.
      const links = await page.locator("a[href]").evaluateAll((all) => (all as HTMLAnchorElement[]).map(({ protocol }) => protocol));
      expect(links.filter((protocol) => !["http:", "https:"].includes(protocol))).toEqual([]);
      expect(await page.locator("main script, main iframe, main style, main link, main base, main meta, main [onerror], main [onload]").count()).toBe(0);
    };
    await openPortal(page, server, "acme", "admin");
    const seen = await crawl(page, `${server.url}/portal/`, { alike: 2, look });
    expect(seen.length).toBeGreaterThan(25);
    expect(seen.filter(({ status }) => status >= 500).map(({ at }) => at)).toEqual([]);

    const operator = await somebodyElse();
    await signIn(operator, server);
    await crawl(operator, `${server.url}/dashboard/`, { max: 12, alike: 1, look: () => nothingRan(operator) });
    await page.goto(`${server.url}/portal/webhooks`);
    await shot(page, `hostile-webhooks-${round + 1}`);
  });
}
