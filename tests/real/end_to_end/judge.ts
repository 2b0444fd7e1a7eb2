/** Judges one permit at one moment: by the API server, from inside each pod, and by packets. */
import assert from "node:assert/strict";
import { until } from "../../services/until.ts";
import { differences, type PermitView, podOf, readView, viewOf } from "./cluster_view.ts";
import type { Expected, ExpectedWorkspace } from "./expected.ts";
import { type Inside, lookInside } from "./inside.ts";
import { type KubeObject, MARK, markOf } from "./objects.ts";
import { judgeReachability, untilReachable } from "./reachability.ts";
import { PROXY_PORT } from "./site.ts";
import type { Stage } from "./stage.ts";

/** A transition of a handful of pods takes 3 to 10 s on an idle machine with 2 cores. */
const SETTLE_MS = 90_000;

/** What a judgement saw, for further questions of a test. */
export interface Judged {
  view: PermitView;
  /** By "kind/username". */
  inside: Map<string, Inside>;
  pod(kind: string, username: string): KubeObject;
}

/** Waits until a permit's objects are what they should be; fails with what differs. */
export async function settles(
  stage: Pick<Stage, "history">,
  permitId: string,
  expected: Expected,
  timeoutMs = SETTLE_MS,
): Promise<void> {
  let last: string[] = [];
  try {
    await until("settled", () => {
      last = differences(viewOf(stage.history, permitId), expected);
      return last.length === 0;
    }, timeoutMs);
  } catch (thrown) {
    assert.fail(`${permitId} did not settle in ${timeoutMs} ms: ${last.join("; ")} (${thrown})`);
  }
}

/** Waits until it is so, then judges everything anew by what the API server, the pods and packets say. */
export async function judge(stage: Stage, permitId: string, expected: Expected): Promise<Judged> {
  await settles(stage, permitId, expected);
  const view = await readView(stage.cluster, permitId);
  assert.deepEqual(differences(view, expected), [], "by the API server");
  judgeNamespace(view);
  const running = expected.workspaces.filter(({ power }) => power === "running");
  await untilReachable(stage, view, running);
  const inside = new Map<string, Inside>();
  await Promise.all([
    judgeReachability(stage, view, running),
    ...running.map(async (workspace) => {
      const pod = podOf(view, workspace);
      judgePod(pod, workspace, view);
      const seen = await lookInside(stage.cluster, pod, Object.keys(workspace.mounts));
      judgeInside(stage, seen, workspace, pod);
      inside.set(`${workspace.kind}/${workspace.username}`, seen);
    }),
  ]);
  return {
    view,
    inside,
    pod: (kind, username) => {
      const workspace = running.find((one) => one.kind === kind && one.username === username);
      return podOf(view, workspace ?? assert.fail(`${kind}/${username} does not run`));
    },
  };
}

/** DESIGN 8: Pod Security `restricted`, quota, limits, default-deny. */
function judgeNamespace(
  { namespaces: [namespace], networkpolicies, resourcequotas, limitranges }: PermitView,
): void {
  const labels = namespace?.metadata.labels ?? {};
  assert.equal(labels["pod-security.kubernetes.io/enforce"], "restricted");
  assert.match(labels["pod-security.kubernetes.io/enforce-version"] ?? "", /^v1\.\d+$/, "a pinned version");
  const denies = networkpolicies.filter(({ spec }) =>
    Object.keys(spec.podSelector ?? {}).length === 0 && spec.ingress === undefined &&
    spec.egress === undefined && ["Egress", "Ingress"].every((type) => spec.policyTypes.includes(type))
  );
  assert.equal(denies.length, 1, "one policy denies every pod both ways");
  assert.equal(resourcequotas.length, 1);
  assert.ok(Number(resourcequotas[0]?.spec.hard.pods) > 0, "pods are bounded");
  assert.equal(limitranges.length, 1);
}

function judgePod({ spec, metadata }: KubeObject, workspace: ExpectedWorkspace, view: PermitView): void {
  const where = metadata.name;
  const { securityContext, containers, automountServiceAccountToken } = spec;
  assert.equal(automountServiceAccountToken, false, where);
  assert.equal(securityContext.runAsNonRoot, true, where);
  assert.equal(securityContext.seccompProfile.type, "RuntimeDefault", where);
  const fsGroups = new Set(view.pods.map((pod) => pod.spec.securityContext.fsGroup));
  assert.equal(fsGroups.size, 1, "the pods of one permit share one group");
  for (const { securityContext, resources } of containers) {
    assert.equal(securityContext.allowPrivilegeEscalation, false, where);
    assert.equal(securityContext.readOnlyRootFilesystem, true, where);
    assert.deepEqual(securityContext.capabilities, { drop: ["ALL"] }, where);
    assert.deepEqual(resources.limits, { cpu: "100m", memory: "64Mi" }, "the tier's limits");
  }
  const { account } = workspace;
  const { runAsUser, runAsGroup } = securityContext;
  if (account !== undefined) assert.deepEqual({ uid: runAsUser, gid: runAsGroup }, account, where);
  else assert.ok(runAsUser >= 30000 && runAsUser <= 39999, `${where} runs as ${runAsUser}, out of the range`);
}

function judgeInside(stage: Stage, seen: Inside, workspace: ExpectedWorkspace, pod: KubeObject): void {
  const { kind, username, mounts, posture } = workspace;
  const where = `inside ${kind}/${username}`;
  const { runAsUser: uid, runAsGroup: gid, fsGroup } = pod.spec.securityContext;
  assert.deepEqual([seen.user, seen.uid, seen.gid], [username, uid, gid], where);
  assert.deepEqual(seen.groups, [...new Set([gid, fsGroup])].sort((a, b) => a - b), where);
  const { WORKSPACE_USER, WORKSPACE_UID, WORKSPACE_GID, WORKSPACE_KIND, HOME } = seen.env;
  assert.deepEqual([WORKSPACE_USER, WORKSPACE_UID, WORKSPACE_GID], [username, `${uid}`, `${gid}`], where);
  assert.equal(WORKSPACE_KIND, kind, where);
  const home = Object.keys(mounts).find((path) => path === `/home/${username}`) ?? "/tmp";
  assert.equal(HOME, home, where);
  assert.ok(seen.passwd.includes(`${username}:x:${uid}:${gid}:${username}:${home}:/bin/sh`), where);
  assert.ok(seen.group.some((line) => line.startsWith(`${username}:x:${gid}:`)), where);
  assert.ok(seen.password.length >= 16, `${where}: a password of ${seen.password.length} characters`);
  assert.equal(seen.hasToken, false, `${where}: no service account's token`);
  const proxies = Object.entries(seen.env).filter(([name]) => /^https?_proxy$/i.test(name));
  const url = `http://${stage.proxyAddress}:${PROXY_PORT}`;
  const names = posture === "proxied" ? ["HTTPS_PROXY", "HTTP_PROXY", "http_proxy", "https_proxy"] : [];
  assert.deepEqual(Object.fromEntries(proxies), Object.fromEntries(names.map((name) => [name, url])), where);

  assert.deepEqual(seen.mounts, mounts, `${where}: its folders, as the kernel has them`);
  const writable = Object.entries(seen.writable).filter(([, yes]) => yes).map(([folder]) => folder);
  const rw = Object.entries(mounts).filter(([, mode]) => mode === "rw").map(([path]) => path);
  assert.deepEqual(writable.sort(), ["/run", "/tmp", ...rw].sort(), `${where}: what can be written`);
}

/** Asserts that nothing of a permit exists: no namespace, no volume, no folder of one. `had` is an earlier view. */
export async function assertGone(stage: Stage, permitId: string, had: PermitView): Promise<void> {
  const view = await readView(stage.cluster, permitId);
  const names = Object.entries(view).flatMap(([kind, objects]) =>
    Array.isArray(objects) ? objects.map(({ metadata }) => `${kind}/${metadata.name}`) : []
  );
  assert.deepEqual([view.namespace, names], [null, []], `${permitId} is gone`);
  const now = stage.history.list("persistentvolumes").map(({ metadata }) => metadata.name);
  for (const volume of had.persistentvolumes) {
    assert.ok(!now.includes(volume.metadata.name), `${volume.metadata.name} is gone`);
    assertFolderGone(volume);
  }
}

/** What the test cluster's volumes are made of; a site's own volumes are judged by the API server alone. */
function assertFolderGone({ spec, metadata }: KubeObject): void {
  const path = spec.local?.path;
  if (path === undefined) return;
  assert.throws(() => Deno.statSync(path), Deno.errors.NotFound, `the folder of ${metadata.name} is gone`);
}

/** The claims' uids by volume key: the same claim is the same data. */
export function claimUids(view: PermitView): Record<string, string> {
  return Object.fromEntries(
    view.persistentvolumeclaims.map((claim) => [markOf(claim, MARK.volumeKey), claim.metadata.uid]),
  );
}
