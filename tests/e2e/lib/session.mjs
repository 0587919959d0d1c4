// Signing in as a person does, once, and reusing the cookies after that.
import { openPage } from "./browser.mjs";

const states = new Map();

/** Fills the login form by keyboard alone and waits until it is gone. */
export async function signIn(page, { user, password }) {
  await page.goto("/login");
  // The page puts the focus into the name by itself, and on a busy machine some time after it has loaded. Typing before
  // that would end up in two places.
  await page.waitForFunction(() => document.activeElement?.getAttribute("autocomplete") === "username");
  await page.keyboard.type(user);
  await page.keyboard.press("Tab");
  const field = await page.evaluate(() => document.activeElement?.getAttribute("type"));
  if (field !== "password") throw new Error(`Tab leads from the name to "${field}", not to the password`);
  await page.keyboard.type(password);
  const typed = await page.evaluate(() => [...document.querySelectorAll("form input:not([type=hidden])")].map((i) => i.value));
  if (typed[0] !== user || typed[1] !== password) throw new Error(`the form holds other texts than were typed`);
  await Promise.all([
    page.waitForURL((url) => url.pathname !== "/login", { waitUntil: "load" }),
    page.keyboard.press("Enter"),
  ]);
}

/** Storage state of the instance's administrator. */
export async function signedInState(browser, instance) {
  if (!states.has(instance.url)) {
    const page = await openPage(browser, { baseURL: instance.url });
    await signIn(page, instance);
    states.set(instance.url, await page.context().storageState());
    await page.context().close();
  }
  return states.get(instance.url);
}
