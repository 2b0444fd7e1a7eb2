/** A real database of which a test alters the write transactions. */
import type { Db, Tx } from "../../src/store/db.ts";

/** `db` with another way to write; reads, single statements and the end are its own. */
export function alteredDb(db: Db, write: Db["write"]): Db {
  return {
    path: db.path,
    read: (sql, args, row) => db.read(sql, args, row),
    change: (sql, args, row) => db.change(sql, args, row),
    close: () => db.close(),
    write,
  };
}

/** `db` that refuses rows with a value that `refuses` says, as a defect would. */
export function refusingDb(db: Db, refuses: (value: unknown) => boolean): Db {
  const refusing = (tx: Tx): Tx => ({
    read: (sql, args, row) => tx.read(sql, args, row),
    script: (sql) => tx.script(sql),
    run: (sql, args) => args.some(refuses) ? Promise.reject(new RangeError("a defect")) : tx.run(sql, args),
  });
  return alteredDb(db, (work) => db.write((tx) => work(refusing(tx))));
}
