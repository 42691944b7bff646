import type { Json } from "./json";
import { kindName } from "./json";
import { ATTRIBUTE_NAME_BYTES_MAX, DEPTH_MAX, ITEM_BYTES_MAX, shorten, utf8Bytes } from "./limits";
import { isJsonNumber, parseNumber } from "./number";
import { isReason, problem, type Reason } from "./reason";
import type { DeclaredType, KeyAttribute, Schema } from "./schema";

/** A value as DynamoDB JSON writes it. */
export type AttributeValue =
  | { S: string }
  | { N: string }
  | { B: string }
  | { BOOL: boolean }
  | { NULL: true }
  | { M: Record<string, AttributeValue> }
  | { L: AttributeValue[] }
  | { SS: string[] }
  | { NS: string[] }
  | { BS: string[] };

/** An item: attributes by name, in the file's order. */
export type Item = Map<string, AttributeValue>;

/** How the rows of a JSON file are written. */
export type Typing = "plain" | "dynamodb" | "dynamodb-item" | "put-request";

/** The members around an item, outermost first. */
const AROUND: Record<Typing, string[]> = {
  plain: [],
  dynamodb: [],
  "dynamodb-item": ["Item"],
  "put-request": ["PutRequest", "Item"],
};

const TYPE_KINDS: Record<string, Json["kind"]> = {
  S: "string",
  N: "string",
  B: "string",
  BOOL: "boolean",
  NULL: "boolean",
  M: "object",
  L: "array",
  SS: "array",
  NS: "array",
  BS: "array",
};
const CONTAINER_BYTES = 3;
const MEMBER_BYTES = 1;

/** The kind of JSON that a DynamoDB type holds; nothing if there is no such type. */
export function kindOfType(name: string): Json["kind"] | undefined {
  return Object.hasOwn(TYPE_KINDS, name) ? TYPE_KINDS[name] : undefined;
}

/** The type of a value, as DynamoDB names it. */
export function typeOf(value: AttributeValue): string {
  return Object.keys(value)[0] ?? "";
}

class Rejected extends Error {
  constructor(readonly reason: Reason) {
    super(reason.message);
  }
}

/** Turns rows into items by the importer's rules, and finds the first thing that is wrong with a row. */
export class ItemBuilder {
  private sizeBytes = 0;
  private attribute = "";

  constructor(
    private readonly schema: Schema | undefined,
    private readonly types: Map<string, DeclaredType>,
  ) {}

  /** The item of a CSV row whose cells fit the header. */
  ofCells(columns: string[], cells: string[]): Item | Reason {
    return this.build((item) => {
      columns.forEach((name, index) => {
        const cell = cells[index] ?? "";
        // An empty cell is an absent attribute.
        if (cell === "") return;
        this.name(name, item.has(name), true);
        item.set(name, this.scalar(this.cellValue(name, cell), true));
      });
    });
  }

  /** The item of a row of JSON. */
  ofJson(row: Json, typing: Typing): Item | Reason {
    return this.build((item) => {
      if (row.kind !== "object") {
        reject("not-an-object", `the row is a JSON ${kindName(row)}, not an object; wrap it as {"attribute": value}`);
      }
      const members = AROUND[typing].reduce((around, name) => this.only(name, around), row.members);
      this.members(members, typing !== "plain", item);
    });
  }

  private build(fill: (item: Item) => void): Item | Reason {
    const item: Item = new Map();
    this.sizeBytes = 0;
    try {
      fill(item);
    } catch (error) {
      if (error instanceof Rejected) return error.reason;
      throw error;
    }
    for (const key of this.schema?.key ?? []) {
      if (!item.has(key.name)) {
        return problem("missing-key", `key attribute "${key.name}" is missing; the table's key needs it in every row`);
      }
    }
    return item;
  }

  private cellValue(name: string, cell: string): AttributeValue {
    const keys = [...(this.schema?.key ?? []), ...(this.schema?.indexKeys ?? [])];
    const type = this.types.get(name) ?? keys.find((key) => key.name === name)?.type;
    if (type === "N") return { N: cell };
    if (type === "B") return { B: cell };
    if (type !== undefined) return { S: cell };
    return isJsonNumber(cell) && !isReason(parseNumber(cell)) ? { N: cell } : { S: cell };
  }

  private only(wanted: string, members: [string, Json][]): [string, Json][] {
    let found: [string, Json][] | undefined;
    for (const [name, value] of members) {
      if (name !== wanted || found || value.kind !== "object") {
        rejectUntyped(`a row must be {"${wanted}": {…}} and nothing else`);
      }
      found = value.members;
    }
    return found ?? rejectUntyped(`the row has no "${wanted}"`);
  }

  private members(members: [string, Json][], typed: boolean, item: Item): void {
    for (const [name, value] of members) {
      this.name(name, item.has(name), true);
      item.set(name, this.value(value, typed, 1));
    }
  }

  private name(name: string, seen: boolean, top: boolean): void {
    if (name === "") reject("empty-attribute-name", "an attribute has an empty name");
    const bytes = utf8Bytes(name);
    if (bytes > ATTRIBUTE_NAME_BYTES_MAX) {
      reject(
        "attribute-name-too-long",
        `an attribute name has ${bytes} bytes, DynamoDB allows ${ATTRIBUTE_NAME_BYTES_MAX}`,
      );
    }
    if (seen) {
      reject("duplicate-attribute", `attribute "${shorten(name)}" appears twice in one object; keep one`);
    }
    if (top) this.attribute = name;
    this.add(bytes + (top ? 0 : MEMBER_BYTES));
  }

  private value(value: Json, typed: boolean, level: number): AttributeValue {
    if (level > DEPTH_MAX) {
      this.rejectValue(problem("too-deep", "values are nested deeper than 32 levels, DynamoDB's limit"));
    }
    if (typed) return this.typed(value, level);
    switch (value.kind) {
      case "string":
        return this.scalar({ S: value.value }, level === 1);
      case "number":
        return this.scalar({ N: value.text }, level === 1);
      case "boolean":
        return this.scalar({ BOOL: value.value }, level === 1);
      case "null":
        return this.scalar({ NULL: true }, level === 1);
      case "object":
        return this.map(value.members, false, level);
      case "array":
        return this.list(value.elements, false, level);
    }
  }

  private typed(value: Json, level: number): AttributeValue {
    if (value.kind !== "object") {
      rejectUntyped(`a ${kindName(value)} where {"S": …} or another type must stand`);
    }
    const [first, second] = value.members;
    if (!first) rejectUntyped('an empty object where {"S": …} or another type must stand');
    const [type, content] = first;
    if (kindOfType(type) !== content.kind) {
      rejectUntyped("a type that DynamoDB does not have, or a value that does not fit it");
    }
    const result = this.typedContent(type, content, level);
    if (second) rejectUntyped("a value with more than one type");
    return result;
  }

  private typedContent(type: string, content: Json, level: number): AttributeValue {
    const top = level === 1;
    if (content.kind === "string") {
      const text = content.value;
      return this.scalar(type === "N" ? { N: text } : type === "B" ? { B: text } : { S: text }, top);
    }
    if (content.kind === "boolean") {
      if (type === "BOOL") return this.scalar({ BOOL: content.value }, top);
      if (!content.value) rejectUntyped('{"NULL": false}; a null is {"NULL": true}');
      return this.scalar({ NULL: true }, top);
    }
    if (content.kind === "object") return this.map(content.members, true, level);
    if (content.kind !== "array") return rejectUntyped("a value that does not fit its type");
    return type === "L" ? this.list(content.elements, true, level) : this.set(type, content.elements, top);
  }

  private map(members: [string, Json][], typed: boolean, level: number): AttributeValue {
    if (level === 1) this.notScalar("M");
    this.add(CONTAINER_BYTES);
    const map = new Map<string, AttributeValue>();
    for (const [name, value] of members) {
      this.name(name, map.has(name), false);
      map.set(name, this.value(value, typed, level + 1));
    }
    return { M: Object.fromEntries(map) };
  }

  private list(elements: Json[], typed: boolean, level: number): AttributeValue {
    if (level === 1) this.notScalar("L");
    this.add(CONTAINER_BYTES);
    return {
      L: elements.map((element) => {
        this.add(MEMBER_BYTES);
        return this.value(element, typed, level + 1);
      }),
    };
  }

  private set(type: string, elements: Json[], top: boolean): AttributeValue {
    if (top) this.notScalar(type);
    const seen = new Set<string>();
    const members = elements.map((element) => {
      if (element.kind !== "string") rejectUntyped("a set whose members are not all strings");
      const text = element.value;
      let canonical = text;
      if (type === "NS") {
        const number = this.check(parseNumber(text));
        canonical = number.canonical;
        this.add(number.sizeBytes);
      } else {
        this.add(type === "BS" ? this.check(base64Bytes(text)).bytes : utf8Bytes(text));
      }
      if (seen.has(canonical)) this.rejectValue(problem("duplicate-in-set", "a set holds the same member twice"));
      seen.add(canonical);
      return text;
    });
    if (members.length === 0) {
      this.rejectValue(problem("empty-set", "a set is empty; DynamoDB refuses empty sets, leave the attribute out"));
    }
    return type === "SS" ? { SS: members } : type === "NS" ? { NS: members } : { BS: members };
  }

  private scalar(found: AttributeValue, top: boolean): AttributeValue {
    const value = top ? this.declared(found) : found;
    if (top) this.checkKeys(value);
    if ("S" in value) this.add(utf8Bytes(value.S));
    else if ("N" in value) this.add(this.check(parseNumber(value.N)).sizeBytes);
    else if ("B" in value) this.add(this.check(base64Bytes(value.B)).bytes);
    else this.add(1);
    return value;
  }

  private declared(value: AttributeValue): AttributeValue {
    const declared = this.types.get(this.attribute);
    if (declared === undefined || "NULL" in value || declared === typeOf(value)) {
      if (declared === "N" && "N" in value) this.fits(declared, parseNumber(value.N));
      if (declared === "B" && "B" in value) this.fits(declared, base64Bytes(value.B));
      return value;
    }
    if (declared === "S" && "N" in value) return { S: value.N };
    if (declared === "S" && "BOOL" in value) return { S: String(value.BOOL) };
    if ("S" in value) {
      const text = value.S;
      if (declared === "N") {
        this.fits(declared, parseNumber(text));
        return { N: text };
      }
      if (declared === "B") {
        this.fits(declared, base64Bytes(text));
        return { B: text };
      }
      if (text.toLowerCase() === "true") return { BOOL: true };
      if (text.toLowerCase() === "false") return { BOOL: false };
    }
    return this.misfit(declared, `the value is a ${typeOf(value)}`);
  }

  private fits(declared: DeclaredType, checked: object): void {
    if (isReason(checked)) this.misfit(declared, checked.message);
  }

  private misfit(declared: DeclaredType, why: string): never {
    reject("declared-type", `"${shorten(this.attribute)}" does not fit its declared type ${declared}: ${why}`);
  }

  private checkKeys(value: AttributeValue): void {
    for (const key of [...(this.schema?.indexKeys ?? []), ...(this.schema?.key ?? [])]) {
      if (key.name === this.attribute) this.checkKey(key, value);
    }
  }

  private checkKey(key: KeyAttribute, value: AttributeValue): void {
    let bytes = 0;
    if (key.type === "S" && "S" in value) bytes = utf8Bytes(value.S);
    else if (key.type === "N" && "N" in value) bytes = this.check(parseNumber(value.N)).sizeBytes;
    else if (key.type === "B" && "B" in value) bytes = this.check(base64Bytes(value.B)).bytes;
    else rejectKeyType(key, typeOf(value));
    if (bytes === 0) reject("empty-key", `key attribute "${key.name}" is empty; DynamoDB refuses empty keys`);
    if (bytes > key.limitBytes) {
      reject("key-too-long", `key attribute "${key.name}" has ${bytes} bytes, DynamoDB allows ${key.limitBytes}`);
    }
  }

  private notScalar(found: string): void {
    for (const key of [...(this.schema?.key ?? []), ...(this.schema?.indexKeys ?? [])]) {
      if (key.name === this.attribute) rejectKeyType(key, found);
    }
    const declared = this.types.get(this.attribute);
    if (declared) this.misfit(declared, `the value is a ${found}`);
  }

  private check<T extends object>(value: T | Reason): T {
    return isReason(value) ? this.rejectValue(value) : value;
  }

  private rejectValue(reason: Reason): never {
    reject(reason.code, `"${shorten(this.attribute)}": ${reason.message}`);
  }

  private add(bytes: number): void {
    this.sizeBytes += bytes;
    if (this.sizeBytes > ITEM_BYTES_MAX) {
      reject("item-too-large", "the item is larger than 409,600 bytes (400 KB), DynamoDB's limit");
    }
  }
}

function base64Bytes(text: string): { bytes: number } | Reason {
  return text.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(text)
    ? { bytes: (text.length / 4) * 3 - (/=*$/.exec(text)?.[0].length ?? 0) }
    : problem("not-base64", "a binary value is not Base64 (RFC 4648, padded)");
}

function reject(code: string, message: string): never {
  throw new Rejected(problem(code, message));
}

function rejectUntyped(what: string): never {
  return reject("not-dynamodb-json", `not DynamoDB JSON: ${what}`);
}

function rejectKeyType(key: KeyAttribute, found: string): never {
  return reject("key-type", `key attribute "${key.name}" is of type ${found}, the table needs ${key.type}`);
}
