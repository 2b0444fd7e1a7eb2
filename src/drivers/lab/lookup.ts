/** Finding what the outside names; what is not there is a mistake of the caller, so it throws plain Errors. */
import type { LabBacking, LabPod, LabScope } from "./objects.ts";
import type { World } from "./world.ts";

/** A value that must be there. */
export function found<T>(object: T | undefined | null, what: string): T {
  if (object === undefined || object === null) throw new Error(`Cannot find ${what} in the lab`);
  return object;
}

/** The backing that holds a volume's data. */
export function backingOf(world: World, permitId: string, key: string): LabBacking {
  const backing = Object.values(world.state.backings).find((candidate) =>
    candidate.permitId === permitId && candidate.key === key
  );
  return found(backing, `persistentvolume of ${key}`);
}

/** The pod of a workspace whose container runs. */
export function podOf(scope: LabScope, workspaceKey: string): LabPod {
  const pod = Object.values(scope.pods).find(({ belongs, phase }) =>
    belongs.to === "workspace" && belongs.key === workspaceKey && phase === "running"
  );
  return found(pod, `running pod of ${workspaceKey}`);
}
