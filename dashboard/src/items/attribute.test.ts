import { expect, it } from "vitest";
import { attributeNames, textOf } from "./attribute";

it.each([
  [{ S: "<b>x</b>" }, "<b>x</b>"],
  [{ N: "1.50000000000000000000000000000000000001" }, "1.50000000000000000000000000000000000001"],
  [{ BOOL: false }, "false"],
  [{ NULL: true }, "null"],
  [{ B: new Uint8Array([104, 105]) }, "aGk="],
  [{ B: "aGk=" }, "aGk="],
  [{ L: [{ N: "1" }, { S: "a" }] }, '["1","a"]'],
  [{ M: { a: { M: { b: { NULL: true } } } } }, '{"a":{"b":null}}'],
  [{ SS: ["a"] }, '["a"]'],
  [{ BS: [new Uint8Array([104, 105])] }, '["aGk="]'],
  [{ S: undefined, N: "1" }, "1"],
  [undefined, ""],
])("%j is %s", (value, text) => {
  expect(textOf(value)).toBe(text);
});

it("the key's attributes come first", () => {
  expect(attributeNames([{ b: { S: "" }, id: { S: "" } }, { c: { S: "" } }], ["id"])).toEqual(["id", "b", "c"]);
});
