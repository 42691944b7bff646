import { expect, it } from "vitest";
import { History } from "./history";
import { isEnded, type Job, parseJob, progressOf, tookSeconds } from "./job";

const item = (changes: Record<string, unknown> = {}) => ({
  owner: { S: "us-east-1:1" },
  job: { S: "20261123T100000000Z-1" },
  status: { S: "RUNNING" },
  bucket: { S: "b" },
  key: { S: "uploads/us-east-1:1/20261123/a b<i>.csv" },
  table: { S: "InventoryTable" },
  bytes_total: { N: "1000" },
  bytes_read: { N: "250" },
  rows_written: { N: "20" },
  consumed_wcu: { N: "20.5" },
  created_at: { S: "2026-11-23T10:00:00Z" },
  updated_at: { S: "2026-11-23T10:00:02.5Z" },
  ...changes,
});
const job = (changes?: Record<string, unknown>) => parseJob(item(changes)) as Job;

it("a job is read from its item", () => {
  const read = job({
    rejects: { S: "s3://b/reports/us-east-1:1/j/rejects.jsonl" },
    cancel_requested: { BOOL: true },
    reason: { S: "why" },
  });
  expect(read).toMatchObject({
    file: "a b<i>.csv",
    bytesTotal: 1000,
    rowsWritten: 20,
    rowsRejected: 0,
    consumedWcu: 20.5,
    rejectsKey: "reports/us-east-1:1/j/rejects.jsonl",
    cancelRequested: true,
    reason: "why",
  });
  expect(read.updatedAt - read.createdAt).toBe(2500);
  expect("endedAt" in read).toBe(false);
});

it("an item that is no job is none", () => {
  expect(parseJob({ owner: { S: "o" }, job: { S: "j" }, cancel_requested: { BOOL: true } })).toBeUndefined();
  expect(parseJob({})).toBeUndefined();
});

it.each([
  ["QUEUED", false],
  ["RUNNING", false],
  ["COMPLETED", true],
  ["COMPLETED_WITH_REJECTS", true],
  ["FAILED", true],
  ["CANCELLED", true],
])("%s has ended: %s", (status, ended) => {
  expect(isEnded(job({ status: { S: status } }))).toBe(ended);
});

it.each([
  [{}, 0.25],
  [{ bytes_total: undefined }, undefined],
  [{ bytes_total: { N: "0" } }, undefined],
  [{ bytes_read: { N: "1200" } }, 1],
  // A bar is for what goes on.
  [{ status: { S: "COMPLETED" } }, undefined],
  [{ status: { S: "FAILED" }, bytes_read: { N: "1000" } }, undefined],
])("progress of %j is %s", (changes, progress) => {
  expect(progressOf(job(changes))).toBe(progress);
});

const at = (seconds: number, changes: Record<string, unknown>) =>
  job({ updated_at: { S: new Date(Date.UTC(2026, 10, 23, 10, 0, seconds)).toISOString() }, ...changes });

it("rates and the time that is left come from what was watched", () => {
  const history = new History();
  const first = at(5, { bytes_read: { N: "100" }, rows_written: { N: "10" }, consumed_wcu: { N: "10" } });
  history.add(first);
  history.add(first);
  expect(history.of(first)).toHaveLength(2);
  const second = at(10, {
    bytes_read: { N: "600" },
    rows_written: { N: "55" },
    consumed_wcu: { N: "60" },
    rows_rejected: { N: "5" },
  });
  history.add(second);
  // Over all ten seconds, which are within the window.
  expect(history.rates(second)).toEqual({ rowsPerSecond: 6, wcuPerSecond: 6, etaSeconds: 400 / 60 });
  const third = at(40, {
    bytes_read: { N: "900" },
    rows_written: { N: "355" },
    rows_rejected: { N: "5" },
    consumed_wcu: { N: "60" },
  });
  history.add(third);
  expect(history.rates(third)).toMatchObject({ rowsPerSecond: 10, etaSeconds: 10 });
});

it("of a job that was not watched from its beginning nothing is drawn that was not seen", () => {
  const history = new History();
  const late = at(40, { rows_written: { N: "300" } });
  history.add(late);
  expect(history.of(late).map(({ rowsWritten }) => rowsWritten)).toEqual([300]);
  const ended = job({ job: { S: "other" }, status: { S: "COMPLETED" }, ended_at: { S: "2026-11-23T10:00:03Z" } });
  history.add(ended);
  expect(history.of(ended)).toHaveLength(1);
});

it("a job takes no negative time, although its end is only known to the second", () => {
  const quick = job({
    created_at: { S: "2026-11-23T10:00:00.700Z" },
    ended_at: { S: "2026-11-23T10:00:00Z" },
    duration_seconds: { N: "0.2" },
  });
  expect(tookSeconds(quick)).toBe(0.2);
  expect(tookSeconds(job({ ended_at: { S: "2026-11-23T10:00:10Z" }, duration_seconds: { N: "1" } }))).toBe(10);
});

it("a job that has ended has the rates of all its time", () => {
  const history = new History();
  const ended = job({
    status: { S: "COMPLETED" },
    rows_written: { N: "50" },
    ended_at: { S: "2026-11-23T10:00:10Z" },
  });
  history.add(ended);
  expect(history.rates(ended)).toMatchObject({ rowsPerSecond: 5, etaSeconds: undefined });
});

it("a long history is thinned, its ends kept", () => {
  const history = new History();
  for (let second = 1; second <= 1000; second++) history.add(at(second, { bytes_read: { N: String(second) } }));
  const samples = history.of(at(1000, {}));
  expect(samples.length).toBeLessThanOrEqual(241);
  expect(samples[0]?.bytesRead).toBe(0);
  expect(samples.at(-1)?.bytesRead).toBe(1000);
});
