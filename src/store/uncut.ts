/** Access that must be gone and was last seen to stand: what could not be cut, for the log, health and `wps status`. */
import { z } from "zod";
import type { Reader } from "./db.ts";

/** A workspace whose network was last seen open although its permit is halted, expired or deleted. */
export interface Uncut {
  permitId: string;
  /** `${kind}/${owner}`. */
  key: string;
}

const uncutRow = z.object({ permitId: z.string(), key: z.string() });
/** Halted, expired or being deleted: nobody may reach anything of it. */
const IS_HELD = "(permits.halted = 1 or permits.expired = 1 or permits.deletion = 'requested')";

/** The workspaces of one permit that nobody may reach and whose network is not seen to be shut, by key. */
export async function uncutOf(reader: Reader, permitId: string): Promise<string[]> {
  const rows = await reader.read(
    `select permit_id as permitId, key from workspaces join permits using (permit_id)
     where permit_id = ? and network = 'open' and ${IS_HELD} order by key`,
    [permitId],
    uncutRow,
  );
  return rows.map(({ key }) => key);
}

/** Those of all permits that an attempt has failed to cut already, at most `limit`, by permit and key. */
export function listUncut(reader: Reader, limit: number): Promise<Uncut[]> {
  return reader.read(
    `select distinct permit_id as permitId, key
     from jobs join permits using (permit_id) join workspaces using (permit_id)
     where jobs.state in ('queued', 'running') and jobs.attempt > (jobs.state = 'running')
       and network = 'open' and ${IS_HELD}
     order by permit_id, key limit ?`,
    [limit],
    uncutRow,
  );
}
