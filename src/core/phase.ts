/** What a status or event means, as the phase files say it (DESIGN 4). */
import type { Role } from "./member.ts";
import type { MountMode, VolumeRule } from "./volume.ts";

/** The network postures of DESIGN 4. */
export const POSTURES = ["isolated", "proxied", "open", "inbound-allowlist"] as const;
/** One of {@link POSTURES}. */
export type Posture = typeof POSTURES[number];

/** How a person reaches the workspace; the port follows (rdp 3389, vnc 5901, sftp 2222). */
export type Protocol = "rdp" | "vnc" | "sftp";

/** One line of `mounts:`. `of` asks for somebody else's volumes; path may hold {username}, {owner}, {holder}. */
export interface MountRule {
  volume: string;
  of: Role | null;
  path: string;
  mode: MountMode;
}

/** One entry of `workspaces:`: one workspace for each member in `role`. */
export interface WorkspaceRule {
  kind: string;
  role: Role;
  power: "running" | "stopped";
  network: Posture;
  protocol: Protocol;
  mounts: MountRule[];
}

/** A status: what should exist; what it does not name is absent. */
export interface StatusPhase {
  status: string;
  title: string;
  description: string;
  workspaces: WorkspaceRule[];
  /** True only for AWAITING_INGRESS: an open ingress stays open; every other status closes it. */
  keepsIngress: boolean;
  /** Uploads are consolidated into this volume before workspaces start; null: uploads stay. */
  consolidatesInto: string | null;
  /** The retention clock starts; the public status reads ARCHIVED. */
  archives: boolean;
}

/** An event that is a flag, not a phase (DESIGN 4). */
export interface EventPhase {
  event: string;
  title: string;
  description: string;
  effect: "open-ingress" | "stop" | "start" | "destroy";
  /** open-ingress: the airlocks. */
  workspaces: WorkspaceRule[];
  /** stop and start: the workspace kinds concerned. */
  kinds: string[];
}

/** All phases of a site, validated. */
export interface PhaseSet {
  statuses: ReadonlyMap<string, StatusPhase>;
  events: ReadonlyMap<string, EventPhase>;
  volumes: ReadonlyMap<string, VolumeRule>;
}

/** Whether a posture is a way out (DESIGN 4): any permitted egress, or inbound from others than the gateway. */
export function isWayOut(posture: Posture): boolean {
  return posture !== "isolated";
}
