/** A value of DynamoDB's, whether the SDK read it or a file holds it. */
export type Value = Record<string, unknown>;

/** A value as plain text, for a cell. Numbers keep every digit. */
export function textOf(value: Value | undefined): string {
  if (value === undefined) return "";
  const [type, content] = Object.entries(value).find(([, content]) => content !== undefined) ?? [];
  switch (type) {
    case "S":
    case "N":
      return String(content);
    case "BOOL":
      return content ? "true" : "false";
    case "NULL":
      return "null";
    case "B":
      return base64(content);
    case undefined:
      return "";
    default:
      return JSON.stringify(plain(value));
  }
}

/** A value's type, as DynamoDB names it. */
export function typeName(value: Value): string {
  return Object.keys(value).find((key) => value[key] !== undefined) ?? "";
}

function base64(content: unknown): string {
  if (typeof content === "string") return content;
  const bytes = content as Uint8Array;
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return btoa(text);
}

/** A value as JSON shows it, numbers as the text that they are. */
function plain(value: Value): unknown {
  const [type, content] = Object.entries(value).find(([, content]) => content !== undefined) ?? [];
  switch (type) {
    case "L":
      return (content as Value[]).map(plain);
    case "M":
      return Object.fromEntries(
        Object.entries(content as Record<string, Value>).map(([name, member]) => [name, plain(member)]),
      );
    case "B":
      return base64(content);
    case "BS":
      return Array.from(content as Iterable<unknown>, base64);
    case "SS":
    case "NS":
      return Array.from(content as Iterable<string>);
    case "NULL":
      return null;
    default:
      return content;
  }
}

/** Names of the items' attributes: those of the key, then the others in the order in which they come. */
export function attributeNames(items: Record<string, Value>[], key: string[]): string[] {
  const names = new Set(key);
  for (const item of items) for (const name of Object.keys(item)) names.add(name);
  return [...names];
}
