/**
 * The deletion certificate (DESIGN 11): each object and volume that WPS ever saw of a permit, how its destruction was
 * ordered and how its absence was observed. What is signed is its canonical JSON; who signs it: store/site_key.ts.
 */
import { toInstant } from "./clock.ts";
import type { ObservedObject } from "./observed.ts";
import { canonicalJson, sha256Hex } from "./sha256.ts";
import { parseVolumeKey } from "./volume.ts";

/** The form of a certificate; another form has another name. */
export const CERTIFICATE_FORM = "wps.deletion-certificate.v1";

/** An object as it was seen, ordered away and seen to be absent. Times are epoch milliseconds. */
export interface ObjectTrace extends ObservedObject {
  seenAtMs: number;
  /** Null: WPS never ordered its end; a controller or a person removed it. */
  ordered: { atMs: number; step: string; why: string; jobId: number } | null;
  /** Null: it was still there when it was looked for last. */
  absent: { atMs: number; by: string } | null;
}

/** What a certificate is made of. */
export interface CertificateParts {
  permitId: string;
  /** From 1; a later one of the same permit tells of objects that came late. */
  serial: number;
  issuedAtMs: number;
  /** Of the key that signs. */
  keyId: string;
  /** Which service it was. */
  issuer: string;
  /** SHA-256 of the permit's certificate before this one. */
  previous: string | null;
  /** The event that asked for the deletion; null: it is no longer kept. */
  request: {
    seq: number;
    source: string | null;
    id: string | null;
    type: string | null;
    receivedAtMs: number;
  } | null;
  /** The job whose last observation found nothing. */
  jobId: number;
  objects: readonly ObjectTrace[];
  volumes: readonly { key: string; tainted: boolean; bound: boolean; destroyed: boolean }[];
}

/** A certificate as plain JSON. */
export interface Certificate {
  form: typeof CERTIFICATE_FORM;
  permitId: string;
  serial: number;
  issuedAt: string;
  issuer: string;
  keyId: string;
  previous: string | null;
  request: {
    event: number;
    source: string | null;
    id: string | null;
    type: string | null;
    receivedAt: string;
  } | null;
  job: number;
  /** Whether the absence of every object was observed. */
  complete: boolean;
  /** The whole in one sentence. */
  statement: string;
  objects: {
    kind: string;
    name: string;
    uid: string;
    of: { kind: string; key: string };
    firstSeenAt: string;
    ordered: { at: string; step: string; why: string; job: number } | null;
    absent: { at: string; by: string } | null;
  }[];
  volumes: {
    key: string;
    volume: string;
    owner: string | null;
    generation: number;
    tainted: boolean;
    /** It was seen bound at least once. */
    bound: boolean;
    destroyedByWps: boolean;
    /** Its objects among `objects`, by uid. */
    uids: string[];
  }[];
}

/** The certificate. Pure. */
export function certificateOf(parts: CertificateParts): Certificate {
  const { request, objects, volumes } = parts;
  const open = objects.filter(({ absent }) => absent === null);
  return {
    form: CERTIFICATE_FORM,
    permitId: parts.permitId,
    serial: parts.serial,
    issuedAt: toInstant(parts.issuedAtMs),
    issuer: parts.issuer,
    keyId: parts.keyId,
    previous: parts.previous,
    request: request === null ? null : {
      event: request.seq,
      source: request.source,
      id: request.id,
      type: request.type,
      receivedAt: toInstant(request.receivedAtMs),
    },
    job: parts.jobId,
    complete: open.length === 0,
    statement: statementOf(parts, open.length),
    objects: objects.map(({ kind, name, uid, of, seenAtMs, ordered, absent }) => ({
      kind,
      name,
      uid,
      of,
      firstSeenAt: toInstant(seenAtMs),
      ordered: ordered === null
        ? null
        : { at: toInstant(ordered.atMs), step: ordered.step, why: ordered.why, job: ordered.jobId },
      absent: absent === null ? null : { at: toInstant(absent.atMs), by: absent.by },
    })),
    volumes: volumes.map(({ key, tainted, bound, destroyed }) => ({
      key,
      ...parseVolumeKey(key),
      tainted,
      bound,
      destroyedByWps: destroyed,
      uids: objects.filter(({ of }) => of.kind === "volume" && of.key === key).map(({ uid }) => uid),
    })),
  };
}

function statementOf({ permitId, serial, objects }: CertificateParts, open: number): string {
  if (objects.length === 0) return `No object of ${permitId} was ever observed on the platform`;
  const late = serial > 1 ? "that appeared after its deletion " : "";
  const what = `${objects.length} object${objects.length === 1 ? "" : "s"} of ${permitId} ${late}`.trimEnd();
  return open === 0
    ? `Of ${what} none is left: the absence of each was observed`
    : `Of ${what} ${open} ${open === 1 ? "was" : "were"} still there when last looked for`;
}

/** A certificate as it is handed out. */
export interface SignedCertificate {
  algorithm: "Ed25519";
  certificate: Certificate;
  /** Base64, over the certificate's canonical JSON in UTF-8. */
  signature: string;
}

/** A key that whoever asks trusts. */
export interface TrustedKey {
  readonly id: string;
  verify(text: string, signature: string): boolean;
}

/** Whether something read from a file has a signed certificate's form; that it is one, only its signature shows. */
export function isSignedCertificate(value: unknown): value is SignedCertificate {
  if (value === null || typeof value !== "object") return false;
  if (Object.keys(value).sort().join() !== "algorithm,certificate,signature") return false;
  const { algorithm, certificate, signature } = value as Record<string, unknown>; // its keys are known
  return algorithm === "Ed25519" && typeof signature === "string" && certificate !== null &&
    typeof certificate === "object" && "form" in certificate && certificate.form === CERTIFICATE_FORM &&
    "permitId" in certificate && "keyId" in certificate && "serial" in certificate &&
    "previous" in certificate;
}

/**
 * What is wrong with a permit's certificates, one sentence each; none: `key` has signed each as it stands, all are of one
 * permit, and each names the one before it.
 */
export function certificateFaults(items: readonly SignedCertificate[], key: TrustedKey): string[] {
  if (items.length === 0) return ["there is no certificate"];
  return items.flatMap(({ certificate, signature }, index) => {
    const { keyId, serial, permitId, previous } = certificate;
    const name = `certificate ${serial} of ${permitId}`;
    if (keyId !== key.id) return [`${name} names key ${keyId}, the trusted key is ${key.id}`];
    if (!key.verify(canonicalJson(certificate), signature)) {
      return [`${name} was altered: its signature does not fit`];
    }
    const before = items[index - 1]?.certificate;
    if (before === undefined) return [];
    const follows = before.permitId === permitId && previous === sha256Hex(canonicalJson(before));
    return follows ? [] : [`${name} does not follow certificate ${before.serial} of ${before.permitId}`];
  });
}
