import { csvRecords } from "./csv";
import { detect, type Format, formatOf, type Layout, type ReadOptions } from "./detect";
import { type Compression, type Head, readHead } from "./head";
import { type Item, ItemBuilder, type Typing, typeOf } from "./item";
import { type Json, JsonParser, JsonProblem } from "./json";
import { COLUMNS_MAX } from "./limits";
import { isReason, problem, type Reason, type Unusable } from "./reason";
import type { DeclaredType, Schema } from "./schema";

/** A row of the file, and what would become of it. */
export interface PreviewRow {
  /** Line it begins on, from 1. */
  line: number;
  /** Its number, from 1; a CSV header is no row. */
  record: number;
  /** The row as it stands in the file. */
  text: string;
  /** The item, or why there would be none. */
  outcome: Item | Reason;
}

/** What is known of one attribute from the rows seen. */
export interface Column {
  name: string;
  /** DynamoDB types in the rows seen, the most frequent first. */
  types: string[];
  /** Rows seen that have it. */
  rows: number;
  /** What it is to the table. */
  role: "partition" | "sort" | "index" | undefined;
}

/** What can be told of a file before it is uploaded. */
export interface Preview {
  compression: Compression;
  format?: Format;
  encoding?: string;
  delimiter?: string;
  columns: Column[];
  /** The rows seen, in the file's order. */
  rows: PreviewRow[];
  /** How many of them would be rejected. */
  rejected: number;
  /** Whether these are all rows of the file. */
  whole: boolean;
  /** The CSV header as it stands in the file, for those who want to send some of its rows again. */
  header?: string;
  /** Why the import would fail, if it would. */
  failure?: Unusable;
}

/** Characters by which the format is recognised. */
const DETECT_CHARACTERS = 64 * 1024;
/** What bytes that are no text become. */
const NO_TEXT = "\uFFFD";
/** Rows that are looked at: enough to see what a file is. */
export const ROWS_MAX = 1000;

/** Looks at the beginning of a file as the importer would. */
export async function previewFile(file: Blob, options: ReadOptions, schema: Schema | undefined): Promise<Preview> {
  const head = await readHead(file, options);
  if ("problem" in head) {
    return { compression: "none", columns: [], rows: [], rejected: 0, whole: false, failure: head };
  }
  return previewText(head, options, schema);
}

/** The same for text that was read. */
export function previewText(head: Head, options: ReadOptions, schema: Schema | undefined, rowsMax = ROWS_MAX): Preview {
  const preview: Preview = {
    compression: head.compression,
    encoding: head.encoding,
    columns: [],
    rows: [],
    rejected: 0,
    whole: head.whole,
  };
  // Where bytes are no text, JSON is broken.
  const start = head.text.slice(0, DETECT_CHARACTERS);
  const layout = detect(head.valid ? start : start.replaceAll(NO_TEXT, "\0"), head.whole, options, schema);
  if ("problem" in layout) {
    preview.failure = layout;
    return preview;
  }
  preview.format = formatOf(layout);
  const rows = rowsOf(layout, head, options.types ?? new Map(), schema, preview);
  for (const row of rows) {
    if (preview.rows.length === rowsMax) {
      preview.whole = false;
      break;
    }
    if (isNoText(row.text, head)) row.outcome = notText(head.encoding);
    preview.rows.push(row);
    if (isReason(row.outcome)) preview.rejected++;
  }
  preview.columns = columnsOf(preview, schema);
  return preview;
}

type Context = [head: Head, types: Map<string, DeclaredType>, schema: Schema | undefined, preview: Preview];

function* rowsOf(layout: Layout, ...context: Context): Generator<PreviewRow> {
  switch (layout.kind) {
    case "csv":
      yield* csvRows(layout.delimiter, ...context);
      break;
    case "lines":
      yield* lineRows(layout.typing, ...context);
      break;
    case "sequence":
      yield* jsonRows(layout.typing, undefined, ...context);
      break;
    case "array":
      yield* jsonRows(layout.typing, layout.pointer, ...context);
  }
}

function* csvRows(delimiter: string, ...[head, types, schema, preview]: Context): Generator<PreviewRow> {
  preview.delimiter = delimiter;
  const builder = new ItemBuilder(schema, types);
  let columns: string[] | undefined;
  let record = 0;
  for (const found of csvRecords(head.text, delimiter)) {
    if (found.cut !== "no" && !head.whole) {
      if (!columns) preview.failure = { problem: "The header is longer than 256 KiB.", fix: headerFix(delimiter) };
      return;
    }
    if (found.cut === "inside-quotes") {
      preview.failure = {
        problem: `The file ends inside a quoted cell of the row that begins on line ${found.line}.`,
        fix: "The file is cut off, or a quote that opens a cell is never closed.",
      };
      return;
    }
    if (!columns) {
      columns = found.cells;
      preview.header = found.text;
      const failure = isNoText(found.text, head)
        ? { problem: `The header has bytes that are not ${head.encoding.toUpperCase()}.`, fix: NO_TEXT_FIX }
        : checkHeader(columns, found.textAfterQuote, delimiter, types, schema);
      if (failure) {
        preview.failure = failure;
        preview.columns = [];
        return;
      }
      preview.columns = columns.map((name) => ({ name, types: [], rows: 0, role: undefined }));
      continue;
    }
    record++;
    yield { line: found.line, record, text: found.text, outcome: csvOutcome(found, columns, builder) };
  }
}

function csvOutcome(
  record: { cells: string[]; textAfterQuote: boolean },
  columns: string[],
  builder: ItemBuilder,
): Item | Reason {
  if (record.textAfterQuote) {
    return problem(
      "text-after-quote",
      "text follows the closing quote of a cell; write a quote inside a cell twice, and look for a quote that is " +
        "never closed before it: it swallows rows",
    );
  }
  if (record.cells.length !== columns.length) {
    return problem(
      "ragged-row",
      `the row has ${record.cells.length} cells, the header ${columns.length}; quote a cell that holds the delimiter`,
    );
  }
  return builder.ofCells(columns, record.cells);
}

function headerFix(delimiter: string): string {
  const name = delimiter === "\t" ? "a tab" : `"${delimiter}"`;
  return `Begin the file with a line that names the columns, or set the right delimiter under Options: it is ${name} now.`;
}

function checkHeader(
  columns: string[],
  textAfterQuote: boolean,
  delimiter: string,
  types: Map<string, DeclaredType>,
  schema: Schema | undefined,
): Unusable | undefined {
  if (textAfterQuote) {
    return {
      problem: "Text follows the closing quote of a name in the header.",
      fix: "Close every quote of the header; write a quote inside a name twice.",
    };
  }
  if (columns.length > COLUMNS_MAX) {
    return {
      problem: `The header has ${columns.length} columns; Intake reads ${COLUMNS_MAX} at most.`,
      fix: headerFix(delimiter),
    };
  }
  const unnamed = columns.indexOf("");
  if (unnamed >= 0) {
    return {
      problem: `Column ${unnamed + 1} of the header has no name.`,
      fix: "Name every column in the first line; a delimiter at its end makes a column, too.",
    };
  }
  const seen = new Set<string>();
  for (const name of columns) {
    if (seen.has(name)) {
      return {
        problem: `The header names column "${name}" twice.`,
        fix: "Rename or remove one of the two: an item has each attribute once.",
      };
    }
    seen.add(name);
  }
  for (const name of [...(schema?.key ?? []).map((key) => key.name), ...types.keys()]) {
    if (seen.has(name)) continue;
    const squeeze = (text: string) => text.toLowerCase().replace(/[ _-]/g, "");
    const similar = columns.find((other) => squeeze(other) === squeeze(name));
    return {
      problem: `The header has no column "${name}".`,
      fix:
        similar === undefined
          ? `Name a column "${name}" in the first line, or set the right delimiter under Options. The header has: ${columns.slice(0, 20).join(", ")}`
          : `Rename column "${similar}" to "${name}": names match exactly.`,
    };
  }
  return undefined;
}

function* lineRows(typing: Typing, ...[head, types, schema, preview]: Context): Generator<PreviewRow> {
  const builder = new ItemBuilder(schema, types);
  const lines = head.text.split("\n");
  let record = 0;
  for (const [index, lineText] of lines.entries()) {
    const last = index === lines.length - 1;
    if (last && !head.whole) return;
    const text = lineText.replace(/\r$/, "");
    if (text.trim() === "") continue;
    record++;
    const parser = new JsonParser(text);
    let outcome: Item | Reason;
    // A last character that is none may only be cut off, like the line.
    if (isNoText(last ? text.slice(0, -1) : text, head)) {
      yield { line: index + 1, record, text, outcome: notText(head.encoding) };
      continue;
    }
    try {
      const value = parser.value();
      outcome = parser.peek() === "" ? builder.ofJson(value, typing) : brokenLine("a second JSON value", parser.at);
    } catch (error) {
      if (!(error instanceof JsonProblem)) throw error;
      if (error.incomplete && last) {
        preview.failure = cutOff(index + 1);
        return;
      }
      outcome = brokenLine(error.incomplete ? "the line ends inside a value" : error.problem, error.at);
    }
    yield { line: index + 1, record, text, outcome };
  }
}

function brokenLine(what: string, at: number): Reason {
  return problem("broken-line", `the line is not valid JSON: ${what} at column ${at + 1}`);
}

function cutOff(line: number): Unusable {
  return { problem: `The file ends inside a value on line ${line}.`, fix: "The file is cut off: get it again." };
}

function* jsonRows(
  typing: Typing,
  pointer: string[] | undefined,
  ...[head, types, schema, preview]: Context
): Generator<PreviewRow> {
  const builder = new ItemBuilder(schema, types);
  const parser = new JsonParser(head.text);
  const lineAt = lineCounter(head.text);
  let record = 0;
  try {
    if (pointer) {
      const found = enter(parser, pointer);
      if (found) {
        preview.failure = found;
        return;
      }
      if (parser.take("]")) {
        leave(parser, pointer);
        return;
      }
    }
    for (;;) {
      if (parser.peek() === "") {
        if (pointer) parser.fail("");
        return;
      }
      const begin = parser.at;
      const value = parser.value();
      record++;
      const text = head.text.slice(begin, parser.at);
      yield { line: lineAt(begin), record, text, outcome: builder.ofJson(value, typing) };
      if (!pointer) continue;
      if (parser.take("]")) {
        leave(parser, pointer);
        return;
      }
      if (!parser.take(",")) parser.fail("a missing comma");
      if (parser.peek() === "]") parser.fail("a comma after the last element");
    }
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    if (error.incomplete && !head.whole) return;
    const line = lineAt(error.at);
    preview.failure = error.incomplete
      ? cutOff(line)
      : {
          problem: `Line ${line} is not valid JSON: ${error.problem}.`,
          fix: "Correct it there. What stands before it would be imported, and the import fail.",
        };
  }
}

/** Goes into the array that `pointer` names. */
function enter(parser: JsonParser, pointer: string[]): Unusable | undefined {
  const fix = "Set the JSON pointer of the array of rows under Options, for example /Items.";
  for (const name of pointer) {
    if (!parser.take("{")) return { problem: `There is no "${name}" where the pointer leads to.`, fix };
    for (;;) {
      if (parser.peek() === "}") return { problem: `The file has no "${name}".`, fix };
      const member: Json = parser.value();
      if (!parser.take(":")) parser.fail("a missing colon after a name");
      if (member.kind === "string" && member.value === name) break;
      parser.value();
      if (parser.peek() !== "}" && !parser.take(",")) parser.fail("a missing comma");
    }
  }
  return parser.take("[") ? undefined : { problem: "The rows must be in a JSON array.", fix };
}

/** Goes out of the array again: what follows it must be JSON, and no second value. */
function leave(parser: JsonParser, pointer: string[]): void {
  for (const _ of pointer) {
    while (!parser.take("}")) {
      if (!parser.take(",")) parser.fail("a missing comma");
      parser.value();
      if (!parser.take(":")) parser.fail("a missing colon after a name");
      parser.value();
    }
  }
  if (parser.peek() === "") return;
  parser.value();
  parser.fail("another JSON value after the array of rows");
}

/** Counts lines up to places that come one after the other. */
function lineCounter(text: string): (at: number) => number {
  let counted = 0;
  let line = 1;
  return (at) => {
    for (; counted < at; counted++) {
      const character = text[counted];
      if (character === "\n" || (character === "\r" && text[counted + 1] !== "\n")) line++;
    }
    return line;
  };
}

const NO_TEXT_FIX = "Set the file's encoding under Options, for example windows-1252.";

/** Whether some bytes of a row were no text. It may have that character rightly, but hardly in a file that has such bytes. */
function isNoText(text: string, head: Head): boolean {
  return !head.valid && text.includes(NO_TEXT);
}

function notText(encoding: string): Reason {
  return problem(
    "not-text",
    `the row has bytes that are not ${encoding.toUpperCase()}; set the file's encoding under Options, for example windows-1252`,
  );
}

function columnsOf(preview: Preview, schema: Schema | undefined): Column[] {
  const columns = new Map(preview.columns.map((column) => [column.name, { column, types: new Map<string, number>() }]));
  for (const row of preview.rows) {
    if (isReason(row.outcome)) continue;
    for (const [name, value] of row.outcome) {
      let known = columns.get(name);
      if (!known) {
        known = { column: { name, types: [], rows: 0, role: undefined }, types: new Map() };
        columns.set(name, known);
      }
      known.column.rows++;
      known.types.set(typeOf(value), (known.types.get(typeOf(value)) ?? 0) + 1);
    }
  }
  return Array.from(columns.values(), ({ column, types }) => ({
    ...column,
    types: Array.from(types)
      .sort((a, b) => b[1] - a[1])
      .map(([type]) => type),
    role: roleOf(column.name, schema),
  }));
}

function roleOf(name: string, schema: Schema | undefined): Column["role"] {
  const index = schema?.key.findIndex((key) => key.name === name) ?? -1;
  if (index >= 0) return index === 0 ? "partition" : "sort";
  return schema?.indexKeys.some((key) => key.name === name) ? "index" : undefined;
}
