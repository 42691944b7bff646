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

/** Cuts a text into records; lines that are blank, or have only delimiters, are none. */
export function* csvRecords(text: string, delimiter: string): Generator<CsvRecord> {
  let at = 0;
  let line = 1;
  for (;;) {
    for (;;) {
      let end = at;
      while (text[end] === delimiter) end++;
      if (end >= text.length) return;
      if (text[end] !== "\n" && text[end] !== "\r") break;
      at = end + (text[end] === "\r" && text[end + 1] === "\n" ? 2 : 1);
      line++;
    }
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

/** The delimiter by which the header line has one of `keys`; else the one that it has most of outside quotes, or a comma. */
export function sniffDelimiter(text: string, keys: string[]): string {
  const counts = new Map([",", ";", "\t", "|"].map((delimiter) => [delimiter, 0]));
  const trimmed = text.replace(/^[ \t\r\n\f]+/, "");
  let quoted = false;
  let end = 0;
  for (; end < trimmed.length; end++) {
    const character = trimmed[end] as string;
    if (character === '"') quoted = !quoted;
    else if ((character === "\n" || character === "\r") && !quoted) break;
    else if (!quoted && counts.has(character)) counts.set(character, (counts.get(character) ?? 0) + 1);
  }
  const names = (delimiter: string) =>
    trimmed
      .slice(0, end)
      .split(delimiter)
      .map((name) => name.replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, "").replace(/^"|"$/g, ""));
  const score = (delimiter: string) => {
    const count = counts.get(delimiter) ?? 0;
    return [Number(count > 0 && names(delimiter).some((name) => keys.includes(name))), count] as const;
  };
  let best = ",";
  for (const delimiter of counts.keys()) {
    const [key, count] = score(delimiter);
    const [bestKey, bestCount] = score(best);
    if (key > bestKey || (key === bestKey && count > bestCount)) best = delimiter;
  }
  return best;
}

/** A record without the blanks around quoted cells, which make quotes text; nothing if it has none. */
export function withoutBlanks(text: string, delimiter: string): string | undefined {
  let cleaned = "";
  let rest = text;
  for (;;) {
    const quoted = /^ *("(?:[^"]|"")*")( *)/.exec(rest);
    if (quoted) {
      const [all, cell = "", behind = ""] = quoted;
      // It may be a quote that opens a cell, of a row that was swallowed.
      if (behind !== "" && /[\r\n]/.test(cell)) return undefined;
      cleaned += cell;
      rest = rest.slice(all.length);
    } else {
      if (/^ *"/.test(rest)) return undefined;
      const end = rest.indexOf(delimiter);
      cleaned += end < 0 ? rest : rest.slice(0, end);
      rest = end < 0 ? "" : rest.slice(end);
    }
    if (rest === "") return cleaned.length < text.length ? cleaned : undefined;
    if (!rest.startsWith(delimiter)) return undefined;
    rest = rest.slice(delimiter.length);
    cleaned += delimiter;
  }
}

/** A column's name without white space around it, which nothing shows. */
export function trimName(cell: string): string {
  return cell.replace(/^[\s\u0085\u200b]+|[\s\u0085\u200b]+$/g, "");
}

/** Whether a record is Excel's line that names the file's delimiter. */
export function isSeparatorLine(record: string): boolean {
  return /^sep=.$/is.test(record);
}
