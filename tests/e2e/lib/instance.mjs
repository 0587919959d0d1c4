// A demo instance of its own: temporary data folder, free port, stopped at the end whatever happens.
import { spawn } from "node:child_process";
import { createWriteStream, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import readline from "node:readline";

const START_LIMIT_MS = 90_000;
const STOP_LIMIT_MS = 15_000;
const WORLD_LIMIT_MS = 60_000;

/** A TCP port on 127.0.0.1 that was free a moment ago. */
export function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

/** Reads `READY url=… user=… password=…`; null for any other line. */
export function parseReady(line) {
  if (!/^READY\s/.test(line)) return null;
  const fields = Object.fromEntries(
    line
      .trim()
      .split(/\s+/)
      .slice(1)
      .map((pair) => [pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1)]),
  );
  for (const key of ["url", "user", "password"]) {
    if (!fields[key]) throw new Error(`the READY line names no ${key}`);
  }
  return { url: fields.url.replace(/\/$/, ""), user: fields.user, password: fields.password };
}

/**
 * Starts `lightkeeper demo` and waits until it says READY. The result has
 *   url, user, password
 *   line(pattern, limit_ms)  the next or an earlier line of output that matches; null after the limit
 *   world(order)             hands in the simulated world, `plug SERIAL PON` or `unplug SERIAL`; throws when refused
 *   olt()                    what the simulated OLT has and was told: { state, record }, from its own files
 *   stop()                   ends the process and removes its data
 */
export async function startDemo({ binary, output, extra = [] }) {
  if (!binary) throw new Error("no binary to start: set LIGHTKEEPER_BIN, or give --url of a running instance");
  const data = mkdtempSync(path.join(tmpdir(), "lightkeeper-e2e-"));
  const port = await freePort();
  const child = spawn(binary, ["demo", "--data", data, "--web", `127.0.0.1:${port}`, "--hands", ...extra], {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, NO_COLOR: "1" },
  });
  const log = createWriteStream(path.join(output, "instance.log"));
  const lines = [];
  const waiting = new Set();
  const take = (line) => {
    log.write(`${line}\n`);
    lines.push(line);
    if (lines.length > 20_000) lines.shift();
    for (const waiter of waiting) waiter(line);
  };
  for (const stream of [child.stdout, child.stderr]) readline.createInterface({ input: stream }).on("line", take);

  const ended = new Promise((resolve) => {
    child.once("error", (error) => resolve(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => resolve(`ended with ${signal ?? `code ${code}`}`));
  });
  const killHard = () => child.kill("SIGKILL");
  process.once("exit", killHard);
  const onSignal = () => process.exit(130);
  process.once("SIGINT", onSignal);
  process.once("SIGTERM", onSignal);

  const line = (pattern, limit_ms) =>
    new Promise((resolve) => {
      const earlier = lines.find((text) => pattern.test(text));
      if (earlier !== undefined) return resolve(earlier);
      const finish = (text) => {
        clearTimeout(timer);
        waiting.delete(waiter);
        resolve(text);
      };
      const waiter = (text) => pattern.test(text) && finish(text);
      const timer = setTimeout(() => finish(null), limit_ms);
      waiting.add(waiter);
    });

  const world = async (order) => {
    const known = new RegExp(`^WORLD (refused ")?${order}`);
    // The same order may be given twice: the answer is the one that comes after it.
    const before = lines.filter((text) => known.test(text)).length;
    let said = 0;
    const answer = line({ test: (text) => known.test(text) && ++said > before }, WORLD_LIMIT_MS);
    child.stdin.write(`${order}\n`);
    const heard = await answer;
    if (heard === null || heard.startsWith("WORLD refused")) throw new Error(`${order}: ${heard ?? "no answer"}`);
  };

  const olt = () => {
    const box = path.join(data, "network", "olts", readdirSync(path.join(data, "network", "olts")).sort()[0]);
    // What follows the last line's end is being written.
    const record = readFileSync(path.join(box, "record.jsonl"), "utf8").split("\n").slice(0, -1).filter((entry) => entry !== "");
    return {
      state: JSON.parse(readFileSync(path.join(box, "state.json"), "utf8")).state,
      record: record.map((entry) => JSON.parse(entry)),
    };
  };

  const stop = async () => {
    process.removeListener("exit", killHard);
    child.kill("SIGTERM");
    const timer = setTimeout(killHard, STOP_LIMIT_MS);
    await ended;
    clearTimeout(timer);
    log.end();
    rmSync(data, { recursive: true, force: true });
  };

  const ready = await Promise.race([line(/^READY\s/, START_LIMIT_MS), ended.then((how) => ({ how }))]);
  if (ready === null || typeof ready === "object") {
    const why = ready === null ? `said no READY within ${START_LIMIT_MS / 1000} s` : ready.how;
    const tail = lines.slice(-15).join("\n  ");
    await stop();
    throw new Error(`lightkeeper demo ${why}; its last words:\n  ${tail}`);
  }
  return { ...parseReady(ready), line, world, olt, stop };
}
