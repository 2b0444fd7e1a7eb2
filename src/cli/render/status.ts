/** Everything about one permit on one screen: `wps status`. */
import type { PermitDetail } from "../../api/schemas/permits.ts";
import type { Context } from "../context.ts";
import type { Style } from "../style.ts";
import { table } from "../table.ts";
import { counted } from "../text.ts";
import { ago, instantText } from "../time.ts";
import { activityText, progressText, spanText } from "./progress.ts";
import { reasonText } from "./reason.ts";
import { troubleLines } from "./trouble.ts";
import { updateText } from "./update.ts";
import {
  CANCEL_TEXT,
  deletedText,
  NOTHING,
  OUTDATED_TEXT,
  stateWord,
  statusWord,
  verdictWord,
  yesNo,
} from "./words.ts";

/** The lines of a permit. */
export function permitLines(permit: PermitDetail, { style, surroundings }: Context): string[] {
  const nowMs = surroundings.nowMs();
  const { columns } = surroundings.terminal;
  return [
    ...headLines(style, permit, nowMs),
    ...section("", troubleLines(style, permit.troubles, columns)),
    ...section(style.bold("Job"), jobLines(style, permit, nowMs)),
    ...section(style.bold("Workspaces"), workspaceLines(style, permit)),
    ...section(style.bold("Volumes"), volumeLines(style, permit)),
    ...section(style.bold("Events"), eventLines(style, permit)),
  ];
}

function section(title: string, lines: string[]): string[] {
  if (lines.length === 0) return [];
  return title === "" ? ["", ...lines] : ["", title, ...lines];
}

function headLines(style: Style, permit: PermitDetail, nowMs: number): string[] {
  const { permitId, status, tier, revision, version, observedAt, deletedAt } = permit;
  const seen = observedAt === null ? "not looked at on the platform yet" : `seen ${ago(observedAt, nowMs)}`;
  const numbers = [
    revision === null ? null : `revision ${revision}`,
    counted(version, "accepted event"),
    tier === null ? null : `tier ${tier}`,
    deletedAt === null ? expiryText(permit) : null,
    deletedAt === null ? seen : null,
  ];
  return [
    `${style.bold(permitId)}  ${statusWord(style, status)}`,
    ...standingLines(permit, nowMs).map((line) => `  ${line}`),
    style.dim(`  ${numbers.filter((part) => part !== null).join(", ")}`),
  ];
}

function expiryText({ expiresAt, expired }: PermitDetail): string {
  if (expiresAt === null) return "no end date";
  return `${expired ? "expired" : "expires"} ${instantText(expiresAt)}`;
}

/** What the permit is, in words: its phase and flags, or since when it is no more. */
function standingLines(permit: PermitDetail, nowMs: number): string[] {
  const { phase, phaseTitle, deletedAt } = permit;
  const name = phase === null ? null : `${phase}${phaseTitle === null ? "" : ` (${phaseTitle})`}`;
  if (deletedAt === null) return [[name ?? "no status has come yet", ...flagsOf(permit)].join(", ")];
  return [deletedText(deletedAt, nowMs), ...(name === null ? [] : [`its last status was ${name}`])];
}

function flagsOf({ ingressOpen, stopRequested, halted, expired, deletion }: PermitDetail): string[] {
  return [
    ingressOpen ? "ingress open" : null,
    stopRequested ? "stop requested" : null,
    halted ? "halted" : null,
    expired ? "expired" : null,
    deletion === "requested" ? "deletion requested" : null,
  ].filter((flag) => flag !== null);
}

function jobLines(style: Style, { job }: PermitDetail, nowMs: number): string[] {
  if (job === null) return [];
  const isOpen = job.state === "queued" || job.state === "running";
  const span = spanText(job, nowMs);
  const when = job.endedAt === null ? "" : `, ended ${ago(job.endedAt, nowMs)}`;
  const took = span === null ? "" : isOpen ? `, for ${span}` : `, took ${span}`;
  const attempt = job.attempt > 1 ? `, attempt ${job.attempt}` : "";
  const head = `  ${job.id} ${job.kind}: ${stateWord(style, job)}${attempt}${took}${when}`;
  const activity = activityText(job, nowMs);
  return [
    head,
    ...(isOpen && job.progress.total > 0 ? [`  ${progressText(style, job)}`] : []),
    ...(activity === null ? [] : [`  ${activity}`]),
    ...(job.cancelRequested ? [`  ${CANCEL_TEXT}`] : []),
    ...(isOpen && !job.suspended ? [style.dim(`  wps jobs show ${job.id} --follow`)] : []),
  ];
}

function workspaceLines(style: Style, { workspaces }: PermitDetail): string[] {
  const rows = workspaces.map((workspace) => [
    workspace.key,
    statusWord(style, workspace.status),
    workspace.posture ?? NOTHING,
    reachWord(style, workspace),
    yesNo(workspace.ready),
    workspace.proven ? "proven" : NOTHING,
    accountText(workspace),
  ]);
  const header = ["WORKSPACE", "STATUS", "NETWORK", "ACCESS", "READY", "ISOLATION", "ACCOUNT"];
  const [head = "", ...lines] = table(style, header, rows, "  ");
  if (workspaces.length === 0) return [];
  return [
    head,
    ...workspaces.flatMap((workspace, at) => [
      lines[at] ?? "",
      ...workspace.mounts.map(({ volume, path, mode }) =>
        `    ${mode === "ro" ? "ro" : style.yellow(mode)} ${path}  ${style.dim(volume)}`
      ),
      ...endpointLines(workspace),
      ...(workspace.detail === null ? [] : [`    ${style.yellow(style.signs.warning)} ${workspace.detail}`]),
      ...(workspace.outdated ? [`    ${OUTDATED_TEXT}`] : []),
    ]),
  ];
}

function endpointLines({ endpoint, hostKeyFingerprint }: Workspace): string[] {
  if (endpoint === null) return [];
  const key = hostKeyFingerprint === null ? "" : `  host key ${hostKeyFingerprint}`;
  return [`    ${endpoint.protocol} ${endpoint.host}:${endpoint.port}${key}`];
}

type Workspace = PermitDetail["workspaces"][number];
type Volume = PermitDetail["volumes"][number];

/** Whether anybody gets to it; in yellow while its isolation has not been proven. */
function reachWord(style: Style, { network, proven, posture }: Workspace): string {
  if (network === null) return NOTHING;
  if (network === "breached") return style.red("BREACHED");
  if (network === "shut") return "shut";
  return posture === "isolated" && !proven ? style.yellow("reachable") : "reachable";
}

function accountText({ username, uid, gid }: Workspace): string {
  return uid === null ? username ?? NOTHING : `${username ?? NOTHING} (${uid}:${gid ?? uid})`;
}

function volumeLines(style: Style, { volumes }: PermitDetail): string[] {
  const rows = volumes.map((volume) => [
    volume.key,
    volume.state === "lost" ? style.red(volume.state) : volume.state,
    `${volume.generation}`,
    taintWord(style, volume),
    volume.retained ? "retained" : NOTHING,
    volume.size ?? NOTHING,
    [volume.superseded ? KEPT_TEXT : null, volume.detail].filter((part) => part !== null).join("; "),
  ]);
  return table(style, ["VOLUME", "STATE", "GENERATION", "TAINT", "RECLAIM", "SIZE", "DETAIL"], rows, "  ");
}

/** Said of an older generation. */
const KEPT_TEXT = "kept: a newer generation is mounted in its place";

/** "since ANALYSIS_ACTIVE, 2026-11-22 10:00:00Z". */
function taintWord(style: Style, { tainted, taintedAt, taintedUnder }: Volume): string {
  if (!tainted) return NOTHING;
  const since = [taintedUnder, taintedAt === null ? null : instantText(taintedAt)].filter((part) =>
    part !== null
  );
  return style.yellow(since.length === 0 ? "tainted" : `tainted since ${since.join(", ")}`);
}

function eventLines(style: Style, { events }: PermitDetail): string[] {
  const rows = events.map((event) => [
    `${event.seq}`,
    instantText(event.receivedAt),
    event.type ?? NOTHING,
    verdictWord(style, event.verdict),
    updateText(event),
    reasonText(event),
  ]);
  return table(style, ["EVENT", "RECEIVED", "TYPE", "VERDICT", "UPDATE", "WHY"], rows, "  ");
}
