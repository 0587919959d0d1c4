// What journeys have in common: going by keyboard, waiting for what comes by itself, reading lists and files.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

/** Devices boot, call and are written to in this time, on a busy machine too. */
export const DEVICE_MS = 100_000;

/** Presses Tab until the focus is on what `locator` finds, as a person without a mouse does. */
export async function tabTo(page, locator, { most = 120 } = {}) {
  const wanted = await locator.first().elementHandle();
  for (let at = 0; at < most; at += 1) {
    await page.keyboard.press("Tab");
    if (await wanted.evaluate((el) => el === document.activeElement)) return;
    // A part that was read again replaced the element; one that has the same id is the same to a person.
    if (await page.evaluate((id) => id !== "" && document.activeElement?.id === id, (await wanted.getAttribute("id")) ?? "")) {
      return;
    }
  }
  throw new Error(`Tab does not reach ${locator}`);
}

/** Marks the document: the mark is gone as soon as the page was loaded anew. */
export async function stay(page) {
  await page.evaluate(() => {
    window.journeyMark = true;
  });
  return async () => {
    assert.ok(await page.evaluate(() => window.journeyMark === true), "the page was loaded anew");
  };
}

/** Waits until the page's event stream is open: what changes from now on arrives by itself. */
export const live = (page) => page.locator(".lk-live", { hasText: /^Live$/ }).waitFor({ state: "attached" });

/** Waits for a text within a part of the page, that may be replaced meanwhile. */
export async function shows(page, selector, text, { timeout = 45_000 } = {}) {
  await page.locator(selector).filter({ hasText: text }).first().waitFor({ timeout, state: "attached" });
}

/** The file behind a link, by clicking it, as rows of cells with the heading as keys. */
export async function csvOf(page, link) {
  const [download] = await Promise.all([page.waitForEvent("download"), link.click()]);
  const text = readFileSync(await download.path(), "utf8");
  assert.ok(text.startsWith("\ufeff"), "the file does not say that it is UTF-8");
  const [heading, ...lines] = cells(text.slice(1));
  return { name: download.suggestedFilename(), heading, rows: lines.map((line) => Object.fromEntries(heading.map((key, at) => [key, line[at]]))) };
}

/** CSV as RFC 4180 has it. */
export function cells(text) {
  const rows = [[]];
  let cell = "";
  let quoted = false;
  const end = () => {
    rows.at(-1).push(cell);
    cell = "";
  };
  for (let at = 0; at < text.length; at += 1) {
    const c = text[at];
    if (quoted && c === '"' && text[at + 1] === '"') {
      cell += '"';
      at += 1;
    } else if (c === '"') quoted = !quoted;
    else if (c === "," && !quoted) end();
    else if (c === "\r" && !quoted) continue;
    else if (c === "\n" && !quoted) {
      end();
      rows.push([]);
    } else cell += c;
  }
  if (cell !== "" || rows.at(-1).length > 0) end();
  else rows.pop();
  return rows;
}

/**
 * Waits on the open list of detected ONUs until only those are in it that wait for a person: the demo authorises all
 * others by itself, and until then rows go and ONU ids are taken.
 */
export async function atRest(page) {
  await page.waitForFunction(
    () => {
      const rows = [...document.querySelectorAll("#detected tbody tr")];
      return rows.length > 0 && rows.every((one) => /HWTC-(D1|E1)[0-9A-F]{6}/.test(one.textContent));
    },
    null,
    { timeout: DEVICE_MS },
  );
}

/** The page of the service of a customer, as soon as it is in this state. */
export async function serviceOf(page, name, { state, timeout = DEVICE_MS } = {}) {
  await page.goto(`/services?q=${encodeURIComponent(name)}`);
  const row = page.locator(".lk-table tbody tr").filter({ hasText: name });
  assert.equal(await row.count(), 1, `${name} has not exactly one service`);
  await row.locator("td.t a").click();
  await page.waitForURL(/\/services\/\d+$/);
  await live(page);
  if (state) await shows(page, "#sv-head .lk-chip", state, { timeout });
  return new URL(page.url()).pathname;
}

/** What the row of a setting says on a service page: wanted, found, and when it was read. */
export async function setting(page, name) {
  const row = page.locator("#dor tbody tr").filter({ has: page.locator("td:first-child", { hasText: new RegExp(`^\\s*${name}:`) }) });
  const text = (label) => row.locator(`td[data-l="${label}"]`).innerText();
  return {
    wanted: (await text("Wanted")).trim(),
    found: (await text("On the device")).trim(),
    at: Number(await row.locator("td[data-l=Evidence] time").getAttribute("data-at")),
    s: await row.getAttribute("data-s"),
  };
}
