/** A proof of isolation as a driver leaves it, for tests that only keep or show one. */
import type { IsolationEvidence } from "../src/core/evidence.ts";

const alive = ["tcp 192.0.2.10:443", "tcp 192.0.2.53:53"];

/** Complete and small. */
export const PROOF: IsolationEvidence = {
  method: "gate",
  pod: { name: "research-a-0", uid: "uid-1", node: "node-1" },
  targets: alive.map((target) => ({ target, outcome: "timed out" })),
  rounds: 4,
  cleanRounds: 3,
  begunAt: "2026-11-22T10:00:00.000Z",
  endedAt: "2026-11-22T10:00:04.000Z",
  control: {
    before: { at: "2026-11-22T09:59:58.000Z", alive, silent: ["tcp 169.254.169.254:80"] },
    after: { at: "2026-11-22T10:00:05.000Z", alive, silent: ["tcp 169.254.169.254:80"] },
  },
  policies: { count: 2, hash: "0123456789ab" },
};

/** The same proof with a text that makes it `bytes` long as JSON. */
export function proofOf(bytes: number, filling = "x"): IsolationEvidence {
  const encoder = new TextEncoder();
  const long = { ...PROOF, policies: { ...PROOF.policies, hash: "" } };
  const room = bytes - encoder.encode(JSON.stringify(long)).byteLength;
  const unit = encoder.encode(filling).byteLength;
  const hash = filling.repeat(Math.floor(room / unit)) + "x".repeat(room % unit);
  return { ...PROOF, policies: { ...PROOF.policies, hash } };
}
