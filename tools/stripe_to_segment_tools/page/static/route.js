// What is open is in the address after #, so that Back, a reload and a copied link work.

export function route() {
  const [, view = "", ...rest] = location.hash.split("/");
  if (view === "about") return { view, key: view };
  return { view: ["users", "numbers"].includes(view) ? view : "events", key: decoded(rest.join("/")) };
}

// A typed address may be invalid.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// An address cannot contain a lone surrogate.
const encoded = (text) => encodeURIComponent(text.toWellFormed());

export const eventLink = (key) => `#/events/${encoded(key)}`;
export const userLink = (key) => `#/users/${encoded(key)}`;
export const numbersLink = (currency) => `#/numbers/${encoded(currency)}`;
// The list of the events that make a number. It is another search, so the browser loads the page again.
export const numberLink = (parts) => `?number=${encoded(parts.join("."))}#/`;
export const detailPath = ({ view, key }) => (view === "users" ? `user?id=${encoded(key)}` : `events/${encoded(key)}`);
