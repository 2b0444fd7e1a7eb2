/** Rules between the workspaces of one phase: invariant 3, shared volumes, consolidation, archive. */
import { type EventPhase, isWayOut, type StatusPhase, type WorkspaceRule } from "../core/phase.ts";
import type { VolumeRule } from "../core/volume.ts";
import { didYouMean } from "../config/nearest.ts";
import { below, type Finding } from "./finding.ts";
import { UPLOADS, workspaceFindings } from "./workspace_rules.ts";

type Volumes = ReadonlyMap<string, VolumeRule>;

/** All that is wrong within one status, paths relative to its file. */
export function statusFindings(phase: StatusPhase, volumes: Volumes): Finding[] {
  return [
    ...phase.workspaces.flatMap((workspace, index) =>
      below(["workspaces", index], workspaceFindings(workspace, volumes, false))
    ),
    ...twinFindings(phase.workspaces),
    ...taintFindings(phase.workspaces, volumes),
    ...sharingFindings(phase.workspaces, volumes),
    ...consolidationFindings(phase, volumes),
    ...archiveFindings(phase),
  ];
}

/** All that is wrong within one event, paths relative to its file. */
export function eventFindings(phase: EventPhase, volumes: Volumes): Finding[] {
  const findings = phase.workspaces.flatMap((workspace, index) =>
    below(["workspaces", index], workspaceFindings(workspace, volumes, true))
  );
  const opens = phase.effect === "open-ingress";
  const switches = phase.effect === "stop" || phase.effect === "start";
  if (opens && phase.workspaces.length === 0) {
    findings.push({ path: ["workspaces"], message: "expected the airlock that the event opens" });
  }
  if (!opens && phase.workspaces.length > 0) {
    findings.push({
      path: ["workspaces"],
      message: `an event that has the effect ${phase.effect} names no workspaces`,
    });
  }
  if (switches && phase.kinds.length === 0) {
    findings.push({
      path: ["kinds"],
      message: `expected the workspace kinds to ${phase.effect}, e.g. [research]`,
    });
  }
  if (!switches && phase.kinds.length > 0) {
    findings.push({ path: ["kinds"], message: "only stop and start name kinds" });
  }
  return [...findings, ...twinFindings(phase.workspaces)];
}

/** Two entries of one kind would be the same workspace when one person holds both roles. */
function twinFindings(workspaces: WorkspaceRule[]): Finding[] {
  return workspaces.flatMap(({ kind }, index) => {
    const first = workspaces.findIndex((other) => other.kind === kind);
    if (first === index) return [];
    return [{
      path: ["workspaces", index, "kind"],
      message: `${kind} is already workspaces[${first}]; use another kind`,
    }];
  });
}

/**
 * Invariant 3: a `when-tainted` volume that is or may become sensitive in this phase must not be mounted where there
 * is a way out. In an isolated workspace each such volume may be tainted from an earlier phase, so it counts.
 */
function taintFindings(workspaces: WorkspaceRule[], volumes: Volumes): Finding[] {
  // A workspace with a way out and data breaks invariant 1 already; what it would taint needs no second complaint.
  const isolated = workspaces.filter(({ network }) => !isWayOut(network));
  const taintedBy = spreadTaint(isolated, volumes, true);
  return workspaces.flatMap((workspace, index) => {
    if (!isWayOut(workspace.network)) return [];
    return workspace.mounts.flatMap((mount, at): Finding[] => {
      const by = taintedBy.get(mount.volume);
      if (by === undefined) return [];
      const message =
        `${by} writes ${mount.volume} beside data that is or may be sensitive, and ${workspace.kind} ` +
        `would mount it with a way out (${workspace.network})`;
      return [{ path: ["workspaces", index, "mounts", at, "volume"], message, invariant: 3 }];
    });
  });
}

/**
 * Which volumes a phase taints, to a fixed point: volume → the workspace kind that mounts it writable beside another
 * one that is sensitive. Volumes that are sensitive always are not listed. `suspects`: whether a `when-tainted` volume
 * beside it counts as tainted already; by default it does not.
 */
export function spreadTaint(
  workspaces: WorkspaceRule[],
  volumes: Volumes,
  suspects = false,
): Map<string, string> {
  const taintedBy = new Map<string, string>();
  const counts = (volume: string): boolean =>
    volumes.get(volume)?.sensitive === "always" || taintedBy.has(volume);
  for (let before = -1; before !== taintedBy.size;) {
    before = taintedBy.size;
    for (const workspace of workspaces) {
      for (const { volume, mode } of workspace.mounts) {
        const isBesideData = workspace.mounts.some((other) =>
          other.volume !== volume && (suspects || counts(other.volume))
        );
        if (mode !== "ro" && !counts(volume) && isBesideData) taintedBy.set(volume, workspace.kind);
      }
    }
  }
  return taintedBy;
}

/** A ReadWriteOnce volume attaches to one place: two running workspaces of a phase cannot both have it. */
function sharingFindings(workspaces: WorkspaceRule[], volumes: Volumes): Finding[] {
  const holders = new Map<string, string>();
  const findings: Finding[] = [];
  workspaces.forEach((workspace, index) => {
    if (workspace.power !== "running") return;
    workspace.mounts.forEach((mount, at) => {
      const rule = volumes.get(mount.volume);
      if (rule?.access !== "ReadWriteOnce" || rule.per === "workspace") return;
      const other = holders.get(mount.volume);
      const isForEach = workspace.role === "researcher" || workspace.role === "dataHolder";
      const sharedByEach = isForEach && (rule.per === "permit" || mount.of !== null);
      if (other !== undefined || sharedByEach) {
        const with_ = other === undefined
          ? `every ${workspace.kind} workspace`
          : `${other} and ${workspace.kind}`;
        const message =
          `${mount.volume} is ReadWriteOnce and would be mounted by ${with_} at once; make it ` +
          "ReadWriteMany in volumes.yaml, or stop one of them";
        findings.push({ path: ["workspaces", index, "mounts", at, "volume"], message });
      }
      holders.set(mount.volume, workspace.kind);
    });
  });
  return findings;
}

function consolidationFindings(phase: StatusPhase, volumes: Volumes): Finding[] {
  const { consolidatesInto: into, keepsIngress } = phase;
  const findings: Finding[] = [];
  if (keepsIngress && into !== null) {
    const message =
      "uploads are only moved once their airlock is gone; remove consolidate, or let ingress close";
    findings.push({ path: ["ingress"], message, invariant: 2 });
  }
  if (keepsIngress && phase.workspaces.length > 0) {
    const message = "a status that keeps airlocks open names no workspaces of its own; let ingress close";
    findings.push({ path: ["ingress"], message, invariant: 2 });
  }
  if (into === null) return findings;
  const path = ["consolidate", "into"];
  const rule = volumes.get(into);
  if (rule === undefined) {
    const known = [...volumes.values()].filter(({ per }) => per === "permit").map(({ name }) => name);
    const message = `there is no volume "${into}"; expected one of ${known.join(", ")}${
      didYouMean(into, known)
    }`;
    return [...findings, { path, message }];
  }
  if (rule.per !== "permit") {
    findings.push({
      path,
      message: `${into} is one per ${rule.per}; ${UPLOADS} of all holders go into one per permit`,
    });
  }
  if (rule.sensitive !== "always") {
    const message =
      `${into} is not declared sensitive: always, so it could be mounted where there is a way out`;
    findings.push({ path, message, invariant: 1 });
  }
  if (rule.access !== "ReadWriteMany") {
    findings.push({ path, message: `${into} is ReadWriteOnce; several holders are consolidated at once` });
  }
  return findings;
}

function archiveFindings(phase: StatusPhase): Finding[] {
  if (!phase.archives || phase.workspaces.length === 0) return [];
  return [{
    path: ["archives"],
    message: "an archived permit has no workspaces; remove them or archives: true",
  }];
}
