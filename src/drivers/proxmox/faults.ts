/** What went wrong between WPS and Proxmox VE, as Faults. */
import { type Disposition, Fault, type Reason } from "../../core/fault.ts";
import { type Answer, type Asked, proseOf } from "./answers.ts";
import { Distrust } from "./connection.ts";
import type { Meaning, Row } from "./fault_row.ts";
import { FAULT_ROWS } from "./fault_rows.ts";

/** How far a request had come when it failed. */
export interface Sent {
  /** It changes something. */
  isWrite: boolean;
  /** Some of it may have reached the server. */
  isSent: boolean;
}

/** What a {@link ProxmoxFault} carries beside its message. */
export interface ProxmoxFaultOptions {
  target: string;
  advice: string;
  /** What the answer means; absent: there was none. */
  means?: Meaning;
  answer?: Answer;
  mayBeDone?: boolean;
  cause?: unknown;
}

/** A Fault of this driver. */
export class ProxmoxFault extends Fault {
  /** Null: there was no answer. */
  readonly means: Meaning | null;
  readonly answer: Answer | null;
  /** A write that may have been carried out. Who goes on looks first. */
  readonly mayBeDone: boolean;

  constructor(disposition: Disposition, reason: Reason, message: string, options: ProxmoxFaultOptions) {
    super(disposition, reason, message, options);
    this.means = options.means ?? null;
    this.answer = options.answer ?? null;
    this.mayBeDone = options.mayBeDone ?? false;
  }
}

const PERHAPS = "it may have been carried out";
const LOOKS = "None needed: WPS looks at what is there before it goes on";

/** Whether a Fault of this driver has this meaning. */
export function meansThat(thrown: unknown, ...meanings: Meaning[]): thrown is ProxmoxFault {
  return thrown instanceof ProxmoxFault && thrown.means !== null && meanings.includes(thrown.means);
}

/** The Fault for an answer that is no success, or for a task that ended in none. */
export function faultOfAnswer(asked: Asked, answer: Answer, sent: Pick<Sent, "isWrite">): ProxmoxFault {
  const row = rowOf(answer);
  const mayBeDone = sent.isWrite && (row.mayBeDone?.(answer) ?? false);
  const message = `Cannot ${asked.what}: ${proseOf(answer)}`;
  return new ProxmoxFault(row.disposition, row.reason, mayBeDone ? `${message}; ${PERHAPS}` : message, {
    target: asked.target,
    advice: row.advice(asked, answer),
    means: row.means,
    answer,
    mayBeDone,
  });
}

/** The first row of the table that fits. */
export function rowOf(answer: Answer): Row {
  const row = FAULT_ROWS.find(({ when }) => when(answer));
  if (row === undefined) throw new Error("the table's last row fits everything");
  return row;
}

/** No answer within the time. */
export function faultOfTimeout(asked: Asked, timeoutMs: number, sent: Sent): ProxmoxFault {
  return lost("timeout", asked, `no answer within ${timeoutMs} ms`, sent, {
    advice: "Look at the load of the node and the network to it",
  });
}

/** The caller gave up. */
export function faultOfAbort(asked: Asked, sent: Sent): ProxmoxFault {
  return lost("cancelled", asked, "stopped on request", sent, { advice: "None needed" });
}

/** The connection failed or broke, the answer is none of Proxmox VE's, or the server is not the one that is configured. */
export function faultOfConnection(asked: Asked, thrown: unknown, sent: Sent): ProxmoxFault {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  if (thrown instanceof Distrust) {
    return new ProxmoxFault("stalled", "denied", `Cannot ${asked.what}: the server is not trusted: ${text}`, {
      target: asked.target,
      advice:
        "If its certificate was renewed, compare it on the node (openssl x509 -noout -fingerprint -sha256 -in " +
        "/etc/pve/local/pve-ssl.pem) and correct drivers.proxmox; otherwise find out who answers there",
      cause: thrown,
    });
  }
  return lost("unavailable", asked, text || "the connection failed", sent, {
    advice: "Check that pveproxy runs and can be reached from here",
    cause: thrown,
  });
}

function lost(
  reason: "timeout" | "unavailable" | "cancelled",
  asked: Asked,
  why: string,
  { isWrite, isSent }: Sent,
  options: { advice: string; cause?: unknown },
): ProxmoxFault {
  const mayBeDone = isWrite && isSent;
  const message = `Cannot ${asked.what}: ${why}${mayBeDone ? `; the answer is lost, so ${PERHAPS}` : ""}`;
  return new ProxmoxFault(reason === "cancelled" ? "cancelled" : "retry", reason, message, {
    ...options,
    advice: mayBeDone ? LOOKS : options.advice,
    target: asked.target,
    mayBeDone,
  });
}
