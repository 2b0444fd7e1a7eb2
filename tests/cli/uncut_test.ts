/** A halt on a platform that fails: what an operator sees of it, and what becomes of it. */
import assert from "node:assert/strict";
import type { Driver } from "../../src/core/driver.ts";
import { Fault } from "../../src/core/fault.ts";
import { createLog } from "../../src/log.ts";
import { MACHINE_CLOCK } from "../../src/machine.ts";
import { until } from "../services/until.ts";
import { setupEvent, TestSite } from "./site.ts";

const FAST = "runner: { backoff: { first: 20ms, max: 80ms }, attempts: 3 }";
const STUBBORN = "research/l.nowak";

interface Weather {
  failing: boolean;
  /** The cut of {@link STUBBORN} fails whatever the weather. */
  stubborn: boolean;
  /** Kinds of what was acknowledged, with their targets, in order. */
  done: string[];
}

/** Half of all calls fail, one after the other before and after they were done; and one cut always. */
function spoil(driver: Driver): Weather {
  const weather: Weather = { failing: false, stubborn: false, done: [] };
  let seed = 4;
  const chance = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647; // Lehmer's generator
  const away = (what: string): Fault =>
    new Fault("retry", "unavailable", `Cannot ${what}: the platform is away`);
  const [observe, apply] = [driver.observe.bind(driver), driver.apply.bind(driver)];
  driver.observe = async (permitId, signal, priority) => {
    if (weather.failing && chance() < 0.5) throw away(`observe ${permitId}`);
    return await observe(permitId, signal, priority);
  };
  driver.apply = async (action, context) => {
    const target = "workspace" in action && "key" in action.workspace ? action.workspace.key : "";
    if (weather.stubborn && action.kind === "cut-network" && target === STUBBORN) {
      throw away(`cut the network of ${target}`);
    }
    const luck = weather.failing ? chance() : 1;
    if (luck < 0.25) throw away(`${action.kind} ${target}`);
    const result = await apply(action, context);
    if (luck < 0.5) throw away(`${action.kind} ${target}`);
    weather.done.push(`${action.kind} ${target}`);
    return result;
  };
  return weather;
}

interface StatusJson {
  status: string;
  job: { attempt: number; state: string };
  workspaces: { key: string; status: string; network: string | null }[];
}

Deno.test("halt while half of all calls fail: all that can be cut is, what cannot is named and tried without end", async (t) => {
  await using site = await TestSite.make("", FAST);
  const lines: string[] = [];
  const log = createLog({
    level: "error",
    format: "json",
    clock: MACHINE_CLOCK,
    write: (line) => void lines.push(line),
  });
  await site.start(log);
  const { app } = site;
  assert.ok(app !== null);
  const weather = spoil(app.driver);
  const file = await site.event("a", setupEvent("a", 1, "WORKSPACE_SETUP_PENDING"));
  assert.equal((await site.wps(["events", "send", file, "--follow"])).code, 0);
  const status = async (): Promise<StatusJson> =>
    JSON.parse((await site.wps(["status", "permit-001", "--json"])).stdout);
  const health = async (): Promise<{ status: string; runner: { detail: string } }> =>
    JSON.parse(await (await app.fetch(new Request("http://wps/api/v1/health"))).text());

  weather.failing = weather.stubborn = true;
  const halting = site.wps(["halt", "permit-001", "--reason", "suspected leak", "--follow"]);
  await t.step("access is gone: who can be cut is cut, and all are stopped", async () => {
    await until("only the stubborn network stands", async () => {
      const { workspaces } = await status();
      const open = workspaces.filter(({ network }) => network !== "shut").map(({ key }) => key);
      return open.join() === STUBBORN && workspaces.every((each) => each.status === "STOPPED");
    });
    const connection = await site.wps(["connection", "permit-001", "--username", "l.nowak"]);
    assert.notEqual(connection.code, 0, connection.stdout);
  });
  await t.step("it is tried beyond the attempts of other jobs", async () => {
    await until("many attempts", async () => (await status()).job.attempt > 6);
    assert.ok(["queued", "running"].includes((await status()).job.state));
  });
  await t.step("what could not be cut is named: status, health, log", async () => {
    const { stdout } = await site.wps(["status", "permit-001"]);
    assert.match(stdout, /The network of research\/l\.nowak was not yet seen to be cut/);
    assert.doesNotMatch(stdout, /network of research\/j\.virtanen was not yet/);
    const { status: word, runner } = await health();
    assert.equal(word, "degraded");
    assert.match(runner.detail, /NOT CUT although access must go: research\/l\.nowak of permit-001/);
    const last = JSON.parse(lines.findLast((line) => line.includes("could not be cut")) ?? "{}");
    assert.deepEqual(
      [last.level, last.permit, last.notCut],
      ["error", "permit-001", [STUBBORN]],
      lines.join(""),
    );
    assert.match(last.message ?? last.msg, /tried again/);
  });
  await t.step("once the platform lets it be cut, it is, and who followed reads so", async () => {
    weather.stubborn = false;
    const { code, stdout } = await halting;
    assert.equal(code, 0, stdout);
    assert.match(stdout, /Cannot cut the network of research\/l\.nowak: the platform is away/);
    assert.match(stdout, /^permit-001 is halted: 2 workspaces cut and stopped/m);
    assert.ok(weather.done.includes(`cut-network ${STUBBORN}`));
    assert.doesNotMatch((await health()).runner.detail, /NOT CUT/);
  });
});

const DATES: readonly { what: string; event: Record<string, unknown> }[] = [
  { what: "an expiry", event: { data: { expiresAt: "2020-01-01T00:00:00Z" } } },
  { what: "a deletion", event: { type: "permit.deleted", data: {} } },
];
for (const { what, event } of DATES) {
  Deno.test(`${what} whose cut fails is as loud as a halt`, async () => {
    await using site = await TestSite.make("", FAST);
    await site.start();
    assert.ok(site.app !== null);
    const weather = spoil(site.app.driver);
    const first = setupEvent("a", 1, "WORKSPACE_SETUP_PENDING");
    assert.equal((await site.wps(["events", "send", await site.event("a", first), "--follow"])).code, 0);
    weather.stubborn = true;
    const second = { ...setupEvent("b", 2, "WORKSPACE_SETUP_PENDING"), ...event };
    assert.equal((await site.wps(["events", "send", await site.event("b", second)])).code, 0);
    await until("it is told", async () => {
      const { stdout } = await site.wps(["status", "permit-001"]);
      return /The network of research\/l\.nowak was not yet seen to be cut/.test(stdout) &&
        !/its network is cut/.test(stdout);
    });
    weather.stubborn = false;
    await until("it is over", async () => {
      const { stdout } = await site.wps(["status", "permit-001"]);
      return !/not yet seen to be cut/.test(stdout) && /^permit-001 +(STOPPED|DESTROYED)$/m.test(stdout);
    });
  });
}
