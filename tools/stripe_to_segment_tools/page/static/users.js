// The users as Segment would store them now.

import { $, breakable, h } from "./dom.js";
import { clockTime, dayAndTime, plural } from "./format.js";
import { matchesPerson } from "./filters.js";
import { firstOf, place } from "./list.js";
import { table } from "./event.js";
import { eventLink, userLink } from "./route.js";
import { people } from "./store.js";

export function renderPeople(opened) {
  const shown = people.filter(matchesPerson);
  const focused = document.activeElement?.dataset?.person;
  place($("list"), firstOf(shown).map((person) => personRow(person, opened)));
  if (focused) $("list").querySelector(`[data-person="${CSS.escape(focused)}"]`)?.focus();
  return { shown: shown.length, all: people.length };
}

function personRow(person, opened) {
  const current = person.ids.some((id) => id.value === opened);
  return h(
    "li",
    {},
    h(
      "a",
      { class: "row", href: userLink(person.key), "data-person": person.key, "aria-current": current ? "true" : null },
      h("span", { class: "type" }, person.title || breakable(person.key)),
      h("span", { class: "end" }, person.status ? h("span", { class: `badge ${person.status === "active" ? "good" : ""}` }, person.status) : null, h("time", { datetime: person.last_at }, clockTime(person.last_at))),
      h("span", { class: "chips" }, person.known ? person.title && h("span", { class: "chip" }, person.key) : h("span", { class: "chip identify" }, "anonymous"), person.plan ? h("span", { class: "soft" }, person.plan) : null),
      h("span", { class: "who" }, plural(person.calls, "call")),
    ),
  );
}

const KINDS = { userId: "user id", anonymousId: "anonymous id", stripe_customer_id: "Stripe customer" };

export function personView(person) {
  return h(
    "article",
    { class: "detail" },
    h("header", {}, h("a", { class: "back", href: "#/users" }, "← All users"), h("div", { class: "title" }, h("h2", {}, person.title || person.key)), h("p", { class: "facts" }, plural(person.calls, "call"), h("button", { type: "button", "data-seek": person.key }, "Show the events"), person.known ? "" : ", the user is not known yet: Segment keeps the history under the anonymous id")),
    h(
      "div",
      { class: "beside" },
      h(
        "section",
        { "aria-label": "What Segment knows" },
        h("div", { class: "card" }, h("header", {}, h("h3", {}, person.ids.length > 1 ? "Ids, joined into one user" : "Id")), h("ul", { class: "ids" }, person.ids.map(({ kind, value }) => h("li", {}, h("span", { class: "soft" }, KINDS[kind] ?? kind), h("code", {}, value))))),
        h("div", { class: "card" }, h("header", {}, h("h3", {}, "Traits")), person.traits.length ? table(person.traits) : h("p", { class: "checks soft" }, "none yet")),
        person.groups.map((group) => h("div", { class: "card" }, h("header", {}, h("h3", {}, "Group "), h("code", {}, group.id)), table(Object.entries(group.traits).map(([name, value]) => ({ name, value }))))),
      ),
      h("section", { "aria-label": "Timeline" }, h("div", { class: "card" }, h("header", {}, h("h3", {}, "Timeline"), h("span", { class: "soft" }, "when it happened at Stripe")), h("ol", { class: "timeline" }, person.timeline.map(happening)), person.earlier ? h("p", { class: "earlier soft" }, `and ${person.earlier.toLocaleString("en")} earlier`) : null)),
    ),
  );
}

function happening({ name, says, kind, at, event, as, anonymous }) {
  const link = h("a", { href: eventLink(event) }, name);
  return h("li", {}, h("time", { datetime: at }, dayAndTime(at)), h("span", {}, kind === "track" ? link : h("span", { class: `chip ${kind}` }, link)), kind === "track" && says ? h("span", { class: "says" }, says) : null, anonymous ? h("span", { class: "soft" }, `as anonymous ${as}`) : null);
}
