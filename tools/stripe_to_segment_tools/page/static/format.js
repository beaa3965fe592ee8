// Times, amounts and values as people read them.

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
const day = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", year: "numeric" });

export const clockTime = (iso) => clock.format(new Date(iso));
export const dayAndTime = (iso) => `${day.format(new Date(iso))}, ${clock.format(new Date(iso))}`;

// Amounts are in major units. A currency that the browser does not know is written after the number. Stripe bills some
// currencies in hundredths that the browser would round to whole units.
export function money(amount, currency, sign = false) {
  try {
    const options = { style: "currency", currency, signDisplay: sign ? "exceptZero" : "auto" };
    const usual = new Intl.NumberFormat("en", options);
    const tooFew = usual.resolvedOptions().maximumFractionDigits === 0 && !Number.isInteger(amount);
    const format = tooFew ? new Intl.NumberFormat("en", { ...options, minimumFractionDigits: 2 }) : usual;
    return format.format(amount).replace("-", "−");
  } catch {
    return `${amount} ${currency}`;
  }
}

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
