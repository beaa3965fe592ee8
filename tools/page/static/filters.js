// Which entries are shown.

import { $, fillSelect } from "./dom.js";
import { entries } from "./store.js";
import { TONES } from "./format.js";

const fields = { user: $("filter-user"), type: $("filter-type"), name: $("filter-name"), outcome: $("filter-outcome") };

export function matches(entry) {
  const sought = fields.user.value.trim().toLowerCase();
  return (
    (!fields.type.value || entry.type === fields.type.value) &&
    (!fields.outcome.value || entry.outcome === fields.outcome.value) &&
    (!fields.name.value || entry.calls.some((call) => call.name === fields.name.value)) &&
    (!sought || idsOf(entry).some((id) => id.toLowerCase().includes(sought)))
  );
}

const idsOf = (entry) => [...entry.users, entry.customer, entry.subscription, entry.object, entry.key];

export const matchesPerson = (person) => {
  const sought = fields.user.value.trim().toLowerCase();
  return !sought || [person.title, ...person.ids.map((id) => id.value)].some((id) => id.toLowerCase().includes(sought));
};

export function refreshChoices() {
  const all = [...entries.values()];
  const sorted = (values) => [...new Set(values)].filter(Boolean).sort();
  fillSelect(fields.type, sorted(all.map((entry) => entry.type)), "Any type");
  fillSelect(fields.name, sorted(all.flatMap((entry) => entry.calls.map((call) => call.name))), "Any call");
  fillSelect(fields.outcome, Object.keys(TONES), "Any outcome");
}

export function showFilters(view, shown, all) {
  const people = view === "users";
  for (const name of ["type", "name", "outcome"]) fields[name].hidden = people;
  const filtered = Object.values(fields).some((field) => field.value);
  $("filter-clear").hidden = !filtered;
  $("filter-count").textContent = filtered ? `${shown} of ${all}` : "";
}

export function onFilter(listener) {
  const form = $("filters");
  form.addEventListener("input", listener);
  form.addEventListener("submit", (event) => event.preventDefault());
  // The fields are empty only after the event.
  form.addEventListener("reset", () => setTimeout(listener));
}
