/** Redis as the read model's cache: reconnects for ever, queues nothing, and never raises an unheard error. */
import { Redis } from "ioredis";
import type { Random } from "../core/clock.ts";
import type { Cache, CacheState, CacheWrite } from "./cache.ts";

/** Where it is. */
export interface RedisOptions {
  /** redis:// or rediss://, with user, password and database number. A secret. */
  url: string;
  /** The authority that signed the server's certificate, in PEM; null: the system's. */
  ca: string | null;
  random: Random;
}

/** A server in the same network connects within milliseconds. */
const CONNECT_TIMEOUT_MS = 3_000;
/** A pipeline of 100 small values takes milliseconds; a frozen server is given up after this. */
const COMMAND_TIMEOUT_MS = 3_000;
/** First pause before a new attempt; it doubles up to the largest. */
const RECONNECT_MIN_MS = 100;
const RECONNECT_MAX_MS = 5_000;
/** Keys asked for at a time. */
const SCAN_COUNT = 500;

/** The pause before attempt `attempt` (from 1): doubling, between half and the whole of it at random. */
export function reconnectDelayMs(attempt: number, random: Random): number {
  const full = Math.min(RECONNECT_MIN_MS * 2 ** Math.min(attempt - 1, 10), RECONNECT_MAX_MS);
  return Math.round(full * (0.5 + random.next() / 2));
}

/** Connects in the background; returns at once. */
export function connectRedis({ url, ca, random }: RedisOptions): Cache {
  let state: CacheState = { is: "connecting" };
  let listener: (state: CacheState) => void = () => {};
  const become = (next: CacheState): void => listener(state = next);
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    commandTimeout: COMMAND_TIMEOUT_MS,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    disconnectTimeout: 0,
    retryStrategy: (attempt) => reconnectDelayMs(attempt, random),
    ...(ca === null ? {} : { tls: { ca } }),
  });
  let lastError = "the connection was lost";
  // Without a listener an "error" event would end the process; "close" follows each.
  redis.on("error", (error: Error) => {
    lastError = error.message;
  });
  redis.on("close", () => become({ is: "away", why: lastError }));
  redis.on("ready", () => {
    lastError = "the connection was lost";
    become({ is: "connected" });
  });
  // It rejects with the first attempt, of which "close" tells; the attempts go on.
  redis.connect().catch(() => {});

  return {
    state: () => state,
    onChange(changed): void {
      listener = changed;
    },
    async write(writes: readonly CacheWrite[]): Promise<void> {
      const pipeline = redis.pipeline();
      for (const { key, value } of writes) {
        if (value === null) pipeline.del(key);
        else pipeline.set(key, value);
      }
      try {
        const results = await pipeline.exec();
        const failed = results?.find(([error]) => error !== null)?.[0];
        if (failed) throw failed;
      } catch (thrown) {
        lastError = thrown instanceof Error ? thrown.message : String(thrown);
        // A server that took the connection but does not answer: only a new connection tells when it is back.
        if (redis.status === "ready" && /timed out/i.test(lastError)) redis.disconnect(true);
        throw thrown;
      }
    },
    async *keys(prefix: string): AsyncIterable<string[]> {
      const pattern = `${prefix.replaceAll(/[\\*?[\]]/g, "\\$&")}*`;
      let cursor = "0";
      do {
        const [next, keys] = await redis.scan(cursor, "MATCH", pattern, "COUNT", SCAN_COUNT);
        yield keys;
        cursor = next;
      } while (cursor !== "0");
    },
    async close(): Promise<void> {
      redis.disconnect();
      // ioredis destroys the socket in a timer of its own (disconnectTimeout), also where it is gone already.
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };
}
