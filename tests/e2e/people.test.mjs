// Who may do what, as a browser meets it, and what is kept of it.
import assert from "node:assert/strict";
import { shows } from "./lib/journey.mjs";
import { signIn } from "./lib/session.mjs";
import { test } from "./lib/runner.mjs";

const NAME = `vera-${process.pid}`;
const OWN = "a sentence of her own 7";

test("people: a viewer sees everything, writes nothing, and the audit log has it", async ({ app, newPage }) => {
  const admin = await newPage({ signedIn: true });
  await admin.goto("/settings/users");
  await admin.locator("#u-n").fill(NAME);
  await admin.locator("#u-r").selectOption("viewer");
  await admin.locator("form[action='/settings/users'] button.btn-primary").click();
  const first = await admin.locator(".lk-note .mono.strong").innerText();
  assert.match(await admin.locator(".lk-note").innerText(), new RegExp(`new password of ${NAME}`));

  // The refusals come with a 4xx, which Chromium reports on its console; and so does htmx, when the page that is open
  // reads itself again after its session was ended.
  const vera = await newPage({ tolerate: [/status of 4\d\d/, /Status Error Code 401 from/] });
  await signIn(vera, { ...app, user: NAME, password: first });
  assert.equal(new URL(vera.url()).pathname, "/password", "nobody keeps a password that others have seen");
  await vera.locator("#o").fill(first);
  await vera.locator("#n").fill(OWN);
  await vera.locator("#r").fill(OWN);
  await vera.keyboard.press("Enter");
  await vera.waitForURL((url) => url.pathname !== "/password");

  for (const path of ["/", "/detected", "/onus", "/onus/1", "/services", "/services/1", "/cpes", "/cpes/1", "/faults",
    "/customers", "/customers/1", "/plans", "/olts", "/olts/1", "/tasks", "/tasks/1", "/settings/policy"]) {
    const response = await vera.goto(path);
    assert.equal(response.status(), 200, path);
    const forms = await vera.locator("form[method=post]").evaluateAll((all) => all.map((form) => new URL(form.action).pathname));
    const others = forms.filter((action) => action !== "/logout" && !(path === "/settings/policy" && action === path));
    assert.deepEqual(others, [], `${path} offers a viewer to write`);
    const opens = await vera.locator("main [data-open]").evaluateAll((all) => all.map((one) => one.textContent.trim()));
    assert.deepEqual(opens, [], `${path} offers a viewer a dialog to write`);
  }
  await vera.goto("/settings/policy");
  assert.equal(await vera.locator("main button:not([type=button])").count(), 0, "the policy can be saved");
  assert.match(await vera.locator("main").innerText(), /You may look at these, not change them/);
  assert.equal(await vera.locator('.lk-nav a[href="/audit"]').count(), 0);

  // Past the pages: the same is refused, in words, and changes nothing.
  await vera.goto("/services/1");
  const before = await vera.locator("#sv-head .lk-chip").innerText();
  const post = (path, fields) =>
    vera.evaluate(
      async ([path, fields]) => {
        const token = JSON.parse(document.body.getAttribute("hx-headers"))["X-CSRF-Token"];
        const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ ...fields, _csrf: token }) });
        return { status: answer.status, text: await answer.text() };
      },
      [path, fields],
    );
  const suspended = await post("/services/1/suspend", { reason: "abuse", confirm: "S-10001" });
  assert.equal(suspended.status, 403);
  assert.match(suspended.text, /You may not change services \(it needs the permission services:write\)/);
  const ways = ["close", "cancel", "give-up", "resume"].map((way) => `/tasks/1/${way}`);
  for (const path of ["/cpes/1/release-service", "/cpes/1/hold", ...ways, "/authorise", "/olts", "/settings/users"]) {
    assert.equal((await post(path, {})).status, 403, path);
  }
  assert.equal((await vera.goto("/audit")).status(), 403);
  assert.match(await vera.locator("main").innerText(), /You may not read the audit log/);
  await vera.goto("/services/1");
  assert.equal(await vera.locator("#sv-head .lk-chip").innerText(), before);

  // What happened is kept, with who and from where.
  await admin.goto(`/audit?q=${NAME}`);
  const kept = await admin.locator(".lk-table tbody").innerText();
  assert.match(kept, /user\.create/);
  assert.match(kept, /login/);
  assert.match(kept, /127\.0\.0\.1/);
  const made = admin.locator(".lk-table tbody tr", { hasText: "user.create" });
  await made.locator("summary").click();
  assert.match(await made.locator("pre").first().innerText(), /viewer/);
  assert.ok(!kept.includes(first) && !kept.includes(OWN), "a password is in the log");

  // A password that was lost: another one, shown once, and everybody who came in by the old one is out.
  await admin.goto("/settings/users");
  const row = admin.locator(".lk-table tbody tr", { hasText: NAME });
  await row.locator("summary").click();
  await row.locator("form[action$='/password'] button").click();
  const second = await admin.locator(".lk-note .mono.strong").innerText();
  assert.notEqual(second, first);
  await vera.goto("/onus");
  assert.equal(new URL(vera.url()).pathname, "/login", "a session outlived its password");
  await signIn(vera, { ...app, user: NAME, password: second });
  assert.equal(new URL(vera.url()).pathname, "/password", "nobody keeps a password that others have seen");

  // Switched off, the person is out at once.
  await admin.goto("/settings/users");
  await row.locator("input[name=active]").uncheck();
  await row.getByRole("button", { name: "Save" }).click();
  await shows(admin, ".lk-toast", "User saved");
  await vera.goto("/onus");
  assert.equal(new URL(vera.url()).pathname, "/login", "a session outlived its person");
});

test("people: an API key is made, works, and is revoked after a question", async ({ app, newPage }) => {
  const page = await newPage({ signedIn: true });
  await page.goto("/settings/api-keys");
  const name = `billing-${process.pid}`;
  await page.locator("#k-n").fill(name);
  await page.locator('input[value="cpes:operate"]').check();
  await page.locator("form[action='/settings/api-keys'] button.btn-primary").click();
  const key = await page.locator(".lk-note .mono.strong").innerText();
  const ask = (path, init = {}) => fetch(`${app.url}${path}`, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });
  assert.equal((await ask("/api/v1/olts")).status, 200);
  // What pages can do, programs can: and no more than their key says.
  const closed = await ask("/api/v1/tasks/1/close", { method: "POST" });
  assert.equal(closed.status, 403);
  assert.match((await closed.json()).detail, /onus:authorise/);
  const released = await ask("/api/v1/cpes/999999/release", { method: "POST" });
  assert.equal(released.status, 404);
  const row = page.locator(".lk-table tbody tr", { hasText: name });
  await row.locator("button", { hasText: "Revoke…" }).click();
  const dialog = page.locator("dialog[open]");
  assert.match(await dialog.innerText(), /it cannot be given back/);
  await dialog.locator("[data-close]").click();
  assert.equal((await ask("/api/v1/olts")).status, 200, "closing the question is no answer");
  await row.locator("button", { hasText: "Revoke…" }).click();
  await page.locator("dialog[open] button.btn-danger").click();
  await shows(page, ".lk-toast", "Key revoked");
  assert.equal((await ask("/api/v1/olts")).status, 401);
});
