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

it("finds what was begun for the same file by the same person, for six days", () => {
  let now = 0;
  const store = new ResumeStore(storage(), () => now);
  store.save("me", file, { uploadId: "u", key: "k" });
  expect(store.find("me", file)).toEqual({ uploadId: "u", key: "k", at: 0 });
  expect(store.find("you", file)).toBeUndefined();
  expect(store.find("me", { ...file, lastModified: 3 })).toBeUndefined();
  now = 6 * 24 * 3_600_000;
  expect(store.find("me", file)).toBeUndefined();
});

it("forgets what has ended, and survives a storage that does not work", () => {
  const store = new ResumeStore(storage());
  store.save("me", file, { uploadId: "u", key: "k" });
  store.save("me", file, undefined);
  expect(store.find("me", file)).toBeUndefined();
  const broken = new ResumeStore({
    getItem: () => "no json",
    setItem: () => {
      throw new Error("full");
    },
  });
  broken.save("me", file, { uploadId: "u", key: "k" });
  expect(broken.find("me", file)).toBeUndefined();
});
