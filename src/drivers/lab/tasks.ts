/** Consolidation tasks: a pod that copies one holder's uploads, as that holder, and says what went wrong. */
import { describeRefused } from "../../core/refusal.ts";
import { sha256Hex } from "../../core/sha256.ts";
import { manifestPath } from "../../core/step.ts";
import { linkLine, mayRead } from "./files.ts";
import type { LabBacking, LabScope, LabTask, LabTimer } from "./objects.ts";
import { addPod } from "./pods.ts";
import { mountedBacking } from "./volumes.ts";
import type { World } from "./world.ts";

/** As many lines of a refused list as consolidate.sh reports. */
const SHOWN_MAX = 20;

/** Makes the pods of running tasks and removes tasks that were asked to go; then it changes nothing. */
export function settleTasks(world: World, scope: LabScope): void {
  for (const task of Object.values(scope.tasks)) {
    const pods = Object.values(scope.pods).filter(({ belongs }) => belongs.uid === task.uid);
    if (task.deletedAtMs !== null) {
      if (task.finalizers.length > 0 || pods.length > 0) continue;
      delete scope.tasks[task.name];
      world.moved();
    } else if (task.state === "running" && pods.length === 0 && scope.deletedAtMs === null) {
      const { from, fromKey, into, intoKey, uid, gid, fsGroup, holder } = task.work;
      const name = `${task.name}-${world.newUid().slice(-5)}`;
      addPod(world, scope, name, { to: "task", key: task.key, uid: task.uid }, {
        posture: "isolated",
        account: { username: holder, uid, gid },
        fsGroup,
        mounts: [
          { volume: from, volumeKey: fromKey, path: "/uploads", mode: "ro" },
          { volume: into, volumeKey: intoKey, path: "/into", mode: "rw" },
        ],
        tier: "task",
        revision: world.settings.template,
        gated: true,
        control: task.control,
      });
    }
  }
}

/** A task's pod has worked long enough: it has copied, or knows why it cannot. */
export function taskTimer(world: World, scope: LabScope, timer: LabTimer): void {
  const pod = Object.values(scope.pods).find(({ uid }) => uid === timer.uid);
  if (pod === undefined || pod.phase !== "running" || pod.deletedAtMs !== null) return;
  if (!world.isReachable(pod.node)) return;
  const task = Object.values(scope.tasks).find(({ uid }) => uid === pod.belongs.uid);
  if (task === undefined) return;
  const from = mountedBacking(world, scope, task.work.fromKey);
  const into = mountedBacking(world, scope, task.work.intoKey);
  task.refused = from === undefined ? null : refusedIn(task, from);
  const problem = from === undefined || into === undefined
    ? "Cannot copy: a volume is gone"
    : task.refused === null
    ? copy(task, from, into)
    : describeRefused(task.refused);
  task.state = problem === null ? "succeeded" : "failed";
  task.message = problem ?? `${Object.keys(from?.files ?? {}).length} files copied and verified`;
  pod.phase = problem === null ? "succeeded" : "failed";
  pod.connections = [];
  pod.reason = problem;
  world.bump(task);
  world.bump(pod);
}

/** Links, a line each, as consolidate.sh lists them. */
function linksIn(from: LabBacking): string[] {
  return Object.entries(from.files).flatMap(([path, { link }]) =>
    link === undefined ? [] : [linkLine(path, link)]
  ).sort();
}

/** What keeps a task from copying anything; null: nothing, or exactly what may be left out. */
function refusedIn({ work }: LabTask, from: LabBacking): LabTask["refused"] {
  const lines = linksIn(from);
  if (lines.length === 0) return null;
  const listHash = sha256Hex(lines.map((line) => `${line}\n`).join(""));
  return listHash === work.accepted
    ? null
    : { count: lines.length, shown: lines.slice(0, SHOWN_MAX), listHash };
}

/** Copies all or nothing, with a manifest; what already lies there is compared, never overwritten. Null: done. */
function copy({ work }: LabTask, from: LabBacking, into: LabBacking): string | null {
  const owned = { uid: work.uid, gid: work.fsGroup, mode: 0o640 };
  const uploads = Object.entries(from.files).filter(([, { link }]) => link === undefined)
    .sort(([a], [b]) => a < b ? -1 : 1);
  for (const [path, upload] of uploads) {
    if (!mayRead(upload, { uid: work.uid, groups: [work.gid, work.fsGroup] })) {
      return `Cannot read ${path}: permission denied for uid ${work.uid}`;
    }
    const present = into.files[`${work.folder}/${path}`];
    if (present !== undefined && present.text !== upload.text) {
      return `Cannot copy ${path}: another ${work.folder}/${path} is already there and is not overwritten`;
    }
  }
  const text = [
    ...uploads.map(([path, upload]) => `${sha256Hex(upload.text)}  ${path}\n`),
    ...linksIn(from).map((line) => `# left out: ${line}\n`),
  ].join("");
  const manifest = manifestPath(work.folder);
  if (Object.keys(into.files).some((path) => path.startsWith(`${work.folder}/`))) {
    if (into.files[manifest]?.text !== text) {
      return `Cannot copy: ${work.folder} exists and its manifest is not that of the uploads; nothing is overwritten`;
    }
  }
  for (const [path, { text }] of uploads) into.files[`${work.folder}/${path}`] = { text, ...owned };
  into.files[manifest] = { text, ...owned };
  return null;
}
