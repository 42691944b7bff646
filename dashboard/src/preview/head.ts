import { foreign, type ReadOptions } from "./detect";
import type { Unusable } from "./reason";

/** How a file is compressed, as the importer names it. */
export type Compression = "none" | "gzip" | "zlib" | "zstd";

/** The beginning of a file as text. */
export interface Head {
  compression: Compression;
  /** The encoding the text was read by. */
  encoding: string;
  text: string;
  /** Whether the text is the whole file's. */
  whole: boolean;
  /** Whether all bytes were text; a row of those that were not has U+FFFD in their places. */
  valid: boolean;
}

/** Text that is looked at, in bytes before decoding. */
export const HEAD_BYTES = 256 * 1024;
/** Compressed bytes that are read for it at most. */
const COMPRESSED_BYTES = 1024 * 1024;

/** Most compressions one in the other. */
const LAYERS_MAX = 3;
/** Bytes of the text by which files of other kinds are recognized. */
const FOREIGN_BYTES = 64 * 1024;

/** Reads the beginning of a file; something unusable if it is none that can be read. */
export async function readHead(file: Blob, options: ReadOptions): Promise<Head | Unusable> {
  let bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  const compression = compressionOf(bytes);
  let whole = file.size <= (compression === "none" ? HEAD_BYTES : COMPRESSED_BYTES);
  let source = file.slice(0, COMPRESSED_BYTES);
  for (let layer = 0; layer < LAYERS_MAX; layer++) {
    const inner = compressionOf(bytes);
    if (inner === "none") break;
    const inflated = await inflate(source, inner);
    if (!inflated) return notChecked(`The file is compressed with ${inner}, which this browser cannot look into.`);
    bytes = inflated.bytes;
    whole &&= inflated.whole;
    if (bytes.length === 0 && !inflated.whole) {
      return notChecked(`This browser cannot look into the file: its ${inner} is damaged, or unusual.`);
    }
    source = new Blob([bytes]);
  }
  const head = decode(bytes, whole, options.encoding);
  const isUtf8 = head.encoding.toLowerCase() === "utf-8";
  const start = isUtf8 ? withoutMark(bytes) : new TextEncoder().encode(head.text.slice(0, FOREIGN_BYTES));
  return foreign(start.subarray(0, FOREIGN_BYTES)) ?? { compression, ...head };
}

function notChecked(problem: string): Unusable {
  return { problem, fix: "Upload it as it is: Intake reads it, and tells of every row that does not fit." };
}

function withoutMark(bytes: Uint8Array): Uint8Array {
  return bytes.subarray(isMarked(bytes, [0xef, 0xbb, 0xbf]) ? 3 : 0);
}

function isMarked(bytes: Uint8Array, marks: number[]): boolean {
  return marks.every((byte, index) => bytes[index] === byte);
}

function compressionOf(start: Uint8Array): Compression {
  const [first, second, third = 0] = start;
  if (first === 0x1f && second === 0x8b) return "gzip";
  if (isMarked(start, [0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  // A skippable frame may come first.
  if (first !== undefined && first >> 4 === 5 && isMarked(start.subarray(1), [0x2a, 0x4d, 0x18])) return "zstd";
  if (first !== 0x78) return "none";
  if (second === 0x01 || second === 0x9c || second === 0xda) return "zlib";
  // A file of text may begin with "x^".
  return second === 0x5e && start.length > 2 && (third < 0x09 || third >= 0x80) ? "zlib" : "none";
}

async function inflate(
  source: Blob,
  compression: Exclude<Compression, "none">,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; whole: boolean } | undefined> {
  let stream: DecompressionStream;
  try {
    // Not every browser knows zstd; one that does not throws here.
    stream = new DecompressionStream((compression === "zlib" ? "deflate" : compression) as CompressionFormat);
  } catch {
    return undefined;
  }
  const reader = source.stream().pipeThrough(stream).getReader();
  const bytes = new Uint8Array(HEAD_BYTES);
  let length = 0;
  let whole = false;
  try {
    while (length < HEAD_BYTES) {
      const { done, value } = await reader.read();
      if (done) {
        whole = true;
        break;
      }
      const part = value.subarray(0, HEAD_BYTES - length);
      bytes.set(part, length);
      length += part.length;
    }
  } catch {
    // Cut off because only the beginning was read, damaged, padded, or a second member: what came before is the head.
  }
  reader.cancel().catch(() => undefined);
  return { bytes: bytes.subarray(0, length), whole };
}

/** Decodes the beginning of a text: a byte order mark decides, then the given encoding, then UTF-8. */
function decode(
  bytes: Uint8Array,
  whole: boolean,
  named: string | undefined,
): { encoding: string; text: string; whole: boolean; valid: boolean } {
  const encoding = isMarked(bytes, [0xef, 0xbb, 0xbf])
    ? "utf-8"
    : isMarked(bytes, [0xff, 0xfe])
      ? "utf-16le"
      : isMarked(bytes, [0xfe, 0xff])
        ? "utf-16be"
        : (named ?? "utf-8");
  const stream = { stream: !whole };
  try {
    return { encoding, text: new TextDecoder(encoding, { fatal: true }).decode(bytes, stream), whole, valid: true };
  } catch {
    return { encoding, text: new TextDecoder(encoding).decode(bytes, stream), whole, valid: false };
  }
}
