import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request, read whole. */
export interface Request {
  method: string;
  url: URL;
  headers: IncomingMessage["headers"];
  body: Buffer;
}

export interface Answer {
  status?: number;
  headers?: Record<string, string>;
  body?: string | Buffer;
}

/** A server on a free port of this machine. */
export class Listener {
  private readonly server: Server;
  url = "";

  constructor(handle: (request: Request) => Answer | Promise<Answer>, cors: () => string | undefined) {
    this.server = createServer((request, response) => {
      void answer(request, response, handle, cors());
    });
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    return this;
  }

  async close(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }
}

async function answer(
  incoming: IncomingMessage,
  response: ServerResponse,
  handle: (request: Request) => Answer | Promise<Answer>,
  origin: string | undefined,
): Promise<void> {
  const parts: Buffer[] = [];
  try {
    for await (const part of incoming) parts.push(part as Buffer);
  } catch {
    // The browser broke the request off.
    return;
  }
  const headers: Record<string, string> = {};
  if (origin !== undefined) {
    headers["access-control-allow-origin"] = origin;
    headers["access-control-expose-headers"] = "ETag, x-amz-version-id";
  }
  let result: Answer;
  if (origin !== undefined && incoming.method === "OPTIONS") {
    headers["access-control-allow-methods"] = "GET, HEAD, PUT, POST, DELETE";
    headers["access-control-allow-headers"] = incoming.headers["access-control-request-headers"] ?? "*";
    headers["access-control-max-age"] = "3600";
    result = { status: 204 };
  } else {
    const request = {
      method: incoming.method ?? "GET",
      url: new URL(incoming.url ?? "/", `http://${incoming.headers.host}`),
      headers: incoming.headers,
      body: Buffer.concat(parts),
    };
    try {
      result = await handle(request);
    } catch (error) {
      result = { status: 500, body: String(error) };
    }
  }
  response.writeHead(result.status ?? 200, { ...headers, ...result.headers });
  response.end(result.body);
}
