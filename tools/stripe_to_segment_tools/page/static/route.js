// What is open is in the address after #, so that Back, a reload and a copied link work.

export function route() {
  const [, view = "", ...rest] = location.hash.split("/");
  if (view === "about") return { view, key: view };
  return { view: view === "users" ? "users" : "events", key: decoded(rest.join("/")) };
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
export const detailPath = ({ view, key }) => (view === "users" ? `user?id=${encoded(key)}` : `events/${encoded(key)}`);
