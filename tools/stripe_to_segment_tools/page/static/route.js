// What is open stands in the address after #, so that Back, reload and a copied link do what one expects.

export function route() {
  const [, view = "", ...rest] = location.hash.split("/");
  if (view === "about") return { view, key: view };
  return { view: view === "users" ? "users" : "events", key: decoded(rest.join("/")) };
}

// An address that somebody has typed may be anything.
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

// Half an emoji would be no part of any address.
const encoded = (text) => encodeURIComponent(text.toWellFormed());

export const eventLink = (key) => `#/events/${encoded(key)}`;
export const userLink = (key) => `#/users/${encoded(key)}`;
export const detailPath = ({ view, key }) => (view === "users" ? `user?id=${encoded(key)}` : `events/${encoded(key)}`);
