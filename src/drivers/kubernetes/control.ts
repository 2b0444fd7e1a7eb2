/** One time that a control pod tries the canaries, from the namespace that it needs to the pod's end. */
import { type Clock, type Random, toInstant } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import type { ControlEvidence } from "../../core/evidence.ts";
import { CANARIES_FRESH_MS } from "../../core/isolation.ts";
import type { Client } from "./client.ts";
import { ensureCanaries, type ListenerParts } from "./listener.ts";
import { newestControl, sweepControls } from "./control_pods.ts";
import { type ControlAsking, controlManifest, LISTENER_PORT } from "./manifests/canaries.ts";
import { containersOf, refusalOf, said } from "./observe/trouble.ts";
import { type ControlReport, parseControlReport, REACHED } from "./report.ts";
import type { Stored } from "./wire.ts";
import { NEVER_A_VERSION } from "./write.ts";

/** Cloud platforms serve credentials there; no workspace has any business with it. */
const METADATA_ADDRESS = "169.254.169.254";
const DNS_PORT = 53;
/** A control pod tries all canaries at once and ends within seconds; the rest is for its image. */
const CONTROL_MAX_MS = 30_000;
const LOOK_MS = 300;
/** What takes longer than this is told to whoever waits. */
const SILENT_MS = 5_000;

/** What asking needs. */
export interface ControlParts extends ListenerParts {
  clock: Clock;
  random: Random;
  /** gate.sh. */
  script: () => Promise<string>;
}

/** What a control pod found. */
export interface ControlAnswer {
  /** Its name. */
  pod: string;
  askedAtMs: number;
  evidence: ControlEvidence;
  /** For the next gate: every canary by address. */
  lines: string[];
  /** DNS servers of the cluster's pods, tried from the next time on. */
  nameservers: string[];
}

/** What an asking builds on. */
export interface ControlBasis {
  /** DNS servers that an earlier one found. */
  nameservers: string[];
  /** Uids of the pods that are through their gates; kept on the control pod for {@link resumeControl}. */
  after: string[];
  /** The control pod before, which this one replaces. */
  previous: string | null;
}

/**
 * Asks once. `tell` hears what it takes so long. A Fault leaves when the platform refuses, and when no report comes within
 * {@link CONTROL_MAX_MS}. A pod that has reported stays until the next one has, and one that an abort leaves ends by
 * itself: a service that is started again reads it.
 */
export async function askControl(
  parts: ControlParts,
  { nameservers, after, previous }: ControlBasis,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlAnswer> {
  const { client, site, clock, random } = parts;
  const script = await parts.script();
  const askedAtMs = clock.now();
  const lines = unique([...await knownLines(parts, script, signal), ...nameservers.map(dnsLine)]);
  const asking = { askedAtMs, lines, after };
  const pod = `control-${random.bytes(4).toHex()}`;
  const manifest = controlManifest(pod, asking, script, site);
  const metadata = { ...manifest.metadata, resourceVersion: NEVER_A_VERSION };
  const over = previous === null ? [] : [previous];
  try {
    await client.apply("pods", { ...manifest, metadata }, signal);
    return await answerOf(parts, pod, asking, tell, signal);
  } catch (thrown) {
    over.push(pod); // it says nothing
    throw thrown;
  } finally {
    if (!signal.aborted) {
      await sweepControls(client, site.settings.canaryNamespace, { newest: pod, over }, signal);
    }
  }
}

/**
 * Goes on with the asking that a service began before it ended: its control pod runs without it, and what it says is worth
 * as much. Null: there is none that asks for all that would be asked for now, or it says nothing of use.
 */
export async function resumeControl(
  parts: ControlParts,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlAnswer & { after: string[] } | null> {
  const { client, site, clock } = parts;
  const script = await parts.script();
  const newest = await newestControl(client, site.settings.canaryNamespace, script, signal);
  if (newest === null || clock.now() - newest.askedAtMs > CANARIES_FRESH_MS) return null;
  const known = await knownLines(parts, script, signal);
  if (!known.every((line) => newest.lines.includes(line))) return null;
  try {
    return { ...await answerOf(parts, newest.pod, newest, tell, signal), after: newest.after };
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "canaries-silent") return null; // a new one may say more
    throw thrown;
  }
}

async function answerOf(
  parts: ControlParts,
  pod: string,
  { askedAtMs, lines }: ControlAsking,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlAnswer> {
  const seen = reading(lines, await reportOf(parts, pod, tell, signal));
  return { pod, askedAtMs, evidence: { at: toInstant(askedAtMs), ...seen.evidence }, ...seen.next };
}

/** What is tried whatever an earlier control pod learned: what the site configures, and what no site needs to. */
async function knownLines(parts: ControlParts, script: string, signal: AbortSignal): Promise<string[]> {
  const named = parts.site.canaries.map(({ host, port }) =>
    `${isAddress(host) ? "tcp" : "name"} ${host} ${port}`
  );
  return unique([...named, ...await fixedLines(parts, script, signal)]);
}

/** The canaries that no site needs to configure. */
async function fixedLines(parts: ControlParts, script: string, signal: AbortSignal): Promise<string[]> {
  const [listener, api] = await Promise.all([
    ensureCanaries(parts, script, signal),
    addressOf(parts.client, "default", "kubernetes", signal),
  ]);
  return [
    ...(api === null ? [] : [`tcp ${api} 443`]),
    ...(listener === null ? [] : [`tcp ${listener} ${LISTENER_PORT}`]),
    `tcp ${METADATA_ADDRESS} 80`,
  ];
}

/** The cluster address of a Service; null: there is none, or WPS may not read it. */
async function addressOf(
  client: Client,
  namespace: string,
  name: string,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    const address = (await client.get("services", { namespace, name }, signal))?.spec?.clusterIP;
    return address === undefined || !isAddress(address) ? null : address;
  } catch (thrown) {
    if (thrown instanceof Fault && thrown.reason === "denied") return null;
    throw thrown;
  }
}

async function reportOf(
  { client, clock, site }: ControlParts,
  name: string,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlReport> {
  const place = { namespace: site.settings.canaryNamespace, name };
  const target = `control pod ${place.namespace}/${place.name}`;
  const beganMs = clock.now();
  for (let detail = `${target}: Pending`;;) {
    const pod = await client.get("pods", place, signal);
    if (pod === null) throw failed(target, "it was removed before it ended");
    const { terminated } = pod.status?.containerStatuses?.[0]?.state ?? {};
    if (terminated !== undefined) return readReport(target, terminated);
    detail = `${target}: ${describePending(pod)}`;
    const spentMs = clock.now() - beganMs;
    if (spentMs >= CONTROL_MAX_MS || pod.status?.phase === "Failed") {
      throw failed(target, describePending(pod));
    }
    if (spentMs >= SILENT_MS) tell(detail);
    await clock.sleep(LOOK_MS, signal);
    signal.throwIfAborted();
  }
}

function readReport(
  target: string,
  { message, exitCode }: { message?: string; exitCode: number },
): ControlReport {
  const report = parseControlReport(message);
  if (report === null) throw failed(target, `it ended with code ${exitCode} and no report`);
  if (report.result === "broken") throw failed(target, report.why ?? "its tool is broken");
  return report;
}

function failed(target: string, why: string): Fault {
  return new Fault("wait", "canaries-silent", `${target}: ${why}`, { target });
}

/** Why a pod has not ended, in the platform's words. */
export function describePending(pod: Stored<"pods">): string {
  for (const { state } of containersOf(pod)) {
    const text = said(state?.waiting?.reason, state?.waiting?.message);
    if (text !== null) return text;
    if (state?.running !== undefined) return "it has not ended";
  }
  const refusal = refusalOf(pod);
  return said(refusal?.reason, refusal?.message) ?? said(pod.status?.reason, pod.status?.message) ??
    pod.status?.phase ?? "Pending";
}

/** The report in the core's words, and what the next gate and the next control should try. */
export function reading(
  lines: string[],
  { targets, nameservers }: ControlReport,
): {
  evidence: Omit<ControlEvidence, "at">;
  next: Pick<ControlAnswer, "lines" | "nameservers">;
} {
  const alive: string[] = [], silent: string[] = [], resolved: string[] = [];
  for (const [target = "", outcome = "", address] of targets) {
    const isNamed = target.startsWith("name ");
    // The gate cannot resolve: for it the canary is the address.
    const tried = isNamed && address !== undefined
      ? `tcp ${bracketed(address)}${target.slice(target.lastIndexOf(":"))}`
      : target;
    if (isNamed && address !== undefined) {
      resolved.push(`tcp ${address} ${target.slice(target.lastIndexOf(":") + 1)}`);
    }
    (outcome === REACHED ? alive : silent).push(tried);
  }
  const given = lines.filter((line) => !line.startsWith("name "));
  // A pod's own loopback is no way out.
  const outside = nameservers.filter((address) => isAddress(address) && !/^(127\.|::1$)/.test(address));
  return {
    evidence: { alive: unique(alive), silent: unique(silent) },
    next: { lines: unique([...given, ...resolved, ...outside.map(dnsLine)]), nameservers: outside },
  };
}

function dnsLine(address: string): string {
  return `dns ${address} ${DNS_PORT}`;
}

function bracketed(address: string): string {
  return address.includes(":") ? `[${address}]` : address;
}

function isAddress(host: string): boolean {
  return /^[0-9.]+$/.test(host) || host.includes(":");
}

function unique(texts: string[]): string[] {
  return [...new Set(texts)];
}
