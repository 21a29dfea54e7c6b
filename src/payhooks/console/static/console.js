// Comfort for pages that work without it, as data- attributes say.
const $ = (css, root = document) => root.querySelector(css);
const $$ = (css, root = document) => [...root.querySelectorAll(css)];
const each = (css, act, root) => $$(css, root).forEach(act);
const on = (type, act, root = document) => root.addEventListener(type, act, true);
const say = (text) => ($("#said").textContent = text);
const html = window.trustedTypes?.createPolicy("payhooks", { createHTML: String });
const ask = (url, init, more) =>
	fetch(url, { ...init, headers: { "x-partial": "1", ...more } });
let swapped;

function put(target, text, tag = "") {
	const page = new DOMParser().parseFromString(html?.createHTML(text) ?? text, "text/html");
	const part = page.body.firstElementChild;
	const focused = document.activeElement.id;
	part.dataset.tag = tag;
	target.replaceWith(part);
	document.getElementById(focused)?.focus();
	ready(part);
}

async function swap(source, url, init) {
	const id = source.dataset.swap;
	source.ariaBusy = "true";
	try {
		const answer = await ask(url, init);
		const go = answer.headers.get("x-go");
		if (go) location = go;
		else if (answer.headers.has("x-submit")) {
			source.action = url;
			source.submit();
		} else if (answer.status >= 500) throw answer;
		else {
			put($(id), await answer.text());
			if (!init) swapped = !history.pushState(null, "", url);
			$(`${id} [autofocus]`)?.focus();
		}
	} catch {
		say("That did not work. Try again.");
	}
	source.ariaBusy = null;
}

on("submit", (event) => {
	const { target: form, submitter } = event;
	const swaps = $(form.dataset.swap);
	// A second click would do it twice.
	if (form.dataset.sent || swaps) event.preventDefault();
	if (swaps) {
		const body = new URLSearchParams(new FormData(form, submitter));
		swap(form, submitter?.getAttribute("formaction") || form.action, { method: "POST", body });
	} else if (form.method === "post") form.dataset.sent = 1;
});
on("pageshow", () => each("[data-sent]", (form) => delete form.dataset.sent), window);
on("popstate", () => swapped && location.reload(), window);

on("click", (event) => {
	const closest = (css) => event.target.closest(css);
	const link = closest("a[data-swap]");
	if ($(link?.dataset.swap) && !(event.ctrlKey || event.metaKey || event.shiftKey))
		swap(link, link.href, event.preventDefault());
	const text = closest("[data-copy]")?.dataset.copy;
	if (text) navigator.clipboard.writeText(text).then(() => say("Copied."));
	// No invoker commands.
	const by = closest("[commandfor]");
	if (by && !("commandForElement" in by)) {
		const dialog = $(`#${by.getAttribute("commandfor")}`);
		by.matches("[command=close]") ? dialog.close() : dialog.showModal();
	}
});

// Escape is the Close button, which may ask.
on("cancel", (event) => {
	const close = $("[data-closes]", event.target);
	if (close) close.click(event.preventDefault());
});

async function live(part) {
	while (part.isConnected) {
		await new Promise((done) => setTimeout(done, part.dataset.every * 1e3));
		// Rows must not move under a hand.
		if (document.hidden || part.contains(document.activeElement)) continue;
		const more = { "x-live": "1", "if-none-match": part.dataset.tag || "" };
		const answer = await ask(part.dataset.live, {}, more).catch(() => 0);
		if (!answer || answer.status === 304 || !part.isConnected) continue;
		if (answer.status !== 200) return;
		put(part, await answer.text(), answer.headers.get("etag"));
	}
}

function ago(time) {
	const seconds = (Date.now() - Date.parse(time.dateTime)) / 1e3;
	const amount = Math.abs(seconds);
	const units = [[86400, "d"], [3600, "h"], [60, "min"], [0, "s"]];
	const [unit, word] = units.find(([size]) => amount >= size);
	const text = `${Math.floor(amount / (unit || 1))} ${word}`;
	time.textContent = amount < 5 ? "now" : seconds > 0 ? `${text} ago` : `in ${text}`;
}

function picker(box) {
	const one = "input:not([data-group])";
	const count = () => {
		each("[data-group]", (group) => {
			const boxes = $$(one, group.closest("fieldset"));
			const ticked = boxes.filter((member) => member.checked).length;
			group.checked = ticked === boxes.length;
			group.indeterminate = ticked && !group.checked;
		}, box);
		$("[data-chosen]", box).textContent = `${$$(`${one}:checked`, box).length} selected`;
	};
	on("change", ({ target }) => {
		const tick = (member) => { member.checked = target.checked; };
		const group = target.closest("fieldset");
		if ("group" in target.dataset) each(`label:not([hidden]) > ${one}`, tick, group);
		count();
	}, box);
	on("input", ({ target }) => {
		if (target.type !== "search") return;
		const word = target.value.toLowerCase();
		const hide = (line) => (line.hidden = !line.textContent.toLowerCase().includes(word));
		each("fieldset", (group) => {
			const lines = $$("label", group).filter((line) => $(one, line));
			group.hidden = lines.filter(hide).length === lines.length;
		}, box);
	}, box);
	count();
}

function ready(root) {
	const all = (css, act) => {
		if (root.matches?.(css)) act(root);
		each(css, act, root);
	};
	all("[data-script], [data-copy]", (part) => { part.hidden = false; });
	all("[data-live]", live);
	all("[data-picker]", picker);
	all("dialog[data-open]", (dialog) => dialog.showModal());
}

let goes;
on("keydown", (event) => {
	const { key, target, ctrlKey, metaKey, altKey } = event;
	if (ctrlKey || metaKey || altKey || !$("#shortcuts")) return;
	if (target.closest(":read-write, select, :modal")) return;
	const rows = $$("main tbody tr");
	const at = rows.findIndex((one) => one.contains(target));
	const row = (step, part, act) => rows[at + step]?.querySelector(part)?.[act]();
	const act = {
		"?": () => $("#shortcuts").showModal(),
		"/": () => $("main [type=search]")?.focus(),
		j: () => row(1, "a", "focus"),
		k: () => row(-1, "a", "focus"),
		x: () => row(0, "input", "click"),
		r: () => $("[data-key=r]")?.click(),
		c: () => $("main [data-copy]")?.click(),
	}[key];
	if (goes) $(`[data-shortcut=${CSS.escape(key)}]`)?.click();
	else if (act) act(event.preventDefault());
	goes = key === "g" && !goes;
});
ready(document);
setInterval(() => each("[data-ago]", ago), 1e4);
