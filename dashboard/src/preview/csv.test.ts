import { expect, it } from "vitest";
import { csvRecords, sniffDelimiter } from "./csv";

const cells = (text: string) => [...csvRecords(text, ",")].map((record) => record.cells);

// The cases of rows/tests/decode/csv.rs.
it.each([
  ["x", "x"],
  ['"x"', "x"],
  ['"x,y"', "x,y"],
  ['"x""y"', 'x"y'],
  ['""""', '"'],
  ['"""x"""', '"x"'],
  ['"x\ny"', "x\ny"],
  ['"x\r\ny\r\n"', "x\r\ny\r\n"],
  [" x ", " x "],
  ['24" monitor', '24" monitor'],
  ['a"b"c', 'a"b"c'],
  [' "x"', ' "x"'],
  ["ä€😀", "ä€😀"],
  ["'x'", "'x'"],
])("the cell %j is %j", (cell, text) => {
  expect(cells(`id,v\na,${cell}\nb,z\n`)).toEqual([
    ["id", "v"],
    ["a", text],
    ["b", "z"],
  ]);
});

it.each(["\n", "\r\n", "\r", "\n\n", "\r\n\r\n"])("lines end by %j", (end) => {
  const records = [...csvRecords(["id,v", "a,x", "b,y"].join(end), ",")];
  expect(records.map((record) => record.cells[0])).toEqual(["id", "a", "b"]);
  const step = end === "\n\n" || end === "\r\n\r\n" ? 2 : 1;
  expect(records.map((record) => record.line)).toEqual([1, 1 + step, 1 + 2 * step]);
  expect(records.map((record) => record.cut)).toEqual(["no", "no", "unterminated"]);
});

it("lines are counted inside quotes", () => {
  expect([...csvRecords('a\n"x\r\ny\rz"\nb\n', ",")].map((record) => record.line)).toEqual([1, 2, 5]);
});

it.each([
  ['"x"y', true],
  ['"x" ,1', true],
  ['"x""y"', false],
  ['a"b"c', false],
  ['"x","y"', false],
])("text after a closing quote in %j: %s", (row, found) => {
  expect([...csvRecords(`${row}\n`, ",")][0]?.textAfterQuote).toBe(found);
});

it.each([
  ["a,b;c,d", ","],
  ["a;b;c,d", ";"],
  ["a\tb", "\t"],
  ["a|b|c", "|"],
  ["a;b,c", ","],
  ['"a;b;c;d",e', ","],
  ["abc", ","],
  ["\n a;b\nc,d,e", ";"],
])("the delimiter of %j is %j", (text, delimiter) => {
  expect(sniffDelimiter(text, [])).toBe(delimiter);
});
