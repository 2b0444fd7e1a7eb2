/** Talks to the running service over its unix socket, with nothing loaded but Deno itself. */
import { Fault } from "../core/fault.ts";

/** One request; `path` begins with "/api/v1" and is encoded already. */
export interface ServiceRequest {
  method?: "GET" | "POST";
  path: string;
  headers?: Record<string, string>;
  body?: string | Uint8Array<ArrayBuffer>;
  /** Aborts the request, and a stream that is being read. */
  signal?: AbortSignal;
}

/** What stands for the host: the socket has none. An address, because Deno looks a name up in DNS even for a socket. */
const ORIGIN = "http://127.0.0.1";
/** connect(2) on a path that is absent, or that nobody listens on: there is no service. */
const NOBODY = /os error (2|111)\b/;
/** EACCES, EPERM. */
const DENIED = /os error (13|1)\b|NotCapable/;

/**
 * Sends one request and returns its response, whose body must be read to its end or cancelled: that closes the
 * connection. Faults: `unavailable` with target `socketPath` when no service listens there, `denied` when this user
 * may not use the socket, `timeout` when `signal` aborts, `unavailable` when the connection breaks.
 */
export async function callService(socketPath: string, request: ServiceRequest): Promise<Response> {
  const client = Deno.createHttpClient({ proxy: { transport: "unix", path: socketPath } });
  try {
    const response = await fetch(`${ORIGIN}${request.path}`, {
      client,
      method: request.method ?? "GET",
      headers: request.headers,
      body: request.body,
      signal: request.signal,
    });
    return closing(response, () => client.close(), request.signal);
  } catch (thrown) {
    client.close();
    throw toServiceFault(thrown, socketPath);
  }
}

/** Whether a Fault of {@link callService} means that the service is not running, so that nobody holds its files. */
export function isServiceDown(thrown: unknown): boolean {
  return thrown instanceof Fault && thrown.reason === "unavailable" && thrown.disposition === "stalled";
}

/**
 * The same response, which calls `close` once, when its body has ended, failed or been cancelled, or `signal` has
 * aborted. The signal is heeded here too: Deno 2.9 holds its own copy weakly, and after a garbage collection an abort
 * would leave the body open for ever.
 */
function closing(response: Response, close: () => void, signal: AbortSignal | undefined): Response {
  if (response.body === null) {
    close();
    return response;
  }
  const reader = response.body.getReader();
  const aborted = Promise.withResolvers<never>();
  aborted.promise.catch(() => {});
  const abort = (): void => aborted.reject(signal?.reason);
  signal?.addEventListener("abort", abort);
  if (signal?.aborted) abort();
  let isOver = false;
  const end = (): void => {
    if (!isOver) close();
    isOver = true;
    signal?.removeEventListener("abort", abort);
  };
  const body = new ReadableStream<Uint8Array>({
    async pull(controller): Promise<void> {
      try {
        const { done, value } = await Promise.race([reader.read(), aborted.promise]);
        // A cancel that came meanwhile has closed the controller already.
        if (isOver) return;
        if (!done) return controller.enqueue(value);
        controller.close();
      } catch (thrown) {
        if (!isOver) controller.error(thrown);
        reader.cancel(thrown).catch(() => {});
      }
      end();
    },
    async cancel(reason): Promise<void> {
      end();
      await reader.cancel(reason);
    },
  });
  return new Response(body, response);
}

function toServiceFault(thrown: unknown, socketPath: string): Fault {
  const message = textOf(thrown);
  const options = { target: socketPath, cause: thrown };
  if (thrown instanceof DOMException) {
    return new Fault(
      "retry",
      "timeout",
      `Cannot ask the service at ${socketPath}: it took too long`,
      options,
    );
  }
  if (NOBODY.test(message)) {
    return new Fault("stalled", "unavailable", `Cannot reach the service: nobody listens on ${socketPath}`, {
      ...options,
      advice: "Start it with wps serve, or systemctl start wps",
    });
  }
  if (DENIED.test(message)) {
    return new Fault("stalled", "denied", `Cannot reach the service: no access to ${socketPath}`, {
      ...options,
      advice: "Join the group that owns the socket, or use sudo",
    });
  }
  return new Fault("retry", "unavailable", `Cannot reach the service at ${socketPath}: ${message}`, options);
}

/** The message with those of its causes: fetch hides the system's error there. */
function textOf(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const own = `${thrown.name}: ${thrown.message}`;
  return thrown.cause === undefined ? own : `${own}: ${textOf(thrown.cause)}`;
}
