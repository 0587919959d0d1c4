// Every page of the product, and the way to each. The routes come from the product's own table: a test of the web crate
// keeps crates/web/tests/golden/pages.json, and pages.test.mjs fails for a page that has no way here.
import { readFileSync } from "node:fs";

/** The pages that the route table of the product knows. */
export const ROUTES = JSON.parse(
  readFileSync(new URL("../../../crates/web/tests/golden/pages.json", import.meta.url), "utf8"),
);

/**
 * `route`   as the table has it
 * `name`    of its tests and pictures
 * `path`    what to open, if not the route itself
 * `from`, `link`  the page is the first link on `from` whose address matches, and `then` what follows it
 * `stranger`      for people who are not signed in
 * `picture`       it is photographed for the documents
 */
export const PAGES = [
  { route: "/", name: "overview", picture: true },
  { route: "/login", name: "login", stranger: true },
  { route: "/password", name: "password" },
  { route: "/more", name: "more" },
  { route: "/search", name: "search", path: "/search?q=Ada" },
  { route: "/detected", name: "detected", picture: true },
  { route: "/authorise", name: "authorise", from: "/detected", link: /^\/authorise\?detected=/, picture: true },
  { route: "/onus", name: "onus" },
  { route: "/onus/{id}", name: "onu", from: "/onus", link: /^\/onus\/\d+$/ },
  { route: "/onus/{id}/change", name: "onu-remove", from: "/onus", link: /^\/onus\/\d+$/, then: "/change?do=remove" },
  { route: "/onus/{id}/change", name: "onu-move", from: "/onus", link: /^\/onus\/\d+$/, then: "/change?do=move" },
  { route: "/onus/{id}/change", name: "onu-replace", from: "/onus", link: /^\/onus\/\d+$/, then: "/change?do=replace" },
  { route: "/services", name: "services" },
  { route: "/services/{id}", name: "service", from: "/services", link: /^\/services\/\d+$/, picture: true },
  { route: "/services/new", name: "service-new" },
  { route: "/cpes", name: "cpes" },
  { route: "/cpes/{id}", name: "cpe", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, picture: true },
  { route: "/cpes/{id}/sessions", name: "cpe-sessions", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/sessions" },
  { route: "/cpes/{id}/calls", name: "cpe-calls", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/calls" },
  { route: "/cpes/{id}/reach", name: "cpe-reach", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/reach" },
  { route: "/cpes/{id}/care", name: "cpe-care", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/care" },
  { route: "/cpes/{id}/recordings", name: "cpe-recordings", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/recordings" },
  { route: "/cpes/{id}/timeline", name: "cpe-timeline", from: "/cpes?state=ACTIVE", link: /^\/cpes\/\d+$/, then: "/timeline" },
  { route: "/onus/{id}/timeline", name: "onu-timeline", from: "/onus", link: /^\/onus\/\d+$/, then: "/timeline" },
  { route: "/faults", name: "faults", picture: true },
  { route: "/faults/groups", name: "fault-groups" },
  { route: "/faults/import", name: "fault-import" },
  { route: "/customers", name: "customers" },
  { route: "/customers/{id}", name: "customer", from: "/customers", link: /^\/customers\/\d+$/ },
  { route: "/customers/new", name: "customer-new" },
  { route: "/customers/{id}/edit", name: "customer-edit", from: "/customers", link: /^\/customers\/\d+$/, then: "/edit" },
  { route: "/plans", name: "plans" },
  { route: "/plans/new", name: "plan-new" },
  { route: "/plans/{id}/edit", name: "plan-edit", from: "/plans", link: /^\/plans\/\d+\/edit$/ },
  { route: "/olts", name: "olts" },
  { route: "/olts/{id}", name: "olt", from: "/olts", link: /^\/olts\/\d+$/ },
  { route: "/olts/new", name: "olt-new" },
  { route: "/olts/{id}/edit", name: "olt-edit", from: "/olts", link: /^\/olts\/\d+$/, then: "/edit" },
  { route: "/tasks", name: "tasks" },
  { route: "/tasks/{id}", name: "task", from: "/tasks", link: /^\/tasks\/\d+$/ },
  { route: "/audit", name: "audit" },
  { route: "/settings/policy", name: "settings" },
  { route: "/settings/models", name: "models" },
  { route: "/settings/models/{id}", name: "model", from: "/settings/models", link: /^\/settings\/models\/\d+$/ },
  { route: "/settings/firmware", name: "firmware" },
  { route: "/settings/users", name: "users" },
  { route: "/settings/api-keys", name: "api-keys" },
];

const FIND_LIMIT_MS = 100_000;
const found = new Map();

/** The path of a page; for one with an id, waits until the list shows a first entry. */
export async function pathOf(page, wanted) {
  if (!wanted.from) return wanted.path ?? wanted.route;
  const key = `${wanted.from} ${wanted.link.source}`;
  if (!found.has(key)) {
    const until = Date.now() + FIND_LIMIT_MS;
    let path;
    while (!path) {
      await page.goto(wanted.from);
      // The list fills by itself; a second look after that catches one that does not.
      const seen = page.waitForFunction(matching, wanted.link.source, { timeout: 10_000 });
      path = await seen.then((handle) => handle.jsonValue(), () => null);
      if (!path && Date.now() > until) throw new Error(`${wanted.from} shows no link to a ${wanted.name}`);
    }
    found.set(key, path);
  }
  return found.get(key) + (wanted.then ?? "");
}

function matching(link) {
  const paths = [...document.querySelectorAll("a[href]")]
    .filter((a) => a.origin === location.origin)
    .map((a) => a.pathname + a.search);
  return paths.find((path) => new RegExp(link).test(path)) ?? null;
}
