import { foreign, type ReadOptions } from "./detect";
import type { Unusable } from "./reason";

/** How a file is compressed, as the importer names it. */
export type Compression = "none" | "gzip" | "zstd";

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

/** Reads the beginning of a file; something unusable if it is none that can be read. */
export async function readHead(file: Blob, options: ReadOptions): Promise<Head | Unusable> {
  const start = new Uint8Array(await file.slice(0, 512).arrayBuffer());
  const unusable = foreign(start);
  if (unusable) return unusable;
  const compression = compressionOf(start);
  let bytes: Uint8Array;
  let whole: boolean;
  if (compression === "none") {
    bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
    whole = file.size <= HEAD_BYTES;
  } else {
    const inflated = await inflate(file, compression);
    if (!inflated) {
      return {
        problem: `The file is compressed with ${compression}, which this browser cannot look into.`,
        fix: "Upload it as it is: Intake reads it, and tells of every row that does not fit.",
      };
    }
    ({ bytes, whole } = inflated);
    if (bytes.length === 0 && !whole) {
      return { problem: `The file is damaged: it is no whole ${compression}.`, fix: "Make or download it again." };
    }
  }
  return { compression, ...decode(bytes, whole, options.encoding) };
}

function compressionOf(start: Uint8Array): Compression {
  if (start[0] === 0x1f && start[1] === 0x8b) return "gzip";
  return [0x28, 0xb5, 0x2f, 0xfd].every((byte, index) => start[index] === byte) ? "zstd" : "none";
}

async function inflate(
  file: Blob,
  compression: Exclude<Compression, "none">,
): Promise<{ bytes: Uint8Array; whole: boolean } | undefined> {
  let stream: DecompressionStream;
  try {
    // Not every browser knows zstd; one that does not throws here.
    stream = new DecompressionStream(compression as CompressionFormat);
  } catch {
    return undefined;
  }
  const reader = file.slice(0, COMPRESSED_BYTES).stream().pipeThrough(stream).getReader();
  const bytes = new Uint8Array(HEAD_BYTES);
  let length = 0;
  let whole = false;
  try {
    while (length < HEAD_BYTES) {
      const { done, value } = await reader.read();
      if (done) {
        whole = file.size <= COMPRESSED_BYTES;
        break;
      }
      const part = value.subarray(0, HEAD_BYTES - length);
      bytes.set(part, length);
      length += part.length;
    }
  } catch {
    // Cut off because only the beginning was read, damaged, or a second member: what came before is the head.
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
  const mark = (marks: number[]) => marks.every((byte, index) => bytes[index] === byte);
  const encoding = mark([0xef, 0xbb, 0xbf])
    ? "utf-8"
    : mark([0xff, 0xfe])
      ? "utf-16le"
      : mark([0xfe, 0xff])
        ? "utf-16be"
        : (named ?? "utf-8");
  const stream = { stream: !whole };
  try {
    return { encoding, text: new TextDecoder(encoding, { fatal: true }).decode(bytes, stream), whole, valid: true };
  } catch {
    return { encoding, text: new TextDecoder(encoding).decode(bytes, stream), whole, valid: false };
  }
}
