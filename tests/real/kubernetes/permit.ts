/** One permit on the test cluster: its driver, its context, and waits that say what did not come. */
import assert from "node:assert/strict";
import type { ApplyContext } from "../../../src/core/driver.ts";
import type { IsolationEvidence } from "../../../src/core/evidence.ts";
import { areCanariesConfirmed, areCanariesFresh, isGated } from "../../../src/core/isolation.ts";
import { permitName } from "../../../src/core/names.ts";
import type { Observed, ObservedVolume, ObservedWorkspace } from "../../../src/core/observed.ts";
import type { Action } from "../../../src/core/step.ts";
import type { DesiredVolume } from "../../../src/core/volume.ts";
import type { DesiredWorkspace } from "../../../src/core/workspace.ts";
import type { KubernetesDriver } from "../../../src/drivers/kubernetes/driver.ts";
import { until } from "../../services/until.ts";
import { FS_GROUP } from "../../conformance/fixtures.ts";
import { areCanariesLasting } from "../../conformance/trial.ts";

/** A permit of a name of its own. */
export class Permit {
  readonly permitId: string;
  readonly namespace: string;
  #passwords = 0;

  constructor(readonly driver: KubernetesDriver, label: string) {
    this.permitId = `${label}-${crypto.randomUUID().slice(0, 8)}`;
    this.namespace = permitName(this.permitId);
  }

  get context(): ApplyContext {
    return {
      permitId: this.permitId,
      signal: new AbortController().signal,
      password: (_key, rotate) => Promise.resolve(`password-${rotate ? ++this.#passwords : this.#passwords}`),
      hostKey: () => Promise.resolve("not a key\n"),
    };
  }

  /** A consolidation has its canaries asked first, as its job would. */
  async apply(action: Action): Promise<void> {
    if (action.kind === "consolidate" && !areCanariesLasting(await this.observe())) {
      await this.canaries([], areCanariesFresh);
    }
    await this.driver.apply(action, this.context);
  }

  async observe(): Promise<Observed> {
    return await this.driver.observe(this.permitId, this.context.signal);
  }

  async scope(): Promise<void> {
    const { scope } = await this.observe();
    const seen = scope.state === "absent" ? null : scope.seen;
    await this.apply({ kind: "ensure-scope", fsGroup: FS_GROUP, members: 2, seen });
  }

  async volume(volume: DesiredVolume): Promise<ObservedVolume> {
    await this.apply({ kind: "ensure-volume", volume, seen: null });
    return await this.volumeIn(volume.key, "bound");
  }

  async volumeIn(key: string, state: ObservedVolume["state"]): Promise<ObservedVolume> {
    return await until(`${key} is ${state}`, async () => {
      const found = (await this.observe()).volumes.find((candidate) => candidate.key === key);
      return found?.state === state && found;
    });
  }

  async workspace(key: string): Promise<ObservedWorkspace> {
    const found = (await this.observe()).workspaces.find((candidate) => candidate.key === key);
    return found ?? assert.fail(`${key} is not observed`);
  }

  /** The canaries have answered, and the answer `holds`; `after`: pods that are through their gates. */
  async canaries(after: string[], holds: (seen: Observed) => boolean): Promise<Observed> {
    await this.apply({ kind: "ask-canaries", after });
    return await until("the canaries answer", async () => {
      const seen = await this.observe();
      return holds(seen) && seen;
    });
  }

  /** Isolation of a gated workspace's ready pod, once the canaries have answered again. */
  async prove(workspace: DesiredWorkspace, instanceUid: string): Promise<IsolationEvidence> {
    await this.canaries([instanceUid], (seen) => areCanariesConfirmed(seen, instanceUid));
    const action = { kind: "prove-isolation", workspace, instanceUid } as const;
    const { evidence } = await this.driver.apply(action, this.context);
    return evidence ?? assert.fail("no evidence");
  }

  /** Identity and compute, and a ready pod. */
  async start(workspace: DesiredWorkspace): Promise<ObservedWorkspace> {
    if (isGated(workspace)) await this.canaries([], areCanariesFresh);
    await this.apply({ kind: "ensure-identity", workspace, rotate: true });
    const existing = (await this.observe()).workspaces.find(({ key }) => key === workspace.key);
    await this.apply({ kind: "start", workspace, seen: existing?.compute ?? null });
    return await until(`${workspace.key} is ready`, async () => {
      const found = await this.workspace(workspace.key);
      return found.instances.some(({ ready }) => ready) && found;
    });
  }

  async stop(key: string): Promise<ObservedWorkspace> {
    await this.apply({ kind: "stop", workspace: await this.workspace(key) });
    return await until(`${key} is gone`, async () => {
      const found = await this.workspace(key);
      return found.instances.length === 0 && found;
    });
  }

  async open(workspace: DesiredWorkspace): Promise<void> {
    const { instances, network } = await this.workspace(workspace.key);
    const instanceUid = instances[0]?.uid ?? assert.fail(`${workspace.key} has no pod`);
    await this.apply({ kind: "open-network", workspace, instanceUid, seen: network.seen });
  }
}
