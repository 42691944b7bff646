import { expect, it } from "vitest";
import { ResumeStore } from "./resume";

function storage() {
  const values = new Map<string, string>();
  return {
    getItem: (name: string) => values.get(name) ?? null,
    setItem: (name: string, value: string) => void values.set(name, value),
  };
}
const file = { name: "a.csv", size: 1, lastModified: 2 };
const plain = {};
const typed = { "intake-types": "price:S" };

it("finds what was begun for the same file by the same person, for six days", () => {
  let now = 0;
  const store = new ResumeStore(storage(), () => now);
  store.save("me", file, plain, { uploadId: "u", key: "k" });
  expect(store.find("me", file, plain)).toMatchObject({ uploadId: "u", key: "k", at: 0 });
  expect(store.find("you", file, plain)).toBeUndefined();
  expect(store.find("me", { ...file, lastModified: 3 }, plain)).toBeUndefined();
  now = 6 * 24 * 3_600_000;
  expect(store.find("me", file, plain)).toBeUndefined();
});

it("does not go on with what was begun with other options", () => {
  const store = new ResumeStore(storage());
  store.save("me", file, plain, { uploadId: "u", key: "k" });
  expect(store.find("me", file, typed)).toBeUndefined();
  store.save("me", file, typed, { uploadId: "v", key: "l" });
  expect(store.find("me", file, typed)?.uploadId).toBe("v");
  expect(store.find("me", file, plain)?.uploadId).toBe("u");
});

it("lists what one person has begun, the newest first", () => {
  let now = 1;
  const store = new ResumeStore(storage(), () => now++);
  store.save("me", file, plain, { uploadId: "u", key: "k" });
  store.save("me", file, typed, { uploadId: "v", key: "l" });
  store.save("you", file, plain, { uploadId: "w", key: "m" });
  expect(store.list("me").map(({ uploadId }) => uploadId)).toEqual(["v", "u"]);
  expect(store.list("me")[0]).toMatchObject({ file: "a.csv", sizeBytes: 1, metadata: typed });
});

it("forgets what has ended, and survives a storage that does not work", () => {
  const store = new ResumeStore(storage());
  store.save("me", file, plain, { uploadId: "u", key: "k" });
  store.save("me", file, plain, undefined);
  expect(store.find("me", file, plain)).toBeUndefined();
  const broken = new ResumeStore({
    getItem: () => "no json",
    setItem: () => {
      throw new Error("full");
    },
  });
  broken.save("me", file, plain, { uploadId: "u", key: "k" });
  expect(broken.find("me", file, plain)).toBeUndefined();
  // Of a version that did not keep the options.
  const old = storage();
  old.setItem("intake.uploads", JSON.stringify({ '["me","a.csv",1,2]': { uploadId: "u", key: "k", at: Date.now() } }));
  expect(new ResumeStore(old).list("me")).toEqual([]);
});
