// An ONU is taken off, moved to another port, replaced by another one: ordered on a page that shows every line first, and
// read back both from the pages and from what the simulated OLT itself has and was told.
import assert from "node:assert/strict";
import { contrast, noOverflow } from "./lib/checks.mjs";
import { DEVICE_MS, live, serviceOf, shows } from "./lib/journey.mjs";
import { test } from "./lib/runner.mjs";

const LONG = { limit_ms: 300_000 };

/** As the OLT and its record write a serial: `HWTC-D1000001` is `48575443D1000001`. */
const hex16 = (serial) => Buffer.from(serial.slice(0, 4)).toString("hex").toUpperCase() + serial.slice(5);

/** What of a record is about this serial, as `effect` words in their order, from entry number `since` on. */
function effects(olt, since, serial) {
  const all = olt.record.filter((entry) => entry.seq >= since).flatMap((entry) => entry.effects ?? []);
  return all.filter((effect) => JSON.stringify(effect).includes(serial) || /^service-port/.test(effect.effect));
}

const nextEntry = (olt) => (olt.record.at(-1)?.seq ?? -1) + 1;

/** Where the OLT has a serial registered: port and ONU ID, as often as it does. */
function registered(olt, serial) {
  return Object.entries(olt.state.config.onts).flatMap(([pon, onts]) =>
    Object.entries(onts)
      .filter(([, ont]) => ont.serial === serial)
      .map(([id]) => `${pon} ${id}`),
  );
}

/** An ONU of the demo that waits for a person, authorised for its service: by an earlier journey or now. */
async function authorised(page, customer) {
  await page.goto(`/services?q=${encodeURIComponent(customer)}`);
  await page.locator(".lk-table tbody tr", { hasText: customer }).locator("td.t a").click();
  await page.waitForURL(/\/services\/\d+$/);
  const service = new URL(page.url()).pathname;
  if ((await page.locator("#sv-line").innerText()).includes("ONU ID")) return service;
  await page.goto("/detected");
  const row = page.locator("#detected tbody tr", { hasText: customer });
  await row.locator("a.btn-primary").click({ timeout: DEVICE_MS });
  await page.locator(".lk-dry li").first().waitFor({ timeout: DEVICE_MS });
  await page.keyboard.press("Control+Enter");
  await done(page);
  return service;
}

/** Waits until the task on this page is done and read back. */
async function done(page) {
  await page.waitForURL(/\/tasks\/\d+$/);
  await shows(page, "#task .lk-chip", "Done, read back", { timeout: DEVICE_MS });
}

/** The lines of the dry run that would be sent. */
async function planned(page) {
  await page.locator(".lk-dry li").first().waitFor({ timeout: DEVICE_MS });
  return page.locator(".lk-dry ol").evaluate((list) =>
    [...list.children]
      .filter((line) => !["read", "note"].includes(line.dataset.k))
      .map((line) => line.textContent.replace(/^[+−? ]/, "").trim()),
  );
}

/** That every line that was shown was sent, in this order, and nothing else that changes something. */
async function sentAsShown(page, lines) {
  const sent = await page
    .locator("#task .lk-table tbody tr td.t")
    .evaluateAll((found) => found.map((line) => line.textContent.trim()));
  let at = 0;
  for (const line of sent) if (line === lines[at]) at += 1;
  assert.equal(at, lines.length, `was shown and not sent: ${lines[at]}\nsent: ${sent.join("\n      ")}`);
}

/** The ONU of a service page: its serial and its own page. */
async function onuOf(page, service) {
  await page.goto(service);
  const link = page.locator('#sv-line a[href^="/onus/"]').first();
  const path = await link.getAttribute("href");
  await page.goto(path);
  return { path, serial: (await page.locator("h1 .mono").innerText()).trim() };
}

/** Types the serial that goes: the button is armed by it and by nothing else. */
async function confirm(page, serial) {
  const button = page.locator("#change button[data-armed]");
  assert.ok(await button.isDisabled(), "armed before anything was typed");
  await page.locator("#f-confirm").fill(`${serial}0`);
  assert.ok(await button.isDisabled(), "armed by another serial");
  await page.locator("#f-confirm").fill(serial);
  await noOverflow(page);
  await contrast(page);
  await button.click();
}

test("ONU changes: moved to the port where it was plugged in, with service and router as they are", LONG, async ({ app, newPage, skip }) => {
  if (!app.world) skip("needs a demo of its own");
  const page = await newPage({ signedIn: true });
  const service = await serviceOf(page, "Ngô Thị Lan", { state: "Active" });
  const onu = await onuOf(page, service);
  const hex = hex16(onu.serial);
  const before = app.olt();
  const was = await page.locator("#on-head .lk-meta").innerText();
  // The demo's own people authorise on these ports until they are done.
  await page.goto("/detected");
  await live(page);
  await app.world(`plug ${onu.serial} 0/2/3`);
  const row = page.locator("#detected tbody tr", { hasText: onu.serial });
  await row.waitFor({ timeout: DEVICE_MS });
  await shows(page, "#detected", "Known elsewhere");
  await row.locator("a", { hasText: "Move here…" }).click();
  await page.waitForURL(/do=move&pon=0\/2\/3$/);
  const lines = await planned(page);
  assert.ok(lines.some((line) => /^ont delete \d+ \d+$/.test(line)) && lines.some((line) => line.includes(`sn-auth "${hex}"`)), lines.join("\n"));
  await shows(page, ".lk-checks", "keeps this ONU, its CPE and all its settings");
  await noOverflow(page);
  await contrast(page);
  await page.locator("#change button.btn-primary").click();
  await done(page);
  await sentAsShown(page, lines);

  await page.goto(onu.path);
  await shows(page, "#on-head .lk-meta", "PON 0/2/3");
  assert.ok(!was.includes("PON 0/2/3"), "it was there before");
  await page.goto(service);
  await live(page);
  await shows(page, "#sv-line", onu.serial);
  await shows(page, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });
  const after = app.olt();
  const told = effects(after, nextEntry(before), hex).map((effect) => effect.effect);
  assert.deepEqual(told.filter((word) => /^ont-(added|deleted)$/.test(word)), ["ont-deleted", "ont-added"], told.join(" "));
  const places = registered(after, hex);
  assert.ok(places.length === 1 && places[0].startsWith("0/2/3 "), `the OLT has it at ${places}`);
});

test("ONU changes: one that went dark is replaced by the one that came", LONG, async ({ app, newPage, skip }) => {
  if (!app.world) skip("needs a demo of its own");
  const page = await newPage({ signedIn: true });
  const service = await authorised(page, "Амина Сәрсенова");
  const old = await onuOf(page, service);
  const place = /PON (\S+) · ONU ID (\d+)/.exec(await page.locator("#on-head .lk-meta").innerText());
  const came = "HWTC-F2A00001";
  const before = app.olt();
  await app.world(`unplug ${old.serial}`);
  await app.world(`plug ${came} ${place[1]}`);
  await page.goto("/detected");
  await live(page);
  const row = page.locator("#detected tbody tr", { hasText: came });
  await row.filter({ hasText: "went dark" }).waitFor({ timeout: DEVICE_MS });
  await row.locator("a", { hasText: "Replace an ONU with this…" }).click();
  await page.waitForURL(/do=replace&serial=/);
  assert.equal(await page.locator("h1 .mono").innerText(), old.serial, "another ONU is to go");
  assert.equal(await page.locator("#f-serial").inputValue(), came);
  const lines = await planned(page);
  assert.ok(lines.some((line) => line.includes(`sn-auth "${hex16(came)}"`)), lines.join("\n"));
  await shows(page, ".lk-checks", `gets ${came}`);
  await confirm(page, old.serial);
  await done(page);
  await sentAsShown(page, lines);

  await page.goto(service);
  await live(page);
  await shows(page, "#sv-line", came);
  await page.goto(old.path);
  await shows(page, "#on-line", "Taken off");
  const now = await onuOf(page, service);
  assert.equal(now.serial, came);
  await shows(page, "#on-head .lk-meta", `PON ${place[1]} · ONU ID ${place[2]}`);
  const after = app.olt();
  const since = nextEntry(before);
  const told = [...effects(after, since, hex16(old.serial)), ...effects(after, since, hex16(came))].map((effect) => effect.effect);
  assert.deepEqual(told.filter((word) => /^ont-(added|deleted)$/.test(word)), ["ont-deleted", "ont-added"], told.join(" "));
  assert.equal(registered(after, hex16(old.serial)).length, 0, "the OLT still has the old one");
  assert.deepEqual(registered(after, hex16(came)), [`${place[1]} ${place[2]}`]);
});

test("ONU changes: taken off by keyboard, and offered again as soon as the OLT sees it", LONG, async ({ app, newPage, skip }) => {
  if (!app.olt) skip("needs a demo of its own");
  const page = await newPage({ signedIn: true });
  const service = await authorised(page, "Noor van Dijk");
  const onu = await onuOf(page, service);
  const hex = hex16(onu.serial);
  const before = app.olt();
  const ports = Object.keys(before.state.config.service_ports).length;
  await page.locator("#a-remove").focus();
  await page.keyboard.press("Enter");
  await page.waitForURL(/do=remove$/);
  const lines = await planned(page);
  assert.equal(lines.filter((line) => /^undo service-port \d+$/.test(line)).length, 2, lines.join("\n"));
  assert.equal(lines.filter((line) => /^ont delete \d+ \d+$/.test(line)).length, 1, lines.join("\n"));
  await shows(page, ".lk-checks", "its CPE is released");
  await confirm(page, onu.serial);
  await done(page);
  await sentAsShown(page, lines);

  await page.goto(onu.path);
  await shows(page, "#on-line", "Taken off");
  assert.equal(await page.locator("#a-remove").count(), 0, "it may be taken off twice");
  await page.goto(service);
  await live(page);
  await shows(page, "#sv-cause h2", "No ONU is authorised for this service yet");
  const after = app.olt();
  const told = effects(after, nextEntry(before), hex).map((effect) => effect.effect);
  assert.equal(told.filter((word) => word === "service-port-deleted").length, 2, told.join(" "));
  assert.ok(told.includes("ont-deleted") && !told.includes("ont-added"), told.join(" "));
  assert.equal(registered(after, hex).length, 0, "the OLT still has it");
  assert.equal(Object.keys(after.state.config.service_ports).length, ports - 2);

  // It has light and is planned nowhere: it waits in the list, for the service that still expects it.
  const phone = await newPage({ signedIn: true, width: 390, scheme: "dark" });
  await phone.goto("/detected");
  const row = phone.locator("#detected tbody tr", { hasText: onu.serial });
  await row.filter({ hasText: "Noor van Dijk" }).waitFor({ timeout: DEVICE_MS });
  await noOverflow(phone);
  await contrast(phone);
});
