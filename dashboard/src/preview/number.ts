import { NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NUMBER_EXPONENT_MIN } from "./limits";
import { problem, type Reason } from "./reason";

/** A number that DynamoDB takes. */
export interface DynamoNumber {
  /** The same for two numbers exactly when they are equal: `1`, `1.0` and `1e0`. */
  canonical: string;
  /** What DynamoDB counts it as. */
  sizeBytes: number;
}

const GRAMMAR = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d+))?$/;
const JSON_GRAMMAR = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

/** Whether a CSV cell is a number as JSON writes it: `00123`, `+5` and `1.` are not. */
export function isJsonNumber(text: string): boolean {
  return JSON_GRAMMAR.test(text);
}

/** Parses a number by DynamoDB's grammar and limits, as `rows/src/item/number.rs` does. */
export function parseNumber(text: string): DynamoNumber | Reason {
  const match = GRAMMAR.exec(text);
  if (!match) return problem("not-a-number", "not a number");
  const [, sign = "", whole = "", fraction = "", exponentText = "0"] = match;
  const all = whole + fraction;
  if (all === "") return problem("not-a-number", "not a number");
  const exponent = Number(exponentText);
  const leading = /^0*/.exec(all)?.[0].length ?? 0;
  if (leading === all.length) {
    // Zero is checked as if its last digit were a 1, as DynamoDB does: 0e126 overflows.
    return outside(exponent - fraction.length) ?? { canonical: "0", sizeBytes: 1 };
  }
  const digits = all.slice(leading).replace(/0+$/, "");
  if (digits.length > NUMBER_DIGITS_MAX) {
    return problem(
      "number-precision",
      `a number has ${digits.length} significant digits, DynamoDB keeps 38; declare the attribute S to keep it as text`,
    );
  }
  const first = exponent + whole.length - 1 - leading;
  const refused = outside(first);
  if (refused) return refused;
  const before = Math.max(0, Math.min(digits.length, first + 1));
  const after = digits.length - before;
  const negative = sign === "-";
  return {
    canonical: `${negative ? "-" : ""}${digits}e${first}`,
    sizeBytes: Math.ceil(before / 2) + Math.ceil(after / 2) + 1 + (negative ? 1 : 0),
  };
}

function outside(exponent: number): Reason | undefined {
  return exponent >= NUMBER_EXPONENT_MIN && exponent <= NUMBER_EXPONENT_MAX
    ? undefined
    : problem("number-range", "a number is outside DynamoDB's range of 1E-130 to 9.99E+125 (and negative)");
}
