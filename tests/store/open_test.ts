import assert from "node:assert/strict";
import { lockState } from "../../src/store/lock.ts";
import { openStoppedStore, openStore } from "../../src/store/open.ts";
import { getPermit } from "../../src/store/permits.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { addPermit, withDirectory } from "./fixture.ts";

Deno.test("openStore: makes the directory for the owner only, and closes so that it can be opened again", async () => {
  await withDirectory(async (parent) => {
    const directory = `${parent}/deep/state`;
    for (const from of [0, 1]) {
      // a process that another test forks has the lock until it is another program
      const store = await openStore({ directory, nowMs: 1, clock: MACHINE_CLOCK });
      assert.equal(store.migrated.from > 0, from > 0);
      await addPermit(store.db, `p${from}`);
      assert.equal((await getPermit(store.db, "p0"))?.permitId, "p0");
      // While it is open: the log's files go whenever the collector frees the last handle.
      for (const name of ["wps.db", "wps.db-wal", "wps.db-shm", "wps.lock"]) {
        assert.equal(((await Deno.stat(`${directory}/${name}`)).mode ?? 0) & 0o077, 0, name);
      }
      await Promise.all([store.close(), store.close()]);
    }
    assert.equal(((await Deno.stat(directory)).mode ?? 0) & 0o777, 0o700);
  });
});

Deno.test("openStore: a second service on the directory is refused by name, and the first is not disturbed", async () => {
  await withDirectory(async (directory) => {
    const store = await openStore({ directory, nowMs: 1 });
    for (
      const open of [
        (): Promise<unknown> => openStore({ directory, nowMs: 1 }),
        (): Promise<unknown> => openStoppedStore(directory),
      ]
    ) {
      await assert.rejects(open(), {
        name: "Fault",
        disposition: "stalled",
        reason: "conflict",
        message: `Cannot use state directory ${directory}: process ${Deno.pid} is using it`,
      });
    }
    await addPermit(store.db, "p");
    await store.close();
  });
});

Deno.test("openStore: what fails to open lets go of the lock", async () => {
  await withDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/wps.db`, "no database ".repeat(500));
    for (const _attempt of [1, 2]) {
      await assert.rejects(openStore({ directory, nowMs: 1 }), { message: /the file is no database/ });
    }
  });
});

Deno.test("openStoppedStore: reads, refuses to write, and names a missing database", async () => {
  await withDirectory(async (directory) => {
    await assert.rejects(openStoppedStore(directory), { reason: "not-found" });
    const store = await openStore({ directory, nowMs: 1 });
    await addPermit(store.db, "p");
    await store.close();
    const stopped = await openStoppedStore(directory);
    assert.equal((await getPermit(stopped.db, "p"))?.permitId, "p");
    await assert.rejects(addPermit(stopped.db, "q"), { reason: "unavailable" });
    await stopped.close();
  });
});

Deno.test("openStore: a directory that cannot be made is a stalled Fault with advice", async () => {
  await withDirectory(async (parent) => {
    await Deno.writeTextFile(`${parent}/file`, "");
    await assert.rejects(openStore({ directory: `${parent}/file/state`, nowMs: 1 }), {
      name: "Fault",
      disposition: "stalled",
      message: /Cannot use state directory/,
      advice: "Create it and give it to the service's user",
    });
  });
});

Deno.test("lockState: held until released, then free; a stale text in the file means nothing", async () => {
  await withDirectory(async (directory) => {
    await Deno.writeTextFile(`${directory}/wps.lock`, "123456789 a longer text of an earlier holder\n");
    const lock = await lockState(directory);
    assert.equal(await Deno.readTextFile(`${directory}/wps.lock`), `${Deno.pid}\n`);
    await assert.rejects(lockState(directory), { reason: "conflict" });
    lock.release();
    (await lockState(directory)).release();
  });
});

Deno.test("lockState: with a clock it waits a moment for a command that is only looking, not for ever", async () => {
  await withDirectory(async (directory) => {
    const holder = await lockState(directory);
    let slept = 0;
    const clock = {
      sleep: (ms: number): Promise<void> => {
        slept += ms;
        if (slept === 200) holder.release();
        return Promise.resolve();
      },
    };
    const lock = await lockState(directory, clock);
    assert.equal(slept, 200);
    await assert.rejects(lockState(directory, clock), { reason: "conflict" });
    assert.equal(slept, 1_200);
    lock.release();
  });
});
