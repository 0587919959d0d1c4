// What holds on every page, wide and narrow, light and dark.
import assert from "node:assert/strict";
import { contrast, focusVisible, named, noOverflow } from "./lib/checks.mjs";
import { SCHEMES, WIDTHS } from "./lib/browser.mjs";
import { PAGES, pathOf } from "./lib/pages.mjs";
import { test } from "./lib/runner.mjs";

for (const wanted of PAGES) {
  for (const width of Object.keys(WIDTHS).map(Number)) {
    for (const scheme of SCHEMES) {
      test(`page ${wanted.name}: ${width} ${scheme}`, async ({ newPage }) => {
        const page = await newPage({ width, scheme, signedIn: true });
        const path = await pathOf(page, wanted);
        const response = await page.goto(path);
        assert.equal(response.status(), 200, `${path} answered ${response.status()}`);
        assert.equal(new URL(page.url()).pathname, path, "led somewhere else");
        await noOverflow(page);
        await contrast(page);
        await named(page);
        // The order and the rings do not depend on the colours.
        if (scheme === "light") await focusVisible(page, { least: 5 });
      });
    }
  }
}

test("pages: a wrong address says so in words", async ({ newPage }) => {
  const page = await newPage({ signedIn: true, tolerate: [/status of 404/] });
  const response = await page.goto("/no-such-page");
  assert.equal(response.status(), 404);
  await named(page);
});
