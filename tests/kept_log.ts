/** A log whose lines a test reads. */
import { createLog, type Log, type LogLevel } from "../src/log.ts";

/** One line, parsed. */
export interface LogLine {
  level: LogLevel;
  message: string;
  [field: string]: unknown;
}

/** A log that keeps its lines as they would be written. */
export interface KeptLog {
  log: Log;
  lines: LogLine[];
  /** Those with this message. */
  saying(message: string): LogLine[];
  /** All of it as it would stand in a file. */
  text(): string;
}

/** A JSON log of all levels, whose time stands still. */
export function keptLog(): KeptLog {
  const lines: LogLine[] = [];
  const written: string[] = [];
  const log = createLog({
    level: "debug",
    format: "json",
    clock: { now: () => 0, sleep: () => Promise.resolve() },
    write: (line) => {
      written.push(line);
      lines.push(JSON.parse(line));
    },
  });
  return {
    log,
    lines,
    saying: (message) => lines.filter((line) => line.message === message),
    text: () => written.join(""),
  };
}
