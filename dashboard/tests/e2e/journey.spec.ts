import { readFile } from "node:fs/promises";
import { choose, csv, drop, enter, expect, newEmail, picture, sample, signIn, signUp, test, visit } from "./support";

/** A file of so many rows that its progress can be watched. */
function generated(rows: number): string {
  const lines = ["productId,name,quantity,price"];
  for (let row = 1; row <= rows; row++)
    lines.push(`G${row},Generated product ${row},${row % 500},${(row % 9999) / 100}`);
  return `${lines.join("\n")}\n`;
}

test("sign up, drop files, watch them land, sign out", async ({ page, stack }) => {
  const email = newEmail();
  await page.goto("/");
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await picture(page, "01-welcome");

  await page.getByRole("button", { name: "Sign in" }).click();
  await signUp(page, stack, email);
  await expect(page.getByRole("button", { name: email })).toBeVisible();
  await picture(page, "02-signed-in");

  const big = csv("generated.csv", generated(50_000));
  await drop(page, "inventory.csv", await readFile(sample("inventory.csv")));
  await choose(page, big);
  await expect(page.getByText("All 2 rows fit, key productId found")).toBeVisible();
  await expect(page.getByText("The first 1,000 rows fit, key productId found")).toBeVisible();
  await picture(page, "03-preview");

  await page.getByRole("button", { name: "Import all 2" }).click();
  await expect(page.getByText("Uploaded, 70 B").first()).toBeVisible();
  await visit(page, "Imports");
  const row = page.getByRole("row").filter({ hasText: "generated.csv" });
  // It moves: neither nothing nor all.
  const moving = row.filter({ hasText: "Importing" }).getByRole("progressbar");
  await expect(moving).toHaveAttribute("value", /^[1-9]\d?$/);
  await picture(page, "04-progress");
  await expect(row).toContainText("Completed");
  await expect(row).toContainText("50,000 rows");
  await expect(page.getByRole("row").filter({ hasText: "inventory.csv" })).toContainText("Completed");
  await picture(page, "05-completed");

  await row.getByRole("link", { name: "generated.csv" }).click();
  await expect(page.getByRole("heading", { name: "Rows over time" })).toBeVisible();
  await expect(page.getByText("Written").first()).toBeVisible();
  await picture(page, "06-import");

  await visit(page, "Table");
  await page.getByLabel("productId").fill("P1001");
  await page.getByRole("button", { name: "Look up" }).click();
  await expect(page.getByRole("cell", { name: "Laptop" })).toBeVisible();
  await picture(page, "07-table");

  await visit(page, "Alerts");
  // Which names a digest has depends on what the stream brings first.
  await expect(page.getByText("Inventory Update").first()).toBeVisible();
  await expect(page.getByText(/added:\s/i).first()).toBeVisible();
  await expect(page.getByText(/Import finished: generated.csv/).first()).toBeVisible();
  await picture(page, "08-inbox");

  await page.getByRole("button", { name: email }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
  await picture(page, "09-signed-out");

  // A link into the page asks for sign-in again, and leads on from there.
  await page.goto("/imports");
  await page.getByRole("button", { name: "Sign in" }).click();
  await signIn(page, email);
  await expect(page).toHaveURL(`${stack.url}/imports`);
  await expect(page.getByRole("row").filter({ hasText: "generated.csv" })).toContainText("Completed");
});

test("what is not there yet says what to do", async ({ page, stack }) => {
  await enter(page, stack, "/imports");
  await expect(page.getByText("No imports yet")).toBeVisible();
  await page.getByRole("button", { name: "Upload a file" }).click();
  await expect(page).toHaveURL(/\/upload$/);
  await page.goto("/imports/none");
  await expect(page.getByText("There is no such import")).toBeVisible();
  await page.goto("/nowhere");
  await expect(page.getByText("There is no such page")).toBeVisible();
});
