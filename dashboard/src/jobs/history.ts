import { isEnded, type Job, tookSeconds } from "./job";

/** A job's counters at one moment. */
export interface Sample {
  /** Milliseconds since 1970, by the importer's clock. */
  time: number;
  bytesRead: number;
  rowsWritten: number;
  rowsRejected: number;
  rowsSuperseded: number;
  consumedWcu: number;
}

/** How fast a job is. */
export interface Rates {
  rowsPerSecond: number;
  wcuPerSecond: number;
  /** Until all is read; nothing if that cannot be told. */
  etaSeconds: number | undefined;
}

/** Samples that are kept of a job. Of more, every second goes. */
const SAMPLES_MAX = 240;
/** Rates are those of this time before the newest sample. */
const RATE_WINDOW_MS = 15_000;

/** Longest time from a job's beginning to the first look at it, after which what came before is not known. */
const WATCHED_MS = 5_000;

/** What a job's counters were while somebody watched: ImportJobs only has how they are. */
export class History {
  private readonly samples = new Map<string, Sample[]>();

  /** Takes a job as it was just read. */
  add(job: Job): void {
    const sample = {
      time: job.endedAt ?? job.updatedAt,
      bytesRead: job.bytesRead,
      rowsWritten: job.rowsWritten,
      rowsRejected: job.rowsRejected,
      rowsSuperseded: job.rowsSuperseded,
      consumedWcu: job.consumedWcu,
    };
    let samples = this.samples.get(job.job);
    if (!samples) {
      samples = [];
      this.samples.set(job.job, samples);
      // Only of a job that has hardly begun is it known how it came to be where it is.
      if (!isEnded(job) && sample.time - job.createdAt <= WATCHED_MS) {
        const nothing = { bytesRead: 0, rowsWritten: 0, rowsRejected: 0, rowsSuperseded: 0, consumedWcu: 0 };
        samples.push({ time: job.createdAt, ...nothing });
      }
    }
    if (sample.time <= (samples.at(-1)?.time ?? 0)) return;
    samples.push(sample);
    if (samples.length > SAMPLES_MAX) {
      this.samples.set(
        job.job,
        samples.filter((_, index) => index % 2 === 0 || index === samples.length - 1),
      );
    }
  }

  /** What is known of a job, oldest first. */
  of(job: Job): Sample[] {
    return this.samples.get(job.job) ?? [];
  }

  /** How fast a running job is; how fast it was on the whole, if it has ended. */
  rates(job: Job): Rates | undefined {
    if (isEnded(job)) {
      const seconds = tookSeconds(job);
      if (seconds <= 0) return undefined;
      const rowsPerSecond = (job.rowsWritten + job.rowsRejected + job.rowsSuperseded) / seconds;
      return { rowsPerSecond, wcuPerSecond: job.consumedWcu / seconds, etaSeconds: undefined };
    }
    const samples = this.of(job);
    const last = samples.at(-1);
    const first =
      samples.find((sample) => last && last.time - sample.time <= RATE_WINDOW_MS && sample !== last) ?? samples.at(-2);
    if (!first || !last || first === last) return undefined;
    const seconds = (last.time - first.time) / 1000;
    const rows = (sample: Sample) => sample.rowsWritten + sample.rowsRejected + sample.rowsSuperseded;
    const bytesPerSecond = (last.bytesRead - first.bytesRead) / seconds;
    const left = (job.bytesTotal ?? Number.NaN) - job.bytesRead;
    return {
      rowsPerSecond: Math.max(0, (rows(last) - rows(first)) / seconds),
      wcuPerSecond: Math.max(0, (last.consumedWcu - first.consumedWcu) / seconds),
      etaSeconds: bytesPerSecond > 0 && left >= 0 ? left / bytesPerSecond : undefined,
    };
  }
}
