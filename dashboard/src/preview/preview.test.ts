import { readFileSync } from "node:fs";
import { deflateSync, gzipSync } from "node:zlib";
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
    [
      '[{"productId":"a"},\n{"productId":b"}]',
      "Line 2 is not valid JSON: a word that is neither true, false nor null.",
    ],
    ['{"productId":"a"}\n{"productId"', "The file ends inside a value on line 2."],
    ['[{"productId":"a"}]\nx', "Line 2 is not valid JSON: text that is not JSON."],
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

const o = (id: string | number) => `{"productId":${JSON.stringify(id)}}`;
const put = (id: string) => `{"PutRequest":{"Item":{"productId":{"S":"${id}"}}}}`;
const header = "productId,v";

// The cases of rows/tests/decode/{json_cut,joined,kinds}.rs: `line code` of each row, and how the failure begins.
describe("rows of files that are not quite right", () => {
  it.each<[file: string | Uint8Array, rows: string, failure?: string | undefined, options?: ReadOptions]>([
    // A broken row costs itself.
    ...["", '{"v":NaN}', '{"v":1 "w":2}', '{"v":[1,,2]}', "{v:1}", "7 8"].map((element): [string, string] => [
      `[${o("a")},\n${element},\n${o("b")}]`,
      "1|2 broken-json|3",
    ]),
    [`[${o("a")},]`, "1|1 broken-json"],
    ["[]", ""],
    [`[${o("a")}\n,]`, "1|2 broken-json"],
    [`{\n"productId":"a"}\n{"v":x}\n${o("b")}`, "1|3 broken-json|4"],
    // Where a quote, a bracket or a comma is lost, the file ends.
    [`[${o("a")},\n{"productId":"b,"n":"}, {"},${o("c")}]`, "1", "Line 2 is not valid JSON"],
    [`[${o("a")},\n${o("b")}\n${o("c")}]`, "1", "Line 3 is not valid JSON: a missing comma"],
    [`[${o("a")},{"v":[1}]`, "1", "Line 1 is not valid JSON"],
    [`[${o("a")},${o("b")}},${o("c")}]`, "1", "Line 1 is not valid JSON: a closing bracket"],
    [`[${o("a")},${o("b")}`, "1|1", "The file ends inside a value"],
    [`[${o("a")}] null`, "1", "Line 1 is not valid JSON: another JSON value"],
    // Objects one after the other.
    ...["", " ", "\t", "\r", "\n", "\r\n", "\n\n"].flatMap((between): [string, string, undefined, ReadOptions][] => {
      const file = ["a", "b", "c"].map(o).join(between);
      const lines = (breaks: number) => `1|${1 + breaks}|${1 + 2 * breaks}`;
      return [
        [file, lines(between.match(/\r\n|\r|\n/g)?.length ?? 0), undefined, {}],
        [file, lines(between.match(/\n/g)?.length ?? 0), undefined, { format: "jsonl" }],
      ];
    }),
    [`${o("a")},${o("b")}\n`, "1 broken-line"],
    [`${o("a")}${o("b")},${o("c")}`, "1|1", "Line 1 is not valid JSON"],
    [`${o("a")}\n${o("b")}${o("c")}\n\n${o(7)} ${o("d")} \r\n${o("e")}`, "1|2|2|4 key-type|4|5"],
    [`${o("a")}\n${o("b")}{"productId":}\n${o("c")}\n`, "1|2 broken-line|3"],
    // Byte order marks, and headers that come again.
    [`${o("a")}\n\uFEFF${o("b")}\n\uFEFF\n\uFEFF${o("c")}${o("d")}`, "1|2|4|4"],
    [`{\n"productId":"a"}\uFEFF${o("b")}\n\uFEFF\n${o("c")}\uFEFF ${o("d")}\uFEFF`, "1|2|3|4"],
    ['productId\na\n\uFEFFb\nc\n\uFEFF"d"', "2|3|4|5"],
    [`${header}\na,1\n\uFEFF"productId",v\nproductId,2\n`, "2|3 repeated-header|4"],
    // Requests to put items, and pointers.
    [`{"InventoryTable":[${put("a")},\n${put("b")}]}`, "1|2"],
    [`[${put("a")},{"DeleteRequest":{"Key":{}}}]`, "1|1 not-dynamodb-json"],
    [`${put("a")}\n${put("b")}\n`, "1|2"],
    [`{"D":[{"T":[${o("a")}],"x":[]},{"y":1}]}`, "1", undefined, { rowsAt: "/D/0/T" }],
    [`{"D":[{"T":[${o("a")}]}]}`, "", 'The file has no "2"', { rowsAt: "/D/2/T" }],
    [
      `{"a":{"b":[{"x":1},{"x":2}]},"c":[${o("a")}]}`,
      "",
      'The file is one JSON object whose rows are in an array under "c"',
    ],
    [`{"data":{"products":[${`${o("a")},`.repeat(9000)}${o("b")}]}}`, "", "The file is one JSON object whose rows"],
    ['{"a":{"name":"x"},"b":{"name":"y"}}', "", "The file is one JSON object of objects"],
    // CSV as spreadsheets save it.
    ["sep=;\r\nproductId;v\r\na;1\r\n", "3"],
    ["\u00A0productId , v\u200B,, \na,1\n", "2"],
    [`${header},,\na,1\nb,2,\nc,3,,,,\r\nd,4,,x\ne\nf,6,""`, "2|3|4|5 ragged-row|6 ragged-row|7"],
    [`,,\n\n${header}\n,\na,1\n,,,\r\n,\r,\nb,2\n,""\n,x\n,,\n,`, "5|9|10 missing-key|11 missing-key"],
    ["productId,,v\na,1,2\n", "", "Column 2 of the header has no name"],
    [",,\n", "", "The file has no header"],
    // Ctrl-Z ends a file of DOS; zeros are an end that was lost.
    ...["productId\na\n", `${o("a")}\n`, `[${o("a")}]`].flatMap((file): [string, string, string?][] => {
      const row = file.startsWith("p") ? "2" : "1";
      return [
        [`${file}\x1A`, row],
        [file + "\0".repeat(4096), row, file.startsWith("[") ? "Line 1 is not valid JSON" : "The file ends in zeros"],
      ];
    }),
    // Files of other kinds.
    [`${"x".repeat(257)}ustar\0`, "", "The file is a tar archive"],
    ["<!DOCTYPE html>\n<html>", "", "The file is a page of HTML"],
    ['<?xml version="1.0"?>\n<Error><Code>x', "", "The file is an error of S3 in XML"],
    ['<?xml version="1.0"?><products/>', "", "The file is XML"],
    ["--x\r\nContent-Disposition: form-data\r\n\r\n", "", "The file is the body of a multipart form"],
    [`// a catalog\n[${o("a")}]`, "", "The file is JSON with comments"],
    [`app.cb( ${o("a")} )`, "", "The file is JSONP"],
    [Buffer.from("productId,v\na,1\n", "utf16le"), "", "The file is UTF-16 without a byte order mark"],
    [Buffer.from("productId,v\na,1\n", "utf16le"), "2", undefined, { encoding: "utf-16le" }],
    ...["productId,f(x)", "--,productId", "x^2,productId", "productId,<html>", "fn(,productId"].map(
      (first): [string, string] => [`${first}\n`, ""],
    ),
    // Compression in layers.
    [gzipSync(gzipSync("productId\na\n")), "2"],
    [deflateSync("productId\na\n"), "2"],
    [gzipSync(deflateSync(gzipSync("productId\na\n"))), "2"],
    [gzipSync(gzipSync(gzipSync(gzipSync("productId\na\n")))), "", "The file is gzip in gzip"],
  ])("%j", async (file, rows, failure = "", options = {}) => {
    const preview = await previewFile(
      new Blob([typeof file === "string" ? file : new Uint8Array(file)]),
      options,
      inventory,
    );
    const found = [codes(preview).join("|"), preview.failure?.problem.slice(0, failure.length)];
    expect(found).toEqual([rows, failure === "" ? preview.failure?.problem && "no failure" : failure]);
  });

  it("looks at padded gzip, and does not tell of its end", async () => {
    const file = new Blob([new Uint8Array(gzipSync("productId\na\nb\n")), new Uint8Array(5000)]);
    const preview = await previewFile(file, {}, inventory);
    expect([preview.rejected, preview.failure?.fix ?? "Upload it as it is"]).toEqual([
      0,
      expect.stringContaining("as it is"),
    ]);
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

  it("a lost quote is told of, wherever the row ends", () => {
    const row = '{"productId":"a"}';
    const lost = '{"productId":"b,"v":"';
    for (const text of [`[${row},\n${lost}`, `${row} ${row}\n${lost}`]) {
      expect(look(text, {}, inventory, false).failure?.problem).toContain("Line 2 is not valid JSON");
    }
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
