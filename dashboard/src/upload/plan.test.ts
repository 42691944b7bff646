import { expect, it } from "vitest";
import { metadataOf, optionsOf, sameOptions } from "./plan";

it("reads options from metadata as it wrote them", () => {
  const options = {
    format: "csv" as const,
    delimiter: "\t",
    encoding: "windows-1252",
    rowsAt: "/Items",
    types: new Map([["price", "S" as const]]),
  };
  expect(optionsOf(metadataOf(options))).toEqual(options);
  expect(sameOptions(options, optionsOf(metadataOf(options)))).toBe(true);
  expect(sameOptions(options, { ...options, types: undefined })).toBe(false);
  // As a job has them.
  expect(optionsOf({ types: "price:S", delimiter: "|" })).toMatchObject({
    types: new Map([["price", "S"]]),
    delimiter: "|",
    format: undefined,
  });
  expect(optionsOf({ types: "nonsense" }).types).toBeUndefined();
});
