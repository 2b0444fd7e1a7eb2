/** `wps uploads` as an operator uses it: a stalled permit, what is in its way, and the way on. */
import assert from "node:assert/strict";
import { z } from "zod";
import { TestSite } from "./site.ts";

const cluster = z.looseObject({
  backings: z.record(
    z.string(),
    z.looseObject({ key: z.string(), files: z.record(z.string(), z.unknown()) }),
  ),
});

/** What a holder's SFTP client leaves; the service is down meanwhile. */
async function upload(site: TestSite, files: Record<string, unknown>): Promise<void> {
  await site.stop();
  const path = `${site.directory}/state/lab.json`;
  const state = cluster.parse(JSON.parse(await Deno.readTextFile(path)));
  const uploads = Object.values(state.backings).find(({ key }) => key === "uploads/hospital-a");
  Object.assign(uploads?.files ?? assert.fail("no uploads"), files);
  await Deno.writeTextFile(path, JSON.stringify(state));
  await site.start();
}

function event(id: string, type: string, data: Record<string, unknown> = {}): Record<string, unknown> {
  return { id, type, permitId: "permit-001", data };
}

Deno.test("uploads: shown, accepted by name, and then copied without them", async (t) => {
  await using site = await TestSite.make();
  await site.start();
  const send = async (given: Record<string, unknown>): Promise<number> => {
    const file = await site.event(String(given.id), given);
    return (await site.wps(["events", "send", file, "--follow"])).code;
  };
  const people = {
    dataHolders: [{ id: "hospital-a", username: "hospital-a", allowedCidrs: [], sshPublicKeys: [] }],
    preprocessor: { username: "m.keller" },
  };
  assert.equal(await send(event("a", "permit.status.updated", { status: "AWAITING_INGRESS", ...people })), 0);
  assert.equal(await send(event("b", "permit.ingress.initiated")), 0);
  assert.match((await site.wps(["uploads", "show", "permit-001"])).stdout, /^No upload of permit-001 waits/);
  const owned = { uid: 1, gid: 1, mode: 0o644 };
  await upload(site, {
    "table.csv": { text: "rows", ...owned },
    "sly\u001b[2J": { text: "", ...owned, link: "/etc/passwd" },
  });
  assert.equal(await send(event("c", "permit.status.updated", { status: "DATA_PREPARATION_PENDING" })), 1);
  let command: string[] = [];

  await t.step("status names the reason and the commands", async () => {
    const { stdout } = await site.wps(["status", "permit-001"]);
    assert.match(stdout, /Cannot consolidate uploads\/hospital-a: 1 entry is neither file nor folder/);
    assert.match(stdout, /wps uploads show permit-001/);
    assert.equal(stdout.match(/Cannot consolidate/g)?.length, 1, "said once, although the job says it, too");
  });
  await t.step("show: entries without control characters, and the command that accepts them", async () => {
    const { stdout, code } = await site.wps(["uploads", "show", "permit-001"]);
    assert.equal(code, 0);
    assert.ok(!stdout.includes("\u001b[2J"), "nothing of a name moves the cursor");
    assert.match(stdout, /^ {2}link \.\/sly\S+ -> \/etc\/passwd$/m);
    const line = /wps (uploads accept permit-001 hospital-a --list [0-9a-f]{64})$/m.exec(stdout)?.[1];
    command = line?.split(" ") ?? assert.fail(stdout);
    const json = JSON.parse((await site.wps(["uploads", "show", "permit-001", "--json"])).stdout);
    assert.deepEqual([json[0].holder, json[0].count, json[0].acceptedAt], ["hospital-a", 1, null]);
  });
  await t.step("completion: the permit's id", async () => {
    const { stdout } = await site.wps(["completion", "bash", "uploads", "accept", "perm"]);
    assert.match(stdout, /^permit-001/m);
  });
  await t.step("accept: another list, another holder, an unknown permit", async () => {
    const wrong = [...command.slice(0, -1), "0".repeat(64)];
    assert.equal((await site.wps(wrong)).code, 1);
    assert.equal(
      (await site.wps(command.map((word) => word === "hospital-a" ? "hospital-b" : word))).code,
      3,
    );
    assert.equal((await site.wps(command.map((word) => word === "permit-001" ? "permit-9" : word))).code, 3);
    assert.equal((await site.wps(command.slice(0, -2))).code, 2);
  });
  await t.step("accept --follow: the job goes on to its end, and status has nothing to say", async () => {
    const { code, stdout } = await site.wps([...command, "--follow"]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /consolidate uploads\/hospital-a/);
    const status = (await site.wps(["status", "permit-001"])).stdout;
    assert.doesNotMatch(status, /Cannot consolidate/);
    assert.match(
      (await site.wps(["uploads", "show", "permit-001"])).stdout,
      /^No upload of permit-001 waits/,
    );
  });
  await t.step("also from the file, once the service is down; accept needs it", async () => {
    await site.stop();
    assert.equal((await site.wps(["uploads", "show", "permit-001"])).code, 0);
    assert.equal((await site.wps(command)).code, 4);
  });
});
