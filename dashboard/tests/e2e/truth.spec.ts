import type { Page } from "@playwright/test";
import { choose, configOf, csv, enter, expect, importFile, importLink, type Stack, test, visit } from "./support";

/** Lets calls of DynamoDB break as long as they are of one operation. */
async function breakCalls(page: Page, stack: Stack, operation: string): Promise<() => Promise<void>> {
  const { endpoints } = await configOf(page, stack);
  const pattern = `${endpoints.dynamodb}/**`;
  await page.route(pattern, (route) =>
    route.request().headers()["x-amz-target"]?.endsWith(`.${operation}`) ? route.abort() : route.continue(),
  );
  return () => page.unroute(pattern);
}

test("a list that cannot load does not say that there is nothing, and a list that is old says since when", async ({
  page,
  stack,
}) => {
  await enter(page, stack);
  const mend = await breakCalls(page, stack, "Query");
  await visit(page, "Imports");
  await expect(page.getByText("AWS cannot be reached.")).toBeVisible();
  await expect(page.getByText("Your imports could not be read")).toBeVisible();
  await expect(page.getByText("No imports yet")).toBeHidden();
  await mend();
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByText("No imports yet")).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
  await breakCalls(page, stack, "Query");
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(page.getByText(/What is shown was read on \w+ \d+, \d{4}/)).toBeVisible();
  await expect(page.getByText("No imports yet")).toBeVisible();
});

test("a table that cannot be read is not called empty", async ({ page, stack }) => {
  await enter(page, stack);
  await breakCalls(page, stack, "Scan");
  await visit(page, "Table");
  await expect(page.getByText("The items could not be read")).toBeVisible();
  await expect(page.getByText("The table is empty")).toBeHidden();
});

test("a file that was not checked against the table is not said to fit", async ({ page, stack }) => {
  await enter(page, stack);
  await breakCalls(page, stack, "DescribeTable");
  await choose(page, csv("unchecked.csv", "anything\n1\n"));
  await expect(page.getByText("Not checked against the table").first()).toBeVisible();
  await expect(page.getByText(/rows? fit/)).toBeHidden();
});

test("a failed import shows no full bar, and draws nothing that was not seen", async ({ page, stack }) => {
  await enter(page, stack);
  const buffer = Buffer.from('[{"productId":"F1"},\n{"productId"');
  await importFile(page, { name: "failed.json", mimeType: "application/json", buffer });
  await importLink(page, "failed.json").click();
  await expect(page.getByText("Failed", { exact: true }).first()).toBeVisible();
  await expect(page.getByRole("progressbar")).toHaveCount(0);
  await visit(page, "Imports");
  const row = page.getByRole("row").filter({ hasText: "failed.json" });
  await expect(row).toContainText(" of ");
  await expect(row.getByRole("progressbar")).toHaveCount(0);
  await page.getByRole("link", { name: "failed.json" }).click();
  await page.reload();
  await expect(page.getByText("Nothing to draw")).toBeVisible();
});

test("a search that finds nothing among the newest imports says so", async ({ page, stack }) => {
  await enter(page, stack);
  // More imports than are read at a time.
  const files = Array.from({ length: 51 }, (_, file) => csv(`f${file}.csv`, `productId\nF${file}\n`));
  await choose(page, files);
  await page.getByRole("button", { name: "Import all 51" }).click();
  await visit(page, "Imports");
  await expect(page.getByText("(50+)")).toBeVisible();
  await page.getByRole("searchbox", { name: "Find a file" }).fill("no such file");
  await expect(page.getByText("None of the newest 50 imports matches")).toBeVisible();
});

test("a page that is opened while the network is down says so, and comes when it is back", async ({
  page,
  stack,
  context,
}) => {
  await enter(page, stack);
  await expect(page.getByRole("heading", { name: "Upload", level: 1 })).toBeVisible();
  await context.setOffline(true);
  await page
    .getByRole("navigation", { name: "Side navigation" })
    .getByRole("link", { name: "Table", exact: true })
    .click();
  await expect(page.getByText("AWS cannot be reached.")).toBeVisible();
  await expect(page.getByRole("link", { name: "Alerts", exact: true })).toBeVisible();
  await context.setOffline(false);
  await page.getByRole("button", { name: "Try again" }).click();
  await expect(page.getByRole("heading", { name: "Items" })).toBeVisible();
});

test("a page whose code was replaced by a newer build says to reload it", async ({ page, stack }) => {
  await enter(page, stack);
  await expect(page.getByRole("heading", { name: "Upload", level: 1 })).toBeVisible();
  // Every chunk that is not loaded yet is gone, as after a deployment.
  await page.route("**/assets/*.js", (route) => route.fulfill({ status: 404, body: "" }));
  for (const name of ["Table", "Alerts"] as const) {
    await visit(page, name);
    await expect(page.getByText("A part of this page cannot be loaded.")).toBeVisible();
  }
  await page.unrouteAll();
  await page.getByRole("button", { name: "Reload the page" }).click();
  await expect(page.getByRole("heading", { name: "Alerts", level: 1 })).toBeVisible();
});

for (const path of ["/imports/%25E0%25A4%25A", "/imports/%E0%A4%A", "/imports/%2525", "/imports/a%2Fb"]) {
  test(`the malformed address ${path} shows that there is no such import`, async ({ page, stack }) => {
    await enter(page, stack);
    await page.goto(path);
    await expect(page.getByText("There is no such import").or(page.getByText("There is no such page"))).toBeVisible();
    await visit(page, "Upload");
    await expect(page.getByRole("heading", { name: "Upload", level: 1 })).toBeVisible();
  });
}
