/** A message of the local stack's inbox. */
export interface Message {
  id: string;
  /** Milliseconds since 1970. */
  time: number;
  /** `email` of Cognito, or the topic that it was published to. */
  from: string;
  /** Who it was for; empty for the topic's. */
  to: string;
  subject: string;
  text: string;
  attributes: Record<string, string>;
}

/** Reads what the inbox answers, newest first. */
export function parseInbox(answer: unknown): Message[] {
  const list = (answer as { messages?: unknown } | null)?.messages;
  if (!Array.isArray(list)) throw new Error("The inbox did not answer with messages.");
  const messages = list.map((found: Record<string, unknown>, index): Message => {
    const text = (name: string) => (typeof found[name] === "string" ? (found[name] as string) : "");
    const attributes = Object.entries((found.attributes ?? {}) as Record<string, unknown>);
    return {
      id: text("id") || String(index),
      time: Date.parse(text("time")) || 0,
      from: text("from"),
      to: text("to"),
      subject: text("subject"),
      text: text("text"),
      attributes: Object.fromEntries(attributes.map(([name, value]) => [name, String(value)])),
    };
  });
  return messages.sort((a, b) => b.time - a.time);
}
