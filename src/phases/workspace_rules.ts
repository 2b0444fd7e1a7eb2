/** Rules for one workspace of a phase, seen alone: invariant 1 and what each kind may mount. */
import { isWayOut, type MountRule, type WorkspaceRule } from "../core/phase.ts";
import type { VolumeRule } from "../core/volume.ts";
import { didYouMean } from "../config/nearest.ts";
import type { Finding } from "./finding.ts";
import { pathFindings } from "./mount_paths.ts";

/** The volume that airlocks write and consolidation empties; core names it too (`dataBesideWayOut`). */
export const UPLOADS = "uploads";

type Volumes = ReadonlyMap<string, VolumeRule>;

/** All that is wrong with one workspace, each path relative to it. `inIngress`: it stands in the ingress event. */
export function workspaceFindings(workspace: WorkspaceRule, volumes: Volumes, inIngress: boolean): Finding[] {
  const findings = [
    ...(inIngress ? airlockFindings(workspace) : residentFindings(workspace)),
    ...pathFindings(workspace),
  ];
  workspace.mounts.forEach((mount, index) => {
    const rule = volumes.get(mount.volume);
    if (rule === undefined) {
      const known = [...volumes.keys()];
      const message = `there is no volume "${mount.volume}"; expected one of ${known.join(", ")}` +
        didYouMean(mount.volume, known);
      findings.push({ path: ["mounts", index, "volume"], message });
      return;
    }
    const found = [...mountFindings(workspace, mount, rule), ...wayOutFindings(workspace, mount, rule)];
    const twin = workspace.mounts.findIndex((other) =>
      other.volume === mount.volume && other.of === mount.of
    );
    if (twin < index) {
      found.push({ path: ["volume"], message: `${mount.volume} is mounted twice; keep one of them` });
    }
    findings.push(...found.map((finding) => ({ ...finding, path: ["mounts", index, ...finding.path] })));
  });
  return findings;
}

/** Invariant 1: a sensitive volume never stands where there is a way out. */
function wayOutFindings(workspace: WorkspaceRule, mount: MountRule, rule: VolumeRule): Finding[] {
  const { network } = workspace;
  if (!isWayOut(network) || rule.sensitive !== "always") return [];
  if (network === "inbound-allowlist" && mount.volume === UPLOADS && mount.of === null) return [];
  const message = network === "inbound-allowlist"
    ? `${mount.volume} is sensitive and an airlock is reachable from outside; it mounts only its own holder's ` +
      `${UPLOADS}`
    : `${mount.volume} is sensitive and ${network} is a way out; mount it only where network is isolated`;
  return [{ path: ["volume"], message, invariant: 1 }];
}

/** What holds for every mount, wherever it stands. */
function mountFindings(workspace: WorkspaceRule, mount: MountRule, rule: VolumeRule): Finding[] {
  const findings: Finding[] = [];
  if (mount.mode === "wo" && workspace.network !== "inbound-allowlist") {
    findings.push({
      path: ["mode"],
      message: "wo exists only in an airlock, whose SFTP server refuses to read; expected ro or rw",
    });
  }
  if (mount.of !== null) {
    if (rule.per !== "person") {
      const message =
        `of: asks for somebody else's volume, but there is one ${mount.volume} per ${rule.per}; ` +
        "it is only for volumes per person";
      findings.push({ path: ["of"], message });
    } else if (mount.of === "dataHolder") {
      findings.push({ path: ["of"], message: "data holders have no volume per person; they have uploads" });
    }
    if (mount.mode !== "ro") {
      findings.push({ path: ["mode"], message: "somebody else's volume is only mounted ro" });
    }
  }
  if (rule.per === "dataHolder" && workspace.role !== "dataHolder") {
    const message = `${mount.volume} is only mounted by its holder's airlock; consolidate it (consolidate: ` +
      "{ into: raw }) and mount that";
    findings.push({ path: ["volume"], message, invariant: 2 });
  }
  return findings;
}

/** A workspace that a status names: a desktop of a member of staff or a researcher. */
function residentFindings(workspace: WorkspaceRule): Finding[] {
  const findings: Finding[] = [];
  if (workspace.network === "inbound-allowlist") {
    const message =
      "an airlock exists only while permit.ingress.initiated holds, so that data never moves beside " +
      "an open one; expected isolated, proxied or open";
    findings.push({ path: ["network"], message, invariant: 2 });
  }
  if (workspace.role === "dataHolder") {
    findings.push({
      path: ["for"],
      message: "data holders have an airlock (permit.ingress.initiated) and no other workspace",
    });
  }
  if (workspace.protocol === "sftp" && workspace.network !== "inbound-allowlist") {
    const message = "sftp would carry files out of the workspace; expected rdp or vnc";
    findings.push({ path: ["protocol"], message, invariant: 1 });
  }
  const isHome = (mount: MountRule): boolean =>
    mount.path === "/home/{username}" && mount.mode === "rw" && mount.of === null;
  if (!workspace.mounts.some(isHome)) {
    const message = "no home; every workspace keeps its person's, e.g. " +
      '{ volume: staff-home, path: "/home/{username}", mode: rw }';
    findings.push({ path: ["mounts"], message });
  }
  return findings;
}

/** The airlock: the only workspace that is reached from outside. */
function airlockFindings(workspace: WorkspaceRule): Finding[] {
  const findings: Finding[] = [];
  const refuse = (path: PropertyKey[], message: string, invariant?: number): void => {
    findings.push({ path, message, invariant });
  };
  if (workspace.role !== "dataHolder") {
    refuse(["for"], "expected each dataHolder: ingress opens airlocks only");
  }
  if (workspace.network !== "inbound-allowlist") {
    refuse(["network"], "expected inbound-allowlist: ingress opens airlocks only", 1);
  }
  if (workspace.protocol !== "sftp") {
    refuse(["protocol"], "expected sftp: a desktop is never reached from outside", 1);
  }
  if (workspace.power !== "running") {
    refuse(["power"], "expected running: a stopped airlock takes nothing in");
  }
  if (workspace.mounts.length !== 1) {
    refuse(["mounts"], `expected exactly one mount, the holder's own ${UPLOADS}`, 1);
  }
  workspace.mounts.forEach((mount, index) => {
    if (mount.mode === "wo") return;
    refuse(["mounts", index, "mode"], "expected wo: a holder writes and never reads", 1);
  });
  return findings;
}
