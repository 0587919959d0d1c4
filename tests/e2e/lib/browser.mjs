// The system's Chromium, kept away from the network, and pages that remember everything that went wrong on them.
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";

/** Widths that every page must work at, in CSS pixels, with the height of a usual screen of that width. */
export const WIDTHS = { 1440: 900, 390: 844 };
export const SCHEMES = ["light", "dark"];

const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  // Whatever a page asks for beside this machine does not resolve.
  "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

function playwright() {
  const modules = process.env.LIGHTKEEPER_E2E_MODULES;
  const base = modules ? path.join(path.resolve(modules), "package.json") : import.meta.url;
  try {
    return createRequire(base)("playwright-core");
  } catch (error) {
    throw new Error(`playwright-core is not there (${error.code}); run \`cargo xtask test --only e2e\``);
  }
}

function chromium() {
  if (process.env.LIGHTKEEPER_CHROMIUM) return process.env.LIGHTKEEPER_CHROMIUM;
  const names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
  const found = names
    .flatMap((name) => (process.env.PATH ?? "").split(":").map((folder) => path.join(folder, name)))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  if (!found) throw new Error("no Chromium on PATH; set LIGHTKEEPER_CHROMIUM");
  return found;
}

/** Starts Chromium, headless, with a profile of its own that is gone afterwards. */
export function launch() {
  return playwright().chromium.launch({ executablePath: chromium(), headless: true, args: FLAGS });
}

/**
 * Opens a page in a context of its own.
 *   width         1440 or 390 (any number works)
 *   scheme        "light" or "dark", as the system would say
 *   state         storage state of somebody signed in
 *   tolerate      patterns of complaints that the test provokes on purpose
 * The page has `complaints()`: what went wrong so far, and `everything()`: that and what is tolerated.
 */
export async function openPage(browser, options = {}) {
  const { width = 1440, scheme = "light", baseURL, state, tolerate = [], reducedMotion = "reduce" } = options;
  const context = await browser.newContext({
    viewport: { width, height: WIDTHS[width] ?? 900 },
    colorScheme: scheme,
    reducedMotion,
    baseURL,
    storageState: state,
    hasTouch: width < 600,
    serviceWorkers: "block",
  });
  context.setDefaultTimeout(45_000);
  const page = await context.newPage();
  const found = [];
  const home = baseURL ? new URL(baseURL).host : null;
  page.on("console", (message) => {
    // How htmx says that an event stream was cut; the page shows that it is not live and connects again.
    if (message.type() === "error" && message.text() === "[object Event]") return;
    if (message.type() === "error") found.push(`console: ${message.text()} (${message.location().url})`);
  });
  page.on("pageerror", (error) => found.push(`script error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (!["http:", "https:", "ws:", "wss:"].includes(url.protocol)) return;
    if (home !== null && url.host !== home) found.push(`request to another host: ${request.url()}`);
  });
  page.on("requestfailed", (request) => {
    const why = request.failure()?.errorText ?? "";
    // Leaving a page ends its event stream; that is how it should be.
    if (why !== "net::ERR_ABORTED") found.push(`request failed: ${request.url()} ${why}`);
  });
  page.on("response", (response) => {
    if (response.status() >= 500) found.push(`server error ${response.status()}: ${response.url()}`);
  });
  page.everything = () => [...found];
  page.complaints = () => found.filter((text) => !tolerate.some((pattern) => pattern.test(text)));
  return page;
}
