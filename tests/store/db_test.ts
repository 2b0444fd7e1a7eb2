import assert from "node:assert/strict";
import { z } from "zod";
import { Fault } from "../../src/core/fault.ts";
import { bytes } from "../../src/store/columns.ts";
import { type Db, openDb } from "../../src/store/db.ts";
import { withDirectory } from "./fixture.ts";

const countRow = z.object({ n: z.number() });

async function withDb(test: (db: Db, path: string) => Promise<void>): Promise<void> {
  await withDirectory(async (directory) => {
    const path = `${directory}/with space %41 ? #.db`;
    const db = await openDb({ path, busyTimeoutMs: 50 });
    try {
      await db.write((tx) =>
        tx.script("create table t (a integer primary key, b text unique, c any) strict")
      );
      await test(db, path);
    } finally {
      await db.close();
    }
  });
}

const count = async (db: Db): Promise<number | undefined> =>
  (await db.read("select count(*) as n from t", [], countRow))[0]?.n;

Deno.test("openDb: settings of DESIGN 7 hold on both connections", async () => {
  await withDb(async (db) => {
    const setting = (name: string): [string, z.ZodType<Record<string, unknown>>] => [
      `select * from pragma_${name}`,
      z.record(z.string(), z.unknown()),
    ];
    for (
      const [name, expected] of [["journal_mode", "wal"], ["synchronous", 2], ["foreign_keys", 1]] as const
    ) {
      const [sql, row] = setting(name);
      assert.deepEqual(await db.read(sql, [], row), [{ [name]: expected }], `reader ${name}`);
      const written = await db.write((tx) => tx.read(sql, [], row));
      assert.deepEqual(written, [{ [name]: expected }], `writer ${name}`);
    }
  });
});

Deno.test("openDb: the file and its log are for the owner only", async () => {
  await withDb(async (_db, path) => {
    for (const suffix of ["", "-wal", "-shm"]) {
      assert.equal(((await Deno.stat(path + suffix)).mode ?? 0) & 0o777, 0o600, suffix);
    }
  });
});

Deno.test("write: commits what work did and returns its result", async () => {
  await withDb(async (db) => {
    const id = await db.write(async (tx) => (await tx.run("insert into t (b) values (?)", ["x"])).lastId);
    assert.equal(id, 1);
    assert.equal(await count(db), 1);
  });
});

Deno.test("write: rolls back when work throws, and the error passes through as it is", async () => {
  await withDb(async (db) => {
    const mine = new Error("mine");
    await assert.rejects(
      db.write(async (tx) => {
        await tx.run("insert into t (b) values ('x')", []);
        throw mine;
      }),
      (thrown) => thrown === mine,
    );
    assert.equal(await count(db), 0);
    await db.write((tx) => tx.run("insert into t (b) values ('y')", []));
    assert.equal(await count(db), 1);
  });
});

Deno.test("write: a statement that failed and was caught undoes only itself", async () => {
  await withDb(async (db) => {
    await db.write(async (tx) => {
      await tx.run("insert into t (b) values ('x')", []);
      await assert.rejects(tx.run("insert into t (b) values ('x')", []), { reason: "conflict" });
      await tx.run("insert into t (b) values ('y')", []);
    });
    assert.equal(await count(db), 2);
  });
});

Deno.test("write: a commit that fails leaves nothing open", async () => {
  await withDb(async (db) => {
    await db.write((tx) =>
      tx.script("create table child (a integer references t (a) deferrable initially deferred)")
    );
    await assert.rejects(db.write((tx) => tx.run("insert into child values (7)", [])), {
      reason: "conflict",
    });
    assert.deepEqual(await db.read("select count(*) as n from child", [], countRow), [{ n: 0 }]);
    await db.write((tx) => tx.run("insert into t (b) values ('x')", []));
  });
});

Deno.test("read: works beside an open transaction and sees the last commit only", async () => {
  await withDb(async (db) => {
    await db.write(async (tx) => {
      await tx.run("insert into t (b) values ('x')", []);
      assert.equal(await count(db), 0);
      assert.deepEqual(await tx.read("select count(*) as n from t", [], countRow), [{ n: 1 }]);
    });
    assert.equal(await count(db), 1);
  });
});

Deno.test("read: cannot write", async () => {
  await withDb(async (db) => {
    await assert.rejects(
      db.read("insert into t (b) values ('x') returning a as n", [], countRow),
      { reason: "unavailable", message: /read-only/ },
    );
  });
});

Deno.test("write: concurrent writers take turns, so that read-modify-write loses nothing", async () => {
  await withDb(async (db) => {
    await db.write((tx) => tx.run("insert into t (a, c) values (1, 0)", []));
    await Promise.all(Array.from({ length: 50 }, () =>
      db.write(async (tx) => {
        const [row] = await tx.read("select c as n from t where a = 1", [], countRow);
        await tx.run("update t set c = ? where a = 1", [(row?.n ?? NaN) + 1]);
      })));
    assert.deepEqual(await db.read("select c as n from t", [], countRow), [{ n: 50 }]);
  });
});

Deno.test("write: nested in a write it is refused at once instead of waiting for itself", async () => {
  await withDb(async (db) => {
    await assert.rejects(
      db.write(() => db.write((tx) => tx.run("insert into t (b) values ('x')", []))),
      { name: "Fault", reason: "internal", message: /inside a write transaction/ },
    );
  });
});

Deno.test("write: what was started inside a transaction may write once it is over", async () => {
  await withDb(async (db) => {
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    let later: Promise<unknown> = Promise.resolve();
    await db.write((tx) => {
      later = gate.then(() => db.write((inner) => inner.run("insert into t (b) values ('later')", [])));
      return tx.run("insert into t (b) values ('now')", []);
    });
    openGate();
    await later;
    assert.equal(await count(db), 2);
  });
});

Deno.test("Tx: is useless after its transaction, not part of the next one", async () => {
  await withDb(async (db) => {
    const kept = await db.write((tx) => Promise.resolve(tx));
    await assert.rejects(kept.run("insert into t (b) values ('x')", []), { message: /has ended/ });
    assert.equal(await count(db), 0);
  });
});

Deno.test("change: one statement, committed by itself", async () => {
  await withDb(async (db) => {
    assert.deepEqual(await db.change("insert into t (b) values ('x') returning a as n", [], countRow), [{
      n: 1,
    }]);
    assert.equal(await count(db), 1);
  });
});

Deno.test("read: whole numbers arrive as INTEGER, blobs as own bytes, texts unchanged", async () => {
  await withDb(async (db) => {
    const part = new Uint8Array([9, 0, 255, 7]).subarray(1);
    const [row] = await db.read(
      "select typeof(?1) as whole, typeof(?2) as part, ?3 as blob, ?4 as text, ?5 as absent, ?6 as big",
      [5, 1.5, part, "é𝄞'\n", null, Number.MAX_SAFE_INTEGER],
      z.object({
        whole: z.string(),
        part: z.string(),
        blob: bytes,
        text: z.string(),
        absent: z.null(),
        big: z.number(),
      }),
    );
    assert.deepEqual({ ...row, blob: [...row?.blob ?? []] }, {
      whole: "integer",
      part: "real",
      blob: [0, 255, 7],
      text: "é𝄞'\n",
      absent: null,
      big: Number.MAX_SAFE_INTEGER,
    });
  });
});

Deno.test("Db: NUL, at which libSQL would cut a text, is kept as U+FFFD", async () => {
  await withDb(async (db) => {
    const text = z.object({ b: z.string() });
    assert.deepEqual(await db.read("select ? as b", ["a\0b\0"], text), [{ b: "a\u{fffd}b\u{fffd}" }]);
  });
});

Deno.test("read: a row that is not as expected is a Fault naming the column", async () => {
  await withDb(async (db) => {
    await assert.rejects(db.read("select 'x' as n", [], countRow), {
      name: "Fault",
      reason: "internal",
      message: /column n is not as expected/,
    });
  });
});

Deno.test("Db: another process's lock is a retry that names it, and the next write works", async () => {
  await withDb(async (db, path) => {
    const rival = await openDb({ path, busyTimeoutMs: 0 });
    await rival.write(async () => {
      await assert.rejects(db.write((tx) => tx.run("insert into t (b) values ('x')", [])), {
        disposition: "retry",
        reason: "unavailable",
        message: /another process holds its lock/,
      });
      await assert.rejects(db.change("insert into t (b) values ('x') returning a as n", [], countRow), {
        disposition: "retry",
      });
    });
    await rival.close();
    await db.write((tx) => tx.run("insert into t (b) values ('x')", []));
    assert.equal(await count(db), 1);
  });
});

Deno.test("Db: a full disk is a retry that says so; what is committed stays, and writing goes on", async () => {
  await withDb(async (db) => {
    await db.write((tx) => tx.run("insert into t (b) values ('kept')", []));
    const big = "x".repeat(100_000);
    await db.write((tx) => tx.script("pragma max_page_count = 20"));
    await assert.rejects(db.write((tx) => tx.run("insert into t (b) values (?)", [big])), (thrown) => {
      assert.ok(thrown instanceof Fault);
      assert.equal(thrown.disposition, "retry");
      assert.match(thrown.message, /the disk is full/);
      assert.match(thrown.advice ?? "", /Free space/);
      return true;
    });
    await db.write((tx) => tx.script("pragma max_page_count = 100000"));
    await db.write((tx) => tx.run("insert into t (b) values (?)", [big]));
    assert.equal(await count(db), 2);
  });
});

Deno.test("Db: errors never show the values written", async () => {
  await withDb(async (db) => {
    const secret = "hunter2-hunter2";
    await db.write((tx) => tx.run("insert into t (b) values (?)", [secret]));
    await assert.rejects(db.write((tx) => tx.run("insert into t (b) values (?)", [secret])), (thrown) => {
      assert.ok(thrown instanceof Fault);
      assert.ok(!JSON.stringify([thrown.message, thrown.advice, String(thrown.cause)]).includes(secret));
      return true;
    });
  });
});

const UNOPENABLE: [what: string, make: (directory: string) => Promise<string>, expected: RegExp][] = [
  [
    "a directory that is absent",
    (directory) => Promise.resolve(`${directory}/absent/x.db`),
    /Cannot open database/,
  ],
  ["a directory in the file's place", (directory) => Promise.resolve(directory), /Cannot open database/],
  ["a file that is no database", async (directory) => {
    await Deno.writeTextFile(`${directory}/junk.db`, "no database ".repeat(500));
    return `${directory}/junk.db`;
  }, /the file is no database/],
];
for (const [what, make, expected] of UNOPENABLE) {
  Deno.test(`openDb: ${what} is refused with a stalled Fault`, async () => {
    await withDirectory(async (directory) => {
      const path = await make(directory);
      await assert.rejects(openDb({ path }), { name: "Fault", disposition: "stalled", message: expected });
    });
  });
}

Deno.test("Db: a damaged file is named as such, and never retried by itself", async () => {
  await withDirectory(async (directory) => {
    const path = `${directory}/wps.db`;
    const db = await openDb({ path });
    await db.write(async (tx) => {
      await tx.script("create table t (a integer primary key, b text)");
      for (let index = 0; index < 100; index++) {
        await tx.run("insert into t (b) values (?)", ["x".repeat(500)]);
      }
    });
    await db.close();
    using file = await Deno.open(path, { write: true });
    await file.seek(2 * 4096, Deno.SeekMode.Start);
    await file.write(new Uint8Array(4096).fill(0xa5));
    const damaged = await openDb({ path });
    await assert.rejects(damaged.read("select count(b) as n from t", [], countRow), {
      disposition: "stalled",
      reason: "unavailable",
      message: /the file is damaged/,
      advice: /restore the newest backup/,
    });
    await damaged.close();
  });
});

Deno.test("openDb: readOnly refuses writes and makes no file", async () => {
  await withDb(async (db, path) => {
    await db.write((tx) => tx.run("insert into t (b) values ('x')", []));
    const looking = await openDb({ path, readOnly: true });
    assert.equal(await count(looking), 1);
    await assert.rejects(looking.write((tx) => tx.run("insert into t (b) values ('y')", [])), {
      reason: "unavailable",
    });
    await looking.close();
  });
});

Deno.test("close: lets the write in progress finish, refuses the others, and may be repeated", async () => {
  await withDb(async (db, path) => {
    const { promise: gate, resolve: openGate } = Promise.withResolvers<void>();
    const first = db.write(async (tx) => {
      await tx.run("insert into t (b) values ('x')", []);
      await gate;
    });
    const second = db.write((tx) => tx.run("insert into t (b) values ('y')", []));
    const refused = assert.rejects(second, { reason: "unavailable", message: /stopping/ });
    const closed = Promise.all([db.close(), db.close()]);
    openGate();
    await Promise.all([first, refused, closed]);
    await assert.rejects(db.read("select 1 as n", [], countRow), {
      reason: "unavailable",
      message: /closed/,
    });
    assert.equal((await Deno.stat(`${path}-wal`)).size, 0);
    const again = await openDb({ path });
    assert.equal(await count(again), 1);
    await again.close();
  });
});
