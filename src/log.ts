/** The log: one line per event on stderr, JSON for machines or plain text for people. */
import { type Clock, toInstant } from "./core/clock.ts";
import { Fault } from "./core/fault.ts";
import { scrub, scrubText } from "./scrub.ts";

/** How much is said; each level includes those after it. */
const LOG_LEVELS = ["debug", "info", "warn", "error"] as const;
/** One of {@link LOG_LEVELS}. */
export type LogLevel = typeof LOG_LEVELS[number];

/** What a line is about. Any further field is fine; values are plain data or errors. */
export interface LogFields {
  /** The event's number in the inbox. */
  event?: number;
  permit?: string;
  job?: number;
  step?: string;
  requestId?: string;
  error?: unknown;
  [field: string]: unknown;
}

/** Says what happens. Never throws, and never lets a secret through (see `scrub`). */
export interface Log {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A log whose lines all carry these fields. */
  child(fields: LogFields): Log;
}

/** Where lines go and what they look like. */
export interface LogOptions {
  level: LogLevel;
  format: "json" | "text";
  clock: Clock;
  /** Gets one line with its line feed. */
  write(line: string): void;
}

/** Makes a log. */
export function createLog(options: LogOptions): Log {
  return withFields(options, {});
}

/** A log that says nothing. */
export const SILENT_LOG: Log = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => SILENT_LOG,
};

function withFields(options: LogOptions, base: LogFields): Log {
  const least = LOG_LEVELS.indexOf(options.level);
  const say = (level: LogLevel) => (message: string, fields: LogFields = {}): void => {
    if (LOG_LEVELS.indexOf(level) < least) return;
    try {
      options.write(`${line(options, level, message, { ...base, ...fields })}\n`);
    } catch {
      // A log that fails (closed stderr, a getter that throws) must not take the work down with it.
    }
  };
  return {
    debug: say("debug"),
    info: say("info"),
    warn: say("warn"),
    error: say("error"),
    child: (fields) => withFields(options, { ...base, ...fields }),
  };
}

function line(options: LogOptions, level: LogLevel, message: string, fields: LogFields): string {
  const time = toInstant(options.clock.now());
  const plain = Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined)
      .map(([key, value]) => [key, value instanceof Error ? errorFields(value, level) : value]),
  );
  const scrubbed = scrub(plain);
  const text = scrubText(message);
  const head = { time, level, message: text };
  // The head twice: first for its place in the line, then so that no field of the same name replaces it.
  if (options.format === "json") return JSON.stringify({ ...head, ...scrubbed, ...head });
  const tail = Object.entries(scrubbed).map(([key, value]) => ` ${key}=${textValue(value)}`).join("");
  return `${time} ${level.toUpperCase().padEnd(5)} ${oneLine(text)}${tail}`;
}

/** An error's fields; the stack only where somebody debugs or it is unexpected. */
function errorFields(error: Error, level: LogLevel): Record<string, unknown> {
  if (error instanceof Fault) {
    const { disposition, reason, message, advice, target } = error;
    const cause = error.cause instanceof Error ? error.cause.message : undefined;
    return { disposition, reason, message, advice, target, cause };
  }
  const stack = level === "error" || level === "debug" ? error.stack : undefined;
  return { name: error.name, message: error.message, stack };
}

function textValue(value: unknown): string {
  if (typeof value === "string" && /^[^\s"=]+$/.test(value)) return value;
  return JSON.stringify(value) ?? "null";
}

/** A line feed in a message would let its author forge a second line. */
function oneLine(text: string): string {
  // deno-lint-ignore no-control-regex -- control characters are what is removed
  return text.replaceAll(/[\u0000-\u001f\u007f]/g, " ");
}
