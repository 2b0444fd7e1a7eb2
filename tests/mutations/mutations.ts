/**
 * Decisions of the Kubernetes driver, each with the mistake that somebody could make there, and the tests that must then
 * fail: `deno task mutations` writes one after the other into a copy of the sources and runs them.
 */
import type { Edit } from "../simulation/planted.ts";

/** One decision, made wrongly. */
export interface Mutation extends Edit {
  /** What is wrong with it, in words. */
  name: string;
  /** Below tests/drivers/kubernetes, without "_test.ts". */
  tests: "writes" | "doomed" | "observe_network" | "observe_scope" | "observe_workspaces";
  /** Of the tests that must fail, one. */
  fails: RegExp;
}

const FOLDER = "src/drivers/kubernetes";

/** All of them. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: "any permit's mark counts as this one's",
    file: `${FOLDER}/marks.ts`,
    find: "=== MANAGER && metadata.annotations?.[NOTE.permitId] === permitId;",
    replace: "=== MANAGER && permitId !== undefined;",
    tests: "doomed",
    fails: /^doomedAmong: one of WPS's, of another permit/,
  },
  {
    name: "an object is ours by its name alone",
    file: `${FOLDER}/marks.ts`,
    find: "return metadata.labels?.[LABEL.managedBy] === MANAGER && ",
    replace: "return metadata.name !== undefined || ",
    tests: "writes",
    fails: /^removeWorkspace: what is somebody else's stays/,
  },
  {
    name: "a creation writes over what exists",
    file: `${FOLDER}/write.ts`,
    find: "const metadata = { ...manifest.metadata, resourceVersion: NEVER_A_VERSION };",
    replace: "const metadata = { ...manifest.metadata };",
    tests: "writes",
    fails: /^createOnly: what exists stays/,
  },
  {
    name: "a write over what was seen takes any version",
    file: `${FOLDER}/write.ts`,
    find: "const metadata = { ...manifest.metadata, uid: seen.uid, resourceVersion: seen.version };",
    replace: "const metadata = { ...manifest.metadata, uid: seen.uid };",
    tests: "writes",
    fails: /^openNetwork: refused once a cut went before/,
  },
  {
    name: "a write over whatever is ours takes any object",
    file: `${FOLDER}/write.ts`,
    find: "{ resourceVersion: NEVER_A_VERSION } : { uid: target };",
    replace: "{ resourceVersion: NEVER_A_VERSION } : {};",
    tests: "writes",
    fails: /^cutNetwork: one that is put there by somebody else/,
  },
  {
    name: "whose an object is that stands in the way is not asked",
    file: `${FOLDER}/write.ts`,
    find: "if (found !== null && !isOurs(found, permitId)) {",
    replace: 'if (found !== null && permitId === "") {',
    tests: "writes",
    fails: /^cutNetwork: a policy of that name that is somebody else's stays/,
  },
  {
    name: "deleted by name only",
    file: `${FOLDER}/write.ts`,
    find: "return found !== null && isOurs(found, permitId) ? found : null;",
    replace: 'return permitId !== "" ? found : null;',
    tests: "writes",
    fails: /^removeWorkspace: what is somebody else's stays/,
  },
  {
    name: "a deletion that names no uid",
    file: `${FOLDER}/write.ts`,
    find: "return await writing.client.remove(resource, place, { uid: found.metadata.uid }, writing.signal);",
    replace: "return await writing.client.remove(resource, place, {} as { uid: string }, writing.signal);",
    tests: "writes",
    fails: /^removeWorkspace: what is somebody else's stays/,
  },
  {
    name: "a deletion of what was seen takes any version",
    file: `${FOLDER}/write.ts`,
    find: "const preconditions = { uid: seen.uid, resourceVersion: seen.version };",
    replace: "const preconditions = { uid: seen.uid };",
    tests: "writes",
    fails: /^removeWorkspace: compute that changed stays/,
  },
  {
    name: "a cut of what is shut already changes nothing",
    file: `${FOLDER}/actions/network.ts`,
    find: 'shutPolicyManifest(permitId, workspace, seen?.version ?? "absent");',
    replace: 'shutPolicyManifest(permitId, workspace, "absent");',
    tests: "writes",
    fails: /^openNetwork: refused once a cut went before/,
  },
  {
    name: "a cut leaves nothing where no policy stands",
    file: `${FOLDER}/actions/network.ts`,
    find:
      'if (seen === null && await findOurs(writing, "namespaces", { name: permitName(permitId) }) === null) {',
    replace: 'if (seen === null || await findOurs(writing, "namespaces", { name: "" }) !== null) {',
    tests: "writes",
    fails: /^openNetwork: refused once a cut went before/,
  },
  {
    name: "the policy is opened before its pod has the label",
    file: `${FOLDER}/actions/network.ts`,
    find:
      "  // The label first: alone it opens nothing, and then the conditional write of the policy alone decides.\n",
    replace: '  await applySeen(writing, "networkpolicies", manifest, seen);\n',
    tests: "writes",
    fails: /^openNetwork: the label first/,
  },
  {
    name: "whichever pod has the name is labelled",
    file: `${FOLDER}/actions/network.ts`,
    find: "metadata: { uid: instanceUid, labels: { [LABEL.opened]: instanceUid } },",
    replace: "metadata: { labels: { [LABEL.opened]: instanceUid } },",
    tests: "writes",
    fails: /^openNetwork: a pod that took the place/,
  },
  {
    name: "an opened policy is not read back",
    file: `${FOLDER}/actions/network.ts`,
    find: "if (!isStored(stored, openSpec(manifest.metadata.name, rules, instanceUid))) {",
    replace:
      'if (!isStored(stored, openSpec(manifest.metadata.name, rules, instanceUid)) && instanceUid === "") {',
    tests: "writes",
    fails: /^openNetwork: a policy that was stored otherwise/,
  },
  {
    name: "a stop of what is off already changes nothing",
    file: `${FOLDER}/actions/workspace.ts`,
    find: "annotations: { [NOTE.stoppedAfter]: target.version } },",
    replace: "annotations: {} },",
    tests: "writes",
    fails: /^startWorkspace: refused once a stop went before/,
  },
  {
    name: "started near data without a gate",
    file: `${FOLDER}/actions/workspace.ts`,
    find: "if (isGated(workspace) && gate === null) throw silentFault(`start ${workspace.key}`);",
    replace: "",
    tests: "writes",
    fails: /^startWorkspace: nothing near data without a gate/,
  },
  {
    name: "the policy goes before the compute",
    file: `${FOLDER}/actions/workspace.ts`,
    find: "  const compute = await removeCompute(writing, workspace);\n",
    replace:
      '  await removeOwned(writing, "networkpolicies", place);\n  const compute = await removeCompute(writing, workspace);\n',
    tests: "writes",
    fails: /^removeWorkspace: compute that changed stays, and its policy/,
  },
  {
    name: "a password is written over a newer one",
    file: `${FOLDER}/actions/workspace.ts`,
    find: "        seen === undefined\n",
    replace: '        seen === undefined || secret.kind === ""  || seen !== null\n',
    tests: "writes",
    fails: /^ensureIdentity: a Secret that changed/,
  },
  {
    name: "a volume is not retained",
    file: `${FOLDER}/actions/volume.ts`,
    find: 'await setReclaim(writing, volume.key, backing, "Retain",',
    replace: 'await setReclaim(writing, volume.key, backing, "Delete",',
    tests: "writes",
    fails: /^retainVolume, destroyVolume/,
  },
  {
    name: "a volume is let go whatever became of it",
    file: `${FOLDER}/actions/volume.ts`,
    find: "      resourceVersion: metadata.resourceVersion,\n      ...volumeMarks(permitId, key, tainted),",
    replace: "      ...volumeMarks(permitId, key, tainted),",
    tests: "writes",
    fails: /^destroyVolume: neither a claim nor a volume/,
  },
  {
    name: "an empty volume beside the data that lost its claim",
    file: `${FOLDER}/actions/volume.ts`,
    find: "    await refuseBesideData(writing, volume.key);\n",
    replace: "",
    tests: "writes",
    fails: /^ensureVolume: no empty claim beside data/,
  },
  {
    name: "the namespace ends with others' things in it",
    file: `${FOLDER}/actions/scope.ts`,
    find: "if (doomed !== undefined) throw doomedFault(",
    replace: "if (doomed !== undefined && others.length > 1_000) throw doomedFault(",
    tests: "doomed",
    fails: /^destroyScope: a custom resource on a later page/,
  },
  {
    name: "addresses that a person wrote count as a controller's",
    file: `${FOLDER}/doomed.ts`,
    find: "(writers.length > 0 && writers.every(({ manager }) => manager === KEEPER_PROCESS));",
    replace: "writers.every(({ manager }) => manager === KEEPER_PROCESS);",
    tests: "doomed",
    fails: /^doomedAmong: addresses that a person wrote/,
  },
  {
    name: "a foreign policy's egress is overlooked",
    file: `${FOLDER}/observe/network.ts`,
    find: "return (spec?.egress ?? []).length > 0 || (spec?.ingress ?? []).length > 0;",
    replace: "return (spec?.ingress ?? []).length > 0;",
    tests: "observe_network",
    fails: /^networkOf: breached with/,
  },
  {
    name: "an altered default-deny counts as intact",
    file: `${FOLDER}/observe/scope.ts`,
    find: "canonicalJson(live.spec) === canonicalJson(DEFAULT_DENY_SPEC);",
    replace: 'canonicalJson(live.spec) !== "";',
    tests: "observe_network",
    fails: /^networkOf: breached with/,
  },
  {
    name: "somebody else's default-deny counts as WPS's",
    file: `${FOLDER}/observe/scope.ts`,
    find: "return live !== undefined && isOurs(live, permitId) && live.metadata",
    replace: 'return live !== undefined && permitId !== "" && live.metadata',
    tests: "observe_scope",
    fails: /^isDefaultDenyIntact: /,
  },
  {
    name: "an operator of a selector that nobody knows selects nothing",
    file: `${FOLDER}/observe/network.ts`,
    find: "      default:\n        return true;",
    replace: "      default:\n        return false;",
    tests: "observe_network",
    fails: /^selects: true for/,
  },
];
