// Photographs every page into docs/screenshots: 1440 and 390 wide, light and dark.
import { mkdirSync } from "node:fs";
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
      for (const wanted of PAGES) {
        await page.goto(await pathOf(page, wanted));
        await shoot(page, `${wanted.name}-${width}-${scheme}`);
      }
      await page.context().close();
      const stranger = await openPage(browser, { width, scheme, baseURL: instance.url });
      await stranger.goto("/login");
      await shoot(stranger, `login-${width}-${scheme}`);
      await stranger.context().close();
    }
  }
} finally {
  await browser.close().catch(() => {});
  await instance.stop();
}

async function shoot(page, name) {
  await page.evaluate(() => document.fonts.ready.then(() => true));
  await page.screenshot({ path: path.join(folder, `${name}.png`), animations: "disabled" });
  console.log(`docs/screenshots/${name}.png`);
}
