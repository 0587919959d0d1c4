// What holds on every page, wide and narrow, light and dark, and while it updates itself.
import assert from "node:assert/strict";
import { contrast, focusVisible, named, noOverflow } from "./lib/checks.mjs";
import { SCHEMES, WIDTHS } from "./lib/browser.mjs";
import { DEVICE_MS, live } from "./lib/journey.mjs";
import { PAGES, pathOf, ROUTES } from "./lib/pages.mjs";
import { test } from "./lib/runner.mjs";

test("pages: every page of the product is walked", { app: false }, async () => {
  // One route may be several pages.
  const walked = [...new Set(PAGES.map((page) => page.route))];
  assert.deepEqual(walked.sort(), [...ROUTES].sort(), "lib/pages.mjs and the route table differ");
});

for (const wanted of PAGES) {
  for (const width of Object.keys(WIDTHS).map(Number)) {
    for (const scheme of SCHEMES) {
      test(`page ${wanted.name}: ${width} ${scheme}`, async ({ newPage }) => {
        const page = await newPage({ width, scheme, signedIn: !wanted.stranger });
        const path = await pathOf(page, wanted);
        const response = await page.goto(path);
        assert.equal(response.status(), 200, `${path} answered ${response.status()}`);
        const { pathname, search } = new URL(page.url());
        assert.equal(pathname + search, path, "led somewhere else");
        // A part that the page asks for by itself, as a dry run, moves what is below it.
        await page.waitForFunction(() => !document.querySelector(".htmx-request"));
        await noOverflow(page);
        await contrast(page);
        await named(page);
        // The order and the rings do not depend on the colours.
        if (scheme === "light") await focusVisible(page, { least: wanted.stranger ? 3 : 4 });
      });
    }
  }
}

/**
 * Serves the list without ids in its rows, without the rows that hold `gone()`, and with `above()` more rows on top;
 * each answer has a number. Says how many were begun so far.
 */
async function serve(page, path, part, gone, above = () => 0) {
  let begun = 0;
  await page.route(`**${path}`, async (route) => {
    if (route.request().headers()["hx-request"] !== "true") return route.fallback();
    const served = (begun += 1);
    const response = await route.fetch();
    const body = await page.evaluate(
      ([html, part, gone, above, served]) => {
        const text = new DOMParser().parseFromString(html, "text/html");
        const body = text.querySelector(`${part} tbody`);
        for (let at = 0; at < above; at += 1) {
          const row = body.lastElementChild.cloneNode(true);
          for (const link of row.querySelectorAll("a")) link.setAttribute("href", `#above-${at}`);
          body.prepend(row);
        }
        for (const row of text.querySelectorAll("tbody tr")) if (gone && row.textContent.includes(gone)) row.remove();
        for (const link of text.querySelectorAll("tbody a")) link.removeAttribute("id");
        text.querySelector(part).dataset.served = served;
        return text.documentElement.outerHTML;
      },
      [await response.text(), part, gone(), above(), served],
    );
    await route.fulfill({ response, body });
  });
  return () => begun;
}

/** Makes the part of the page read itself again, as an event does, and waits until an answer of `serve` begun since is shown. */
async function readAgain(page, part, begun) {
  const before = begun();
  await page.evaluate((part) => window.htmx.trigger(document.querySelector(part), "sse:sync"), part);
  await page.waitForFunction(([part, before]) => Number(document.querySelector(part)?.dataset.served ?? 0) > before, [part, before]);
}

test("pages: the focus survives live updates, and a row that goes leaves it to its neighbour", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await page.goto("/olts");
  await live(page);
  await page.locator("#olts tbody tr").first().waitFor({ timeout: DEVICE_MS });
  // No ids in the rows: the same link is found by what it is.
  let gone = "";
  const begun = await serve(page, "/olts", "#olts", () => gone);
  await readAgain(page, "#olts", begun);
  const link = page.locator("#olts tbody tr").first().locator("a").nth(1);
  const href = await link.getAttribute("href");
  assert.equal(await link.getAttribute("id"), null);
  await link.focus();
  await readAgain(page, "#olts", begun);
  assert.equal(await page.evaluate(() => document.activeElement.getAttribute("href")), href);

  // The OLT is gone: the row in its place has the focus, or, as here, the part that held it. No button of another row.
  gone = await page.locator("#olts tbody tr").first().locator("td.t a").innerText();
  await readAgain(page, "#olts", begun);
  await page.waitForFunction((gone) => !document.querySelector("#olts tbody")?.textContent.includes(gone), gone);
  const has = await page.evaluate(() => ({
    in: document.querySelector("#olts").contains(document.activeElement),
    tag: document.activeElement.tagName,
  }));
  assert.ok(has.in, "the focus fell out of the list");
  assert.match(has.tag, /^(TR|SECTION)$/);
  await page.keyboard.press("Tab");
  assert.ok(await page.evaluate(() => document.activeElement !== document.body), "Tab does not go on from there");
});

test("pages: what has the focus stays where the eye has it when rows come in above it", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, width: 390 });
  await page.goto("/olts");
  await live(page);
  await page.locator("#olts tbody tr").first().waitFor({ timeout: DEVICE_MS });
  let above = 0;
  const begun = await serve(page, "/olts", "#olts", () => "", () => above);
  await readAgain(page, "#olts", begun);
  const link = page.locator("#olts tbody tr").last().locator("a").first();
  const href = await link.getAttribute("href");
  await link.focus();
  above = 60;
  await readAgain(page, "#olts", begun);
  const has = await page.evaluate(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect();
    return { href: document.activeElement.getAttribute("href"), rows: document.querySelectorAll("#olts tbody tr").length, seen: bottom > 0 && top < innerHeight };
  });
  assert.ok(has.rows > 60, `only ${has.rows} rows came in`);
  assert.equal(has.href, href);
  assert.ok(has.seen, "the focus left the window");
});

test("pages: a wrong address says so in words", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, tolerate: [/status of 404/] });
  const response = await page.goto("/no-such-page");
  assert.equal(response.status(), 404);
  await named(page);
});
