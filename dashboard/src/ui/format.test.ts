import { expect, it } from "vitest";
import { parseInbox } from "../inbox/inbox";
import { bytes, count, duration, rate } from "./format";

it.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [12_345, "12.3 kB"],
  [999_949, "1.0 MB"],
  [200_000_000, "200 MB"],
  [5e12, "5.0 TB"],
])("%d bytes are %s", (value, text) => {
  expect(bytes(value)).toBe(text);
});

it.each([
  [0.04, "0.0 s"],
  [9.96, "10 s"],
  [59.6, "1 min"],
  [200, "3 min 20 s"],
  [3600, "1 h"],
  [7500, "2 h 5 min"],
])("%d seconds are %s", (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

it("numbers have separators, small rates a decimal", () => {
  expect(count(1234567.8)).toBe("1,234,568");
  expect(rate(3.14)).toBe("3.1/s");
  expect(rate(12345)).toBe("12,345/s");
});

it("the inbox is read newest first, whatever it holds", () => {
  const inbox = parseInbox({
    messages: [
      { id: "1", time: "2026-11-23T10:00:00Z", subject: "old", attributes: { n: 1 } },
      { time: "2026-11-23T11:00:00Z", subject: "new", text: "<b>" },
    ],
  });
  expect(inbox.map((message) => message.subject)).toEqual(["new", "old"]);
  expect(inbox[1]?.attributes).toEqual({ n: "1" });
  expect(() => parseInbox({})).toThrow("did not answer");
});
