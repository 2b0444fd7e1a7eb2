/** A terminal that keeps what is written, and commands run in this process. */
import type { Surroundings } from "../../src/cli/context.ts";
import { OutputClosed } from "../../src/cli/exit.ts";
import { runCli } from "../../src/cli/run.ts";
import { processSurroundings } from "../../src/cli/surroundings.ts";
import type { Environment, Terminal } from "../../src/cli/terminal.ts";

/** Begins every order to a terminal. */
export const ESC = "\u001b";

/** What a terminal of a test is like. */
export interface TerminalShape {
  isTerminal?: boolean;
  hasColour?: boolean;
  columns?: number;
  /** The reader goes away after so many writes. */
  closesAfter?: number;
}

/** A terminal that remembers. */
export class CapturedTerminal implements Terminal {
  readonly isTerminal: boolean;
  readonly hasColour: boolean;
  readonly columns: number;
  readonly #closesAfter: number;
  readonly #out: string[] = [];
  readonly #err: string[] = [];
  readonly #waiting = new Set<() => void>();

  constructor({ isTerminal, hasColour, columns, closesAfter }: TerminalShape = {}) {
    this.isTerminal = isTerminal ?? false;
    this.hasColour = hasColour ?? false;
    this.columns = columns ?? (this.isTerminal ? 100 : Number.POSITIVE_INFINITY);
    this.#closesAfter = closesAfter ?? Number.POSITIVE_INFINITY;
  }

  out(text: string): void {
    if (this.#out.length >= this.#closesAfter) throw new OutputClosed("closed");
    this.#out.push(text);
    for (const wake of this.#waiting) wake();
  }

  err(text: string): void {
    this.#err.push(text);
    for (const wake of this.#waiting) wake();
  }

  /** Standard output so far. */
  get stdout(): string {
    return this.#out.join("");
  }

  /** Standard error so far. */
  get stderr(): string {
    return this.#err.join("");
  }

  /** Resolves once either stream holds the text; rejects when the command ends without having written it. */
  async until(text: string, command: Promise<unknown>): Promise<void> {
    const ended = command.then(() => {
      if (this.#holds(text)) return;
      throw new Error(`The command ended without writing "${text}":\n${this.stdout}${this.stderr}`);
    });
    while (!this.#holds(text)) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#waiting.add(resolve);
      await Promise.race([promise, ended]);
      this.#waiting.delete(resolve);
    }
    ended.catch(() => {});
  }

  #holds(text: string): boolean {
    return this.stdout.includes(text) || this.stderr.includes(text);
  }
}

/** How a command of a test is run. */
export interface CommandOptions extends TerminalShape {
  environment?: Environment;
  input?: string;
  terminal?: CapturedTerminal;
  /** Gets the function that a SIGINT or SIGTERM would call. */
  interrupts?: (interrupt: () => void) => void;
}

/** What came of a command. */
export interface CommandResult {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one command line in this process, with nothing of this machine's environment. */
export async function wps(args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { environment = {}, input = "", interrupts = (): void => {} } = options;
  const terminal = options.terminal ?? new CapturedTerminal(options);
  const machine = processSurroundings(environment, terminal);
  const surroundings: Surroundings = {
    ...machine,
    readInput: (bytesMax) => Promise.resolve(new TextEncoder().encode(input).slice(0, bytesMax)),
    onInterrupt: (interrupt) => {
      interrupts(interrupt);
      return () => {};
    },
  };
  try {
    const code = await runCli(args, surroundings);
    return { code, stdout: terminal.stdout, stderr: terminal.stderr };
  } finally {
    await machine.close();
  }
}
