// Goes wherever the pages lead: every link, every address that a page asks by itself, every form that only looks.

import type { Page } from "@playwright/test";

/** A form that sends: where to, and what it would send as it stands. */
export interface Sends {
  action: string;
  fields: [string, string][];
}

export interface Visited {
  /** Path and query. */
  at: string;
  status: number;
  html: string;
  sends: Sends[];
}

/** Of pages that differ only in what they are about, so many are looked at. */
const ALIKE_MAX = 4;

/**
 * Visits every page below `base` that can be reached from `start`, at most `max`. With `look` each is opened, and `look` is called with it
 * open; without, pages are only asked for, which takes a tenth of the time. What only htmx asks for is asked for as well, and never opened.
 */
export async function crawl(
  page: Page,
  start: string,
  options: { max?: number; alike?: number; look?: (visited: Visited) => Promise<void> } = {},
): Promise<Visited[]> {
  const { max = 150, alike = ALIKE_MAX, look } = options;
  const origin = new URL(start).origin;
  const base = new URL(start).pathname;
  const waiting = [start];
  const known = new Set(waiting);
  const shapes = new Map<string, number>();
  const visited: Visited[] = [];
  // Where the pages are read, not what is read.
  await page.goto(start);
  while (waiting.length > 0 && visited.length < max) {
    const url = waiting.shift() as string;
    const { status, html, at } = look ? await opened(page, url) : await asked(page, url);
    const { links, parts, sends } = await page.evaluate(read, { html, url: origin + at });
    const one = { at, status, html, sends };
    visited.push(one);
    await look?.(one);
    for (const part of parts.filter(fresh)) {
      const answer = await page.request.get(part, { headers: { "hx-request": "true" } });
      visited.push({ at: part.slice(origin.length), status: answer.status(), html: await answer.text(), sends: [] });
    }
    waiting.push(...links.map((link) => link.split("#")[0] as string).filter(fresh));
  }
  return visited;

  function fresh(link: string): boolean {
    if (!URL.canParse(link)) return false;
    const { origin: there, pathname, search, searchParams } = new URL(link);
    if (there !== origin || !pathname.startsWith(base) || known.has(link)) return false;
    known.add(link);
    const names = [...new Set(searchParams.keys())].filter((name) => searchParams.get(name) !== "").sort();
    const shape = `${pathname.replace(/[a-z]{2,4}_[0-9a-z]{26}/g, "ID")}?${search && names.join("&")}`;
    const count = (shapes.get(shape) ?? 0) + 1;
    shapes.set(shape, count);
    return count <= alike;
  }
}

type Got = { at: string; status: number; html: string };

async function opened(page: Page, url: string): Promise<Got> {
  const response = await page.goto(url);
  const { pathname, search } = new URL(page.url());
  return { at: pathname + search, status: response?.status() ?? 0, html: (await response?.text()) ?? "" };
}

async function asked(page: Page, url: string): Promise<Got> {
  const response = await page.request.get(url);
  const { pathname, search } = new URL(response.url());
  return { at: pathname + search, status: response.status(), html: await response.text() };
}

/** Runs in a page. What is parsed so runs no script, and asks for nothing. */
function read({ html, url }: { html: string; url: string }): { links: string[]; parts: string[]; sends: Sends[] } {
  const parsed = new DOMParser().parseFromString(html, "text/html");
  const links: string[] = [];
  const parts: string[] = [];
  const sends: Sends[] = [];
  const whole = (address: string | null) => (URL.canParse(address ?? "", url) ? new URL(address ?? "", url).href : "");
  for (const link of parsed.querySelectorAll("a[href]")) links.push(whole(link.getAttribute("href")));
  for (const part of parsed.querySelectorAll("[hx-get]")) parts.push(whole(part.getAttribute("hx-get")));
  for (const form of parsed.querySelectorAll("form")) {
    const fields = [...new FormData(form)].map(([name, value]) => [name, String(value)] as [string, string]);
    const action = whole(form.getAttribute("action"));
    if (form.getAttribute("method") === "post") sends.push({ action: new URL(action).pathname, fields });
    else links.push(`${action.split("?")[0]}?${new URLSearchParams(fields)}`);
  }
  return { links, parts, sends };
}
