/** Access that must be gone and was last seen to stand: what could not be cut, for the log, health and `wps status`. */
import { z } from "zod";
import type { Reader } from "./db.ts";

/** A workspace that was last seen to stand although its permit is halted, expired or deleted. */
export interface Uncut {
  permitId: string;
  /** `${kind}/${owner}`. */
  key: string;
  /** `open`: its network. `breached`: somebody else opens that of its pod. `running`: its pod, whose network is shut. */
  stands: "open" | "breached" | "running";
}

const uncutRow = z.object({
  permitId: z.string(),
  key: z.string(),
  stands: z.enum(["open", "breached", "running"]),
});
const COLUMNS =
  "permit_id as permitId, key, case when network in ('open', 'breached') then network else 'running' end as stands";
/** A pod that ends is none: its stop was acknowledged. What a breached network has no pod for, nobody reaches. */
const STANDS = "(network = 'open' or instance_uid is not null)";
/** Halted, expired or being deleted: nobody may reach anything of it. */
const IS_HELD = "(permits.halted = 1 or permits.expired = 1 or permits.deletion = 'requested')";

/** The workspaces of one permit that nobody may reach, and that are not seen to be cut and stopped, by key. */
export function uncutOf(reader: Reader, permitId: string): Promise<Uncut[]> {
  return reader.read(
    `select ${COLUMNS} from workspaces join permits using (permit_id)
     where permit_id = ? and ${STANDS} and ${IS_HELD} order by key`,
    [permitId],
    uncutRow,
  );
}

/** Those of all permits that an attempt has failed to cut or stop already, at most `limit`, by permit and key. */
export function listUncut(reader: Reader, limit: number): Promise<Uncut[]> {
  return reader.read(
    `select distinct ${COLUMNS}
     from jobs join permits using (permit_id) join workspaces using (permit_id)
     where jobs.state in ('queued', 'running') and jobs.attempt > (jobs.state = 'running')
       and ${STANDS} and ${IS_HELD}
     order by permit_id, key limit ?`,
    [limit],
    uncutRow,
  );
}
