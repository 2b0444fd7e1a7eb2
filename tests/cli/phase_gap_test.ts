/** A phase file that is gone or wrong: what keeps the service from starting, what is told meanwhile, and the way back. */
import assert from "node:assert/strict";
import { CapturedTerminal } from "./capture.ts";
import { setupEvent, TestSite } from "./site.ts";

const TEACHING = `status: TEACHING
title: A course before the data arrives
workspaces:
  - kind: research
    for: each researcher
    network: isolated
    mounts:
      - { volume: project, path: /project, mode: rw }
      - { volume: staff-home, path: "/home/{username}", mode: rw }
`;

/** A site with a phase of its own; its folder goes with the site. */
async function siteWithPhases(): Promise<{ site: TestSite; folder: string; file: string }> {
  const site = await TestSite.make();
  const folder = `${site.directory}/phases`;
  const file = `${folder}/teaching.yaml`;
  await Deno.mkdir(folder);
  await Deno.writeTextFile(file, TEACHING);
  await Deno.writeTextFile(site.config, `\nphases: { directory: ${folder} }`, { append: true });
  return { site, folder, file };
}

/** Runs the service as its user does; returns how to end it. */
async function serve(site: TestSite): Promise<() => Promise<number>> {
  const terminal = new CapturedTerminal();
  const { promise, resolve } = Promise.withResolvers<() => void>();
  const serving = site.wps(["serve"], { terminal, interrupts: resolve });
  const ended = serving.then(({ stdout, stderr }): never => assert.fail(stdout + stderr));
  const order = await Promise.race([promise, ended]);
  ended.catch(() => {});
  await terminal.until("service started", serving);
  return async () => {
    order();
    return (await serving).code;
  };
}

async function send(site: TestSite, event: Record<string, unknown>): Promise<void> {
  const { code, stdout, stderr } = await site.wps([
    "events",
    "send",
    await site.event(`${event["id"]}`, event),
    "--follow",
  ]);
  assert.equal(code, 0, stdout + stderr);
}

Deno.test("wps serve: does not start over a permit whose status no file describes any more; restored, it goes on and repairs", async () => {
  const { site, folder, file } = await siteWithPhases();
  await using _ = site;
  let stop = await serve(site);
  await send(site, setupEvent("a", 1, "TEACHING"));
  assert.equal(await stop(), 0);

  await Deno.writeTextFile(file, TEACHING.replace("TEACHING", "COURSE"));
  const refused = await site.wps(["serve"]);
  assert.equal(refused.code, 2, "a supervisor must not try again and again");
  assert.match(refused.stderr, /Cannot start: no phase file describes status TEACHING \(1 permit\)/);
  assert.ok(refused.stderr.includes(folder), refused.stderr);
  assert.match(refused.stderr, /-> Restore its phase file in .*, run wps phases check, and start again/);
  const status = await site.wps(["status", "permit-001"]);
  assert.match(
    status.stdout.replaceAll(/\s+/g, " "),
    /-> Restore the phase file, run wps phases check, restart the service, then wps drift permit-001 --repair/,
  );

  const config = await Deno.readTextFile(site.config);
  await Deno.writeTextFile(site.config, config.replace(/^phases: .*$/m, ""));
  const without = await site.wps(["serve"]);
  assert.equal(without.code, 2);
  assert.match(
    without.stderr,
    /phases\.directory names no folder.*\n {2}-> Name the folder that has it in phases/,
  );
  await Deno.writeTextFile(site.config, config);

  await Deno.writeTextFile(file, TEACHING);
  assert.equal((await site.wps(["phases", "check"])).code, 0);
  stop = await serve(site);
  const repair = await site.wps(["drift", "permit-001", "--repair", "--json"]);
  assert.equal(repair.code, 0, repair.stderr);
  const { id } = JSON.parse(repair.stdout);
  const followed = await site.wps(["jobs", "show", `${id}`, "--follow"]);
  assert.equal(followed.code, 0, followed.stdout + followed.stderr);
  assert.match((await site.wps(["status", "permit-001"])).stdout, /^permit-001 {2}RUNNING$/m);
  assert.equal(await stop(), 0);
});

Deno.test("wps serve: the status of a permit that is to be deleted needs no phase file", async () => {
  const { site, file } = await siteWithPhases();
  await using _ = site;
  let stop = await serve(site);
  await send(site, setupEvent("a", 1, "TEACHING"));
  await send(site, { id: "b", type: "permit.halted", permitId: "permit-001", data: {} });
  await send(site, { id: "c", type: "permit.deleted", permitId: "permit-001", data: {} });
  assert.equal(await stop(), 0);
  await Deno.writeTextFile(file, TEACHING.replace("TEACHING", "COURSE"));
  stop = await serve(site);
  await send(site, { id: "d", type: "permit.resumed", permitId: "permit-001", data: {} });
  assert.match((await site.wps(["status", "permit-001"])).stdout, /^permit-001 {2}DESTROYED$/m);
  assert.equal(await stop(), 0);
});

Deno.test("wps status: with a wrong phase file the stopped service's database still answers, and says what is wrong where", async () => {
  const { site, file } = await siteWithPhases();
  await using _ = site;
  const stop = await serve(site);
  await send(site, setupEvent("a", 1, "TEACHING"));
  assert.equal(await stop(), 0);
  const cases: [why: string, text: string, said: RegExp][] = [
    [
      "a value",
      TEACHING.replace("isolated", "isolatde"),
      /teaching\.yaml:6:14: workspaces\[0\]\.network: /,
    ],
    ["two values", TEACHING.replace("isolated", "isolatde").replace("rw", "wr"), / \(and 1 more\)/],
    ["no YAML", "status: [", /teaching\.yaml:\d+:\d+: /],
  ];
  for (const [why, text, said] of cases) {
    await Deno.writeTextFile(file, text);
    const { code, stdout, stderr } = await site.wps(["status", "permit-001"]);
    assert.equal(code, 0, `${why}: ${stderr}`);
    assert.match(stdout, /^permit-001 {2}RUNNING$/m, `${why}: as it was seen last`);
    assert.match(stdout, /^ {2}research\/j\.virtanen +RUNNING/m, why);
    const flowing = stdout.replaceAll(/\s+/g, " ");
    assert.match(flowing, /Cannot read the phases: /, why);
    assert.match(flowing, said, why);
    assert.match(flowing, /-> Correct it, then run wps phases check/, why);
    assert.match(stderr, /read from the database\nwps: the phases cannot be read/, why);
    const permits = await site.wps(["permits"]);
    assert.match(permits.stdout, /^permit-001 +RUNNING +TEACHING/m, why);
    assert.match(permits.stderr, said, `${why}: where no permit shows its troubles`);
  }
  const { troubles } = JSON.parse((await site.wps(["status", "permit-001", "--json"])).stdout);
  assert.deepEqual(troubles.slice(0, 2).map(({ target }: { target: string }) => target), [
    "service",
    "phases",
  ]);
  assert.equal(troubles[1].reason, "invalid");
  const refused = await site.wps(["serve"]);
  assert.equal(refused.code, 2, "the service itself does not start over it");
});

Deno.test("wps status: where configuration and phases do not fit each other, the database still answers", async () => {
  const { site } = await siteWithPhases();
  await using _ = site;
  const stop = await serve(site);
  await send(site, setupEvent("a", 1, "TEACHING"));
  assert.equal(await stop(), 0);
  const config = await Deno.readTextFile(site.config);
  await Deno.writeTextFile(
    site.config,
    `${config}\ntiers: { standard: { cpu: 1, memory: 1Gi, hoem: 2Gi } }\n`,
  );
  const { code, stdout, stderr } = await site.wps(["status", "permit-001"]);
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^permit-001 {2}RUNNING$/m);
  assert.match(
    stderr,
    /configuration and phases do not fit each other: .*wps\.yaml: tiers\.standard\.hoem: /,
  );
});
