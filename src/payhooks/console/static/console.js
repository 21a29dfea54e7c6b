// Comfort on top of pages that work without it. data-swap="#id" of a form or link fetches that
// part; data-live="url" of a part fetches it again every data-every seconds; data-copy copies;
// data-ago keeps a time relative; data-picker filters boxes, and ticks groups (data-group).
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const each = (selector, act, root) => $$(selector, root).forEach(act);
const policy = window.trustedTypes?.createPolicy("payhooks", { createHTML: (text) => text });
const trusted = (text) => (policy ? policy.createHTML(text) : text);
const say = (text) => { $("#said").textContent = text; };

function put(target, text) {
  const part = new DOMParser().parseFromString(trusted(text), "text/html").body.firstElementChild;
  const focused = document.activeElement?.id;
  target.replaceWith(part);
  if (focused && !document.activeElement?.id) document.getElementById(focused)?.focus();
  ready(part);
}

let swapped = false;
const ask = (url, options = {}) =>
  fetch(url, { ...options, headers: { "x-partial": "1", ...options.headers } });

async function swap(source, url, options) {
  const target = $(source.dataset.swap);
  if (!target) return false;
  source.setAttribute("aria-busy", "true");
  try {
    const answer = await ask(url, options);
    const go = answer.headers.get("x-go");
    if (go) location.assign(go);
    else if (answer.headers.has("x-submit")) HTMLFormElement.prototype.submit.call(source);
    else if (answer.status < 500 && answer.status !== 204) {
      put(target, await answer.text());
      if (!options.method) swapped = !history.pushState(null, "", url);
      $("[autofocus]", $(source.dataset.swap) ?? document)?.focus();
    } else say("That did not work. Try again in a moment.");
  } catch {
    say("The server cannot be reached. Nothing was changed.");
  }
  source.removeAttribute("aria-busy");
  return true;
}

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.dataset.swap || !$(form.dataset.swap)) {
    // A second click while the first is under way would do it twice.
    if (form.dataset.sent) event.preventDefault();
    if (form.method === "post") form.dataset.sent = 1;
    return;
  }
  event.preventDefault();
  const fields = new URLSearchParams(new FormData(form, event.submitter));
  const action = event.submitter?.getAttribute("formaction") || form.action;
  if (form.method === "post") swap(form, action, { method: "POST", body: fields });
  else swap(form, `${action.split("?")[0]}?${fields}`, {});
});
addEventListener("pageshow", () => each("[data-sent]", (form) => delete form.dataset.sent));
addEventListener("popstate", () => swapped && location.reload());

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-swap]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey && $(link.dataset.swap)) {
    event.preventDefault();
    swap(link, link.href, {});
  }
  const button = event.target.closest("[data-copy]");
  if (button) {
    await navigator.clipboard.writeText(button.dataset.copy);
    say("Copied.");
  }
  // Browsers that do not know invoker commands yet.
  const invoker = event.target.closest("[commandfor]");
  if (invoker && !("commandForElement" in HTMLButtonElement.prototype)) {
    const dialog = document.getElementById(invoker.getAttribute("commandfor"));
    if (invoker.getAttribute("command") === "show-modal") dialog.showModal();
    else dialog.close();
  }
});

async function live(part) {
  const { live: url, every = 3 } = part.dataset;
  let tag = "";
  while (part.isConnected) {
    await new Promise((resolve) => setTimeout(resolve, every * 1000));
    // Rows must not move under a hand or behind a back.
    if (document.hidden || part.contains(document.activeElement) || !part.isConnected) continue;
    try {
      const answer = await ask(url, { headers: { "x-live": "1", "if-none-match": tag } });
      if (answer.status === 304) continue;
      if (answer.status !== 200) return;
      const known = tag;
      tag = answer.headers.get("etag") ?? "";
      if (known) return put(part, await answer.text());
    } catch { /* The next round asks again. */ }
  }
}

function ago(time) {
  const seconds = (Date.now() - Date.parse(time.dateTime)) / 1000;
  const amount = Math.abs(seconds);
  const [unit, word] = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]].find(([unit]) => amount >= unit) ?? [1, "s"];
  const text = `${Math.floor(amount / unit)} ${word}`;
  time.textContent = amount < 5 ? "now" : seconds > 0 ? `${text} ago` : `in ${text}`;
}

function picker(box) {
  const count = () => {
    each("[data-group]", (group) => {
      const members = $$("input:not([data-group])", group.closest("fieldset"));
      const ticked = members.filter((member) => member.checked).length;
      group.checked = ticked === members.length;
      group.indeterminate = ticked > 0 && !group.checked;
    }, box);
    const chosen = $$("input:checked:not([data-group])", box).length;
    each("[data-chosen]", (place) => { place.textContent = `${chosen} selected`; });
  };
  box.addEventListener("change", ({ target }) => {
    const tick = (member) => { member.checked = target.checked; };
    if ("group" in target.dataset)
      each("label:not([hidden]) > input:not([data-group])", tick, target.closest("fieldset"));
    count();
  });
  $("[data-filter]", box)?.addEventListener("input", ({ target }) => {
    const word = target.value.toLowerCase();
    each("fieldset", (group) => {
      const lines = $$("label", group).filter((line) => !$("[data-group]", line));
      lines.forEach((line) => { line.hidden = !line.textContent.toLowerCase().includes(word); });
      group.hidden = lines.every((line) => line.hidden);
    }, box);
  });
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
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, textarea, select, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  const rows = $$("main tbody tr a:first-of-type");
  const at = rows.findIndex((link) => link.closest("tr").contains(document.activeElement));
  const act = {
    "?": () => $("#shortcuts")?.showModal(),
    "/": () => $("main input[type=search]")?.focus(),
    j: () => rows[Math.min(at + 1, rows.length - 1)]?.focus(),
    k: () => rows[Math.max(at - 1, 0)]?.focus(),
    x: () => $("input[type=checkbox]", rows[at]?.closest("tr") ?? $("#said"))?.click(),
    r: () => $("[data-key=r]")?.click(),
    c: () => $("main [data-copy]")?.click(),
  };
  if (goes && event.key !== "g") $(`[data-shortcut="${CSS.escape(event.key)}"]`)?.click();
  else if (act[event.key]) { event.preventDefault(); act[event.key](); }
  goes = event.key === "g";
});
ready(document);
setInterval(() => each("[data-ago]", ago), 10000);
