import { inWords, isAbort, type Problem } from "../aws/problem";
import { type Part, partsOf } from "./plan";
import { RateMeter } from "./rate";

/** What an upload needs of S3. Errors are the SDK's. */
export interface UploadPort {
  /** Puts a small file in one request. */
  put(body: Uint8Array, onSent: (bytes: number) => void, signal: AbortSignal): Promise<void>;
  /** Begins an upload in parts and gives its id. */
  create(signal: AbortSignal): Promise<string>;
  /** Sends a part and gives its ETag. */
  part(
    id: string,
    number: number,
    body: Uint8Array,
    onSent: (bytes: number) => void,
    signal: AbortSignal,
  ): Promise<string>;
  /** The parts that S3 has. */
  list(id: string, signal: AbortSignal): Promise<{ number: number; bytes: number; etag: string }[]>;
  complete(id: string, parts: { number: number; etag: string }[], signal: AbortSignal): Promise<void>;
  abort(id: string): Promise<void>;
}

/** Where an upload is on its way. */
export type TransferState = "waiting" | "uploading" | "retrying" | "paused" | "done" | "failed" | "cancelled";

/** An upload as it is shown. */
export interface TransferStatus {
  state: TransferState;
  sentBytes: number;
  totalBytes: number;
  bytesPerSecond: number | undefined;
  /** Parts that S3 has, of how many. */
  parts: { done: number; of: number };
  problem: Problem | undefined;
}

/** Parts that are sent at the same time. */
const LANES = 3;
/** Longest wait before something is tried again. */
const DELAY_MAX_MS = 15_000;

/** What a transfer depends on besides S3, so that tests have no clock. */
export interface Surroundings {
  now: () => number;
  /** Waits, at most until the network is back; ends early when `signal` is aborted. */
  wait: (milliseconds: number, signal: AbortSignal) => Promise<void>;
  random: () => number;
}

/**
 * Uploads one file, in parts if it is large.
 *
 * Whatever breaks is tried again until somebody pauses or cancels, as long as trying again may help: a part that arrived
 * is never sent twice, not even after a pause or, with the id of the upload, by another page.
 */
export class Transfer {
  private state: TransferState = "waiting";
  private problem: Problem | undefined;
  private readonly parts: Part[];
  private etags = new Map<number, string>();
  private readonly inFlight = new Map<number, number>();
  private stop = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private readonly meter: RateMeter;
  /** Whether completing was tried without an answer: S3 may have done it. */
  private completing = false;

  constructor(
    private readonly file: Blob,
    private readonly port: UploadPort,
    private readonly surroundings: Surroundings,
    private readonly onChange: (status: TransferStatus) => void,
    /** The id of the upload in parts, if another page began it. */
    private uploadId: string | undefined,
    private readonly onId: (id: string | undefined) => void,
  ) {
    this.parts = partsOf(file.size);
    this.meter = new RateMeter(surroundings.now);
  }

  /** How it is. */
  status(): TransferStatus {
    let sentBytes = this.state === "done" ? this.file.size : 0;
    if (this.state !== "done") {
      for (const part of this.parts) {
        const size = part.end - part.start;
        sentBytes += this.etags.has(part.number) ? size : Math.min(size, this.inFlight.get(part.number) ?? 0);
      }
    }
    return {
      state: this.state,
      sentBytes,
      totalBytes: this.file.size,
      bytesPerSecond: this.state === "uploading" ? this.meter.perSecond() : undefined,
      parts: { done: this.state === "done" ? this.parts.length : this.etags.size, of: this.parts.length },
      problem: this.problem,
    };
  }

  /** Begins, or goes on after a pause or a failure. */
  start(): Promise<void> {
    if (
      this.state === "uploading" ||
      this.state === "retrying" ||
      this.state === "done" ||
      this.state === "cancelled"
    ) {
      return this.running;
    }
    this.stop = new AbortController();
    this.problem = undefined;
    this.become("uploading");
    const before = this.running;
    this.running = before.then(() => this.run(this.stop.signal));
    return this.running;
  }

  /** Stops sending. What S3 has stays there. */
  pause(): void {
    if (this.state !== "uploading" && this.state !== "retrying") return;
    this.stop.abort();
    this.become("paused");
  }

  /** Gives up, and lets S3 forget what it has. */
  async cancel(): Promise<void> {
    if (this.state === "done" || this.state === "cancelled") return;
    this.stop.abort();
    this.become("cancelled");
    await this.running;
    const id = this.uploadId;
    this.forget();
    // If that fails the bucket forgets it by itself after a week.
    if (id !== undefined) await this.port.abort(id).catch(() => undefined);
  }

  private async run(signal: AbortSignal): Promise<void> {
    try {
      if (this.parts.length === 1 && this.uploadId === undefined) await this.runWhole(signal);
      else await this.runParts(signal);
      this.inFlight.clear();
      this.forget();
      this.become("done");
    } catch (error) {
      this.inFlight.clear();
      // A pause or a cancellation has said already how it is.
      if (signal.aborted) return;
      this.stop.abort();
      this.problem = inWords(error);
      this.become("failed");
    }
  }

  private async runWhole(signal: AbortSignal): Promise<void> {
    const [part] = this.parts as [Part];
    await this.insist(signal, async () => {
      const body = await this.read(part);
      await this.port.put(body, (bytes) => this.sent(1, bytes), signal);
    });
  }

  private async runParts(signal: AbortSignal): Promise<void> {
    for (;;) {
      try {
        await this.begin(signal);
        await this.sendAll(signal);
        const id = this.uploadId as string;
        const parts = this.parts.map(({ number }) => ({ number, etag: this.etags.get(number) as string }));
        await this.insist(signal, async () => {
          this.completing = true;
          await this.port.complete(id, parts, signal);
        });
        return;
      } catch (error) {
        if ((error as Error).name !== "NoSuchUpload" || signal.aborted) throw error;
        // S3 forgets the upload when it is complete. Else it is too old: from the beginning.
        if (this.completing) return;
        this.etags.clear();
        this.forget();
      }
    }
  }

  private async begin(signal: AbortSignal): Promise<void> {
    const known = this.uploadId;
    if (known !== undefined) {
      const found = await this.insist(signal, () => this.port.list(known, signal));
      this.etags = new Map(
        found
          .filter(({ number, bytes }) => {
            const part = this.parts[number - 1];
            return part !== undefined && part.end - part.start === bytes;
          })
          .map(({ number, etag }) => [number, etag]),
      );
      return;
    }
    this.etags.clear();
    this.uploadId = await this.insist(signal, () => this.port.create(signal));
    this.onId(this.uploadId);
  }

  private async sendAll(signal: AbortSignal): Promise<void> {
    const id = this.uploadId as string;
    const queue = this.parts.filter((part) => !this.etags.has(part.number));
    // One lane that fails for good stops the others.
    const lanes = new AbortController();
    const both = AbortSignal.any([signal, lanes.signal]);
    const lane = async (): Promise<void> => {
      for (let part = queue.shift(); part && !both.aborted; part = queue.shift()) {
        const { number } = part;
        const current = part;
        const etag = await this.insist(both, async () => {
          const body = await this.read(current);
          return this.port.part(id, number, body, (bytes) => this.sent(number, bytes), both);
        });
        this.etags.set(number, etag);
        this.inFlight.delete(number);
        this.change();
      }
    };
    const results = await Promise.allSettled(
      Array.from({ length: LANES }, () =>
        lane().catch((error) => {
          lanes.abort();
          throw error;
        }),
      ),
    );
    signal.throwIfAborted();
    const failures = results.filter((result) => result.status === "rejected").map(({ reason }) => reason);
    if (failures.length > 0) throw failures.find((error) => !isAbort(error)) ?? failures[0];
  }

  /** Does something until it is done, waiting longer from time to time, as long as trying again may help. */
  private async insist<T>(signal: AbortSignal, action: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      signal.throwIfAborted();
      try {
        const result = await action();
        if (this.state === "retrying") {
          this.problem = undefined;
          this.become("uploading");
        }
        return result;
      } catch (error) {
        if (signal.aborted) throw error;
        const problem = inWords(error);
        if (problem.kind !== "transient") throw error;
        this.problem = problem;
        this.become("retrying");
        // Full jitter: https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
        const ceiling = Math.min(DELAY_MAX_MS, 500 * 2 ** Math.min(attempt, 10));
        await this.surroundings.wait(this.surroundings.random() * ceiling, signal);
      }
    }
  }

  private async read(part: Part): Promise<Uint8Array> {
    return new Uint8Array(await this.file.slice(part.start, part.end).arrayBuffer());
  }

  private sent(number: number, bytes: number): void {
    const before = this.inFlight.get(number) ?? 0;
    this.inFlight.set(number, bytes);
    this.meter.add(Math.max(0, bytes - before));
    this.change();
  }

  private forget(): void {
    this.uploadId = undefined;
    this.completing = false;
    this.onId(undefined);
  }

  private become(state: TransferState): void {
    // What was cancelled stays so, whatever its requests answer.
    if (this.state !== "cancelled") this.state = state;
    this.change();
  }

  private change(): void {
    this.onChange(this.status());
  }
}
