import { expect, it } from "vitest";
import { correctionName, correctionOf, parseRejects, rejectsCsv, spreadsheetCell } from "./rejects";

const line = (changes: Record<string, unknown> = {}) =>
  JSON.stringify({
    byte: 40,
    line: 3,
    record: 2,
    reason: "ragged-row",
    message: "m",
    row: "a,b",
    row_truncated: false,
    ...changes,
  });

it("lines are read, bytes that were no text as Windows-1252", () => {
  const rejects = parseRejects(`${line()}\n${line({ row: undefined, row_base64: "Q2Fm6Q==", line: 4 })}\n`);
  expect(rejects).toEqual([
    { byte: 40, line: 3, record: 2, reason: "ragged-row", message: "m", row: "a,b", truncated: false, binary: false },
    { byte: 40, line: 4, record: 2, reason: "ragged-row", message: "m", row: "Café", truncated: false, binary: true },
  ]);
});

it.each([
  ["=1+1", "'=1+1"],
  ["+1", "'+1"],
  ["-1", "'-1"],
  ["@SUM(A1)", "'@SUM(A1)"],
  ["\t=1", '"\'\t=1"'],
  ["＝1", "'＝1"],
  ['=HYPERLINK("http://x","y")', `"'=HYPERLINK(""http://x"",""y"")"`],
  ["plain", "plain"],
  ["a,b", '"a,b"'],
  ['"x"', '"""x"""'],
  ["1=1", "1=1"],
])("the cell %j is written %j", (text, cell) => {
  expect(spreadsheetCell(text)).toBe(cell);
});

it("the spreadsheet has no formula in any column", () => {
  const rejects = parseRejects(`${line({ row: "=cmd|' /C calc'!A0,1", message: "-x" })}\n`);
  expect(rejectsCsv(rejects)).toBe(
    "\uFEFFline,row,byte,reason,message,text\r\n3,2,40,ragged-row,'-x,\"'=cmd|' /C calc'!A0,1\"\r\n",
  );
});

it.each([
  ["csv", "id,v", "id,v\na,b\nc\n", "csv"],
  ["json", undefined, "[\na,b,\nc\n]\n", "json"],
  ["jsonl", undefined, "a,b\nc\n", "jsonl"],
  ["ddb-json", undefined, "a,b\nc\n", "jsonl"],
])("rejected rows of %s become a file again", (format, header, text, ending) => {
  const rejects = parseRejects([line(), line({ row: "c" }), line({ row_truncated: true })].join("\n"));
  expect(correctionOf(rejects, format, header)).toMatchObject({ text, ending, format, truncated: 1 });
});

it.each([
  ["a.csv", "csv", "a-corrected.csv"],
  ["a.json.gz", "json", "a-corrected.json"],
  ["a-corrected.csv", "csv", "a-corrected.csv"],
  ["2026.11", "jsonl", "2026.11-corrected.jsonl"],
  [".csv", "csv", "rows-corrected.csv"],
])("%s is corrected by %s: %s", (file, ending, name) => {
  expect(correctionName(file, ending)).toBe(name);
});
