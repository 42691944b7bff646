import { createHash } from "node:crypto";
import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { HeadObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { expect, type Page } from "@playwright/test";
import { partsOf } from "../../src/upload/plan";
import {
  choose,
  configOf,
  csv,
  EVERYTHING,
  enter,
  faults,
  importButton,
  importFile,
  importLink,
  type Stack,
  sample,
  setFaults,
  test,
  visit,
} from "./support";

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

/** The ETag that S3 makes of the parts of an upload: the MD5 of their MD5s. */
async function etagOf(path: string): Promise<string> {
  const parts = partsOf((await stat(path)).size);
  const whole = createHash("md5");
  for (const { start, end } of parts) {
    const part = createHash("md5");
    for await (const bytes of createReadStream(path, { start, end: end - 1 })) part.update(bytes);
    whole.update(part.digest());
  }
  return `"${whole.digest("hex")}-${parts.length}"`;
}

test("200 MB go up in parts and survive an endpoint that drops connections", async ({ page, stack }, info) => {
  test.setTimeout(1_800_000);
  await enter(page, stack);
  const { bucket, endpoints, region } = await configOf(page, stack);
  const path = info.outputPath("large.csv");
  await largeFile(path, 2_000);
  // Eight in a row: the browser repeats by itself what breaks on a connection that was used before, and it has six.
  const inARow = (first: number) => Array.from({ length: 8 }, (_, index) => first + index);
  await setFaults(page, stack, [
    { operation: "UploadPart", on: "uploads/", calls: inARow(4), fault: "ResetBefore" },
    { operation: "UploadPart", on: "uploads/", calls: inARow(16), fault: "ResetAfter" },
  ]);
  let broken = 0;
  page.on("requestfailed", (request) => {
    if (request.method() === "PUT" && new URL(request.url()).searchParams.has("partNumber")) broken++;
  });
  const begun = page.waitForRequest((request) => new URL(request.url()).searchParams.has("uploads"));
  await choose(page, path);
  await importButton(page, "large.csv").click();
  await expect(page.getByText("Uploaded, 200 MB").first()).toBeVisible({ timeout: 900_000 });
  const { operations, injected } = await faults(page, stack);
  expect(injected).toEqual({ ResetBefore: 8, ResetAfter: 8 });
  // Each part once, and once more for each connection that broke.
  expect(operations.UploadPart).toEqual({ calls: 24 + 16, injected: 16 });
  expect(operations.CreateMultipartUpload?.calls).toBe(1);
  expect(operations.AbortMultipartUpload).toBeUndefined();
  // Not only the browser tried again, but the page, too.
  expect(broken).toBeGreaterThan(0);

  const s3 = new S3Client({ region, endpoint: endpoints.s3, forcePathStyle: true, credentials: EVERYTHING });
  const url = new URL((await begun).url());
  const Key = decodeURIComponent(url.pathname.slice(`/${bucket}/`.length));
  const object = await s3.send(new HeadObjectCommand({ Bucket: bucket, Key }));
  expect(object.ContentLength).toBe((await stat(path)).size);
  expect(object.ETag).toBe(await etagOf(path));
  await visit(page, "Imports");
  const row = page.getByRole("row").filter({ hasText: "large.csv" });
  await expect(row).toContainText("Completed", { timeout: 900_000 });
  await expect(row).toContainText("2,000 rows");
});

test("an upload pauses, goes on, and goes on in another page with what arrived", async ({ page, stack }, info) => {
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
  await expect(page.getByText("Uploaded, 40.0 MB").first()).toBeVisible();
  expect(sent.length).toBe(5);
});

/** Lets only two parts of each upload through until that is called, and gives the numbers of those that were sent. */
async function holdParts(page: Page, stack: Stack): Promise<{ sent: string[]; letGo: () => Promise<void> }> {
  const { endpoints } = await configOf(page, stack);
  const sent: string[] = [];
  const isPart = (url: URL) => url.href.startsWith(endpoints.s3) && url.searchParams.has("partNumber");
  await page.route(isPart, async (route) => {
    if (route.request().method() !== "PUT") return route.continue();
    if (sent.length >= 2) return;
    sent.push(new URL(route.request().url()).searchParams.get("partNumber") ?? "");
    return route.continue();
  });
  return { sent, letGo: () => page.unroute(isPart) };
}

async function setTypes(page: Page, types: string): Promise<void> {
  const field = page.getByLabel("Types");
  if (!(await field.isVisible())) await page.getByRole("button", { name: "Options" }).click();
  await field.fill(types);
  await page.keyboard.press("Enter");
}

test("an upload goes on with the options it was begun with, and begins anew with other ones", async ({
  page,
  stack,
}, info) => {
  await enter(page, stack);
  const { bucket: Bucket, endpoints, region } = await configOf(page, stack);
  const path = info.outputPath("again.csv");
  await largeFile(path, 200);
  const keys: string[] = [];
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (request.method() !== "POST" || !url.searchParams.has("uploads")) return;
    keys.push(decodeURIComponent(url.pathname.slice(`/${Bucket}/`.length)));
  });
  const { letGo } = await holdParts(page, stack);
  await choose(page, path);
  await setTypes(page, "text:S");
  await importButton(page, "again.csv").click();
  await expect(page.getByText("part 2 of 3")).toBeVisible();
  await page.getByRole("button", { name: "Pause again.csv" }).click();
  await page.reload();
  await letGo();
  // After a reload the page tells of it, and knows how it was begun.
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeVisible();
  await expect(page.getByText("again.csv")).toBeVisible();
  await choose(page, path);
  await expect(page.getByText(/An upload of this file was begun on/)).toBeVisible();
  await page.getByRole("button", { name: "Options" }).click();
  await expect(page.getByLabel("Types")).toHaveValue("text:S");
  await expect(page.getByText("It goes on with what has arrived.")).toBeVisible();
  await setTypes(page, "text:S,productId:S");
  await expect(page.getByText("with these it begins anew")).toBeVisible();
  await importButton(page, "again.csv").click();
  await expect(page.getByText("Uploaded, 20.0 MB").first()).toBeVisible();
  expect(keys.length).toBe(2);
  const s3 = new S3Client({ region, endpoint: endpoints.s3, forcePathStyle: true, credentials: EVERYTHING });
  const metadataOf = async (Key: string) => (await s3.send(new HeadObjectCommand({ Bucket, Key }))).Metadata;
  expect(await metadataOf(keys[1] as string)).toEqual({ "intake-types": "text:S,productId:S" });

  // What was begun first is still there, and goes on as it was begun.
  await choose(page, path);
  await importButton(page, "again.csv").click();
  await expect(importLink(page, "again.csv")).toHaveCount(2);
  expect(keys.length).toBe(2);
  expect(await metadataOf(keys[0] as string)).toEqual({ "intake-types": "text:S" });
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeHidden();
});

test("an unfinished upload is discarded after asking", async ({ page, stack }, info) => {
  await enter(page, stack);
  const path = info.outputPath("discard.csv");
  await largeFile(path, 200);
  await holdParts(page, stack);
  await choose(page, path);
  await importButton(page, "discard.csv").click();
  await expect(page.getByText("part 2 of 3")).toBeVisible();
  await page.getByRole("button", { name: "Pause discard.csv" }).click();
  await page.reload();
  await page.getByRole("button", { name: "Discard the upload of discard.csv" }).click();
  const aborted = page.waitForResponse((response) => response.request().method() === "DELETE");
  await page.getByRole("button", { name: "Discard the upload", exact: true }).click();
  expect((await aborted).status()).toBe(204);
  await expect(page.getByRole("heading", { name: "Unfinished uploads" })).toBeHidden();
});

test("the same file twice at once is one upload, in this tab and in another", async ({ page, stack }, info) => {
  await enter(page, stack);
  const path = info.outputPath("twice.csv");
  await largeFile(path, 200);
  const { letGo } = await holdParts(page, stack);
  // Both are chosen before either is sent.
  await choose(page, path);
  await choose(page, path);
  await expect(page.getByText("All 2 rows fit").or(page.getByText(/rows fit, key/))).toHaveCount(2);
  await importButton(page, "twice.csv").first().click();
  await expect(page.getByText("part 2 of 3")).toBeVisible();
  await expect(page.getByText("Being uploaded already").first()).toBeVisible();
  await expect(importButton(page, "twice.csv")).toBeDisabled();
  const tab = await page.context().newPage();
  await tab.goto(stack.url);
  await tab.getByRole("button", { name: "Sign in" }).click();
  await choose(tab, path);
  await expect(tab.getByText(/rows fit, key/).first()).toBeVisible();
  // It is not unfinished: this tab must neither go on with it nor discard it.
  await expect(tab.getByRole("heading", { name: "Unfinished uploads" })).toBeHidden();
  await importButton(tab, "twice.csv").click();
  await expect(tab.getByText("This file is being uploaded in another tab.").first()).toBeVisible();
  await tab.close();
  await page.getByRole("button", { name: "Pause twice.csv" }).click();
  await letGo();
  await page.getByRole("button", { name: "Resume twice.csv" }).click();
  await expect(page.getByText("Uploaded, 20.0 MB").first()).toBeVisible();
  await visit(page, "Imports");
  await expect(page.getByRole("link", { name: "twice.csv" })).toHaveCount(1);
  await expect(page.getByRole("row").filter({ hasText: "twice.csv" })).toContainText("Completed");
});

test("importing all imports what fits, and leaves the rest", async ({ page, stack }) => {
  await enter(page, stack);
  await choose(page, [
    csv("good.csv", "productId\nA1\n"),
    csv("better.csv", "productId\nA2\n"),
    csv("rows.csv", "productId,a\nA3\n"),
    csv("keyless.csv", "id\nA4\n"),
  ]);
  await page.getByRole("button", { name: "Import the 2 that fit" }).click();
  for (const name of ["good.csv", "better.csv"]) await expect(importLink(page, name)).toContainText("See the result");
  await expect(page.getByRole("heading", { name: "Ready to import" })).toBeVisible();
  await expect(importButton(page, "rows.csv")).toBeVisible();
  await expect(importButton(page, "keyless.csv")).toBeVisible();
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
