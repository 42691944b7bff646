import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { previewFile } from "../src/preview/preview";
import { isReason } from "../src/preview/reason";
import type { Schema } from "../src/preview/schema";

// The preview and the importer, the program INTAKE_BIN, must say the same of any small file. `npm run agree` is this alone;
// `make browser`, and so CI, runs it.
const program = process.env.INTAKE_BIN;
if (program === undefined) throw new Error("set INTAKE_BIN to the program `intake`, or run `make browser`");
const FILES = Number(process.env.INTAKE_AGREE_FILES ?? 300);

const SAMPLES = [
  "inventory.csv",
  "inventory.json",
  "inventory.jsonl",
  "inventory.ddb.jsonl",
  "bad-rows.csv",
  "bad-rows.jsonl",
];
const TEXTS = [
  '{"Items":[{"productId":{"S":"a"},"n":{"N":"1"}},{"productId":{"S":"b"}}],"Count":2}',
  '{\n "productId": "a",\n "v": [1,2,{"x":"\\u00e9"}]\n}\n{\n "productId": "b"}\n',
  'productId;name;x\r\na;"b;c";1\r\nb;"x""y";2e5\r\n;;\r\n',
  "productId\tv\na\t-0\nb\t1E400\nc\t0.10\n",
  '[{"productId":"a","s":{"SS":["x"]}},{"productId":"b","m":{"M":{"a":{"N":"1"}}}}]',
  '[[1],2,"x",null,{"productId":"z"}]',
  '{"Item":{"productId":{"S":"q"},"x":{"NULL":true},"y":{"NULL":false}}}\n{"Item":{}}\n{"item":1}\n',
  'productId,a\n"x\ny",1\n"z"w,2\n"open,3\n',
  '{"productId":"a"}{"productId":"b"}\n{"productId":"c"} {"productId":7}\r{"productId":"d"}',
  '{"productId":"a"}\n{"productId":"b"}{"productId":"c"}\r\n\uFEFF{"productId":"d"}\n\x1A',
  '{\n"productId":"a"}\n\uFEFF{"productId":"b"} "x" 7 [1,{}] {"n":1}\n',
  'sep=;\r\n productId ;v;;\r\na;1\r\n;;\r\nb;2;;;\r\nproductId;v\r\n\uFEFFc;"3"\r\nd;4;;x\r\n\x1A',
  '{"a":{"b":[{"x":[{"y":1}]},{"x":2}]},"c":[{"productId":"a"},{"productId":"b"}]}',
  '{"a":{"name":"x"},"b":{"name":"y"}}',
  '[{"productId":"a"},\n{"productId":"b",},{"productId":NaN},,{"productId":"c" "v":1},{"productId":"d"},]',
  '{"t":[{"PutRequest":{"Item":{"productId":{"S":"a"}}}},{"PutRequest":{"Item":{"productId":{"S":"b"},"n":{"N":"1"}}}}]}',
  '{"PutRequest":{"Item":{"productId":{"S":"a"}}}}\n{"PutRequest":{"Item":{"productId":{"S":"b"}}}}\n',
];
const BITS = [
  '"',
  ",",
  "\n",
  "{",
  "}",
  "[",
  "]",
  ":",
  "\\",
  ";",
  "\t",
  "\r\n",
  "1",
  "e",
  ".",
  "-",
  "0",
  "null",
  "true",
  " ",
].concat([
  '"productId":',
  "\\u12",
  "\\ud800",
  '{"S":"x"}',
  "é",
  "😀",
  '""',
  "\0",
  "\x1f",
  "Item",
  "1e999",
  "1".repeat(39),
  "\uFEFF",
  "\x1A",
  "\0".repeat(9),
  "\u00A0",
  "{}",
  ",,",
  "\r",
]);

describe("the preview and the importer agree", () => {
  it(`on ${FILES} damaged files`, { timeout: 600_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "agree-"));
    const random = generator(Number(process.env.INTAKE_AGREE_SEED ?? 1));
    const bases = [
      ...SAMPLES.map((name) => readFileSync(new URL(`../../samples/${name}`, import.meta.url))),
      ...TEXTS.map((text) => Buffer.from(text)),
    ];
    for (let file = 0; file < FILES; file++) {
      const content = damaged(bases[random(bases.length)] as Buffer, random);
      // A part of a byte order mark between values is passed by the importer; to a browser it is bytes like any other.
      if (/[\xEF\xBB\xBF]/.test(content.toString("latin1").replaceAll("\xEF\xBB\xBF", ""))) continue;
      expect(await ofPreview(content), content.toString("latin1")).toEqual(ofImporter(content, folder));
    }
    rmSync(folder, { recursive: true });
  });
});

/** Pseudo-random numbers below a limit, the same for the same seed. */
function generator(seed: number): (limit: number) => number {
  let state = seed;
  return (limit) => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return Math.floor(state / 65536) % limit;
  };
}

function damaged(base: Buffer, random: (limit: number) => number): Buffer {
  let bytes = base;
  for (let change = random(4); change >= 0; change--) {
    const at = random(bytes.length + 1);
    const [before, after] = [bytes.subarray(0, at), bytes.subarray(at)];
    const pieces = [
      () => [before, Buffer.from(BITS[random(BITS.length)] as string), after],
      () => [before, after.subarray(1 + random(4))],
      () => [before],
      () => [before, after.subarray(0, random(60)), after],
      () => [before, Buffer.from([random(256)]), after.subarray(1)],
    ];
    bytes = Buffer.concat((pieces[random(pieces.length)] as () => Buffer[])());
  }
  // Half a character at the very end is where both guess, and not the same.
  return (bytes.at(-1) ?? 0) < 0x80 ? bytes : Buffer.concat([bytes, Buffer.from("\n")]);
}

interface Verdict {
  failed: boolean;
  /** Line, row and reason of each row that is rejected. */
  rejects: string[];
}

async function ofPreview(content: Buffer): Promise<Verdict> {
  const schema: Schema = { table: "t", key: [{ name: "productId", type: "S", limitBytes: 2048 }], indexKeys: [] };
  const preview = await previewFile(new Blob([new Uint8Array(content)]), {}, schema);
  const rejects = preview.rows.map(({ line, record, outcome }) =>
    isReason(outcome) ? `${line} ${record} ${outcome.code}` : "",
  );
  return { failed: preview.failure !== undefined, rejects: rejects.filter((reject) => reject !== "") };
}

function ofImporter(content: Buffer, folder: string): Verdict {
  const [path, report] = [join(folder, "in"), join(folder, "rejects")];
  writeFileSync(path, content);
  rmSync(report, { force: true });
  const { status, error } = spawnSync(program as string, ["validate", "--quiet", "--rejects", report, path]);
  if (error) throw error;
  const lines = existsSync(report) ? readFileSync(report, "utf8").split("\n").filter(Boolean) : [];
  const rejects = lines.map((line) => {
    const { line: number, record, reason } = JSON.parse(line) as { line: number; record: number; reason: string };
    return `${number} ${record} ${reason}`;
  });
  return { failed: status !== 0 && status !== 3, rejects };
}
