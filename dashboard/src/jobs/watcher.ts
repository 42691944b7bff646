import { inWords } from "../aws/problem";
import type { Services } from "../aws/services";
import { failed, type Loaded, reading, succeeded, unread } from "../loaded/loaded";
import { History } from "./history";
import { isEnded, type Job } from "./job";

/** This person's jobs, as they were when they were read last. */
export interface Jobs {
  /** Newest first. */
  jobs: Job[];
  /** Whether there are older ones. */
  more: boolean;
}

/** How often running jobs are read; the importer saves every few seconds. */
const BUSY_MS = 1_500;
const IDLE_MS = 10_000;
const PAGE = 50;

/** Reads the jobs again and again as long as somebody looks. */
export class JobsWatcher {
  readonly history = new History();
  private state: Loaded<Jobs> = unread();
  private readonly listeners = new Set<() => void>();
  private timer: ReturnType<typeof setTimeout> | undefined;
  private limit = PAGE;
  private busy = false;
  private hurryUntil = 0;

  constructor(private readonly services: Pick<Services, "jobs">) {
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.listeners.size > 0) this.refresh();
    });
  }

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    if (this.listeners.size === 1) this.refresh();
    return () => {
      this.listeners.delete(listener);
      if (this.listeners.size === 0) clearTimeout(this.timer);
    };
  };

  readonly snapshot = (): Loaded<Jobs> => this.state;

  /** Reads them now. */
  readonly refresh = (): void => {
    clearTimeout(this.timer);
    void this.read();
  };

  /** A job is about to begin, or to end: looks more often for half a minute. */
  hurry(): void {
    this.hurryUntil = Date.now() + 30_000;
    this.refresh();
  }

  /** Reads older ones, too. */
  showMore(): void {
    this.limit += PAGE;
    this.refresh();
  }

  private async read(): Promise<void> {
    if (this.busy) return;
    this.busy = true;
    this.become(reading(this.state));
    try {
      const { jobs, next } = await this.services.jobs(this.limit);
      for (const job of jobs) this.history.add(job);
      this.become(succeeded({ jobs, more: next !== undefined }, Date.now()));
    } catch (error) {
      this.become(failed(this.state, inWords(error)));
    } finally {
      this.busy = false;
    }
    clearTimeout(this.timer);
    if (this.listeners.size === 0 || document.hidden || this.state.problem?.kind === "session") return;
    const busy = this.state.data?.jobs.some((job) => !isEnded(job)) || Date.now() < this.hurryUntil;
    this.timer = setTimeout(() => void this.read(), busy ? BUSY_MS : IDLE_MS);
  }

  private become(state: Loaded<Jobs>): void {
    this.state = state;
    for (const listener of this.listeners) listener();
  }
}
