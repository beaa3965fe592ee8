// Puts the parts together: what the stream tells and what is chosen decides what is shown.

import { fillMenu, openSenderWhereThereIsRoom, showState } from "./controls.js";
import { $, h } from "./dom.js";
import { eventView } from "./event.js";
import { onFilter, refreshChoices, showFilters } from "./filters.js";
import { plural, untilText } from "./format.js";
import { arrowKeys, flash, renderList } from "./list.js";
import { route } from "./route.js";
import { ask, connect, entries, on } from "./store.js";
import { personView, renderPeople } from "./users.js";

let people = [];
let shownDetail = "";

function render() {
  const { view, key } = route();
  const count = view === "users" ? renderPeople(people, key) : renderList(key);
  showFilters(view, count.shown, count.all);
  const empty = { users: "No user yet: send a story.", events: "Nothing has come yet. Send a story, or point Stripe here." }[view];
  $("empty").hidden = count.shown > 0;
  $("empty").textContent = count.all ? "Nothing matches these filters." : empty;
  for (const tab of ["events", "users"]) {
    if (tab === view) $(`tab-${tab}`).setAttribute("aria-current", "page");
    else $(`tab-${tab}`).removeAttribute("aria-current");
  }
  document.body.classList.toggle("open", Boolean(key));
}

async function loadPeople() {
  people = (await ask("/users")) ?? [];
  if (route().view === "users") render();
}

async function loadDetail() {
  const { view, key } = route();
  const found = key ? await ask(`/${view}/${encodeURIComponent(key)}`) : null;
  const now = route();
  if (now.view !== view || now.key !== key) return;
  const text = JSON.stringify([view, key, found]);
  if (text === shownDetail) return;
  const same = shownDetail.startsWith(JSON.stringify([view, key]).slice(0, -1));
  shownDetail = text;
  const draw = { users: personView, events: eventView }[view];
  const nothing = () => key ? h("p", { class: "empty" }, "It is not here any more.") : $("welcome").content.cloneNode(true);
  show(found ? draw(found) : nothing(), same);
}

// What was unfolded and scrolled stays so while the same thing changes.
function show(content, same) {
  const pane = $("detail");
  const unfolded = same ? [...pane.querySelectorAll("details[open]")].map((details) => details.dataset.id) : [];
  const scrolled = same ? pane.scrollTop : 0;
  pane.replaceChildren(content);
  for (const details of pane.querySelectorAll("details")) details.open = unfolded.includes(details.dataset.id);
  pane.scrollTop = scrolled;
}

function announce(changed) {
  const [last] = changed.toSorted((one, other) => other.order - one.order);
  const more = changed.length > 1 ? `${changed.length} events, the last ` : "";
  $("news").textContent = `${more}${last.type || "no Stripe event"}: ${last.outcome}, ${plural(last.calls.length, "call")}`;
}

let pending = null;
function loadPeopleSoon() {
  pending ??= setTimeout(() => { pending = null; if (route().view === "users") { loadPeople(); loadDetail(); } }, 300);
}

on("connection", (good) => {
  const line = $("connection");
  line.className = `connection ${good ? "good" : "bad"}`;
  line.textContent = good ? "live" : "the local stack does not answer";
});
on("state", showState);
on("entries", (changed, all) => {
  const fresh = changed.filter((entry) => !document.querySelector(`[data-key="${CSS.escape(entry.key)}"]`));
  refreshChoices();
  render();
  if (!all) {
    flash(fresh.map((entry) => entry.key));
    if (changed.length) announce(changed);
  }
  const { view, key } = route();
  if (view === "events" && (all || changed.some((entry) => entry.key === key) || key && !entries.has(key))) loadDetail();
  loadPeopleSoon();
});
onFilter(render);
const narrow = matchMedia("(max-width: 59.99rem)");
let scrolled = 0;
addEventListener("hashchange", ({ oldURL }) => {
  const { view, key } = route();
  if (view === "users") loadPeople();
  render();
  loadDetail();
  // On a phone the detail takes the list's place, and the reader with it; Back leads to the row one came from.
  if (narrow.matches && key) {
    scrollTo(0, 0);
    $("detail").focus({ preventScroll: true });
  } else if (narrow.matches) {
    scrollTo(0, scrolled);
    document.querySelector(`.row[href="${CSS.escape(new URL(oldURL).hash)}"]`)?.focus({ preventScroll: true });
  }
});
$("list").addEventListener("click", () => { scrolled = scrollY; });
addEventListener("keydown", (event) => {
  if (event.key === "Escape" && route().key && !event.target.matches("input, select")) location.hash = route().view === "users" ? "#/users" : "#/";
});
setInterval(() => {
  for (const element of document.querySelectorAll("[data-until]")) {
    const text = untilText(element.dataset.until);
    if (element.textContent !== text) element.textContent = text;
  }
}, 250);
arrowKeys();
openSenderWhereThereIsRoom();
fillMenu();
render();
loadDetail();
if (route().view === "users") loadPeople();
connect();
