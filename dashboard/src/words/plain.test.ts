import { expect, it } from "vitest";
import { isForCommandLine, plain } from "./plain";

it.each([
  ['the header has no column "productId"', 'The header has no column "productId".'],
  ["the row has 2 cells, the header 3; quote a cell", "The row has 2 cells, the header 3; quote a cell."],
  ["byte 17 of the file is not UTF-8; name the encoding, for example --encoding windows-1252", ""],
  ["leave --delimiter away", ""],
  ["a is wrong; set INTAKE_MAX_REJECTS", "A is wrong."],
  [
    "the file is broken at line 2, byte 40, row 2: a missing comma",
    "The file is broken at line 2, row 2: a missing comma.",
  ],
])("of %j remains %j", (text, expected) => {
  expect(plain(text)).toBe(expected);
});

it("knows what is said to people at a command line", () => {
  for (const text of [
    "--types",
    "x-amz-meta-intake-types",
    "object metadata",
    "INTAKE_LANES",
    "intake status shows it",
  ]) {
    expect(isForCommandLine(text), text).toBe(true);
  }
  for (const text of ["a -- b", "Intake reads it", "Import anyway"]) expect(isForCommandLine(text), text).toBe(false);
});
