/** Where the service listens: the unix socket always, TCP where configured. */
import type { Clock } from "../core/clock.ts";
import type { Config } from "../config/schema.ts";
import type { Log } from "../log.ts";
import { type Answer, type Listener, listenTcp, listenUnix } from "../api/listen.ts";

/** The open listeners. */
export interface Listening {
  addresses: { socket: string; http: string | null };
  stop(): Promise<void>;
}

/** Answers under way may finish within this; the API bounds a request at 25 s. */
const GRACE_MS = 5_000;

/** Opens what the configuration names; a Fault leaves when one cannot be had, and then none stays open. */
export async function startListening(
  deps: { config: Config; clock: Clock; log: Log; answer: Answer },
): Promise<Listening> {
  const { config: { listen }, clock, log, answer } = deps;
  const failed = (thrown: unknown): void => log.warn("a connection broke", { error: thrown });
  const socket = await listenUnix(listen.socket, { answer, clock, failed });
  const open: Listener[] = [socket];
  try {
    if (listen.http !== null) {
      const tls = listen.tls === null ? null : {
        cert: await Deno.readTextFile(listen.tls.certFile),
        key: await Deno.readTextFile(listen.tls.keyFile),
      };
      open.push(
        listenTcp({ hostname: listen.http.host, port: listen.http.port, tls }, { answer, clock, failed }),
      );
    }
  } catch (thrown) {
    await socket.stop(0);
    throw thrown;
  }
  return {
    addresses: { socket: socket.address, http: open[1]?.address ?? null },
    async stop(): Promise<void> {
      await Promise.all(open.map((listener) => listener.stop(GRACE_MS)));
    },
  };
}
