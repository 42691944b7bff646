import { expect, it } from "vitest";
import { keyValue } from "./key";

it.each([
  ["S", "P1001", { S: "P1001" }],
  ["S", " ", { S: " " }],
  ["S", "", "Type the id to look for."],
  ["N", " 12.50 ", { N: "12.50" }],
  ["N", "x", "id must be a number."],
  ["B", "aGk=", { B: new Uint8Array([104, 105]) }],
  ["B", "!", "id must be Base64."],
] as const)("a key of type %s typed as %j", (type, text, value) => {
  expect(keyValue({ name: "id", type, limitBytes: 2048 }, text)).toEqual(value);
});
