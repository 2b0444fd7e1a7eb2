/** An order to halt or resume, and how a halt ended. */
import type { EventReceipt } from "../../api/schemas/events.ts";
import type { PermitDetail } from "../../api/schemas/permits.ts";
import type { Context } from "../context.ts";
import { counted } from "../text.ts";
import { troubleLines } from "./trouble.ts";

/** The receipt; where nobody watches, with how to. */
export function orderLines(
  order: "halt" | "resume",
  { permitId, seq, jobId }: EventReceipt,
  isFollowed: boolean,
  { style }: Context,
): string[] {
  const id = permitId ?? "";
  const what = order === "halt"
    ? "cuts its network ahead of all other work, then stops its workspaces"
    : "gives back what its events say by now";
  const head = `${style.bold(id)} ${order === "halt" ? "halts" : "resumes"} (event ${seq})`;
  if (jobId === null) return [`${head}.`];
  const hint = order === "halt" ? `; to end it run wps resume ${id}` : "";
  return [
    `${head}: job ${jobId} ${what}.`,
    ...(isFollowed ? [] : [`  ${style.signs.arrow} Watch it with wps jobs show ${jobId} --follow${hint}`]),
  ];
}

/** Whether everything of a halted permit was seen to be cut and stopped. */
export function isCut({ status }: Pick<PermitDetail, "status">): boolean {
  return status === "HALTED";
}

/** Says what was cut and stopped or, loudly, what was not. */
export function haltEndLines(permit: PermitDetail, { style, surroundings }: Context): string[] {
  const { permitId, workspaces, halted } = permit;
  if (isCut(permit)) {
    const seen = workspaces.length === 0
      ? "nothing of it was running"
      : `${counted(workspaces.length, "workspace")} ` +
        "cut and stopped";
    return [`${style.bold(permitId)} is halted: ${seen}. To end it run wps resume ${permitId}`];
  }
  if (!halted) return [`${style.bold(permitId)} was resumed meanwhile`];
  const open = workspaces.filter(({ network }) => network !== null && network !== "shut");
  const still = workspaces.filter(({ status }) => status !== "STOPPED");
  const troubles = [
    ...open.map(({ key, network, detail }) => ({
      message: `NOT CUT: the network of ${key} was last seen ${network}${
        detail === null ? "" : `: ${detail}`
      }`,
      advice: null,
    })),
    ...still.map(({ key, status, detail }) => ({
      message: `NOT STOPPED: ${key} is ${status}${detail === null ? "" : `: ${detail}`}`,
      advice: null,
    })),
    {
      message: `${permitId} is not wholly halted yet`,
      advice:
        `WPS goes on without end; see wps status ${permitId}, and cut it off on the platform if it lasts`,
    },
  ];
  return troubleLines(style, troubles, surroundings.terminal.columns);
}
