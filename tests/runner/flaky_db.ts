/** A database whose commits fail when a test says so: what a full disk does. */
import type { z } from "zod";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/store/columns.ts";
import type { Db, Tx } from "../../src/store/db.ts";

/** Passes everything on, except commits that are to fail (rolled back as a whole), or whose answer is to be lost. */
export class FlakyDb implements Db {
  /** Commits so far, the failed ones included. */
  commits = 0;
  /** Whether this commit, counted from 1, fails. */
  fails: (commit: number) => boolean = () => false;
  /** Whether this commit is made, and told as failed. */
  loses: (commit: number) => boolean = () => false;
  readonly #db: Db;

  constructor(db: Db) {
    this.#db = db;
  }

  get path(): string {
    return this.#db.path;
  }

  read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return this.#db.read(sql, args, row);
  }

  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#answer(this.#db.write(async (tx) => {
      const result = await work(tx);
      this.#commit();
      return result;
    }));
  }

  change<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return this.#answer(this.#db.write(async (tx) => {
      const rows = await tx.read(sql, args, row);
      this.#commit();
      return rows;
    }));
  }

  close(): Promise<void> {
    return this.#db.close();
  }

  async #answer<Result>(committed: Promise<Result>): Promise<Result> {
    const result = await committed;
    if (!this.loses(this.commits)) return result;
    throw new Fault("retry", "unavailable", "Cannot use database: disk I/O error");
  }

  #commit(): void {
    if (!this.fails(++this.commits)) return;
    throw new Fault("retry", "unavailable", "Cannot use database: the disk is full");
  }
}
