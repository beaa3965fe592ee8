// The list of events, newest first. A row stays the same element while it changes: focus and scroll stay where they are.

import { $, breakable, h } from "./dom.js";
import { TONES, clockTime, untilText } from "./format.js";
import { matcher } from "./filters.js";
import { eventLink } from "./route.js";
import { entries } from "./store.js";

const rows = new Map();
// The number of rows shown at a time: more would make the page slow.
const STEP = 200;
let limit = STEP;

function rowOf(entry) {
  let row = rows.get(entry.key);
  if (!row) {
    row = { item: h("li"), link: h("a", { class: "row", href: eventLink(entry.key), "data-key": entry.key }), entry: null };
    row.item.append(row.link);
    rows.set(entry.key, row);
  }
  if (row.entry !== entry) {
    row.entry = entry;
    row.link.replaceChildren(...content(entry).filter(Boolean));
  }
  return row;
}

function content(entry) {
  const tone = TONES[entry.outcome];
  const who = entry.users[0] ?? entry.customer;
  const waits = entry.outcome === "waiting";
  const why = waits || tone === "bad" || entry.outcome === "ignored" ? whyText(entry) : null;
  // What happened leads; a call that names the user leads only where nothing else was sent.
  const tracks = entry.calls.filter((call) => call.kind === "track");
  const leading = tracks.length ? tracks : entry.calls;
  const silent = !leading.length && !entry.pending.length;
  const pending = entry.pending.some(isTrack) ? entry.pending.filter(isTrack) : entry.pending;
  const type = [...breakable(entry.type || "no Stripe event"), entry.times > 1 ? ` ×${entry.times}` : ""];
  return [
    h("span", { class: "headline" }, leading.map(told), pending.map((name) => h("span", { class: "told pending", title: "not accepted by Segment" }, name)), silent ? h("span", { class: "type" }, type) : null),
    h("span", { class: "end" }, h("span", { class: `badge ${tone}` }, entry.outcome), h("time", { datetime: entry.at }, clockTime(entry.at))),
    h("span", { class: "small" }, silent ? (entry.outcome === "no calls" ? "nothing to send" : null) : h("span", { class: "type" }, type), tracks.length ? entry.calls.filter((call) => call.kind !== "track").map(chip) : null),
    h("span", { class: "who", title: who }, who),
    why ? h("span", { class: "why" }, why) : null,
  ];
}

const isTrack = (name) => name !== "identify" && name !== "group";

// A call's headline: its name, and what it says.
export const told = ({ kind, name, says, flawed }) =>
  h("span", { class: `told ${kind}${flawed ? " flawed" : ""}` }, h("strong", {}, name), says ? " " : null, says ? h("span", { class: "says" }, says) : null, flawed ? " ✗" : "");

const chip = (call) => h("span", { class: `chip ${call.kind}${call.flawed ? " flawed" : ""}` }, call.name, call.flawed ? " ✗" : "");

function whyText(entry) {
  const tries = entry.attempts ? [`attempt ${entry.attempts} ${entry.tried ? "failed" : "put back"}`, entry.reason] : [entry.reason || "in the queue"];
  if (entry.outcome !== "waiting") return [entry.reason];
  const next = entry.next_at ? [" · next ", h("span", { "data-until": entry.next_at }, untilText(entry.next_at))] : [];
  return [tries.filter(Boolean).join(": "), ...next];
}

export function renderList(opened) {
  const list = $("list");
  const matching = [...entries.values()].filter(matcher()).sort((one, other) => other.order - one.order);
  const shown = firstOf(matching);
  place(list, shown.map((entry) => rowOf(entry).item));
  for (const link of list.querySelectorAll(".row")) {
    if (link.dataset.key === opened) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  }
  const keys = new Set(shown.map((entry) => entry.key));
  for (const key of rows.keys()) if (!keys.has(key)) rows.delete(key);
  return { shown: matching.length, all: entries.size };
}

// The first rows; a button shows more.
export function firstOf(matching) {
  const left = Math.max(matching.length - limit, 0);
  $("more").hidden = left === 0;
  $("more").textContent = `Show ${Math.min(left, STEP)} more of ${left.toLocaleString("en")}`;
  return matching.slice(0, limit);
}

export const showMore = () => { limit += STEP; };
export const showFirst = () => { limit = STEP; };

// Move only the items that are not in their place.
export function place(list, wanted) {
  const keep = new Set(wanted);
  for (const item of [...list.children]) if (!keep.has(item)) item.remove();
  wanted.forEach((item, index) => {
    if (list.children[index] !== item) list.insertBefore(item, list.children[index] ?? null);
  });
}

export function flash(keys) {
  for (const key of keys) {
    const item = rows.get(key)?.item;
    item?.classList.add("fresh");
    item?.addEventListener("animationend", () => item.classList.remove("fresh"), { once: true });
  }
}

// Up, Down, Home and End move between the rows; Tab leaves the list.
export function arrowKeys() {
  $("list").addEventListener("keydown", (event) => {
    const links = [...$("list").querySelectorAll(".row")];
    const at = links.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: links.length - 1 }[event.key];
    if (to === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    links[Math.max(0, Math.min(to, links.length - 1))]?.focus();
  });
}
