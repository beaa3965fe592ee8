// The totals, Segment's switch, and what sends events.

import { $, h } from "./dom.js";
import { money, plural } from "./format.js";
import { ask, order, state } from "./store.js";

export async function fillMenu() {
  const menu = await ask("/menu");
  const choices = menu.moods.map((mood) =>
    h("label", { title: mood.tells }, h("input", { type: "radio", name: "mood", value: mood.name }), mood.title),
  );
  $("moods").append(h("div", { class: "choices" }, choices));
  $("moods").addEventListener("change", (event) => order("/segment", { mood: event.target.value }));
  $("stories").replaceChildren(
    ...menu.stories.map((story) =>
      h("li", {}, h("button", { type: "button", "data-story": story.name }, h("span", {}, story.title), h("span", { class: "tells" }, story.tells))),
    ),
  );
  $("stories").addEventListener("click", (event) => {
    const button = event.target.closest("[data-story]");
    if (button) order("/send", { story: button.dataset.story });
  });
  $("sample").append(...menu.samples.map((sample) => h("option", { value: sample.name }, sample.name)));
  $("sample").value = "customer.subscription.created.trialing";
  $("sample-form").addEventListener("submit", (event) => {
    event.preventDefault();
    order("/send", { sample: $("sample").value });
  });
  $("listen").textContent = `stripe listen --forward-to ${menu.webhook}`;
  $("totals").addEventListener("click", (event) => {
    if (event.target.closest("#redrive")) order("/redrive");
  });
  showState();
}

export function showState() {
  if (!("totals" in state)) return;
  const { sending } = state;
  $("sending").textContent = sending ? `Sending ${sending.title}: ${sending.done + 1} of ${sending.count}` : "";
  const mood = document.querySelector(`[name="mood"][value="${state.mood}"]`);
  for (const input of document.querySelectorAll('[name="mood"]')) input.checked = input === mood;
  showTotals();
}

function showTotals() {
  const sums = (name, sign) => Object.entries(state.totals[name]).map(([currency, amount]) => h("span", {}, money(amount * sign, currency)));
  const focused = document.activeElement?.id === "redrive";
  $("totals").replaceChildren(
    total("Revenue", sums("revenue", 1)),
    total("MRR", sums("mrr", 1)),
    total("Refunds", sums("refunds", -1)),
    total("Events in", [number(state.events)]),
    total("Calls out", [number(state.calls)]),
    total("Waiting", [number(state.waiting)], state.waiting ? "slow" : ""),
    total("Dead letters", [number(state.dead), state.dead ? h("button", { type: "button", id: "redrive" }, "Redrive") : null], state.dead ? "bad" : ""),
    total("Checks", [h("span", {}, state.flawed ? `✗ ${plural(state.flawed, "call")}` : "✓ all pass")], state.flawed ? "bad" : ""),
  );
  if (focused) $("redrive")?.focus();
}

const number = (value) => h("span", {}, value.toLocaleString("en"));

function total(label, values, tone = "") {
  const shown = values.some(Boolean) ? values : [h("span", { class: "none" }, "–")];
  return h("div", { class: "total" }, h("span", { class: "label" }, label), h("span", { class: `sums ${tone}` }, shown));
}

// Beside the list there is room to show the sender all the time.
export function openSenderWhereThereIsRoom() {
  const wide = matchMedia("(min-width: 88rem)");
  const fit = () => { $("send").open = wide.matches || $("send").open; };
  wide.addEventListener("change", fit);
  fit();
}
