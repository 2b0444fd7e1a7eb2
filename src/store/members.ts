/** members: who holds which role in which permit, now or once; written by `savePermit`. */
import { z } from "zod";
import { type Role, ROLES } from "../core/member.ts";
import { flag } from "./columns.ts";
import type { Reader } from "./db.ts";

/** One person in one role of one permit. */
export interface MemberRow {
  permitId: string;
  role: Role;
  /** A holder's id, anyone else's username. */
  owner: string;
  username: string;
  uid: number | null;
  gid: number | null;
  /** False: no longer named. */
  active: boolean;
  /** When named in this role, epoch milliseconds; anew after a pause. */
  sinceAtMs: number;
}

const memberRow = z.object({
  permitId: z.string(),
  role: z.enum(ROLES),
  owner: z.string(),
  username: z.string(),
  uid: z.number().nullable(),
  gid: z.number().nullable(),
  active: flag,
  sinceAtMs: z.number(),
});

const COLUMNS = "permit_id as permitId, role, owner, username, uid, gid, active, since_at_ms as sinceAtMs";

/** Everybody of a permit, those no longer named included, by role and owner. */
export function membersOf(reader: Reader, permitId: string): Promise<MemberRow[]> {
  return reader.read(
    `select ${COLUMNS} from members where permit_id = ? order by role, owner`,
    [permitId],
    memberRow,
  );
}
