// Small enhancements only; every page reads and works without this file.
(function () {
  "use strict";
  var root = document.documentElement;
  function q(s, r) { return (r || document).querySelector(s); }
  function all(s, r) { return Array.prototype.slice.call((r || document).querySelectorAll(s)); }
  function keep(key, value) { try { value === null ? localStorage.removeItem(key) : localStorage.setItem(key, value); } catch (e) { /* storage may be off */ } }
  function kept(key) { try { return localStorage.getItem(key); } catch (e) { return null; } }

  // Theme: the person's choice, else the system's, and it follows the system while nothing is chosen.
  // ?theme=dark forces one for this page only.
  var dark = matchMedia("(prefers-color-scheme: dark)");
  var asked = new URLSearchParams(location.search).get("theme");
  function theme() {
    var choice = asked || kept("lk-theme") || "system";
    root.dataset.bsTheme = choice === "dark" || (choice !== "light" && dark.matches) ? "dark" : "light";
    all("[data-theme-name]").forEach(function (e) { e.textContent = { light: "Light", dark: "Dark" }[choice] || "System"; });
  }
  dark.addEventListener("change", theme);
  theme();

  // Values that CSS draws: set through the object model, so the policy can forbid inline style.
  function draw(r) {
    all("[data-p]", r).forEach(function (e) { e.style.setProperty("--p", e.dataset.p); });
    all("[data-n]", r).forEach(function (e) { e.style.setProperty("--n", e.dataset.n); });
    all(".lk-sig[data-v]", r).forEach(function (e) {
      e.style.setProperty("--v", e.dataset.v / 100);
      e.style.setProperty("--crit", e.dataset.crit / 100);
      e.style.setProperty("--warn", e.dataset.warn / 100);
    });
  }

  // Ages grow while the page is open; a value says "old" when its interval is over.
  var skew = 0;
  function span(s) {
    if (s < 90) return s + " s";
    if (s < 5400) return Math.floor((s + 30) / 60) + " min";
    if (s < 172800) return Math.floor((s + 1800) / 3600) + " h";
    return Math.floor(s / 86400) + " d";
  }
  function tick() {
    var now = Date.now() + skew;
    all(".lk-age[data-at]").forEach(function (e) {
      var age = Math.max(0, Math.round((now - e.dataset.at) / 1000)), every = +e.dataset.every, old = every > 0 && age > every;
      var out = q(".lk-ago", e), text = span(age) + (old ? " old" : "");
      if (out && out.textContent !== text) out.textContent = text;
      e.toggleAttribute("data-old", old);
      if (every > 0) e.style.setProperty("--p", Math.max(0, 100 - age * 100 / every));
    });
    all("[data-since]").forEach(function (e) {
      var text = span(Math.max(0, Math.round((now - e.dataset.since) / 1000)));
      if (e.textContent !== text) e.textContent = text;
    });
  }

  document.addEventListener("click", function (e) {
    var t = e.target.closest("[data-theme-toggle],[data-open],[data-close],[data-print]");
    if (!t) return;
    if (t.hasAttribute("data-theme-toggle")) {
      var next = { system: "light", light: "dark", dark: "system" }[kept("lk-theme") || "system"];
      asked = null;
      keep("lk-theme", next === "system" ? null : next);
      theme();
    }
    if (t.dataset.open) { var d = q(t.dataset.open); if (d && d.showModal) { e.preventDefault(); d.showModal(); } }
    if (t.hasAttribute("data-close")) { var c = t.closest("dialog,.lk-toast"); if (c) { c.close ? c.close() : c.remove(); } }
  });

  // Keys: / search · g then a letter to go · Ctrl+Enter sends the page's main form · never while typing.
  var go = 0;
  document.addEventListener("keydown", function (e) {
    if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) {
      var send = q("[data-ctrl-enter]");
      if (send && !send.disabled) { e.preventDefault(); send.click(); }
      return;
    }
    if (/^(INPUT|TEXTAREA|SELECT)$/.test(e.target.tagName) || e.ctrlKey || e.metaKey || e.altKey) return;
    if (e.key === "/") { var s = q("#search"); if (s && !s.open) { e.preventDefault(); s.showModal(); } return; }
    if (go && Date.now() - go < 1500) {
      var a = q('.lk-nav a[data-key="' + CSS.escape(e.key) + '"]');
      go = 0;
      if (a) location.href = a.href;
      return;
    }
    go = e.key === "g" ? Date.now() : 0;
  });

  // Search: arrows choose, Enter opens.
  var answered = null;
  document.addEventListener("htmx:beforeSwap", function (e) {
    if (e.detail.target.id === "search-hits") answered = (e.detail.requestConfig.parameters.q || "").trim();
  });
  document.addEventListener("keydown", function (e) {
    var box = e.target.closest("#search");
    if (!box || !/^(ArrowDown|ArrowUp|Enter)$/.test(e.key)) return;
    var hits = all("a[role=option]", box), at = hits.findIndex(function (h) { return h.getAttribute("aria-selected") === "true"; });
    if (e.key === "Enter") {
      e.preventDefault();
      // What is shown may still answer what was typed before, or nothing yet, as behind a barcode scanner.
      var typed = q("input", box).value.trim();
      if (answered === typed && hits[at]) location.href = hits[at].href;
      else location.href = "/search?q=" + encodeURIComponent(typed);
      return;
    }
    e.preventDefault();
    if (!hits.length) return;
    var to = (at + (e.key === "ArrowDown" ? 1 : -1) + hits.length) % hits.length;
    hits.forEach(function (h, i) { h.setAttribute("aria-selected", i === to); });
    hits[to].scrollIntoView({ block: "nearest" });
    q("input", box).setAttribute("aria-activedescendant", hits[to].id);
  });

  // A dangerous form is armed by typing the name it shows.
  document.addEventListener("input", function (e) {
    var want = e.target.dataset && e.target.dataset.confirm;
    if (want) q("[data-armed]", e.target.closest("form")).disabled = e.target.value.trim() !== want;
  });

  document.addEventListener("change", function (e) {
    // Filters apply when chosen.
    if (e.target.matches("form[data-auto] select, form[data-auto] input[type=checkbox]")) e.target.form.requestSubmit();
    // A choice shows the part of the form that belongs to it.
    if (e.target.matches("[data-shows]")) shows(e.target);
  });
  function shows(select) {
    all("[data-for-" + select.dataset.shows + "]").forEach(function (e) {
      e.hidden = e.getAttribute("data-for-" + select.dataset.shows).split(" ").indexOf(select.value) < 0;
    });
  }

  // One press sends once.
  document.addEventListener("submit", function (e) {
    if (e.defaultPrevented || e.target.method === "get") return;
    all("button:not([type=button])", e.target).forEach(function (b) { setTimeout(function () { b.disabled = true; }, 0); });
  });
  addEventListener("pageshow", function (e) { if (e.persisted) location.reload(); });

  function live(text, on) {
    all(".lk-live").forEach(function (e) { e.textContent = text; e.toggleAttribute("data-off", !on); });
  }
  // A part that many changes concern re-reads itself at most every so many seconds; the last change is never lost.
  document.addEventListener("htmx:beforeRequest", function (e) {
    var part = e.detail.elt, every = part.dataset && part.dataset.calm * 1000;
    if (!every) return;
    var due = (+part.dataset.read || 0) + every - Date.now();
    if (due <= 0) { part.dataset.read = Date.now(); return; }
    e.preventDefault();
    if (part.dataset.due) return;
    part.dataset.due = "1";
    setTimeout(function () { delete part.dataset.due; if (part.isConnected) htmx.trigger(part, "sse:sync"); }, due);
  });

  // Live updates keep the focus. htmx finds again what has an id and is still there; here is the rest: the same thing
  // without an id, and, if the thing has gone, the row that is in its place now. Never a button of another row: whoever
  // presses Enter a moment later would press that.
  document.addEventListener("htmx:beforeSwap", function () {
    var had = document.activeElement;
    if (!had || had === document.body) return;
    var place = whereabouts(had), top = had.getBoundingClientRect().top, seen = inside(had);
    // The swap follows at once, if it is to follow.
    queueMicrotask(function () {
      var has = document.activeElement;
      if (!had.isConnected && (!has || has === document.body)) refocus(place);
      // Rows that came in above push it out of the window: it stays where the eye has it.
      has = document.activeElement;
      if (seen && has && has !== document.body && !inside(has)) scrollBy({ top: has.getBoundingClientRect().top - top, behavior: "instant" });
    });
  });
  function inside(e) { var box = e.getBoundingClientRect(); return box.bottom > 0 && box.top < innerHeight; }
  function sign(e) { return [e.tagName, e.name, e.getAttribute("href"), e.closest("form") ? e.closest("form").getAttribute("action") : "", e.textContent].join("|"); }
  function rows(box) { return all("tbody > tr, ol > li, ul > li", box); }
  function whereabouts(e) {
    var place = { sign: sign(e), boxes: [] }, row = e.closest("tr,li");
    for (var up = e.parentElement; up; up = up.parentElement) if (up.id) place.boxes.push({ id: up.id, row: row ? rows(up).indexOf(row) : -1 });
    return place;
  }
  function refocus(place) {
    var left = place.boxes.filter(function (b) { return document.getElementById(b.id); })[0];
    if (!left) return;
    var box = document.getElementById(left.id), found = all("a[href],button,input,select,textarea,summary", box);
    var to = found.filter(function (e) { return sign(e) === place.sign; })[0];
    if (!to) {
      var now = rows(box);
      to = (left.row >= 0 && now[Math.min(left.row, now.length - 1)]) || box;
      to.tabIndex = -1;
    }
    to.focus({ preventScroll: true });
  }

  // What the reader has unfolded stays so when the part around it is read again.
  function unfolded() { return all("details[id][open]").map(function (d) { return d.id; }); }
  var open = [];
  document.addEventListener("htmx:beforeSwap", function () { open = unfolded(); });
  document.addEventListener("htmx:afterSwap", reopen);
  document.addEventListener("htmx:oobAfterSwap", reopen);
  function reopen() { open.forEach(function (id) { var d = document.getElementById(id); if (d) d.open = true; }); }

  document.addEventListener("htmx:sseOpen", function () { live("Live", true); });
  document.addEventListener("htmx:sseError", function () { live("Reconnecting…", false); });
  document.addEventListener("htmx:load", function (e) { draw(e.detail.elt); tick(); });
  document.addEventListener("htmx:oobAfterSwap", function (e) { draw(e.detail.target); });
  // A fragment that may not be read any more means the session is over: say so, keep what is on screen.
  document.addEventListener("htmx:responseError", function (e) {
    if (e.detail.xhr.status === 401) live("Signed out", false);
  });

  document.addEventListener("DOMContentLoaded", function () {
    var at = q("meta[name=lk-now]");
    if (at) skew = at.content - Date.now();
    theme();
    draw();
    tick();
    setInterval(tick, 1000);
    all("[data-shows]").forEach(shows);
    all("[data-armed]").forEach(function (b) { b.disabled = true; });
    // A dialog whose form was refused is open again, with what was typed.
    all("dialog[data-now]").forEach(function (d) { d.showModal(); d.querySelectorAll("[data-confirm]").forEach(function (i) { i.dispatchEvent(new Event("input", { bubbles: true })); }); });
    if (location.hash === "#search" && q("#search")) q("#search").showModal();
    // A strip of views that is wider than the phone shows the one we are in.
    all(".lk-sub [aria-current], .lk-c-nav [aria-current]").forEach(function (a) { a.scrollIntoView({ block: "nearest", inline: "center" }); });
    setTimeout(function () { all(".lk-toast[data-s=ok]").forEach(function (t) { t.remove(); }); }, 8000);
  });
})();
