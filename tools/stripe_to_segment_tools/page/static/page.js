// Puts the parts together: shows what the stream sends and the user chooses.

import { fillMenu, openSenderWhereThereIsRoom, showState } from "./controls.js";
import { $, h, patch, visible } from "./dom.js";
import { eventView } from "./event.js";
import { loadCounted, onFilter, refreshChoices, seekUser, seeksUser, showFilters } from "./filters.js";
import { plural, untilText } from "./format.js";
import { arrowKeys, flash, renderList, showFirst, showMore } from "./list.js";
import { fitNumbers, redrawNumbers, renderNumbers } from "./numbers.js";
import { detailPath, route } from "./route.js";
import { ask, connect, entries, loadPeople, on } from "./store.js";
import { personView, renderPeople } from "./users.js";

let shownDetail = "";

function render() {
  const { view, key } = route();
  document.body.classList.toggle("numbers", view === "numbers");
  for (const tab of ["events", "users", "numbers"]) {
    if (tab === view) $(`tab-${tab}`).setAttribute("aria-current", "page");
    else $(`tab-${tab}`).removeAttribute("aria-current");
  }
  document.body.classList.toggle("open", Boolean(key) && view !== "numbers");
  if (view === "numbers") {
    renderNumbers();
    return;
  }
  const count = view === "users" ? renderPeople(key) : renderList(key);
  showFilters(view, count.shown, count.all);
  const empty = view === "users" ? "No user yet: play a scenario." : "No events yet. Play a scenario, or send Stripe's events to this stack.";
  $("empty").hidden = count.shown > 0;
  $("empty").textContent = count.all ? "Nothing matches these filters." : empty;
}

// The numbers and their events change with the calls.
async function refreshNumbers() {
  if (route().view === "numbers") renderNumbers();
  else if (await loadCounted()) render();
}

// The users are loaded when they are shown, and when their names or joined ids are searched.
async function refreshPeople() {
  if (route().view !== "users" && !seeksUser()) return;
  await loadPeople();
  render();
}

async function loadDetail() {
  const { view, key } = route();
  if (view === "numbers") return;
  const found = key && view !== "about" ? await ask(detailPath({ view, key })) : null;
  const now = route();
  if (now.view !== view || now.key !== key) return;
  const text = JSON.stringify([view, key, found]);
  if (text === shownDetail) return;
  const same = shownDetail.startsWith(JSON.stringify([view, key]).slice(0, -1));
  shownDetail = text;
  if (found) show(view === "users" ? personView(found) : eventView(found), same);
  else if (key && view !== "about") show(h("p", { class: "empty" }, "This is no longer here."), false);
  else show($("welcome").content.firstElementChild.cloneNode(true), false);
}

// While the same event changes, opened details stay open, and unchanged parts stay as they are.
function show(content, same) {
  const pane = $("detail");
  if (!same || !pane.firstElementChild) {
    pane.replaceChildren(content);
    pane.scrollTop = 0;
    return;
  }
  const unfolded = [...pane.querySelectorAll("details[open]")].map((details) => details.dataset.id);
  for (const details of content.querySelectorAll("details")) details.open = unfolded.includes(details.dataset.id);
  patch(pane.firstElementChild, content);
}

// Announce all events of one second in one sentence.
const unsaid = new Map();
function announce(changed) {
  if (unsaid.size === 0 && changed.length) setTimeout(sayNews, 1000);
  for (const entry of changed) unsaid.set(entry.key, entry);
}

function sayNews() {
  const last = [...unsaid.values()].reduce((one, other) => (other.order > one.order ? other : one));
  const more = unsaid.size > 1 ? `${unsaid.size} events, the last ` : "";
  $("news").textContent = `${more}${visible(last.type || "no Stripe event")}: ${last.outcome}, ${plural(last.calls.length, "call")}`;
  unsaid.clear();
}

let pending = null;
function refreshSoon() {
  pending ??= setTimeout(() => {
    pending = null;
    refreshPeople();
    refreshNumbers();
    if (route().view === "users") loadDetail();
  }, 300);
}

on("connection", (said) => {
  const line = $("connection");
  line.className = `connection ${said === "live" ? "good" : "bad"}`;
  line.textContent = said;
});
on("state", showState);
on("entries", (changed, all) => {
  const there = new Set([...document.querySelectorAll("[data-key]")].map((row) => row.dataset.key));
  refreshChoices();
  if (route().view !== "numbers") render();
  if (!all) {
    flash(changed.map((entry) => entry.key).filter((key) => !there.has(key)));
    announce(changed);
  }
  const { view, key } = route();
  if (view === "events" && (all || changed.some((entry) => entry.key === key) || key && !entries.has(key))) loadDetail();
  refreshSoon();
});
onFilter(() => {
  showFirst();
  render();
  refreshPeople();
});
$("more").addEventListener("click", () => {
  const last = document.querySelector("#list li:last-child");
  showMore();
  render();
  last?.nextElementSibling?.querySelector("a")?.focus();
});
const narrow = matchMedia("(max-width: 59.99rem)");
let scrolled = 0;
addEventListener("hashchange", ({ oldURL }) => {
  const { key } = route();
  render();
  refreshPeople();
  loadDetail();
  // On a phone the detail replaces the list; Back returns to the row that was opened.
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
addEventListener("click", async ({ target }) => {
  if (target.matches("[data-seek]")) {
    seekUser(target.dataset.seek);
    location.hash = "#/";
  } else if (target.matches("[data-copy]")) {
    await navigator.clipboard.writeText(target.parentElement.querySelector("pre").textContent);
    $("news").textContent = target.textContent = "Copied";
    setTimeout(() => { target.textContent = "Copy"; }, 1500);
  }
});
setInterval(() => {
  for (const element of document.querySelectorAll("[data-until]")) {
    const text = untilText(element.dataset.until);
    if (element.textContent !== text) element.textContent = text;
  }
}, 250);
// To follow the link would open another view.
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("main").focus();
});
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  redrawNumbers();
  render();
});
new ResizeObserver(fitNumbers).observe($("numbers"));
arrowKeys();
openSenderWhereThereIsRoom();
fillMenu();
render();
loadDetail();
refreshPeople();
refreshNumbers();
connect();
