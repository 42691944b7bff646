import { csvRecords, isSeparatorLine, sniffDelimiter } from "../preview/csv";
import type { ReadOptions } from "../preview/detect";
import { HEAD_BYTES, readHead } from "../preview/head";

/**
 * The header of a CSV file as it stands there, read from the file's beginning; nothing if it is not in it. `beginning`
 * gives the first bytes of the file, `keys` are the names of the table's key.
 */
export async function headerOf(
  beginning: (bytes: number) => Promise<Uint8Array>,
  options: ReadOptions,
  keys: string[],
): Promise<string | undefined> {
  const bytes = await beginning(HEAD_BYTES);
  const head = await readHead(new Blob([new Uint8Array(bytes)]), options);
  if ("problem" in head) return undefined;
  for (const header of csvRecords(head.text, options.delimiter ?? sniffDelimiter(head.text, keys))) {
    if (!isSeparatorLine(header.text)) return header.cut === "inside-quotes" ? undefined : header.text;
  }
  return undefined;
}
