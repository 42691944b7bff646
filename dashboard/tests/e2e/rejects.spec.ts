import { gzipSync } from "node:zlib";
import { DeleteObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { Page } from "@playwright/test";
import {
  choose,
  configOf,
  csv,
  EVERYTHING,
  enter,
  expect,
  importButton,
  importFile,
  importLink,
  test,
  visit,
} from "./support";

/** A CSV file of 300 rows of 3 KB, each of which has a cell too many: its report has 900 KB. */
const LONG = Array.from({ length: 300 }, (_, row) => `R${row},${"x".repeat(3_000)},more`);
const long = (name: string) => csv(name, `productId,text\n${LONG.join("\n")}\n`);

const rejected = (page: Page) => page.getByRole("table", { name: "Rejected rows" }).getByRole("row");
const editor = (page: Page) => page.getByRole("textbox", { name: "Rows" });

/** Reads the whole report, piece by piece. */
async function readAll(page: Page, rows: number): Promise<void> {
  const more = page.getByRole("button", { name: "Show more rejected rows" });
  await expect(rejected(page).nth(1)).toContainText("Wrong number of cells");
  while (await more.isVisible()) {
    const before = await rejected(page).count();
    await more.click();
    await expect.poll(() => rejected(page).count()).toBeGreaterThan(before);
  }
  // One is the header.
  await expect(rejected(page)).toHaveCount(rows + 1);
  await expect(page.getByRole("alert")).toHaveCount(0);
}

test("rejected rows are there on the fourth visit, beyond 256 KiB, after a reload and in a second tab", async ({
  page,
  stack,
}) => {
  await enter(page, stack);
  await importFile(page, long("visits.csv"));
  await importLink(page, "visits.csv").click();
  for (let time = 1; time <= 4; time++) {
    await readAll(page, 300);
    await visit(page, "Imports");
    await page.getByRole("link", { name: "visits.csv" }).click();
  }
  await page.reload();
  await readAll(page, 300);
  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await tab.getByRole("button", { name: "Sign in" }).click();
  await readAll(tab, 300);
});

test("all of 300 rejected rows of 3 KB can be corrected, not only those that are shown", async ({ page, stack }) => {
  await enter(page, stack);
  await importFile(page, long("all.csv"));
  await importLink(page, "all.csv").click();
  await expect(page.getByText(/^\d+ of 300 are shown\.$/)).toBeVisible();
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(editor(page)).toHaveValue(/^productId,text\n/);
  const rows = (await editor(page).inputValue()).trimEnd().split("\n");
  expect(rows).toEqual(["productId,text", ...LONG]);
  await editor(page).fill(rows.map((row) => row.replace(/,more$/, "")).join("\n"));
  await page.getByRole("button", { name: "Import 300 rows" }).click();
  await visit(page, "Imports");
  const row = page.getByRole("row").filter({ hasText: "all-corrected.csv" });
  await expect(row).toContainText("Completed");
  await expect(row).toContainText("300 rows");
});

test("a correction says that more rows were rejected than it shows", async ({ page, stack }) => {
  await enter(page, stack);
  const rows = Array.from({ length: 600 }, (_, row) => `M${row},a,b`);
  await importFile(page, csv("many.csv", `productId,a\n${rows.join("\n")}\n`));
  await importLink(page, "many.csv").click();
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(page.getByText("These are the first 500 of 600 rejected rows")).toBeVisible();
});

test("corrected rows have the types, delimiter and header of their file, also after a reload", async ({
  page,
  stack,
}) => {
  await enter(page, stack);
  // Compressed, and in an encoding of its own.
  const bytes = Buffer.from("productId;Gr\xf6\xdfe;price\nT1;1;7\nT2;2\n", "latin1");
  await choose(page, { name: "typed.csv.gz", mimeType: "application/gzip", buffer: gzipSync(bytes) });
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByRole("button", { name: "Encoding" }).click();
  await page.getByRole("option", { name: "windows-1252" }).click();
  await page.getByLabel("Types").fill("price:S");
  await page.keyboard.press("Enter");
  await expect(page.getByText("1 of the 2 rows would be rejected")).toBeVisible();
  await importButton(page, "typed.csv.gz").click();
  await importLink(page, "typed.csv.gz").click();
  await expect(page.getByText("Completed with rejects").first()).toBeVisible();
  await page.reload();
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(editor(page)).toHaveValue("productId;Größe;price\nT2;2\n");
  await editor(page).fill("productId;Größe;price\nT2;2;8\nT3\n");
  await expect(page.getByText("Line 3: The row has 1 cells")).toBeVisible();
  await page.getByRole("button", { name: "Import anyway" }).click();

  // A correction of the correction knows them, too.
  await importLink(page, "typed-corrected.csv").click();
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(editor(page)).toHaveValue("productId;Größe;price\nT3\n");
  await editor(page).fill("productId;Größe;price\nT3;3;9\n");
  await page.getByRole("button", { name: "Import 1 row" }).click();
  await expect(page.getByText("Completed", { exact: true })).toBeVisible();
  await visit(page, "Table");
  for (const [key, price] of [
    ["T2", "8"],
    ["T3", "9"],
  ] as const) {
    await page.getByLabel("productId").fill(key);
    await page.getByRole("button", { name: "Look up" }).click();
    await expect(page.getByRole("cell", { name: key })).toBeVisible();
    await expect(page.getByTitle(`S: ${price}`)).toBeVisible();
  }
});

test("a correction says that the header is not known once the file is gone", async ({ page, stack }) => {
  await enter(page, stack);
  const { bucket: Bucket, endpoints, region } = await configOf(page, stack);
  const uploading = page.waitForRequest((request) => request.method() === "PUT");
  await importFile(page, csv("gone.csv", "productId,a\nG1\n"));
  const Key = decodeURIComponent(new URL((await uploading).url()).pathname.slice(`/${Bucket}/`.length));
  await importLink(page, "gone.csv").click();
  await expect(page.getByText("Completed with rejects").first()).toBeVisible();
  const s3 = new S3Client({ region, endpoint: endpoints.s3, forcePathStyle: true, credentials: EVERYTHING });
  await s3.send(new DeleteObjectCommand({ Bucket, Key }));
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(page.getByText("Write the header into the first line")).toBeVisible();
  await expect(page.getByText("The file is not there, or you may not read it.")).toBeVisible();
  await expect(editor(page)).toHaveValue("\nG1\n");
});

test("Escape on an edited correction asks before it discards it, and going away keeps it", async ({ page, stack }) => {
  await enter(page, stack);
  await importFile(page, csv("edit.csv", "productId,a\nE1\n"));
  await importLink(page, "edit.csv").click();
  const open = page.getByRole("button", { name: "Correct and import" });
  await open.click();
  await expect(editor(page)).toHaveValue("productId,a\nE1\n");
  // Nothing was edited: nothing to ask.
  await page.keyboard.press("Escape");
  await expect(editor(page)).toBeHidden();
  await open.click();
  await editor(page).fill("productId,a\nE1,work\n");
  const question = page.getByRole("dialog", { name: "Discard your corrections?" });
  for (const away of [
    () => page.keyboard.press("Escape"),
    () => page.getByRole("button", { name: "Close" }).last().click(),
  ]) {
    await away();
    await expect(question).toBeVisible();
    await question.getByRole("button", { name: "Keep editing" }).click();
    await expect(question).toBeHidden();
    await expect(editor(page)).toHaveValue("productId,a\nE1,work\n");
  }
  await page.goBack();
  await expect(editor(page)).toBeHidden();
  await importLink(page, "edit.csv").click();
  await open.click();
  await expect(editor(page)).toHaveValue("productId,a\nE1,work\n");
  await page.keyboard.press("Escape");
  await question.getByRole("button", { name: "Discard" }).click();
  await open.click();
  await expect(editor(page)).toHaveValue("productId,a\nE1\n");
});
