/** A connection that a workspace keeps open, watched through what the workspace itself says of it. */
import assert from "node:assert/strict";
import type { Cluster } from "../../cluster/harness.ts";
import { until } from "../../services/until.ts";
import type { OpenConnection } from "../../conformance/backend.ts";

/** `probe hold` asks five times a second; a silence of this length is an answer, too. */
const SILENCE_MS = 2_500;
const HOLD_SECONDS = 120;
/** Writable in every workspace. */
const LOG = "/tmp/hold.log";

/** Opens a connection from a pod to a URL; resolves once it has answered. It ends with the pod. */
export async function holdConnection(
  cluster: Cluster,
  namespace: string,
  pod: string,
  url: string,
): Promise<OpenConnection> {
  const begun = await cluster.exec(namespace, pod, [
    "sh",
    "-c",
    `probe hold ${url} ${HOLD_SECONDS} >${LOG} 2>&1 </dev/null &`,
  ]);
  assert.equal(begun.code, 0, begun.stderr);
  /** The newest line: "<unix ms> OK" or "<unix ms> BLOCKED …"; null when nobody answers any more. */
  const newest = async (): Promise<{ atMs: number; ok: boolean } | null> => {
    const { code, stdout } = await cluster.exec(namespace, pod, ["tail", "-n", "1", LOG]);
    const [atMs, word] = stdout.trim().split(" ");
    return code === 0 ? { atMs: Number(atMs), ok: word === "OK" } : null;
  };
  await until("the connection is open", async () => (await newest())?.ok);
  return {
    alive: async () => {
      const askedMs = Date.now();
      for (;;) {
        const line = await newest();
        if (line === null) return false;
        if (line.atMs > askedMs) return line.ok;
        if (Date.now() - askedMs > SILENCE_MS) return false;
      }
    },
    close: () => Promise.resolve(),
  };
}
