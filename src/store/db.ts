/**
 * The database: one connection that writes, one that only reads (DESIGN 7). libSQL is synchronous: a write
 * beside an open write transaction of the same process would freeze the event loop for the whole busy timeout, so
 * writes take turns in a fair queue. Reads have a connection of their own: they see the last commit, also while
 * a transaction is open, wait for nobody, and cannot write (`query_only`). Correctness never rests on the queue:
 * unique indexes and single statements guard against other processes.
 */
import { type Client, createClient, type ResultSet, type Transaction } from "@libsql/client";
import { AsyncLocalStorage } from "node:async_hooks";
import type { z } from "zod";
import { Fault } from "../core/fault.ts";
import type { Argument } from "./columns.ts";
import { leavesStatementActive, toDbFault } from "./db_fault.ts";
import { Turns } from "./turns.ts";

/** Whatever rows can be read from: a {@link Db} (last commit) or a {@link Tx} (with its own changes). */
export interface Reader {
  /** All rows of a query, each parsed by `row`. Errors leave as Fault `unavailable`, `conflict` or `internal`. */
  read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]>;
}

/** An open write transaction. Await nothing but its own methods inside: everybody else waits. */
export interface Tx extends Reader {
  /** One statement; a `returning` clause goes through `read` instead. */
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

/** Opens the file, made with mode 0600 when absent. Fault `unavailable` when that is impossible. No migration: see migrate.ts. */
export async function openDb(options: DbOptions): Promise<Db> {
  const { path, busyTimeoutMs = BUSY_TIMEOUT_MS, readOnly = false, durable = true } = options;
  if (!readOnly) await makeFile(path);
  const connect = async (queryOnly: boolean): Promise<Client> => {
    const client = createClient({ url: fileUrl(path), concurrency: 1, timeout: busyTimeoutMs });
    try {
      await client.execute(`pragma synchronous = ${durable ? "full" : "off"}`);
      await client.execute("pragma foreign_keys = on");
      if (queryOnly) await client.execute("pragma query_only = on");
      return client;
    } catch (thrown) {
      client.close();
      throw thrown;
    }
  };
  try {
    const writer = await connect(readOnly);
    if (!readOnly) await useWriteAheadLog(writer, path);
    return new LibsqlDb(path, writer, await connect(true), () => connect(readOnly));
  } catch (thrown) {
    throw toDbFault(thrown, path);
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

/** A path as libSQL wants it; "%", "?" and "#" in it are escaped. */
export function fileUrl(path: string): string {
  return `file:${path.split("/").map(encodeURIComponent).join("/")}`;
}

async function useWriteAheadLog(client: Client, path: string): Promise<void> {
  const mode = (await client.execute("pragma journal_mode = wal")).rows[0]?.["journal_mode"];
  if (mode === "wal") return;
  throw new Fault(
    "stalled",
    "unavailable",
    `Cannot use database ${path}: its file system has no write-ahead log (${mode})`,
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

class LibsqlDb implements Db {
  readonly path: string;
  #writer: Client;
  readonly #reader: Client;
  readonly #connectWriter: () => Promise<Client>;
  readonly #turns = new Turns();
  readonly #scope = new AsyncLocalStorage<Scope>();
  #closed: Promise<void> | null = null;

  constructor(path: string, writer: Client, reader: Client, connectWriter: () => Promise<Client>) {
    this.path = path;
    this.#writer = writer;
    this.#reader = reader;
    this.#connectWriter = connectWriter;
  }

  async read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    try {
      return parseRows(await this.#reader.execute({ sql, args: [...args] }), row, this.path);
    } catch (thrown) {
      throw toDbFault(thrown, this.path);
    }
  }

  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#inTurn(async () => {
      const transaction = await this.#writer.transaction("write");
      const scope: Scope = { open: true };
      try {
        const tx = new LibsqlTx(transaction, this.path);
        const result = await this.#scope.run(scope, () => work(tx));
        await transaction.commit();
        return result;
      } finally {
        scope.open = false;
        // Rolls back what was not committed.
        transaction.close();
      }
    });
  }

  change<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return this.#inTurn(async () =>
      parseRows(await this.#writer.execute({ sql, args: [...args] }), row, this.path)
    );
  }

  close(): Promise<void> {
    this.#closed ??= this.#turns.end().then(() => {
      this.#reader.close();
      this.#writer.close();
    });
    return this.#closed;
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
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
    } catch (thrown) {
      if (leavesStatementActive(thrown)) await this.#renewWriter();
      throw toDbFault(thrown, this.path);
    } finally {
      endTurn();
    }
  }

  async #renewWriter(): Promise<void> {
    this.#writer.close();
    this.#writer = await this.#connectWriter();
  }
}

class LibsqlTx implements Tx {
  readonly #transaction: Transaction;
  readonly #path: string;

  constructor(transaction: Transaction, path: string) {
    this.#transaction = transaction;
    this.#path = path;
  }

  async read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return parseRows(await this.#transaction.execute({ sql, args: [...args] }), row, this.#path);
  }

  async run(sql: string, args: readonly Argument[]): Promise<{ changes: number; lastId: number }> {
    const { rowsAffected, lastInsertRowid } = await this.#transaction.execute({ sql, args: [...args] });
    return { changes: rowsAffected, lastId: Number(lastInsertRowid ?? 0) };
  }

  async script(sql: string): Promise<void> {
    await this.#transaction.executeMultiple(sql);
  }
}

function parseRows<Row>(result: ResultSet, row: z.ZodType<Row>, path: string): Row[] {
  return result.rows.map((raw) => {
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
