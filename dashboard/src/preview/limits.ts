/**
 * DynamoDB's limits, as `rows/src/item/limits.rs` has them with the pages that state them, and Intake's own.
 */

/** Largest item in bytes, inclusive. */
export const ITEM_BYTES_MAX = 400 * 1024;
/** Longest attribute name in bytes, inclusive. */
export const ATTRIBUTE_NAME_BYTES_MAX = 64 * 1024 - 1;
/** Longest partition key value in bytes, inclusive. */
export const PARTITION_KEY_BYTES_MAX = 2048;
/** Longest sort key value in bytes, inclusive. */
export const SORT_KEY_BYTES_MAX = 1024;
/** Most significant digits of a number. */
export const NUMBER_DIGITS_MAX = 38;
/** Largest exponent `e` of a number written `d.ddd × 10^e`. */
export const NUMBER_EXPONENT_MAX = 125;
/** Smallest exponent `e` of a number written `d.ddd × 10^e`. */
export const NUMBER_EXPONENT_MIN = -130;
/** Deepest level a value may stand at; an attribute of the item is level 1. */
export const DEPTH_MAX = 32;
/** Most columns of a CSV file. */
export const COLUMNS_MAX = 65_536;
/** Characters of a name from the file that a message repeats. */
const NAME_CHARACTERS_MAX = 64;

const encoder = new TextEncoder();

/** The size of a text in UTF-8. */
export function utf8Bytes(text: string): number {
  return encoder.encode(text).length;
}

/** A name from the file, short enough for a message. */
export function shorten(name: string): string {
  const characters = Array.from(name);
  return characters.length > NAME_CHARACTERS_MAX ? `${characters.slice(0, NAME_CHARACTERS_MAX).join("")}…` : name;
}
