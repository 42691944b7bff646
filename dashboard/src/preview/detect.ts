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
  ["\x1F\x8B", "gzip in gzip in gzip in gzip", "Decompress it until a catalog comes out."],
];

/** Names a format that people upload by mistake, by the first bytes of a file's text. */
export function foreign(start: Uint8Array): Unusable | undefined {
  for (const [magic, what, fix] of FOREIGN) {
    if (![...magic].every((character, index) => start[index] === character.charCodeAt(0))) continue;
    // A CSV header may well begin with "PAR1" or "ORC"; what the formats of these names go on with is no text.
    const isText = (byte: number) => (byte >= 0x20 && byte !== 0x7f) || [0x09, 0x0a, 0x0c, 0x0d].includes(byte);
    if (/^[A-Za-z0-9]+$/.test(magic) && start.slice(0, 64).every(isText)) continue;
    return notRead(what, fix);
  }
  return foreignText(start);
}

function notRead(what: string, fix: string): Unusable {
  return { problem: `The file is ${what}, which Intake does not read.`, fix };
}

/** The same of text, and of containers, that are no catalog. */
function foreignText(start: Uint8Array): Unusable | undefined {
  const text = new TextDecoder("windows-1252").decode(start);
  if (text.startsWith("ustar", 257)) return notRead("a tar archive", "Unpack it and upload the files that are in it.");
  const encoding = wideText(start);
  if (encoding) {
    return notRead("UTF-16 without a byte order mark", `Set the file's encoding under Options to ${encoding}.`);
  }
  const first = text
    .replace(/^[ \t\r\n\f]+/, "")
    .slice(0, 512)
    .toLowerCase();
  if (/^<\?xml|^<error>/.test(first)) {
    return first.includes("<error>") && first.includes("<code>")
      ? notRead("an error of S3 in XML", "Download the file again: whatever downloaded it was refused.")
      : notRead("XML", "Export the data as CSV or JSON.");
  }
  if (/^<!doctype html|^<html/.test(first)) {
    return notRead("a page of HTML", "It may be a page to sign in, in place of the file: download the file again.");
  }
  if (first.startsWith("--") && first.includes("content-disposition:")) {
    return notRead("the body of a multipart form", "Choose the file itself, without the form around it.");
  }
  if (/^\/[/*]/.test(first)) return notRead("JSON with comments", "Remove the comments: JSON has none.");
  if (/^[a-z0-9_$.]+\([ \t\r\n\f]*[{[]/.test(first)) {
    return notRead("JSONP", "Remove the name and the parentheses around the JSON.");
  }
  return undefined;
}

/** The encoding of text of two bytes a character, of which every second byte is mostly zero. */
function wideText(start: Uint8Array): string | undefined {
  const pairs = Math.floor(Math.min(start.length, 256) / 2);
  const zeros = [0, 0];
  for (let at = 0; at < 2 * pairs; at++) if (start[at] === 0) zeros[at % 2] = (zeros[at % 2] ?? 0) + 1;
  const [high = 0, low = 0] = zeros;
  const most = Math.floor((pairs * 3) / 4);
  if (pairs < 4) return undefined;
  if (low > most && high === 0) return "utf-16le";
  return high > most && low === 0 ? "utf-16be" : undefined;
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
    return {
      kind: "csv",
      delimiter: options.delimiter ?? sniffDelimiter(start, schema?.key.map((key) => key.name) ?? []),
    };
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
  if (!outline.hasKey && (!outline.complete || (whole && !outline.followed))) {
    const wrapped = findWrapped(start, schema);
    if (wrapped?.isPutRequest) return { kind: "array", typing: "put-request", pointer: wrapped.pointer };
    if (wrapped) return wrappedError(wrapped);
    if (outline.objects > 1 && outline.objects === outline.members) {
      return {
        problem: "The file is one JSON object of objects, and its rows have no key of their own.",
        fix: "Make it an array of objects, each with its name as an attribute.",
      };
    }
  }
  const pages = !outline.hasKey && outline.objectFollows ? findWrapped(start, schema) : undefined;
  if (pages?.hasKey) {
    return {
      problem: `The file is several JSON objects, each with rows in an array under "${pages.pointer.at(-1) ?? ""}".`,
      fix: "Put the rows into one array, or an object a line.",
    };
  }
  const typing = typingOf(start, [], schema) ?? "plain";
  return outline.lines > 1 || outline.sharesLine ? { kind: "sequence", typing } : { kind: "lines", typing };
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

/** The index into an array that a token of a JSON pointer is. */
export function arrayIndex(token: string): number | undefined {
  return /^(?:0|[1-9]\d*)$/.test(token) ? Number(token) : undefined;
}

interface Outline {
  hasKey: boolean;
  /** Members, and how many of them are objects. */
  members: number;
  objects: number;
  complete: boolean;
  /** Lines the first object stands on, as far as they were looked at; 0 if it is broken. */
  lines: number;
  followed: boolean;
  /** Whether what follows is an object, and on the same line. */
  objectFollows: boolean;
  sharesLine: boolean;
}

function outlineOf(start: string, schema: Schema | undefined): Outline {
  const text = start.replace(/^[ \t\r\n\f]+/, "");
  const parser = new JsonParser(text);
  const outline: Outline = {
    hasKey: false,
    members: 0,
    objects: 0,
    complete: false,
    lines: 0,
    followed: false,
    objectFollows: false,
    sharesLine: false,
  };
  try {
    parser.take("{");
    while (!parser.take("}")) {
      if (outline.members > 0 && !parser.take(",")) parser.fail("");
      if (parser.peek() !== '"') parser.fail("");
      const name = parser.value();
      outline.hasKey ||= name.kind === "string" && (name.value === "Item" || isKey(name.value, schema));
      outline.members++;
      if (!parser.take(":")) parser.fail("");
      if (parser.peek() === "{") outline.objects++;
      parser.value();
    }
    outline.complete = true;
    outline.lines = breaks(text.slice(0, parser.at)) + 1;
    const behind = parser.at;
    outline.followed = parser.peek() !== "";
    outline.objectFollows = parser.peek() === "{";
    outline.sharesLine = outline.objectFollows && !text.slice(behind, parser.at).includes("\n");
  } catch {
    // The end of the bytes, or broken JSON that decoding tells of: what was seen until then counts.
    if (parser.at >= text.length) outline.lines = breaks(text) + 1;
  }
  return outline;
}

/** An array of objects. */
interface Wrapped {
  pointer: string[];
  /** Whether its elements have the table's key, or are DynamoDB JSON. */
  hasKey: boolean;
  /** Whether they are requests to put an item, as `aws dynamodb batch-write-item` takes them. */
  isPutRequest: boolean;
  elements: number;
}

/** Elements of an array of objects that are gone into: in one of them the rows may be. */
const ELEMENTS_MAX = 4;
/** Levels that are looked at. */
const DEPTH_MAX = 32;

/**
 * The rows in the JSON value that `text` begins with: the largest array of objects that have the key, else the largest
 * array of objects.
 */
export function findWrapped(text: string, schema: Schema | undefined): Wrapped | undefined {
  const parser = new JsonParser(text);
  let value: Json | undefined;
  try {
    value = parser.value();
  } catch {
    value = parser.begun;
  }
  let best: Wrapped | undefined;
  for (const found of value ? arraysOf(value, [], schema) : []) {
    const more = Number(found.hasKey) - Number(best?.hasKey ?? false) || found.elements - (best?.elements ?? 0);
    if (more > 0) best = found;
  }
  return best;
}

function* arraysOf(value: Json, pointer: string[], schema: Schema | undefined): Generator<Wrapped> {
  if (pointer.length === DEPTH_MAX) return;
  if (value.kind === "object") {
    for (const [name, member] of value.members) yield* arraysOf(member, [...pointer, name], schema);
  }
  if (value.kind !== "array") return;
  const objects = Array.from(value.elements.entries()).filter(([, element]) => element.kind === "object");
  const looked = objects.slice(0, ELEMENTS_MAX);
  const names = looked.flatMap(([, row]) =>
    row.kind === "object" ? [...row.members.map(([name]) => name), row.lastName] : [],
  );
  const isPutRequest = names.includes("PutRequest");
  const hasKey = isPutRequest || names.some((name) => name === "Item" || (name !== undefined && isKey(name, schema)));
  if (objects.length > 0) yield { pointer, hasKey, isPutRequest, elements: objects.length };
  for (const [index, element] of looked) {
    yield* arraysOf(element, [...pointer, String(index)], schema);
  }
}

/** Says where the rows are. */
export function wrappedError({ pointer }: Wrapped): Unusable {
  const tokens = pointer.map((token) => token.replaceAll("~", "~0").replaceAll("/", "~1"));
  return {
    problem: `The file is one JSON object whose rows are in an array under "${pointer.at(-1) ?? ""}".`,
    fix: `Set the JSON pointer under Options to /${tokens.join("/")}.`,
  };
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
    for (const token of pointer) {
      if (value?.kind === "object") value = value.members.find(([member]) => member === token)?.[1];
      else value = value?.kind === "array" ? value.elements[arrayIndex(token) ?? -1] : undefined;
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
      } else if (name === "PutRequest" && !key && value.kind === "object") {
        const items = value.members.flatMap(([member, item]) =>
          member === "Item" && item.kind === "object" ? [isTypedItem(item.members, item.closed)] : [],
        );
        typed = items.includes(true) || (items.includes(false) ? false : undefined);
        if (typed) certain ??= "put-request";
        else if (typed === undefined && value.closed) continue;
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
