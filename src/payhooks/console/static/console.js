// Comfort on top of pages that work without it. data-swap="#id" of a form or link fetches that
// part; data-live="url" of a part fetches it again every data-every seconds; data-copy copies;
// data-ago keeps a time relative; data-picker filters boxes and ticks groups (data-group).
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const each = (selector, act, root) => $$(selector, root).forEach(act);
const on = (type, act, target = document) => target.addEventListener(type, act);
const say = (text) => { $("#said").textContent = text; };
const html = window.trustedTypes?.createPolicy("payhooks", { createHTML: (text) => text });
const ask = (url, options = {}) =>
  fetch(url, { ...options, headers: { "x-partial": "1", ...options.headers } });
let swapped = false;

function put(target, text) {
  const parsed = new DOMParser().parseFromString(html ? html.createHTML(text) : text, "text/html");
  const part = parsed.body.firstElementChild;
  const focused = document.activeElement.id;
  target.replaceWith(part);
  if (focused) document.getElementById(focused)?.focus();
  ready(part);
}

async function swap(source, url, options = {}) {
  const id = source.dataset.swap;
  source.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(url, options);
    if (answer.headers.has("x-go")) location.assign(answer.headers.get("x-go"));
    else if (answer.headers.has("x-submit")) {
      source.action = url;
      HTMLFormElement.prototype.submit.call(source);
    }
    else if (answer.status >= 500) say("That did not work. Try again in a moment.");
    else {
      put($(id), await answer.text());
      if (!options.method) swapped = !history.pushState(null, "", url);
      $(id)?.querySelector("[autofocus]")?.focus();
    }
  } catch {
    say("The server cannot be reached. Try again in a moment.");
  }
  source.removeAttribute("aria-busy");
}

on("submit", (event) => {
  const form = event.target;
  const post = form.method === "post";
  if (!form.dataset.swap || !$(form.dataset.swap)) {
    // A second click while the first is under way would do it twice.
    if (form.dataset.sent) event.preventDefault();
    if (post) form.dataset.sent = 1;
    return;
  }
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  const action = event.submitter?.getAttribute("formaction") || form.action;
  if (post) swap(form, action, { method: "POST", body: fields });
  else swap(form, `${action.split("?")[0]}?${fields}`);
});
on("pageshow", () => each("[data-sent]", (form) => delete form.dataset.sent), window);
on("popstate", () => swapped && location.reload(), window);

on("click", async (event) => {
  const closest = (selector) => event.target.closest(selector);
  const link = closest("a[data-swap]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && $(link.dataset.swap)) {
    event.preventDefault();
    swap(link, link.href);
  }
  const copy = closest("[data-copy]");
  if (copy) navigator.clipboard.writeText(copy.dataset.copy).then(() => say("Copied."));
  // Browsers that do not know invoker commands yet.
  const opener = closest("[commandfor]");
  if (opener && !("commandForElement" in opener)) {
    const dialog = document.getElementById(opener.getAttribute("commandfor"));
    dialog[opener.getAttribute("command") === "close" ? "close" : "showModal"]();
  }
});

// Escape closes as the Close button does, which may ask first.
addEventListener("cancel", (event) => {
  const close = $("[data-closes]", event.target);
  if (close) event.preventDefault();
  close?.click();
}, true);

async function live(part) {
  let tag = "";
  while (part.isConnected) {
    await new Promise((resolve) => setTimeout(resolve, (part.dataset.every || 3) * 1000));
    // Rows must not move under a hand, nor behind a back.
    if (document.hidden || part.contains(document.activeElement) || !part.isConnected) continue;
    const headers = { "x-live": "1", "if-none-match": tag };
    const answer = await ask(part.dataset.live, { headers }).catch(() => null);
    if (!answer || answer.status === 304) continue;
    if (answer.status !== 200) return;
    if (tag || "eager" in part.dataset) put(part, await answer.text());
    tag = answer.headers.get("etag") || "";
  }
}

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function ago(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  const amount = Math.abs(seconds);
  const [unit, word] = UNITS.find(([size]) => amount >= size) || UNITS[3];
  const text = `${Math.floor(amount / unit)} ${word}`;
  time.textContent = amount < 5 ? "now" : seconds > 0 ? `${text} ago` : `in ${text}`;
}

function picker(box) {
  const one = "input[type=checkbox]:not([data-group])";
  const count = () => {
    each("[data-group]", (group) => {
      const members = $$(one, group.closest("fieldset"));
      const ticked = members.filter((member) => member.checked).length;
      group.checked = ticked === members.length;
      group.indeterminate = ticked > 0 && !group.checked;
    }, box);
    const words = `${$$(`${one}:checked`, box).length} selected`;
    each("[data-chosen]", (place) => { place.textContent = words; });
  };
  on("change", ({ target }) => {
    const tick = (member) => { member.checked = target.checked; };
    if ("group" in target.dataset)
      each(`label:not([hidden]) > ${one}`, tick, target.closest("fieldset"));
    count();
  }, box);
  on("input", ({ target }) => {
    if (!("filter" in target.dataset)) return;
    const word = target.value.toLowerCase();
    each("fieldset", (group) => {
      const lines = $$("label", group).filter((line) => $(one, line));
      lines.forEach((line) => { line.hidden = !line.textContent.toLowerCase().includes(word); });
      group.hidden = lines.every((line) => line.hidden);
    }, box);
  }, box);
  count();
}

function ready(root) {
  const all = (selector, act) => {
    if (root.matches?.(selector)) act(root);
    each(selector, act, root);
  };
  all("[data-copy]", (button) => { button.hidden = !navigator.clipboard; });
  all("[data-script]", (part) => { part.hidden = false; });
  all("[data-live]", live);
  all("[data-picker]", picker);
  all("dialog[data-open]", (dialog) => dialog.showModal());
}

let goes = false;
on("keydown", (event) => {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || !$("#shortcuts")) return;
  if (target.closest("textarea, select, dialog, input:not([type=checkbox])")) return;
  const rows = $$("main tbody tr");
  const at = rows.findIndex((row) => row.contains(document.activeElement));
  const move = (to) => $("a", rows[Math.max(0, Math.min(to, rows.length - 1))])?.focus();
  const act = {
    "?": () => $("#shortcuts").showModal(),
    "/": () => $("main input[type=search]")?.focus(),
    j: () => rows.length && move(at + 1),
    k: () => rows.length && move(at - 1),
    x: () => at >= 0 && $("input[type=checkbox]", rows[at])?.click(),
    r: () => $("[data-key=r]")?.click(),
    c: () => $("main [data-copy]")?.click(),
  }[key];
  if (goes) $(`[data-shortcut="${CSS.escape(key)}"]`)?.click();
  else if (act) { event.preventDefault(); act(); }
  goes = key === "g" && !goes;
});
ready(document);
setInterval(() => each("[data-ago]", ago), 10000);
