// Everything about one event: its path, the event from Stripe, and the calls to Segment.

import { breakable, h } from "./dom.js";
import { TONES, clockTime, dayAndTime, plural, untilText, shortText, valueText } from "./format.js";
import { jsonView } from "./json.js";
import { eventLink, userLink } from "./route.js";

export function eventView(detail) {
  return h(
    "article",
    { class: "detail" },
    h(
      "header",
      {},
      h("a", { class: "back", href: "#/" }, "← All events"),
      h("div", { class: "title" }, h("h2", {}, breakable(detail.type || "no Stripe event")), h("span", { class: `badge ${TONES[detail.outcome]}` }, detail.outcome)),
      facts(detail),
    ),
    detail.letters ? letter(detail) : null,
    h("ol", { class: "steps", "aria-label": "Path" }, detail.steps.map(step)),
    h("div", { class: "beside" }, sent(detail), raw(detail)),
  );
}

// A dead letter stays until its cause is gone and somebody redrives it.
function letter({ key, reason }) {
  return h(
    "div",
    { class: "note bad" },
    h("p", {}, "Dead letter: ", h("strong", {}, reason || "no reason was set"), ". Remove the cause, then redrive it."),
    h("button", { type: "button", "data-redrive": key }, "Redrive this event"),
  );
}

function facts(detail) {
  const fact = (name, value, link) => value ? h("span", {}, `${name} `, link ? h("a", { href: link }, h("code", {}, value)) : h("code", {}, value)) : null;
  return h(
    "p",
    { class: "facts" },
    fact("event", detail.event),
    fact("object", detail.object),
    detail.customer !== detail.object ? fact("customer", detail.customer) : null,
    detail.subscription !== detail.object ? fact("subscription", detail.subscription) : null,
    detail.users.map((user) => fact("user", user, userLink(user))),
    detail.livemode === null ? null : h("span", {}, detail.livemode ? "live mode" : "test mode"),
  );
}

function step({ name, text, tone, at, next_at: next }) {
  const when = next ? h("time", { "data-until": next }, untilText(next)) : at ? h("time", { datetime: at }, clockTime(at)) : null;
  return h("li", { class: tone }, h("span", { class: "dot" }), h("span", { class: "name" }, name, when ? " " : "", when), text ? h("span", { class: "text" }, text) : null);
}

function sent(detail) {
  const title = detail.sent.length ? `To Segment: ${detail.sent.length}` : "To Segment: nothing";
  const last = detail.last && detail.sent.length
    ? h("p", { class: "soft" }, "Marked: values that differ from those that earlier events of this subscription sent. The last of these events: ", h("a", { href: eventLink(detail.last.key) }, detail.last.type), ".")
    : null;
  const why = detail.sent.length || detail.letters ? null : h("p", { class: "soft" }, detail.reason || (detail.outcome === "waiting" ? "Not yet: the event is waiting." : ""));
  const pending = detail.pending.length ? h("p", { class: "chips" }, "Not accepted yet: ", detail.pending.map((each) => h("span", { class: "chip pending" }, each))) : null;
  return h("section", { "aria-label": "To Segment" }, h("h3", {}, title), last, pending, why, detail.outcome === "refused" ? remedy() : null, detail.refused.map(refusedCard), detail.sent.map(card));
}

const remedy = () =>
  h("p", { class: "soft" }, "If it comes from ", h("code", {}, "stripe listen"), ", it is signed with another secret. Start this stack with ", h("code", {}, "STRIPE_SECRET=$(stripe listen --print-secret) make run"));

// What named the user.
const KNOWN_FROM = {
  metadata: "the metadata",
  client_reference_id: "client_reference_id",
  remembered: "an earlier event",
  customer_api: "the Stripe API",
};

function card({ name, says, meaning, call, at, source, checks, rows }, place) {
  const from = KNOWN_FROM[call.context?.stripe?.identity];
  const who = [call.userId ? `user ${call.userId}${from ? ` (from ${from})` : ""}` : null, call.anonymousId ? `anonymous ${call.anonymousId}` : null, call.groupId ? `group ${call.groupId}` : null];
  return h(
    "article",
    { class: "card call", "aria-label": name },
    h("header", {}, call.event ? h("span", { class: `chip ${call.type}` }, call.type) : null, h("h4", {}, name), call.event && says ? h("span", { class: "says" }, says) : null, h("span", { class: "soft" }, who.filter(Boolean).join(" · "))),
    meaning ? h("p", { class: "meaning" }, meaning) : null,
    h("ul", { class: "checks" }, check("Segment’s limits", checks.limits), check("tracking plan", checks.plan), h("li", { class: "soft" }, `happened ${dayAndTime(call.timestamp)}`)),
    rows.length ? table(rows) : null,
    h("details", { "data-id": `call-${place}` }, h("summary", {}, `The whole call, arrived ${clockTime(at)}${source ? ` for the ${source} source` : ""}`), copied(jsonView(call))),
  );
}

// The payload that Segment refused, and its answer.
const refusedCard = ({ name, says, kind, call, answer }) =>
  h(
    "article",
    { class: "card call", "aria-label": `${name}, refused` },
    h("header", {}, kind === "track" ? h("span", { class: "chip track" }, kind) : null, h("h4", {}, name), kind === "track" && says ? h("span", { class: "says" }, says) : null),
    h("ul", { class: "checks" }, h("li", { class: "bad" }, `✗ Segment refused it: ${answer}`)),
    copied(jsonView(call)),
  );

const copied = (view) => h("div", { class: "copied" }, h("button", { type: "button", class: "copy", "data-copy": true }, "Copy"), view);

const check = (name, flaws) =>
  flaws.length ? flaws.map((flaw) => h("li", { class: "bad" }, `✗ ${name}: ${flaw}`)) : h("li", { class: "good" }, `✓ ${name}`);

export function table(rows) {
  return h("table", { class: "rows" }, h("tbody", {}, rows.map(tableRow)));
}

function tableRow({ name, value, mark, was }) {
  const shown = h("span", { class: value === null ? "null" : "" }, valueText(value));
  const before = mark === "changed" ? [h("del", { title: "before" }, shortText(was)), " → "] : [];
  const tag = mark ? h("span", { class: "tag" }, mark) : null;
  return h("tr", { class: mark ?? "" }, h("th", { scope: "row" }, breakable(name), mark === "new" ? tag : null), h("td", {}, before, shown));
}

function raw(detail) {
  const body = detail.raw;
  const changed = differences(body?.data?.previous_attributes ?? {}, body?.data?.object);
  const section = h("section", { "aria-label": "From Stripe" }, h("h3", {}, "From Stripe"));
  if (changed.length) {
    const rows = worthTelling(changed).map(({ path, was, is }) => ({ name: path.join("."), value: shortText(is), was, mark: "changed" }));
    section.append(h("div", { class: "card" }, h("header", {}, h("h4", {}, "What changed at Stripe"), more(changed.length - rows.length)), table(rows)));
  }
  if (body === null) {
    section.append(h("pre", { class: "json", tabindex: "0" }, detail.text || "It did not come through this page's webhook address, and it is no longer in the queue."));
  } else {
    const paths = new Set(changed.map(({ path }) => ["data", "object", ...path].join("\n")));
    section.append(copied(jsonView(body, (path) => paths.has(path.join("\n")))));
  }
  return section;
}

const SHOWN_CHANGES = 8;
const more = (count) => count > 0 ? h("span", { class: "soft" }, `and ${plural(count, "field")} more, marked below`) : null;

// A subscription item holds its price twice: `plan` is the older field.
function worthTelling(changed) {
  const priced = changed.some(({ path }) => path.includes("price"));
  return changed.filter(({ path }) => !(priced && path.includes("plan"))).slice(0, SHOWN_CHANGES);
}

// The places where two values differ. previous_attributes holds a list as a whole, with its unchanged parts.
function differences(was, is, path = []) {
  const inside = (value) => value !== null && typeof value === "object";
  if (!inside(was) || !inside(is) || Array.isArray(was) !== Array.isArray(is)) {
    return JSON.stringify(was) === JSON.stringify(is) ? [] : [{ path, was: was ?? null, is: is ?? null }];
  }
  // A key that is missing in a hash did not change; a list that was shorter has grown.
  const keys = Array.isArray(was) ? Object.keys(was.length > is.length ? was : is) : Object.keys(was);
  return keys.flatMap((key) => differences(was[key], is[key], [...path, key]));
}
