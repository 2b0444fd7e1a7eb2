/** Issues the certificate of a deletion that an observation has just proven, in the transaction that ends its job. */
import { certificateOf } from "../core/certificate.ts";
import type { Clock } from "../core/clock.ts";
import type { Job } from "../core/job.ts";
import { canonicalJson, sha256Hex } from "../core/sha256.ts";
import { appendAudit } from "../store/audit.ts";
import { certificatesOf, deletionRequest, saveCertificate } from "../store/certificates.ts";
import type { Tx } from "../store/db.ts";
import { certifyObjects, uncertifiedObjects } from "../store/objects.ts";
import { appendOutbox } from "../store/outbox.ts";
import type { SiteSigner } from "../store/site_key.ts";
import { listVolumes } from "../store/volumes.ts";

/** What certifying works with. */
export interface CertifyingDeps {
  clock: Clock;
  bootEpoch: string;
  signer: SiteSigner;
}

/**
 * Signs and keeps a certificate of what `job` has destroyed, with its audit and outbox rows. A further one tells of what
 * came late; where nothing came, none is issued.
 */
export async function certify(tx: Tx, deps: CertifyingDeps, job: Job): Promise<void> {
  const { permitId } = job;
  const { clock, bootEpoch, signer } = deps;
  const before = await certificatesOf(tx, permitId);
  const objects = await uncertifiedObjects(tx, permitId);
  if (before.length > 0 && objects.length === 0) return;
  const nowMs = clock.now();
  const serial = before.length + 1;
  const last = before.at(-1);
  const certificate = certificateOf({
    permitId,
    serial,
    issuedAtMs: nowMs,
    keyId: signer.key.id,
    issuer: `wps ${bootEpoch}`,
    previous: last === undefined ? null : sha256Hex(last.body),
    request: await deletionRequest(tx, permitId),
    jobId: job.id,
    objects,
    volumes: await listVolumes(tx, permitId),
  });
  const body = canonicalJson(certificate);
  const signature = signer.sign(body);
  await saveCertificate(tx, { permitId, serial, issuedAtMs: nowMs, keyId: signer.key.id, body, signature });
  await certifyObjects(tx, objects.map(({ id }) => id), serial);
  await appendAudit(tx, [{
    atMs: nowMs,
    permitId,
    eventSeq: job.eventSeq,
    jobId: job.id,
    actor: { kind: "service", id: bootEpoch },
    action: "permit.certified",
    target: permitId,
    outcome: certificate.complete ? "done" : "failed",
    reason: `certificate ${serial}, sha256 ${sha256Hex(body)}: ${certificate.statement}`,
    requestId: null,
  }]);
  const payload = { permitId, serial, keyId: signer.key.id, complete: certificate.complete };
  await appendOutbox(tx, [{ topic: "workspace.events", key: "permit.certified", permitId, payload }], nowMs);
}
