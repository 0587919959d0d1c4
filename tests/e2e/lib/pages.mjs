// Every page of the product, and how to find one that needs an id.

/** `from` and `link`: the page is the first link on `from` whose address matches. */
export const PAGES = [
  { name: "overview", path: "/" },
  { name: "detected", path: "/detected" },
  { name: "onus", path: "/onus" },
  { name: "services", path: "/services" },
  { name: "service", from: "/services", link: /^\/services\/[^/?#]+$/, not: /\/new$/ },
  { name: "cpes", path: "/cpes" },
  { name: "cpe", from: "/cpes", link: /^\/cpes\/[^/?#]+$/, not: /\/new$/ },
  { name: "customers", path: "/customers" },
  { name: "faults", path: "/faults" },
  { name: "olts", path: "/olts" },
  { name: "settings", path: "/settings/policy" },
];

const FIND_LIMIT_MS = 100_000;
const found = new Map();

/** The path of a page; for one with an id, waits until the list shows a first entry. */
export async function pathOf(page, wanted) {
  if (wanted.path) return wanted.path;
  if (!found.has(wanted.name)) {
    const until = Date.now() + FIND_LIMIT_MS;
    let path;
    while (!path) {
      await page.goto(wanted.from);
      // The list fills by itself; a second look after that catches one that does not.
      const seen = page.waitForFunction(matching, [wanted.link.source, wanted.not?.source], { timeout: 10_000 });
      path = await seen.then((handle) => handle.jsonValue(), () => null);
      if (!path && Date.now() > until) throw new Error(`${wanted.from} shows no link to a ${wanted.name}`);
    }
    found.set(wanted.name, path);
  }
  return found.get(wanted.name);
}

function matching([link, not]) {
  const paths = [...document.querySelectorAll("a[href]")]
    .filter((a) => a.origin === location.origin)
    .map((a) => a.pathname);
  return paths.find((path) => new RegExp(link).test(path) && !(not && new RegExp(not).test(path))) ?? null;
}
