import type { Format, ReadOptions } from "../preview/detect";
import { formatTypes, parseTypes } from "../preview/schema";

const MIB = 1024 * 1024;
/** Bytes of a part; the least that S3 takes is 5 MiB. */
const PART_BYTES = 8 * MIB;
/**
 * Most parts of an upload.
 *
 * <https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html>
 */
const PARTS_MAX = 10_000;
/** Longest key in bytes. */
const KEY_BYTES_MAX = 1024;

/** Bytes of each part of a file, the last one excepted: as small as S3's number of parts allows. */
export function partBytes(fileBytes: number): number {
  return Math.max(PART_BYTES, Math.ceil(fileBytes / PARTS_MAX / MIB) * MIB);
}

/** A part of a file. */
export interface Part {
  /** From 1. */
  number: number;
  start: number;
  end: number;
}

/** The parts of a file. An empty file has one. */
export function partsOf(fileBytes: number): Part[] {
  const size = partBytes(fileBytes);
  const count = Math.max(1, Math.ceil(fileBytes / size));
  return Array.from({ length: count }, (_, index) => ({
    number: index + 1,
    start: index * size,
    end: Math.min(fileBytes, (index + 1) * size),
  }));
}

/**
 * Where a file goes: below the identity's prefix, in a folder of its own.
 *
 * A second file of the same name must not replace the first while that is imported: the import would fail.
 */
export function uploadKey(identity: string, fileName: string, now: Date, random: string): string {
  const folder = `uploads/${identity}/${now.toISOString().replace(/[-:]|\.\d+/g, "")}-${random}/`;
  return folder + shortened(safeName(fileName), KEY_BYTES_MAX - folder.length);
}

/** A file's name without what a key's last part must not have. Everything else is only text to S3. */
function safeName(name: string): string {
  // A lone surrogate is no UTF-8, which keys are.
  const text = name.replace(/[/\\\u0000-\u001f\u007f]/g, "_").toWellFormed();
  return text === "" || text === "." || text === ".." ? "file" : text;
}

/** A name of at most `limitBytes`, which keeps its ending. */
function shortened(name: string, limitBytes: number): string {
  const size = (text: string) => new TextEncoder().encode(text).length;
  if (size(name) <= limitBytes) return name;
  const ending = /\.[^.]{1,16}$/u.exec(name)?.[0] ?? "";
  let stem = Array.from(name.slice(0, name.length - ending.length));
  while (size(stem.join("") + ending) > limitBytes) stem = stem.slice(0, -1);
  return stem.join("") + ending;
}

/** What the names of options begin with in an object's metadata. */
const PREFIX = "intake-";

/** The object's metadata, by which the importer reads it as the preview did. */
export function metadataOf(options: ReadOptions): Record<string, string> {
  const metadata: Record<string, string> = {};
  const set = (name: string, value: string | undefined) => {
    if (value) metadata[PREFIX + name] = value;
  };
  set("format", options.format);
  set("delimiter", options.delimiter === "\t" ? "tab" : options.delimiter);
  set("encoding", options.encoding);
  set("rows-at", options.rowsAt);
  set("types", options.types && formatTypes(options.types));
  return metadata;
}

/** The options that metadata says, with its names or, as a job has them, without what these begin with. */
export function optionsOf(metadata: Record<string, string>): ReadOptions {
  const get = (name: string) => metadata[PREFIX + name] ?? metadata[name];
  const delimiter = get("delimiter");
  const types = parseTypes(get("types") ?? "");
  return {
    format: get("format") as Format | undefined,
    delimiter: delimiter === "tab" || delimiter === "\\t" ? "\t" : delimiter,
    encoding: get("encoding"),
    rowsAt: get("rows-at"),
    types: typeof types === "string" || types.size === 0 ? undefined : types,
  };
}

/** Whether two files are to be read in the same way. */
export function sameOptions(a: ReadOptions, b: ReadOptions): boolean {
  return JSON.stringify(metadataOf(a)) === JSON.stringify(metadataOf(b));
}

/** What metadata cannot hold: headers are ASCII. */
export function misfitOf(metadata: Record<string, string>): string | undefined {
  const found = Object.entries(metadata).find(([, value]) => /[^\x20-\x7e]/.test(value));
  return found ? `"${found[1]}" has characters that an option cannot hold: use ASCII` : undefined;
}
