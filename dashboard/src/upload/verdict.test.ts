import { expect, it } from "vitest";
import type { Preview } from "../preview/preview";
import { type Draft, type Upload, verdictOf } from "./manager";

const file = new File(["productId\nA\n"], "a.csv", { lastModified: 1 });
const options = {};
const preview = { rows: [{}], rejected: 0 } as unknown as Preview;
const draft = (changes: Partial<Draft> = {}) =>
  ({
    id: 1,
    file,
    options,
    preview,
    seen: options,
    schema: { table: "T", key: [], indexKeys: [] },
    ...changes,
  }) as Draft;
const upload = (changes: Partial<Upload> = {}, state = "uploading") =>
  ({
    id: 2,
    file: new File([file], "a.csv", { lastModified: 1 }),
    options: {},
    status: { state },
    ...changes,
  }) as Upload;

it("is said of a chosen file only when it is known", () => {
  expect(verdictOf(draft(), [])).toBe("fits");
  expect(verdictOf(draft({ preview: undefined }), [])).toBe("looking");
  // It was looked at with other options.
  expect(verdictOf(draft({ options: { delimiter: ";" } }), [])).toBe("looking");
  expect(verdictOf(draft({ schema: undefined }), [])).toBe("unchecked");
  expect(verdictOf(draft({ preview: { ...preview, rejected: 1 } }), [])).toBe("rejects");
  expect(verdictOf(draft({ preview: { ...preview, rows: [] } }), [])).toBe("empty");
  expect(verdictOf(draft({ preview: { ...preview, failure: { problem: "", fix: "" } } }), [])).toBe("fails");
  const rowsAt = { rowsAt: "/ä" };
  expect(verdictOf(draft({ options: rowsAt, seen: rowsAt }), [])).toBe("misfit");
});

it("of a file that is under way is that, unless it is read in another way", () => {
  for (const state of ["waiting", "uploading", "retrying", "paused", "failed"]) {
    expect(verdictOf(draft(), [upload({}, state)]), state).toBe("under-way");
  }
  for (const state of ["done", "cancelled"]) expect(verdictOf(draft(), [upload({}, state)]), state).toBe("fits");
  expect(verdictOf(draft(), [upload({ options: { types: new Map([["a", "S"]]) } })])).toBe("fits");
});
