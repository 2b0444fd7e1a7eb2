/**
 * The database: one connection that writes, one that only reads (DESIGN 7). libSQL is synchronous: a second write
 * transaction in this process would freeze the event loop for the whole busy timeout, so writers take turns in a
 * fair queue. Reads have a connection of their own, which cannot write: they see committed rows only, and one made
 * inside a transaction by mistake does not wait for itself. It is not for speed: both take the same 0.2 ms beside a
 * busy writer. Correctness never rests on the queue: unique indexes and single statements guard against other
 * processes.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import type { z } from "zod";
import { Fault } from "../core/fault.ts";
import type { Argument } from "./columns.ts";
import { Connection } from "./connection.ts";
import { Turns } from "./turns.ts";

/** Whatever rows can be read from: a {@link Db} (last commit) or a {@link Tx} (with its own changes). */
export interface Reader {
  /** All rows of a query, each parsed by `row`. Errors leave as Fault `unavailable`, `conflict` or `internal`. */
  read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]>;
}

/** An open write transaction. Await nothing but its own methods inside: everybody else waits. */
export interface Tx extends Reader {
  /** One statement; one with a `returning` clause goes through `read` instead. */
  run(sql: string, args: readonly Argument[]): Promise<{ changes: number; lastId: number }>;
  /** Several statements without arguments; for migrations. */
  script(sql: string): Promise<void>;
}

/** The database. */
export interface Db extends Reader {
  readonly path: string;
  /**
   * Runs `work` in one write transaction: committed and on disk (`synchronous=FULL`) when the promise resolves,
   * rolled back when `work` throws, which passes through as it is. Not to be nested: use the `tx` given.
   */
  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result>;
  /** One single writing statement with `returning`, atomic and durable by itself. */
  change<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]>;
  /** Lets the write in progress finish, refuses those that wait, and closes. Safe to repeat. */
  close(): Promise<void>;
}

/** Where the database is and how patient it is. */
export interface DbOptions {
  path: string;
  /** How long SQLite waits for another process's lock; the event loop stands still meanwhile. */
  busyTimeoutMs?: number;
  /** Refuses every write; for a command that looks into the file of a stopped service. */
  readOnly?: boolean;
  /** False loses the last commits on a power cut (never the file's integrity): for simulations only. */
  durable?: boolean;
}

/** Below RabbitMQ's shortest useful heartbeat; the lock on the state directory makes rivals rare anyway. */
const BUSY_TIMEOUT_MS = 2_000;

/** Opens the file, made with mode 0600 when absent. Fault `unavailable` when that is impossible. Migrations: migrate.ts. */
export async function openDb(options: DbOptions): Promise<Db> {
  const { path, busyTimeoutMs = BUSY_TIMEOUT_MS, readOnly = false, durable = true } = options;
  if (!readOnly) await makeFile(path);
  const writer = new Connection({ path, busyTimeoutMs, queryOnly: readOnly, durable });
  try {
    if (!readOnly) useWriteAheadLog(writer, path);
    return new LocalDb(path, writer, new Connection({ path, busyTimeoutMs, queryOnly: true, durable }));
  } catch (thrown) {
    writer.close();
    throw thrown;
  }
}

async function makeFile(path: string): Promise<void> {
  try {
    // SQLite gives -wal and -shm the mode of the database.
    (await Deno.open(path, { write: true, create: true, mode: 0o600 })).close();
  } catch (thrown) {
    const what = thrown instanceof Error ? thrown.message : String(thrown);
    throw new Fault("stalled", "unavailable", `Cannot open database ${path}: ${what}`, {
      advice: "Give the service's user write access to the state directory and its file system",
      target: path,
      cause: thrown,
    });
  }
}

function useWriteAheadLog(writer: Connection, path: string): void {
  const [answer] = writer.all("pragma journal_mode = wal", []);
  if (JSON.stringify(answer) === '{"journal_mode":"wal"}') return;
  throw new Fault(
    "stalled",
    "unavailable",
    `Cannot use database ${path}: its file system allows no write-ahead log`,
    {
      advice: "Put state.directory on a local file system",
      target: path,
    },
  );
}

/** Marks the asynchronous context of a transaction's work, to name a nested write instead of waiting for ever. */
interface Scope {
  open: boolean;
}

class LocalDb implements Db {
  readonly path: string;
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #turns = new Turns();
  readonly #scope = new AsyncLocalStorage<Scope>();
  #closed: Promise<void> | null = null;

  constructor(path: string, writer: Connection, reader: Connection) {
    this.path = path;
    this.#writer = writer;
    this.#reader = reader;
  }

  // deno-lint-ignore require-await -- the interface is asynchronous, a libSQL server may stand behind it one day
  async read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return parseRows(this.#reader.all(sql, args), row, this.path);
  }

  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#inTurn(async () => {
      this.#begin();
      const scope: Scope = { open: true };
      try {
        const result = await this.#scope.run(scope, () => work(new LocalTx(this.#writer, scope, this.path)));
        this.#writer.run("commit", []);
        return result;
      } finally {
        scope.open = false;
      }
    });
  }

  change<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return this.#inTurn(() => {
      this.#begin();
      const rows = parseRows(this.#writer.all(sql, args), row, this.path);
      this.#writer.run("commit", []);
      return rows;
    });
  }

  /**
   * Also for a single statement: only this one can meet a rival's lock, and a statement that SQLITE_BUSY stopped stays
   * active and lets no transaction commit until it is run again.
   */
  #begin(): void {
    this.#writer.run("begin immediate", []);
  }

  close(): Promise<void> {
    this.#closed ??= this.#turns.end().then(() => {
      this.#reader.close();
      this.#writer.foldLog();
      this.#writer.close();
    });
    return this.#closed;
  }

  async #inTurn<Result>(work: () => Result | Promise<Result>): Promise<Result> {
    if (this.#scope.getStore()?.open === true) {
      throw new Fault(
        "stalled",
        "internal",
        "Cannot write: a write inside a write transaction would wait for itself",
      );
    }
    const endTurn = await this.#turns.next();
    try {
      return await work();
    } finally {
      // Nothing is open after a commit.
      this.#writer.rollBack();
      endTurn();
    }
  }
}

class LocalTx implements Tx {
  readonly #connection: Connection;
  readonly #scope: Scope;
  readonly #path: string;

  constructor(connection: Connection, scope: Scope, path: string) {
    this.#connection = connection;
    this.#scope = scope;
    this.#path = path;
  }

  // deno-lint-ignore require-await -- see LocalDb.read
  async read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return parseRows(this.#open().all(sql, args), row, this.#path);
  }

  // deno-lint-ignore require-await -- see LocalDb.read
  async run(sql: string, args: readonly Argument[]): Promise<{ changes: number; lastId: number }> {
    return this.#open().run(sql, args);
  }

  // deno-lint-ignore require-await -- see LocalDb.read
  async script(sql: string): Promise<void> {
    this.#open().script(sql);
  }

  /** A statement after the end would become part of somebody else's transaction. */
  #open(): Connection {
    if (this.#scope.open) return this.#connection;
    throw new Fault("stalled", "internal", "Cannot write: this transaction has ended");
  }
}

function parseRows<Row>(rows: unknown[], row: z.ZodType<Row>, path: string): Row[] {
  return rows.map((raw) => {
    const parsed = row.safeParse(raw);
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw new Fault(
      "stalled",
      "internal",
      `Cannot read database ${path}: column ${issue?.path.join(".") ?? "?"} is not as expected (${
        issue?.message ?? "?"
      })`,
      { advice: "Restore a backup, or report this as a defect if nobody edited the file", target: path },
    );
  });
}
