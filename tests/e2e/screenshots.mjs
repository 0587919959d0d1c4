// Photographs the main pages for the documents, into docs/screenshots: 1440 and 390 wide, light and dark, as WebP.
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { launch, openPage, SCHEMES, WIDTHS } from "./lib/browser.mjs";
import { startDemo } from "./lib/instance.mjs";
import { PAGES, pathOf } from "./lib/pages.mjs";
import { signedInState } from "./lib/session.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const folder = path.join(here, "../../docs/screenshots");
const output = path.join(here, "../../target/e2e");
/** The demo has come to rest by then: most ONUs ACTIVE, the others waiting with a reason. */
const SETTLE_LIMIT_MS = 100_000;

mkdirSync(folder, { recursive: true });
for (const old of readdirSync(folder)) rmSync(path.join(folder, old));
mkdirSync(output, { recursive: true });
const instance = await startDemo({ binary: process.env.LIGHTKEEPER_BIN, output });
const browser = await launch();
try {
  console.log("waiting for the demo to settle …");
  if (!(await instance.line(/^SETTLED\b/, SETTLE_LIMIT_MS))) console.log("it has not said SETTLED; going on");
  const state = await signedInState(browser, instance);
  for (const width of Object.keys(WIDTHS).map(Number)) {
    for (const scheme of SCHEMES) {
      const page = await openPage(browser, { width, scheme, baseURL: instance.url, state });
      for (const wanted of PAGES.filter((one) => one.picture)) {
        await page.goto(await pathOf(page, wanted));
        // A dry run asks the OLT first.
        if (wanted.name === "authorise") await page.locator(".lk-dry li").first().waitFor();
        await shoot(page, `${wanted.name}-${width}-${scheme}`);
      }
      await page.context().close();
    }
  }
} finally {
  await browser.close().catch(() => {});
  await instance.stop();
}

/** The browser's own WebP is a fifth of a PNG at the same look. */
async function shoot(page, name) {
  await page.evaluate(() => document.fonts.ready.then(() => true));
  const devtools = await page.context().newCDPSession(page);
  const { data } = await devtools.send("Page.captureScreenshot", { format: "webp", quality: 78 });
  await devtools.detach();
  writeFileSync(path.join(folder, `${name}.webp`), Buffer.from(data, "base64"));
  console.log(`docs/screenshots/${name}.webp`);
}
