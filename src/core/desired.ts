/** What should exist for a permit right now: events and phases turned into workspaces and volumes (DESIGN 4). */
import { spreadTaint } from "./taint.ts";
import { accountKey, type Permit, type VolumeRecord } from "./permit.ts";
import { type Account, membersIn, type Role, type RoleMember } from "./member.ts";
import { type NamedWorkspace, namedWorkspaces } from "./named.ts";
import { isWayOut, type MountRule, type PhaseSet, type WorkspaceRule } from "./phase.ts";
import type { ObservedVolume } from "./observed.ts";
import type { Consolidation } from "./step.ts";
import type { Site } from "./site.ts";
import { isExpired } from "./expiry.ts";
import { Fault } from "./fault.ts";
import { type DesiredVolume, parseVolumeKey, type VolumeId, volumeKey, type VolumeRule } from "./volume.ts";
import type { DesiredWorkspace, Mount } from "./workspace.ts";

/** Everything the desired side is computed from. */
export interface DesireInput {
  permit: Permit;
  records: VolumeRecord[];
  observedVolumes: ObservedVolume[];
  phases: PhaseSet;
  site: Site;
  /** The time in epoch milliseconds: a permit's date ends it without any event. */
  nowMs: number;
}

/**
 * What should be. `apply`: these workspaces and no others. `hold`: halted, or its time is over; whatever runs is cut and
 * stopped, `why` says it to people. `destroy`: a deleted permit; `volumes` false while halted. `unknown`: no phase file
 * has this status.
 */
export type Desired =
  | {
    mode: "apply";
    workspaces: DesiredWorkspace[];
    volumes: DesiredVolume[];
    consolidations: Consolidation[];
    /** Roles whose person nobody has named yet. */
    missing: Role[];
    /** Keys that this phase taints and that are not tainted yet. */
    newlyTainted: ReadonlySet<string>;
    /** Sensitive now, new taint included. */
    sensitive: ReadonlySet<string>;
  }
  | { mode: "hold"; why: string }
  | { mode: "destroy"; volumes: boolean }
  | { mode: "unknown"; status: string };

/** The desired side of a permit. Throws a stalled Fault when the permit's row contradicts the phases. */
export function desire(input: DesireInput): Desired {
  const { permit, phases } = input;
  if (permit.deletion !== "none") return { mode: "destroy", volumes: !permit.halted };
  if (permit.halted) return { mode: "hold", why: "the permit is halted" };
  if (isExpired(permit, input.nowMs)) {
    return { mode: "hold", why: `the permit expired at ${permit.expiresAt}` };
  }
  const phase = permit.status === null ? undefined : phases.statuses.get(permit.status);
  if (permit.status !== null && phase === undefined) return { mode: "unknown", status: permit.status };

  const { named, missing } = namedWorkspaces(permit, phase, phases);
  const workspaces = named.map((workspace) => workspaceOf(input, workspace));
  const known = sensitiveNow(input, workspaces);
  const newlyTainted = spreadTaint(workspaces, known);
  const sensitive = new Set([...known, ...newlyTainted]);
  for (const workspace of workspaces) {
    workspace.sensitive = workspace.mounts.some((mount) => sensitive.has(mount.volumeKey));
  }
  const consolidations = phase?.consolidatesInto ? consolidationsInto(input, phase.consolidatesInto) : [];
  const running = workspaces.filter((workspace) => workspace.power === "running");
  const bound = new Set(input.observedVolumes.filter(({ state }) => state === "bound").map(({ key }) => key));
  const sources = consolidations.filter(({ fromKey }) => !bound.has(fromKey)).map(({ from }) => ({
    id: from,
  }));
  const ids = [
    ...running.flatMap((workspace) => workspace.mounts),
    ...consolidations.map(({ into }) => into),
    ...sources,
  ];
  const volumes = new Map(
    ids.map((mount) => {
      const id = "volume" in mount ? mount.volume : mount.id;
      return [volumeKey(id), desiredVolume(input, id, sensitive)];
    }),
  );
  return {
    mode: "apply",
    workspaces,
    volumes: [...volumes.values()],
    consolidations,
    missing,
    newlyTainted,
    sensitive,
  };
}

function workspaceOf(
  input: DesireInput,
  { key, rule, member, power }: NamedWorkspace,
): DesiredWorkspace {
  return {
    key,
    kind: rule.kind,
    owner: member.owner,
    account: accountOf(input.permit, member.username),
    fsGroup: input.permit.fsGroup,
    power,
    posture: rule.network,
    protocol: rule.protocol,
    mounts: rule.mounts.flatMap((mount) => mountsOf(input, rule, mount, member)),
    allowedCidrs: member.allowedCidrs,
    sshPublicKeys: member.sshPublicKeys,
    tier: input.permit.tier ?? input.site.defaultTier,
    sensitive: false,
  };
}

function accountOf(permit: Permit, username: string): Account {
  const account = permit.accounts[accountKey(username)];
  if (account !== undefined) return account;
  throw new Fault("stalled", "internal", `Cannot plan ${permit.permitId}: ${username} has no account`, {
    advice: "Send the permit's last event again",
  });
}

function mountsOf(input: DesireInput, rule: WorkspaceRule, mount: MountRule, member: RoleMember): Mount[] {
  const volume = ruleOf(input.phases, mount.volume);
  const owners = mount.of === null ? [member] : membersIn(input.permit.members, mount.of);
  return owners.map((owner) => {
    const id = currentVolume(input, volume, ownerOf(volume, rule.kind, owner), isWayOut(rule.network));
    const path = mount.path.replaceAll("{username}", member.username).replaceAll("{owner}", owner.username)
      .replaceAll("{holder}", owner.owner);
    return { volume: id, volumeKey: volumeKey(id), path, mode: mount.mode };
  });
}

function ruleOf(phases: PhaseSet, volume: string): VolumeRule {
  const rule = phases.volumes.get(volume);
  if (rule !== undefined) return rule;
  throw new Fault("stalled", "invalid", `Cannot plan: volumes.yaml does not name ${volume}`, {
    advice: "Run wps phases check",
  });
}

function ownerOf(volume: VolumeRule, kind: string, member: RoleMember): string | null {
  switch (volume.per) {
    case "permit":
      return null;
    case "dataHolder":
      return member.owner;
    case "person":
      return member.username;
    case "workspace":
      return `${kind}/${member.owner}`;
  }
}

/**
 * The generation that counts now: an uploads volume's is the ingress batch; any other's the newest one, and a
 * fresh one after it where the workspace has a way out and the newest is tainted (invariant 3).
 */
function currentVolume(
  input: DesireInput,
  rule: VolumeRule,
  owner: string | null,
  wayOut: boolean,
): VolumeId {
  if (rule.per === "dataHolder") {
    return { volume: rule.name, owner, generation: Math.max(1, input.permit.ingressBatch) };
  }
  const isSame = (key: string): boolean => {
    const id = parseVolumeKey(key);
    return id.volume === rule.name && id.owner === owner;
  };
  const known = [...input.records, ...input.observedVolumes].filter(({ key }) => isSame(key));
  const newest = Math.max(1, ...known.map(({ key }) => parseVolumeKey(key).generation));
  const tainted = known.some((volume) => volume.tainted && parseVolumeKey(volume.key).generation === newest);
  const fresh = wayOut && rule.sensitive === "when-tainted" && tainted;
  return { volume: rule.name, owner, generation: fresh ? newest + 1 : newest };
}

/** Keys among the mounts that are sensitive whatever happens next: by rule, or tainted in the store or on the volume. */
function sensitiveNow(input: DesireInput, workspaces: DesiredWorkspace[]): Set<string> {
  const tainted = new Set(
    [...input.records, ...input.observedVolumes].filter((v) => v.tainted).map((v) => v.key),
  );
  const mounts = workspaces.flatMap((workspace) => workspace.mounts);
  return new Set(
    mounts.filter((mount) =>
      ruleOf(input.phases, mount.volume.volume).sensitive === "always" || tainted.has(mount.volumeKey)
    ).map((mount) => mount.volumeKey),
  );
}

function desiredVolume(input: DesireInput, id: VolumeId, sensitive: ReadonlySet<string>): DesiredVolume {
  const rule = ruleOf(input.phases, id.volume);
  const key = volumeKey(id);
  const tier = input.site.tiers[input.permit.tier ?? input.site.defaultTier];
  return {
    id,
    key,
    access: rule.access,
    size: tier?.sizes[id.volume] ?? rule.size,
    sensitive: rule.sensitive === "always" || sensitive.has(key),
  };
}

/**
 * One consolidation per uploads volume whose ingress is closed: of those that stand, and of those that stood and were
 * not destroyed by WPS, so that lost ones are noticed and never worked without.
 */
function consolidationsInto(input: DesireInput, target: string): Consolidation[] {
  const { permit } = input;
  const into = desiredVolume(
    input,
    currentVolume(input, ruleOf(input.phases, target), null, false),
    new Set(),
  );
  const destroyed = new Set(input.records.filter((record) => record.destroyed).map(({ key }) => key));
  const known = [...input.observedVolumes, ...input.records.filter(({ bound }) => bound)].map(({ key }) =>
    key
  );
  return [...new Set(known)].filter((key) => !destroyed.has(key) || isStanding(input, key)).map(
    parseVolumeKey,
  )
    .filter((id) => {
      const isUpload = input.phases.volumes.get(id.volume)?.per === "dataHolder" && id.owner !== null;
      return isUpload && !(permit.ingressOpen && id.generation === permit.ingressBatch);
    }).map((id) => consolidation(input, id, into));
}

/** Not on its way out: a destruction that was only intended when a crash came is planned again. */
function isStanding(input: DesireInput, key: string): boolean {
  return input.observedVolumes.some((volume) => volume.key === key && volume.state !== "terminating");
}

function consolidation(
  { permit, records }: DesireInput,
  from: VolumeId,
  into: DesiredVolume,
): Consolidation {
  const holder = from.owner ?? "";
  const fromKey = volumeKey(from);
  const { uid, gid } = accountOf(permit, permit.holders[holder] ?? holder);
  return {
    from,
    fromKey,
    into,
    uid,
    gid,
    fsGroup: permit.fsGroup,
    folder: `${holder}/batch-${from.generation}`,
    holder,
    accepted: records.find(({ key }) => key === fromKey)?.acceptedList ?? null,
  };
}
