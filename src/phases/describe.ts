/** What a status or event means, as `wps phases show` says it. */
import type { Role } from "../core/member.ts";
import {
  type EventPhase,
  isWayOut,
  type MountRule,
  type PhaseSet,
  type Posture,
  type Protocol,
  type StatusPhase,
  type WorkspaceRule,
} from "../core/phase.ts";
import type { MountMode, VolumeRule } from "../core/volume.ts";
import { portOf } from "../core/workspace.ts";
import { spreadTaint } from "./phase_rules.ts";

/** One mount, explained. */
export interface MountDescription {
  path: string;
  mode: MountMode;
  /** "read-only", "read-write", "write-only". */
  access: string;
  volume: string;
  /** Whose: "the permit's", "their own", "of each researcher". */
  whose: string;
  /**
   * `becomes`: mounted writable beside sensitive data, it is sensitive from here on (invariant 3). `fresh`: there is
   * a way out, so a new one is mounted where the present one is tainted. `as-is`: what it was before.
   */
  sensitive: "always" | "becomes" | "fresh" | "as-is";
}

/** One workspace, explained. */
export interface WorkspaceDescription {
  kind: string;
  /** "one per researcher", "the preprocessor". */
  who: string;
  power: "running" | "stopped";
  network: Posture;
  /** The posture in a sentence. */
  networkMeaning: string;
  protocol: Protocol;
  port: number;
  mounts: MountDescription[];
}

/** A status or event, explained. */
export interface PhaseDescription {
  kind: "status" | "event";
  name: string;
  title: string;
  description: string;
  workspaces: WorkspaceDescription[];
  /** What else happens, one sentence each, in the order in which it happens. */
  effects: string[];
}

const MODES: Record<MountMode, string> = { ro: "read-only", rw: "read-write", wo: "write-only" };

const WHO: Record<Role, string> = {
  researcher: "one per researcher",
  dataHolder: "one per data holder",
  preprocessor: "the preprocessor",
  reviewer: "the reviewer",
  setupReviewer: "the setup reviewer",
};

const OWNERS: Record<Role, string> = {
  researcher: "of each researcher",
  dataHolder: "of each data holder",
  preprocessor: "of the preprocessor",
  reviewer: "of the reviewer",
  setupReviewer: "of the setup reviewer",
};

const POSTURE_MEANINGS: Record<Posture, string> = {
  isolated: "no way out, not even DNS; only the gateway reaches it",
  proxied: "a way out through the site's proxy only, no DNS; only the gateway reaches it",
  open: "a way out to everywhere; only the gateway reaches it",
  "inbound-allowlist": "no way out; reached only from the data holder's own addresses",
};

const SENSITIVITY: Record<MountDescription["sensitive"], string> = {
  always: ", sensitive",
  becomes: ", sensitive from here on",
  fresh: ", a fresh one once tainted",
  "as-is": "",
};

/** Explains a status or an event by name; null when the site has neither. */
export function describePhase(phases: PhaseSet, name: string): PhaseDescription | null {
  const status = phases.statuses.get(name);
  if (status !== undefined) return describeStatus(status, phases);
  const event = phases.events.get(name);
  return event === undefined ? null : describeEvent(event, phases);
}

function describeStatus(phase: StatusPhase, phases: PhaseSet): PhaseDescription {
  const effects: string[] = [];
  effects.push(
    phase.keepsIngress
      ? "Airlocks that are open stay open."
      : "Airlocks are closed: cut off, then removed; what they took in is kept.",
  );
  effects.push(
    phase.workspaces.length === 0
      ? `${
        phase.keepsIngress ? "No other workspace" : "No workspace"
      } exists: each is cut off and removed; volumes are kept.`
      : "Workspaces that are not named above are cut off and removed; their volumes are kept.",
  );
  if (phase.consolidatesInto !== null) {
    effects.push(
      `Uploads are copied into ${phase.consolidatesInto} and verified by checksum before any workspace starts; only ` +
        "then are they destroyed.",
    );
  }
  if (phase.archives) effects.push("The permit counts as archived; the retention clock starts.");
  return {
    kind: "status",
    name: phase.status,
    title: phase.title,
    description: phase.description,
    workspaces: describeWorkspaces(phase.workspaces, phases),
    effects,
  };
}

function describeEvent(event: EventPhase, phases: PhaseSet): PhaseDescription {
  const kinds = event.kinds.join(", ");
  const effects: Record<EventPhase["effect"], string[]> = {
    "open-ingress": [
      "Airlocks exist beside what the status asks for.",
      "Any status that does not keep ingress closes them.",
    ],
    stop: [
      `Workspaces of kind ${kinds} stop; storage, accounts and addresses stay.`,
      "The stop holds until start_requested or a change of status.",
    ],
    start: [`Workspaces of kind ${kinds} run again where the status runs them.`],
    destroy: [
      "Every workspace is cut off and removed.",
      "Every volume is destroyed, and its absence is verified.",
      "The event is final: later events are stale.",
    ],
  };
  return {
    kind: "event",
    name: event.event,
    title: event.title,
    description: event.description,
    workspaces: describeWorkspaces(event.workspaces, phases),
    effects: effects[event.effect],
  };
}

function describeWorkspaces(workspaces: WorkspaceRule[], phases: PhaseSet): WorkspaceDescription[] {
  const tainted = spreadTaint(workspaces, phases.volumes);
  return workspaces.map((workspace) => ({
    kind: workspace.kind,
    who: WHO[workspace.role],
    power: workspace.power,
    network: workspace.network,
    networkMeaning: POSTURE_MEANINGS[workspace.network],
    protocol: workspace.protocol,
    port: portOf(workspace.protocol),
    mounts: workspace.mounts.map((mount) =>
      describeMount(mount, phases.volumes.get(mount.volume), workspace.network, tainted)
    ),
  }));
}

function describeMount(
  mount: MountRule,
  rule: VolumeRule | undefined,
  network: Posture,
  tainted: ReadonlyMap<string, string>,
): MountDescription {
  const own = rule?.per === "permit" ? "the permit's" : "their own";
  return {
    path: mount.path,
    mode: mount.mode,
    access: MODES[mount.mode],
    volume: mount.volume,
    whose: mount.of === null ? own : OWNERS[mount.of],
    sensitive: rule?.sensitive === "always"
      ? "always"
      : tainted.has(mount.volume)
      ? "becomes"
      : isWayOut(network)
      ? "fresh"
      : "as-is",
  };
}

/** The description as plain lines for a terminal of any width; nothing in them depends on colour. */
export function describeLines(phase: PhaseDescription): string[] {
  const lines = [`${phase.name}: ${phase.title}`];
  if (phase.description !== "") lines.push("", ...wrap(phase.description, ""));
  if (phase.workspaces.length > 0) lines.push("", "Workspaces");
  for (const workspace of phase.workspaces) lines.push(...workspaceLines(workspace));
  lines.push("", "What happens", ...phase.effects.flatMap((effect) => wrap(effect, "  ", "- ")));
  return lines;
}

function workspaceLines(workspace: WorkspaceDescription): string[] {
  const { kind, who, power, network, networkMeaning, protocol, port, mounts } = workspace;
  const width = Math.max(...mounts.map(({ path }) => path.length));
  return [
    `  ${kind} (${who}): ${power}`,
    `    network  ${network}: ${networkMeaning}`,
    `    access   ${protocol}, port ${port}${
      isWayOut(network) && protocol === "sftp" ? " from outside" : ""
    }`,
    ...mounts.map((mount, index) => {
      const label = index === 0 ? "mounts " : "       ";
      return `    ${label}  ${mount.path.padEnd(width)}  ${
        mount.access.padEnd(10)
      }  ${mount.volume}, ${mount.whose}${SENSITIVITY[mount.sensitive]}`;
    }),
  ];
}

/** Breaks a sentence at 88 columns; `mark` stands before its first line, blanks before the others. */
function wrap(text: string, indent: string, mark = ""): string[] {
  const lines: string[] = [];
  let current = "";
  for (const word of text.split(" ")) {
    if (current !== "" && current.length + word.length + 1 > 88 - indent.length - mark.length) {
      lines.push(current);
      current = word;
    } else current = current === "" ? word : `${current} ${word}`;
  }
  lines.push(current);
  return lines.map((line, index) => `${indent}${index === 0 ? mark : " ".repeat(mark.length)}${line}`);
}
