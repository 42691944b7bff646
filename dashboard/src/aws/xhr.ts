import type { S3ClientConfig } from "@aws-sdk/client-s3";

type RequestHandler = NonNullable<Exclude<S3ClientConfig["requestHandler"], undefined>>;

interface Request {
  method: string;
  protocol: string;
  hostname: string;
  port?: number;
  path: string;
  query?: Record<string, string | string[] | null>;
  headers: Record<string, string>;
  body?: unknown;
}

/** What a broken connection is told as; the SDK's own handlers give no name to tell it by. */
export class NetworkError extends Error {
  override name = "NetworkError";
}

/** Headers that browsers set themselves. */
const FORBIDDEN = new Set(["host", "content-length"]);

/**
 * An HTTP handler over XMLHttpRequest, because fetch tells nothing of how much of a body was sent.
 *
 * `onProgress` gets the bytes sent so far.
 */
export function progressHandler(onProgress: (sentBytes: number) => void): RequestHandler {
  return {
    handle: (request: Request, options: { abortSignal?: AbortSignal } = {}) =>
      send(request, options.abortSignal, onProgress),
    updateHttpClientConfig: () => undefined,
    httpHandlerConfigs: () => ({}),
  } as unknown as RequestHandler;
}

function send(request: Request, signal: AbortSignal | undefined, onProgress: (sentBytes: number) => void) {
  return new Promise((resolve, reject) => {
    const aborted = () => new DOMException("Request aborted", "AbortError");
    if (signal?.aborted) {
      reject(aborted());
      return;
    }
    const xhr = new XMLHttpRequest();
    xhr.open(request.method, urlOf(request));
    xhr.responseType = "blob";
    for (const [name, value] of Object.entries(request.headers)) {
      if (!FORBIDDEN.has(name.toLowerCase())) xhr.setRequestHeader(name, value);
    }
    const abort = () => xhr.abort();
    signal?.addEventListener("abort", abort, { once: true });
    xhr.upload.onprogress = (event) => onProgress(event.loaded);
    xhr.onload = () => {
      const headers = Object.fromEntries(
        xhr
          .getAllResponseHeaders()
          .split("\r\n")
          .filter((line) => line !== "")
          .map((line) => [line.slice(0, line.indexOf(":")).toLowerCase(), line.slice(line.indexOf(":") + 1).trim()]),
      );
      resolve({ response: { statusCode: xhr.status, headers, body: xhr.response as Blob } });
    };
    xhr.onerror = () => reject(new NetworkError("The connection broke"));
    xhr.onabort = () => reject(aborted());
    xhr.onloadend = () => signal?.removeEventListener("abort", abort);
    xhr.send((request.body ?? null) as XMLHttpRequestBodyInit | null);
  });
}

function urlOf(request: Request): string {
  const port = request.port === undefined ? "" : `:${request.port}`;
  // Exactly as it was signed: RFC 3986, not a form's encoding.
  const encode = (text: string) =>
    encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`);
  const query = Object.entries(request.query ?? {})
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value]).map((one) => `${encode(name)}=${encode(one ?? "")}`),
    );
  return `${request.protocol}//${request.hostname}${port}${request.path}${query.length > 0 ? `?${query.join("&")}` : ""}`;
}
