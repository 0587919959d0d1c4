// One box finds everything by whatever a caller, a label or a log says.
import assert from "node:assert/strict";
import { live, serviceOf } from "./lib/journey.mjs";
import { test } from "./lib/runner.mjs";

/**
 * Opens the box, types, and opens the hit, all by keyboard or, with `click`, all by mouse; `hit` is what its title or
 * detail says, `leads` where it leads.
 */
async function find(page, typed, { hit, leads, click = false }) {
  await page.goto("/");
  if (click) await page.locator(".lk-find").click();
  else await page.keyboard.press("/");
  await page.locator("#search[open] input").waitFor();
  await page.keyboard.type(typed);
  const wanted = page.locator("#search-hits a[role=option]").filter({ hasText: hit }).and(page.locator(`[href="${leads}"]`));
  await wanted.waitFor();
  for (let at = 0; !click && (await wanted.getAttribute("aria-selected")) !== "true"; at += 1) {
    assert.ok(at < 30, `${typed}: the arrows do not reach the hit`);
    await page.keyboard.press("ArrowDown");
  }
  await Promise.all([page.waitForURL(`**${leads}`), click ? wanted.click() : page.keyboard.press("Enter")]);
}

test("search: by serial in three notations, name, login and address", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  const service = await serviceOf(page, "Siobhán Ní Bhriain", { state: "Active" });
  const serial = (await page.locator("#sv-serial").innerText()).trim();
  const code = (await page.locator("#sv-head .lk-meta .mono").first().innerText()).trim();
  const login = await page.locator("#sv-line dt", { hasText: "PPPoE login" }).locator("+ dd").innerText();
  const address = await page.locator("#sv-line dt", { hasText: "Management" }).locator("+ dd").innerText();
  const cpe = new URL(await page.locator("#sv-cpe").evaluate((a) => a.href)).pathname;
  const hex = Buffer.from(serial.slice(0, 4)).toString("hex") + serial.slice(5);
  const hit = { hit: code, leads: service };
  for (const notation of [serial, serial.replace("-", "").toLowerCase(), hex.toUpperCase()]) {
    await find(page, notation, hit);
    await find(page, notation, { ...hit, click: true });
  }
  // Half of a name in small letters, as one types it on the phone.
  await find(page, "siobhán ní", hit);
  await find(page, code.toLowerCase(), hit);
  await find(page, login, hit);
  await find(page, address, { hit: address, leads: cpe });
});

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
