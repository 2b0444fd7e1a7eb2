/** Tasks: list, status, log, stop. */
import type { Principal } from "../state/access.ts";
import type { Task } from "../state/tasks.ts";
import { parameterError } from "../wire/errors.ts";
import { Listed } from "../wire/reply.ts";
import type { Call, CallTable } from "./call.ts";

type Answer = Record<string, unknown>;

/** How many entries are told unless asked otherwise. */
const LIMIT = 50;

function answer(task: Task): Answer {
  const [user, tokenid] = task.user.split("!");
  return {
    upid: task.upid,
    node: task.node,
    pid: task.pid,
    pstart: task.pstart,
    starttime: Math.floor(task.startMs / 1000),
    type: task.type,
    id: task.id,
    user,
    ...tokenid !== undefined && { tokenid },
  };
}

/** Whose task it is may be read off a UPID, be there such a task or not. */
function checkOwner(user: Principal, node: string, upid: string, privilege: string): void {
  if (upid.split(":")[7] !== user.name) user.need(`/nodes/${node}`, privilege);
}

function find(call: Call, privilege: string): Task | undefined {
  const { world, user, values } = call;
  const upid = values.need("upid");
  const task = world.tasks.find(upid);
  checkOwner(user, values.node, upid, privilege);
  return task?.node === values.node ? task : undefined;
}

function status(call: Call): Answer {
  const task = find(call, "Sys.Audit");
  if (task === undefined) throw parameterError({ upid: "no such task" });
  const { exitStatus } = task;
  if (exitStatus === undefined) return { ...answer(task), status: "running" };
  return { ...answer(task), status: "stopped", exitstatus: exitStatus };
}

function log(call: Call): Listed {
  const { values } = call;
  const lines = find(call, "Sys.Audit")?.log ?? ["unable to open file - No such file or directory"];
  const [start, limit] = [values.number("start") ?? 0, values.number("limit") ?? LIMIT];
  const end = limit === 0 ? undefined : start + limit;
  const shown = lines.map((line, index) => ({ n: index + 1, t: line })).slice(start, end);
  return new Listed(shown, lines.length);
}

function stop(call: Call): null {
  const task = find(call, "Sys.Modify");
  if (task !== undefined) call.world.tasks.stop(task);
  return null;
}

function kindOf({ exitStatus }: Task): string {
  if (exitStatus === undefined) return "unknown";
  if (exitStatus === "OK") return "ok";
  return exitStatus.startsWith("WARNINGS:") ? "warning" : "error";
}

function isAsked({ values }: Call, task: Task): boolean {
  const [vmid, type, user] = ["vmid", "typefilter", "userfilter"].map((name) => values.text(name));
  const source = values.text("source") ?? "archive";
  const isActive = task.exitStatus === undefined;
  if (task.node !== values.node) return false;
  if (source !== "all" && isActive !== (source === "active")) return false;
  if (vmid !== undefined && task.id !== vmid) return false;
  if (type !== undefined && task.type !== type) return false;
  if (user !== undefined && !task.user.includes(user)) return false;
  const startS = task.startMs / 1000;
  if (startS < (values.number("since") ?? 0) || startS > (values.number("until") ?? Infinity)) return false;
  if (values.flag("errors") && kindOf(task) !== "error") return false;
  const kinds = values.list("statusfilter");
  return kinds.length === 0 || kinds.includes(kindOf(task));
}

function list(call: Call): Listed {
  const { world, user, values } = call;
  const maySeeAll = user.may(`/nodes/${values.node}`, "Sys.Audit");
  const tasks = world.tasks.all().filter((task) =>
    (maySeeAll || task.user === user.name) && isAsked(call, task)
  );
  const start = values.number("start") ?? 0;
  const shown = tasks.slice(start, start + (values.number("limit") ?? LIMIT)).map((task) => ({
    ...answer(task),
    ...task.endMs !== undefined && { endtime: Math.floor(task.endMs / 1000), status: task.exitStatus },
  }));
  return new Listed(shown, tasks.length);
}

/** Calls about tasks. */
export const TASKS: CallTable = {
  "GET /nodes/{node}/tasks": list,
  "GET /nodes/{node}/tasks/{upid}": () => [{ name: "log" }, { name: "status" }],
  "GET /nodes/{node}/tasks/{upid}/status": status,
  "GET /nodes/{node}/tasks/{upid}/log": log,
  "DELETE /nodes/{node}/tasks/{upid}": stop,
};
