/** What every call gets, and how calls are listed. */
import type { Values } from "../schema/values.ts";
import type { Principal } from "../state/access.ts";
import type { LockWish } from "../state/locks.ts";
import type { TaskRun } from "../state/tasks.ts";
import type { World } from "../state/world.ts";
import type { Upload } from "../wire/request.ts";

/** A request whose sender may make it and whose parameters the schema has found right. */
export interface Call {
  readonly world: World;
  readonly user: Principal;
  readonly values: Values;
  readonly upload: Upload | undefined;
}

/** Does what the call says and returns its `data`, or throws an `ApiError`. */
export type CallWork = (call: Call) => unknown;

/** Works by method and path template, like `GET /nodes/{node}/qemu`. */
export type CallTable = Readonly<Record<string, CallWork>>;

/** What work may do that runs inside a task or, without a log, inside a call. */
export type Steps = Pick<TaskRun, "print" | "pause" | "locked">;

/** Steps of a call that answers only when it is done. */
export function stepsOfCall(world: World): Steps {
  return {
    print: () => {},
    pause: async (ms) => {
      if (ms > 0) await world.clock.sleep(ms);
      world.catchUp();
    },
    locked: async (path, wish: LockWish, work) => {
      const release = await world.locks.acquire(path, wish);
      world.catchUp();
      try {
        return await work();
      } finally {
        release();
      }
    },
  };
}

/** Begins a task in the caller's name and returns its UPID. */
export function startTask(
  call: Call,
  type: string,
  id: string,
  work: (run: TaskRun) => Promise<void>,
): string {
  return call.world.tasks.start(call.values.node, type, id, call.user.name, work);
}

/** Begins a task on a VM. */
export function startVmTask(call: Call, type: string, work: (run: TaskRun) => Promise<void>): string {
  return startTask(call, type, `${call.values.vmid}`, work);
}
