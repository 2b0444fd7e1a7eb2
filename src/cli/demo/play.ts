/** Plays one permit's whole life and judges each act by what is really so. */
import type { JobView } from "../../api/schemas/jobs.ts";
import { toInstant } from "../../core/clock.ts";
import { sha256Hex } from "../../core/sha256.ts";
import { type PermitSnapshot, snapshotOf } from "../../drivers/lab/snapshot.ts";
import type { Log } from "../../log.ts";
import { MACHINE_CLOCK } from "../../machine.ts";
import { CliError, EXIT, type ExitCode } from "../exit.ts";
import type { Act } from "./act.ts";
import { DemoApi } from "./api.ts";
import { masked, type Narrator } from "./narrator.ts";
import { PERMIT_ID } from "./people.ts";
import { openStage, type Stage, type StageOptions } from "./stage.ts";
import { type Check, checkBatches, checked, checkKept, checkProbes, checkTruth } from "./verify.ts";

/** An act takes half a second; one that takes this long will never end. */
const ACT_MAX_MS = 20_000;
/** After its job has ended the cluster comes to rest within this: policies are enforced with a delay. */
const REST_MAX_MS = 2_000;
const REST_POLL_MS = 10;

/** What the demo is played with. */
export interface PlayOptions extends StageOptions {
  acts: readonly Act[];
  narrator: Narrator;
  log: Log;
  /** Ends the play early. */
  signal: AbortSignal;
}

/** Exit code 0 only when every check of every act held. A CliError leaves when an act does not end; nothing stays. */
export async function play(options: PlayOptions): Promise<ExitCode> {
  const { acts, narrator, signal } = options;
  const startedMs = MACHINE_CLOCK.now();
  const stage = await openStage(options.log, options);
  const tally = { checks: 0, failed: 0 };
  try {
    narrator.begins(PERMIT_ID, acts.length);
    const passwords = new Set<string>();
    for (const [at, act] of acts.entries()) {
      narrator.act(at + 1, act);
      const late = AbortSignal.any([signal, AbortSignal.timeout(ACT_MAX_MS)]);
      const checks = await playAct(stage, act, at + 1, { narrator, passwords, signal: late });
      narrator.checks(checks);
      tally.checks += checks.length;
      tally.failed += checks.filter(({ ok }) => !ok).length;
    }
  } catch (thrown) {
    narrator.leaves();
    if (signal.aborted) throw interrupted();
    throw thrown instanceof DOMException && thrown.name === "TimeoutError" ? late(thrown) : thrown;
  } finally {
    await stage.close();
  }
  narrator.ends({ acts: acts.length, ...tally, tookMs: MACHINE_CLOCK.now() - startedMs });
  return tally.failed === 0 ? EXIT.done : EXIT.failed;
}

interface ActSurroundings {
  narrator: Narrator;
  /** SHA-256 of the connection passwords seen so far: each start makes a new one. */
  passwords: Set<string>;
  signal: AbortSignal;
}

async function playAct(
  stage: Stage,
  act: Act,
  revision: number,
  { narrator, passwords, signal }: ActSurroundings,
): Promise<Check[]> {
  const api = new DemoApi((request) => stage.app.fetch(request), PERMIT_ID, signal);
  const event = { id: `demo-${revision}`, ...eventOf(act, revision) };
  if (act.event.type === "permit.deleted") stage.allowDestruction();
  stage.gate.shut();
  const receipt = await api.send(event);
  narrator.verdict(event, receipt);
  narrator.plan(await api.plan());
  stage.gate.open();
  const job = receipt.jobId === null ? null : await followed(api, receipt.jobId, narrator);

  const seen = await atRest(stage, act, signal);
  narrator.exists(seen);
  const checks: Check[] = [
    checked(
      "the event was accepted",
      receipt.verdict === "accepted",
      receipt.reason ?? `its verdict is ${receipt.verdict}`,
    ),
    checked("its job succeeded", job?.state === "succeeded", instead(job)),
    ...checkTruth(act.truth, seen),
    ...checkProbes(act.probes, PERMIT_ID, stage.inside),
    ...checkBatches(act.batches, PERMIT_ID, stage.inside),
    ...checkKept(act.kept ?? [], PERMIT_ID, stage.inside),
    ...await checkAnswers(api, act, seen, { narrator, passwords }),
  ];
  if (act.repeats === true) {
    const again = await api.send(event);
    narrator.verdict(event, again);
    const isDuplicate = again.verdict === "duplicate";
    checks.push(
      checked("the same event again is a duplicate", isDuplicate, `its verdict is ${again.verdict}`),
    );
  }
  const violations = stage.judge.violations();
  const broken = violations.map(({ invariant, target, message }) => `${invariant}: ${target} ${message}`);
  checks.push(checked("no invariant was broken at any instant", broken.length === 0, broken.join("; ")));
  return checks;
}

/** What became of a job that did not succeed. */
function instead(job: JobView | null): string {
  return job === null ? "there was no job" : job.message ?? `it is ${job.state}`;
}

function eventOf({ event: { type, data } }: Act, revision: number): Record<string, unknown> {
  return { type, permitId: PERMIT_ID, time: toInstant(MACHINE_CLOCK.now()), revision, data };
}

async function followed(api: DemoApi, jobId: number, narrator: Narrator): Promise<JobView | null> {
  const told = new Set<number>();
  for await (const change of api.follow(jobId)) {
    if (change.event === "step") {
      if (change.data.outcome === "running" || told.has(change.data.id)) continue;
      told.add(change.data.id);
    }
    narrator.job(change);
    if (change.event === "end") return change.data;
  }
  return null;
}

/** The truth once it is as it must be, or as it is when the time for that is over. */
async function atRest(stage: Stage, act: Act, signal: AbortSignal): Promise<PermitSnapshot> {
  const deadlineMs = MACHINE_CLOCK.now() + REST_MAX_MS;
  while (true) {
    signal.throwIfAborted();
    const seen = snapshotOf(stage.cluster, PERMIT_ID);
    const isAsExpected = checkTruth(act.truth, seen).every(({ ok }) => ok);
    if (isAsExpected || MACHINE_CLOCK.now() > deadlineMs) return seen;
    await MACHINE_CLOCK.sleep(REST_POLL_MS, signal);
  }
}

/** The blueprint's two answers: the status word, and a connection whose password is the one in the cluster. */
async function checkAnswers(
  api: DemoApi,
  act: Act,
  seen: PermitSnapshot,
  { narrator, passwords }: Pick<ActSurroundings, "narrator" | "passwords">,
): Promise<Check[]> {
  const { status } = await api.status();
  const answer = await api.connection(act.connects);
  const { connection } = answer;
  const shown = connection === null
    ? answer.body
    : { connection: { ...connection, password: masked(connection.password) } };
  narrator.answers({
    status: { http: 200, body: { status } },
    connection: { http: answer.http, body: shown, of: act.connects },
  });
  const word = checked(`its status is ${act.status}`, status === act.status, `it is ${status}`);
  if (act.connects === null) {
    return [word, checked("nobody can connect", answer.http === 409, `HTTP ${answer.http}`)];
  }
  const running = act.truth.running.find(({ username }) => username === act.connects);
  const identity = seen.identities.find(({ key }) => key === running?.key);
  const hash = sha256Hex(connection?.password ?? "");
  const isNew = !passwords.has(hash);
  passwords.add(hash);
  const isRight = connection !== null && connection.username === act.connects &&
    identity?.passwordHash === hash && identity.protocol === connection.protocol;
  const otherwise = connection === null
    ? `HTTP ${answer.http}`
    : isRight
    ? "the password is an old one"
    : "it is another one";
  const what =
    `${act.connects} can connect, with the password that the cluster has, new since the last start`;
  return [word, checked(what, isRight && isNew, otherwise)];
}

function interrupted(): CliError {
  return new CliError(EXIT.failed, "Stopped the demo: interrupted; the service and its folders are gone");
}

function late(cause: unknown): CliError {
  return new CliError(EXIT.failed, `Cannot play on: an act took longer than ${ACT_MAX_MS / 1000} s`, {
    advice: ["Run it with WPS_DEBUG=1 to see the service's log"],
    cause,
  });
}
