/** The Driver on the simulated cluster: what the service, the demo and the simulations run on. */
import type { Clock } from "../../core/clock.ts";
import type {
  ApplyContext,
  ApplyResult,
  CheckLine,
  Driver,
  Probe,
  ProbeContext,
  Whose,
} from "../../core/driver.ts";
import type { Observed } from "../../core/observed.ts";
import type { Action } from "../../core/step.ts";
import { cutNetwork, openNetwork } from "./apply_network.ts";
import { probeInstance, proveIsolation } from "./apply_proof.ts";
import { destroyScope, ensureScope } from "./apply_scope.ts";
import { consolidate, removeTask } from "./apply_task.ts";
import { destroyVolume, ensureVolume, rebindVolume, retainVolume, taintVolume } from "./apply_volume.ts";
import { ensureIdentity, removeWorkspace, replaceInstance, start, stop } from "./apply_workspace.ts";
import { LabCanaries } from "./canaries.ts";
import type { LabCluster } from "./cluster.ts";
import { listPermits, observePermit } from "./observe.ts";
import { type Interfere, NO_INTERFERENCE, Requests } from "./request.ts";
import { watchCluster } from "./watch.ts";

/** What a lab driver is made of. */
export interface LabDriverOptions {
  cluster: LabCluster;
  clock: Clock;
  /** Faults for simulations; absent: nothing goes wrong. */
  interfere?: Interfere;
  /** Called after each change and before it is acknowledged; absent: the cluster ends with the process. */
  persist?: () => Promise<void>;
}

/** A driver on a simulated cluster; several may share one, as several services may share a real one. */
export class LabDriver implements Driver {
  readonly name = "lab";
  readonly #options: Required<LabDriverOptions>;
  readonly #closed = new AbortController();
  readonly #canaries: LabCanaries;
  /** Permits that wait for the canaries' next answer. */
  readonly #waiting = new Set<string>();

  constructor(options: LabDriverOptions) {
    this.#options = { interfere: NO_INTERFERENCE, persist: () => Promise.resolve(), ...options };
    this.#canaries = new LabCanaries(options.cluster, options.clock, this.#closed.signal);
  }

  /** See {@link Driver}. Throws a cancelled Fault when aborted. */
  observe(permitId: string, signal: AbortSignal): Promise<Observed> {
    const requests = new Requests(this.#options, permitId, "observe", signal);
    return requests.read(
      "everything of the permit",
      (world) => observePermit(world, permitId, this.#canaries.look()),
    );
  }

  /** See {@link Driver}. Everything that goes wrong leaves as a Fault. */
  async apply(action: Action, context: ApplyContext): Promise<ApplyResult> {
    const { permitId, signal } = context;
    const requests = new Requests(this.#options, permitId, action.kind, signal);
    const { newest } = this.#canaries;
    switch (action.kind) {
      case "ask-canaries":
        await requests.read("the canaries", () => this.#canaries.ask(action.after));
        this.#waiting.add(permitId);
        return { detail: "a control pod tries the canaries" };
      case "prove-isolation":
        return await proveIsolation(requests, permitId, action, newest);
      case "start":
        return { detail: await start(requests, permitId, action, newest?.control ?? null) };
      case "consolidate":
        return { detail: await consolidate(requests, permitId, action, newest?.control ?? null) };
      default:
        return { detail: await applyTo(requests, context, action) };
    }
  }

  /** See {@link Driver}. */
  async watch(changed: (permitId: string, whose: Whose) => void, signal: AbortSignal): Promise<void> {
    const { cluster, clock } = this.#options;
    const release = this.#canaries.onAnswer(() => {
      const told = [...this.#waiting];
      this.#waiting.clear();
      for (const permitId of told) changed(permitId, "ours");
    });
    await watchCluster(cluster, clock, changed, AbortSignal.any([signal, this.#closed.signal]));
    release();
  }

  /** See {@link Driver}. */
  probe(target: { workspaceKey: string; instanceUid: string }, context: ProbeContext): Promise<Probe> {
    const requests = new Requests(this.#options, context.permitId, "probe", context.signal);
    return probeInstance(requests, context.permitId, target);
  }

  /** See {@link Driver}. */
  check(_signal: AbortSignal): Promise<CheckLine[]> {
    const { nodes } = this.#options.cluster.read(({ state }) => state);
    const lost = nodes.filter(({ lostAtMs }) => lostAtMs !== null).map(({ name }) => name);
    return Promise.resolve([
      {
        check: "lab cluster",
        result: "ok",
        detail: `a simulated cluster inside this process, ${nodes.length} ${
          nodes.length === 1 ? "node" : "nodes"
        }: it isolates nobody and holds no data`,
        advice: "",
      },
      {
        check: "lab nodes",
        result: lost.length === 0 ? "ok" : "warning",
        detail: lost.length === 0 ? "all nodes answer" : `no answer from ${lost.join(", ")}`,
        advice: lost.length === 0 ? "" : `Bring ${lost.join(", ")} back`,
      },
    ]);
  }

  /** See {@link Driver}. Throws a cancelled Fault when aborted. */
  list(signal: AbortSignal): Promise<string[]> {
    return new Requests(this.#options, null, "list", signal).read("all permits", listPermits);
  }

  /** Ends watches and makes the last state survive. The cluster itself goes on. */
  async close(): Promise<void> {
    this.#closed.abort();
    await this.#options.persist();
  }
}

function applyTo(
  requests: Requests,
  context: ApplyContext,
  action: Exclude<Action, { kind: "ask-canaries" | "prove-isolation" | "start" | "consolidate" }>,
): Promise<string> {
  const { permitId } = context;
  switch (action.kind) {
    case "cut-network":
      return cutNetwork(requests, permitId, action);
    case "stop":
      return stop(requests, permitId, action);
    case "remove-workspace":
      return removeWorkspace(requests, permitId, action);
    case "ensure-scope":
      return ensureScope(requests, permitId, action);
    case "ensure-volume":
      return ensureVolume(requests, permitId, action);
    case "rebind-volume":
      return rebindVolume(requests, permitId, action);
    case "taint-volume":
      return taintVolume(requests, permitId, action);
    case "retain-volume":
      return retainVolume(requests, permitId, action);
    case "remove-task":
      return removeTask(requests, permitId, action);
    case "destroy-volume":
      return destroyVolume(requests, permitId, action);
    case "ensure-identity":
      return ensureIdentity(requests, context, action);
    case "replace-instance":
      return replaceInstance(requests, permitId, action);
    case "open-network":
      return openNetwork(requests, permitId, action);
    case "destroy-scope":
      return destroyScope(requests, permitId, action);
  }
}
