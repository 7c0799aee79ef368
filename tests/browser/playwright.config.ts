// How the pages are looked at: in Debian's Chromium, at a desktop's width and at a phone's.

import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";

import { defineConfig } from "@playwright/test";

import { ARTEFACTS } from "./support/artefacts.ts";

export default defineConfig({
  testDir: ".",
  outputDir: join(ARTEFACTS, "results"),
  // Several pages each, every one of them looked at by axe in both lights, on a machine that may have other work.
  timeout: 180_000,
  expect: { timeout: 10_000 },
  // As many as the smallest machine that this runs on has processors. Each test has a server of its own.
  workers: 2,
  fullyParallel: true,
  // A test that holds only the second time does not hold.
  retries: 0,
  forbidOnly: true,
  reporter: "list",
  use: {
    launchOptions: {
      executablePath: chromium(),
      // Its sandbox cannot be had by root, and is wanted by everybody else.
      chromiumSandbox: process.getuid?.() !== 0,
    },
    locale: "en-US",
    timezoneId: "UTC",
    // What moves is not waited for, and looks the same in every screenshot.
    contextOptions: { reducedMotion: "reduce" },
    actionTimeout: 10_000,
    navigationTimeout: 20_000,
    trace: "retain-on-failure",
    screenshot: "only-on-failure",
  },
  projects: [
    { name: "desktop", use: { viewport: { width: 1280, height: 900 } } },
    {
      name: "phone",
      // The tools see the same at any width.
      testIgnore: ["checks.spec.ts", "hostile.spec.ts"],
      use: { viewport: { width: 360, height: 780 }, hasTouch: true, isMobile: true },
    },
  ],
});

/** The first `chromium` in PATH: a path is what Playwright wants. */
function chromium(): string {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    const path = join(folder, "chromium");
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // The next one.
    }
  }
  throw new Error("There is no chromium in PATH. On Debian: sudo apt-get install --yes chromium");
}
