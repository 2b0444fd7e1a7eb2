/** A connection that a workspace opened while it had a way out, as the other end sees it. */
import assert from "node:assert/strict";
import { until } from "../../services/until.ts";
import type { KubeObject } from "./objects.ts";
import { PROXY_PORT } from "./site.ts";
import type { Stage } from "./stage.ts";

const HOLD_SECONDS = 300;
const LOOK_MS = 100;

/** A watched connection. */
export interface HeldConnection {
  /** Ends the watching. Out: when the connection was last seen established, epoch milliseconds. */
  lastSeen(): Promise<number>;
}

/** Lets a workspace open a connection to the proxy and keep it busy; watches it from the proxy until it is asked for. */
export async function holdToProxy(stage: Stage, pod: KubeObject): Promise<HeldConnection> {
  const { cluster, proxyAddress } = stage;
  const { namespace = "", name } = pod.metadata;
  const command =
    `probe hold http://${proxyAddress}:${PROXY_PORT}/ ${HOLD_SECONDS} >/dev/null 2>&1 </dev/null &`;
  const begun = await cluster.exec(namespace, name, ["sh", "-c", command], "workspace");
  assert.equal(begun.code, 0, begun.stderr);
  let seenMs = await until("the proxy has the connection", () => establishedAt(stage, pod));
  let isWatching = true;
  const watching = (async () => {
    while (isWatching) {
      seenMs = await establishedAt(stage, pod) || seenMs;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
  })();
  return {
    lastSeen: async () => {
      isWatching = false;
      await watching;
      return seenMs;
    },
  };
}

/** The moment of the look, when the proxy's kernel has an established connection from the pod; false: it has none. */
async function establishedAt({ cluster, world }: Stage, pod: KubeObject): Promise<number | false> {
  const lookedMs = Date.now();
  const { code, stdout, stderr } = await cluster.exec(world.namespace, "allowing-proxy", ["netstat", "-tn"]);
  assert.equal(code, 0, stderr);
  const address: string = pod.status.podIP;
  return stdout.split("\n").some((line) => line.includes(`${address}:`) && line.includes("ESTABLISHED")) &&
    lookedMs;
}
