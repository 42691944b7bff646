import { DynamoDBClient, QueryCommand, ScanCommand, UpdateItemCommand } from "@aws-sdk/client-dynamodb";
import { GetObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import type { Locator, Page } from "@playwright/test";
import {
  type AwsCredentials,
  choose,
  configOf,
  csv,
  enter,
  expect,
  importButton,
  importFile,
  importLink,
  newEmail,
  type Stack,
  signIn,
  test,
  visit,
  watchCredentials,
} from "./support";

const denied = expect.stringMatching(/^AccessDenied/);

test("nobody writes or reads what is another's", async ({ page, stack, browser }) => {
  const credentialsOf = watchCredentials(page);
  await enter(page, stack);
  await importFile(page, csv("mine.csv", "productId,a\nM1\n"));
  await expect(page.getByText("Completed with rejects")).toBeVisible();
  const mine = await credentialsOf();

  const other = await browser.newContext({ baseURL: stack.url });
  const otherPage = await other.newPage();
  const othersOf = watchCredentials(otherPage);
  await enter(otherPage, stack);
  await otherPage.getByRole("link", { name: "Imports", exact: true }).click();
  await expect(otherPage.getByText("No imports yet")).toBeVisible();
  const others = await othersOf();
  await other.close();

  const { endpoints, region, bucket: Bucket, jobsTable, table } = await configOf(page, stack);
  const as = (credentials: AwsCredentials) => ({
    s3: new S3Client({ region, endpoint: endpoints.s3, forcePathStyle: true, credentials, maxAttempts: 1 }),
    dynamodb: new DynamoDBClient({ region, endpoint: endpoints.dynamodb, credentials, maxAttempts: 1 }),
  });
  const failure = (action: Promise<unknown>) =>
    action.then(
      () => "allowed",
      (error: Error) => error.name,
    );
  const me = as(mine);
  const they = as(others);
  const put = (client: S3Client, Key: string) =>
    failure(client.send(new PutObjectCommand({ Bucket, Key, Body: "productId\n" })));

  // The premise: with these credentials what is one's own can be done.
  expect(await put(me.s3, `uploads/${mine.identityId}/x/own.csv`)).toBe("allowed");
  expect(await put(me.s3, `uploads/${others.identityId}/x/foreign.csv`)).toEqual(denied);
  expect(await put(me.s3, "uploads/nobody.csv")).toEqual(denied);
  expect(await put(me.s3, `reports/${mine.identityId}/forged.json`)).toEqual(denied);

  const jobs = (client: DynamoDBClient, owner: string) =>
    client.send(
      new QueryCommand({
        TableName: jobsTable,
        KeyConditionExpression: "#owner = :owner",
        ExpressionAttributeNames: { "#owner": "owner" },
        ExpressionAttributeValues: { ":owner": { S: owner } },
      }),
    );
  const job = (await jobs(me.dynamodb, mine.identityId)).Items?.find((item) => item.rejects);
  const report = /^s3:\/\/[^/]+\/(.+)$/.exec(job?.rejects?.S ?? "")?.[1] ?? "";
  const read = (client: S3Client) => failure(client.send(new GetObjectCommand({ Bucket, Key: report })));
  expect(await read(me.s3)).toBe("allowed");
  expect(await read(they.s3)).toEqual(denied);
  expect(await failure(jobs(they.dynamodb, mine.identityId))).toEqual(denied);
  expect(await failure(they.dynamodb.send(new ScanCommand({ TableName: jobsTable })))).toEqual(denied);
  const update = (Key: UpdateItemCommand["input"]["Key"], name: string) =>
    failure(
      me.dynamodb.send(
        new UpdateItemCommand({
          TableName: jobsTable,
          Key,
          UpdateExpression: "SET #n = :v",
          ConditionExpression: "attribute_exists(#job)",
          ExpressionAttributeNames: { "#n": name, "#job": "job" },
          ExpressionAttributeValues: { ":v": { BOOL: true } },
        }),
      ),
    );
  const own = { owner: { S: mine.identityId }, job: job?.job ?? { S: "" } };
  expect(await update(own, "cancel_requested")).toBe("allowed");
  expect(await update(own, "notified")).toEqual(denied);
  expect(await update({ ...own, owner: { S: others.identityId } }, "cancel_requested")).toEqual(denied);
  const write = new UpdateItemCommand({
    TableName: table,
    Key: { productId: { S: "M1" } },
    UpdateExpression: "SET a = :v",
    ExpressionAttributeValues: { ":v": { S: "x" } },
  });
  expect(await failure(me.dynamodb.send(write))).toEqual(denied);
});

test("expired credentials are fetched again, and nobody notices", async ({ page, stack }) => {
  await enter(page, stack, "/table");
  await expect(page.getByRole("heading", { name: "Items" })).toBeVisible();
  const { endpoints } = await configOf(page, stack);
  let refused = 0;
  const renewed = page.waitForRequest((request) => request.url().endsWith("/oauth2/token"));
  await page.route(`${endpoints.dynamodb}/**`, async (route) => {
    if (route.request().method() !== "POST" || refused > 0) return route.continue();
    refused++;
    return route.fulfill({
      status: 400,
      headers: { "access-control-allow-origin": "*", "content-type": "application/x-amz-json-1.0" },
      body: JSON.stringify({ __type: "com.amazon.coral.service#ExpiredTokenException", message: "expired" }),
    });
  });
  await page.getByRole("button", { name: "Refresh" }).click();
  await renewed;
  expect(refused).toBe(1);
  await expect(page.getByRole("alert")).toHaveCount(0);
  await expect(page.getByText("Your session has ended")).toBeHidden();
});

/** Ends the session of a page as Cognito does: nothing is accepted any more, nor renewed. Gives the dialog about it. */
async function endSession(page: Page, stack: Stack): Promise<Locator> {
  const { endpoints } = await configOf(page, stack);
  await page.route(`${endpoints.dynamodb}/**`, (route) =>
    route.request().method() === "POST"
      ? route.fulfill({
          status: 400,
          headers: { "access-control-allow-origin": "*", "content-type": "application/x-amz-json-1.0" },
          body: JSON.stringify({ __type: "ExpiredTokenException", message: "expired" }),
        })
      : route.continue(),
  );
  await page.route("**/oauth2/token", (route) =>
    route.fulfill({
      status: 400,
      headers: { "access-control-allow-origin": "*", "content-type": "application/json" },
      body: JSON.stringify({ error: "invalid_grant" }),
    }),
  );
  const dialog = page.getByRole("dialog", { name: "Your session has ended" });
  return dialog;
}

/** Signs in again, in the window that opens. */
async function signInAgain(page: Page, dialog: Locator, email: string): Promise<void> {
  await expect(dialog).toBeVisible();
  await page.unrouteAll();
  // Of Cognito's own session, too, which would otherwise lead straight back.
  await page.context().clearCookies();
  const opening = page.waitForEvent("popup");
  await dialog.getByRole("button", { name: "Sign in" }).click();
  const window = await opening;
  const closed = window.waitForEvent("close");
  await signIn(window, email);
  await closed;
  await expect(dialog).toBeHidden();
}

test("a session that has ended asks to sign in, and the page goes on where it is", async ({ page, stack }) => {
  const email = await enter(page, stack, "/table");
  await expect(page.getByRole("heading", { name: "Items" })).toBeVisible();
  const dialog = await endSession(page, stack);
  await page.getByRole("button", { name: "Refresh" }).click();
  await signInAgain(page, dialog, email);
  await expect(page).toHaveURL(`${stack.url}/table`);
  await expect(page.getByRole("table", { name: "Items" }).getByRole("row").nth(1)).toBeVisible();
  await expect(page.getByRole("alert")).toHaveCount(0);
});

test("signing in again keeps chosen files with their options, and sends what could not be sent", async ({
  page,
  stack,
}) => {
  const email = await enter(page, stack);
  await choose(page, csv("kept.csv", "productId,price\nK1,7\n"));
  await page.getByRole("button", { name: "Options" }).click();
  await page.getByLabel("Types").fill("price:S");
  await page.keyboard.press("Enter");
  await expect(page.getByText("All 1 row fit")).toBeVisible();
  const dialog = await endSession(page, stack);
  const { endpoints } = await configOf(page, stack);
  await page.route(`${endpoints.s3}/**`, (route) =>
    route.fulfill({
      status: 400,
      headers: { "access-control-allow-origin": "*", "content-type": "application/xml" },
      body: "<Error><Code>ExpiredToken</Code><Message>expired</Message></Error>",
    }),
  );
  await choose(page, csv("sent.csv", "productId\nS1\n"));
  await importButton(page, "sent.csv").click();
  await signInAgain(page, dialog, email);
  // What was sent when the session ended goes on by itself.
  await expect(page.getByText(/^Uploaded, \d+ B/).first()).toBeVisible();
  await expect(page.getByLabel("Types")).toHaveValue("price:S");
  await importButton(page, "kept.csv").click();
  await expect(importLink(page, "kept.csv")).toBeVisible();
  await expect.poll(() => page.evaluate(() => JSON.stringify(localStorage))).not.toMatch(/eyJ|refresh/);
});

test("a wrong password does not sign in", async ({ page, stack }) => {
  const email = await enter(page, stack);
  await page.getByRole("button", { name: email }).click();
  await page.getByRole("menuitem", { name: "Sign out" }).click();
  await page.getByRole("button", { name: "Sign in" }).click();
  await signIn(page, email, "Wrong-horse-7");
  await expect(page.getByText("Incorrect username or password")).toBeVisible();
  await signIn(page, newEmail());
  await expect(page.getByText("Incorrect username or password")).toBeVisible();
});

test("an answer that was not asked for does not sign in", async ({ page }) => {
  await page.goto("/?code=stolen&state=forged");
  await expect(page.getByText("You are not signed in")).toBeVisible();
  await expect(page).not.toHaveURL(/stolen/);
  await expect(page.getByRole("button", { name: "Sign in" })).toBeVisible();
});

test("tokens stay in this tab, and out of its address", async ({ page, stack, context }) => {
  await enter(page, stack);
  expect(page.url()).not.toMatch(/code=|state=|token/);
  expect(await page.evaluate(() => JSON.stringify(localStorage))).not.toMatch(/eyJ|refresh/);
  const another = await context.newPage();
  await another.goto("/upload");
  await expect(another.getByRole("button", { name: "Sign in" })).toBeVisible();
  // A reload keeps the session.
  await page.reload();
  await visit(page, "Table");
});
