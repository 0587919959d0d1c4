// A small test runner: tests run one after another against one instance, each with fresh browser contexts.
import { mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { launch, openPage } from "./browser.mjs";
import { startDemo } from "./instance.mjs";
import { signedInState } from "./session.mjs";

const TEST_LIMIT_MS = 120_000;
const registered = [];

/**
 * Registers a test. `body` gets
 *   app       { url, user, password } of the instance under test; of a demo of its own also { world, olt }, see
 *             lib/instance.mjs
 *   newPage   ({ width, scheme, signedIn, tolerate, reducedMotion }) → a watched page; see lib/browser.mjs
 *   skip      (why) → ends the test as skipped, with its reason in the list at the end
 * Options: `app: false` for a test that needs no instance; `limit_ms` for its own time limit.
 *
 * Whatever a page of the test complained about (console errors, requests to other hosts, failed requests) fails
 * the test at its end, unless `tolerate` names it.
 */
export function test(name, options, body) {
  if (typeof options === "function") [options, body] = [{}, options];
  if (registered.some((other) => other.name === name)) throw new Error(`two tests are called "${name}"`);
  registered.push({ name, body, app: options.app !== false, limit_ms: options.limit_ms ?? TEST_LIMIT_MS });
}

class Skipped extends Error {}

/** Runs everything registered; answers { passed, failed, skipped: [{ name, why }] }. */
export async function runTests({ grep, target, binary, output }) {
  rmSync(output, { recursive: true, force: true });
  mkdirSync(output, { recursive: true });
  const tests = registered.filter((one) => !grep || one.name.includes(grep));
  const outcome = { passed: 0, failed: 0, skipped: [] };
  const browser = await launch();
  let instance = null;
  try {
    for (const one of tests) {
      const begun = Date.now();
      const told = (word) => console.log(`${word} ${one.name} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
      try {
        if (one.app && !instance) {
          instance = target ? { ...target, stop: async () => {} } : await startDemo({ binary, output });
          console.log(`instance: ${instance.url}`);
        }
        await runOne(one, browser, instance, output);
        outcome.passed += 1;
        told("ok  ");
      } catch (error) {
        if (error instanceof Skipped) {
          outcome.skipped.push({ name: one.name, why: error.message });
          told("skip");
          continue;
        }
        outcome.failed += 1;
        told("FAIL");
        console.log(String(error.stack ?? error).replace(/^/gm, "       "));
        // Without an instance every other test would fail the same way, slowly.
        if (one.app && !instance) {
          const rest = tests.slice(tests.indexOf(one) + 1).filter((other) => other.app);
          outcome.failed += rest.length;
          console.log(`       ${rest.length} more tests need the instance`);
          break;
        }
      }
    }
  } finally {
    await browser.close().catch(() => {});
    await instance?.stop();
  }
  return outcome;
}

async function runOne(one, browser, instance, output) {
  const pages = [];
  const newPage = async (options = {}) => {
    const state = options.signedIn ? await signedInState(browser, instance) : undefined;
    const page = await openPage(browser, { baseURL: instance?.url, ...options, state });
    pages.push(page);
    return page;
  };
  const skip = (why) => {
    throw new Skipped(why);
  };
  try {
    const { url, user, password, world, olt } = instance ?? {};
    const app = instance && { url, user, password, world, olt };
    await within(one.limit_ms, one.body({ app, newPage, skip }));
    const complaints = pages.flatMap((page) => page.complaints());
    if (complaints.length > 0) throw new Error(`the page complained:\n${complaints.join("\n")}`);
  } catch (error) {
    if (!(error instanceof Skipped)) await photograph(pages, one.name, output);
    throw error;
  } finally {
    for (const page of pages) {
      // What a handler of a request is in the middle of ends with its page, and is nobody's failure.
      await page.unrouteAll({ behavior: "ignoreErrors" }).catch(() => {});
      await page.context().close().catch(() => {});
    }
  }
}

async function photograph(pages, name, output) {
  const stem = name.replace(/[^a-z0-9]+/gi, "-").replace(/^-|-$/g, "").slice(0, 80);
  for (const [at, page] of pages.entries()) {
    const file = path.join(output, `${stem}${at ? `-${at}` : ""}.png`);
    // A page that no longer answers must not hide why the test failed.
    await page.screenshot({ path: file, timeout: 10_000 }).then(
      () => console.log(`       seen at ${page.url()}: target/e2e/${path.basename(file)}`),
      () => {},
    );
  }
}

async function within(limit_ms, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`took longer than ${limit_ms / 1000} s`)), limit_ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
