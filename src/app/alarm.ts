/** WPS's own halt: a way out where none may be holds the permit at once, by an event like any other (DESIGN 6). */
import type { Clock, Random } from "../core/clock.ts";
import { OWN_SOURCE } from "../core/event.ts";
import { toFault } from "../core/fault.ts";
import type { Log } from "../log.ts";
import type { Alarm } from "../runner/breach.ts";
import type { AcceptDelivery } from "./accept.ts";
import { appendAudit } from "../store/audit.ts";
import { ISOLATION_BREACHED } from "../store/halts.ts";

/** An alarm that waits for the intake: work begins before it. */
export function createAlarm(
  { clock, random, log, bootEpoch }: { clock: Clock; random: Random; log: Log; bootEpoch: string },
): { alarm: Alarm; arm(accept: AcceptDelivery, wake: (permitId: string) => void): void } {
  const armed = Promise.withResolvers<{ accept: AcceptDelivery; wake: (permitId: string) => void }>();
  const actor = { kind: "service", id: bootEpoch } as const;
  const alarm: Alarm = async (permitId, workspaceKey, why) => {
    log.error("a workspace has a way out that it must not have; its permit is halted", {
      permit: permitId,
      workspace: workspaceKey,
      why,
    });
    const id = `breach-${random.bytes(8).toHex()}`;
    // Without a time: the order of the Permit Manager's own events must not depend on this service's clock.
    const event = { id, source: OWN_SOURCE, type: "permit.halted", permitId, data: {} };
    try {
      const { accept, wake } = await armed.promise;
      await accept({
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
            target: workspaceKey,
            outcome: "failed",
            reason: why,
            requestId: null,
          }]),
      });
      wake(permitId);
    } catch (thrown) {
      log.error("the permit could not be halted; the next look tries again", {
        permit: permitId,
        error: toFault(thrown).message,
      });
    }
  };
  return { alarm, arm: (accept, wake) => armed.resolve({ accept, wake }) };
}
