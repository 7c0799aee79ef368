// What a spec imports: Playwright's `test` with a Postrider, a receiver, and a page that is watched from its first byte.

import { type BrowserContext, type Page, test as base } from "@playwright/test";

import { Receiver } from "./receiver.ts";
import { Server } from "./server.ts";
import { watch } from "./watch.ts";

type Fixtures = {
  /** A Postrider of this test's own, empty. */
  server: Server;
  /** Where its webhooks can deliver to. */
  receiver: Receiver;
  /** A page of somebody else: with cookies of their own, watched as well. */
  somebodyElse: () => Promise<Page>;
};

export const test = base.extend<Fixtures>({
  server: async ({}, use) => {
    const server = await Server.start();
    await use(server);
    await server.stop();
  },
  receiver: async ({}, use) => {
    const receiver = await Receiver.start();
    await use(receiver);
    await receiver.stop();
  },
  context: async ({ context }, use) => {
    await watch(context);
    await use(context);
  },
  somebodyElse: async ({ browser }, use) => {
    const opened: BrowserContext[] = [];
    await use(async () => {
      const context = await browser.newContext();
      opened.push(context);
      await watch(context);
      return context.newPage();
    });
    for (const context of opened) await context.close();
  },
});

export { expect } from "@playwright/test";
export { shot } from "./artefacts.ts";
