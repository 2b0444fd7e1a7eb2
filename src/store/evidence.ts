/** evidence: what each proof of isolation tried and saw, per instance (DESIGN 8). */
import { z } from "zod";
import { Fault } from "../core/fault.ts";
import type { IsolationEvidence } from "../core/evidence.ts";
import { json } from "./columns.ts";
import type { Reader, Tx } from "./db.ts";
import { matching, numberCursor, type Page, pageLimit, type PageRequest, toPage } from "./page.ts";

/** Kubernetes keeps at most this much of a container's termination message; the table refuses more. */
export const EVIDENCE_MAX_BYTES = 4096;

/** One proof of one instance: of a workspace, or of a consolidation, whose key is that of its uploads. */
export interface Evidence {
  permitId: string;
  workspaceKey: string;
  instanceUid: string;
  atMs: number;
  evidence: IsolationEvidence;
}

const control = z.strictObject({ at: z.string(), alive: z.array(z.string()), silent: z.array(z.string()) });
const isolationEvidence: z.ZodType<IsolationEvidence> = z.strictObject({
  method: z.enum(["gate", "probe", "task"]),
  pod: z.strictObject({ name: z.string(), uid: z.string(), node: z.string().nullable() }),
  targets: z.array(z.strictObject({ target: z.string(), outcome: z.string() })),
  rounds: z.number(),
  cleanRounds: z.number(),
  begunAt: z.string(),
  endedAt: z.string(),
  control: z.strictObject({ before: control.nullable(), after: control.nullable() }),
  policies: z.strictObject({ count: z.number(), hash: z.string() }),
});

const evidenceRow = z.object({
  permitId: z.string(),
  workspaceKey: z.string(),
  instanceUid: z.string(),
  atMs: z.number(),
  evidence: json(isolationEvidence),
});

const COLUMNS =
  "permit_id as permitId, workspace_key as workspaceKey, instance_uid as instanceUid, at_ms as atMs, evidence";

const instanceRow = z.object({ uid: z.string() });
const provenRow = z.object({
  permitId: z.string(),
  workspaceKey: z.string(),
  instanceUid: z.string(),
  provenAtMs: z.number(),
});

/**
 * Stores a proof and returns its id. Of probes, which come many times a day, the newest of an instance is kept; audit rows
 * tell of all of them. Fault `invalid` when it is longer than {@link EVIDENCE_MAX_BYTES}.
 */
export async function saveEvidence(tx: Tx, proof: Evidence): Promise<number> {
  const text = JSON.stringify(proof.evidence);
  const length = new TextEncoder().encode(text).byteLength;
  if (length > EVIDENCE_MAX_BYTES) {
    throw new Fault(
      "stalled",
      "invalid",
      `Cannot keep the isolation evidence of ${proof.workspaceKey}: ${length} bytes, at most ${EVIDENCE_MAX_BYTES}`,
    );
  }
  if (proof.evidence.method === "probe") {
    await tx.run(
      `delete from evidence where permit_id = ? and workspace_key = ? and instance_uid = ?
       and json_extract(evidence, '$.method') = 'probe'`,
      [proof.permitId, proof.workspaceKey, proof.instanceUid],
    );
  }
  const { lastId } = await tx.run(
    "insert into evidence (permit_id, workspace_key, instance_uid, at_ms, evidence) values (?, ?, ?, ?, ?)",
    [proof.permitId, proof.workspaceKey, proof.instanceUid, proof.atMs, text],
  );
  return lastId;
}

/** The newest proof of exactly this instance, or null: it is unproven. */
export async function latestEvidence(
  reader: Reader,
  permitId: string,
  workspaceKey: string,
  instanceUid: string,
): Promise<Evidence | null> {
  const rows = await reader.read(
    `select ${COLUMNS} from evidence where permit_id = ? and workspace_key = ? and instance_uid = ?
     order by id desc limit 1`,
    [permitId, workspaceKey, instanceUid],
    evidenceRow,
  );
  return rows[0] ?? null;
}

/** A permit's proofs, newest first; of one workspace, where it is named. Fault `invalid` for a cursor that is none. */
export async function listEvidence(
  reader: Reader,
  filter: { permitId: string; workspaceKey?: string },
  page: PageRequest,
): Promise<Page<Evidence>> {
  const limit = pageLimit(page);
  const where = matching([
    ["id < ?", numberCursor(page.cursor)],
    ["permit_id = ?", filter.permitId],
    ["workspace_key = ?", filter.workspaceKey],
  ]);
  const rows = await reader.read(
    `select id, ${COLUMNS} from evidence ${where.sql} order by id desc limit ?`,
    [...where.args, limit + 1],
    evidenceRow.extend({ id: z.number() }),
  );
  const { items, next } = toPage(rows, limit, ({ id }) => String(id));
  return { items: items.map(({ id: _id, ...proof }) => proof), next };
}

/** The uids of a permit's instances that have been proven isolated. */
export async function provenInstances(reader: Reader, permitId: string): Promise<Set<string>> {
  const rows = await reader.read(
    "select distinct instance_uid as uid from evidence where permit_id = ?",
    [permitId],
    instanceRow,
  );
  return new Set(rows.map(({ uid }) => uid));
}

/** A workspace that people reach and that was shown to be isolated. */
export interface ProvenInstance {
  permitId: string;
  workspaceKey: string;
  instanceUid: string;
  /** Its newest proof, epoch milliseconds. */
  provenAtMs: number;
}

/** Every instance whose network was last seen open and of which there is a proof, the longest unproven first. */
export function reachableProven(reader: Reader): Promise<ProvenInstance[]> {
  return reader.read(
    `select w.permit_id as permitId, w.key as workspaceKey, w.instance_uid as instanceUid, max(e.at_ms) as provenAtMs
     from workspaces w join evidence e on e.permit_id = w.permit_id and e.workspace_key = w.key
       and e.instance_uid = w.instance_uid
     where w.network = 'open' group by w.permit_id, w.key, w.instance_uid order by provenAtMs`,
    [],
    provenRow,
  );
}
