import assert from "node:assert/strict";
import { contrast, focusVisible, named, noOverflow } from "./lib/checks.mjs";
import { SCHEMES, WIDTHS } from "./lib/browser.mjs";
import { signIn } from "./lib/session.mjs";
import { test } from "./lib/runner.mjs";

test("login: by keyboard alone", async ({ app, newPage }) => {
  const page = await newPage();
  await signIn(page, app);
  assert.equal(new URL(page.url()).pathname, "/");
});

test("login: a wrong password is refused in words and tells nothing", async ({ app, newPage }) => {
  // The refusal comes with a 4xx, which Chromium reports on its console.
  const page = await newPage({ tolerate: [/status of 4\d\d/] });
  await page.goto("/login");
  await page.locator('input[autocomplete="username"]').fill(app.user);
  await page.locator('input[type="password"]').fill(`${app.password}x`);
  await page.keyboard.press("Enter");
  await page.locator('[role="alert"]').waitFor();
  const known = await page.locator('[role="alert"]').innerText();
  assert.ok(known.trim().length > 0, "the refusal says nothing");
  await page.locator('input[autocomplete="username"]').fill("nobody-of-this-name");
  await page.locator('input[type="password"]').fill("something-else");
  await Promise.all([page.waitForEvent("framenavigated"), page.keyboard.press("Enter")]);
  await page.locator('[role="alert"]').waitFor();
  const unknown = await page.locator('[role="alert"]').innerText();
  assert.equal(unknown, known, "the answer tells whether the name exists");
});

test("login: pages need somebody signed in", async ({ newPage }) => {
  const page = await newPage();
  for (const path of ["/", "/onus", "/settings"]) {
    await page.goto(path);
    assert.equal(new URL(page.url()).pathname, "/login", `${path} was shown to a stranger`);
  }
});

for (const width of Object.keys(WIDTHS).map(Number)) {
  for (const scheme of SCHEMES) {
    test(`login: looks right at ${width} ${scheme}`, async ({ newPage }) => {
      const page = await newPage({ width, scheme });
      await page.goto("/login");
      await noOverflow(page);
      await contrast(page);
      await named(page);
      await focusVisible(page, { least: 3 });
    });
  }
}
