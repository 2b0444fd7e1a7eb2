/** Rules over all phases and volumes of a site together. */
import type { EventPhase, StatusPhase } from "../core/phase.ts";
import type { VolumeRule } from "../core/volume.ts";
import { didYouMean } from "../config/nearest.ts";
import type { Finding } from "./finding.ts";
import { spreadTaint } from "./phase_rules.ts";
import { EVENT_EFFECTS } from "./schema.ts";
import { UPLOADS } from "./workspace_rules.ts";

/** A finding together with the phase (status or event name) in whose file it stands. */
export interface PhaseFinding extends Finding {
  phase: string;
}

/** What only shows when all phases are seen: kinds across phases and events. */
export function setFindings(
  statuses: StatusPhase[],
  events: EventPhase[],
  volumes: ReadonlyMap<string, VolumeRule>,
): PhaseFinding[] {
  return [
    ...openFindings(statuses, volumes),
    ...airlockKindFindings(statuses, events),
    ...events.flatMap((event) => [...effectFindings(event), ...kindFindings(event, statuses)]),
    ...switchFindings(events),
  ];
}

/** DESIGN 4: `open` is only for workspaces that never touch sensitive volumes, in whatever phase. */
function openFindings(statuses: StatusPhase[], volumes: ReadonlyMap<string, VolumeRule>): PhaseFinding[] {
  const touching = new Map<string, { status: string; volume: string }>();
  for (const { status, workspaces } of statuses) {
    const taintedBy = spreadTaint(workspaces, volumes);
    for (const { kind, mounts } of workspaces) {
      const sensitive = mounts.find(({ volume }) =>
        volumes.get(volume)?.sensitive === "always" || taintedBy.has(volume)
      );
      if (sensitive !== undefined) touching.set(kind, { status, volume: sensitive.volume });
    }
  }
  return statuses.flatMap(({ status, workspaces }) =>
    workspaces.flatMap(({ kind, network }, index): PhaseFinding[] => {
      const touched = touching.get(kind);
      if (network !== "open" || touched === undefined || touched.status === status) return [];
      const message = `open is only for workspaces that never touch sensitive volumes, but ${kind} mounts ` +
        `${touched.volume} in ${touched.status}; expected proxied`;
      return [{ phase: status, path: ["workspaces", index, "network"], message, invariant: 1 }];
    })
  );
}

/** A status that names the airlock's kind would keep an airlock alive, or be mistaken for one. */
function airlockKindFindings(statuses: StatusPhase[], events: EventPhase[]): PhaseFinding[] {
  const airlocks = new Set(events.flatMap(({ workspaces }) => workspaces.map(({ kind }) => kind)));
  return statuses.flatMap(({ status, workspaces }) =>
    workspaces.flatMap(({ kind }, index): PhaseFinding[] => {
      if (!airlocks.has(kind)) return [];
      const message = `${kind} is the airlock of permit.ingress.initiated; a status uses another kind`;
      return [{ phase: status, path: ["workspaces", index, "kind"], message, invariant: 2 }];
    })
  );
}

function effectFindings(event: EventPhase): PhaseFinding[] {
  const effects: Record<string, string> = EVENT_EFFECTS;
  const expected = effects[event.event];
  if (expected === undefined || expected === event.effect) return [];
  return [{
    phase: event.event,
    path: ["effect"],
    message: `expected ${expected}: what this event does is fixed`,
  }];
}

function kindFindings(event: EventPhase, statuses: StatusPhase[]): PhaseFinding[] {
  const known = [...new Set(statuses.flatMap(({ workspaces }) => workspaces.map(({ kind }) => kind)))];
  return event.kinds.flatMap((kind, index): PhaseFinding[] => {
    if (known.includes(kind)) return [];
    const message = `no status has a workspace of kind "${kind}"; expected one of ${known.join(", ")}` +
      didYouMean(kind, known);
    return [{ phase: event.event, path: ["kinds", index], message }];
  });
}

/** Stop and start raise and lower one flag of the permit, so both speak of the same kinds. */
function switchFindings(events: EventPhase[]): PhaseFinding[] {
  const stop = events.find(({ effect }) => effect === "stop");
  const start = events.find(({ effect }) => effect === "start");
  if (stop === undefined || start === undefined) return [];
  const [stops, starts] = [[...stop.kinds].sort().join(", "), [...start.kinds].sort().join(", ")];
  if (stops === starts) return [];
  const message =
    `${stop.event} names ${stops} and ${start.event} names ${starts}; both must name the same kinds`;
  return [{ phase: start.event, path: ["kinds"], message }];
}

/**
 * What a site may do to the volumes: change size and access, add its own; never make a sensitive one harmless or
 * key an existing one differently, because volumes that permits already have are found by their key.
 */
export function volumeFindings(volume: VolumeRule, builtIn: VolumeRule | undefined): Finding[] {
  const at = (key: string): PropertyKey[] => ["volumes", volume.name, key];
  const findings: Finding[] = [];
  if (builtIn !== undefined && builtIn.per !== volume.per) {
    const message =
      `expected ${builtIn.per}: the volumes that permits have are found by it; add one of another name`;
    findings.push({ path: at("per"), message });
  }
  if (builtIn?.sensitive === "always" && volume.sensitive !== "always") {
    findings.push({
      path: at("sensitive"),
      message: `expected always: ${volume.name} holds health data, and nothing may declare it harmless`,
      invariant: 1,
    });
  }
  if (volume.per === "dataHolder" && volume.name !== UPLOADS) {
    findings.push({
      path: at("per"),
      message: `only ${UPLOADS} is one per data holder; expected permit, person or workspace`,
    });
  }
  return findings;
}
