// What pages do beyond what they say: copy buttons, times that move, lists that follow what happens. Every page reads and every
// form works without it.
"use strict";
(() => {
  const said = document.getElementById("said");
  const say = (text) => { if (said) said.textContent = text; };

  const span = (ms) => {
    const s = Math.max(0, Math.round(ms / 1000));
    if (s < 60) return `${s} s`;
    if (s < 3600) return s % 60 ? `${Math.floor(s / 60)} min ${s % 60} s` : `${s / 60} min`;
    if (s < 172800) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
    return `${Math.floor(s / 86400)} d`;
  };

  // Times stand as they were when the page was made; from then on they move, in the words of their attributes.
  const skew = (() => {
    const made = document.querySelector("meta[name=made-at]");
    return made ? Date.parse(made.content) - Date.now() : 0;
  })();
  const tick = () => {
    const now = Date.now() + skew;
    for (const time of document.querySelectorAll("time[data-countdown]")) {
      const left = Date.parse(time.dateTime) - now;
      time.textContent = left > 0 ? time.dataset.countdown.replace("{}", span(left)) : time.dataset.now;
    }
    for (const time of document.querySelectorAll("time[data-ago]")) {
      const ago = now - Date.parse(time.dateTime);
      if (ago >= 1000) time.textContent = time.dataset.ago.replace("{}", span(ago));
    }
  };
  setInterval(tick, 1000);

  const ready = (root) => {
    for (const button of root.querySelectorAll("button[data-copy]")) button.hidden = false;
    for (const only of root.querySelectorAll("[data-with-script]")) only.hidden = false;
    for (const without of root.querySelectorAll("[data-without-script]")) without.hidden = true;
  };
  ready(document);
  document.addEventListener("htmx:afterSettle", (event) => ready(event.target));

  document.addEventListener("click", async (event) => {
    const copy = event.target.closest("button[data-copy]");
    if (copy) {
      const code = copy.closest("figure").querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        // Not over plain http, and not in every frame: then it is marked, to be copied by hand.
        getSelection().selectAllChildren(code);
        say(copy.dataset.marked);
        return;
      }
      say(copy.dataset.copied);
      const label = copy.textContent;
      copy.textContent = copy.dataset.copied;
      setTimeout(() => { copy.textContent = label; }, 1500);
      return;
    }
    const all = event.target.closest("input[data-select-all]");
    if (all) for (const box of document.querySelectorAll(`input[name="${CSS.escape(all.dataset.selectAll)}"]`)) box.checked = all.checked;
  });

  document.addEventListener("change", (event) => {
    if (event.target.matches("[data-submits]")) event.target.form.requestSubmit();
  });

  document.addEventListener("submit", (event) => {
    const question = event.submitter && event.submitter.dataset.confirm;
    if (question && !window.confirm(question)) event.preventDefault();
  });

  // A list that follows: the server sends rows, newest first, at most once in half a second.
  for (const list of document.querySelectorAll("[data-live]")) {
    const keep = Number(list.dataset.liveKeep || 50);
    const toggle = document.querySelector("[data-live-toggle]");
    const status = document.querySelector("[data-live-status]");
    let source = null;
    const stop = () => { if (source) source.close(); source = null; };
    const start = () => {
      stop();
      source = new EventSource(list.dataset.live);
      source.addEventListener("rows", (event) => {
        const rows = document.createElement("template");
        rows.innerHTML = event.data;
        for (const row of [...rows.content.children].reverse()) {
          const there = row.id && document.getElementById(row.id);
          if (there) {
            const box = there.querySelector("input[type=checkbox]");
            const renewed = row.querySelector("input[type=checkbox]");
            if (box && renewed) renewed.checked = box.checked;
            there.replaceWith(row);
          }
          else { row.classList.add("fresh"); list.prepend(row); }
        }
        while (list.children.length > keep) list.lastElementChild.remove();
        ready(list);
      });
      const over = () => {
        stop();
        if (toggle) toggle.setAttribute("aria-pressed", "false");
        if (status) status.textContent = status.dataset.over || "";
      };
      source.addEventListener("end", over);
      // A refusal closes it; what was only cut off is tried again by the browser.
      source.addEventListener("error", () => { if (source && source.readyState === EventSource.CLOSED) over(); });
    };
    if (toggle) {
      toggle.hidden = false;
      toggle.addEventListener("click", () => {
        const on = toggle.getAttribute("aria-pressed") !== "true";
        toggle.setAttribute("aria-pressed", String(on));
        if (on) start(); else { stop(); if (status) status.textContent = ""; }
      });
      if (toggle.getAttribute("aria-pressed") === "true") start();
    } else start();
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) stop();
      else if (!toggle || toggle.getAttribute("aria-pressed") === "true") start();
    });
  }
})();
