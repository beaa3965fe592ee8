// Times and values as people read them. Amounts come as texts.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const monthHere = new Intl.DateTimeFormat("en", { month: "short" });
const monthInUtc = new Intl.DateTimeFormat("en", { month: "short", timeZone: "UTC" });

export const clockTime = (iso) => clock.format(new Date(iso));

// "1 Sep 2026": months have one name on the whole page; British English would say Sept.
export function dayAndTime(iso) {
  const at = new Date(iso);
  return `${at.getDate()} ${monthHere.format(at)} ${at.getFullYear()}, ${clock.format(at)}`;
}

export const dayInUtc = (at) => `${at.getUTCDate()} ${monthInUtc.format(at)}`;

export function untilText(iso, now = Date.now()) {
  const seconds = Math.ceil((new Date(iso).getTime() - now) / 1000);
  if (seconds <= 0) return "now";
  return `${seconds < 90 ? `in ${seconds} s` : `in ${Math.round(seconds / 60)} min`}, at ${clockTime(iso)}`;
}

export const plural = (count, one, many = `${one}s`) => `${count} ${count === 1 ? one : many}`;

export function valueText(value) {
  if (typeof value === "string") return value;
  return JSON.stringify(value);
}

// The same, where only the difference matters: a long value is shown by its size.
export function shortText(value) {
  const text = valueText(value);
  if (value === null || typeof value !== "object" || text.length <= 60) return text;
  return Array.isArray(value) ? `[${plural(value.length, "entry", "entries")}]` : `{${plural(Object.keys(value).length, "field")}}`;
}

export const TONES = {
  delivered: "good",
  "no calls": "plain",
  ignored: "plain",
  waiting: "slow",
  "dead letter": "bad",
  refused: "bad",
};
