import type { Page } from "@playwright/test";
import { isForCommandLine } from "../../src/words/plain";
import { REASON_CODES } from "../../src/words/reasons";
import { choose, configOf, csv, enter, expect, importFile, importLink, test, visit } from "./support";

/** Everything that can be read on a page, with the texts that only some programs read out. */
async function textOf(page: Page): Promise<string> {
  const named = await page.evaluate(() =>
    Array.from(document.querySelectorAll("[aria-label], [title], [placeholder]"), (element) =>
      ["aria-label", "title", "placeholder"].map((name) => element.getAttribute(name) ?? "").join(" "),
    ),
  );
  // biome-ignore lint/performance/useDomNodeTextContent: what is hidden, such as scripts, is not read.
  return [await page.locator("body").innerText(), ...named].join("\n");
}

async function expectPlain(page: Page): Promise<void> {
  const lines = (await textOf(page)).split("\n");
  // A message is shown as it was sent, but for what only helps at a command line.
  const bytes = page.url().endsWith("/alerts") ? /(?!)/ : /\bbyte \d/i;
  expect(lines.filter((line) => isForCommandLine(line) || bytes.test(line))).toEqual([]);
}

/** Files that the importer cannot read, each for another reason that it has a flag for. */
const UNUSABLE: [string, string][] = [
  ["empty.csv", ""],
  ["wrapped.json", '{"Items":[{"productId":"A"}],"Count":1}'],
  ["keyless.csv", "id,name\n1,2\n"],
  ["broken.json", '[{"productId":"5" inch"}]'],
  ["latin.csv", "productId,Gr\xf6\xdfe\nA,1\n"],
  ["open.csv", 'productId,a\nA,"never closed\n'],
];

test("no page has words of the command line, whatever fails and for every reason of a reject", async ({
  page,
  stack,
}) => {
  await enter(page, stack);
  const { endpoints } = await configOf(page, stack);
  const files = UNUSABLE.map(([name, text]) => ({
    name,
    mimeType: "text/plain",
    buffer: Buffer.from(text, "latin1"),
  }));
  await choose(page, files);
  await expect(page.getByText("The import would fail")).toHaveCount(files.length);
  for (const { name } of files.slice(1)) await page.getByRole("button", { name, exact: false }).first().click();
  await expectPlain(page);
  for (const { name } of files) await page.getByRole("button", { name: `Import anyway: ${name}` }).click();
  for (const { name } of files) await expect(importLink(page, name)).toContainText("See the result");
  await expectPlain(page);
  for (const { name } of files) {
    await importLink(page, name).click();
    await expect(page.getByRole("heading", { name, level: 1 })).toBeVisible();
    await expect(page.getByText("Failed", { exact: true }).first()).toBeVisible();
    await expect(page.getByRole("button", { name: "Go to Upload" })).toBeVisible();
    await expectPlain(page);
    await visit(page, "Upload");
  }

  // A report with every reason there is, in words for a command line.
  const report = [...REASON_CODES, "new"].map((reason, index) => {
    const message = `something; name it, for example --encoding x (object metadata x-amz-meta-intake-x) at byte ${index}`;
    return JSON.stringify({ byte: index, line: index, record: index, reason, message, row: "a", row_truncated: true });
  });
  await page.route(
    (url) => url.href.startsWith(endpoints.s3) && url.pathname.endsWith("/rejects.jsonl"),
    (route) =>
      route.request().method() === "GET"
        ? route.fulfill({ headers: { "access-control-allow-origin": "*" }, body: `${report.join("\n")}\n` })
        : route.continue(),
  );
  await importFile(page, csv("reasons.csv", "productId,a\nA\n"));
  await importLink(page, "reasons.csv").click();
  const rows = page.getByRole("table", { name: "Rejected rows" }).getByRole("row");
  await expect(rows).toHaveCount(report.length + 1);
  await expectPlain(page);
  await page.getByRole("button", { name: "Correct and import" }).click();
  await expect(page.getByRole("textbox", { name: "Rows" })).toBeVisible();
  await page.getByRole("dialog").getByRole("button", { name: "Options" }).click();
  await expectPlain(page);
  await page.keyboard.press("Escape");
  for (const name of ["Imports", "Table", "Alerts"] as const) {
    await visit(page, name);
    await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
    if (name === "Alerts") await expect(page.getByText(/Import FAILED: wrapped.json/).first()).toBeVisible();
    await expectPlain(page);
  }
});
