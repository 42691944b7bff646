import { expect, it } from "vitest";
import { decoded, safePath } from "./path";

it.each([
  ["/imports/1", "/imports/1"],
  ["/", "/"],
  ["//evil.example", "/"],
  ["/\\evil.example", "/"],
  ["https://evil.example", "/"],
  ["javascript:alert(1)", "/"],
  [undefined, "/"],
  [{ a: 1 }, "/"],
])("after signing in %j leads to %s", (state, path) => {
  expect(safePath(state)).toBe(path);
});

it("a part of an address is text, whatever stands there", () => {
  expect(decoded("a%20b%2Fc")).toBe("a b/c");
  expect(decoded("%E0%A4%A")).toBe("%E0%A4%A");
});
