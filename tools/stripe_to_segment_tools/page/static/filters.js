// The filters of the list. Their values are in the address, so that a reload and a copied link keep them.

import { $, fillSelect } from "./dom.js";
import { ask, entries, people } from "./store.js";
import { TONES } from "./format.js";

const fields = { user: $("filter-user"), type: $("filter-type"), call: $("filter-name"), outcome: $("filter-outcome") };

// The number whose events are listed, as the address names it, with its title and the keys of its events.
const counted = { number: "", title: "", events: new Set() };

export async function loadCounted() {
  if (!counted.number) return false;
  const found = await ask(`counted?number=${encodeURIComponent(counted.number)}`);
  counted.title = found?.title ?? "nothing is counted there any more";
  counted.events = new Set(found?.events);
  return true;
}

// The test that an entry must pass, made once for all of them.
export function matcher() {
  const sought = fields.user.value.trim().toLowerCase();
  const [type, call, outcome] = [fields.type.value, fields.call.value, fields.outcome.value];
  // A user who is found by a name or by one id is found under all joined ids.
  const joined = new Set(sought ? people.filter(matchesPerson).flatMap((person) => person.ids.map((id) => id.value)) : []);
  const concerns = (id) => id.toLowerCase().includes(sought) || joined.has(id);
  return (entry) =>
    (!counted.number || counted.events.has(entry.key)) &&
    (!type || entry.type === type) &&
    (!outcome || entry.outcome === outcome) &&
    (!call || namesOf(entry).includes(call)) &&
    (!sought || [...entry.users, entry.customer, entry.subscription, entry.object, entry.event].some(concerns));
}

const namesOf = (entry) => [...entry.calls.map((call) => call.name), ...entry.pending];

export const matchesPerson = (person) => {
  const sought = fields.user.value.trim().toLowerCase();
  const known = [person.title, person.email, ...person.ids.map((id) => id.value)];
  return !sought || known.some((text) => text.toLowerCase().includes(sought));
};

export const seeksUser = () => fields.user.value.trim() !== "";

export function refreshChoices() {
  const all = [...entries.values()];
  const sorted = (values) => [...new Set(values)].filter(Boolean).sort();
  fillSelect(fields.type, sorted(all.map((entry) => entry.type)), "Any type");
  fillSelect(fields.call, sorted(all.flatMap(namesOf)), "Any call");
  fillSelect(fields.outcome, Object.keys(TONES), "Any outcome");
}

export function showFilters(view, shown, all) {
  for (const name of ["type", "call", "outcome"]) fields[name].hidden = view === "users";
  const filtered = Object.values(fields).some((field) => field.value && !field.hidden) || (counted.number && view === "events");
  $("counted").hidden = !counted.number || view !== "events";
  $("counted-title").textContent = counted.title;
  $("filter-clear").hidden = !filtered;
  $("filter-count").textContent = filtered ? `${shown.toLocaleString("en")} of ${all.toLocaleString("en")}` : "";
}

export function seekUser(id) {
  $("filters").reset();
  fields.user.value = id;
  fields.user.dispatchEvent(new Event("input", { bubbles: true }));
}

export function onFilter(listener) {
  const asked = new URLSearchParams(location.search);
  for (const [name, field] of Object.entries(fields)) {
    const value = asked.get(name) ?? "";
    if (field.options && value) fillSelect(field, [value], field.options[0].text);
    field.value = value;
  }
  counted.number = asked.get("number") ?? "";
  const form = $("filters");
  const changed = () => {
    const chosen = Object.entries(fields).filter(([, field]) => field.value).map(([name, field]) => [name, field.value]);
    if (counted.number) chosen.push(["number", counted.number]);
    const search = new URLSearchParams(chosen).toString();
    history.replaceState(null, "", `${location.pathname}${search && `?${search}`}${location.hash}`);
    listener();
  };
  form.addEventListener("input", changed);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener("reset", () => {
    counted.number = "";
    setTimeout(changed);
  });
}
