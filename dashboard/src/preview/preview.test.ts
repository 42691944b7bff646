import { readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { describe, expect, it } from "vitest";
import type { ReadOptions } from "./detect";
import { type Preview, previewFile, previewText } from "./preview";
import { isReason } from "./reason";
import { parseTypes, type Schema, schemaOf } from "./schema";

const inventory: Schema = {
  table: "InventoryTable",
  key: [{ name: "productId", type: "S", limitBytes: 2048 }],
  indexKeys: [],
};
const sample = (name: string) => new Blob([readFileSync(new URL(`../../../samples/${name}`, import.meta.url))]);
const types = (text: string) => parseTypes(text) as Exclude<ReturnType<typeof parseTypes>, string>;

function look(text: string, options: ReadOptions = {}, schema: Schema | undefined = inventory, whole = true): Preview {
  return previewText({ compression: "none", encoding: "utf-8", text, whole, valid: true }, options, schema);
}

/** `line code`, or the item as DynamoDB JSON. */
function outcomes(preview: Preview): string[] {
  return preview.rows.map((row) =>
    isReason(row.outcome)
      ? `${row.line} ${row.outcome.code}`
      : `${row.line} ${JSON.stringify(Object.fromEntries(row.outcome))}`,
  );
}

const codes = (preview: Preview) => outcomes(preview).map((text) => (text.includes("{") ? text.split(" ")[0] : text));

const LAPTOP = '{"productId":{"S":"P1001"},"name":{"S":"Laptop"},"quantity":{"N":"20"},"price":{"N":"1200"}}';
const MOUSE = '{"productId":{"S":"P1002"},"name":{"S":"Mouse"},"quantity":{"N":"100"},"price":{"N":"20"}}';

describe("the samples", () => {
  // The tables of samples/README.md, which the importer's tests check, too.
  it.each([
    ["inventory.json", "json", "none"],
    ["inventory.jsonl", "jsonl", "none"],
    ["inventory.csv", "csv", "none"],
    ["inventory.ddb.jsonl", "ddb-json", "none"],
    ["inventory.json.gz", "json", "gzip"],
  ])("%s holds the same two rows", async (name, format, compression) => {
    const preview = await previewFile(sample(name), {}, inventory);
    expect(preview).toMatchObject({ format, compression, rejected: 0, whole: true });
    expect(preview.failure).toBeUndefined();
    expect(outcomes(preview).map((text) => text.slice(text.indexOf("{")))).toEqual([LAPTOP, MOUSE]);
    expect(preview.columns.map((column) => `${column.name}:${column.types}:${column.role ?? ""}`)).toEqual([
      "productId:S:partition",
      "name:S:",
      "quantity:N:",
      "price:N:",
    ]);
  });

  it("bad-rows.csv has the reasons that the importer gives", async () => {
    const preview = await previewFile(sample("bad-rows.csv"), { types: types("price:N") }, inventory);
    expect(codes(preview)).toEqual([
      "2",
      "3 ragged-row",
      "4 ragged-row",
      "5",
      "7 not-text",
      "8 missing-key",
      "9",
      "10 key-too-long",
      "11 declared-type",
      "12 declared-type",
      "13",
      "14 text-after-quote",
    ]);
    expect(outcomes(preview)[10]).toBe(
      '13 {"productId":{"S":"P3011"},"name":{"S":"Kettle \\"S\\""},"quantity":{"S":"00123"}}',
    );
    const right = await previewFile(sample("bad-rows.csv"), { encoding: "windows-1252" }, inventory);
    expect(outcomes(right)[4]).toContain('"name":{"S":"Café in Windows-1252"}');
  });

  it("bad-rows.jsonl has the reasons that the importer gives", async () => {
    expect(codes(await previewFile(sample("bad-rows.jsonl"), {}, inventory))).toEqual([
      "1",
      "2 broken-line",
      "3 missing-key",
      "4",
      "5 key-type",
      "6 empty-key",
      "7 key-too-long",
      "8",
      "9 number-precision",
      "10 number-range",
      "11 duplicate-attribute",
      "12",
      "13 too-deep",
      "14 not-an-object",
      "15 empty-attribute-name",
      "16",
    ]);
  });

  it("bad-rows.ddb.jsonl has the reasons that the importer gives", async () => {
    expect(codes(await previewFile(sample("bad-rows.ddb.jsonl"), {}, inventory))).toEqual([
      "1",
      "2 empty-set",
      "3 duplicate-in-set",
      "4 not-base64",
      "5 not-a-number",
      "6 not-dynamodb-json",
      "7",
    ]);
  });
});

describe("values", () => {
  it.each([
    ["1200", "N"],
    ["-1.50", "N"],
    ["1e5", "N"],
    ["00123", "S"],
    ["+5", "S"],
    ["1.", "S"],
    ["true", "S"],
    [" 1", "S"],
    ["0", "N"],
    ["-0", "N"],
    ["0e126", "S"],
    ["9.99e125", "N"],
    ["1e126", "S"],
    ["1e-130", "N"],
    ["1e-131", "S"],
    ["12345678901234567890123456789012345678", "N"],
    ["123456789012345678901234567890123456789", "S"],
    ["1234567890123456789012345678901234567800", "N"],
    ["<script>alert(1)</script>", "S"],
  ])("the CSV cell %s is of type %s, digit for digit", (cell, type) => {
    expect(outcomes(look(`productId,v\na,${cell}\n`))).toEqual([`2 {"productId":{"S":"a"},"v":{"${type}":"${cell}"}}`]);
  });

  it.each([
    ["1.50", '{"N":"1.50"}'],
    ["[1,null,true]", '{"L":[{"N":"1"},{"NULL":true},{"BOOL":true}]}'],
    ['{"__proto__":{"a":1}}', '{"M":{"__proto__":{"M":{"a":{"N":"1"}}}}}'],
    ['"\\u0041\\ud83d\\ude00\\n"', '{"S":"A😀\\n"}'],
  ])("the JSON value %s becomes %s", (json, value) => {
    expect(outcomes(look(`{"productId":"a","v":${json}}\n`))).toEqual([`1 {"productId":{"S":"a"},"v":${value}}`]);
  });

  it.each([
    ["price:N", '"1.5"', '{"N":"1.5"}'],
    ["price:S", "1.50", '{"S":"1.50"}'],
    ["price:S", "true", '{"S":"true"}'],
    ["price:BOOL", '"TRUE"', '{"BOOL":true}'],
    ["price:B", '"YQ=="', '{"B":"YQ=="}'],
    ["price:N", "null", '{"NULL":true}'],
  ])("declared as %s the JSON value %s becomes %s", (declared, json, value) => {
    const preview = look(`{"productId":"a","price":${json}}\n`, { types: types(declared) });
    expect(outcomes(preview)).toEqual([`1 {"productId":{"S":"a"},"price":${value}}`]);
  });

  it.each([
    ["price:N", '"x"', "declared-type"],
    ["price:N", "true", "declared-type"],
    ["price:BOOL", "1", "declared-type"],
    ["price:S", "[1]", "declared-type"],
    ["price:B", '"YQ"', "declared-type"],
  ])("declared as %s the JSON value %s rejects the row: %s", (declared, json, code) => {
    const preview = look(`{"productId":"a","price":${json}}\n`, { types: types(declared) });
    expect(outcomes(preview)).toEqual([`1 ${code}`]);
  });

  it("keys take the type of the table", () => {
    const schema = schemaOf({
      TableName: "t",
      KeySchema: [
        { AttributeName: "day", KeyType: "RANGE" },
        { AttributeName: "id", KeyType: "HASH" },
      ],
      AttributeDefinitions: [
        { AttributeName: "id", AttributeType: "S" },
        { AttributeName: "day", AttributeType: "N" },
        { AttributeName: "sku", AttributeType: "S" },
      ],
      GlobalSecondaryIndexes: [{ KeySchema: [{ AttributeName: "sku", KeyType: "HASH" }] }],
    });
    const preview = look("id,day,sku\n1,2,3\n1,x,3\n1,2,\n,2,3\n", {}, schema);
    expect(outcomes(preview)).toEqual([
      '2 {"id":{"S":"1"},"day":{"N":"2"},"sku":{"S":"3"}}',
      "3 not-a-number",
      '4 {"id":{"S":"1"},"day":{"N":"2"}}',
      "5 missing-key",
    ]);
    expect(preview.columns.map((column) => column.role)).toEqual(["partition", "sort", "index"]);
  });

  it("an item over 400 KB is rejected", () => {
    const big = (bytes: number) => `{"productId":"a","v":"${"x".repeat(bytes)}"}\n`;
    // productId + a + v.
    expect(outcomes(look(big(409_600 - 11)))[0]).toContain('{"productId"');
    expect(outcomes(look(big(409_600 - 10)))).toEqual(["1 item-too-large"]);
  });
});

describe("layouts", () => {
  it.each([
    ['[{"productId":"a"}]', "json"],
    ['{"productId":"a"}\n{"productId":"b"}\n', "jsonl"],
    ['{\n"productId":"a"\n}\n{"productId":"b"}', "json"],
    ['{"Item":{"productId":{"S":"a"}}}\n', "ddb-json"],
    ['[{"productId":{"S":"a"}}]', "json"],
    ["productId;v\na;1\n", "csv"],
    ["productId\tv\na\t1\n", "csv"],
    ["productId|v\na|1\n", "csv"],
    ["productId\na\n", "csv"],
  ])("%s is %s", (text, format) => {
    const preview = look(text);
    expect(preview).toMatchObject({ format, rejected: 0 });
    expect(preview.failure).toBeUndefined();
    expect(outcomes(preview)[0]).toContain('"productId":{"S":"a"}');
  });

  it("rows inside an object are reached by a pointer, which is suggested", () => {
    const text = '{"Count":1,"a/b":[{"productId":"a"}]}';
    expect(look(text).failure?.fix).toContain("/a~1b");
    expect(outcomes(look(text, { rowsAt: "/a~1b" }))).toEqual(['1 {"productId":{"S":"a"}}']);
    expect(look(text, { rowsAt: "/x" }).failure?.problem).toBe('The file has no "x".');
  });

  it.each([
    ["", "The file is empty."],
    ["  \n", "The file is empty."],
    ["a,b\n1,2\n", 'The header has no column "productId".'],
    ["productId,,b\n1,2,3\n", "Column 2 of the header has no name."],
    ["productId,b,b\n1,2,3\n", 'The header names column "b" twice.'],
    ['productId,"b\n1,2\n', "The file ends inside a quoted cell of the row that begins on line 1."],
    ['[{"productId":"a"},', "The file ends inside a value on line 1."],
    ['[{"productId":"a"},\n{"productId":"b",}]', "Line 2 is not valid JSON: a comma after the last element."],
    ['{"productId":"a"}\n{"productId"', "The file ends inside a value on line 2."],
    ['[{"productId":"a"}]\nx', "Line 2 is not valid JSON: a word that is neither true, false nor null."],
    ['[{"productId":"a"}]\n[]\n', "Line 2 is not valid JSON: another JSON value after the array of rows."],
  ])("%j would fail: %s", (text, problem) => {
    expect(look(text).failure?.problem).toBe(problem);
  });

  it("a key column of nearly the right name is pointed at", () => {
    expect(look("Product ID,b\n1,2\n").failure?.fix).toBe(
      'Rename column "Product ID" to "productId": names match exactly.',
    );
  });

  it.each([
    [[0x50, 0x4b, 3, 4], "a zip archive or an Excel workbook"],
    [[...new TextEncoder().encode("PAR1"), 0x15, 0x04], "Parquet"],
    [[...new TextEncoder().encode("%PDF-1.7")], "a PDF"],
  ])("foreign formats are named", async (bytes, what) => {
    const preview = await previewFile(new Blob([new Uint8Array(bytes)]), {}, inventory);
    expect(preview.failure?.problem).toBe(`The file is ${what}, which Intake does not read.`);
  });

  it("a CSV header may begin like a foreign format", async () => {
    const preview = await previewFile(new Blob(["PAR1,productId\n1,a\n"]), {}, inventory);
    expect(preview.failure).toBeUndefined();
  });
});

describe("what is cut off", () => {
  const rows = (count: number) => Array.from({ length: count }, (_, row) => `P${row},${"x".repeat(1000)}`).join("\n");

  it.each(["none", "gzip"])("only whole rows of the beginning count (%s)", async (compression) => {
    const text = `productId,v\n${rows(500)}\n`;
    const file = new Blob([compression === "gzip" ? gzipSync(text) : text]);
    const preview = await previewFile(file, {}, inventory);
    expect(preview).toMatchObject({ compression, rejected: 0, whole: false });
    expect(preview.rows.length).toBe(260);
  });

  it.each(["[", "{"])("JSON that begins with %s", (first) => {
    const row = '{"productId":"a","v":1}';
    const text = first === "[" ? `[${row},\n${row},{"prod` : `${row}\n${row}\n{"prod`;
    const preview = look(text, {}, inventory, false);
    expect(preview.failure).toBeUndefined();
    expect(preview.rows.length).toBe(2);
  });

  it("a cut anywhere in a JSON array rejects nothing", () => {
    const text =
      '[{"productId":"a\\u0041\\ud83d\\ude00","v":[1.5e+10,true,null,{"x":"y"}]} , {"productId":"b","w":-0.5}]';
    for (let cut = 1; cut < text.length; cut++) {
      const preview = look(text.slice(0, cut), {}, inventory, false);
      expect([cut, preview.failure, preview.rejected]).toEqual([cut, undefined, 0]);
      expect(look(text.slice(0, cut)).failure?.fix).toContain("cut off");
    }
  });

  it("at most a thousand rows are looked at", () => {
    const text = `productId\n${Array.from({ length: 1500 }, (_, row) => row).join("\n")}\n`;
    expect(look(text)).toMatchObject({ whole: false, rows: { length: 1000 } });
  });
});

describe("encodings", () => {
  it.each([
    ["utf-16le", [0xff, 0xfe]],
    ["utf-16be", [0xfe, 0xff]],
  ])("%s is read by its mark", async (encoding, mark) => {
    const units = [..."productId\nä\n"].flatMap((character) => {
      const unit = character.charCodeAt(0);
      return encoding === "utf-16le" ? [unit & 255, unit >> 8] : [unit >> 8, unit & 255];
    });
    const preview = await previewFile(new Blob([new Uint8Array([...mark, ...units])]), {}, inventory);
    expect(preview.encoding).toBe(encoding);
    expect(outcomes(preview)).toEqual(['2 {"productId":{"S":"ä"}}']);
  });

  it.each([["productId,n\xe4me\na,1\n", "The header has bytes that are not UTF-8."]])(
    "a header that is no text ends %j",
    async (text, problem) => {
      const preview = await previewFile(new Blob([Buffer.from(text, "latin1")]), {}, inventory);
      expect(preview.failure?.problem).toBe(problem);
      const right = await previewFile(new Blob([Buffer.from(text, "latin1")]), { encoding: "windows-1252" }, inventory);
      expect(right.failure).toBeUndefined();
    },
  );

  it("a byte order mark is no part of the first column's name", async () => {
    const preview = await previewFile(new Blob(["\uFEFFproductId\na\n"]), {}, inventory);
    expect(outcomes(preview)).toEqual(['2 {"productId":{"S":"a"}}']);
  });

  it("a character that the preview cuts in two is not blamed", async () => {
    const preview = await previewFile(new Blob([`productId\n${"ä".repeat(300_000)}`]), {}, undefined);
    expect(preview.rejected).toBe(0);
  });
});
