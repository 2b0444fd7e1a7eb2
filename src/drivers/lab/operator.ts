/**
 * What people and the world do to the simulated cluster, not through WPS: deletions, foreign objects, lost nodes,
 * stuck finalizers. For tests, simulations and the demo. Throws an Error when the thing meant is not there.
 */
import { permitName, volumeName, workspaceName } from "../../core/names.ts";
import { parseVolumeKey } from "../../core/volume.ts";
import type { LabCluster } from "./cluster.ts";
import { backingOf, found } from "./lookup.ts";
import { DEFAULT_DENY, type LabTarget } from "./network.ts";
import type { LabScope } from "./objects.ts";
import { endPod } from "./pods.ts";
import { addScope } from "./scopes.ts";
import type { World } from "./world.ts";

/** A finalizer that nothing removes by itself. */
export const STUCK = "example.org/stuck";

/**
 * Somebody else's object, never with WPS's mark: of WPS's name for a permit, workspace or volume, a claim of any name, or
 * settings of which WPS makes none.
 */
export type LabForeign =
  | { kind: "scope" }
  | { kind: "workspace"; key: string }
  | { kind: "volume"; key: string }
  | { kind: "claim"; name: string }
  | { kind: "settings"; name: string };

/** An object that can be made to stay. */
export type LabStuck =
  | { kind: "pod"; name: string }
  | { kind: "volume"; key: string }
  | { kind: "backing"; key: string };

/** An operator with every right. */
export class LabOperator {
  constructor(readonly cluster: LabCluster) {}

  /** Graceful deletion. */
  deletePod(permitId: string, name: string): void {
    this.#write(permitId, (world, scope) => endPod(world, found(scope.pods[name], `pod ${name}`)));
  }

  /** Deletion of a volume's claim; a claim in use stays until it is not. */
  deleteClaim(permitId: string, volumeKey: string): void {
    this.#write(permitId, (world, scope) => {
      const claim = found(scope.claims[volumeName(volumeKey)], `claim of ${volumeKey}`);
      claim.deletedAtMs ??= world.nowMs;
      world.bump(claim);
    });
  }

  /** The backing and its data are gone at once. */
  loseBacking(permitId: string, volumeKey: string): void {
    this.cluster.write(permitName(permitId), (world) => {
      delete world.state.backings[backingOf(world, permitId, volumeKey).name];
      world.moved();
    });
  }

  /** A policy without WPS's mark that lets every pod of the permit reach everything. */
  addForeignPolicy(permitId: string, name: string): void {
    this.#write(permitId, (world, scope) => {
      scope.policies[name] = {
        name,
        uid: world.newUid(),
        version: world.newVersion(),
        owned: false,
        rules: { selects: null, onlyPod: null, egress: "any", ingress: null },
        opening: null,
      };
    });
  }

  /**
   * The namespace of a permit that has none, with WPS's mark: out of a backup, or by a request that was very long under
   * way.
   */
  restoreScope(permitId: string): void {
    const name = permitName(permitId);
    this.cluster.write(name, (world) => {
      if (world.state.scopes[name] !== undefined) throw new Error(`namespace ${name} is there`);
      addScope(world, name, permitId, true);
    });
  }

  /** From now on these canaries answer nobody, and all others do. */
  silence(targets: LabTarget[]): void {
    this.cluster.write(null, (world) => {
      world.state.silent = [...targets];
      world.moved();
    });
  }

  /** Takes any policy away by name. */
  removePolicy(permitId: string, name: string): void {
    this.#write(permitId, (world, scope) => {
      found(scope.policies[name], `networkpolicy ${name}`);
      delete scope.policies[name];
      world.moved();
    });
  }

  /** Lets the default-deny allow all egress. */
  weakenDefaultDeny(permitId: string): void {
    this.#write(permitId, (world, scope) => {
      const policy = found(scope.policies[DEFAULT_DENY], `networkpolicy ${DEFAULT_DENY}`);
      policy.rules.egress = "any";
      world.bump(policy);
    });
  }

  /** Adds somebody else's object. */
  addForeign(permitId: string, object: LabForeign): void {
    const name = permitName(permitId);
    if (object.kind === "scope") {
      this.cluster.write(name, (world) => void addScope(world, name, permitId, false));
      return;
    }
    this.#write(permitId, (world, scope) => {
      const base = { uid: world.newUid(), version: world.newVersion(), owned: false };
      const mortal = { deletedAtMs: null, finalizers: [] };
      if (object.kind === "workspace") {
        const slash = object.key.indexOf("/");
        scope.computes[workspaceName(object.key)] = {
          ...base,
          ...mortal,
          name: workspaceName(object.key),
          key: object.key,
          kind: object.key.slice(0, slash),
          owner: object.key.slice(slash + 1),
          replicas: 1,
          template: {
            posture: "open",
            account: { username: "somebody", uid: 1000, gid: 1000 },
            fsGroup: 1000,
            mounts: [],
            tier: "foreign",
            revision: "foreign",
            gated: false,
            control: null,
          },
          acted: null,
          unread: [],
          stoppedAfter: null,
          readyReplicas: 0,
        };
        return;
      }
      if (object.kind === "settings") {
        scope.settings[object.name] = { ...base, name: object.name };
        return;
      }
      const key = object.kind === "volume" ? object.key : `foreign-${object.name}`;
      scope.claims[claimName(object)] = {
        ...base,
        ...mortal,
        name: claimName(object),
        id: parseVolumeKey(key),
        key,
        size: "1Gi",
        tainted: false,
        phase: "pending",
        backing: null,
      };
    });
  }

  /** What must not change of somebody else's object, for comparison; null: it is gone, going, or bears our mark. */
  foreign(permitId: string, object: LabForeign): string | null {
    return this.cluster.read(({ state }) => {
      const scope = state.scopes[permitName(permitId)];
      if (object.kind === "workspace") {
        const compute = scope?.computes[workspaceName(object.key)];
        if (compute === undefined || compute.owned || compute.deletedAtMs !== null) return null;
        return JSON.stringify([compute.uid, compute.version, compute.replicas, compute.template]);
      }
      if (object.kind === "settings") {
        const settings = scope?.settings[object.name];
        return settings === undefined ? null : JSON.stringify(settings);
      }
      const at = object.kind === "scope" ? scope : scope?.claims[claimName(object)];
      if (at === undefined || at.owned || at.deletedAtMs !== null) return null;
      return JSON.stringify([at.uid, at.finalizers, "tainted" in at ? at.tainted : at.fsGroup]);
    });
  }

  /** Its owner takes it away. */
  removeForeign(permitId: string, object: LabForeign): void {
    this.#write(permitId, (world, scope) => {
      if (object.kind === "scope") scope.deletedAtMs = world.nowMs;
      else if (object.kind === "workspace") delete scope.computes[workspaceName(object.key)];
      else if (object.kind === "settings") delete scope.settings[object.name];
      else {
        const claim = found(scope.claims[claimName(object)], "the foreign claim");
        claim.deletedAtMs = world.nowMs;
      }
      world.moved();
    });
  }

  /** So many pods of a workspace, as `kubectl scale` asks for. */
  scale(permitId: string, key: string, replicas: number): void {
    this.#write(permitId, (world, scope) => {
      const compute = found(scope.computes[workspaceName(key)], `statefulset of ${key}`);
      compute.replicas = replicas;
      world.bump(compute);
    });
  }

  /** A harmless write to an object of WPS, so that its version moves. */
  touch(permitId: string, object: { kind: "compute" | "network"; key: string }): void {
    this.#write(permitId, (world, scope) => {
      const name = workspaceName(object.key);
      world.bump(found(object.kind === "compute" ? scope.computes[name] : scope.policies[name], object.key));
    });
  }

  /** Gives an object a finalizer that stays. */
  stick(permitId: string, object: LabStuck): void {
    this.#finalizers(permitId, object, (finalizers) => [...finalizers, STUCK]);
  }

  /** Takes that finalizer off. */
  unstick(permitId: string, object: LabStuck): void {
    this.#finalizers(permitId, object, (finalizers) => finalizers.filter((name) => name !== STUCK));
  }

  /** The node of a pod stops answering; its processes go on. */
  loseNode(permitId: string, podName: string): void {
    const node = this.#node(permitId, podName);
    this.cluster.write(null, (world) => {
      found(world.state.nodes.find(({ name }) => name === node), `node ${node}`).lostAtMs = world.nowMs;
      world.schedule("node", "", node, world.settings.nodeLossMs);
    });
  }

  /** The node answers again. */
  restoreNode(permitId: string, podName: string): void {
    const node = this.#node(permitId, podName);
    this.cluster.write(null, (world) => {
      found(world.state.nodes.find(({ name }) => name === node), `node ${node}`).lostAtMs = null;
      world.schedule("node", "", node, 0);
    });
  }

  #node(permitId: string, podName: string): string {
    const name = permitName(permitId);
    return this.cluster.read(({ state }) =>
      found(state.scopes[name]?.pods[podName]?.node, `node of pod ${podName}`)
    );
  }

  #finalizers(permitId: string, object: LabStuck, change: (finalizers: string[]) => string[]): void {
    this.cluster.write(permitName(permitId), (world) => {
      const target = stickable(world, permitId, object);
      target.finalizers = change(target.finalizers);
      world.bump(target);
    });
  }

  #write(permitId: string, mutate: (world: World, scope: LabScope) => void): void {
    const name = permitName(permitId);
    this.cluster.write(name, (world) => mutate(world, found(world.state.scopes[name], `namespace ${name}`)));
  }
}

function claimName(object: Extract<LabForeign, { kind: "volume" | "claim" }>): string {
  return object.kind === "volume" ? volumeName(object.key) : object.name;
}

function stickable(
  world: World,
  permitId: string,
  object: LabStuck,
): { version: number; finalizers: string[] } {
  const scope = world.state.scopes[permitName(permitId)];
  if (object.kind === "pod") return found(scope?.pods[object.name], `pod ${object.name}`);
  if (object.kind === "volume") return found(scope?.claims[volumeName(object.key)], `claim of ${object.key}`);
  return backingOf(world, permitId, object.key);
}
