import { parseNumber } from "../preview/number";
import { isReason } from "../preview/reason";
import type { KeyAttribute } from "../preview/schema";
import type { Value } from "./attribute";

/** The value of a key attribute that somebody typed, or what is wrong with it. */
export function keyValue(attribute: KeyAttribute, text: string): Value | string {
  if (text === "") return `Type the ${attribute.name} to look for.`;
  if (attribute.type === "S") return { S: text };
  if (attribute.type === "N") {
    const number = text.trim();
    return isReason(parseNumber(number)) ? `${attribute.name} must be a number.` : { N: number };
  }
  try {
    return { B: Uint8Array.from(atob(text.trim()), (character) => character.charCodeAt(0)) };
  } catch {
    return `${attribute.name} must be Base64.`;
  }
}
