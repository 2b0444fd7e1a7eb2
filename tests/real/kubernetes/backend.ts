/** The driver suite's platform: the real cluster. */
import { permitName } from "../../../src/core/names.ts";
import { NOTE } from "../../../src/drivers/kubernetes/marks.ts";
import type { Place, Resource } from "../../../src/drivers/kubernetes/wire.ts";
import type { Cluster } from "../../cluster/harness.ts";
import type { Backend } from "../../conformance/backend.ts";
import { Api } from "./api.ts";
import { RealOutside } from "./outside.ts";
import { HOST_CIDR, machineClock, testDriver, testSite } from "./site.ts";
import type { RunningWorld } from "./world.ts";

/** One backend for one case. */
export function realBackend(cluster: Cluster, world: RunningWorld): Backend {
  // A site's nodes are reached by its API alone: this machine is no part of their network.
  const sources: Pick<Backend, "sources"> = cluster.isSites ? { sources: ["gateway", "stranger"] } : {};
  const api = new Api(cluster);
  const permits: string[] = [];
  const driver = testDriver(testSite(cluster, world));
  return {
    driver,
    outside: new RealOutside(api, world),
    clock: machineClock,
    pollMs: 100,
    // A consolidation that fails is tried three times, 10 and 20 s apart, each time behind its gate.
    limitMs: 120_000,
    holderCidr: HOST_CIDR,
    ...sources,
    permitId: (label) => {
      const permitId = `${label} ${crypto.randomUUID().slice(0, 8)}`;
      permits.push(permitId);
      return permitId;
    },
    close: async () => {
      await driver.close();
      await Promise.all(permits.map((permitId) => sweep(api, permitId)));
    },
  };
}

/** Deletes what a permit left, finalizers or not. The namespace's end is not waited for. */
export async function sweep(api: Api, permitId: string): Promise<void> {
  const namespace = permitName(permitId);
  await api.remove("namespaces", { name: namespace });
  const release = async (
    resource: Resource,
    place: Place,
    finalizers: string[] | undefined,
  ): Promise<void> => {
    if ((finalizers ?? []).some((name) => name.startsWith("suite."))) {
      await api.merge(resource, place, { metadata: { finalizers: null } });
    }
  };
  for (const resource of ["pods", "persistentvolumeclaims"] as const) {
    for (const { metadata } of await api.list(resource, namespace)) {
      await release(resource, { namespace, name: metadata.name }, metadata.finalizers);
    }
  }
  for (const { metadata, spec } of await api.list("persistentvolumes")) {
    if (spec?.claimRef?.namespace !== namespace && metadata.annotations?.[NOTE.permitId] !== permitId) {
      continue;
    }
    const place = { name: metadata.name };
    await release("persistentvolumes", place, metadata.finalizers);
    await api.merge("persistentvolumes", place, { spec: { persistentVolumeReclaimPolicy: "Delete" } });
  }
}
