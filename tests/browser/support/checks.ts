// What holds for every page. Each check fails with what a person needs to mend the page, and `checks.spec.ts` sees that it can fail.

import { expect, type Page, type Response } from "@playwright/test";
import axe, { type AxeResults, type RunOptions } from "axe-core";

import { notes } from "./watch.ts";

/** Compressed, of one page. */
const PAGE_BYTES_MAX = 100 * 1024;
/** Below what anybody sees, above what rounding leaves. */
const SHIFT_MAX = 0.01;
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa", "best-practice"];

/** axe finds nothing, light or dark. */
export async function accessible(page: Page): Promise<void> {
  const faults: string[] = [];
  expect(page.frames(), "axe looks at the page alone, and at no frame in it").toHaveLength(1);
  await fold(page);
  await page.evaluate(axe.source);
  for (const colorScheme of ["light", "dark"] as const) {
    await page.emulateMedia({ colorScheme });
    // The light decides about colours only.
    const runOnly = colorScheme === "light" ? { type: "tag" as const, values: RULES } : { type: "rule" as const, values: ["color-contrast"] };
    const { violations } = await page.evaluate(
      (options) => (window as unknown as { axe: { run(options: RunOptions): Promise<AxeResults> } }).axe.run(options),
      { runOnly, resultTypes: ["violations" as const] },
    );
    for (const { id, help, nodes } of violations) {
      for (const node of nodes) {
        const why = node.failureSummary?.split("\n").slice(1).map((line) => line.trim()).join("; ");
        faults.push(`${colorScheme}: ${id}: ${help}\n    at   ${node.target.join(" ")}\n    is   ${node.html}\n    mend ${why ?? ""}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await unfold(page);
  expect(faults, told(`axe finds faults on ${page.url()}`, faults)).toEqual([]);
}

/** Takes out what lies in closed details: nobody meets it there, axe passes over it, and needs most of its time for that. */
async function fold(page: Page): Promise<void> {
  await page.evaluate(() => {
    const folded: [Element, Node[]][] = [];
    for (const details of document.querySelectorAll("details:not([open])")) {
      const inside = [...details.childNodes].filter((node) => node.nodeName !== "SUMMARY");
      for (const node of inside) node.remove();
      folded.push([details, inside]);
    }
    (window as unknown as { __folded: typeof folded }).__folded = folded;
  });
}

async function unfold(page: Page): Promise<void> {
  await page.evaluate(() => {
    const { __folded } = window as unknown as { __folded: [Element, Node[]][] };
    for (const [details, inside] of __folded) details.append(...inside);
  });
}

/** Nothing moved after it was painted, and nothing was complained of: no error, no policy violated, no request failed or refused. */
export async function calm(page: Page, expected: { statuses?: number[] } = {}): Promise<void> {
  // Two frames: what was laid out has been painted and measured.
  await page.evaluate(() => new Promise<void>((done) => requestAnimationFrame(() => requestAnimationFrame(() => done()))));
  const shift = await page.evaluate(() => (window as unknown as { __shift: { sum: number; of: string[] } }).__shift);
  const moved = shift.sum < SHIFT_MAX ? [] : [`the layout shifted by ${shift.sum.toFixed(4)}: ${shift.of.join("\n    ")}`];
  const statuses = expected.statuses ?? [];
  const foreseen = (text: string, status?: number) => statuses.some((one) => status === one || text.includes(`status of ${one}`));
  const noted = notes(page.context(), "console", "error", "policy", "failed", "status");
  const faults = noted.filter(({ text, status }) => !foreseen(text, status)).map(({ kind, text }) => `${kind}: ${text}`);
  expect([...moved, ...faults], told(`the page is not calm: ${page.url()}`, [...moved, ...faults])).toEqual([]);
}

/** Nobody has to scroll sideways. */
export async function fits(page: Page): Promise<void> {
  const width = page.viewportSize()?.width ?? 0;
  const wide = await page.evaluate((width) => {
    const root = document.documentElement;
    if (Math.max(root.scrollWidth, document.body.scrollWidth) <= width) return [];
    const beyond = [...document.body.querySelectorAll("*")].filter((element) => element.getBoundingClientRect().right > width + 1);
    // Of the innermost ones those that reach farthest are what has to be mended.
    const innermost = beyond.filter((element) => !beyond.some((other) => other !== element && element.contains(other)));
    innermost.sort((one, other) => other.getBoundingClientRect().right - one.getBoundingClientRect().right);
    return [`the page is ${root.scrollWidth} wide`, ...innermost.slice(0, 10).map((element) => element.outerHTML.slice(0, 300))];
  }, width);
  expect(wide, told(`the page is wider than ${width}: ${page.url()}`, wide)).toEqual([]);
}

/** All of that, of a page that somebody comes through. */
export async function sound(page: Page, expected: { statuses?: number[] } = {}): Promise<void> {
  await fits(page);
  await accessible(page);
  await calm(page, expected);
}

/** A page's document takes at most 100 KiB on the wire, however much is stored. */
export async function weight(response: Response | null): Promise<void> {
  if (!response) throw new Error("there is no response: page.goto gives none where only the fragment changes");
  const { responseBodySize } = await response.request().sizes();
  expect(responseBodySize, `bytes of ${response.url()} on the wire`).toBeLessThanOrEqual(PAGE_BYTES_MAX);
}

function told(what: string, faults: string[]): string {
  return `${what}\n  ${faults.join("\n  ")}\n`;
}
