// Every list filters, sorts and pages on the server, and is a file that holds exactly what it shows.
import assert from "node:assert/strict";
import { atRest, csvOf, DEVICE_MS, live, serviceOf } from "./lib/journey.mjs";
import { test } from "./lib/runner.mjs";

/**
 * `sort`: a heading, the cell whose text it orders, and whether these texts differ from row to row; `filter`: a search
 * text and a word that every row then holds; `file`: the column of the CSV that has the sorted texts.
 */
const LISTS = [
  { path: "/detected", sort: "Serial, type", cell: "td.t .mono", filter: "HWTC-E1", holds: /HWTC-E1/, file: "serial", few: true },
  { path: "/onus", sort: "Serial", cell: 'td[data-l="Serial"] a', filter: "Fatima", holds: /Fatima/, file: "serial" },
  { path: "/services", sort: "Customer, service", cell: "td.t a", filter: "ftth10001", holds: /Ada Sommer/, file: "customer" },
  { path: "/cpes", sort: "CPE", cell: "td.t .two", filter: "GW-098", holds: /GW-098/, file: "serial_number", hex: true },
  { path: "/customers", sort: "Code", cell: 'td[data-l="Code"]', filter: "Bojenweg", holds: /Bojenweg/, file: "code" },
  { path: "/plans", sort: "Plan", cell: "td.t", filter: "Business", holds: /Business 1000/, file: "name", few: true },
  { path: "/olts", sort: "OLT", cell: "td.t a", filter: "HARBOUR", holds: /HARBOUR-OLT-1/, file: "name", few: true },
  { path: "/tasks", sort: "When", cell: "td.t .mono", filter: "0/1/0", holds: /0\/1\/0/, file: "serial", unordered: true },
  { path: "/audit", sort: "Which", cell: 'td[data-l="Which"]', filter: "plan.create", holds: /plan\.create/, file: "subject", repeats: true },
];

const texts = (page, cell) =>
  page.locator(`main .lk-panel .lk-table tbody tr ${cell}`).evaluateAll((all) => all.map((one) => one.textContent.trim()));

for (const list of LISTS) {
  test(`list ${list.path}: sorts, filters, pages and exports`, async ({ newPage }) => {
    const page = await newPage({ signedIn: true });
    await page.goto("/detected");
    await atRest(page);
    // Sorting by the heading, there and back.
    await page.goto(`${list.path}?size=500`);
    await page.locator("main .lk-table tbody tr").first().waitFor({ timeout: DEVICE_MS });
    const heading = page.locator("main .lk-table th a", { hasText: new RegExp(`^${list.sort}$`) });
    await heading.click();
    await page.waitForURL(/[?&]sort=[a-z]/);
    const up = await texts(page, list.cell);
    assert.equal(await page.locator('th[aria-sort="ascending"]').count(), 1);
    await heading.click();
    await page.waitForURL(/[?&]sort=-/);
    assert.equal(await page.locator('th[aria-sort="descending"]').count(), 1);
    const down = await texts(page, list.cell);
    if (!list.unordered) {
      // A device that comes between the two looks is in one of them only.
      const both = (texts, others) => texts.filter((text) => others.includes(text));
      const once = (texts) => (list.repeats ? [...new Set(texts)] : texts);
      assert.ok(both(up, down).length > 1 || list.few, "there is nothing to sort");
      assert.deepEqual(once(both(down, up)), once(both(up, down)).reverse(), "the other way round");
    }

    // Paging: no row twice, none left out. The order stays, whoever is added meanwhile comes to an end of the list.
    if (!list.few) {
      await page.goto(`${list.path}?size=7&sort=${list.path === "/customers" ? "code" : ""}`);
      const first = await texts(page, list.cell);
      assert.equal(first.length, 7);
      await page.locator(".lk-pager a", { hasText: "Next" }).click();
      await page.waitForURL(/page=2/);
      const second = await texts(page, list.cell);
      assert.equal(second.length, 7);
      if (list.path === "/customers") assert.deepEqual([...first, ...second], up.slice(0, 14));
      await page.locator(".lk-pager a", { hasText: "Back" }).click();
      await page.waitForURL(/page=1/);
    }

    // Filtering, by the form, and the file of what is left.
    await page.goto(list.path);
    await page.locator('.lk-filters [name="q"]').fill(list.filter);
    await page.keyboard.press("Enter");
    await page.waitForURL(/[?&]q=/);
    const rows = await page.locator("main .lk-panel .lk-table tbody tr").allInnerTexts();
    assert.ok(rows.length > 0, `nothing holds ${list.filter}`);
    if (!list.few) assert.ok(rows.length < up.length, "the filter filters nothing");
    for (const row of rows) assert.match(row, list.holds);
    const file = await csvOf(page, page.locator(".lk-acts a", { hasText: "Export" }));
    assert.equal(file.name, `${list.path.slice(1)}.csv`);
    assert.equal(file.rows.length, rows.length, "the file holds other rows than the list");
    const shown = (await texts(page, list.cell)).map((text) => (list.hex ? hex(text) : text));
    const kept = file.rows.map((row) => row[list.file]);
    for (const text of shown) assert.ok(kept.some((value) => value === text || value.startsWith(text)), `${text} is not in the file: ${kept}`);
  });
}

/** The serial number as a device says it, of the label that people read; what is no label stays. */
function hex(label) {
  const [, vendor, rest] = /^([A-Z]{4})-([0-9A-F]{8})$/.exec(label) ?? [];
  return vendor ? Buffer.from(vendor).toString("hex").toUpperCase() + rest : label;
}

test("list: a view is an address, and a phone sorts without headings", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, width: 390 });
  await page.goto("/customers?q=Bojenweg");
  assert.ok(!(await page.locator("thead").first().isVisible()) || (await page.locator("thead").first().boundingBox()).width <= 1);
  await page.locator("select[name=sort]").selectOption("-name");
  await page.waitForURL(/sort=-name/);
  assert.match(page.url(), /q=Bojenweg/, "the filter is lost");
  const names = await texts(page, "td.t");
  assert.deepEqual(names, [...names].sort().reverse());
  assert.ok(names.length > 1);
});

test("faults: by class, in words, and as a file", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  // The list fills by itself: nobody reloads it.
  await page.goto("/faults?class=device");
  await live(page);
  await page.locator("#faults .lk-table tbody tr", { hasText: "9004" }).first().waitFor({ timeout: DEVICE_MS });
  await page.goto("/faults");
  await page.locator("select[name=class]").selectOption("session_triggering");
  await page.waitForURL(/class=session_triggering/);
  await page.locator("#faults .lk-table tbody tr").first().waitFor({ timeout: DEVICE_MS });
  const words = await page.locator('#faults td[data-l="In words"]').allInnerTexts();
  assert.ok(words.length > 0 && words.every((text) => text.startsWith("our call did not bring a session")), words.join(" / "));
  await page.goto("/faults?class=device");
  await page.locator("#faults .lk-cause h2").waitFor();
  const file = await csvOf(page, page.locator(".lk-acts a", { hasText: "Export" }));
  assert.equal(file.name, "faults.csv");
  assert.deepEqual(file.heading.slice(0, 5), ["at", "class", "code", "text", "path"]);
  const full = file.rows.find((row) => row.code === "9004");
  assert.ok(full, "the fault is not in the file");
  assert.equal(full.class, "device");
  assert.equal(full.customer, "Hotel Seeblick");
  assert.match(full.path, /WANConnectionDevice/);
  assert.match(full.meaning, /ran out of resources/);
  assert.match(full.at, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d$/);
  assert.ok(file.rows.every((row) => row.class === "device"), "the file holds what the filter leaves out");
});

test("list: sessions and parameters of a CPE", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await serviceOf(page, "Ngô Thị Lan", { state: "Active" });
  await page.locator("#sv-cpe").click();
  await page.waitForURL(/\/cpes\/\d+$/);
  const cpe = new URL(page.url()).pathname;
  await page.goto(`${cpe}?q=ExternalIPAddress#params`);
  const shown = await page.locator("#parameters tbody tr").count();
  assert.ok(shown > 0, "no parameter of this name");
  const filtered = await csvOf(page, page.locator("#pm-csv"));
  assert.ok(filtered.rows.length >= shown && filtered.rows.every((row) => /ExternalIPAddress/.test(row.path + row.value)), "the file is not what was filtered");
  await page.goto(`${cpe}#params`);
  const parameters = await csvOf(page, page.locator("#pm-csv"));
  assert.deepEqual(parameters.heading, ["path", "value", "kind", "writable", "read_at"]);
  assert.ok(parameters.rows.length > filtered.rows.length);
  assert.ok(!parameters.rows.some((row) => /(Password|KeyPassphrase|PreSharedKey)$/.test(row.path) && row.value !== ""), "a secret is in the file");
  await page.locator("#cp-sessions").click();
  await page.waitForURL(/\/sessions$/);
  const sessions = await csvOf(page, page.locator(".lk-acts a", { hasText: "Export" }));
  assert.ok(sessions.rows.length >= 2);
  assert.match(sessions.rows.at(-1).events, /BOOTSTRAP/, "the first one is the last in the file");
  assert.match(await page.locator("main tbody").innerText(), /first contact/);
});
