import { sniffDelimiter } from "./csv";
import { kindOfType, type Typing } from "./item";
import { type Json, JsonParser } from "./json";
import type { Unusable } from "./reason";
import type { DeclaredType, Schema } from "./schema";

/** A file format, as the importer names it. */
export type Format = "json" | "jsonl" | "ddb-json" | "csv";

/** How a file is to be read, if not as its content says. These become the object's metadata. */
export interface ReadOptions {
  format?: Format | undefined;
  /** One character. */
  delimiter?: string | undefined;
  /** A name of the Encoding Standard. */
  encoding?: string | undefined;
  /** JSON pointer to the array of rows. */
  rowsAt?: string | undefined;
  types?: Map<string, DeclaredType> | undefined;
}

/** What a decoder needs to know of a file's format. */
export type Layout =
  | { kind: "array"; typing: Typing; pointer: string[] }
  | { kind: "sequence"; typing: Typing }
  | { kind: "lines"; typing: Typing }
  | { kind: "csv"; delimiter: string };

/** The format's name for a layout. */
export function formatOf(layout: Layout): Format {
  if (layout.kind === "csv") return "csv";
  if (layout.kind !== "lines") return "json";
  return layout.typing === "plain" ? "jsonl" : "ddb-json";
}

const FOREIGN: [string, string, string][] = [
  ["PK\x03\x04", "a zip archive or an Excel workbook", "Unpack it, or save the sheet as CSV UTF-8."],
  ["PAR1", "Parquet", "Convert it to JSON Lines or CSV."],
  ["Obj\x01", "Avro", "Convert it to JSON Lines."],
  ["ORC", "ORC", "Convert it to JSON Lines or CSV."],
  ["BZh", "bzip2", "Compress it with gzip or zstd instead."],
  ["\xFD7zXZ\x00", "xz", "Compress it with gzip or zstd instead."],
  ["\xD0\xCF\x11\xE0", "an old Excel workbook", "Save the sheet as CSV UTF-8."],
  ["\xE0\x01\x00\xEA", "binary Ion", "Export the table as DynamoDB JSON."],
  ["%PDF-", "a PDF", "Export the data as CSV or JSON."],
];

/** Names a format that people upload by mistake, by a file's first bytes. */
export function foreign(start: Uint8Array): Unusable | undefined {
  for (const [magic, what, fix] of FOREIGN) {
    if (![...magic].every((character, index) => start[index] === character.charCodeAt(0))) continue;
    // A CSV header may well begin with "PAR1" or "ORC"; what the formats of these names go on with is no text.
    const isText = (byte: number) => (byte >= 0x20 && byte !== 0x7f) || [0x09, 0x0a, 0x0c, 0x0d].includes(byte);
    if (/^[A-Za-z0-9]+$/.test(magic) && start.slice(0, 64).every(isText)) continue;
    return { problem: `The file is ${what}, which Intake does not read.`, fix };
  }
  return undefined;
}

/** The layout of a file that begins with `start`; `whole` says that this is all of it. */
export function detect(
  start: string,
  whole: boolean,
  options: ReadOptions,
  schema: Schema | undefined,
): Layout | Unusable {
  const first = /[^ \t\r\n\f]/.exec(start)?.[0];
  if (first === undefined) {
    return {
      problem: whole ? "The file is empty." : "The file begins with nothing but white space.",
      fix: "Choose a file with rows. A file of no rows is [] in JSON, or a CSV header alone.",
    };
  }
  const format = options.format ?? (first === "[" || first === "{" ? "json" : "csv");
  if (format !== "csv" && options.delimiter !== undefined) {
    return { problem: `A delimiter is set, but the file is ${format}.`, fix: "Set the delimiter back to automatic." };
  }
  if (format === "csv") {
    if (options.rowsAt !== undefined) {
      return { problem: "A JSON pointer is set, but the file is CSV.", fix: "Clear the JSON pointer." };
    }
    return { kind: "csv", delimiter: options.delimiter ?? sniffDelimiter(start) };
  }
  const layout = jsonLayout(start, whole, first, format, options, schema);
  if ("typing" in layout && layout.typing !== "plain" && (options.types?.size ?? 0) > 0) {
    return {
      problem: "Types are declared, but DynamoDB JSON names the type of every value itself.",
      fix: "Clear the declared types.",
    };
  }
  return layout;
}

function jsonLayout(
  start: string,
  whole: boolean,
  first: string,
  format: Format,
  options: ReadOptions,
  schema: Schema | undefined,
): Layout | Unusable {
  if (options.rowsAt !== undefined) {
    const pointer = parsePointer(options.rowsAt);
    if (!pointer) {
      return {
        problem: `"${options.rowsAt}" is not a JSON pointer.`,
        fix: "Begin it with a slash, for example /Items.",
      };
    }
    return { kind: "array", typing: typingOf(start, pointer, schema) ?? "plain", pointer };
  }
  if (first === "[" && format !== "jsonl") {
    const fallback: Typing = format === "ddb-json" ? "dynamodb" : "plain";
    return { kind: "array", typing: typingOf(start, [], schema) ?? fallback, pointer: [] };
  }
  if (format === "jsonl") return { kind: "lines", typing: "plain" };
  if (format === "ddb-json") {
    const typing = typingOf(start, [], schema);
    return { kind: "lines", typing: typing === undefined || typing === "plain" ? "dynamodb-item" : typing };
  }
  if (first !== "{") {
    return { problem: "The file is not a JSON array of objects.", fix: "Begin it with [ or {, or set its format." };
  }
  const outline = outlineOf(start, schema);
  // One object that has no key but an array of objects is a wrapper, as `aws dynamodb scan` prints.
  if (outline.rowsAt !== undefined && !outline.hasKey && (!outline.complete || (whole && !outline.followed))) {
    const pointer = outline.rowsAt.replaceAll("~", "~0").replaceAll("/", "~1");
    return {
      problem: `The file is one JSON object whose rows are in an array under "${outline.rowsAt}".`,
      fix: `Set the JSON pointer under Options to /${pointer}.`,
    };
  }
  const typing = typingOf(start, [], schema) ?? "plain";
  return outline.lines > 1 ? { kind: "sequence", typing } : { kind: "lines", typing };
}

/** The reference tokens of a JSON pointer. */
export function parsePointer(pointer: string): string[] | undefined {
  if (pointer === "") return [];
  if (!pointer.startsWith("/")) return undefined;
  return pointer
    .slice(1)
    .split("/")
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
}

interface Outline {
  hasKey: boolean;
  rowsAt: string | undefined;
  complete: boolean;
  /** Lines the first object stands on, as far as they were looked at; 0 if it is broken. */
  lines: number;
  followed: boolean;
}

function outlineOf(start: string, schema: Schema | undefined): Outline {
  const text = start.trimStart();
  const parser = new JsonParser(text);
  const outline: Outline = { hasKey: false, rowsAt: undefined, complete: false, lines: 0, followed: false };
  let value: Json | undefined;
  try {
    value = parser.value();
    outline.complete = true;
    outline.lines = breaks(text.slice(0, parser.at)) + 1;
    outline.followed = parser.peek() !== "";
  } catch {
    // The end of the bytes, or broken JSON that decoding tells of: what was seen until then counts.
    value = parser.begun;
    if (parser.at >= text.length) outline.lines = breaks(text) + 1;
  }
  if (value?.kind !== "object") return outline;
  for (const [name, member] of value.members) {
    outline.hasKey ||= name === "Item" || isKey(name, schema);
    if (outline.rowsAt === undefined && member.kind === "array" && member.elements[0]?.kind === "object") {
      outline.rowsAt = name;
    }
  }
  return outline;
}

function breaks(text: string): number {
  return text.split(/\r\n|\r|\n/).length - 1;
}

function isKey(name: string, schema: Schema | undefined): boolean {
  return schema?.key.some((key) => key.name === name) ?? false;
}

/** The rows under `pointer` as far as the text goes, the last of which may be cut off. */
function* rowsOf(start: string, pointer: string[]): Generator<Json> {
  const parser = new JsonParser(start);
  while (parser.peek() !== "") {
    let value: Json | undefined;
    let broken = false;
    try {
      value = parser.value();
    } catch {
      value = parser.begun;
      broken = true;
    }
    for (const name of pointer) {
      value = value?.kind === "object" ? value.members.find(([member]) => member === name)?.[1] : undefined;
    }
    if (value?.kind === "array") yield* value.elements;
    else if (value && pointer.length === 0) yield value;
    if (broken || value?.kind === "array" || pointer.length > 0) return;
  }
}

/** Whether the rows are plain or DynamoDB JSON; nothing if they do not tell. */
function typingOf(start: string, pointer: string[], schema: Schema | undefined): Typing | undefined {
  let certain: Typing | undefined;
  let likely: Typing | undefined;
  for (const row of rowsOf(start, pointer)) {
    if (certain) break;
    if (row.kind !== "object") continue;
    for (const [name, value] of row.members) {
      const key = isKey(name, schema);
      let typed: boolean | undefined;
      if (name === "Item" && !key && value.kind === "object") {
        typed = isTypedItem(value.members, value.closed);
        if (typed) certain ??= "dynamodb-item";
      } else {
        typed = isTyped(value);
      }
      // Broken before it told.
      if (typed === undefined) return certain ?? likely;
      const typing: Typing = typed ? "dynamodb" : "plain";
      if (key) certain ??= typing;
      if (likely !== "plain") likely = typing;
    }
  }
  return certain ?? likely;
}

/** Whether any attribute of an `Item` is DynamoDB JSON, or there is none; nothing if it is cut off before that. */
function isTypedItem(members: [string, Json][], closed: boolean): boolean | undefined {
  if (members.length === 0) return closed || undefined;
  const typed = members.map(([, attribute]) => isTyped(attribute));
  return typed.includes(true) || (typed.includes(false) ? false : undefined);
}

/**
 * Whether a value is an object of one member that is named for a type of DynamoDB's; nothing if it is cut off before
 * that.
 */
function isTyped(value: Json): boolean | undefined {
  if (value.kind !== "object") return false;
  const [first] = value.members;
  if (!first) return value.closed ? false : undefined;
  return value.members.length === 1 && kindOfType(first[0]) === first[1].kind;
}
