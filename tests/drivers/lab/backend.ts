/** The lab as a platform under test. */
import { LabCluster } from "../../../src/drivers/lab/cluster.ts";
import { LabDriver } from "../../../src/drivers/lab/driver.ts";
import { LabInside } from "../../../src/drivers/lab/inside.ts";
import { DEFAULT_DENY, type LabSource } from "../../../src/drivers/lab/network.ts";
import { LabOperator } from "../../../src/drivers/lab/operator.ts";
import { DEFAULT_LAB_SETTINGS, type LabSettings } from "../../../src/drivers/lab/settings.ts";
import type { Backend, ForeignSpec, Outside, Source } from "../../conformance/backend.ts";
import { FakeClock } from "../../fake_clock.ts";

/** An address for documentation (RFC 5737). */
const HOLDER_CIDR = "203.0.113.7/32";
/** Simulated time costs nothing, so a wait may last longer than any delay. */
const LIMIT_MS = 60_000;
/** Shorter than any of the lab's delays, so that each state is seen. */
const POLL_MS = 20;

/** An empty lab with a clock that moves by itself. */
export function labBackend(given: Partial<LabSettings> = {}): Backend & { cluster: LabCluster } {
  const clock = new FakeClock({ auto: true });
  const settings = { ...DEFAULT_LAB_SETTINGS, brokenKinds: ["broken"], ...given };
  const cluster = new LabCluster({ clock, settings });
  const driver = new LabDriver({ cluster, clock });
  let permits = 0;
  return {
    cluster,
    driver,
    outside: outsideOf(cluster),
    clock,
    pollMs: POLL_MS,
    limitMs: LIMIT_MS,
    holderCidr: HOLDER_CIDR,
    permitId: (label) => `${label} #${++permits}`,
    close: async () => {
      await driver.close();
      clock.stop();
    },
  };
}

function outsideOf(cluster: LabCluster): Outside {
  const operator = new LabOperator(cluster);
  const inside = new LabInside(cluster);
  const foreign = new Map<string, string | null>();
  const nameOf = (permitId: string, object: ForeignSpec): string => JSON.stringify([permitId, object]);
  const source = (from: Source): LabSource => from === "holder" ? { cidr: HOLDER_CIDR } : from;
  const then = <Args extends unknown[], Result>(
    verb: (...args: Args) => Result,
  ): (...args: Args) => Promise<Result> =>
  // A verb that throws rejects, as one on a real cluster would.
  (...args) => new Promise((resolve) => resolve(verb(...args)));
  return {
    deletePod: then((permitId, name) => operator.deletePod(permitId, name)),
    deleteClaim: then((permitId, key) => operator.deleteClaim(permitId, key)),
    loseBacking: then((permitId, key) => operator.loseBacking(permitId, key)),
    addForeignPolicy: then((permitId, name) => operator.addForeignPolicy(permitId, name)),
    removeForeignPolicy: then((permitId, name) => operator.removePolicy(permitId, name)),
    addForeign: then((permitId, object) => {
      operator.addForeign(permitId, object);
      foreign.set(nameOf(permitId, object), operator.foreign(permitId, object));
    }),
    foreignIntact: then((permitId, object) => {
      const before = foreign.get(nameOf(permitId, object)) ?? null;
      return before !== null && operator.foreign(permitId, object) === before;
    }),
    removeForeign: then((permitId, object) => operator.removeForeign(permitId, object)),
    weakenDefaultDeny: then((permitId) => operator.weakenDefaultDeny(permitId)),
    removeDefaultDeny: then((permitId) => operator.removePolicy(permitId, DEFAULT_DENY)),
    scale: then((permitId, key, replicas) => operator.scale(permitId, key, replicas)),
    touch: then((permitId, object) => operator.touch(permitId, object)),
    stick: then((permitId, object) => operator.stick(permitId, object)),
    unstick: then((permitId, object) => operator.unstick(permitId, object)),
    writeFile: then((permitId, key, path, text, owner) =>
      inside.writeFile(permitId, key, path, { text, ...owner })
    ),
    writeLink: then((permitId, key, path, link) =>
      inside.writeFile(permitId, key, path, { text: "", uid: 0, gid: 0, mode: 0o777, link })
    ),
    readFile: then((permitId, key, path) => inside.files(permitId, key)?.[path] ?? null),
    listFiles: then((permitId, key) => {
      const files = inside.files(permitId, key);
      return files === null ? null : Object.keys(files).sort();
    }),
    tryWrite: then((permitId, key, path) => inside.writeInside(permitId, key, path, "tried")),
    tryRead: then((permitId, key, path) => inside.readInside(permitId, key, path)),
    whoami: then((permitId, key) => inside.pod(permitId, key).template.account),
    canReach: then((permitId, key, target) => inside.canReach(permitId, key, target)),
    reachableFrom: then((permitId, key, from) => inside.reachableFrom(permitId, key, source(from))),
    openConnection: then((permitId, key, target) => {
      const { uid } = inside.pod(permitId, key);
      const alive = (): boolean =>
        cluster.read(({ state }) =>
          Object.values(state.scopes).some(({ pods }) =>
            Object.values(pods).some((pod) => pod.uid === uid && pod.connections.includes(`to ${target}`))
          )
        );
      return { alive: then(alive), close: () => Promise.resolve() };
    }),
    loseNode: then((permitId, name) => operator.loseNode(permitId, name)),
    restoreNode: then((permitId, name) => operator.restoreNode(permitId, name)),
  };
}
