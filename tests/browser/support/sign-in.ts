// Ways in: as an operator to the dashboard, and by a link to the portal of one tenant.

import { expect, type Page } from "@playwright/test";

import { OPERATOR_KEY, type Server } from "./server.ts";

/** How the portal looks: what `POST /v1/portal-sessions` takes beside the role. */
export interface Look {
  name?: string;
  logo?: string;
  accent?: string;
  language?: "en" | "de";
  origins?: string[];
}

/** With a key, an operator's when none is given. */
export async function signIn(page: Page, server: Server, key = OPERATOR_KEY): Promise<void> {
  await page.goto(`${server.url}/dashboard/login`);
  await page.getByLabel("API key").fill(key);
  await page.getByRole("button", { name: "Sign in" }).click();
  await expect(page.getByRole("heading", { level: 1 })).not.toHaveText("Sign in");
}

/** As a person whom the product sends to the portal. */
export async function openPortal(page: Page, server: Server, tenant: string, role: "admin" | "viewer", look: Look = {}): Promise<void> {
  const { url } = await server.api("POST", "/v1/portal-sessions", { role, ...look }, { tenant });
  await page.goto(url);
  await expect(page).toHaveURL(`${server.url}/portal/`);
}

/** What a program would need to speak as this page's session: the cookies, and the token of its forms. */
export async function session(page: Page): Promise<{ cookie: string; csrf: string }> {
  const cookies = await page.context().cookies(page.url());
  const csrf = await page.locator('input[name="csrf"]').first().inputValue();
  return { cookie: cookies.map(({ name, value }) => `${name}=${value}`).join("; "), csrf };
}
