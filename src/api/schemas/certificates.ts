/** Certificates of deletions. */
import { z } from "@hono/zod-openapi";
import { CERTIFICATE_FORM } from "../../core/certificate.ts";
import { Instant } from "./common.ts";

/** What is signed, in canonical JSON: no blanks, object keys sorted at every depth. */
const CertificateBody = z.strictObject({
  form: z.literal(CERTIFICATE_FORM),
  permitId: z.string(),
  /** From 1; a later one tells of objects that came after the deletion. */
  serial: z.number().int(),
  issuedAt: Instant,
  issuer: z.string(),
  keyId: z.string(),
  /** SHA-256 of the certificate before this one, in hex. */
  previous: z.string().nullable(),
  request: z.strictObject({
    event: z.number().int(),
    source: z.string().nullable(),
    id: z.string().nullable(),
    type: z.string().nullable(),
    receivedAt: Instant,
  }).nullable(),
  job: z.number().int(),
  /** The absence of every object was observed. */
  complete: z.boolean(),
  statement: z.string(),
  objects: z.array(z.strictObject({
    kind: z.string(),
    name: z.string(),
    uid: z.string(),
    of: z.strictObject({ kind: z.string(), key: z.string() }),
    firstSeenAt: Instant,
    /** Null: a controller or a person removed it. */
    ordered: z.strictObject({ at: Instant, step: z.string(), why: z.string(), job: z.number().int() })
      .nullable(),
    absent: z.strictObject({ at: Instant, by: z.string() }).nullable(),
  })),
  volumes: z.array(z.strictObject({
    key: z.string(),
    volume: z.string(),
    owner: z.string().nullable(),
    generation: z.number().int(),
    tainted: z.boolean(),
    bound: z.boolean(),
    destroyedByWps: z.boolean(),
    uids: z.array(z.string()),
  })),
}).openapi("Certificate");

/** One certificate, and what the service's own key says of it. */
const CertificateView = z.strictObject({
  algorithm: z.literal("Ed25519"),
  certificate: CertificateBody,
  /** Base64, over the certificate's canonical JSON in UTF-8. */
  signature: z.string(),
  /** `unknown-key`: signed by another key than the one that the site has now. */
  verdict: z.enum(["valid", "invalid", "unknown-key"]),
});

/** `GET /permits/{permitId}/certificate`. */
export const CertificateAnswer = z.strictObject({
  permitId: z.string(),
  /** The site's present key; trust it only where it came another way than with the certificate. Null: not at hand. */
  publicKey: z.strictObject({ id: z.string(), pem: z.string() }).nullable(),
  /** The first one first. */
  items: z.array(CertificateView),
}).openapi("CertificateAnswer");
/** See {@link CertificateAnswer}. */
export type CertificateAnswer = z.infer<typeof CertificateAnswer>;
