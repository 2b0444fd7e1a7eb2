/** certificates: what a deletion destroyed and that it is gone, signed (DESIGN 11). Never rewritten, never forgotten. */
import { z } from "zod";
import type { CertificateParts } from "../core/certificate.ts";
import type { Reader, Tx } from "./db.ts";

/** A certificate as it was signed. */
export interface StoredCertificate {
  permitId: string;
  serial: number;
  issuedAtMs: number;
  keyId: string;
  /** Canonical JSON: exactly what the signature is of. */
  body: string;
  /** Base64. */
  signature: string;
}

const certificateRow = z.object({
  permitId: z.string(),
  serial: z.number(),
  issuedAtMs: z.number(),
  keyId: z.string(),
  body: z.string(),
  signature: z.string(),
});
const requestRow = z.object({
  seq: z.number(),
  source: z.string().nullable(),
  id: z.string().nullable(),
  type: z.string().nullable(),
  receivedAtMs: z.number(),
});

/** Keeps a certificate. */
export async function saveCertificate(tx: Tx, certificate: StoredCertificate): Promise<void> {
  const { permitId, serial, issuedAtMs, keyId, body, signature } = certificate;
  await tx.run(
    "insert into certificates (permit_id, serial, issued_at_ms, key_id, body, signature) values (?, ?, ?, ?, ?, ?)",
    [permitId, serial, issuedAtMs, keyId, body, signature],
  );
}

/** All certificates of a permit, the first one first. */
export function certificatesOf(reader: Reader, permitId: string): Promise<StoredCertificate[]> {
  return reader.read(
    `select permit_id as permitId, serial, issued_at_ms as issuedAtMs, key_id as keyId, body, signature
     from certificates where permit_id = ? order by serial`,
    [permitId],
    certificateRow,
  );
}

/** The event that asked for the permit's deletion; null: it is no longer kept. */
export async function deletionRequest(
  reader: Reader,
  permitId: string,
): Promise<CertificateParts["request"]> {
  const rows = await reader.read(
    `select seq, source, id, type, received_at_ms as receivedAtMs from events
     where permit_id = ?1 and verdict = 'accepted' and (type = 'permit.deleted'
       or seq in (select event_seq from jobs where permit_id = ?1 and kind = 'delete' and event_seq is not null))
     order by seq limit 1`,
    [permitId],
    requestRow,
  );
  return rows[0] ?? null;
}
