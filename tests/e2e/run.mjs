// Runs the browser tests: `node tests/e2e/run.mjs [--grep WORDS] [--file NAME] [--url URL --user NAME --password WORD]`.
//
// `cargo xtask test --only e2e` is the usual way in: it installs playwright-core, builds the binary and sets
//   LIGHTKEEPER_E2E_MODULES  folder whose node_modules holds playwright-core
//   LIGHTKEEPER_BIN          the binary to start a demo with (not needed with --url)
//   LIGHTKEEPER_CHROMIUM     the browser; otherwise the first Chromium or Chrome on PATH
//   LIGHTKEEPER_E2E_RESULTS  file for the counts, as JSON
import { readdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { runTests } from "./lib/runner.mjs";

const here = path.dirname(fileURLToPath(import.meta.url));
const given = process.argv.slice(2);
const option = (name) => {
  const at = given.indexOf(`--${name}`);
  return at < 0 ? undefined : given[at + 1];
};

const only = option("file");
const files = readdirSync(here)
  .filter((name) => name.endsWith(".test.mjs") && (!only || name.includes(only)))
  .sort();
for (const name of files) await import(pathToFileURL(path.join(here, name)).href);

const url = option("url");
const outcome = await runTests({
  grep: option("grep"),
  target: url && { url: url.replace(/\/$/, ""), user: option("user"), password: option("password") },
  binary: process.env.LIGHTKEEPER_BIN,
  output: path.join(here, "../../target/e2e"),
});

if (process.env.LIGHTKEEPER_E2E_RESULTS) {
  writeFileSync(process.env.LIGHTKEEPER_E2E_RESULTS, JSON.stringify(outcome));
}
for (const { name, why } of outcome.skipped) console.log(`skipped: ${name}: ${why}`);
console.log(`\n${outcome.passed} passed, ${outcome.failed} failed, ${outcome.skipped.length} skipped`);
process.exit(outcome.failed === 0 && outcome.passed > 0 ? 0 : 1);
