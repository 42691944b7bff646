import { gzipSync } from "node:zlib";
import { expect, it } from "vitest";
import { headerOf } from "./header";

const of = (bytes: Uint8Array, options = {}) => headerOf(async (most) => bytes.subarray(0, most), options, []);

it("is the first record, whatever the file's compression, encoding and delimiter", async () => {
  const text = 'productId,"a,\nb",name\n1,2,3\n';
  expect(await of(Buffer.from(text))).toBe('productId,"a,\nb",name');
  expect(await of(gzipSync(text))).toBe('productId,"a,\nb",name');
  expect(await of(Buffer.from("productId;K\xe4se\n1;2\n", "latin1"), { encoding: "windows-1252" })).toBe(
    "productId;Käse",
  );
  expect(await of(Buffer.from("a|b,c\n1|2\n"), { delimiter: "|" })).toBe("a|b,c");
});

it("is nothing where there is none", async () => {
  expect(await of(Buffer.from(""))).toBeUndefined();
  expect(await of(Buffer.from("PK\x03\x04"))).toBeUndefined();
  // A quote that is never closed.
  expect(await of(Buffer.from(`"${"x".repeat(300_000)}`))).toBeUndefined();
});
