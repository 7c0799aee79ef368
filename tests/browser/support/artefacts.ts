// What a run leaves behind for people: pictures of the pages, and a trace of each failure. Nothing of it is kept in the repository.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { type Page, test } from "@playwright/test";

export const ARTEFACTS = fileURLToPath(new URL("../../../target/browser", import.meta.url));

/** The whole page as it stands, light and dark: `target/browser/screenshots/{project}/{name}-{light|dark}.png`. */
export async function shot(page: Page, name: string): Promise<void> {
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    const path = join(ARTEFACTS, "screenshots", test.info().project.name, `${name}-${colorScheme}.png`);
    await page.screenshot({ path, fullPage: true, animations: "disabled", caret: "hide" });
  }
  await page.emulateMedia({ colorScheme: null });
}
