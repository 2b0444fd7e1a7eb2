import assert from "node:assert/strict";
import { demo } from "../../src/cli/demo.ts";
import type { Act } from "../../src/cli/demo/act.ts";
import { play } from "../../src/cli/demo/play.ts";
import { recordNarrator } from "../../src/cli/demo/record.ts";
import { ACTS } from "../../src/cli/demo/script.ts";
import type { StageOptions } from "../../src/cli/demo/stage.ts";
import { Context, type Surroundings } from "../../src/cli/context.ts";
import { processSurroundings } from "../../src/cli/surroundings.ts";
import type { ApplyContext, ApplyResult, Driver } from "../../src/core/driver.ts";
import type { Observed } from "../../src/core/observed.ts";
import type { Action } from "../../src/core/step.ts";
import { specHash } from "../../src/core/workspace.ts";
import { SILENT_LOG } from "../../src/log.ts";
import { CapturedTerminal, ESC, type TerminalShape } from "../cli/capture.ts";

/** Runs `test` with a folder of its own, in which nothing may be left. */
async function leavingNothing(test: (below: string) => Promise<void>): Promise<void> {
  const below = await Deno.makeTempDir();
  try {
    await test(below);
    assert.deepEqual([...Deno.readDirSync(below)], [], "the demo's folders are gone");
  } finally {
    await Deno.remove(below, { recursive: true });
  }
}

function contextOf(terminal: CapturedTerminal, onInterrupt?: Surroundings["onInterrupt"]): Context {
  const machine = processSurroundings({}, terminal);
  return new Context({ ...machine, onInterrupt: onInterrupt ?? ((): () => void => () => {}) });
}

async function playTo(
  title: string,
  stage: StageOptions,
): Promise<{ code: number; failed: string[] }> {
  const last = ACTS.findIndex((act) => act.title === title);
  const acts: readonly Act[] = ACTS.slice(0, last + 1);
  const terminal = new CapturedTerminal();
  const narrator = recordNarrator(terminal);
  const signal = new AbortController().signal;
  const code = await play({ acts, narrator, log: SILENT_LOG, signal, ...stage });
  const failed = terminal.stdout.trim().split("\n").map((line) => JSON.parse(line))
    .flatMap(({ record, checks }) => record === "checks" ? checks : [])
    .filter(({ ok }: { ok: boolean }) => !ok).map(({ what }: { what: string }) => what);
  return { code, failed };
}

/** A driver between service and cluster; each test lets it do one thing wrong. */
class FaultyDriver implements Driver {
  constructor(protected readonly inner: Driver) {}

  get name(): string {
    return this.inner.name;
  }

  observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    return this.inner.observe(permitId, signal);
  }

  apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    return this.inner.apply(action, context);
  }

  probe(...args: Parameters<Driver["probe"]>): ReturnType<Driver["probe"]> {
    return this.inner.probe(...args);
  }

  watch(...[changed, signal]: Parameters<Driver["watch"]>): Promise<void> {
    return this.inner.watch(changed, signal);
  }

  check(signal: AbortSignal): ReturnType<Driver["check"]> {
    return this.inner.check(signal);
  }

  list(signal: AbortSignal): Promise<string[]> {
    return this.inner.list(signal);
  }

  close(): Promise<void> {
    return this.inner.close();
  }
}

/** Mounts everything writable, and tells the service that it is as it was told. */
class WritableMounts extends FaultyDriver {
  readonly #told = new Map<string, string>();

  override apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    if (action.kind !== "start") return super.apply(action, context);
    const mounts = action.workspace.mounts.map((mount) => ({ ...mount, mode: "rw" as const }));
    const workspace = { ...action.workspace, mounts };
    this.#told.set(specHash(workspace), specHash(action.workspace));
    return super.apply({ ...action, workspace }, context);
  }

  override async observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    const observed = await super.observe(permitId, signal);
    const claimed = (hash: string): string => this.#told.get(hash) ?? hash;
    return {
      ...observed,
      workspaces: observed.workspaces.map((workspace) => ({
        ...workspace,
        specHash: workspace.specHash === null ? null : claimed(workspace.specHash),
        instances: workspace.instances.map((instance) => ({
          ...instance,
          specHash: claimed(instance.specHash),
        })),
      })),
    };
  }
}

/** Never retains a volume, and says that it did. */
class ForgetsToRetain extends FaultyDriver {
  override apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    if (action.kind === "retain-volume") return Promise.resolve({ detail: "retained" });
    return super.apply(action, context);
  }

  override async observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    const observed = await super.observe(permitId, signal);
    return { ...observed, volumes: observed.volumes.map((volume) => ({ ...volume, retained: true })) };
  }
}

/** Puts another password into the cluster than the service keeps. */
class WrongPassword extends FaultyDriver {
  override apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    if (action.kind !== "ensure-identity") return super.apply(action, context);
    const password = async (key: string, rotate: boolean): Promise<string> => {
      await context.password(key, rotate); // one that is not asked for is missed by the service itself
      return "another password than the service knows";
    };
    return super.apply(action, { ...context, password });
  }
}

Deno.test("wps demo: plays the whole life, verifies each act, leaves nothing", async (t) => {
  const played = async (json: boolean, shape: TerminalShape): Promise<CapturedTerminal> => {
    const terminal = new CapturedTerminal(shape);
    await leavingNothing(async (below) => {
      const code = await demo({ json }, contextOf(terminal), { below });
      assert.deepEqual([code, terminal.stderr], [0, ""], terminal.stdout);
    });
    return terminal;
  };
  await t.step("for people, through a pipe", async () => {
    const { stdout } = await played(false, {});
    assert.ok(!stdout.includes(ESC), "plain when piped");
    assert.doesNotMatch(stdout, /[✓█]/, "plain when piped");
    for (const { title } of ACTS) assert.ok(stdout.includes(`  ${title}\n`), title);
    assert.match(stdout, /^All \d+ checks of 15 events hold; .*\. Nothing is left behind\.$/m);
    assert.match(stdout, /^ {2}what exists\n {4}nothing$/m, "what remains");
    assert.match(stdout, /"password":"\S{4}\*{4}"/, "a password is there, and masked");
    assert.match(stdout, /: duplicate/, "a verdict that is not accepted");
  });
  await t.step("for programs", async () => {
    const { stdout } = await played(true, { isTerminal: true, hasColour: true });
    const records = stdout.trim().split("\n").map((line) => JSON.parse(line));
    const kinds = (record: string): number => records.filter((each) => each.record === record).length;
    assert.equal(records[0].record, "begin");
    assert.deepEqual(
      ["act", "plan", "exists", "answers", "checks"].map(kinds),
      [15, 15, 15, 15, 15],
    );
    const end = records.at(-1);
    assert.deepEqual([end.record, end.acts, end.failed, end.verified], ["end", 15, 0, true]);
    assert.ok(records.some(({ record, step }) => record === "step" && step.kind === "prove-isolation"));
    assert.doesNotMatch(stdout, /"password":"[^"]{9,}"/, "no password leaves whole");
    const checks = records.flatMap((record) => record.record === "checks" ? record.checks : []);
    assert.equal(checks.length, end.checks);
    const noisy = checks.filter((check: { ok: boolean; detail: unknown }) =>
      check.ok !== (check.detail === null)
    );
    assert.deepEqual(noisy, [], "a detail only says what was seen instead");
  });
});

Deno.test("play: a defect that the service cannot see fails the demo, by name", async (t) => {
  const cases: Array<[string, string, (driver: Driver) => Driver, RegExp]> = [
    [
      "mounts are writable",
      "DATA_PREPARATION_REVIEW_PENDING",
      (driver) => new WritableMounts(driver),
      /a\.rossi cannot write \/data\/prepared\/cohort\.csv/,
    ],
    [
      "volumes are not retained",
      "permit.ingress.initiated",
      (driver) => new ForgetsToRetain(driver),
      /these volumes exist, each retained/,
    ],
    [
      "the password is another one",
      "permit.ingress.initiated",
      (driver) => new WrongPassword(driver),
      /hospital-a can connect, with the password that the cluster has/,
    ],
  ];
  for (const [defect, until, change, expected] of cases) {
    await t.step(defect, () =>
      leavingNothing(async (below) => {
        const { code, failed } = await playTo(until, { change, below });
        assert.equal(code, 1);
        assert.ok(failed.some((what) => expected.test(what)), failed.join("\n"));
      }));
  }
});

Deno.test("wps demo: an interrupt takes everything down", () =>
  leavingNothing(async (below) => {
    const terminal = new CapturedTerminal();
    const { promise, resolve } = Promise.withResolvers<() => void>();
    const context = contextOf(terminal, (interrupt) => {
      resolve(interrupt);
      return () => {};
    });
    const playing = demo({ json: false }, context, { below });
    const interrupt = await promise;
    await terminal.until("3/15", playing);
    interrupt();
    await assert.rejects(playing, /^CliError: Stopped the demo: interrupted/);
  }));
