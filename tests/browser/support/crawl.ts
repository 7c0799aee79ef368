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
 * Visits every page below `base` that can be reached from `start`, at most `max`. `look` is called with the page open. Parts of pages,
 * which only htmx asks for, are asked for as well and given without being opened.
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
  while (waiting.length > 0 && visited.length < max) {
    const url = waiting.shift() as string;
    const response = await page.goto(url, { waitUntil: "load" });
    const sends = await page.locator("form").evaluateAll((forms) =>
      (forms as HTMLFormElement[]).filter((form) => form.method === "post").map((form) => ({
        // An attribute: a field may be called "action".
        action: new URL(form.getAttribute("action") ?? "", location.href).pathname,
        fields: [...new FormData(form)].map(([name, value]) => [name, String(value)] as [string, string]),
      })));
    const html = (await response?.text().catch(() => "")) || (await page.content());
    const { pathname, search } = new URL(page.url());
    const one = { at: pathname + search, status: response?.status() ?? 0, html, sends };
    visited.push(one);
    await look?.(one);
    const { links, parts } = await page.evaluate(() => ({
      links: [
        ...[...document.querySelectorAll("a[href]")].map((link) => (link as HTMLAnchorElement).href),
        ...[...document.querySelectorAll("form")].filter((form) => form.method === "get").map((form) => {
          const fields = new URLSearchParams([...new FormData(form)].map(([name, value]) => [name, String(value)]));
          return `${new URL(form.getAttribute("action") ?? "", location.href)}?${fields}`;
        }),
      ],
      parts: [...document.querySelectorAll("[hx-get]")].map((element) => new URL(element.getAttribute("hx-get") ?? "", location.href).href),
    }));
    for (const part of parts.filter((part) => fresh(part))) {
      const answer = await page.request.get(part, { headers: { "hx-request": "true" } });
      visited.push({ at: part.slice(origin.length), status: answer.status(), html: await answer.text(), sends: [] });
    }
    waiting.push(...links.map((link) => link.split("#")[0] as string).filter((link) => fresh(link)));
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
