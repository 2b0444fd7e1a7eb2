/** Where output goes, and what it can show there. */
import { OutputClosed } from "./exit.ts";

/** Environment variables by name. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** The two streams of a command, and what is known of the first. */
export interface Terminal {
  /** Writes text as it is. Throws {@link OutputClosed} once nobody reads any more. */
  out(text: string): void;
  err(text: string): void;
  /** Standard output is a terminal: live lines may be drawn over. */
  readonly isTerminal: boolean;
  /** Colour is wanted: a terminal, without NO_COLOR (no-color.org) and not TERM=dumb. */
  readonly hasColour: boolean;
  /** Characters of a line; of a pipe: unlimited. */
  readonly columns: number;
}

/** Columns of a terminal that does not say: some serial consoles report 0 (FACTS 8). */
const COLUMNS_DEFAULT = 80;

/** This process's own streams. */
export function processTerminal(environment: Environment): Terminal {
  const isTerminal = Deno.stdout.isTerminal();
  return {
    out: (text) => write(Deno.stdout, text),
    err(text): void {
      try {
        write(Deno.stderr, text);
      } catch (thrown) {
        if (!(thrown instanceof OutputClosed)) throw thrown;
      }
    },
    isTerminal,
    hasColour: isTerminal && !environment["NO_COLOR"] && environment["TERM"] !== "dumb",
    get columns(): number {
      return isTerminal ? consoleColumns() : Number.POSITIVE_INFINITY;
    },
  };
}

function consoleColumns(): number {
  try {
    return Deno.consoleSize().columns || COLUMNS_DEFAULT;
  } catch {
    return COLUMNS_DEFAULT;
  }
}

function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  try {
    for (let at = 0; at < bytes.length;) at += stream.writeSync(bytes.subarray(at));
  } catch (thrown) {
    if (thrown instanceof Deno.errors.BrokenPipe) throw new OutputClosed("Nobody reads the output");
    throw thrown;
  }
}
