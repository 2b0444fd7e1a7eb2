/** The Kubernetes driver (DESIGN 8): observes by quorum reads, applies by conditional server-side applies. */
import type { Clock, Random } from "../../core/clock.ts";
import type {
  ApplyContext,
  ApplyResult,
  CheckLine,
  Driver,
  Probe,
  ProbeContext,
  Whose,
} from "../../core/driver.ts";
import { isGated } from "../../core/isolation.ts";
import type { Observed } from "../../core/observed.ts";
import type { Action } from "../../core/step.ts";
import { cutNetwork, openNetwork } from "./actions/network.ts";
import { probeInstance, type ProbeParts, type ProbeTarget } from "./actions/probe.ts";
import { proveIsolation } from "./actions/prove.ts";
import { destroyScope, ensureScope } from "./actions/scope.ts";
import { consolidate, removeTask } from "./actions/task.ts";
import { destroyVolume, ensureVolume, rebindVolume, retainVolume, taintVolume } from "./actions/volume.ts";
import {
  ensureIdentity,
  removeWorkspace,
  replaceInstance,
  startWorkspace,
  stopWorkspace,
} from "./actions/workspace.ts";
import { Canaries } from "./canaries.ts";
import { runChecks } from "./check/check.ts";
import { Client } from "./client.ts";
import { ClusterFacts } from "./cluster.ts";
import type { Gate } from "./manifests/gate.ts";
import { NOTE, note, OURS_SELECTOR } from "./marks.ts";
import { describeSnapshot } from "./observe/observe.ts";
import { readSnapshot } from "./observe/snapshot.ts";
import type { KubernetesSite } from "./settings.ts";
import { Transport } from "./transport.ts";
import { watchPermits } from "./watch.ts";
import type { Writing } from "./write.ts";

/** What the driver needs of the process around it. */
export interface KubernetesSurroundings {
  clock: Clock;
  random: Random;
  readText: (path: string) => Promise<string>;
  env: (name: string) => string | undefined;
}

/** One cluster, one site. Connects on first use. */
export class KubernetesDriver implements Driver {
  readonly name = "kubernetes";
  readonly #transport: Transport;
  readonly #client: Client;
  readonly #facts: ClusterFacts;
  /** Permits whose namespace stood when it was last heard of. Decides how is read, never what is believed. */
  readonly #standing = new Set<string>();
  readonly #canaries: Canaries;
  readonly #scripts = new Map<string, Promise<string>>();

  constructor(
    private readonly site: KubernetesSite,
    private readonly surroundings: KubernetesSurroundings,
  ) {
    this.#transport = new Transport({ settings: site.settings, surroundings });
    this.#client = new Client(this.#transport);
    this.#facts = new ClusterFacts(this.#client, site.settings);
    this.#canaries = new Canaries({
      client: this.#client,
      site,
      clock: surroundings.clock,
      random: surroundings.random,
      script: () => this.#script("gate.sh"),
      traits: () => this.#facts.traits(),
    });
  }

  /** Everything of one permit, in waves of parallel quorum reads. */
  async observe(permitId: string, signal: AbortSignal, priority?: number): Promise<Observed> {
    const wish = { permitId, atMs: this.surroundings.clock.now(), stood: this.#standing.has(permitId) };
    const [traits, snapshot] = await Promise.all([
      this.#facts.traits(),
      readSnapshot(this.#clientAt(priority), wish, signal),
    ]);
    if (snapshot.namespace === null) this.#standing.delete(permitId);
    else this.#standing.add(permitId);
    return describeSnapshot(snapshot, this.site, traits, this.#canaries.observed(permitId));
  }

  /** Does one action; returns when the API server has acknowledged its last write. */
  async apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    const { permitId } = context;
    const writing = this.#writing(context);
    switch (action.kind) {
      case "cut-network":
        return await cutNetwork(writing, action);
      case "stop":
        return await stopWorkspace(writing, action);
      case "remove-workspace":
        return await removeWorkspace(writing, action);
      case "ensure-scope":
        this.#standing.add(permitId);
        return await ensureScope(writing, action, this.site.settings, await this.#facts.traits());
      case "destroy-scope":
        return await destroyScope(writing, action, this.site.settings, await this.#facts.traits());
      case "ensure-volume":
        return await ensureVolume(writing, action, this.site);
      case "rebind-volume":
        return await rebindVolume(writing, action);
      case "taint-volume":
        return await taintVolume(writing, action);
      case "retain-volume":
        return await retainVolume(writing, action);
      case "destroy-volume":
        return await destroyVolume(writing, action);
      case "consolidate":
        return await consolidate(
          writing,
          action,
          this.site,
          await this.#script("consolidate.sh"),
          await this.#gate(),
        );
      case "remove-task":
        return await removeTask(writing, action);
      case "ensure-identity":
        return await ensureIdentity(writing, action, context, this.site);
      case "start":
        return await startWorkspace(
          writing,
          action,
          this.site,
          isGated(action.workspace) ? await this.#gate() : null,
        );
      case "replace-instance":
        return await replaceInstance(writing, action);
      case "ask-canaries":
        this.#canaries.ask(action.after, permitId);
        return { detail: "the control pod tries them" };
      case "prove-isolation": {
        const probe = await this.#probeParts();
        return await proveIsolation(writing, action, { ...probe, probe });
      }
      case "open-network":
        return await openNetwork(writing, action, this.site);
    }
  }

  /** A short-lived pod beside the instance tries every canary; see {@link probeInstance}. */
  async probe(target: ProbeTarget, context: ProbeContext): Promise<Probe> {
    return await probeInstance(this.#writing(context), target, await this.#probeParts());
  }

  /** One set of watches for all permits; see {@link watchPermits}. An answer of the canaries is a change, too. */
  async watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void> {
    this.#canaries.listen((permitId) => changed(permitId, "ours"), signal);
    await watchPermits(this.#client, this.surroundings, changed, signal);
  }

  /** The startup self-check. */
  async check(signal: AbortSignal): Promise<CheckLine[]> {
    return await runChecks(this.#client, this.site, signal);
  }

  /** Permits that have a namespace or a volume. */
  async list(signal: AbortSignal): Promise<string[]> {
    const query = { labels: OURS_SELECTOR };
    const found = await Promise.all([
      this.#client.listMetadata("namespaces", query, signal),
      this.#client.listMetadata("persistentvolumes", query, signal),
    ]);
    const ids = found.flatMap(({ items }) => items.flatMap((item) => note(item, NOTE.permitId) ?? []));
    return [...new Set(ids)].sort();
  }

  /** Closes connections; requests in flight fail. */
  async close(): Promise<void> {
    await this.#canaries.close();
    await this.#transport.close();
  }

  #writing({ permitId, signal, priority }: ProbeContext): Writing {
    return { client: this.#clientAt(priority), permitId, signal, clock: this.surroundings.clock };
  }

  #clientAt(priority: number | undefined): Client {
    return priority === undefined ? this.#client : this.#client.at(priority);
  }

  async #probeParts(): Promise<ProbeParts> {
    const { site, surroundings: { random } } = this;
    return { site, random, canaries: this.#canaries, script: await this.#script("gate.sh") };
  }

  /** The gate of whoever is near sensitive data, from the newest answer; null where none is alive. */
  async #gate(): Promise<Gate | null> {
    const answer = this.#canaries.fresh;
    if (answer === null) return null;
    const { lines, evidence: control } = answer;
    return { script: await this.#script("gate.sh"), lines, control };
  }

  /** A script beside this file, read once. */
  #script(name: "consolidate.sh" | "gate.sh"): Promise<string> {
    const found = this.#scripts.get(name) ?? this.surroundings.readText(`${import.meta.dirname}/${name}`);
    this.#scripts.set(name, found);
    return found;
  }
}
