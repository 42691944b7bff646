import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import type { Job } from "../jobs/job";
import { failureWords } from "./failures";
import { isForCommandLine } from "./plain";
import { REASON_CODES, reasonWords } from "./reasons";

const source = (path: string) => readFileSync(new URL(`../../../${path}`, import.meta.url), "utf8");
const job = (changes: Partial<Job>) => changes as Job;

it("has words for every reason that the importer rejects a row for", () => {
  const codes = source("rows/src/item/reject.rs").matchAll(/Self::\w+(?: \{ \.\. \})? => "([a-z0-9-]+)"/g);
  const names = Array.from(codes, ([, code]) => code as string);
  expect(names.length).toBeGreaterThan(20);
  expect(names.sort()).toEqual([...REASON_CODES].sort());
});

it("says of every failure of a file what to do, and nothing of a command line", () => {
  const files = ["csv", "detect", "json", "lines", "mod"].map((name) => source(`rows/src/decode/${name}.rs`));
  const codes = new Set(
    Array.from(files.join().matchAll(/code: "([a-z-]+)"|unusable\(\s+"([a-z-]+)"/g), (m) => m[1] ?? m[2]),
  );
  expect(codes.size).toBeGreaterThan(8);
  for (const code of codes) {
    const words = failureWords(job({ code: code as string, reason: "leave --types away", fix: "set INTAKE_X" }));
    expect(words?.title, code).not.toBe("The import did not end as it should");
    expect(words?.again, code).toBe(true);
    expect(isForCommandLine(JSON.stringify(words)), code).toBe(false);
  }
});

it("falls back to the importer's words, without those for a command line", () => {
  expect(failureWords(job({}))).toBeUndefined();
  expect(failureWords(job({ code: "new", reason: "the moon is full", fix: "wait" }))).toMatchObject({
    title: "The moon is full",
    fix: "Wait.",
  });
  const hidden = failureWords(job({ reason: "x-amz-meta-intake-types is wrong", fix: "leave --types away" }));
  expect(isForCommandLine(JSON.stringify(hidden))).toBe(false);
  expect(hidden?.title).toMatch(/\w/);
});

it("keeps of a reason what it says of the row", () => {
  const ragged = reasonWords("ragged-row", "the row has 2 cells, the header 3; quote a cell that holds the delimiter");
  expect(ragged.detail).toBe("The row has 2 cells, the header 3.");
  const text = reasonWords("not-text", "byte 17 of the file is not UTF-8; name the encoding, for example --encoding x");
  expect([text.title, text.detail]).toEqual(["Unreadable characters", ""]);
  expect(reasonWords("new", "something; --flag")).toEqual({ title: "Rejected", detail: "Something.", fix: "" });
});
