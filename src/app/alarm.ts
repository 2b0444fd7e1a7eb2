/** WPS's own halt: a way out where none may be holds the permit at once, by an event like any other (DESIGN 6). */
import type { Clock, Random } from "../core/clock.ts";
import { OWN_SOURCE } from "../core/event.ts";
import { toFault } from "../core/fault.ts";
import type { Log } from "../log.ts";
import type { Alarm } from "../runner/breach.ts";
import type { AcceptDelivery } from "./accept.ts";
import { appendAudit } from "../store/audit.ts";
import { ISOLATION_BREACHED } from "../store/halts.ts";

/** Between two tries to record a halt that the store did not take: a full disk is not tried without pause. */
const RETRY_MS = 1_000;

/** A way out that was seen. */
interface Seen {
  what: string;
  why: string;
}

/** An alarm, what it needs of the intake, and its end. */
export interface ArmedAlarm {
  alarm: Alarm;
  /** Work begins before the intake, so alarms wait for this. */
  arm(accept: AcceptDelivery, wake: (permitId: string) => void): void;
  /** Ends the tries; what could not be recorded until now is lost with the process. */
  stop(): Promise<void>;
}

/**
 * What could not be recorded is tried again until it is: a connection that was opened outlives the policy that let it
 * through, and the next look might find nothing to be alarmed about.
 */
export function createAlarm(
  { clock, random, log, bootEpoch }: { clock: Clock; random: Random; log: Log; bootEpoch: string },
): ArmedAlarm {
  const armed = Promise.withResolvers<{ accept: AcceptDelivery; wake: (permitId: string) => void }>();
  const stopping = new AbortController();
  const unrecorded = new Map<string, Seen>();
  let retrying: Promise<void> | null = null;

  const record = async (permitId: string, seen: Seen): Promise<void> => {
    const { accept, wake } = await armed.promise;
    await accept(haltDelivery({ permitId, id: `breach-${random.bytes(8).toHex()}`, bootEpoch, clock }, seen));
    unrecorded.delete(permitId);
    wake(permitId);
  };

  const retry = async (): Promise<void> => {
    while (unrecorded.size > 0 && !stopping.signal.aborted) {
      await clock.sleep(RETRY_MS, stopping.signal);
      for (const [permitId, seen] of [...unrecorded]) {
        if (!stopping.signal.aborted) await record(permitId, seen).catch(() => {}); // told of when it was seen
      }
    }
    retrying = null;
  };

  return {
    alarm: async (permitId, what, why) => {
      log.error("a way out was found where none may be; the permit is halted", {
        permit: permitId,
        target: what,
        why,
      });
      try {
        await record(permitId, { what, why });
      } catch (thrown) {
        log.error("the permit could not be halted yet; it is tried again until it is", {
          permit: permitId,
          error: toFault(thrown).message,
        });
        unrecorded.set(permitId, { what, why });
        if (!stopping.signal.aborted) retrying ??= retry();
      }
    },
    arm: (accept, wake) => armed.resolve({ accept, wake }),
    stop: async () => {
      stopping.abort();
      await retrying;
    },
  };
}

/** The halt as a delivery of WPS's own, with the reason in the audit of the same transaction. */
function haltDelivery(
  { permitId, id, bootEpoch, clock }: { permitId: string; id: string; bootEpoch: string; clock: Clock },
  { what, why }: Seen,
): Parameters<AcceptDelivery>[0] {
  const actor = { kind: "service", id: bootEpoch } as const;
  // Without a time: the order of the Permit Manager's own events must not depend on this service's clock.
  const event = { id, source: OWN_SOURCE, type: "permit.halted", permitId, data: {} };
  return {
    raw: {
      body: new TextEncoder().encode(JSON.stringify(event)),
      contentType: "application/json",
      contentEncoding: null,
      headers: {},
      routingKey: null,
      messageId: null,
    },
    channel: "wps",
    redelivered: false,
    recordedBefore: 0,
    actor,
    requestId: null,
    within: (tx, { seq }) =>
      appendAudit(tx, [{
        atMs: clock.now(),
        permitId,
        eventSeq: seq,
        jobId: null,
        actor,
        action: ISOLATION_BREACHED,
        target: what,
        outcome: "failed",
        reason: why,
        requestId: null,
      }]),
  };
}
