/** What libSQL throws, as a Fault that says what to do (DESIGN 6: dispositions are decided at the edge). */
import { LibsqlError } from "@libsql/client";
import { type Disposition, Fault, type Reason } from "../core/fault.ts";

interface Meaning {
  disposition: Disposition;
  reason: Reason;
  /** Follows "Cannot use database <path>: ". */
  what: string;
  advice: string;
}

const ROOM = "Free space on that file system; nothing acknowledged is lost and work goes on by itself";
const RIGHTS = "Give the service's user write access to the state directory and its file system";
const RESTORE = "Stop the service, keep a copy of the files, and restore the newest backup";

/** By SQLite's primary result code, https://www.sqlite.org/rescode.html. */
const MEANINGS: Record<string, Meaning> = {
  SQLITE_FULL: { disposition: "retry", reason: "unavailable", what: "the disk is full", advice: ROOM },
  SQLITE_IOERR: {
    disposition: "retry",
    reason: "unavailable",
    what: "reading or writing the file failed",
    advice: "Look at the kernel's log and the free space of that file system",
  },
  SQLITE_BUSY: {
    disposition: "retry",
    reason: "unavailable",
    what: "another process holds its lock",
    advice: "Close whatever else has the file open, e.g. an sqlite3 shell",
  },
  SQLITE_READONLY: {
    disposition: "stalled",
    reason: "unavailable",
    what: "the file or its directory is read-only",
    advice: RIGHTS,
  },
  SQLITE_CANTOPEN: {
    disposition: "stalled",
    reason: "unavailable",
    what: "the file cannot be opened",
    advice: RIGHTS,
  },
  SQLITE_PERM: { disposition: "stalled", reason: "denied", what: "access is denied", advice: RIGHTS },
  SQLITE_CORRUPT: {
    disposition: "stalled",
    reason: "internal",
    what: "the file is damaged",
    advice: RESTORE,
  },
  SQLITE_NOTADB: {
    disposition: "stalled",
    reason: "internal",
    what: "the file is no database",
    advice: RESTORE,
  },
  SQLITE_CONSTRAINT: {
    disposition: "retry",
    reason: "conflict",
    what: "the write contradicts what is stored",
    advice: "",
  },
  CLIENT_CLOSED: {
    disposition: "retry",
    reason: "unavailable",
    what: "it is closed, the service is stopping",
    advice: "",
  },
};
const LOCKED = "SQLITE_LOCKED";

/** A Fault for whatever a statement threw; what is no libSQL error comes back as it is. Arguments never show. */
export function toDbFault(thrown: unknown, path: string): unknown {
  if (!(thrown instanceof LibsqlError)) return thrown;
  const meaning = MEANINGS[thrown.code === LOCKED ? "SQLITE_BUSY" : thrown.code];
  if (meaning === undefined) {
    return new Fault("retry", "internal", `Cannot use database ${path}: ${thrown.message}`, {
      cause: thrown,
    });
  }
  const { disposition, reason, what, advice } = meaning;
  // SQLite's own text names tables and columns, never values.
  return new Fault(disposition, reason, `Cannot use database ${path}: ${what} (${thrown.message})`, {
    advice,
    target: path,
    cause: thrown,
  });
}

/** Whether a connection must be renewed: after SQLITE_BUSY its statement stays active and blocks e.g. VACUUM. */
export function leavesStatementActive(thrown: unknown): boolean {
  return thrown instanceof LibsqlError && (thrown.code === "SQLITE_BUSY" || thrown.code === LOCKED);
}
