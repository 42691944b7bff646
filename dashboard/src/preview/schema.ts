import { PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX } from "./limits";

/** A type that a key attribute may have. */
export type KeyType = "S" | "N" | "B";
/** A type that can be declared for an attribute. */
export type DeclaredType = "S" | "N" | "B" | "BOOL";

/** One attribute of a key, of the table or of an index. */
export interface KeyAttribute {
  name: string;
  type: KeyType;
  limitBytes: number;
}

/** A table's keys. */
export interface Schema {
  table: string;
  /** The partition key, then the sort key if there is one. */
  key: KeyAttribute[];
  /** Key attributes of secondary indexes: a row may lack them, but not have them in another type. */
  indexKeys: KeyAttribute[];
  /** Items, as of the last time DynamoDB counted (every six hours or so). */
  itemCount?: number;
}

interface KeyElement {
  AttributeName?: string | undefined;
  KeyType?: string | undefined;
}

/** What of DescribeTable's answer matters here. */
export interface TableDescription {
  TableName?: string | undefined;
  ItemCount?: number | undefined;
  KeySchema?: KeyElement[] | undefined;
  AttributeDefinitions?: { AttributeName?: string | undefined; AttributeType?: string | undefined }[] | undefined;
  GlobalSecondaryIndexes?: { KeySchema?: KeyElement[] | undefined }[] | undefined;
  LocalSecondaryIndexes?: { KeySchema?: KeyElement[] | undefined }[] | undefined;
}

/** The keys that DescribeTable tells of. */
export function schemaOf(table: TableDescription): Schema {
  const types = new Map(table.AttributeDefinitions?.map((d) => [d.AttributeName, d.AttributeType]));
  const attribute = (element: KeyElement): KeyAttribute => ({
    name: element.AttributeName ?? "",
    type: (types.get(element.AttributeName) ?? "S") as KeyType,
    limitBytes: element.KeyType === "RANGE" ? SORT_KEY_BYTES_MAX : PARTITION_KEY_BYTES_MAX,
  });
  const key = (table.KeySchema ?? []).map(attribute);
  // DynamoDB gives the partition key first, but nothing says so.
  key.sort((a, b) => b.limitBytes - a.limitBytes);
  const indexes = [...(table.GlobalSecondaryIndexes ?? []), ...(table.LocalSecondaryIndexes ?? [])];
  const indexKeys = indexes.flatMap((index) => (index.KeySchema ?? []).map(attribute));
  const schema: Schema = { table: table.TableName ?? "", key, indexKeys };
  if (table.ItemCount !== undefined) schema.itemCount = table.ItemCount;
  return schema;
}

/** Reads declared types, `price:N,sku:S`; a text says what is wrong with them. */
export function parseTypes(text: string): Map<string, DeclaredType> | string {
  const types = new Map<string, DeclaredType>();
  for (const pair of text.split(",").filter((part) => part.trim() !== "")) {
    // The last colon divides, so that an attribute name may hold one.
    const colon = pair.lastIndexOf(":");
    if (colon < 0) return `"${pair.trim()}" has no type; write NAME:TYPE, for example price:N`;
    const name = pair.slice(0, colon).trim();
    const type = pair
      .slice(colon + 1)
      .trim()
      .toUpperCase();
    if (type !== "S" && type !== "N" && type !== "B" && type !== "BOOL") {
      return `"${type}" is not a type; it is one of S, N, B, BOOL`;
    }
    if (types.has(name)) return `"${name}" is declared twice`;
    types.set(name, type);
  }
  return types;
}

/** Writes declared types as {@link parseTypes} reads them. */
export function formatTypes(types: Map<string, DeclaredType>): string {
  return Array.from(types, ([name, type]) => `${name}:${type}`).join(",");
}
