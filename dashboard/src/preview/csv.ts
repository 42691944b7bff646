/** One record of a CSV file (RFC 4180), read as the importer's parser reads it. */
export interface CsvRecord {
  cells: string[];
  /** Line it begins on, from 1. */
  line: number;
  /** The record as it stands in the file, without its line break. */
  text: string;
  /** Whether a quoted cell goes on after its closing quote: it is unknown where it was meant to end. */
  textAfterQuote: boolean;
  /** Whether the text ends before the record does: no line break, or an open quote. */
  cut: "no" | "unterminated" | "inside-quotes";
}

/** Cuts a text into records; blank lines are none. */
export function* csvRecords(text: string, delimiter: string): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  for (;;) {
    while (text[at] === "\n" || text[at] === "\r") {
      at += text[at] === "\r" && text[at + 1] === "\n" ? 2 : 1;
      line++;
    }
    if (at >= text.length) return;
    const begin = at;
    const record: CsvRecord = { cells: [], line, text: "", textAfterQuote: false, cut: "unterminated" };
    let cell = "";
    let quoted = false;
    let cellBegins = true;
    while (at < text.length) {
      const character = text[at] as string;
      if (quoted) {
        if (character === '"') {
          if (text[at + 1] === '"') {
            cell += '"';
            at += 2;
            continue;
          }
          quoted = false;
          const next = text[at + 1];
          if (next !== undefined && next !== delimiter && next !== "\r" && next !== "\n") record.textAfterQuote = true;
        } else {
          if (character === "\n" || (character === "\r" && text[at + 1] !== "\n")) line++;
          cell += character;
        }
        at++;
        continue;
      }
      if (character === "\n" || character === "\r") {
        record.cut = "no";
        break;
      }
      if (character === '"' && cellBegins) {
        quoted = true;
      } else if (character === delimiter) {
        record.cells.push(cell);
        cell = "";
        cellBegins = true;
        at++;
        continue;
      } else {
        cell += character;
      }
      cellBegins = false;
      at++;
    }
    if (quoted) record.cut = "inside-quotes";
    record.cells.push(cell);
    record.text = text.slice(begin, at);
    yield record;
  }
}

/** The delimiter that the header line has most of outside quotes; a comma if it has none, or as many. */
export function sniffDelimiter(text: string): string {
  const counts = new Map([",", ";", "\t", "|"].map((delimiter) => [delimiter, 0]));
  let quoted = false;
  for (const character of text.replace(/^[ \t\r\n\f]+/, "")) {
    if (character === '"') quoted = !quoted;
    else if ((character === "\n" || character === "\r") && !quoted) break;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  let best = ",";
  for (const [delimiter, count] of counts) if (count > (counts.get(best) ?? 0)) best = delimiter;
  return best;
}
