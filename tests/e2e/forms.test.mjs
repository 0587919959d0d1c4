// Customers, services and OLTs by form: what is wrong is said beside its field and nothing that was typed is lost.
import assert from "node:assert/strict";
import { contrast, noOverflow } from "./lib/checks.mjs";
import { DEVICE_MS, live, shows } from "./lib/journey.mjs";
import { pathOf } from "./lib/pages.mjs";
import { test } from "./lib/runner.mjs";

test("forms: the dry run of a new service is made of its plan and its customer", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await page.goto("/detected");
  await live(page);
  const stranger = page.locator("#detected tbody tr").filter({ hasText: /HWTC-E1[0-9A-F]{6}/ }).first();
  await stranger.waitFor({ timeout: DEVICE_MS });
  await page.goto(await stranger.locator('a[href^="/authorise"]').first().getAttribute("href"));
  await page.locator("#f-for").selectOption("none");
  await page.locator("#dry-run .lk-dry").waitFor({ timeout: DEVICE_MS });
  const line = () => page.locator(".lk-dry li", { hasText: "ont add" }).innerText();
  assert.doesNotMatch(await line(), / desc "S-/, "nobody has a description");
  await page.locator("#f-for").selectOption("new");
  await page.locator("#dry-run", { hasText: "Pick a customer or name a new one" }).waitFor();
  await page.locator("#f-name").fill("Dry Run");
  await page.locator(".lk-dry li", { hasText: /ont add .* desc "S-\d+ Dry Run"/ }).waitFor({ timeout: DEVICE_MS });
  await shows(page, ".lk-checks", "a new service S-");
  // Passwords that are typed go with the order and never into an address.
  const asked = page.waitForRequest((request) => request.url().includes("/authorise/dry-run"));
  await page.locator("#f-pw").fill("typed-Heron-77");
  await page.locator("#f-desc").fill("by hand");
  assert.ok(!(await asked).url().includes("typed-Heron-77"), "a password is in an address");
  await page.locator(".lk-dry li", { hasText: 'desc "by hand"' }).waitFor({ timeout: DEVICE_MS });
});

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
  // Nobody typed passwords: they are shown here, once.
  await page.locator("#once").waitFor();
  for (const id of ["#once-pppoe", "#once-wifi"]) {
    assert.ok((await page.locator(id).innerText()).trim().length >= 12, `${id} shows nothing`);
  }
  await noOverflow(page);
  await contrast(page);
  await page.locator("#once a", { hasText: "Open service" }).click();
  await page.waitForURL(/\/services\/\d+$/);
  await shows(page, "#sv-cause", `It waits for ${serial}`);
  assert.match(await page.locator("#sv-head").innerText(), new RegExp(name));
  const code = (await page.locator("#sv-head .lk-meta .mono").first().innerText()).trim();
  await detected.locator("#detected tbody tr", { hasText: serial }).filter({ hasText: code }).waitFor({ timeout: DEVICE_MS });

  // A fixed address with a wrong mask: the dialog is open again, with what was typed.
  await page.locator("button", { hasText: "Change Internet…" }).click();
  await page.locator("#i-m").selectOption("static");
  await page.locator("#i-a").fill("203.0.113.10");
  await page.locator("#i-k").fill("255.0.255.0");
  await page.locator("#i-g").fill("203.0.113.9");
  await page.locator("#internet button", { hasText: "Save" }).click();
  await page.locator("#internet[open] #i-k[aria-invalid=true]").waitFor();
  assert.equal(await page.locator("#i-a").inputValue(), "203.0.113.10", "what was typed is lost");
  await noOverflow(page);
  await contrast(page);
  await page.locator("#i-k").fill("255.255.255.248");
  await page.locator("#internet button", { hasText: "Save" }).click();
  await shows(page, ".lk-toast", "Internet change saved");
  // A new password, once.
  await page.locator("button", { hasText: "New passwords…" }).click();
  await page.locator("#renew button", { hasText: "Make a new Wi-Fi password" }).click();
  await page.locator("#once-wifi").waitFor();
  await page.locator("#once a", { hasText: "Open service" }).click();
  await page.waitForURL(/\/services\/\d+$/);
  // Moved next door.
  await page.locator("button", { hasText: "Correct…" }).click();
  await page.locator("#cor-a").fill("Lotsenstieg 11");
  await page.locator("#correct button", { hasText: "Save" }).click();
  await shows(page, ".lk-toast", "Service corrected");
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
