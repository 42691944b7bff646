import { type CsvRecord, csvRecords, isSeparatorLine, trimName, withoutBlanks } from "./csv";
import {
  arrayIndex,
  detect,
  type Format,
  findWrapped,
  formatOf,
  type Layout,
  type ReadOptions,
  wrappedError,
} from "./detect";
import { elementEnd, isBlank, soundness, valueAt } from "./frame";
import { type Compression, type Head, readHead } from "./head";
import { type Item, ItemBuilder, type Typing, typeOf } from "./item";
import { type Json, JsonParser, JsonProblem } from "./json";
import { COLUMNS_MAX, utf8Bytes } from "./limits";
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
    if (row.record === 1 && layout.kind !== "csv" && layout.kind !== "array") {
      const failure = wrapperOf(row, schema);
      if (failure) {
        preview.failure = failure;
        break;
      }
    }
    preview.rows.push(row);
    if (isReason(row.outcome)) preview.rejected++;
  }
  preview.columns = columnsOf(preview, schema);
  return preview;
}

/** Where the rows are if the first one is around them, and too long to be seen as such from its beginning. */
function wrapperOf({ outcome, text }: PreviewRow, schema: Schema | undefined): Unusable | undefined {
  if (!isReason(outcome) || outcome.code !== "missing-key" || utf8Bytes(text) < DETECT_CHARACTERS) return undefined;
  const wrapped = findWrapped(text, schema);
  return wrapped && wrappedError(wrapped);
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
      yield* sequenceRows(layout.typing, ...context);
      break;
    case "array":
      yield* arrayRows(layout.typing, layout.pointer, ...context);
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
    // What ended files of text under DOS.
    if (columns && found.cut !== "no" && found.text === DOS_END) return;
    if (columns && found.cut !== "no" && isLostTail(found.text)) {
      preview.failure = lostTail(found.line);
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
      // Excel's line that names the delimiter. The header is behind it.
      if (isSeparatorLine(found.text)) continue;
      columns = found.cells.map(trimName);
      // Spreadsheets save columns that were used once.
      while (columns.length > 1 && columns.at(-1) === "") columns.pop();
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
    const marked = withoutMark(found, delimiter);
    const [cleaned] = csvRecords(withoutBlanks(marked.text, delimiter) ?? "", delimiter);
    const read = cleaned ?? marked;
    const rounded = columns.find((name, at) => isTextKey(name, types, schema) && isRounded(read.cells[at] ?? ""));
    const outcome = csvOutcome(read, columns, builder, rounded);
    yield { line: found.line, record, text: found.text, outcome };
  }
  if (!columns && head.whole) {
    preview.failure = { problem: "The file has no header.", fix: headerFix(delimiter) };
  }
}

/** A record without the byte order mark that it has where files were joined, if the rest is one record. */
function withoutMark(record: CsvRecord, delimiter: string): CsvRecord {
  if (!record.text.startsWith("\uFEFF")) return record;
  const [rest] = csvRecords(record.text.slice(1), delimiter);
  return rest && rest.cut === "unterminated" && rest.text.length === record.text.length - 1 ? rest : record;
}

/** Whether a column is a key of text because the table says so, and nothing else. */
function isTextKey(name: string, types: Map<string, DeclaredType>, schema: Schema | undefined): boolean {
  if (types.has(name)) return false;
  const keys = [...(schema?.key ?? []), ...(schema?.indexKeys ?? [])];
  return keys.find((key) => key.name === name)?.type === "S";
}

/** Whether a cell is a number as spreadsheets write long ones. */
function isRounded(cell: string): boolean {
  return /^\d(?:\.\d+)?E\+\d+$/.test(cell);
}

function csvOutcome(
  record: CsvRecord,
  columns: string[],
  builder: ItemBuilder,
  rounded: string | undefined,
): Item | Reason {
  if (record.textAfterQuote) {
    return problem(
      "text-after-quote",
      "text follows the closing quote of a cell; write a quote inside a cell twice, and look for a quote that is " +
        "never closed before it: it swallows rows",
    );
  }
  // Empty cells behind the columns are none.
  if (record.cells.length < columns.length || record.cells.slice(columns.length).some((cell) => cell !== "")) {
    return problem(
      "ragged-row",
      `the row has ${record.cells.length} cells, the header ${columns.length}; quote a cell that holds the delimiter`,
    );
  }
  if (columns.every((name, at) => name === trimName(record.cells[at] ?? ""))) {
    return problem("repeated-header", "the row is the header again: files were joined here");
  }
  const item = builder.ofCells(columns, record.cells);
  if (rounded === undefined) return item;
  return problem(
    "rounded-key",
    `key attribute "${rounded}" is a number that a spreadsheet has shortened, so that different keys look the same; ` +
      "save the column as text, or declare its type if the keys are such",
  );
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
    const line = index + 1;
    const text = lineText.replace(/\r$/, "");
    if (last && (!head.whole || text === DOS_END)) return;
    if (last && isLostTail(text)) {
      preview.failure = lostTail(line);
      return;
    }
    // Files that were joined have marks between them.
    const content = text.replace(/^\uFEFF/, "");
    if (/^[ \t\r\n\f]*$/.test(content)) continue;
    // A last character that is none may only be cut off, like the line.
    if (isNoText(last ? content.slice(0, -1) : content, head)) {
      yield { line, record: ++record, text, outcome: notText(head.encoding) };
      continue;
    }
    const parser = new JsonParser(content);
    try {
      const value = parser.value();
      if (parser.peek() === "") {
        yield { line, record: ++record, text, outcome: builder.ofJson(value, typing) };
        continue;
      }
      const several = objectsOf(content);
      for (const [part, object] of several) {
        yield { line, record: ++record, text: part, outcome: builder.ofJson(object, typing) };
      }
      if (several.length > 0) continue;
      yield { line, record: ++record, text, outcome: brokenLine("text after the JSON value", parser.at) };
    } catch (error) {
      if (!(error instanceof JsonProblem)) throw error;
      if (error.incomplete && last) {
        preview.failure = cutOff(line);
        return;
      }
      const what = error.incomplete ? "the line ends inside a value" : error.problem;
      yield { line, record: ++record, text, outcome: brokenLine(what, error.at) };
    }
  }
}

/** The objects of a text that has nothing else, with the text of each; else none. */
function objectsOf(text: string): [string, Json][] {
  const parser = new JsonParser(text);
  const objects: [string, Json][] = [];
  try {
    while (parser.peek() === "{") {
      const begin = parser.at;
      const object = parser.value();
      objects.push([text.slice(begin, parser.at), object]);
    }
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    return [];
  }
  return parser.peek() === "" ? objects : [];
}

function brokenLine(what: string, at: number): Reason {
  return problem("broken-line", `the line is not valid JSON: ${what} at column ${at + 1}`);
}

function cutOff(line: number): Unusable {
  return { problem: `The file ends inside a value on line ${line}.`, fix: CUT_OFF_FIX };
}

const CUT_OFF_FIX = "The file is cut off: get it again.";
const DOS_END = "\x1A";

/** Whether a file's last line is zeros, in place of text that was never written. */
function isLostTail(text: string): boolean {
  return /^\0+$/.test(text);
}

function lostTail(line: number): Unusable {
  return { problem: `The file ends in zeros on line ${line}: its end was lost.`, fix: CUT_OFF_FIX };
}

/** What is in JSON that was cut off or is so broken that it is unknown where the next row begins. */
function brokenFile(error: unknown, head: Head, lineAt: (at: number) => number): Unusable | undefined {
  if (!(error instanceof JsonProblem)) throw error;
  if (error.incomplete) return head.whole ? cutOff(lineAt(error.at)) : undefined;
  return {
    problem: `Line ${lineAt(error.at)} is not valid JSON: ${error.problem}.`,
    fix: "Correct it there. What stands before it would be imported, and the import fail.",
  };
}

/** Reads the text of one row that begins at `at`. A row that is broken costs only itself if it is certain where it ends. */
function jsonOutcome(
  text: string,
  at: number,
  read: (value: Json) => Item | Reason,
  head: Head,
  lineAt: (at: number) => number,
): Item | Reason {
  const isText = !isNoText(text, head);
  const parser = new JsonParser(text);
  try {
    if (isText) {
      const value = parser.value();
      if (parser.peek() === "") return read(value);
    } else {
      parser.at = text.indexOf(NO_TEXT);
    }
    return parser.fail(isText ? "a missing comma" : `bytes that are not ${head.encoding.toUpperCase()}`);
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    const place = at + error.at;
    if (soundness(text) !== "sound") {
      const isCutOff = error.incomplete && /^[ \t\r\n]*$/.test(head.text.slice(place));
      throw new JsonProblem(error.problem, place, isCutOff);
    }
    if (!isText) return notText(head.encoding);
    return brokenRow(error.incomplete ? "the row ends inside a value" : error.problem, lineAt(place));
  }
}

function brokenRow(what: string, line: number): Reason {
  return problem("broken-json", `the row is not valid JSON: ${what} at line ${line}`);
}

/** Values one after the other. */
function* sequenceRows(typing: Typing, ...[head, types, schema, preview]: Context): Generator<PreviewRow> {
  const builder = new ItemBuilder(schema, types);
  const lineAt = lineCounter(head.text);
  let record = 0;
  try {
    for (let at = 0; ; ) {
      const framed = valueAt(head.text, at);
      if (!framed) return;
      const { begin } = framed;
      at = framed.end;
      const text = head.text.slice(begin, at);
      if (!framed.closed && !head.whole && soundness(text) !== "lost") return;
      const line = lineAt(begin);
      // Files that were joined have marks between them.
      const row = text.replace(/^\uFEFF+/, "");
      const place = begin + text.length - row.length;
      const outcome = jsonOutcome(row, place, (value) => builder.ofJson(value, typing), head, lineAt);
      if (isReason(outcome) && outcome.code === "broken-json" && !/^[{[]/.test(row)) {
        // Of text between values it is not certain where it ends.
        throw new JsonProblem("text that is not JSON", place, false);
      }
      yield { line, record: ++record, text, outcome };
    }
  } catch (error) {
    const failure = brokenFile(error, head, lineAt);
    if (failure) preview.failure = failure;
  }
}

/** The elements of an array. */
function* arrayRows(
  typing: Typing,
  pointer: string[],
  ...[head, types, schema, preview]: Context
): Generator<PreviewRow> {
  const builder = new ItemBuilder(schema, types);
  const lineAt = lineCounter(head.text);
  const around: boolean[] = [];
  let record = 0;
  try {
    const parser = new JsonParser(head.text);
    const found = enter(parser, pointer, around);
    if (found) {
      preview.failure = found;
      return;
    }
    for (let at = parser.at, end = 0; ; at = end + 1) {
      end = elementEnd(head.text, at);
      const closing = head.text[end];
      while (at < end && isBlank(head.text[at])) at++;
      const text = head.text.slice(at, end).replace(/[ \t\r\n]+$/, "");
      if (closing === undefined && !head.whole && soundness(text) !== "lost") return;
      const line = lineAt(at);
      if (closing === undefined && text === "") throw new JsonProblem("", end, true);
      if (text !== "" || closing !== "]" || record > 0) {
        const outcome =
          text === ""
            ? brokenRow(closing === "," ? "a comma where none may stand" : "a comma after the last element", line)
            : jsonOutcome(text, at, (value) => builder.ofJson(value, typing), head, lineAt);
        if (closing === "}") throw new JsonProblem("a closing bracket that nothing opened", end, false);
        // A row that is whole counts, although nothing ends it.
        const isBroken = isReason(outcome) && (outcome.code === "broken-json" || outcome.code === "not-text");
        if (closing !== undefined || !isBroken) yield { line, record: ++record, text, outcome };
      }
      if (closing === undefined) throw new JsonProblem("", end, true);
      if (closing === ",") continue;
      leave(head, end + 1, around);
      return;
    }
  } catch (error) {
    const failure = brokenFile(error, head, lineAt);
    if (failure) preview.failure = failure;
  }
}

/** Goes into the array that `pointer` names. `around` becomes the containers around the rows: whether each is an object. */
function enter(parser: JsonParser, pointer: string[], around: boolean[]): Unusable | undefined {
  const fix = "Set the JSON pointer of the array of rows under Options, for example /Items.";
  for (const token of pointer) {
    const index = parser.peek() === "[" ? arrayIndex(token) : undefined;
    const [opening, closing] = index === undefined ? "{}" : "[]";
    if (parser.peek() === "") parser.fail("");
    if (!parser.take(opening as string)) return { problem: `There is no "${token}" where the pointer leads to.`, fix };
    around.push(index === undefined);
    for (let passed = 0; ; passed++) {
      if (parser.peek() === closing) return { problem: `The file has no "${token}".`, fix };
      let isIt = index === passed;
      if (index === undefined) {
        if (parser.peek() !== '"') parser.fail("something else where a name in quotes or } must stand");
        const name = parser.value();
        if (!parser.take(":")) parser.fail("a missing colon after a name");
        isIt = name.kind === "string" && name.value === token;
      }
      if (isIt) break;
      parser.value();
      if (parser.peek() !== closing && !parser.take(",")) parser.fail("a missing comma");
    }
  }
  if (parser.peek() === "") parser.fail("");
  if (!parser.take("[")) return { problem: "The rows must be in a JSON array.", fix };
  around.push(false);
  return undefined;
}

/** Goes out of the array again, which ends before `at`: what follows it must be JSON, and no second value. */
function leave(head: Head, at: number, around: boolean[]): void {
  const { text } = head;
  around.pop();
  let isBehind = true;
  while (around.length > 0) {
    const isObject = around.at(-1) === true;
    const end = elementEnd(text, at);
    const closing = text[end];
    if (closing === undefined) throw new JsonProblem("", end, true);
    const member = text.slice(at, end);
    // Behind a container there must be nothing; behind a comma a member.
    const isEmpty = /^[ \t\r\n]*$/.test(member);
    const isRight = isBehind ? isEmpty : !isEmpty && isJson(isObject ? `{${member}}` : `[${member}]`);
    if (!isRight || isNoText(member, head)) {
      throw new JsonProblem("something else where a member or a closing bracket must stand", at, false);
    }
    isBehind = closing !== ",";
    if (isBehind && closing !== (isObject ? "}" : "]")) {
      throw new JsonProblem("a closing bracket that nothing opened", end, false);
    }
    if (isBehind) around.pop();
    at = end + 1;
  }
  while (isBlank(text[at]) || text[at] === DOS_END) at++;
  const next = text[at];
  if (next === undefined) return;
  const isValue = /[{["0-9tfn-]/.test(next);
  throw new JsonProblem(isValue ? "another JSON value after the array of rows" : "text that is not JSON", at, false);
}

function isJson(text: string): boolean {
  try {
    new JsonParser(text).value();
    return true;
  } catch (error) {
    if (!(error instanceof JsonProblem)) throw error;
    return false;
  }
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
