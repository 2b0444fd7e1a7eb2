/** The lab from within: files on its volumes, what a workspace can write and read, where packets get. */
import { permitName } from "../../core/names.ts";
import type { LabCluster } from "./cluster.ts";
import { FILE_MAX, readInside, writeInside } from "./files.ts";
import { backingOf, found, podOf } from "./lookup.ts";
import { type LabSource, type LabTarget, mayEnter, mayLeave } from "./network.ts";
import type { LabFile, LabPod, LabScope } from "./objects.ts";
import type { World } from "./world.ts";

/** The truth of the simulated cluster, for tests and the demo. Throws an Error when the thing meant is not there. */
export class LabInside {
  constructor(readonly cluster: LabCluster) {}

  /** Puts a file on a bound volume. */
  writeFile(permitId: string, volumeKey: string, path: string, file: LabFile): void {
    if (file.text.length > FILE_MAX) throw new Error(`Cannot write ${path}: over ${FILE_MAX} characters`);
    this.cluster.write(permitName(permitId), (world) => {
      backingOf(world, permitId, volumeKey).files[path] = { ...file };
      world.moved();
    });
  }

  /** The files of a volume by path, wherever its data is; null: no data of it is left. */
  files(permitId: string, volumeKey: string): Record<string, LabFile> | null {
    return this.cluster.read((world) => {
      const backing = Object.values(world.state.backings).find((candidate) =>
        candidate.permitId === permitId && candidate.key === volumeKey
      );
      return backing === undefined ? null : structuredClone(backing.files);
    });
  }

  /** From inside a workspace: whether an absolute path takes a write. */
  writeInside(permitId: string, workspaceKey: string, path: string, text: string): boolean {
    const name = permitName(permitId);
    return this.cluster.write(name, (world) => {
      const scope = found(world.state.scopes[name], `namespace ${name}`);
      return writeInside(world, scope, podOf(scope, workspaceKey), path, text);
    });
  }

  /** From inside a workspace: a file's text; null: it cannot be read. */
  readInside(permitId: string, workspaceKey: string, path: string): string | null {
    return this.#read(
      permitId,
      (world, scope) => readInside(world, scope, podOf(scope, workspaceKey), path),
    );
  }

  /** The pod of a workspace, as the truth has it. */
  pod(permitId: string, workspaceKey: string): LabPod {
    return this.#read(permitId, (_world, scope) => structuredClone(podOf(scope, workspaceKey)));
  }

  /** By a packet from inside. */
  canReach(permitId: string, workspaceKey: string, target: LabTarget): boolean {
    return this.#read(permitId, (_world, scope) => mayLeave(scope, podOf(scope, workspaceKey), target));
  }

  /** By a packet to its port. */
  reachableFrom(permitId: string, workspaceKey: string, source: LabSource): boolean {
    return this.#read(permitId, (_world, scope) => mayEnter(scope, podOf(scope, workspaceKey), source));
  }

  #read<T>(permitId: string, look: (world: World, scope: LabScope) => T): T {
    const name = permitName(permitId);
    return this.cluster.read((world) => look(world, found(world.state.scopes[name], `namespace ${name}`)));
  }
}
