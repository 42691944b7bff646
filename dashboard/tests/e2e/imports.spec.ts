import { readFile } from "node:fs/promises";
import { csvRecords } from "../../src/preview/csv";
import { choose, csv, enter, expect, importButton, importFile, importLink, picture, test, visit } from "./support";

test("rejected rows are shown with line and reason, downloaded safely, and corrected", async ({ page, stack }) => {
  await enter(page, stack);
  const rows = [
    "productId,name,quantity",
    "R1,Right,1",
    "R2,too few",
    '=HYPERLINK("http://x"),+1+1,2,=cmd',
    ",no key,3",
  ];
  await importFile(page, csv("mixed.csv", `${rows.join("\n")}\n`));
  await importLink(page, "mixed.csv").click();
  await expect(page.getByText("Completed with rejects").first()).toBeVisible();
  const table = page.getByRole("table", { name: "Rejected rows" });
  await expect(table.getByRole("row").filter({ hasText: "Wrong number of cells" })).toHaveCount(2);
  await expect(table.getByRole("row").filter({ hasText: "Key missing" })).toContainText("5");
  await expect(table).toContainText('Key attribute "productId" is missing');
  await picture(page, "rejects");

  const waiting = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download" }).click();
  await page.getByRole("menuitem", { name: "For a spreadsheet (CSV)" }).click();
  const download = await waiting;
  expect(download.suggestedFilename()).toBe("mixed.csv-rejects.csv");
  const text = await readFile(await download.path(), "utf8");
  const records = [...csvRecords(text.replace("\uFEFF", ""), ",")];
  expect(records.map((record) => record.cells[3])).toEqual(["reason", "ragged-row", "ragged-row", "missing-key"]);
  expect(records[2]?.cells[5]).toBe(`'${rows[3]}`);
  // No cell begins as a formula does.
  for (const cell of records.flatMap((record) => record.cells)) expect(cell).not.toMatch(/^[=+@\t-]/);

  await page.getByRole("button", { name: "Correct and import" }).click();
  const editor = page.getByRole("textbox", { name: "Rows" });
  await expect(editor).toHaveValue(`${[rows[0], ...rows.slice(2)].join("\n")}\n`);
  await expect(page.getByText("Line 2: The row has 2 cells, the header 3.")).toBeVisible();
  await editor.fill(`${rows[0]}\nR2,Corrected,2\nR3,Formula,2\nR4,Key,3\n`);
  await expect(page.getByText("All rows fit")).toBeVisible();
  await picture(page, "correct");
  await page.getByRole("button", { name: "Import 3 rows" }).click();
  await expect(page.getByText("mixed-corrected.csv").first()).toBeVisible();
  await expect(page.getByText("Completed", { exact: true })).toBeVisible();
  await visit(page, "Table");
  await page.getByLabel("productId").fill("R2");
  await page.getByRole("button", { name: "Look up" }).click();
  await expect(page.getByRole("cell", { name: "Corrected" })).toBeVisible();
});

test("an import is cancelled, and found by its status", async ({ page, stack }) => {
  await enter(page, stack);
  const lines = Array.from({ length: 200_000 }, (_, row) => `X${row},${row}`);
  await choose(page, csv("long.csv", `productId,n\n${lines.join("\n")}\n`));
  await importButton(page, "long.csv").click();
  await importLink(page, "long.csv").click();
  await page.getByRole("button", { name: "Cancel the import of long.csv" }).click();
  await page.getByRole("button", { name: "Cancel the import", exact: true }).click();
  await expect(page.getByText("Cancelled", { exact: true }).first()).toBeVisible();

  await visit(page, "Imports");
  await page.getByRole("button", { name: "filter by status" }).click();
  await page.getByRole("menuitemcheckbox", { name: "Completed", exact: true }).click();
  await expect(page.getByText("No import matches")).toBeVisible();
  await page.getByRole("button", { name: "Show all" }).click();
  await page.getByRole("searchbox", { name: "Find a file" }).fill("LONG");
  await expect(page.getByRole("row").filter({ hasText: "long.csv" })).toContainText("Cancelled");
});

test("a file that is cut off has failed, and says what to do", async ({ page, stack }) => {
  await enter(page, stack);
  const file = {
    name: "cut.json",
    mimeType: "application/json",
    buffer: Buffer.from('[{"productId":"J1"},\n{"productId"'),
  };
  await importFile(page, file);
  await importLink(page, "cut.json").click();
  await expect(page.getByText("Failed", { exact: true }).first()).toBeVisible();
  await expect(page.getByText(/cut off/).first()).toBeVisible();
});
