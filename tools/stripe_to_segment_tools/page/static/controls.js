// The totals, the switch of Segment's behaviour, the controls that send events, and their notes.

import { $, h, patch } from "./dom.js";
import { plural } from "./format.js";
import { ask, order, state } from "./store.js";

let menu = null;
// The scenario that was played last, until its note is closed.
let scenario = null;
let over = false;
const wide = matchMedia("(min-width: 88rem)");

export async function fillMenu() {
  menu = await ask("menu");
  if (!menu) return;
  const choices = menu.behaviours.map((behaviour) =>
    h("label", { title: behaviour.description }, h("input", { type: "radio", name: "behaviour", value: behaviour.name }), behaviour.title),
  );
  $("behaviours").append(h("div", { class: "choices" }, choices));
  $("behaviours").addEventListener("change", (event) => flip(event.target.value));
  $("scenarios").replaceChildren(
    ...menu.scenarios.map((each) =>
      h("li", {}, h("button", { type: "button", "data-scenario": each.name }, h("span", {}, each.title), h("span", { class: "description" }, each.description))),
    ),
  );
  $("sample").append(...menu.samples.map((sample) => h("option", { value: sample.name }, sample.name)));
  $("sample").value = "customer.subscription.created.trialing";
  $("sample-form").addEventListener("submit", (event) => {
    event.preventDefault();
    send({ sample: $("sample").value });
  });
  $("listen").textContent = `stripe listen --forward-to ${menu.webhook}`;
  $("own-secret").replaceChildren(...(menu.own_secret
    ? ["This stack accepts your signing secret too."]
    : ["Its events are refused until this stack knows its secret: start it with ", h("code", {}, "STRIPE_SECRET=$(stripe listen --print-secret) make run")]));
  addEventListener("click", ({ target }) => {
    const asked = target.closest("[data-scenario]")?.dataset.scenario;
    if (asked) send({ scenario: asked });
    else if (target.closest("#redrive")) redrive({});
    else if (target.closest("[data-redrive]")) redrive({ event: target.closest("[data-redrive]").dataset.redrive });
    else if (target.closest("#note-close")) closeNote();
  });
  showState();
}

async function send(what) {
  const told = menu.scenarios.find((each) => each.name === what.scenario) ?? null;
  scenario = told;
  over = false;
  // If the form for sending covers the list, close it, so that the new events can be seen.
  if (!wide.matches) $("send").open = false;
  if (location.hash === "#/about") location.hash = "#/";
  const { error } = await ordered("send", what);
  // By then the stream shows the progress; if it shows none, everything was sent.
  setTimeout(() => { over = scenario === told && !error; showState(); }, 500);
}

// The chosen behaviour is shown until the stream confirms it, because the stream may still send the old one.
let chosen = null;
async function flip(behaviour) {
  chosen = behaviour;
  const { error } = await ordered("segment", { behaviour });
  // Unless another one was chosen since.
  setTimeout(() => { if (chosen === behaviour) chosen = null; showState(); }, error ? 0 : 1000);
}

async function redrive(which) {
  const { moved } = await ordered("redrive", which);
  if (moved !== undefined) $("said").textContent = `${plural(moved, "dead letter")} moved back into the queue.`;
}

// Show an error, and let the switch show the current behaviour.
async function ordered(path, body) {
  const answer = await order(path, body);
  $("said").textContent = answer.error ?? "";
  showState();
  return answer;
}

function closeNote() {
  scenario = null;
  showState();
}

export function showState() {
  if (!("totals" in state)) return;
  for (const input of document.querySelectorAll('[name="behaviour"]')) input.checked = input.value === (chosen ?? state.behaviour);
  showNotes();
  showTotals();
}

function showNotes() {
  const { sending } = state;
  const progress = sending ? `${sending.done + 1} of ${sending.count}${sending.after ? `, then ${sending.after} more` : ""}` : over ? "sent" : "…";
  const title = sending?.title ?? scenario?.title;
  const look = menu?.scenarios.find((each) => each.title === title)?.look;
  $("note").hidden = !title;
  if (title) {
    const close = sending ? null : h("button", { type: "button", id: "note-close" }, "Close");
    patch($("note").firstElementChild, h("div", {}, h("p", {}, h("strong", {}, title), ` ${progress}`), look ? h("p", {}, `Watch: ${look}`) : null, close));
  }
  const behaviour = menu?.behaviours.find((each) => each.name === (chosen ?? state.behaviour));
  $("behaviour-note").hidden = !behaviour || behaviour.name === "up";
  if (behaviour) $("behaviour-note").textContent = `Segment ${behaviour.description}.`;
}

function showTotals() {
  const sums = (name) => state.totals[name].map((amount) => h("span", {}, amount));
  const redrive = state.dead ? h("button", { type: "button", id: "redrive" }, "Redrive all") : null;
  const wanted = h(
    "section",
    { class: "totals", id: "totals", "aria-label": "Totals" },
    total("Revenue", sums("revenue")),
    total("MRR", sums("mrr")),
    total("Refunds", sums("refunds")),
    total("Events in", [number(state.events)]),
    total("Calls out", [number(state.calls)]),
    total("Waiting", [number(state.waiting)], state.waiting ? "slow" : ""),
    total("Dead letters", [number(state.dead), redrive], state.dead ? "bad" : ""),
    total("Checks", [h("span", {}, state.flawed ? `✗ ${plural(state.flawed, "call")}` : "✓ all pass")], state.flawed ? "bad" : ""),
  );
  patch($("totals"), wanted);
}

const number = (value) => h("span", {}, value.toLocaleString("en"));

function total(label, values, tone = "") {
  const shown = values.some(Boolean) ? values : [h("span", { class: "none" }, "–")];
  return h("div", { class: "total" }, h("span", { class: "label" }, label), h("span", { class: `sums ${tone}` }, shown));
}

// If there is room beside the list, the form for sending is always open.
export function openSenderWhereThereIsRoom() {
  const fit = () => { $("send").open = wide.matches || $("send").open; };
  wide.addEventListener("change", fit);
  fit();
}
