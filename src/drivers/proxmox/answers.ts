/** What was asked of the Proxmox VE API, and what it answered, or how a task ended, as far as it decides. */
import { z } from "zod";
import type { WireAnswer } from "./exchange.ts";
import type { Hide } from "./hidden.ts";

/** What was asked, for the message. */
export interface Asked {
  /** Completes "Cannot …", e.g. "clone VM 9000 as VM 47001". */
  what: string;
  /** The object at fault, e.g. "VM 47001". */
  target: string;
}

/** An answer that is no success. Nothing in it shows a secret that was sent. */
export interface Answer {
  /** HTTP status; null: a task ended so. */
  status: number | null;
  /** The status line's reason phrase. */
  reason: string;
  /** What it says, in one line: its message, else its text, else the reason phrase. "" where it says nothing. */
  message: string;
  /** Parameters that were refused, and why. */
  errors: readonly { field: string; text: string }[];
  /** The body as it came, cut. */
  body: string;
  /** The last lines of the task's log. */
  log: readonly string[];
}

/** Longest piece of a server's prose that is repeated: a refused enumeration lists every disk there may be. */
const MESSAGE_MAX = 600;
/** Bodies of errors have some hundred bytes. */
const BODY_MAX = 4096;

const errorSchema = z.object({
  message: z.string().default(""),
  errors: z.record(z.string(), z.coerce.string()).default({}),
});

/** Reads an answer with an error status. Bodies are JSON, plain text (501, 506) or nothing (401, 595). */
export function readAnswer({ status, reason, text }: WireAnswer, hide: Hide): Answer {
  const parsed = errorSchema.safeParse(parseJson(text));
  const { message, errors } = parsed.data ?? { message: /^\s*[<{[]/.test(text) ? "" : text, errors: {} };
  const shown = (prose: string): string => oneLine(hide(prose)).slice(0, MESSAGE_MAX);
  return {
    status,
    reason: shown(reason),
    message: shown(message) || shown(reason),
    errors: Object.entries(errors).map(([field, prose]) => ({ field, text: shown(prose) })),
    body: hide(text).slice(0, BODY_MAX),
    log: [],
  };
}

/** A task's end that is no success: its exit status, and the end of its log. */
export function readTaskEnd(exitStatus: string, log: readonly string[], hide: Hide): Answer {
  const message = oneLine(hide(exitStatus)).slice(0, MESSAGE_MAX);
  const lines = log.map((line) => oneLine(hide(line)).slice(0, MESSAGE_MAX));
  return { status: null, reason: "", message, errors: [], body: "", log: lines };
}

/** What an answer says to a person: the refused parameters, else its message and what its log adds. */
export function proseOf({ status, message, errors, log }: Answer): string {
  if (errors.length > 0) {
    return errors.map(({ field, text }) => `${field}: ${text}`).join("; ").slice(0, MESSAGE_MAX);
  }
  const said = message || (status === null ? "the task says nothing" : `HTTP ${status}`);
  const more = log.filter((line) => line !== "" && line !== `TASK ERROR: ${message}`).slice(-2);
  return more.length === 0 ? said : `${said}; its log ends: ${more.join(" | ")}`.slice(0, 2 * MESSAGE_MAX);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Messages end with a line feed, and those about a format have several. */
function oneLine(text: string): string {
  return text.trim().replaceAll(/\s*[\r\n]+\s*/g, ", ");
}
