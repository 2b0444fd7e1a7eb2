/** The database of a simulated process: the real one on a real file, with a disk that can fail. */
import type { z } from "zod";
import { Fault } from "../../src/core/fault.ts";
import type { Argument } from "../../src/store/columns.ts";
import type { Db, Tx } from "../../src/store/db.ts";
import type { Faults } from "./faults.ts";
import { Dead, type Life, never } from "./life.ts";

/** The disk: while it is full nothing is written. */
export interface Disk {
  isFull: boolean;
}

/** What the process's database needs of the world. */
export interface DiskParts {
  db: Db;
  life: Life;
  faults: Faults;
  disk: Disk;
}

/** A database that lives and dies with its process. */
export class SimulatedDb implements Db {
  readonly #parts: DiskParts;

  constructor(parts: DiskParts) {
    this.#parts = parts;
  }

  get path(): string {
    return this.#parts.db.path;
  }

  /** See {@link Db}. */
  read<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    const { db, life } = this.#parts;
    return life.isDead ? never() : life.gate(db.read(sql, args, row));
  }

  /** See {@link Db}. */
  write<Result>(work: (tx: Tx) => Promise<Result>): Promise<Result> {
    return this.#transact(() =>
      this.#parts.db.write(async (tx) => {
        const result = await work(this.#wrap(tx));
        this.#beforeCommit();
        return result;
      })
    );
  }

  /** See {@link Db}. */
  change<Row>(sql: string, args: readonly Argument[], row: z.ZodType<Row>): Promise<Row[]> {
    return this.#transact(() =>
      this.#parts.db.write(async (tx) => {
        const rows = await this.#wrap(tx).read(sql, args, row);
        this.#beforeCommit();
        return rows;
      })
    );
  }

  /** See {@link Db}. */
  close(): Promise<void> {
    return this.#parts.db.close();
  }

  async #transact<Result>(run: () => Promise<Result>): Promise<Result> {
    const { life, faults } = this.#parts;
    if (life.isDead) return await never();
    const answer = run().then((result) => {
      if (life.isDead) return result;
      if (faults.strikes("crash-after-commit") || faults.dies("after a commit")) life.kill();
      if (faults.strikes("commit-unknown")) throw unavailable("the disk's answer was lost");
      return result;
    });
    return await life.gate(answer);
  }

  #beforeCommit(): void {
    const { faults, disk } = this.#parts;
    this.#stillAlive();
    if (faults.dies("before a commit")) this.#parts.life.kill();
    this.#stillAlive();
    if (disk.isFull) throw unavailable("database or disk is full");
    if (faults.strikes("commit-lost")) throw unavailable("disk I/O error");
  }

  /** A dead process's transaction is rolled back, as SQLite does when it opens the file again. */
  #stillAlive(): void {
    const { life, faults } = this.#parts;
    if (life.isAlive && faults.strikes("crash-in-transaction")) life.kill();
    if (life.isDead) throw new Dead();
  }

  #wrap(tx: Tx): Tx {
    return {
      read: async (sql, args, row) => {
        this.#stillAlive();
        return await tx.read(sql, args, row);
      },
      run: async (sql, args) => {
        this.#stillAlive();
        return await tx.run(sql, args);
      },
      script: (sql) => tx.script(sql),
    };
  }
}

function unavailable(why: string): Fault {
  return new Fault("retry", "unavailable", `Cannot write the database: ${why}`, {
    advice: "Make room on the disk of state.directory",
  });
}
