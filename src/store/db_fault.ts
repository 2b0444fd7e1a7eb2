/** What libSQL throws, as a Fault that says what to do (DESIGN 6: dispositions are decided at the edge). */
import Database from "libsql";
import { type Disposition, Fault, type Reason } from "../core/fault.ts";

interface Meaning {
  disposition: Disposition;
  reason: Reason;
  /** Follows "Cannot use database <path>: ". */
  what: string;
  advice: string;
}

const RIGHTS = "Give the service's user write access to the state directory and its file system";
const RESTORE = "Stop the service, keep a copy of the files, and restore the newest backup";

const BUSY: Meaning = {
  disposition: "retry",
  reason: "unavailable",
  what: "another process holds its lock",
  advice: "Close whatever else has the file open, e.g. an sqlite3 shell",
};
const CANNOT_OPEN: Meaning = {
  disposition: "stalled",
  reason: "unavailable",
  what: "the file cannot be opened",
  advice: RIGHTS,
};

/** By SQLite's primary result code, https://www.sqlite.org/rescode.html. */
const MEANINGS: Record<number, Meaning> = {
  3: { disposition: "stalled", reason: "denied", what: "access is denied", advice: RIGHTS },
  5: BUSY,
  6: BUSY,
  8: {
    disposition: "stalled",
    reason: "unavailable",
    what: "the file or its directory is read-only",
    advice: RIGHTS,
  },
  10: {
    disposition: "retry",
    reason: "unavailable",
    what: "reading or writing the file failed",
    advice: "Look at the kernel's log and at the free space of that file system",
  },
  11: { disposition: "stalled", reason: "unavailable", what: "the file is damaged", advice: RESTORE },
  13: {
    disposition: "retry",
    reason: "unavailable",
    what: "the disk is full",
    advice: "Free space on that file system; nothing acknowledged is lost, and work goes on by itself",
  },
  14: CANNOT_OPEN,
  19: {
    disposition: "retry",
    reason: "conflict",
    what: "the write contradicts what is stored",
    advice: "Report this as a defect if it stays",
  },
  26: { disposition: "stalled", reason: "unavailable", what: "the file is no database", advice: RESTORE },
};

/** A Fault for what libSQL threw. SQLite's own text, which it ends with, names tables and columns, never values. */
export function toDbFault(thrown: unknown, path: string): Fault {
  if (thrown instanceof Fault) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const meaning = thrown instanceof Database.SqliteError
    ? MEANINGS[(thrown.rawCode ?? 1) & 0xff]
    : text.startsWith("ConnectionFailed")
    ? CANNOT_OPEN
    : undefined;
  if (meaning === undefined) {
    return new Fault("retry", "internal", `Cannot use database ${path}: ${text}`, {
      target: path,
      cause: thrown,
    });
  }
  const { disposition, reason, what, advice } = meaning;
  const message = `Cannot use database ${path}: ${what} (${text})`;
  return new Fault(disposition, reason, message, { advice, target: path, cause: thrown });
}
