import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test as base, expect, type Page } from "@playwright/test";

export { expect };

/** The local stack under test: the one at INTAKE_DASHBOARD_URL, or else one that the program INTAKE_BIN starts. */
export interface Stack {
  url: string;
}

export const here = (path: string) => fileURLToPath(new URL(path, import.meta.url));
export const sample = (name: string) => here(`../../../samples/${name}`);

export const test = base.extend<{ guarded: undefined }, { stack: Stack }>({
  stack: [
    // biome-ignore lint/correctness/noEmptyPattern: Playwright reads a fixture's dependencies from this pattern.
    async ({}, use) => {
      const url = process.env.INTAKE_DASHBOARD_URL?.replace(/\/$/, "");
      if (url !== undefined) {
        await use({ url });
        return;
      }
      const program = process.env.INTAKE_BIN;
      if (program === undefined)
        throw new Error("there is no stack to test: set INTAKE_BIN to the program, or run `make browser`");
      const local = await startLocal(program);
      await use({ url: local.url });
      local.stop();
    },
    { scope: "worker" },
  ],
  baseURL: async ({ stack }, use) => use(stack.url),
  // Whatever a test does: no script may fail, nothing may break the page's policy, nobody else may be asked.
  guarded: [
    async ({ page, stack }, use) => {
      const wrong: string[] = [];
      page.on("pageerror", (error) => wrong.push(`uncaught: ${error.message}`));
      page.on("console", (message) => {
        if (/content security policy/i.test(message.text())) wrong.push(message.text());
      });
      page.on("dialog", (dialog) => {
        wrong.push(`dialog: ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on("request", (request) => {
        const { protocol, hostname } = new URL(request.url());
        if (protocol.startsWith("http") && hostname !== new URL(stack.url).hostname) wrong.push(`asked ${hostname}`);
      });
      await use(undefined);
      expect(wrong).toEqual([]);
    },
    { auto: true },
  ],
});

/** Starts `intake local`, and finds out where it serves the page. */
async function startLocal(program: string): Promise<{ url: string; stop: () => void }> {
  const state = join(mkdtempSync(join(tmpdir(), "intake-browser-")), "state.json");
  const local = spawn(program, ["local", "--dashboard", here("../../dist")], {
    // Not what the functions log, which is what one sees of intake local otherwise.
    env: { RUST_LOG: "warn", ...process.env, INTAKE_LOCAL_STATE: state },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const stop = () => local.kill("SIGTERM");
  for await (const line of createInterface(local.stdout)) {
    const url = /^ *Dashboard +(http:\S+)/.exec(line)?.[1];
    if (url !== undefined) {
      // What follows is not read, and must not block it.
      local.stdout.resume();
      return { url: url.replace(/\/$/, ""), stop };
    }
  }
  throw new Error("intake local ended before it told where the dashboard is");
}

/** The configuration that the page runs by. */
export async function configOf(page: Page, stack: Stack) {
  const response = await page.request.get(`${stack.url}/config.json`);
  return (await response.json()) as {
    bucket: string;
    table: string;
    jobsTable: string;
    region: string;
    endpoints: { s3: string; dynamodb: string; cognitoIdentity: string };
    inboxUrl: string;
  };
}

export const PASSWORD = "Correct-horse-7";
let people = 0;

/** An address that nobody has yet. */
export function newEmail(): string {
  return `person-${Date.now()}-${people++}@example.com`;
}

/** The newest confirmation code for an address, from the local inbox. */
export async function confirmationCode(page: Page, stack: Stack, email: string): Promise<string> {
  const { inboxUrl } = await configOf(page, stack);
  let code: string | undefined;
  await expect
    .poll(async () => {
      const answer = await page.request.get(new URL(inboxUrl, stack.url).href);
      const { messages } = (await answer.json()) as { messages: { to?: string; time: string; text: string }[] };
      const mine = messages.filter((message) => message.to === email).sort((a, b) => (a.time < b.time ? 1 : -1));
      code = /\b(\d{6})\b/.exec(mine[0]?.text ?? "")?.[1];
      return code;
    })
    .toBeDefined();
  return code as string;
}

/** Signs up on the hosted page, which this leaves with the way back to the dashboard. */
export async function signUp(page: Page, stack: Stack, email: string): Promise<void> {
  await page.getByRole("link", { name: "Sign up" }).click();
  await fillIn(page, { username: email, password: PASSWORD });
  await page.locator('input[name="code"]').waitFor();
  await fillIn(page, { code: await confirmationCode(page, stack, email) });
}

/** Signs in on the hosted page. */
export async function signIn(page: Page, email: string, password = PASSWORD): Promise<void> {
  await fillIn(page, { username: email, password });
}

async function fillIn(page: Page, fields: Record<string, string>): Promise<void> {
  for (const [name, value] of Object.entries(fields)) await page.locator(`input[name="${name}"]:visible`).fill(value);
  await page.locator('button:visible, input[type="submit"]:visible').first().click();
}

/** A page of somebody who has just signed up, at `path`. */
export async function enter(page: Page, stack: Stack, path = "/upload"): Promise<string> {
  const email = newEmail();
  await page.goto(path);
  await page.getByRole("button", { name: "Sign in" }).click();
  await signUp(page, stack, email);
  await expect(page.getByRole("button", { name: email })).toBeVisible();
  return email;
}

/** Chooses files; they are shown to be imported. */
export async function choose(page: Page, files: Parameters<ReturnType<Page["locator"]>["setInputFiles"]>[0]) {
  await page.locator('input[type="file"]').setInputFiles(files);
}

/** Drops a file onto the page as somebody does with the mouse. */
export async function drop(page: Page, name: string, content: Buffer): Promise<void> {
  const files = await page.evaluateHandle(
    ([fileName, text]) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([text], fileName));
      return transfer;
    },
    [name, content.toString()] as const,
  );
  const target = page.getByText("or drop them here");
  for (const event of ["dragenter", "dragover", "drop"]) await target.dispatchEvent(event, { dataTransfer: files });
}

export const csv = (name: string, text: string) => ({ name, mimeType: "text/csv", buffer: Buffer.from(text) });

/** The button that imports a chosen file. */
export function importButton(page: Page, name: string) {
  return page.getByRole("button", { name: `: ${name}` }).filter({ hasText: "Import" });
}

/** The link to what became of an uploaded file. */
export function importLink(page: Page, name: string) {
  return page.getByRole("link", { name: `import of ${name}` });
}

/** Chooses one file and imports it. */
export async function importFile(page: Page, file: { name: string; mimeType: string; buffer: Buffer }): Promise<void> {
  await choose(page, file);
  await importButton(page, file.name).click();
}

/** Goes to a page by the menu, as people do: the session and running uploads stay. */
export async function visit(page: Page, name: "Upload" | "Imports" | "Table" | "Alerts"): Promise<void> {
  const link = page.getByRole("navigation", { name: "Side navigation" }).getByRole("link", { name, exact: true });
  const menu = page.getByRole("button", { name: "Open side navigation" });
  await link.or(menu).first().waitFor();
  if (!(await link.isVisible())) await menu.click();
  await link.click();
  await expect(page).toHaveURL(new RegExp(`/${name.toLowerCase()}$`));
}

/** Leaves a picture of a step. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env.INTAKE_SCREENSHOTS ?? here("../../test-results/screenshots");
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name}.png`), animations: "disabled" });
}

const axeSource = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** What axe finds that keeps people out. */
export async function barriers(page: Page): Promise<string[]> {
  // What fades in has too little contrast only until it is there.
  await page.evaluate(() => {
    const ending = document.getAnimations().filter((one) => one.effect?.getComputedTiming().iterations !== Infinity);
    return Promise.allSettled(ending.map((one) => one.finished)).then(() => undefined);
  });
  await page.evaluate(axeSource);
  const results = await page.evaluate(async () => {
    const axe = (window as unknown as { axe: { run: (options: object) => Promise<AxeResults> } }).axe;
    return axe.run({ resultTypes: ["violations"] });
  });
  return results.violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.html.slice(0, 160)}`));
}

interface AxeResults {
  violations: { id: string; impact: string; nodes: { html: string }[] }[];
}

/** The AWS credentials that a page got when it signed in. */
export function watchCredentials(page: Page): () => Promise<AwsCredentials> {
  let known: Promise<AwsCredentials> | undefined;
  page.on("response", (response) => {
    const target = response.request().headers()["x-amz-target"] ?? "";
    if (target.endsWith(".GetCredentialsForIdentity") && response.ok()) {
      known = response.json().then(({ IdentityId, Credentials }) => ({
        identityId: IdentityId,
        accessKeyId: Credentials.AccessKeyId,
        secretAccessKey: Credentials.SecretKey,
        sessionToken: Credentials.SessionToken,
      }));
    }
  });
  return async () => {
    await expect.poll(() => known !== undefined).toBe(true);
    return known as Promise<AwsCredentials>;
  };
}

export interface AwsCredentials {
  identityId: string;
  accessKeyId: string;
  secretAccessKey: string;
  sessionToken: string;
}

/** The local stack's own key, with which everything is allowed. */
export const EVERYTHING = { accessKeyId: "intake-local", secretAccessKey: "intake-local-secret" };

/** What goes wrong with some calls; see "The local stack" in docs/ARCHITECTURE.md. */
export interface Fault {
  operation: string;
  /** With what the object's key begins. */
  on: string;
  /** Which calls, from 1. */
  calls: number[];
  fault: "ResetBefore" | "ResetAfter";
}

/** Makes calls to the local stack fail from now on, and counts them from the beginning. */
export async function setFaults(page: Page, stack: Stack, faults: Fault[]): Promise<void> {
  const { endpoints } = await configOf(page, stack);
  const answer = await page.request.post(`${endpoints.cognitoIdentity}/local/faults`, { data: { faults } });
  expect(answer.ok(), await answer.text()).toBe(true);
}

/** What came of it: calls by operation, and what was done to them. */
export async function faults(page: Page, stack: Stack) {
  const { endpoints } = await configOf(page, stack);
  const answer = await page.request.get(`${endpoints.cognitoIdentity}/local/faults`);
  return (await answer.json()) as {
    operations: Record<string, { calls: number; injected: number } | undefined>;
    injected: Record<string, number>;
  };
}
