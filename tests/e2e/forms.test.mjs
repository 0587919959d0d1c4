// Customers, services and OLTs by form: what is wrong is said beside its field and nothing that was typed is lost.
import assert from "node:assert/strict";
import { noOverflow } from "./lib/checks.mjs";
import { DEVICE_MS, live, shows } from "./lib/journey.mjs";
import { pathOf } from "./lib/pages.mjs";
import { test } from "./lib/runner.mjs";

test("forms: a customer and a service that waits for its ONU", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, tolerate: [/status of 422/] });
  const name = `Ζωή Νικολάου ${process.pid}`;
  await page.goto("/customers/new");
  await page.locator("#f-n").fill(name);
  await page.locator("#f-e").fill("zoe@example");
  await page.locator("#f-p").fill("+30 210 555 0199");
  await page.locator("#f-a").fill("Lotsenstieg 9");
  await page.keyboard.press("Control+Enter");
  await page.waitForURL(/\/customers(\/\d+)?$/);
  assert.match(await page.locator("h1").innerText(), new RegExp(name));
  await page.locator("a", { hasText: "Add service" }).click();
  await page.waitForURL(/\/services\/new/);
  await page.locator("#f-p").selectOption({ index: 0 });
  // A serial that is none: said beside the field, and the rest stays.
  await page.locator("#f-s").fill("HWTC-12");
  await page.locator("#f-l").fill(`zoe${process.pid}@isp`);
  await page.locator("button", { hasText: "Create" }).click();
  const wrong = page.locator("#f-s");
  await page.locator("#f-s[aria-invalid=true]").waitFor();
  const said = await wrong.locator("xpath=following-sibling::*[1]").innerText();
  assert.ok(said.length > 10, "nothing says what is wrong with the serial");
  assert.equal(await page.locator("#f-l").inputValue(), `zoe${process.pid}@isp`, "what was typed is lost");

  // The serial of the ONU that nobody ordered, as its label writes it: the list then names the service.
  const detected = await newPage({ signedIn: true });
  await detected.goto("/detected");
  await live(detected);
  // The demo authorises all others by itself, and at its start they are in the list too.
  const stranger = detected.locator("#detected tbody tr", { hasText: "No match" }).filter({ hasText: /HWTC-E1[0-9A-F]{6}/ }).first();
  await stranger.waitFor({ timeout: DEVICE_MS });
  const serial = (await stranger.locator("td.t .mono").innerText()).trim();
  await wrong.fill(serial.replace("-", "").toLowerCase());
  await page.locator("button", { hasText: "Create" }).click();
  await page.waitForURL(/\/services\/\d+$/);
  await shows(page, "#sv-cause", `It waits for ${serial}`);
  assert.match(await page.locator("#sv-head").innerText(), new RegExp(name));
  const code = (await page.locator("#sv-head .lk-meta .mono").first().innerText()).trim();
  await detected.locator("#detected tbody tr", { hasText: serial }).filter({ hasText: code }).waitFor({ timeout: DEVICE_MS });
});

test("forms: an OLT with a wrong password says so in words and is left alone when switched off", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, tolerate: [/status of 422/] });
  await page.goto("/olts");
  const [, address, port] = /([\d.]+):(\d+)/.exec(await page.locator(".lk-table tbody tr", { hasText: "HARBOUR-OLT-1" }).innerText());
  await page.goto("/olts/new");
  const name = `OLT-WRONG-${process.pid}`;
  await page.locator("#f-n").fill(name);
  await page.locator("#f-a").fill(address);
  await page.locator("#f-po").fill(port);
  await page.locator("#f-u").fill("somebody");
  await page.locator("#f-pw").fill("not-the-password-9");
  // A customer's traffic on the management VLAN: refused before anything is kept.
  await page.locator("#f-management_vlan").fill("100");
  await page.locator("#f-internet_vlan").fill("100");
  await page.locator("button", { hasText: "Save" }).click();
  await page.locator("#f-management_vlan[aria-invalid=true], #f-internet_vlan[aria-invalid=true]").first().waitFor();
  assert.equal(await page.locator("#f-pw").inputValue(), "", "a secret came back");
  await page.locator("#f-management_vlan").fill("200");
  await page.locator("#f-pw").fill("not-the-password-9");
  await page.locator("button", { hasText: "Save" }).click();
  await page.waitForURL(/\/olts\/\d+$/);
  await live(page);
  await shows(page, "#ol-cause", "does not answer its command line", { timeout: DEVICE_MS });
  const cause = await page.locator("#ol-cause").innerText();
  assert.match(cause, /password|log ?in|refused|authenticat/i, "the cause does not name the login");
  await page.locator("button", { hasText: "Test the login" }).click();
  await shows(page, ".lk-toast", "The login does not work", { timeout: DEVICE_MS });
  await page.locator("a", { hasText: "Change" }).click();
  await page.waitForURL(/\/edit$/);
  await page.locator("input[name=enabled]").uncheck();
  await page.locator("button", { hasText: "Save" }).click();
  await page.waitForURL(/\/olts\/\d+$/);
  await shows(page, "#ol-cause", "Switched off in its settings");
  const phone = await newPage({ signedIn: true, width: 390 });
  await phone.goto(new URL(page.url()).pathname);
  await noOverflow(phone);
});

test("forms: an ONU goes only after every line was shown and its serial was typed", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, tolerate: [/status of 422/] });
  await page.goto(await pathOf(page, { name: "onu", from: "/onus", link: /^\/onus\/\d+$/ }));
  const serial = (await page.locator("h1 .mono").innerText()).trim();
  await page.locator("#a-remove").click();
  await page.waitForURL(/\/change\?do=remove$/);
  const lines = page.locator('.lk-dry li[data-k="del"]');
  await lines.last().waitFor({ timeout: 60_000 });
  assert.match(await lines.last().innerText(), /ont delete \d+ \d+$/);
  const button = page.locator("#change button[data-armed]");
  assert.ok(await button.isDisabled(), "nothing was typed");
  await page.locator("#f-confirm").fill("HWTC-00000000");
  assert.ok(await button.isDisabled(), "another serial was typed");
  await page.locator("#f-confirm").fill(serial);
  assert.ok(await button.isEnabled(), "its serial was typed");
  // Looked at, and left alone.
  await page.locator("#change a.btn", { hasText: "Back" }).click();
  await page.waitForURL(/\/onus\/\d+$/);
  // Moving and replacing ask for what they need before they ask the OLT.
  await page.locator("#a-replace").click();
  await page.locator("#f-serial").fill("not a serial");
  await page.locator("#dry-run", { hasText: "A field is not acceptable" }).waitFor({ timeout: 60_000 });
  assert.ok(await button.isDisabled(), "the one that goes was not named");
  await page.locator("#f-confirm").fill(serial);
  await button.click();
  await page.locator("#e-serial", { hasText: "is no PON serial number" }).waitFor();
});
