import type { Job } from "../jobs/job";
import { isForCommandLine, plain, sentence } from "./plain";

/** What the page can do about a failure: go to Upload with the file, or nothing. */
interface Words {
  title: string;
  fix: string;
  /** Whether the file is to be uploaded once more. */
  again: boolean;
}

const OPTION = (what: string) => `Choose the file again on Upload and set ${what} under Options.`;
const REPAIR = "Correct the file and upload it again. Rows that were written are replaced.";
const ASK = "Ask the people who run this stack to look into it.";

/** Why an import fails, by the importer's name for it. */
const FAILURES: Record<string, [title: string, fix: string, again?: boolean]> = {
  empty: ["The file is empty", "Choose a file with rows.", true],
  foreign: ["The file is of a kind that is not read", "Save it as CSV, JSON or JSON Lines and upload that.", true],
  delimiter: ["The delimiter does not fit the file", OPTION("Delimiter"), true],
  "rows-at": ["The rows are not where they were looked for", OPTION("Rows at"), true],
  types: ["The types do not fit the file", OPTION("Types"), true],
  format: ["The format does not fit the file", OPTION("Format"), true],
  wrapped: ["The rows are inside of an object", OPTION("Rows at"), true],
  encoding: ["The file has unreadable characters", OPTION("Encoding"), true],
  header: [
    "The header cannot be used",
    "Give each column of the first line a name of its own. Then upload it again.",
    true,
  ],
  "missing-key": [
    "The header lacks the table's key",
    "Name a column like the table's key, letter for letter, or set the right delimiter under Options.",
    true,
  ],
  "cut-off": [
    "The file is cut off",
    "Get the whole file and upload it again. Rows that were written are replaced.",
    true,
  ],
  broken: ["The file is broken", REPAIR, true],
  "row-too-long": ["A row is too long", REPAIR, true],
  compression: ["The compressed file is damaged", "Compress it again and upload it.", true],
  unreadable: ["The file could not be read to its end", "Upload it again. Rows that were written are replaced.", true],
  changed: ["The file was replaced or deleted", "Upload the rows again that only this file had.", true],
  "too-many-rejects": [
    "More rows were rejected than is allowed",
    "Look at the rejected rows, correct the file and upload it again.",
    true,
  ],
  cancelled: ["The import was cancelled", "Rows that were written stay. Upload the file again to import it.", true],
  access: ["The importer is not allowed to do this", ASK],
  service: ["AWS did not do what the importer asked for", `Upload the file again. If that does not help: ${ASK}`, true],
  throttled: ["The table has too little capacity", `Upload the file again later. If that does not help: ${ASK}`, true],
  deadline: ["The time for the import is over", "Upload the file again. Rows that were written are replaced.", true],
  interrupted: ["The import was interrupted", "Upload the file again. Rows that were written are replaced.", true],
  stalled: ["The import did not get on", `Upload the file again. If that does not help: ${ASK}`, true],
  "gave-up": ["The import was given up", `Upload the file again. If that does not help: ${ASK}`, true],
  report: ["The report could not be written", ASK],
  accounting: ["The counts do not add up", `This is a defect of Intake. ${ASK}`],
};

/** What went wrong with an import, in the page's words, and what the importer says of it, as far as that is for a page. */
export function failureWords(job: Job): (Words & { detail: string }) | undefined {
  const { code, reason, fix } = job;
  if (code === undefined && reason === undefined) return undefined;
  const detail = plain(reason ?? "");
  const known = code === undefined ? undefined : FAILURES[code];
  if (known) return { title: known[0], fix: known[1], again: known[2] ?? false, detail };
  const usable = fix !== undefined && !isForCommandLine(fix);
  return {
    title: detail === "" ? "The import did not end as it should" : detail.replace(/\.$/, ""),
    fix: usable ? sentence(fix) : ASK,
    again: false,
    detail: "",
  };
}
