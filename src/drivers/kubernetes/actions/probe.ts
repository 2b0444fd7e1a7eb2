/** probe: a short-lived pod beside a running workspace that tries every canary (DESIGN 8: repeated while running). */
import { toInstant } from "../../../core/clock.ts";
import type { Random } from "../../../core/clock.ts";
import type { Probe } from "../../../core/driver.ts";
import { Fault } from "../../../core/fault.ts";
import type { ControlEvidence, IsolationEvidence } from "../../../core/evidence.ts";
import { CANARIES_ALIVE_MIN } from "../../../core/isolation.ts";
import { permitName } from "../../../core/names.ts";
import type { Canaries } from "../canaries.ts";
import { describePending } from "../control.ts";
import { evidenceOf, provenTargets, tooFew } from "../evidence.ts";
import { probeManifest, probeSelector } from "../manifests/probe.ts";
import { isOurs } from "../marks.ts";
import { describeFailure, type GateReport, parseGateReport, reachedOf } from "../report.ts";
import type { KubernetesSite } from "../settings.ts";
import type { Manifest, Stored } from "../wire.ts";
import { createOnly, type Writing } from "../write.ts";
import { findInstance } from "./network.ts";
import { type PolicyReading, readPolicies } from "./policies.ts";

/** A control pod takes seconds; one that waits for an image or room would keep the probe for ever. */
const CONTROL_MAX_MS = 60_000;
/** The probe's own bounds are 60 s; the rest is for its image. */
const PROBE_MAX_MS = 120_000;
const LOOK_MS = 300;

/** What probing needs beside the write. */
export interface ProbeParts {
  site: KubernetesSite;
  canaries: Canaries;
  random: Random;
  /** gate.sh. */
  script: string;
}

/** Which running pod. */
export interface ProbeTarget {
  workspaceKey: string;
  instanceUid: string;
}

/** Judges a running pod from beside it. Faults as the client throws them; what cannot be said now is `unknown`. */
export async function probeInstance(
  writing: Writing,
  { workspaceKey, instanceUid }: ProbeTarget,
  parts: ProbeParts,
): Promise<Probe> {
  const { canaries, site } = parts;
  const pod = await instanceOrNull(writing, workspaceKey, instanceUid);
  if (pod === null) return { found: "unknown", why: "its pod has gone" };
  const reading = await readPolicies(writing, workspaceKey, pod, site);
  const { policies } = reading;
  const instance = { name: pod.metadata.name, uid: instanceUid };
  const opened = openers(reading);
  if (opened.length > 0) {
    // No packet needs to show it, and access must end now.
    const at = writing.clock.now();
    const { evidence: known = NEVER_ASKED } = canaries.answer ?? {};
    const parts = { pod, instance, report: emptyReport(at), before: null, after: known, policies };
    return { found: "breached", reached: opened, evidence: evidenceOf({ method: "probe", ...parts }) };
  }
  const before = canaries.fresh ?? await canaries.next(CONTROL_MAX_MS, writing.signal);
  if (before === null || before.evidence.alive.length < CANARIES_ALIVE_MIN) return silent(canaries);
  const { report, why } = await runProbe(writing, { workspaceKey, pod, lines: before.lines }, parts);
  const evidence = (report: GateReport, after: ControlEvidence): IsolationEvidence =>
    evidenceOf({ method: "probe", pod, instance, report, before: before.evidence, after, policies });
  if (report?.result === "reached") {
    // No second asking: what answered is alive, and access must end now.
    return { found: "breached", reached: reachedOf(report), evidence: evidence(report, before.evidence) };
  }
  if (report?.result !== "clean") return { found: "unknown", why };
  const after = await canaries.next(CONTROL_MAX_MS, writing.signal);
  if (after === null || after.evidence.alive.length < CANARIES_ALIVE_MIN) return silent(canaries);
  if (await instanceOrNull(writing, workspaceKey, instanceUid) === null) {
    return { found: "unknown", why: "its pod has gone meanwhile" };
  }
  const missing = tooFew(provenTargets(report, before.evidence, after.evidence));
  if (missing !== null) return { found: "unknown", why: missing };
  return { found: "isolated", evidence: evidence(report, after.evidence) };
}

const NEVER_ASKED: ControlEvidence = { at: toInstant(0), alive: [], silent: [] };

function silent(canaries: Canaries): Probe {
  const { asking, answer } = canaries.observed("");
  const why = asking?.detail ??
    (answer === null
      ? "no control pod has answered"
      : `${answer.alive.length} canaries answer the control pod`);
  return { found: "unknown", why };
}

/** Policies that let it out, or that are not as WPS wrote them: where nothing denies, no packet needs to show it. */
function openers({ state, by, altered }: PolicyReading): string[] {
  return [...(state === "breached" && by !== null ? [by] : []), ...altered];
}

function emptyReport(beganMs: number): GateReport {
  const at = Math.floor(beganMs / 1000);
  return { v: 1, mode: "gate", result: "reached", rounds: 0, clean: 0, begun: at, ended: at, targets: [] };
}

async function instanceOrNull(writing: Writing, key: string, uid: string): Promise<Stored<"pods"> | null> {
  try {
    const pod = await findInstance(writing, key, uid);
    return pod.status?.phase === "Running" ? pod : null;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "conflict") return null;
    throw thrown;
  }
}

interface Ended {
  /** Null: it did not come to an end of its own. */
  report: GateReport | null;
  why: string;
}

/** Creates the probe, waits for its end and removes it, and with it whatever a crash left of earlier ones. */
async function runProbe(
  writing: Writing,
  { workspaceKey, pod, lines }: { workspaceKey: string; pod: Stored<"pods">; lines: string[] },
  { site, random, script }: ProbeParts,
): Promise<Ended> {
  const { permitId } = writing;
  await sweepProbes(writing, workspaceKey);
  const name = `probe-${random.bytes(4).toHex()}`;
  const manifest = probeManifest({ permitId, workspaceKey, beside: pod, name, script, lines }, site);
  try {
    await createOnly(writing, "pods", manifest);
    return await endOf(writing, manifest);
  } finally {
    // Not the caller's signal: a probe that nobody waits for must not stay.
    await sweepProbes({ ...writing, signal: new AbortController().signal }, workspaceKey);
  }
}

async function endOf({ client, clock, signal }: Writing, { metadata }: Manifest<"pods">): Promise<Ended> {
  const place = { namespace: metadata.namespace, name: metadata.name };
  const untilMs = clock.now() + PROBE_MAX_MS;
  for (;;) {
    const pod = await client.get("pods", place, signal);
    if (pod === null) return { report: null, why: `probe ${place.name} was removed before it ended` };
    const { terminated } = pod.status?.containerStatuses?.[0]?.state ?? {};
    if (terminated !== undefined) {
      const report = parseGateReport(terminated.message);
      return { report, why: describeFailure(report, terminated.exitCode).replace(/^gate/, "probe") };
    }
    if (clock.now() >= untilMs || pod.status?.phase === "Failed") {
      return { report: null, why: `probe ${place.name}: ${describePending(pod)}` };
    }
    await clock.sleep(LOOK_MS, signal);
    signal.throwIfAborted();
  }
}

async function sweepProbes({ client, permitId, signal }: Writing, workspaceKey: string): Promise<void> {
  const namespace = permitName(permitId);
  const { items } = await client.listMetadata(
    "pods",
    { namespace, labels: probeSelector(workspaceKey) },
    signal,
  );
  await Promise.all(
    items.filter((pod) => isOurs(pod, permitId)).map(({ metadata: { name, uid } }) =>
      client.remove("pods", { namespace, name }, { uid }, signal)
    ),
  );
}
