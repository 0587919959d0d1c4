// One box finds everything by whatever a caller, a label or a log says.
import assert from "node:assert/strict";
import { live } from "./lib/journey.mjs";
import { test } from "./lib/runner.mjs";

test("search: Enter behind a scanner does not wait for the list, and nothing found is said", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await page.goto("/onus");
  await live(page);
  await page.keyboard.press("/");
  await page.locator("#search[open] input").waitFor();
  await page.keyboard.type("Ada Sommer");
  await Promise.all([page.waitForURL(/\/search\?q=|\/services\/\d+$/), page.keyboard.press("Enter")]);
  assert.match(await page.locator("main").innerText(), /Ada Sommer/);
  await page.goto("/search?q=nobody-of-this-name");
  assert.match(await page.locator("main").innerText(), /Nothing has this name, number or address/);
});
