/** What a site may set of the lab, the simulated cluster (`drivers.lab`). */
import { z } from "zod";
import { absolutePath, count, duration, section, text } from "../../config/fields.ts";

/** Longest a simulated delay may be: beyond it no wait of the service would end well. */
const DELAY_MAX_MS = 600_000;
/** More nodes than any test needs; each is an entry of every snapshot. */
const NODES_MAX = 100;
/** More kinds than a site has. */
const BROKEN_KINDS_MAX = 100;

/** A simulated delay; the defaults let a person watch each state of the demo without waiting for it. */
function delay(fallback: string): z.ZodPrefault<ReturnType<typeof duration>> {
  return duration(0, DELAY_MAX_MS).prefault(fallback);
}

/**
 * `drivers.lab` as written in wps.yaml; {@link labSettings} turns it into {@link LabSettings}. Everything has a
 * default, so that `lab: {}` is a whole configuration.
 */
export const labSection = section({
  /** Where the cluster is kept between runs of the service; absent: the service chooses below its state directory. */
  file: absolutePath().optional(),
  nodes: count(1, NODES_MAX).default(1),
  /** Answer time of the simulated API, for each write and each read. */
  latency: delay("2ms"),
  /** Workspace kinds whose image cannot be had: they never become ready. */
  brokenKinds: z.array(text(/^[a-z][a-z0-9-]{0,39}$/, "a workspace kind such as research"))
    .max(BROKEN_KINDS_MAX).default([]),
  /** Stands for images and templates of WPS: another text makes running workspaces `outdated`. */
  template: text(/^[\w.-]{1,40}$/, "a short word such as v1").default("v1"),
  delays: section({
    bind: delay("80ms"),
    sync: delay("5ms"),
    start: delay("150ms"),
    ready: delay("150ms"),
    stop: delay("200ms"),
    enforce: delay("10ms"),
    gate: delay("20ms"),
    control: delay("100ms"),
    task: delay("300ms"),
    reclaim: delay("80ms"),
    namespace: delay("80ms"),
    nodeLoss: delay("1s"),
  }).prefault({}),
});

/** The lab's settings with units in their names. All delays begin when their cause was acknowledged. */
export interface LabSettings {
  file: string | null;
  nodes: number;
  latencyMs: number;
  brokenKinds: readonly string[];
  template: string;
  /** Claim made → bound. */
  bindMs: number;
  /** StatefulSet written → its controller makes or ends pods. */
  syncMs: number;
  /** Pod has all it needs → its container runs. */
  startMs: number;
  /** Container runs → ready. */
  readyMs: number;
  /** Pod asked to go → gone: what the process makes of its grace period. */
  stopMs: number;
  /** Policy acknowledged → enforced on packets. */
  enforceMs: number;
  /** One round of an isolation gate. */
  gateMs: number;
  /** Control pod asked for → it has tried each canary. */
  controlMs: number;
  /** Consolidation runs → finished. */
  taskMs: number;
  /** Backing asked to go → gone. */
  reclaimMs: number;
  /** Namespace empty → gone. */
  namespaceMs: number;
  /** Node silent → its pods are reported unreachable. */
  nodeLossMs: number;
}

/** Names the units of a parsed {@link labSection}. */
export function labSettings(parsed: z.output<typeof labSection>): LabSettings {
  const { file, nodes, latency, brokenKinds, template, delays } = parsed;
  return {
    file: file ?? null,
    nodes,
    latencyMs: latency,
    brokenKinds,
    template,
    bindMs: delays.bind,
    syncMs: delays.sync,
    startMs: delays.start,
    readyMs: delays.ready,
    stopMs: delays.stop,
    enforceMs: delays.enforce,
    gateMs: delays.gate,
    controlMs: delays.control,
    taskMs: delays.task,
    reclaimMs: delays.reclaim,
    namespaceMs: delays.namespace,
    nodeLossMs: delays.nodeLoss,
  };
}

/** The lab without any configuration. */
export const DEFAULT_LAB_SETTINGS: LabSettings = labSettings(labSection.parse({}));
