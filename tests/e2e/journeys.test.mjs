// Whole ways through the product as people go them, against the demo's simulated network: from light on a fibre to a
// verified service, a changed radio, a suspension and its end.
import assert from "node:assert/strict";
import { contrast, noOverflow } from "./lib/checks.mjs";
import { atRest, DEVICE_MS, live, serviceOf, setting, shows, stay, tabTo } from "./lib/journey.mjs";
import { test } from "./lib/runner.mjs";

const LONG = { limit_ms: 240_000 };

/** The first detected ONU that a service waits for: row, serial, and the service. */
async function waiting(page) {
  // The demo authorises all others by itself, and at its start they are in the list too.
  const row = page
    .locator("#detected tbody tr")
    .filter({ hasText: /HWTC-D1[0-9A-F]{6}/ })
    .filter({ has: page.locator("a.btn-primary") })
    .first();
  await row.waitFor({ timeout: DEVICE_MS });
  // ONU ids are chosen as the lines are sent: they stay as shown once the demo has no more to authorise.
  await atRest(page);
  const service = row.locator('a[href^="/services/"]');
  return {
    button: page.locator(`#${await row.locator("a.btn-primary").getAttribute("id")}`),
    serial: (await row.locator("td.t .mono").innerText()).trim(),
    service: await service.getAttribute("href"),
    who: (await service.innerText()).trim().replace(" · ", " "),
  };
}

/** The lines of the dry run that would be sent, word for word. */
async function planned(page) {
  await page.locator(".lk-dry li").first().waitFor({ timeout: DEVICE_MS });
  return page.locator(".lk-dry ol").evaluate((list) =>
    [...list.children]
      .filter((line) => !["read", "note"].includes(line.dataset.k))
      .map((line) => line.textContent.replace(/^[+−? ]/, "").trim()),
  );
}

/** The exact lines for an ONU of the demo's OLT: registration, both service ports, management and ACS. */
function expected(lines, serial, description) {
  const hex = Buffer.from(serial.slice(0, 4)).toString("hex").toUpperCase() + serial.slice(5);
  const place = /^ont add (\d+) (\d+) /.exec(lines[1] ?? "");
  assert.ok(place, `the second line registers no ONU: ${lines[1]}`);
  const [, port, onu] = place;
  const pon = `${lines[0].replace("interface gpon ", "")}/${port}`;
  const carry = (vlan, gem) =>
    `service-port vlan ${vlan} gpon ${pon} ont ${onu} gemport ${gem} multi-service user-vlan ${vlan} tag-transform translate`;
  return [
    lines[0],
    `ont add ${port} ${onu} sn-auth "${hex}" omci ont-lineprofile-id 10 ont-srvprofile-id 10 desc "${description}"`,
    "quit",
    carry(100, 1),
    carry(200, 2),
    lines[0],
    `ont ipconfig ${port} ${onu} dhcp vlan 200 priority 2`,
    `ont tr069-server-config ${port} ${onu} profile-id 1`,
  ];
}

/** How the lines call the ONU: by service and name. The OLT takes plain letters only, so a name is spelled in them. */
function description(lines, who) {
  const [, said] = / desc "([^"]*)"$/.exec(lines[1] ?? "") ?? [];
  const [code, ...name] = who.split(" ");
  if (/^[\x20-\x7e]*$/.test(who)) assert.equal(said, who);
  assert.match(said ?? "", new RegExp(`^${code} [A-Z][\\x20-\\x7e]*$`), `${name.join(" ")} is not spelled in plain letters`);
  return said;
}

/** The lines that the task really sent, in the order of its journal. */
const sent = (page) =>
  page.locator("#task .lk-table tbody tr td.t").evaluateAll((found) => found.map((line) => line.textContent.trim()));

test("journey: from light to an active service by keyboard alone, without a reload", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await page.goto("/");
  await live(page);
  await page.keyboard.press("g");
  await page.keyboard.press("d");
  await page.waitForURL("**/detected");
  await live(page);
  const onu = await waiting(page);

  // A colleague has the page of the service open already, from before anything is known of its line.
  const watcher = await newPage({ signedIn: true });
  await watcher.goto(onu.service);
  await live(watcher);
  await shows(watcher, "#sv-cause h2", "No ONU is authorised for this service yet");
  await shows(watcher, "#sv-line", onu.serial);
  const watched = await stay(watcher);

  // The list reads itself again every few seconds: the focus must survive that, or the keyboard is of no use.
  await tabTo(page, onu.button);
  await page.waitForResponse((response) => response.url().endsWith("/detected") && response.request().headers()["hx-request"] === "true");
  await page.waitForFunction((id) => document.activeElement?.id === id, await onu.button.getAttribute("id"));
  await page.keyboard.press("Enter");
  await page.waitForURL(/\/authorise\?detected=/);

  const lines = await planned(page);
  assert.deepEqual(lines, expected(lines, onu.serial, description(lines, onu.who)));
  await shows(page, ".lk-dry header", `${lines.length} lines to send`);
  await shows(page, ".lk-checks", "gets this ONU");
  await page.keyboard.press("Control+Enter");
  await page.waitForURL(/\/tasks\/\d+$/);
  const followed = await stay(page);
  await shows(page, "#task .lk-chip", "Done, read back", { timeout: DEVICE_MS });
  assert.deepEqual((await sent(page)).slice(0, lines.length), lines, "what was shown is what was sent");
  await followed();

  await tabTo(page, page.locator("#t-service"));
  await page.keyboard.press("Enter");
  await page.waitForURL(`**${onu.service}`);
  await shows(watcher, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });
  await watched();
  assert.equal(await watcher.locator("#sv-cause .lk-cause").count(), 0, "a cause is left over");
  for (const [layer, name] of [["core", "Core"], ["internet", "Internet"], ["access", "Access"]]) {
    await shows(watcher, `#t-${layer}`, `${name} Verified`);
  }
  const address = await setting(watcher, "External address");
  assert.equal(address.s, "ok");
  assert.match(address.found, /^\d+\.\d+\.\d+\.\d+$/);
  assert.ok(address.at > 0, "the evidence has no age");
  await shows(watcher, "#sv-path li:nth-child(2)", address.found);
  // Every line says why and who.
  const told = await watcher.locator("#sv-time > li").evaluateAll((all) =>
    all.map((line) => ({
      states: [...line.querySelectorAll(".st")].map((state) => state.textContent).join(" → "),
      text: (line.querySelector(".st") ? line.querySelector("p") : line.querySelector("h3, p"))?.textContent ?? "",
      by: line.querySelector(".by")?.textContent.trim() ?? "",
    })),
  );
  const states = told.map((line) => line.states).filter((text) => /^[A-Z_]+ → /.test(text)).reverse();
  assert.equal(states[0], "DISCOVERED → INFORMED");
  assert.equal(states.at(-1), "PROVISIONING → ACTIVE");
  assert.ok(told.every((line) => line.by.length > 0 && line.text.trim().length > 0), JSON.stringify(told));
  assert.ok(told.some((line) => line.by === "admin" && line.text.includes("ordered")), "who ordered it is not told");
  assert.ok(told.some((line) => line.text.startsWith("Verified on the device")), "nothing says what was verified");
});

test("journey: the same on a phone", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true, width: 390, scheme: "dark" });
  await page.goto("/");
  await page.locator(".lk-tabbar a", { hasText: "Detected" }).tap();
  await page.waitForURL("**/detected");
  const onu = await waiting(page);
  await onu.button.tap();
  await page.waitForURL(/\/authorise\?detected=/);
  const lines = await planned(page);
  assert.deepEqual(lines, expected(lines, onu.serial, description(lines, onu.who)));
  await noOverflow(page);
  await contrast(page);
  await page.locator("#authorise button[data-ctrl-enter]").tap();
  await page.waitForURL(/\/tasks\/\d+$/);
  await shows(page, "#task .lk-chip", "Done, read back", { timeout: DEVICE_MS });
  await noOverflow(page);
  await contrast(page);
  await page.locator("#t-service").tap();
  await page.waitForURL(`**${onu.service}`);
  await shows(page, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });
  await noOverflow(page);
  await contrast(page);
});

test("journey: a new Wi-Fi name reaches the radio and leaves the WAN alone", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await serviceOf(page, "Ada Sommer", { state: "Active" });
  const before = { address: await setting(page, "External address"), wifi: await setting(page, "Wi-Fi 2.4GHz name") };
  assert.equal(before.wifi.s, "ok");
  const stayed = await stay(page);
  await page.locator("#a-wifi").click();
  const form = page.locator("#wifi");
  assert.equal(await form.locator("[name=ssid]").inputValue(), before.wifi.wanted, "the form begins with what is wanted");
  const name = "Ada’s Café 5";
  await form.locator("[name=ssid]").fill(name);
  await stayed();
  await form.locator("button.btn-primary").click();
  await shows(page, ".lk-toast", "Not confirmed by the router yet");
  // From here on the layer of the WAN must not move: every word it shows is kept.
  await page.evaluate(() => {
    window.internetSaid = new Set();
    const look = () => window.internetSaid.add(document.querySelector("#t-internet").textContent.replace(/\s+/g, " ").trim());
    look();
    new MutationObserver(look).observe(document.querySelector("#found"), { childList: true, subtree: true });
  });
  await page
    .locator('#dor tr[data-s="ok"]', { hasText: "Wi-Fi 2.4GHz name" })
    .filter({ has: page.locator('td[data-l="Wanted"]', { hasText: name }) })
    .waitFor({ timeout: DEVICE_MS });
  const wifi = await setting(page, "Wi-Fi 2.4GHz name");
  assert.deepEqual({ wanted: wifi.wanted, found: wifi.found }, { wanted: name, found: "as wanted" });
  assert.ok(wifi.at > before.wifi.at, "the evidence is not newer than the change");
  await shows(page, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });
  await shows(page, "#t-access", /Access Verified\s*v2 wanted/, { timeout: DEVICE_MS });
  const said = await page.evaluate(() => [...window.internetSaid]);
  assert.deepEqual(said, ["Internet Verifiedv1 wanted; 21 of 21 settings read back"], "the WAN layer moved");
  assert.equal((await setting(page, "External address")).found, before.address.found, "the connection was made anew");
  // And the radio itself says so: the parameter as it was read in the session.
  await page.locator("#sv-cpe").click();
  await page.waitForURL(/\/cpes\/\d+$/);
  await page.locator("#params [name=q]").fill(".SSID");
  const radio = page.locator("#parameters tbody tr", { hasText: /WLANConfiguration\.1\.SSID/ });
  await radio.filter({ hasText: name }).waitFor();
  assert.ok(Number(await radio.locator("time").getAttribute("data-at")) > before.wifi.at);
  // On the timeline of the device only the layer that changed was worked on.
  const planned = await page.locator("#cp-side .lk-time li p", { hasText: /^Provisioning / }).first().innerText();
  assert.match(planned, /^Provisioning Access: /);
});

test("journey: a suspension is wanted, read back and said, and so is its end", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await serviceOf(page, "Jorge Peña", { state: "Active" });
  const code = await page.locator("#sv-head .lk-meta .mono").first().innerText();
  await page.locator("#a-suspend").click();
  const ask = page.locator("#suspend");
  await shows(page, "#suspend", "Nothing is deleted: VLAN, ONU and Wi-Fi stay");
  await ask.locator("[name=reason]").selectOption("unpaid");
  assert.ok(await ask.locator("[data-armed]").isDisabled(), "armed before the name was typed");
  await ask.locator("[name=confirm]").fill(`${code}x`);
  assert.ok(await ask.locator("[data-armed]").isDisabled(), "armed by another name");
  await ask.locator("[name=confirm]").fill(code);
  await ask.locator("[data-armed]").click();
  await shows(page, "#sv-cause h2", "The service is suspended");
  await shows(page, "#sv-cause", "Reason: unpaid.");
  await shows(page, "#sv-cause", "The router has confirmed that its internet connection is off.", { timeout: DEVICE_MS });
  await shows(page, "#sv-path li:nth-child(1)", "Suspended");
  await shows(page, "#sv-path li:nth-child(2)", "Off, suspended");
  const off = await setting(page, "WAN");
  assert.deepEqual({ wanted: off.wanted, found: off.found, s: off.s }, { wanted: "off", found: "as wanted", s: "ok" });
  assert.equal((await setting(page, "Wi-Fi 2.4GHz name")).s, "ok", "the Wi-Fi went with it");

  await page.locator("#a-resume").click();
  await page.locator("#resume button.btn-primary").click();
  await shows(page, ".lk-toast", "It counts when the router reads back that it is connected.");
  await shows(page, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });
  await page.locator('#dor tr[data-s="ok"]', { hasText: "External address" }).waitFor({ timeout: DEVICE_MS, state: "attached" });
  await shows(page, "#sv-path li:nth-child(2)", "Connected");
  const on = await setting(page, "WAN");
  assert.deepEqual({ wanted: on.wanted, found: on.found, s: on.s }, { wanted: "on", found: "as wanted", s: "ok" });
  const lines = (await page.locator("#sv-time").innerText()).replaceAll(/\s+/g, " ");
  assert.match(lines, new RegExp(`Service ${code} suspended \\(unpaid\\)`));
  assert.match(lines, new RegExp(`Service ${code} resumed`));
});

test("journey: a router is held with a reason, let go, released, and comes back by itself", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  await serviceOf(page, "Małgorzata Wójcik", { state: "Active" });
  await page.locator("#a-hold").click();
  await page.locator("#hold [name=reason]").fill("the street is dug up");
  await page.locator("#hold button.btn-primary").click();
  await shows(page, "#sv-time", "Provisioning held: the street is dug up");
  await page.locator("#a-go").click();
  await shows(page, "#sv-time", "Hold lifted.");
  await shows(page, "#sv-head .lk-chip", "Active", { timeout: DEVICE_MS });

  await page.locator("#sv-cpe").click();
  await page.waitForURL(/\/cpes\/\d+$/);
  await live(page);
  await page.locator("#a-release").click();
  await shows(page, "#release", "Nothing is written to this one: it keeps what it has");
  await page.locator("#release button.btn-danger").click();
  await shows(page, ".lk-toast", "Released");
  await shows(page, "#cp-side .lk-time", "Released from its service by hand.");
  // Its ONU still says whose it is, so the next contact ties it again.
  await page.locator("#a-call").click();
  await shows(page, "#cp-head", "Małgorzata Wójcik", { timeout: DEVICE_MS });
  await shows(page, "#cp-head .lk-chip", "Active", { timeout: DEVICE_MS });
});

test("journey: the family of a firmware is set by hand, shown with who and why, and taken back", LONG, async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  // A router is of its family by what it has, and leads to what is known of its model.
  await serviceOf(page, "Jorge Peña", { state: "Active" });
  await page.locator("#sv-cpe").click();
  await page.waitForURL(/\/cpes\/\d+$/);
  await shows(page, "#cp-identity", "proved by probing on 2");
  await page.locator("#cp-model").click();
  await page.waitForURL(/\/settings\/models\/\d+/);
  const firmware = page.locator("section[id^=fw-]").first();
  await shows(page, "section[id^=fw-]", "proved by probing");
  await shows(page, "section[id^=family-]", "Internet by PPPoE");

  await firmware.locator("summary", { hasText: "Set the family by hand" }).click();
  await firmware.locator("[name=family]").selectOption("nokia_x_alu");
  await firmware.locator("[name=reason]").fill("the label on the box says so");
  await firmware.locator("button.btn-primary").click();
  await shows(page, ".lk-toast", "Family set");
  await shows(page, "section[id^=fw-]", "the label on the box says so");
  await noOverflow(page);
  await page.goto("/settings/models?state=overridden");
  await shows(page, ".lk-table tbody", "set for 1 firmware");

  // The same on a phone, where it is taken back.
  const phone = await newPage({ signedIn: true, width: 390, scheme: "dark" });
  await phone.goto("/settings/models?state=overridden");
  await phone.locator(".lk-table a[id^=m-]").first().click();
  await noOverflow(phone);
  await phone.locator("button", { hasText: "Take the override back" }).click();
  await shows(phone, ".lk-toast", "Taken back");
  await shows(phone, "section[id^=fw-]", "none; what each device has decides");
  await phone.goto("/audit?q=family");
  await shows(phone, "main", "settings.withdraw_family");
});
