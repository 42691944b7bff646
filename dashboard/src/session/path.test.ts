import { expect, it } from "vitest";
import { safePath } from "./path";

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
