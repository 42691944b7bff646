/**
 * A JSON value. Numbers keep their text, and objects every member, also those that come twice. Only what is cut off, or
 * broken, is not closed; the last name may then be without a value.
 */
export type Json =
  | { kind: "string"; value: string }
  | { kind: "number"; text: string }
  | { kind: "boolean"; value: boolean }
  | { kind: "null" }
  | { kind: "object"; members: [string, Json][]; closed: boolean; lastName?: string }
  | { kind: "array"; elements: Json[]; closed: boolean };

/** What is no JSON, and where. */
export class JsonProblem extends Error {
  constructor(
    /** What was found. */
    readonly problem: string,
    /** Index of the character. */
    readonly at: number,
    /** Whether more text might have made it right. */
    readonly incomplete: boolean,
  ) {
    super(problem);
  }
}

/** Deepest nesting that is followed: recursion must end before the stack does. */
const NESTING_MAX = 1000;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
/** What may not come directly after a number or a word. */
const FOLLOWED = /[^ \t\r\n,\]}:]/;
const UNESCAPED = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Record<string, string> = { b: "\b", f: "\f", n: "\n", r: "\r", t: "\t", '"': '"', "\\": "\\", "/": "/" };

/** Reads JSON values one after the other from a text that may be cut off. */
export class JsonParser {
  /**
   * The value that was begun last. Values are in their parents before they are read, so that it holds what there
   * is of a value that is cut off.
   */
  begun: Json | undefined;

  constructor(
    readonly text: string,
    /** Index of the character that is read next. */
    public at = 0,
  ) {}

  /** The next character that is not white space; empty at the end. */
  peek(): string {
    while (this.at < this.text.length && " \t\r\n".includes(this.text[this.at] as string)) this.at++;
    return this.text[this.at] ?? "";
  }

  /** Consumes `character` if it comes next. */
  take(character: string): boolean {
    if (this.peek() !== character) return false;
    this.at++;
    return true;
  }

  /** Fails. */
  fail(problem: string): never {
    if (this.at >= this.text.length) throw new JsonProblem("the end of the file inside a value", this.at, true);
    throw new JsonProblem(problem, this.at, false);
  }

  /** Reads one value. */
  value(): Json {
    this.begun = undefined;
    return this.read(0, (value) => {
      this.begun = value;
    });
  }

  private read(depth: number, begin: (value: Json) => void): Json {
    const first = this.peek();
    if (depth > NESTING_MAX) this.fail(`values are nested deeper than ${NESTING_MAX} levels`);
    if (first === "{") return this.object(depth, begin);
    if (first === "[") return this.array(depth, begin);
    if (first === '"') {
      const string = { kind: "string" as const, value: "" };
      begin(string);
      string.value = this.string();
      return string;
    }
    if (first === "-" || (first >= "0" && first <= "9")) {
      const number = { kind: "number" as const, text: "" };
      begin(number);
      number.text = this.number();
      return number;
    }
    const word = this.word(first);
    begin(word);
    return word;
  }

  private word(first: string): Json {
    for (const word of ["true", "false", "null"]) {
      if (this.text.startsWith(word, this.at)) {
        this.at += word.length;
        if (FOLLOWED.test(this.text[this.at] ?? "")) this.fail("text directly after true, false or null");
        return word === "null" ? { kind: "null" } : { kind: "boolean", value: word === "true" };
      }
      if (first !== "" && word.startsWith(this.text.slice(this.at))) this.at = this.text.length;
    }
    if (first === "/" || first === "#") this.fail("a comment, which JSON does not have");
    if (first === ",") this.fail("a comma where none may stand");
    if (first === ":") this.fail("a colon where none may stand");
    if (first === "}" || first === "]") this.fail("a closing bracket that nothing opened");
    return this.fail("a word that is neither true, false nor null");
  }

  private object(depth: number, begin: (value: Json) => void): Json {
    const members: [string, Json][] = [];
    const object: Json & { kind: "object" } = { kind: "object", members, closed: false };
    begin(object);
    this.at++;
    if (this.take("}")) return close(object);
    for (;;) {
      if (this.peek() !== '"') {
        this.fail(
          this.text[this.at] === "}"
            ? "a comma after the last element"
            : "something else where a name in quotes or } must stand",
        );
      }
      const name = this.string();
      object.lastName = name;
      if (!this.take(":")) this.fail("a missing colon after a name");
      this.read(depth + 1, (value) => members.push([name, value]));
      if (this.take("}")) return close(object);
      if (!this.take(",")) this.fail("a missing comma");
    }
  }

  private array(depth: number, begin: (value: Json) => void): Json {
    const elements: Json[] = [];
    const array = { kind: "array" as const, elements, closed: false };
    begin(array);
    this.at++;
    if (this.take("]")) return close(array);
    for (;;) {
      if (this.peek() === "]") this.fail("a comma after the last element");
      this.read(depth + 1, (value) => elements.push(value));
      if (this.take("]")) return close(array);
      if (!this.take(",")) this.fail("a missing comma");
    }
  }

  private number(): string {
    NUMBER.lastIndex = this.at;
    const text = NUMBER.exec(this.text)?.[0];
    if (text === undefined) {
      this.at++;
      return this.fail("a malformed number");
    }
    this.at += text.length;
    if (FOLLOWED.test(this.text[this.at] ?? "")) {
      // A text that is cut off inside a number may look malformed: 1e, 1., 1e-.
      const rest = this.text.slice(this.at, this.at + 2);
      if (this.at + rest.length >= this.text.length && /^(?:\.|[eE][+-]?)$/.test(rest)) this.at = this.text.length;
      this.fail(text === "0" || text === "-0" ? "a malformed number" : "text directly after a number");
    }
    return text;
  }

  private string(): string {
    this.at++;
    let value = "";
    for (;;) {
      UNESCAPED.lastIndex = this.at;
      const plain = UNESCAPED.exec(this.text)?.[0] ?? "";
      value += plain;
      this.at += plain.length;
      const character = this.text[this.at];
      if (character === '"') {
        this.at++;
        return value;
      }
      if (character !== "\\") this.fail("a line break or control character inside a string (an unclosed quote?)");
      value += this.escape();
    }
  }

  private escape(): string {
    const letter = this.text[this.at + 1];
    if (letter !== "u") {
      const plain = letter === undefined ? undefined : ESCAPES[letter];
      if (plain === undefined) {
        if (letter === undefined) this.at = this.text.length;
        this.fail("an unknown escape sequence");
      }
      this.at += 2;
      return plain;
    }
    const unit = this.unit();
    if (unit >= 0xdc00 && unit <= 0xdfff) this.fail("half of a surrogate pair (\\uD800 to \\uDFFF)");
    if (unit < 0xd800 || unit > 0xdbff) return String.fromCharCode(unit);
    if (this.at >= this.text.length || !"\\u".startsWith(this.text.slice(this.at, this.at + 2))) {
      this.fail("half of a surrogate pair (\\uD800 to \\uDFFF)");
    }
    const low = this.unit();
    if (low < 0xdc00 || low > 0xdfff) this.fail("half of a surrogate pair (\\uD800 to \\uDFFF)");
    return String.fromCharCode(unit, low);
  }

  private unit(): number {
    const digits = this.text.slice(this.at + 2, this.at + 6);
    if (!/^[\da-fA-F]{4}$/.test(digits)) {
      if (this.at + 6 > this.text.length && /^[\da-fA-F]*$/.test(digits)) this.at = this.text.length;
      this.fail("a malformed escape sequence");
    }
    this.at += 6;
    return Number.parseInt(digits, 16);
  }
}

function close<T extends Json & { closed: boolean }>(container: T): T {
  container.closed = true;
  return container;
}

/** What a JSON value is called in messages. */
export function kindName(value: Json): string {
  return value.kind;
}
