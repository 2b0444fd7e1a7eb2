/** One time that a control pod tries the canaries, from the namespace that it needs to the pod's end. */
import { type Clock, type Random, toInstant } from "../../core/clock.ts";
import { Fault } from "../../core/fault.ts";
import type { ControlEvidence } from "../../core/isolation.ts";
import type { Client } from "./client.ts";
import { ensureCanaries, type ListenerParts } from "./listener.ts";
import { CONTROL_SELECTOR, controlManifest, LISTENER_PORT } from "./manifests/canaries.ts";
import { containersOf, refusalOf, said } from "./observe/trouble.ts";
import { type ControlReport, parseControlReport, REACHED } from "./report.ts";
import type { Manifest, MetadataOnly, Stored } from "./wire.ts";
import { NEVER_A_VERSION } from "./write.ts";

/** Cloud platforms serve credentials there; no workspace has any business with it. */
const METADATA_ADDRESS = "169.254.169.254";
const DNS_PORT = 53;
/** A control pod tries all canaries at once and ends within seconds; the rest is for its image. */
const CONTROL_MAX_MS = 30_000;
const LOOK_MS = 300;
/** What takes longer than this is told to whoever waits. */
const SILENT_MS = 5_000;
/** Control pods that are this much older than ours are nobody's any more: theirs lasts 30 s. */
const LEFTOVER_MS = 120_000;

/** What asking needs. */
export interface ControlParts extends ListenerParts {
  clock: Clock;
  random: Random;
  /** gate.sh. */
  script: () => Promise<string>;
}

/** What a control pod found. */
export interface ControlAnswer {
  askedAtMs: number;
  evidence: ControlEvidence;
  /** For the next gate: every canary by address. */
  lines: string[];
  /** DNS servers of the cluster's pods, tried from the next time on. */
  nameservers: string[];
}

/**
 * Asks once. `tell` hears what it takes so long. A Fault leaves when the platform refuses, and when no report comes within
 * {@link CONTROL_MAX_MS}; the pod is removed in any case.
 */
export async function askControl(
  parts: ControlParts,
  nameservers: string[],
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlAnswer> {
  const { client, site, clock, random } = parts;
  const script = await parts.script();
  const askedAtMs = clock.now();
  const fixed = await fixedLines(parts, script, signal);
  const named = site.canaries.map(({ host, port }) => `${isAddress(host) ? "tcp" : "name"} ${host} ${port}`);
  const lines = unique([...named, ...fixed, ...nameservers.map(dnsLine)]);
  const name = `control-${random.bytes(4).toHex()}`;
  const manifest = controlManifest(name, lines, script, site);
  try {
    const report = await reportOf(parts, manifest, tell, signal);
    const seen = reading(lines, report);
    return { askedAtMs, evidence: { at: toInstant(askedAtMs), ...seen.evidence }, ...seen.next };
  } finally {
    // Not the caller's signal: what is left behind by an abort would try the canaries once more for nobody.
    await sweepControls(client, site.settings.canaryNamespace, name, new AbortController().signal);
  }
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
  { client, clock }: ControlParts,
  manifest: Manifest<"pods">,
  tell: (detail: string) => void,
  signal: AbortSignal,
): Promise<ControlReport> {
  const place = { namespace: manifest.metadata.namespace, name: manifest.metadata.name };
  const target = `control pod ${place.namespace}/${place.name}`;
  const beganMs = clock.now();
  const metadata = { ...manifest.metadata, resourceVersion: NEVER_A_VERSION };
  await client.apply("pods", { ...manifest, metadata }, signal);
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

/** Removes our pod and what crashes left; nobody waits for their ends. A pod that stays ends by its own deadline. */
async function sweepControls(
  client: Client,
  namespace: string,
  own: string,
  signal: AbortSignal,
): Promise<void> {
  try {
    const { items } = await client.listMetadata("pods", { namespace, labels: CONTROL_SELECTOR }, signal);
    const ownMs = createdMs(items.find(({ metadata }) => metadata.name === own));
    const leavers = items.filter((pod) => pod.metadata.name === own || createdMs(pod) < ownMs - LEFTOVER_MS);
    await Promise.all(
      leavers.map(({ metadata: { name, uid } }) =>
        client.remove("pods", { namespace, name }, { uid }, signal)
      ),
    );
  } catch (thrown) {
    if (!(thrown instanceof Fault)) throw thrown;
  }
}

function createdMs(pod: MetadataOnly | undefined): number {
  return Date.parse(pod?.metadata.creationTimestamp ?? "") || 0;
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
