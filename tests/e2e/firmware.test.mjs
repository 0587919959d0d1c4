// Firmware files: a file is uploaded on the page, found in the list and deleted after a question.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { SCHEMES, WIDTHS } from "./lib/browser.mjs";
import { contrast, named, noOverflow } from "./lib/checks.mjs";
import { test } from "./lib/runner.mjs";

const MODEL = {
  manufacturer: "Huawei Technologies Co., Ltd",
  product_class: "EG8145V5",
  software_version: "V5R020C10S125",
  note: "from the site of its maker, for the cabinet units of the harbour",
};

async function fill(page, values) {
  for (const [name, value] of Object.entries(values)) await page.locator(`#fw-new [name=${name}]`).fill(value);
}

test("firmware: a file is uploaded, found and deleted", async ({ newPage }) => {
  const page = await newPage({ signedIn: true });
  // Larger than the part that it is kept in, and another one each time.
  const buffer = Buffer.alloc(700_000, `firmware ${process.pid} ${Date.now()} `);
  const file = { name: `EG8145V5 ${process.pid}.bin`, mimeType: "application/octet-stream", buffer };
  const kept = `EG8145V5_${process.pid}.bin`;

  // Not what its checksum says: said beside the field, and what was typed stays.
  await page.goto("/settings/firmware");
  await fill(page, { ...MODEL, sha256: "0".repeat(64) });
  await page.locator("#fw-f").setInputFiles(file);
  await page.locator("#fw-new button.btn-primary").click();
  await page.locator("#fw-s[aria-invalid=true]").waitFor();
  assert.equal(await page.locator("#fw-c").inputValue(), MODEL.product_class, "what was typed is lost");
  assert.match(await page.locator("#e-sha256").innerText(), /was damaged on its way/);
  await noOverflow(page);
  await contrast(page);

  // With the right one it is kept.
  const sum = createHash("sha256").update(buffer).digest("hex");
  await page.locator("#fw-s").fill(sum.toUpperCase());
  await page.locator("#fw-f").setInputFiles(file);
  await page.locator("#fw-new button.btn-primary").click();
  const row = page.locator("main .lk-table tbody tr", { hasText: kept });
  await row.waitFor();
  assert.match(await row.innerText(), new RegExp(sum));
  assert.match(await row.innerText(), /683\.5 KiB/);
  for (const width of Object.keys(WIDTHS).map(Number)) {
    for (const scheme of SCHEMES) {
      const shown = await newPage({ width, scheme, signedIn: true });
      await shown.goto("/settings/firmware");
      await shown.locator("main", { hasText: kept }).waitFor();
      await noOverflow(shown);
      await contrast(shown);
      await named(shown);
      await shown.context().close();
    }
  }

  // Deleted only after a question.
  await row.locator("button", { hasText: "Delete" }).click();
  const dialog = page.locator("dialog[open]");
  await dialog.waitFor();
  await dialog.locator("button", { hasText: "Keep it" }).click();
  await row.waitFor();
  await row.locator("button", { hasText: "Delete" }).click();
  await dialog.locator("button.btn-danger").click();
  await row.waitFor({ state: "detached" });
});
