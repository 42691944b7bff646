import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { expect } from "@playwright/test";
import { choose, configOf, csv, enter, importButton, importFile, sample, test } from "./support";

/** Writes a CSV file of rows of 100 kB each: large to upload, and soon imported. */
async function largeFile(path: string, rows: number): Promise<void> {
  const out = createWriteStream(path);
  out.write("productId,text\n");
  const text = "x".repeat(100_000);
  for (let row = 0; row < rows; row++) if (!out.write(`L${row},${text}\n`)) await once(out, "drain");
  out.end();
  await once(out, "finish");
}

test("a preview tells of rows that would be rejected, and how to read the file", async ({ page, stack }) => {
  await enter(page, stack);
  await choose(page, sample("bad-rows.csv"));
  await expect(page.getByText("6 of the 12 rows would be rejected")).toBeVisible();
  await expect(page.getByText("the row has 3 cells, the header 4")).toBeVisible();
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByRole("button", { name: "Encoding" }).click();
  await page.getByRole("option", { name: "windows-1252" }).click();
  await expect(page.getByText("5 of the 12 rows would be rejected")).toBeVisible();
  await page.getByLabel("Types").fill("price:X");
  await page.keyboard.press("Enter");
  await expect(page.getByText('"X" is not a type')).toBeVisible();
  await page.getByLabel("Types").fill("price:N");
  await page.keyboard.press("Enter");
  await expect(page.getByText("7 of the 12 rows would be rejected")).toBeVisible();
  await page.getByRole("button", { name: "Remove bad-rows.csv" }).click();
  await choose(page, csv("keyless.csv", "Product ID,name\n1,a\n"));
  await expect(page.getByText("The import would fail")).toBeVisible();
  await expect(page.getByText('Rename column "Product ID" to "productId"')).toBeVisible();
});

test("200 MB go up in parts and survive connections that break", async ({ page, stack }, info) => {
  test.setTimeout(300_000);
  await enter(page, stack);
  const { endpoints } = await configOf(page, stack);
  const path = info.outputPath("large.csv");
  await largeFile(path, 2_000);
  const sent: string[] = [];
  let broken = 0;
  await page.route(
    (url) => url.href.startsWith(endpoints.s3) && url.searchParams.has("partNumber"),
    async (route) => {
      if (route.request().method() !== "PUT") return route.continue();
      const number = new URL(route.request().url()).searchParams.get("partNumber") ?? "";
      // Every fourth request breaks.
      if ((sent.length + broken) % 4 === 1 && broken < 8) {
        broken++;
        return route.abort("connectionreset");
      }
      sent.push(number);
      return route.continue();
    },
  );
  await choose(page, path);
  await importButton(page, "large.csv").click();
  await expect(page.getByText("Uploaded, 200 MB").first()).toBeVisible({ timeout: 240_000 });
  expect(broken).toBe(8);
  expect(sent.length).toBe(24);
  expect(new Set(sent).size).toBe(24);
  await expect(page.getByText("Completed", { exact: true })).toBeVisible({ timeout: 120_000 });
});

test("an upload pauses, goes on, and goes on in another page with what arrived", async ({ page, stack }, info) => {
  test.setTimeout(120_000);
  await enter(page, stack);
  const { endpoints } = await configOf(page, stack);
  const path = info.outputPath("pause.csv");
  await largeFile(path, 400);
  let held = false;
  const sent: string[] = [];
  await page.route(
    (url) => url.href.startsWith(endpoints.s3) && url.searchParams.has("partNumber"),
    async (route) => {
      if (route.request().method() !== "PUT") return route.continue();
      // Parts after the first two wait until the page gives them up.
      if (held && sent.length >= 2) return;
      sent.push(new URL(route.request().url()).searchParams.get("partNumber") ?? "");
      return route.continue();
    },
  );
  held = true;
  await choose(page, path);
  await importButton(page, "pause.csv").click();
  await expect(page.getByText("part 2 of 5")).toBeVisible();
  await page.getByRole("button", { name: "Pause pause.csv" }).click();
  await expect(page.getByText(/paused/)).toBeVisible();
  await page.reload();
  held = false;
  await choose(page, path);
  await importButton(page, "pause.csv").click();
  await expect(page.getByText("Uploaded, 40.0 MB").first()).toBeVisible({ timeout: 60_000 });
  expect(sent.length).toBe(5);
});

test("an upload that is cancelled is no import", async ({ page, stack }) => {
  await enter(page, stack);
  const { endpoints } = await configOf(page, stack);
  await page.route(
    (url) => url.href.startsWith(`${endpoints.s3}/`),
    async (route) => (route.request().method() === "PUT" ? undefined : route.continue()),
  );
  await importFile(page, csv("cancel.csv", "productId\nC1\n"));
  await page.getByRole("button", { name: "Cancel cancel.csv" }).click();
  await expect(page.getByText("Cancelled").first()).toBeVisible();
  await page.getByRole("button", { name: "Clear finished" }).click();
  await expect(page.getByText("cancel.csv")).toBeHidden();
});
