import { plain } from "./plain";

/** Why a row is rejected, by the importer's name for it: what is wrong in a few words, and what to do about it. */
const REASONS: Record<string, [title: string, fix: string]> = {
  "not-an-object": ["Not a row", "Write the row as names and values in braces."],
  "broken-line": ["Broken JSON", "Correct the line; a comma, a quote or a bracket is missing or too many."],
  "broken-json": ["Broken JSON", "Correct the row; a comma, a quote or a bracket is missing or too many."],
  "rounded-key": [
    "Key shortened by a spreadsheet",
    "Save the column as text in the spreadsheet, or set its type under Options.",
  ],
  "repeated-header": ["Header again", "Remove the line: it is the header once more, and no row."],
  "ragged-row": [
    "Wrong number of cells",
    "Give the row as many cells as the header has names. A cell that holds the delimiter must stand in quotes.",
  ],
  "text-after-quote": [
    "Quote in the wrong place",
    "Write a quote inside a cell twice. A quote before it may never be closed.",
  ],
  "not-text": ["Unreadable characters", "Upload the file again and choose its encoding under Options."],
  "row-too-long": ["Row too long", "Shorten the row, or look for a quote before it that is never closed."],
  "duplicate-attribute": ["Name twice", "Keep one of the two values."],
  "empty-attribute-name": ["Value without a name", "Give the value a name, or remove it."],
  "attribute-name-too-long": ["Name too long", "Shorten the name."],
  "missing-key": ["Key missing", "Fill in the key: the table needs it in every row."],
  "key-type": ["Key of the wrong type", "Write the key as the table's type: N is a number, S is text."],
  "empty-key": ["Key empty", "Fill in the key: the table needs it in every row."],
  "key-too-long": ["Key too long", "Shorten the key."],
  "item-too-large": ["Row too large", "Shorten its values: an item has at most 400 KB."],
  "too-deep": ["Nested too deep", "Values may be nested 32 levels deep."],
  "not-a-number": ["Not a number", "Write a number, with a point for decimals and no separators."],
  "number-precision": [
    "Too many digits",
    "Use at most 38 digits, or store the column as text: choose type S for it under Options.",
  ],
  "number-range": ["Number out of range", "Use a smaller number, or store the column as text under Options."],
  "declared-type": ["Does not fit its type", "Correct the value, or change the column's type under Options."],
  "not-base64": ["Not Base64", "Write the value as Base64, with its padding."],
  "not-dynamodb-json": ["Not DynamoDB JSON", 'Write each value with its type, such as {"S": "text"}.'],
  "empty-set": ["Empty set", "Leave the value out."],
  "duplicate-in-set": ["Twice in a set", "Keep one of the two."],
  refused: ["Refused by the table", "Correct the row and import it again."],
};

/** The names that the importer has for reasons. */
export const REASON_CODES = Object.keys(REASONS);

/** A reason in the page's words; `detail` is what the importer says of this one row, as far as it is for this page. */
export function reasonWords(code: string, message: string): { title: string; detail: string; fix: string } {
  const [title, fix] = REASONS[code] ?? ["Rejected", ""];
  return { title, detail: plain(message.split("; ")[0] ?? ""), fix };
}
