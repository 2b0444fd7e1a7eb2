/** Messages for tests: bytes and properties as a broker or an HTTP client would hand them over. */
import type { RawMessage } from "../../src/intake/envelope.ts";

/** An AMQP message with a JSON body (a string goes as it is) and properties beside it. */
export function rawMessage(body: unknown, properties: Partial<RawMessage> = {}): RawMessage {
  const bytes = body instanceof Uint8Array
    ? body
    : new TextEncoder().encode(typeof body === "string" ? body : JSON.stringify(body));
  return {
    body: bytes,
    contentType: "application/json",
    contentEncoding: null,
    headers: {},
    routingKey: null,
    messageId: null,
    ...properties,
  };
}

/** The canonical form of DESIGN 3 with every field. */
export function canonical(
  overrides: Record<string, unknown> = {},
  data: Record<string, unknown> = {},
): Record<string, unknown> {
  return {
    id: "evt-0192",
    type: "permit.status.updated",
    time: "2026-11-22T10:00:00Z",
    permitId: "permit-001",
    revision: 7,
    data: {
      status: "ANALYSIS_ACTIVE",
      expiresAt: "2027-06-30T00:00:00Z",
      tier: "standard",
      dataHolders: [holder("hospital-a")],
      preprocessor: { username: "m.keller" },
      reviewer: { username: "a.rossi" },
      setupReviewer: { username: "a.rossi" },
      researchers: [{ username: "j.virtanen", uid: 21001, gid: 21001 }],
      ...data,
    },
    ...overrides,
  };
}

/** A data holder with one address and one key. */
export function holder(id: string, overrides: Record<string, unknown> = {}): Record<string, unknown> {
  return { id, username: id, allowedCidrs: ["203.0.113.7/32"], sshPublicKeys: [ed25519Key()], ...overrides };
}

/** An SSH public key whose blob says `inner` and is followed by `fields`. */
export function sshKey(type: string, fields: Uint8Array[], inner: string = type): string {
  const parts = [new TextEncoder().encode(inner), ...fields];
  const blob = parts.flatMap((
    part,
  ) => [...new Uint8Array(new Uint32Array([part.length]).buffer).reverse(), ...part]);
  return `${type} ${btoa(String.fromCharCode(...blob))}`;
}

/** A well-formed Ed25519 public key; `fill` tells one from another. */
export function ed25519Key(fill = 1): string {
  return sshKey("ssh-ed25519", [new Uint8Array(32).fill(fill)]);
}
