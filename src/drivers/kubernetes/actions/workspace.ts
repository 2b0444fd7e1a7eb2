/** Actions on one workspace's identity and compute: ensure, start, stop, replace, remove. Its network is beside. */
import type { ApplyContext, ApplyResult } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import { isGated } from "../../../core/isolation.ts";
import { permitName, workspaceName } from "../../../core/names.ts";
import type { ObservedWorkspace } from "../../../core/observed.ts";
import { canonicalJson } from "../../../core/sha256.ts";
import type { Action } from "../../../core/step.ts";
import { isAbsent, isConflict } from "../answers.ts";
import { FIELD_MANAGER } from "../client.ts";
import { silentFault } from "../faults.ts";
import type { Gate } from "../manifests/gate.ts";
import { secretManifest } from "../manifests/identity.ts";
import { serviceManifest, statefulSetManifest } from "../manifests/workspace.ts";
import { LABEL, NOTE, ROLE } from "../marks.ts";
import type { KubernetesSite } from "../settings.ts";
import { describePlace, type Place, type Stored } from "../wire.ts";
import {
  applyOwned,
  applySeen,
  changedFault,
  findOurs,
  removeOwned,
  removeSeen,
  type Writing,
} from "../write.ts";

type Of<K extends Action["kind"]> = Extract<Action, { kind: K }>;

/** 20 ms doubled seven times: 5 s in all, far more than a healthy API server's watch lags. */
const GRANT_FIRST_WAIT_MS = 20;
const GRANT_LAST_WAIT_MS = 2_560;
/** A stop that meets a rival write is repeated; each further round needs another rival. */
const ROUNDS_MAX = 8;

function placeOf(permitId: string, workspaceKey: string): Place {
  return { namespace: permitName(permitId), name: workspaceName(workspaceKey) };
}

/** Scales to zero, whatever the version; the pod gets its full grace. No compute object: nothing to stop. */
export async function stopWorkspace(writing: Writing, { workspace }: Of<"stop">): Promise<ApplyResult> {
  const place = placeOf(writing.permitId, workspace.key);
  let target = workspace.compute;
  for (let round = 1;; round++) {
    if (target === null) {
      const found = await findOurs(writing, "statefulsets", place);
      if (found === null) return { detail: "nothing to stop" };
      target = { uid: found.metadata.uid, version: found.metadata.resourceVersion };
    }
    try {
      await writing.client.merge("statefulsets", place, {
        metadata: { uid: target.uid, annotations: { [NOTE.stoppedAfter]: target.version } },
        spec: { replicas: 0 },
      }, writing.signal);
      return { detail: "scaled to 0" };
    } catch (thrown) {
      if (isAbsent(thrown)) return { detail: "nothing to stop" };
      if (!isConflict(thrown) || round === ROUNDS_MAX) throw thrown;
      target = null;
    }
  }
}

/**
 * Secret and Service side by side. The Secret is written over exactly what was seen: a late writer must not bring back
 * a password or key that was taken away (invariant 9). Neither is taken over from somebody else.
 */
export async function ensureIdentity(
  writing: Writing,
  { workspace, rotate, seen }: Of<"ensure-identity">,
  context: ApplyContext,
  site: KubernetesSite,
): Promise<ApplyResult> {
  const [password, hostKey] = await Promise.all([
    context.password(workspace.key, rotate),
    workspace.protocol === "sftp" ? context.hostKey(workspace.owner) : null,
  ]);
  const secret = secretManifest(writing.permitId, workspace, { password, hostKey });
  await Promise.all([
    onceGranted(
      writing,
      () =>
        seen === undefined
          ? applyOwned(writing, "secrets", secret)
          : applySeen(writing, "secrets", secret, seen),
    ),
    applyOwned(writing, "services", serviceManifest(writing.permitId, workspace, site)),
  ]);
  return { detail: rotate ? "Secret with a new password, Service" : "Secret, Service" };
}

/**
 * Does something with Secrets. The namespace's own RoleBinding may have been written a moment ago, and each API server
 * learns of it by a watch of its own: a refusal is asked again for a while before it counts.
 */
async function onceGranted<T>({ clock, signal }: Writing, write: () => Promise<T>): Promise<T> {
  for (let waitMs = GRANT_FIRST_WAIT_MS;; waitMs *= 2) {
    try {
      return await write();
    } catch (thrown) {
      const isRefused = thrown instanceof Fault && thrown.disposition === "stalled" &&
        thrown.reason === "denied";
      if (!isRefused || waitMs > GRANT_LAST_WAIT_MS || signal.aborted) throw thrown;
      await clock.sleep(waitMs, signal);
    }
  }
}

/**
 * The StatefulSet with one replica: one write, conditional on what was seen (invariant 9). An apply leaves alone what
 * others added, a container in the template for example; where somebody did, the object is replaced as a whole. Who is
 * near sensitive data gets `gate`; without one nothing is started.
 */
export async function startWorkspace(
  writing: Writing,
  { workspace, seen }: Of<"start">,
  site: KubernetesSite,
  gate: Gate | null,
): Promise<ApplyResult> {
  if (isGated(workspace) && gate === null) throw silentFault(`start ${workspace.key}`);
  const { client, permitId, signal } = writing;
  const manifest = statefulSetManifest(permitId, workspace, site, isGated(workspace) ? gate : null);
  const { name } = manifest.metadata;
  const existing = seen === null
    ? null
    : await client.get("statefulsets", placeOf(permitId, workspace.key), signal);
  if (seen === null || existing === null || isWhollyOurs(existing)) {
    await applySeen(writing, "statefulsets", manifest, seen);
    return { detail: `${name} set to 1` };
  }
  const metadata = { ...manifest.metadata, uid: seen.uid, resourceVersion: seen.version };
  await client.replace("statefulsets", { ...manifest, metadata }, signal);
  return { detail: `${name} set to 1, changes of others undone` };
}

/** Whether nobody but WPS's own applies (and its stop, which sets the replicas) wrote what the object asks for. */
function isWhollyOurs({ metadata }: Stored<"statefulsets">): boolean {
  return (metadata.managedFields ?? []).every(({ manager, operation, fieldsV1 }) => {
    const spec: unknown = fieldsV1 === undefined ? undefined : Reflect.get(fieldsV1, "f:spec");
    if (spec === undefined || (manager === FIELD_MANAGER && operation === "Apply")) return true;
    return manager === FIELD_MANAGER && canonicalJson(spec) === canonicalJson({ "f:replicas": {} });
  });
}

/** Deletes one pod gracefully; its StatefulSet makes the next from the present template. */
export async function replaceInstance(
  { client, permitId, signal }: Writing,
  { workspace, instanceUid }: Of<"replace-instance">,
): Promise<ApplyResult> {
  const instance = workspace.instances.find(({ uid }) => uid === instanceUid);
  if (instance === undefined) throw changedFault(`the pod of ${workspace.key}`);
  const place = { namespace: permitName(permitId), name: instance.name };
  const removed = await client.remove("pods", place, { uid: instanceUid }, signal);
  return { detail: removed ? `pod ${instance.name} is being replaced` : "the pod is gone already" };
}

/** Compute exactly as it was seen, then what belongs to it, the policy last: as long as anything could run, it is denied. */
export async function removeWorkspace(
  writing: Writing,
  { workspace }: Of<"remove-workspace">,
): Promise<ApplyResult> {
  const place = placeOf(writing.permitId, workspace.key);
  await refuseLiveInstances(writing, workspace);
  const compute = await removeCompute(writing, workspace);
  const rest = await Promise.all([
    removeOwned(writing, "services", place),
    removeOwned(writing, "secrets", place),
  ]);
  const policy = await removeOwned(writing, "networkpolicies", place);
  const count = [compute, ...rest, policy].filter((existed) => existed).length;
  return { detail: `${count} objects deleted` };
}

/** Exactly the compute that was seen; one that has come where none was seen is a conflict. */
async function removeCompute(writing: Writing, { key, compute }: ObservedWorkspace): Promise<boolean> {
  const place = placeOf(writing.permitId, key);
  if (compute !== null) return await removeSeen(writing, "statefulsets", place, compute);
  const found = await findOurs(writing, "statefulsets", place);
  if (found !== null) throw changedFault(describePlace("statefulsets", place));
  return false;
}

/** Deleting the object of a running pod would delete the pod unseen; it must have been stopped and seen gone. */
async function refuseLiveInstances(
  { client, permitId, signal }: Writing,
  workspace: ObservedWorkspace,
): Promise<void> {
  const namespace = permitName(permitId);
  // A probe reads and writes nothing; it ends by itself.
  const labels = `${LABEL.workspace}=${workspaceName(workspace.key)},${LABEL.role}!=${ROLE.probe}`;
  const [pod] = await client.list("pods", { namespace, labels }, signal);
  if (pod === undefined) return;
  const target = describePlace("pods", { namespace, name: pod.metadata.name });
  throw new Fault("wait", "terminating", `Cannot remove ${workspace.key}: ${target} is still there`, {
    target,
    advice: "None needed: WPS waits until it is gone",
  });
}
