/** Where rows of JSON end, whatever is in them, as `rows/src/decode/frame.rs` says it. */

/** White space in JSON. */
export const isBlank = (character: string | undefined) => character !== undefined && " \t\r\n".includes(character);

/** Goes through text: whether the character is outside of strings and not escaped. */
function outside(): (character: string) => boolean {
  let escaped = false;
  let quoted = false;
  return (character) => {
    if (escaped) escaped = false;
    else if (character === "\\") escaped = true;
    else if (character === '"') quoted = !quoted;
    else return !quoted;
    return false;
  };
}

/** Where the comma or closing bracket is that ends the element of an array that begins at `at`; else the text's length. */
export function elementEnd(text: string, at: number): number {
  const isOutside = outside();
  let depth = 0;
  for (; at < text.length; at++) {
    const character = text[at] as string;
    if (!isOutside(character)) continue;
    if (character === "{" || character === "[") depth++;
    else if (character === "}" || character === "]") {
      if (depth-- === 0) return at;
    } else if (character === "," && depth === 0) return at;
  }
  return at;
}

/** Where the value is that comes next of values one after the other. */
export interface Framed {
  begin: number;
  /** Behind it. */
  end: number;
  /** Whether its closing bracket or quote, or the white space behind a word, is there. */
  closed: boolean;
}

/** The value that comes at `at` or behind it; none if there is only white space, or byte order marks. */
export function valueAt(text: string, at: number): Framed | undefined {
  while (isBlank(text[at])) at++;
  const begin = at;
  while (isBlank(text[at]) || text[at] === "\uFEFF") at++;
  const first = text[at];
  if (first === undefined) return undefined;
  if (!'{["'.includes(first)) {
    while (at < text.length && !isBlank(text[at])) at++;
    return { begin, end: at, closed: at < text.length };
  }
  const rest =
    first === '"' ? (STRING.exec(text.slice(at))?.[0].length ?? Number.POSITIVE_INFINITY) : bracketed(text, at);
  return { begin, end: Math.min(at + rest, text.length), closed: at + rest <= text.length };
}

const STRING = /^"(?:[^"\\]|\\.)*"/s;

/** How long the value is that begins with a bracket at `at`; infinite if it does not end. */
function bracketed(text: string, at: number): number {
  const isOutside = outside();
  let depth = 0;
  for (let end = at; end < text.length; end++) {
    const character = text[end] as string;
    if (!isOutside(character)) continue;
    if (character === "{" || character === "[") depth++;
    else if ((character === "}" || character === "]") && --depth === 0) return end + 1 - at;
  }
  return Number.POSITIVE_INFINITY;
}

/**
 * Whether broken JSON that was framed as a row is one, so that only it is lost: its quotes stand where they may, its
 * brackets fit each other, and it is one value. Open is what may become so; lost is what cannot, whatever follows.
 */
export function soundness(text: string): "sound" | "open" | "lost" {
  const open: string[] = [];
  let quoted = false;
  let escaped = false;
  let closed = false;
  let before: "text" | "string" | "other" = "other";
  for (const character of text) {
    if (quoted) {
      if (escaped) escaped = false;
      else if (character === "\\") escaped = true;
      else if (character === '"') {
        quoted = false;
        before = "string";
      }
      continue;
    }
    const last = before;
    before = "other";
    if (character === '"') {
      if (last === "text") return "lost";
      quoted = true;
    } else if (character === "{" || character === "[") {
      if (open.length === 0 && closed) return "lost";
      open.push(character === "{" ? "}" : "]");
    } else if (character === "}" || character === "]") {
      if (open.pop() !== character) return "lost";
      closed = true;
    } else if (!isBlank(character) && character !== "," && character !== ":") {
      if (character === "\\" || last === "string") return "lost";
      before = "text";
    }
  }
  return open.length === 0 && !quoted ? "sound" : "open";
}
