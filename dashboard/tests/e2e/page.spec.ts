import { gzipSync } from "node:zlib";
import type { Page } from "@playwright/test";
import {
  barriers,
  choose,
  configOf,
  csv,
  enter,
  expect,
  importButton,
  importFile,
  importLink,
  picture,
  test,
  visit,
} from "./support";

const PAGES = ["Upload", "Imports", "Table", "Alerts"] as const;
const SCRIPT = '<img src=x onerror="alert(1)"><script>alert(2)</script>';

test("markup in names and cells stays text", async ({ page, stack }) => {
  await enter(page, stack);
  const name = `${SCRIPT.replaceAll("/", "")}.csv`;
  const cell = (text: string) => `"${text.replaceAll('"', '""')}"`;
  const text = ["productId", cell(SCRIPT), "javascript:alert(3)"].join(",");
  const row = [cell(`X${SCRIPT}`), cell(`{{7*7}}\${7*7}${SCRIPT}`), cell(SCRIPT)].join(",");
  await choose(page, csv(name, `${text}\n${row}\n${cell(SCRIPT)},1\n`));
  await expect(page.getByText(name).first()).toBeVisible();
  await expect(page.getByText(`{{7*7}}\${7*7}${SCRIPT}`)).toBeVisible();
  await importButton(page, name).click();
  await importLink(page, name).click();
  await expect(page.getByRole("heading", { name })).toBeVisible();
  await expect(page.getByText("Completed with rejects").first()).toBeVisible();
  await expect(
    page
      .getByRole("table", { name: "Rejected rows" })
      .getByText(`${cell(SCRIPT)},1`)
      .first(),
  ).toBeVisible();
  await visit(page, "Imports");
  await expect(page.getByRole("link", { name })).toBeVisible();
  await visit(page, "Table");
  await page.getByLabel("productId").fill(`X${SCRIPT}`);
  await page.getByRole("button", { name: "Look up" }).click();
  await expect(page.getByRole("cell", { name: SCRIPT, exact: true })).toBeVisible();
  await visit(page, "Alerts");
  await expect(page.getByText(SCRIPT).first()).toBeVisible();
  expect(await page.locator("img[src=x]").count()).toBe(0);
  // Dialogs and broken policies fail every test: see the support.
});

test("the policy has no inline script, and nobody may frame the page", async ({ request, stack }) => {
  for (const path of ["/", "/imports", "/config.json"]) {
    const headers = (await request.get(`${stack.url}${path}`)).headers();
    const policy = headers["content-security-policy"] ?? "";
    const scripts = /script-src ([^;]*)/.exec(policy)?.[1];
    expect(scripts).toBe("'self'");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain("unsafe-eval");
    expect(headers["x-content-type-options"]).toBe("nosniff");
  }
});

for (const theme of ["light", "dark"] as const) {
  test(`axe finds no barrier on any page (${theme})`, async ({ page, stack }) => {
    await page.emulateMedia({ colorScheme: theme });
    await page.goto("/");
    await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
    expect(await barriers(page)).toEqual([]);
    await enter(page, stack);
    for (const name of PAGES) {
      await visit(page, name);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      expect(await barriers(page)).toEqual([]);
    }
    await visit(page, "Upload");
    await choose(page, csv("axe.csv", "productId,sku,n\nA1,1,1\nA2,x,2\nA3,3\n"));
    await expect(page.getByText("1 of the 3 rows would be rejected")).toBeVisible();
    await page.getByRole("button", { name: "Options" }).click();
    expect(await barriers(page)).toEqual([]);
    await picture(page, `upload-${theme}`);
    await importButton(page, "axe.csv").click();
    await importLink(page, "axe.csv").click();
    await expect(page.getByRole("table", { name: "Rejected rows" })).toContainText("Wrong number of cells");
    await expect(page.getByText("Completed with rejects").first()).toBeVisible();
    expect(await barriers(page)).toEqual([]);
    await picture(page, `import-${theme}`);
    await page.getByRole("button", { name: "Correct and import" }).click();
    await expect(page.getByRole("textbox", { name: "Rows" })).toBeVisible();
    expect(await barriers(page)).toEqual([]);
    await page.getByRole("button", { name: "Close" }).last().click();
    for (const name of ["Imports", "Table", "Alerts"] as const) {
      await visit(page, name);
      if (name === "Table")
        await expect(page.getByRole("table", { name: "Items" }).getByRole("row").nth(1)).toBeVisible();
      else await expect(page.getByText(/axe.csv/).first()).toBeVisible();
      expect(await barriers(page)).toEqual([]);
      await picture(page, `${name.toLowerCase()}-${theme}`);
    }
  });
}

for (const width of [360, 1440]) {
  test(`pages fit into ${width} px`, async ({ page, stack }) => {
    await page.setViewportSize({ width, height: 800 });
    await page.goto("/");
    await picture(page, `welcome-${width}`);
    await enter(page, stack);
    const fits = async () =>
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
    await choose(page, csv("narrow.csv", "productId,a long name of a column,another\nN1,2,3\nN2,3\n"));
    await expect(page.getByText("1 of the 2 rows would be rejected")).toBeVisible();
    await fits();
    await picture(page, `upload-${width}`);
    await importButton(page, "narrow.csv").click();
    await importLink(page, "narrow.csv").click();
    await expect(page.getByRole("table", { name: "Rejected rows" })).toContainText("Wrong number of cells");
    await fits();
    await picture(page, `import-${width}`);
    for (const name of PAGES) {
      await visit(page, name);
      await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
      await fits();
      await picture(page, `${name.toLowerCase()}-${width}`);
    }
  });
}

/** A CSV file with a good row and one of 4 KB, without a break, that is rejected. */
const wide = (name: string) => csv(name, `productId,text\nW1,${"x".repeat(4_000)}\nW2,${"y".repeat(4_000)},more\n`);

for (const width of [360, 1440]) {
  test(`axe finds no barrier at ${width} px, with rows of 4 KB and every dialog open`, async ({ page, stack }) => {
    await page.setViewportSize({ width, height: 800 });
    const email = await enter(page, stack);
    const free = async () => expect(await barriers(page)).toEqual([]);
    const dialog = (name: string | RegExp) => page.getByRole("dialog", { name });
    await choose(page, wide("wide.csv"));
    await expect(page.getByText("1 of the 2 rows would be rejected")).toBeVisible();
    await free();
    await page.getByRole("button", { name: /^Show all of line/ }).click();
    await free();

    await page.getByRole("button", { name: email }).click();
    await page.getByRole("menuitem", { name: "Sign out" }).click();
    await expect(dialog("Sign out?")).toBeVisible();
    await free();
    await dialog("Sign out?").getByRole("button", { name: "Stay" }).click();

    await importButton(page, "wide.csv").click();
    await importLink(page, "wide.csv").click();
    await expect(page.getByRole("table", { name: "Rejected rows" })).toContainText("Wrong number of cells");
    await expect(page.getByText("Completed with rejects").first()).toBeVisible();
    await free();
    await page.getByRole("button", { name: /^Show all of line/ }).click();
    await free();
    await page.getByRole("button", { name: "Correct and import" }).click();
    await page.getByRole("textbox", { name: "Rows" }).fill("productId,text\nW2,1\n");
    await expect(page.getByText("All rows fit")).toBeVisible();
    await free();
    await page.keyboard.press("Escape");
    await expect(dialog("Discard your corrections?")).toBeVisible();
    await free();
    await dialog("Discard your corrections?").getByRole("button", { name: "Discard" }).click();

    await visit(page, "Upload");
    const lines = Array.from({ length: 200_000 }, (_, row) => `Y${row},${row}`);
    await importFile(page, csv("running.csv", `productId,n\n${lines.join("\n")}\n`));
    await importLink(page, "running.csv").click();
    await page.getByRole("button", { name: "Cancel the import of running.csv" }).click();
    await expect(dialog("Cancel this import?")).toBeVisible();
    await free();
    await page.getByRole("button", { name: "Cancel the import", exact: true }).click();
    await visit(page, "Table");
    await expect(page.getByRole("table", { name: "Items" }).getByRole("row").nth(1)).toBeVisible();
    await free();
  });
}

/** What a screen reader reads out by itself. */
const announced = (page: Page) => page.locator("[aria-live], [role=alert], [role=status]");
/** What has the focus; empty if nothing has. */
const focused = (page: Page) =>
  page.evaluate(() => {
    const active = document.activeElement;
    return active && active !== document.body ? active.outerHTML.slice(0, 80) : "";
  });

test("what is found out of a file, a correction and a failure is announced", async ({ page, stack }) => {
  await enter(page, stack);
  await choose(page, csv("said.csv", "productId,a\nS1\n"));
  await expect(announced(page).filter({ hasText: "1 of the 1 row would be rejected" })).not.toHaveCount(0);
  await importButton(page, "said.csv").click();
  await importLink(page, "said.csv").click();
  await page.getByRole("button", { name: "Correct and import" }).click();
  await page.getByRole("textbox", { name: "Rows" }).fill("productId,a\nS1,1\n");
  await expect(announced(page).filter({ hasText: "All rows fit" })).not.toHaveCount(0);
  await page.getByRole("button", { name: "Import 1 row" }).click();
  const { endpoints } = await configOf(page, stack);
  await page.route(`${endpoints.dynamodb}/**`, (route) => route.abort());
  await visit(page, "Imports");
  await page.getByRole("button", { name: "Refresh" }).click();
  await expect(announced(page).filter({ hasText: "AWS cannot be reached." })).not.toHaveCount(0);
});

test("the focus never falls to the body", async ({ page, stack }) => {
  await enter(page, stack);
  const steps: [string, () => Promise<void>][] = [
    [
      "removing a file",
      async () => {
        await choose(page, csv("a.csv", "productId,a\nA1\n"));
        await choose(page, csv("b.csv", "productId,a\nA1\n"));
        await page.getByRole("button", { name: "Remove b.csv" }).press("Enter");
        await expect(page.getByText("b.csv")).toBeHidden();
      },
    ],
    [
      "importing the last file",
      async () => {
        await importButton(page, "a.csv").press("Enter");
        await expect(page.getByRole("heading", { name: "Ready to import" })).toBeHidden();
        await expect(importLink(page, "a.csv")).toContainText("See the result");
      },
    ],
    [
      "a link to another page",
      async () => {
        await importLink(page, "a.csv").press("Enter");
        await expect(page.getByRole("table", { name: "Rejected rows" })).toContainText("Wrong number of cells");
      },
    ],
    [
      "closing a dialog",
      async () => {
        await page.getByRole("button", { name: "Correct and import" }).press("Enter");
        await expect(page.getByRole("textbox", { name: "Rows" })).toBeVisible();
        await page.keyboard.press("Escape");
        await expect(page.getByRole("textbox", { name: "Rows" })).toBeHidden();
      },
    ],
    [
      "importing a correction",
      async () => {
        await page.getByRole("button", { name: "Correct and import" }).press("Enter");
        await page.getByRole("textbox", { name: "Rows" }).fill("productId,a\nA1,1\n");
        await page.getByRole("button", { name: "Import 1 row" }).press("Enter");
        await expect(page.getByText("a-corrected.csv").first()).toBeVisible();
        await expect(importLink(page, "a-corrected.csv")).toContainText("See the result");
      },
    ],
    [
      "clearing what is finished",
      async () => {
        await page.getByRole("button", { name: "Clear finished" }).press("Enter");
        await expect(page.getByText("a-corrected.csv")).toBeHidden();
      },
    ],
  ];
  for (const [what, step] of steps) {
    await step();
    await expect.poll(() => focused(page), what).not.toBe("");
  }
});

test("a skip link leads to the content", async ({ page, stack }) => {
  await enter(page, stack);
  await expect(page.getByRole("heading", { name: "Upload", level: 1 })).toBeVisible();
  await page.reload();
  await expect(page.getByRole("heading", { name: "Upload", level: 1 })).toBeVisible();
  await page.keyboard.press("Tab");
  const skip = page.getByRole("link", { name: "Skip to the content" });
  await expect(skip).toBeFocused();
  await expect(skip).toBeInViewport();
  await page.keyboard.press("Enter");
  await expect.poll(() => focused(page)).toContain('id="content"');
});

test("a first visit loads at most 400 kB of JavaScript", async ({ page, stack }) => {
  const scripts = new Map<string, Promise<Buffer>>();
  page.on("response", (response) => {
    if (response.url().startsWith(stack.url) && response.url().endsWith(".js"))
      scripts.set(response.url(), response.body());
  });
  await enter(page, stack, "/imports");
  await expect(page.getByText("No imports yet")).toBeVisible();
  const bodies = await Promise.all(scripts.values());
  const bytes = bodies.reduce((sum, body) => sum + gzipSync(body, { level: 9 }).length, 0);
  // What `npm run size` reckons from the build is what the browser asks for.
  expect(bytes).toBeGreaterThan(300_000);
  expect(bytes).toBeLessThanOrEqual(400_000);
});

test("the page works without a mouse", async ({ page, stack }) => {
  await enter(page, stack);
  await importFile(page, csv("keys.csv", "productId\nK1\n"));
  await importLink(page, "keys.csv").focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "keys.csv" })).toBeVisible();
});

test("a page without its configuration says so", async ({ page }) => {
  await page.route("**/config.json", (route) => route.fulfill({ status: 404 }));
  await page.goto("/");
  await expect(page.getByRole("heading", { name: "The dashboard cannot start" })).toBeVisible();
  await expect(page.getByText("config.json is missing")).toBeVisible();
});
