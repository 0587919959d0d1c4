// What holds on every page, whoever wrote it. Each check throws a sentence that names the culprits.

const MAX_NAMED = 12;

function fail(what, culprits) {
  const more = culprits.length > MAX_NAMED ? `\n  and ${culprits.length - MAX_NAMED} more` : "";
  throw new Error(`${what}:\n  ${culprits.slice(0, MAX_NAMED).join("\n  ")}${more}`);
}

/** Code for the page itself: a short name that finds an element again. */
const DESCRIBE = `function describe(el) {
  const id = el.id ? "#" + el.id : "";
  const cls = typeof el.className === "string" && el.className ? "." + el.className.trim().split(/\\s+/).join(".") : "";
  const text = (el.textContent || el.getAttribute("aria-label") || "").trim().replace(/\\s+/g, " ").slice(0, 40);
  return el.tagName.toLowerCase() + id + cls + (text ? ' "' + text + '"' : "");
}`;

/** Nothing makes the page wider than the window. */
export async function noOverflow(page) {
  const { extra, culprits } = await page.evaluate(`(() => {
    ${DESCRIBE}
    const root = document.documentElement;
    const extra = root.scrollWidth - root.clientWidth;
    if (extra <= 1) return { extra: 0, culprits: [] };
    // An element inside a box that scrolls by itself does not widen the page.
    const inScroller = (el) => {
      for (let up = el.parentElement; up && up !== document.body; up = up.parentElement) {
        if (getComputedStyle(up).overflowX !== "visible") return true;
      }
      return false;
    };
    const wide = [...document.body.querySelectorAll("*")].filter((el) => {
      const box = el.getBoundingClientRect();
      return box.width > 0 && box.right > root.clientWidth + 1 && !inScroller(el);
    });
    // The innermost ones are the cause.
    const inner = wide.filter((el) => !wide.some((other) => other !== el && el.contains(other)));
    return { extra, culprits: inner.map((el) => describe(el) + " ends at " + Math.round(el.getBoundingClientRect().right)) };
  })()`);
  if (extra > 0) fail(`the page is ${extra} px wider than its window`, culprits.length ? culprits : ["(no single element)"]);
}

/** Text stands out from what is behind it: 4.5:1, or 3:1 where it is large (WCAG 2.2, 1.4.3). */
export async function contrast(page) {
  const culprits = await page.evaluate(`(() => {
    ${DESCRIBE}
    const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
    canvas.canvas.width = canvas.canvas.height = 1;
    const known = new Map();
    // The canvas understands every notation that CSS has, and answers in sRGB.
    const rgba = (css) => {
      if (!known.has(css)) {
        canvas.clearRect(0, 0, 1, 1);
        canvas.fillStyle = "#000";
        canvas.fillStyle = css;
        canvas.fillRect(0, 0, 1, 1);
        const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
        known.set(css, [r, g, b, a / 255]);
      }
      return known.get(css);
    };
    const over = (top, under) => [0, 1, 2].map((i) => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
    const linear = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    const luminance = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    const ratio = (one, two) => {
      const [light, dark] = [luminance(one), luminance(two)].sort((a, b) => b - a);
      return (light + 0.05) / (dark + 0.05);
    };
    // null where a picture or gradient is behind: its colour is not known here.
    const behind = (el) => {
      const layers = [];
      for (let up = el; up; up = up.parentElement) {
        const style = getComputedStyle(up);
        if (style.backgroundImage !== "none") return null;
        const colour = rgba(style.backgroundColor);
        if (colour[3] > 0) layers.push(colour);
        if (colour[3] >= 1) break;
      }
      const canvasColour = getComputedStyle(document.documentElement).colorScheme.includes("dark")
        && matchMedia("(prefers-color-scheme: dark)").matches ? [18, 18, 18, 1] : [255, 255, 255, 1];
      return layers.reverse().reduce((under, top) => over(top, under), canvasColour);
    };
    const opacity = (el) => {
      let value = 1;
      for (let up = el; up; up = up.parentElement) value *= Number(getComputedStyle(up).opacity);
      return value;
    };
    const weak = [];
    const judge = (el, style, text) => {
      const back = behind(el);
      if (!back) return;
      const ink = rgba(style.color).slice();
      ink[3] *= opacity(el);
      if (ink[3] === 0) return;
      const size = parseFloat(style.fontSize);
      const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
      const have = ratio(over(ink, back), back);
      const need = large ? 3 : 4.5;
      if (have < need - 0.05) weak.push(have.toFixed(2) + ":1, needs " + need + ":1: " + describe(el) + " " + text);
    };
    const seen = (el) => {
      const box = el.getBoundingClientRect();
      return box.width > 1 && box.height > 1 && el.checkVisibility({ visibilityProperty: true, opacityProperty: true });
    };
    const off = (el) => el.closest("[disabled],[aria-disabled=true],[inert],fieldset:disabled,[aria-hidden=true]");
    const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const done = new Set();
    for (let node = walk.nextNode(); node; node = walk.nextNode()) {
      const el = node.parentElement;
      if (!node.data.trim() || done.has(el)) continue;
      done.add(el);
      if (el.closest("svg,script,style,noscript,option,template") || off(el) || !seen(el)) continue;
      judge(el, getComputedStyle(el), "");
    }
    for (const el of document.querySelectorAll("input,textarea,select")) {
      if (off(el) || !seen(el) || ["checkbox", "radio", "range", "color", "hidden"].includes(el.type)) continue;
      judge(el, getComputedStyle(el), "(its value)");
      if (el.placeholder) judge(el, getComputedStyle(el, "::placeholder"), "(its placeholder)");
    }
    return weak;
  })()`);
  if (culprits.length > 0) fail("text that is hard to read", culprits);
}

/** Tab reaches things, and wherever it stops one can see it. */
export async function focusVisible(page, { stops = 60, least = 1 } = {}) {
  await page.evaluate(() => {
    // Blurring keeps the place where Tab goes on; only another focus moves it, here to before everything else.
    const start = document.createElement("span");
    start.tabIndex = -1;
    document.body.prepend(start);
    start.focus();
    start.remove();
    window.scrollTo(0, 0);
  });
  const invisible = [];
  let reached = 0;
  for (let at = 0; at < stops; at += 1) {
    await page.keyboard.press("Tab");
    const stop = await page.evaluate(`(() => {
      ${DESCRIBE}
      const el = document.activeElement;
      if (!el || el === document.body || el === document.documentElement) return null;
      if (el.hasAttribute("data-e2e-seen")) return null;
      el.setAttribute("data-e2e-seen", "");
      const looks = (of) => {
        const style = getComputedStyle(of);
        const outline = style.outlineStyle === "none" || parseFloat(style.outlineWidth) === 0 ? "" :
          style.outlineStyle + style.outlineWidth + style.outlineColor;
        return [outline, style.boxShadow, style.backgroundColor, style.borderColor, style.textDecorationLine].join("|");
      };
      // A ring may be drawn by the box around a checkbox or a search field.
      const around = () => [el, el.parentElement].filter(Boolean).map(looks).join("||");
      const box = el.getBoundingClientRect();
      const inside = box.width > 0 && box.height > 0 && box.bottom > 0 && box.right > 0
        && box.top < innerHeight && box.left < innerWidth;
      const focused = around();
      el.blur();
      const plain = around();
      el.focus({ preventScroll: true, focusVisible: true });
      return { name: describe(el), ring: focused !== plain, inside };
    })()`);
    if (!stop) break;
    reached += 1;
    if (!stop.ring) invisible.push(`${stop.name}: looks the same with and without focus`);
    if (!stop.inside) invisible.push(`${stop.name}: has the focus outside the window`);
  }
  await page.evaluate(() => {
    for (const el of document.querySelectorAll("[data-e2e-seen]")) el.removeAttribute("data-e2e-seen");
  });
  if (reached < least) throw new Error(`Tab reaches ${reached} things; at least ${least} were expected`);
  if (invisible.length > 0) fail("the focus cannot be seen", invisible);
  return reached;
}

/** A screen reader has something to say: language, title, one heading, a main part, and a name for every control. */
export async function named(page) {
  const culprits = await page.evaluate(`(() => {
    ${DESCRIBE}
    const found = [];
    if (!document.documentElement.lang) found.push("the page says no language");
    if (!document.title.trim()) found.push("the page has no title");
    const visible = (el) => el.checkVisibility({ visibilityProperty: true });
    const count = [...document.querySelectorAll("h1")].filter(visible).length;
    if (count !== 1) found.push("the page has " + count + " first-level headings");
    if (!document.querySelector("main,[role=main]")) found.push("the page has no main part");
    const own = (el) => [el.getAttribute("aria-label"), el.getAttribute("title"), el.textContent,
      (el.getAttribute("aria-labelledby") || "").split(/\\s+/).map((id) => document.getElementById(id)?.textContent).join(" "),
      ...[...el.querySelectorAll("img[alt],svg title")].map((inner) => inner.getAttribute("alt") || inner.textContent),
    ].some((text) => (text || "").trim());
    for (const el of document.querySelectorAll("a[href],button,summary,[role=button]")) {
      if (visible(el) && !own(el)) found.push(describe(el) + " has no name");
    }
    for (const el of document.querySelectorAll("input:not([type=hidden]),select,textarea")) {
      const label = [...(el.labels || [])].some((one) => one.textContent.trim());
      const button = ["submit", "button", "reset"].includes(el.type) && el.value;
      if (visible(el) && !label && !button && !own({ getAttribute: (n) => el.getAttribute(n), textContent: "", querySelectorAll: () => [] })) {
        found.push(describe(el) + " (" + (el.name || el.type) + ") has no label");
      }
    }
    for (const el of document.querySelectorAll("img:not([alt])")) found.push(describe(el) + " has no alternative text");
    return found;
  })()`);
  if (culprits.length > 0) fail("a screen reader has nothing to say", culprits);
}
