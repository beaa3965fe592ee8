// What is open stands in the address after #, so that Back, reload and a copied link do what one expects.

export function route() {
  const [, view = "", ...rest] = location.hash.split("/");
  const key = decodeURIComponent(rest.join("/"));
  return { view: view === "users" ? "users" : "events", key };
}

export const eventLink = (key) => `#/events/${encodeURIComponent(key)}`;
export const userLink = (key) => `#/users/${encodeURIComponent(key)}`;
