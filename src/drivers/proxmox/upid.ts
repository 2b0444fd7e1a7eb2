/** The name of a task (pve-common, PVE::Tools: upid_decode). */
import { z } from "zod";

/** A task, taken apart. */
export interface Upid {
  /** As it is written: UPID:node:pid:pstart:starttime:type:id:user: */
  text: string;
  node: string;
  /** What it does, e.g. "qmclone". */
  type: string;
  /** What it does it to, mostly a VMID; a clone's is that of its template. "" where there is none. */
  id: string;
  /** Who began it, with a token's name behind "!". */
  user: string;
  /** When, in epoch milliseconds; to the second. */
  startedMs: number;
}

const UPID =
  /^UPID:([A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?):[0-9A-Fa-f]{8}:[0-9A-Fa-f]{8,9}:([0-9A-Fa-f]{8}):([^:\s]{1,64}):([^:\s]{0,256}):([^:\s]{1,256}):$/;

/** Takes a task's name apart; null: it is none. */
export function parseUpid(text: string): Upid | null {
  const [, node, started, type, id, user] = UPID.exec(text) ?? [];
  if (node === undefined || started === undefined || type === undefined) return null;
  return { text, node, type, id: id ?? "", user: user ?? "", startedMs: Number.parseInt(started, 16) * 1000 };
}

/** A task's name in an answer. */
export const upidSchema: z.ZodType<Upid> = z.string().transform((text, context): Upid => {
  const upid = parseUpid(text);
  if (upid !== null) return upid;
  context.addIssue({ code: "custom", message: "expected the name of a task" });
  return z.NEVER;
});
