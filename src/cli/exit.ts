/** Exit codes (DESIGN 10), and which one a failure leaves with. */
import { Fault } from "../core/fault.ts";

/** What the shell gets. */
export const EXIT = { done: 0, failed: 1, usage: 2, notFound: 3, unreachable: 4, denied: 5 } as const;
/** One of {@link EXIT}. */
export type ExitCode = typeof EXIT[keyof typeof EXIT];

/** Who calls `head` has seen enough: the reader of our output went away. Never a failure. */
export class OutputClosed extends Error {}

/** A failure of a command, said for the person at the terminal. */
export class CliError extends Error {
  readonly code: ExitCode;
  /** What to do, one sentence each; never empty for what a person can mend. */
  readonly advice: readonly string[];
  /** Further lines beneath the message: fields, choices. */
  readonly details: readonly string[];

  /** `message` reads "Cannot …: what is in the way", without a full stop. */
  constructor(
    code: ExitCode,
    message: string,
    options: { advice?: readonly string[]; details?: readonly string[]; cause?: unknown } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = "CliError";
    this.code = code;
    this.advice = options.advice ?? [];
    this.details = options.details ?? [];
  }
}

/** Anything thrown as the failure that is shown. What nobody foresaw asks for a report, with its stack in `cause`. */
export function toCliError(thrown: unknown): CliError {
  if (thrown instanceof CliError) return thrown;
  if (thrown instanceof Fault) {
    const advice = thrown.advice === null ? [] : [thrown.advice];
    return new CliError(codeOf(thrown), thrown.message, { advice, cause: thrown });
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new CliError(EXIT.failed, `Cannot go on: ${message}`, {
    advice: ["Run it again with WPS_DEBUG=1 for the stack, and report it if it repeats"],
    cause: thrown,
  });
}

function codeOf({ reason, disposition }: Fault): ExitCode {
  if (reason === "denied") return EXIT.denied;
  if (reason === "not-found") return EXIT.notFound;
  const isAway = reason === "unavailable" || (reason === "timeout" && disposition === "retry");
  return isAway ? EXIT.unreachable : EXIT.failed;
}
