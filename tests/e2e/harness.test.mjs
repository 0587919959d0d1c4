// The checks themselves: each must see the fault it is for, and be quiet about a sound page.
import assert from "node:assert/strict";
import http from "node:http";
import { contrast, focusVisible, named, noOverflow } from "./lib/checks.mjs";
import { parseReady } from "./lib/instance.mjs";
import { test } from "./lib/runner.mjs";

const SOUND = (body, style = "") => `<!doctype html><html lang="en"><head><title>Sound</title>
<link rel="icon" href="data:,"><style>body { background: #fff; color: #111 } ${style}</style></head>
<body><main><h1>Sound</h1>${body}</main></body></html>`;

const without = { app: false };

async function show(newPage, html, options) {
  const page = await newPage(options);
  await page.setContent(html);
  return page;
}

test("harness: a sound page passes every check", without, async ({ newPage }) => {
  const body = `<label>Name <input name="n" placeholder="Anna" style="color:#111"></label>
    <button>Save</button> <a href="#x">More</a><style>::placeholder { color: #555; opacity: 1 }</style>`;
  for (const [width, scheme] of [[1440, "light"], [390, "dark"]]) {
    const page = await show(newPage, SOUND(body), { width, scheme });
    await noOverflow(page);
    await contrast(page);
    await named(page);
    assert.equal(await focusVisible(page), 3);
  }
});

test("harness: sees what sticks out, not what scrolls by itself", without, async ({ newPage }) => {
  const wide = await show(newPage, SOUND('<div id="wide" style="width:900px">x</div>'), { width: 390 });
  await assert.rejects(noOverflow(wide), /wider than its window[^]*#wide/);
  const scrolls = SOUND('<div style="overflow-x:auto"><div style="width:900px">x</div></div>');
  await noOverflow(await show(newPage, scrolls, { width: 390 }));
});

test("harness: sees pale text, through layers and opacity", without, async ({ newPage }) => {
  const pale = [
    '<p style="color:#aaa">pale</p>',
    '<p style="color:#111;opacity:.3">faded</p>',
    '<div style="background:#222"><p style="background:rgb(255 255 255 / 5%)">dark on dark</p></div>',
    '<p style="color:oklch(80% 0.1 250)">modern notation</p>',
    '<label>x <input placeholder="pale"></label><style>::placeholder { color: #bbb }</style>',
  ];
  for (const body of pale) {
    await assert.rejects(contrast(await show(newPage, SOUND(body))), /hard to read/, body);
  }
  const fine = '<p style="color:#767676">just enough</p><p style="font-size:30px;color:#949494">large</p><button disabled style="color:#ccc">off</button>';
  await contrast(await show(newPage, SOUND(fine)));
});

test("harness: sees a lost focus ring", without, async ({ newPage }) => {
  const page = await show(newPage, SOUND('<button id="bare">x</button>', "#bare:focus { outline: none }"));
  await assert.rejects(focusVisible(page), /#bare.*looks the same/);
  const shadow = SOUND("<button>x</button>", "button:focus-visible { outline: none; box-shadow: 0 0 0 2px blue }");
  await focusVisible(await show(newPage, shadow));
  await assert.rejects(focusVisible(await show(newPage, SOUND("<p>nothing</p>"))), /Tab reaches 0/);
});

test("harness: sees nameless controls", without, async ({ newPage }) => {
  for (const [body, what] of [
    ["<button></button>", /button has no name/],
    ['<input name="q">', /\(q\) has no label/],
    ['<img src="data:,">', /no alternative text/],
    ["<h1>Second</h1>", /2 first-level headings/],
  ]) {
    await assert.rejects(named(await show(newPage, SOUND(body))), what, body);
  }
});

test("harness: remembers console errors, foreign requests and server errors", without, async ({ newPage }) => {
  const server = http.createServer((request, response) => {
    response.statusCode = request.url === "/broken" ? 500 : 200;
    response.setHeader("content-type", "text/html");
    response.end(SOUND('<img alt="" src="http://tracker.example/x.png"><script>console.error("oh"); fetch("/broken"); later()</script>'));
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const baseURL = `http://127.0.0.1:${server.address().port}`;
    const page = await newPage({ baseURL, tolerate: [/./] });
    await Promise.all([page.waitForResponse(/broken/), page.waitForEvent("requestfailed"), page.goto("/")]);
    const all = page.everything().join("\n");
    for (const what of [
      /^console: oh/m,
      /^script error: later is not defined/m,
      /^request to another host: http:\/\/tracker\.example\/x\.png/m,
      /^request failed: http:\/\/tracker\.example/m,
      /^server error 500: .*\/broken/m,
    ]) {
      assert.match(all, what);
    }
    assert.deepEqual(page.complaints(), [], "everything is tolerated on this page");
  } finally {
    server.close();
  }
});

test("harness: reads the line that says READY", without, async () => {
  assert.deepEqual(parseReady("READY url=http://127.0.0.1:80/ user=admin password=a=b"), {
    url: "http://127.0.0.1:80",
    user: "admin",
    password: "a=b",
  });
  assert.equal(parseReady("getting READY url=x"), null);
  assert.throws(() => parseReady("READY url=http://x user=admin"), /names no password/);
});
