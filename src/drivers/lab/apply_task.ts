/** consolidate and remove-task. */
import { permitName, taskName } from "../../core/names.ts";
import type { Action } from "../../core/step.ts";
import { findScope, requireScope } from "./apply_scope.ts";
import { conflict, foreign, terminating } from "./faults.ts";
import { isFresh, silent } from "./canaries.ts";
import type { LabControl } from "./objects.ts";
import type { Requests } from "./request.ts";

function labelOf(scope: string, key: string): string {
  return `job ${scope}/${taskName(key)}`;
}

/** A task for one holder's uploads; a failed one, if it is the one that was observed, is replaced. */
export async function consolidate(
  requests: Requests,
  permitId: string,
  { consolidation, task: seen }: Extract<Action, { kind: "consolidate" }>,
  control: LabControl | null,
): Promise<string> {
  if (!isFresh(control, requests.path.clock.now())) throw silent(`consolidate ${consolidation.fromKey}`);
  const name = permitName(permitId);
  const { into, ...rest } = consolidation;
  const what = labelOf(name, consolidation.fromKey);
  return await requests.write(what, name, (world) => {
    const scope = requireScope(world, permitId, `consolidate ${consolidation.fromKey}`);
    const present = scope.tasks[taskName(consolidation.fromKey)];
    if (present !== undefined && !present.owned) throw foreign(what);
    if (present !== undefined && present.deletedAtMs !== null) {
      throw terminating(`consolidate ${consolidation.fromKey}`, what);
    }
    if (present !== undefined && seen !== null && present.state !== "failed") {
      return `${what} ${present.state}`;
    }
    if (present !== undefined && present.uid !== seen?.seen?.uid) {
      throw conflict(what, "it is not the one that was observed");
    }
    if (present === undefined && seen !== null) throw conflict(what, "it is gone");
    scope.tasks[taskName(consolidation.fromKey)] = {
      name: taskName(consolidation.fromKey),
      uid: world.newUid(),
      version: world.newVersion(),
      owned: true,
      deletedAtMs: null,
      finalizers: [],
      key: consolidation.fromKey,
      work: structuredClone({ ...rest, into: into.id, intoKey: into.key }),
      control,
      state: "running",
      message: null,
      refused: null,
    };
    return `${what} was made`;
  });
}

/** Ends a task and its pods, finished or not. */
export async function removeTask(
  requests: Requests,
  permitId: string,
  { task }: Extract<Action, { kind: "remove-task" }>,
): Promise<string> {
  const name = permitName(permitId);
  const what = labelOf(name, task.key);
  return await requests.write(what, name, (world) => {
    const present = findScope(world, permitId)?.tasks[taskName(task.key)];
    if (present === undefined) return `${what} is gone`;
    if (!present.owned) throw foreign(what);
    if (present.uid !== task.seen?.uid) throw conflict(what, "it is not the one that was observed");
    if (present.deletedAtMs === null) {
      present.deletedAtMs = world.nowMs;
      world.bump(present);
    }
    return `${what} was asked to go`;
  });
}
