import type { Format } from "../preview/detect";

/** A rejected row, as a line of `rejects.jsonl` tells of it. */
export interface Reject {
  byte: number;
  line: number;
  record: number;
  reason: string;
  message: string;
  /** The row as the file has it, up to 4,096 bytes. */
  row: string;
  /** Whether `row` is only its beginning. */
  truncated: boolean;
  /** Whether its bytes were no text: `row` shows them as Windows-1252. */
  binary: boolean;
}

/** Bytes of the report that are read at a time: a few hundred rows. */
const PIECE_BYTES = 256 * 1024;

/** A report, as far as it was read. */
export interface Report {
  rejects: Reject[];
  /** Where to go on, in bytes. */
  next: number;
  /** Whether that is all of it. */
  whole: boolean;
}

/** A report of which nothing was read. */
export const NO_REPORT: Report = { rejects: [], next: 0, whole: false };

/** Reads on in a report: `piece` gives its bytes from `start` on, fewer than asked for at its end. */
export async function readOn(
  before: Report,
  piece: (start: number, bytes: number) => Promise<Uint8Array>,
): Promise<Report> {
  const body = await piece(before.next, PIECE_BYTES);
  // The bucket does not show pages a report's size.
  const whole = body.length < PIECE_BYTES;
  // Up to the last line break: a line that is cut off is read again with the next piece.
  const end = whole ? body.length : body.lastIndexOf(0x0a) + 1;
  const rejects = parseRejects(new TextDecoder().decode(body.subarray(0, end)));
  return { rejects: [...before.rejects, ...rejects], next: before.next + end, whole };
}

/** Reads lines of `rejects.jsonl`. */
export function parseRejects(text: string): Reject[] {
  return text
    .split("\n")
    .filter((line) => line.trim() !== "")
    .map(parseLine);
}

function parseLine(line: string): Reject {
  const found = JSON.parse(line) as Record<string, unknown>;
  const number = (name: string) => Number(found[name] ?? 0);
  const binary = typeof found.row_base64 === "string";
  return {
    byte: number("byte"),
    line: number("line"),
    record: number("record"),
    reason: String(found.reason ?? ""),
    message: String(found.message ?? ""),
    row: binary ? decodeBase64(found.row_base64 as string) : String(found.row ?? ""),
    truncated: found.row_truncated === true,
    binary,
  };
}

function decodeBase64(text: string): string {
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  return new TextDecoder("windows-1252").decode(bytes);
}

/**
 * A cell for a CSV file that people open in a spreadsheet: text that would be a formula there begins with an apostrophe.
 *
 * <https://owasp.org/www-community/attacks/CSV_Injection>
 */
export function spreadsheetCell(text: string): string {
  const safe = /^[=+\-@\t\r\n＝＋－＠]/u.test(text) ? `'${text}` : text;
  return /[",\r\n;\t]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** Rejected rows as a CSV file for a spreadsheet. */
export function rejectsCsv(rejects: Reject[]): string {
  const lines = rejects.map((reject) =>
    [String(reject.line), String(reject.record), String(reject.byte), reject.reason, reject.message, reject.row]
      .map(spreadsheetCell)
      .join(","),
  );
  return `\uFEFF${["line,row,byte,reason,message,text", ...lines].join("\r\n")}\r\n`;
}

/** A file of rejected rows to be corrected. */
export interface Correction {
  text: string;
  /** The format of that file. */
  format: Format;
  /** Ending of its name. */
  ending: string;
  /** Rows that are not in it, because the report has only their beginnings. */
  truncated: number;
}

/** Makes a file of rejected rows, in the format they came in. `header` is the CSV header, if it is known. */
export function correctionOf(rejects: Reject[], format: string | undefined, header: string | undefined): Correction {
  const whole = rejects.filter((reject) => !reject.truncated);
  const truncated = rejects.length - whole.length;
  const rows = whole.map((reject) => reject.row);
  const lines = (all: string[]) => all.map((line) => `${line}\n`).join("");
  if (format === "csv") return { text: lines([header ?? "", ...rows]), format, ending: "csv", truncated };
  if (format === "json") return { text: `[\n${rows.join(",\n")}\n]\n`, format, ending: "json", truncated };
  const known = format === "ddb-json" ? "ddb-json" : "jsonl";
  return { text: lines(rows), format: known, ending: "jsonl", truncated };
}

/** What a corrected file is called: after the one it corrects. */
export function correctionName(file: string, ending: string): string {
  const stem = file
    .replace(/\.(?:gz|zst)$/i, "")
    .replace(/\.[A-Za-z]{1,6}$/, "")
    .replace(/-corrected$/, "");
  return `${stem || "rows"}-corrected.${ending}`;
}
