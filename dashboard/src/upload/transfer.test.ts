import { describe, expect, it } from "vitest";
import { metadataOf, misfitOf, partsOf, uploadKey } from "./plan";
import { RateMeter } from "./rate";
import { Transfer, type TransferStatus, type UploadPort } from "./transfer";

const MIB = 1024 * 1024;

/** Bytes that differ from part to part. */
function content(bytes: number): Uint8Array<ArrayBuffer> {
  const data = new Uint8Array(bytes);
  for (let start = 0; start < bytes; start += 65_521) data.fill((start / 65_521) % 251, start, start + 65_521);
  return data;
}

class Bucket implements UploadPort {
  uploads = new Map<string, Map<number, Uint8Array>>();
  objects: Uint8Array[] = [];
  calls: string[] = [];
  /** Errors for calls to come, by operation; `undefined` lets one pass. */
  failures: Record<string, (Error | undefined)[]> = {};
  /** Holds parts back until it is called. */
  gate: Promise<void> | undefined;
  private ids = 0;

  private async call(name: string, signal?: AbortSignal): Promise<void> {
    this.calls.push(name);
    if (this.gate && name.startsWith("part")) await this.gate;
    if (signal?.aborted) throw new DOMException("aborted", "AbortError");
    const failure = this.failures[name.split(" ")[0] as string]?.shift();
    if (failure) throw failure;
  }

  private of(id: string): Map<number, Uint8Array> {
    const upload = this.uploads.get(id);
    if (!upload) throw Object.assign(new Error("no such upload"), { name: "NoSuchUpload" });
    return upload;
  }

  async put(body: Uint8Array, onSent: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    onSent(body.length);
    await this.call("put", signal);
    this.objects.push(body);
  }
  async create(): Promise<string> {
    await this.call("create");
    const id = `u${++this.ids}`;
    this.uploads.set(id, new Map());
    return id;
  }
  async part(id: string, number: number, body: Uint8Array, onSent: (bytes: number) => void, signal: AbortSignal) {
    onSent(body.length / 2);
    await this.call(`part ${number}`, signal);
    this.of(id).set(number, body);
    return `e${number}`;
  }
  async list(id: string) {
    await this.call("list");
    return Array.from(this.of(id), ([number, body]) => ({ number, bytes: body.length, etag: `e${number}` }));
  }
  async complete(id: string, parts: { number: number }[]): Promise<void> {
    const upload = this.of(id);
    const whole = new Uint8Array(
      await new Blob(parts.map(({ number }) => upload.get(number) as Uint8Array<ArrayBuffer>)).arrayBuffer(),
    );
    const lost = this.failures.lostComplete?.shift();
    if (!lost) await this.call("complete");
    this.objects.push(whole);
    this.uploads.delete(id);
    if (lost) throw lost;
  }
  async abort(id: string): Promise<void> {
    await this.call("abort");
    this.uploads.delete(id);
  }
}

function start(bytes: number, bucket = new Bucket(), id?: string) {
  const data = content(bytes);
  const states: string[] = [];
  const ids: (string | undefined)[] = [];
  const waits: number[] = [];
  const surroundings = {
    now: () => 0,
    wait: async (milliseconds: number) => {
      waits.push(milliseconds);
    },
    random: () => 1,
  };
  const onChange = ({ state }: TransferStatus) => {
    if (states.at(-1) !== state) states.push(state);
  };
  const transfer = new Transfer(new Blob([data]), bucket, surroundings, onChange, id, (found) => ids.push(found));
  return { transfer, bucket, data, states, ids, waits };
}

const network = () => new TypeError("Failed to fetch");
const named = (name: string) => Object.assign(new Error(name), { name });
const parts = (bucket: Bucket) => bucket.calls.filter((call) => call.startsWith("part")).sort();

describe("a transfer", () => {
  it("sends a small file in one request", async () => {
    const { transfer, bucket, data, states } = start(1000);
    await transfer.start();
    expect(bucket.calls).toEqual(["put"]);
    expect(bucket.objects).toEqual([data]);
    expect(states).toEqual(["uploading", "done"]);
    expect(transfer.status()).toMatchObject({ sentBytes: 1000, totalBytes: 1000 });
  });

  it("sends an empty file", async () => {
    const { transfer, bucket } = start(0);
    await transfer.start();
    expect(bucket.objects).toEqual([new Uint8Array()]);
  });

  it("sends a large file in parts", async () => {
    const { transfer, bucket, data, ids } = start(20 * MIB);
    await transfer.start();
    expect(parts(bucket)).toEqual(["part 1", "part 2", "part 3"]);
    expect(Buffer.compare(bucket.objects[0] as Uint8Array, data)).toBe(0);
    expect(ids).toEqual(["u1", undefined]);
    expect(bucket.uploads.size).toBe(0);
  });

  it("tries again whatever breaks, and sends no part twice that arrived", async () => {
    const bucket = new Bucket();
    bucket.failures = {
      create: [network(), named("SlowDown")],
      part: [undefined, network(), network(), undefined, named("InternalError")],
      complete: [named("ServiceUnavailable")],
    };
    const { transfer, data, states, waits } = start(20 * MIB, bucket);
    await transfer.start();
    expect(Buffer.compare(bucket.objects[0] as Uint8Array, data)).toBe(0);
    expect(parts(bucket).length).toBe(3 + 3);
    expect(states.at(-1)).toBe("done");
    expect(states).toContain("retrying");
    expect(waits.slice(0, 2)).toEqual([1000, 2000]);
  });

  it("a lost answer to completing is taken for done once S3 has forgotten the upload", async () => {
    const bucket = new Bucket();
    bucket.failures = { lostComplete: [network()] };
    const { transfer, states } = start(20 * MIB, bucket);
    await transfer.start();
    expect(bucket.objects).toHaveLength(1);
    expect(states.at(-1)).toBe("done");
  });

  it.each(["AccessDenied", "NotReadableError", "SessionEnded"])(
    "%s is final, and goes on when started again",
    async (name) => {
      const bucket = new Bucket();
      bucket.failures = { part: [undefined, named(name)] };
      const { transfer, states, data } = start(20 * MIB, bucket);
      await transfer.start();
      expect(states.at(-1)).toBe("failed");
      expect(transfer.status().problem?.fix).toMatch(/\w/);
      await transfer.start();
      expect(bucket.calls.filter((call) => call === "create")).toHaveLength(1);
      expect(Buffer.compare(bucket.objects[0] as Uint8Array, data)).toBe(0);
    },
  );

  it("pauses, and goes on with the parts that are missing", async () => {
    const bucket = new Bucket();
    let open = () => {};
    const { transfer, data, states } = start(20 * MIB, bucket);
    bucket.gate = new Promise((resolve) => {
      open = resolve;
    });
    transfer.start();
    await expect.poll(() => parts(bucket).length).toBe(3);
    transfer.pause();
    transfer.pause();
    open();
    bucket.gate = undefined;
    await transfer.start();
    expect(states).toEqual(["uploading", "paused", "uploading", "done"]);
    expect(Buffer.compare(bucket.objects[0] as Uint8Array, data)).toBe(0);
    expect(bucket.calls.filter((call) => call === "create")).toHaveLength(1);
  });

  it("goes on with what another page began", async () => {
    const bucket = new Bucket();
    const data = content(20 * MIB);
    bucket.uploads.set(
      "old",
      new Map([
        [1, data.slice(0, 8 * MIB)],
        [2, data.slice(0, 5)],
      ]),
    );
    const { transfer } = start(20 * MIB, bucket, "old");
    await transfer.start();
    // The second part is of another size: it is sent again.
    expect(parts(bucket)).toEqual(["part 2", "part 3"]);
    expect(Buffer.compare(bucket.objects[0] as Uint8Array, data)).toBe(0);
  });

  it("begins anew when S3 has forgotten what another page began", async () => {
    const { transfer, bucket, ids } = start(20 * MIB, new Bucket(), "gone");
    await transfer.start();
    expect(parts(bucket)).toHaveLength(3);
    expect(ids).toEqual([undefined, "u1", undefined]);
  });

  it("cancelling makes S3 forget, and nothing starts it again", async () => {
    const bucket = new Bucket();
    let open = () => {};
    bucket.gate = new Promise((resolve) => {
      open = resolve;
    });
    const { transfer, states } = start(20 * MIB, bucket);
    transfer.start();
    await expect.poll(() => parts(bucket).length).toBe(3);
    const cancelled = transfer.cancel();
    open();
    await cancelled;
    await transfer.start();
    expect(states).toEqual(["uploading", "cancelled"]);
    expect(bucket.uploads.size).toBe(0);
    expect(bucket.objects).toEqual([]);
  });
});

it.each([
  [0, 1, 0],
  [1, 1, 1],
  [8 * MIB, 1, 8 * MIB],
  [8 * MIB + 1, 2, 8 * MIB],
  [200 * MIB, 25, 8 * MIB],
  [200_000 * MIB, 10_000, 20 * MIB],
  [5 * 1024 * 1024 * MIB, 9_987, 525 * MIB],
])("a file of %d bytes has %d parts", (size, count, first) => {
  const found = partsOf(size);
  expect(found).toHaveLength(count);
  expect(found[0]).toEqual({ number: 1, start: 0, end: first });
  expect(found.at(-1)?.end).toBe(size);
});

const key = (name: string) => uploadKey("us-east-1:id", name, new Date("2026-11-23T10:00:00.123Z"), "ab12");

it.each([
  ["a.csv", "a.csv"],
  ["<img src=x onerror=alert(1)>.csv", "<img src=x onerror=alert(1)>.csv"],
  ["Größe (1)+50%.csv", "Größe (1)+50%.csv"],
  ["a/b\\c\n.csv", "a_b_c_.csv"],
  ["..", "file"],
  ["", "file"],
  ["a\ud800.csv", "a\ufffd.csv"],
])("the file %j is put as %j", (name, last) => {
  expect(key(name)).toBe(`uploads/us-east-1:id/20261123T100000Z-ab12/${last}`);
});

it("a long name keeps its ending", () => {
  const long = key(`${"😀".repeat(400)}.csv`);
  expect(new TextEncoder().encode(long).length).toBeLessThanOrEqual(1024);
  expect(long).toMatch(/😀\.csv$/u);
});

it("options become metadata", () => {
  expect(metadataOf({})).toEqual({});
  const types = new Map([["price", "N" as const]]);
  const metadata = metadataOf({ format: "csv", delimiter: "\t", encoding: "windows-1252", rowsAt: "/Items", types });
  expect(metadata).toEqual({
    "intake-format": "csv",
    "intake-delimiter": "tab",
    "intake-encoding": "windows-1252",
    "intake-rows-at": "/Items",
    "intake-types": "price:N",
  });
  expect(misfitOf(metadata)).toBeUndefined();
  expect(misfitOf({ "intake-rows-at": "/Größe" })).toContain("/Größe");
});

it("a rate is that of the last five seconds", () => {
  let now = 0;
  const meter = new RateMeter(() => now);
  meter.add(1000);
  expect(meter.perSecond()).toBeUndefined();
  now = 1000;
  meter.add(1000);
  expect(meter.perSecond()).toBe(2000);
  now = 10_000;
  expect(meter.perSecond()).toBeUndefined();
});
