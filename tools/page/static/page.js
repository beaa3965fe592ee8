// Fetches the feed once a second and adds what is new on top. Nothing is ever redrawn: opened details stay open.

const PAUSE = 1000;
const shown = { events: new Set(), calls: new Set() };

const time = (iso) => new Date(iso).toLocaleTimeString();

function fill(id, { name, badge, bad, detail, at }) {
  const item = document.getElementById(id).content.cloneNode(true);
  item.querySelector(".name").textContent = name;
  item.querySelector(".badge").textContent = badge;
  item.querySelector(".badge").classList.toggle("bad", bad);
  item.querySelector(".detail").textContent = detail;
  item.querySelector("time").textContent = time(at);
  item.querySelector("time").dateTime = at;
  return item;
}

function eventItem(event) {
  const good = event.status === 200;
  return fill("event", {
    name: event.type || "no Stripe event",
    badge: `${event.status}`,
    bad: !good,
    detail: [event.id, good ? "" : event.answer, `${event.milliseconds} ms`].filter(Boolean).join(" · "),
    at: event.received_at,
  });
}

function callItem({ call, source, received_at: at }) {
  const item = fill("call", {
    name: call.type === "track" ? call.event : call.type,
    badge: call.type,
    bad: false,
    detail: [call.userId ?? call.anonymousId, source].filter(Boolean).join(" · "),
    at,
  });
  item.querySelector("pre").textContent = JSON.stringify(call, null, 2);
  return item;
}

function add(list, entries, key, item) {
  const fresh = entries.filter((entry) => !shown[list].has(key(entry)));
  for (const entry of fresh.reverse()) {
    shown[list].add(key(entry));
    document.getElementById(list).prepend(item(entry));
  }
}

function state(text, bad) {
  const line = document.getElementById("state");
  line.classList.toggle("bad", bad);
  // Only when it changes: screen readers speak each change.
  if (line.textContent !== text) line.textContent = text;
}

async function refresh() {
  try {
    const answer = await fetch("/feed", { cache: "no-store" });
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    const feed = await answer.json();
    add("events", feed.events, (event) => event.number, eventItem);
    add("calls", feed.calls, ({ call, received_at: at }) => call.messageId ?? at, callItem);
    const queues = Object.entries(feed.waiting).map(([name, count]) => `${count} ${name}`);
    const broken = feed.violations.length ? [`${feed.violations.length} contract violations`] : [];
    state([...queues, ...broken].join(" · "), broken.length > 0);
  } catch (error) {
    state(`the local stack does not answer (${error.message})`, true);
  }
  setTimeout(refresh, PAUSE);
}

refresh();
