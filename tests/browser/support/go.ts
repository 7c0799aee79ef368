// Ways through the pages, as a person takes them at any width.

import type { Page } from "@playwright/test";

/** By the navigation; where there is little room it is opened first. */
export async function go(page: Page, label: string): Promise<void> {
  const menu = page.locator("details.menu > summary");
  if (await menu.isVisible()) await menu.click();
  await page.getByRole("navigation", { name: "Pages" }).getByRole("link", { name: label, exact: true }).click();
}

/** By the box that finds anything sent. It stands on the lists of sending. */
export async function find(page: Page, text: string): Promise<void> {
  const box = page.getByRole("search", { name: "Find anything sent" });
  await box.getByLabel("Find").fill(text);
  await box.getByRole("button", { name: "Find" }).click();
}
