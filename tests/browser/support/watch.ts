// Notes what goes wrong in a browser context while nobody looks: from the first byte of every page, for `checks.ts` and `hostile.ts` to read.

import type { BrowserContext, Page } from "@playwright/test";

/** What a note is of. `shift` is read from the page instead: it grows as long as the page lives. */
export type Kind = "console" | "error" | "policy" | "failed" | "status" | "dialog" | "pwned" | "request";

export interface Note {
  kind: Kind;
  text: string;
  page: Page | null;
  /** Of `status`. */
  status?: number;
}

const NOTES = new WeakMap<BrowserContext, Note[]>();

/** Begins to watch. Pages opened before this are not seen. */
export async function watch(context: BrowserContext): Promise<void> {
  const notes: Note[] = [];
  NOTES.set(context, notes);
  context.on("console", (message) => {
    if (message.type() !== "error") return;
    const { url } = message.location();
    notes.push({ kind: "console", text: `${message.text()}${url && ` (${url})`}`, page: message.page() });
  });
  context.on("weberror", (error) => notes.push({ kind: "error", text: String(error.error()), page: error.page() }));
  context.on("request", (request) => notes.push({ kind: "request", text: request.url(), page: null }));
  context.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "failed";
    // Streams and requests under way are dropped when somebody goes to another page, which is no fault.
    if (why !== "net::ERR_ABORTED") notes.push({ kind: "failed", text: `${request.method()} ${request.url()}: ${why}`, page: null });
  });
  context.on("response", (response) => {
    const status = response.status();
    if (status >= 400) notes.push({ kind: "status", status, text: `${response.request().method()} ${response.url()}: ${status}`, page: null });
  });
  await context.exposeBinding("__note", ({ page }, kind: Kind, text: string) => void notes.push({ kind, text, page }));
  await context.addInitScript(observe);
}

export function notes(context: BrowserContext, ...kinds: Kind[]): Note[] {
  const all = NOTES.get(context);
  if (!all) throw new Error("this context is not watched: call watch(context) before its first page");
  return all.filter((note) => kinds.includes(note.kind));
}

/** Runs in the page, before its own scripts and beyond the reach of its policy. */
function observe(): void {
  const own = window as unknown as {
    __note(kind: Kind, text: string): void;
    __shift: { sum: number; of: string[] };
    alert(message?: unknown): void;
  };
  addEventListener("securitypolicyviolation", (event) =>
    own.__note("policy", `${event.effectiveDirective} blocked ${event.blockedURI} at ${event.sourceFile}:${event.lineNumber} ${event.sample}`));

  own.__shift = { sum: 0, of: [] };
  const shifts = new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) {
      const shift = entry as PerformanceEntry & { value: number; hadRecentInput: boolean; sources: { node: Node | null }[] };
      // What follows a click is wanted.
      if (shift.hadRecentInput) continue;
      own.__shift.sum += shift.value;
      for (const { node } of shift.sources) {
        const element = node instanceof Element ? node : node?.parentElement;
        own.__shift.of.push(element?.outerHTML.slice(0, 200) ?? "something that is gone");
      }
    }
  });
  shifts.observe({ type: "layout-shift", buffered: true });

  // Whoever sets it has run, even if the page is another one a moment later.
  Object.defineProperty(window, "__pwned", { set: (by: unknown) => own.__note("pwned", `${String(by)} on ${location.href}`) });
  for (const name of ["alert", "confirm", "prompt"] as const) {
    const original = window[name].bind(window) as (...words: unknown[]) => unknown;
    Object.defineProperty(window, name, {
      value: (...words: unknown[]) => {
        own.__note("dialog", `${name}(${words.map(String).join(", ")})`);
        return original(...words);
      },
    });
  }
}
