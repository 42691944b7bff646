/** Milliseconds over which a rate is reckoned: long enough to be readable, short enough to show a change. */
const WINDOW_MS = 5_000;

/** Reckons a rate from amounts as they come. */
export class RateMeter {
  private amounts: { time: number; amount: number }[] = [];

  constructor(private readonly now: () => number) {}

  add(amount: number): void {
    this.forget();
    this.amounts.push({ time: this.now(), amount });
  }

  /** The rate of the last seconds; nothing as long as that is too short to tell. */
  perSecond(): number | undefined {
    this.forget();
    const first = this.amounts[0];
    const elapsed = first ? this.now() - first.time : 0;
    if (elapsed < 250) return undefined;
    return (this.amounts.reduce((sum, { amount }) => sum + amount, 0) / elapsed) * 1000;
  }

  private forget(): void {
    const since = this.now() - WINDOW_MS;
    while (this.amounts[0] && this.amounts[0].time < since) this.amounts.shift();
  }
}
