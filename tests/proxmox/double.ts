/** A double of the Proxmox VE API: the state of a cluster behind the real server's answers. README.md says what it is for. */
import type { Clock, Random } from "../../src/core/clock.ts";
import { Faults } from "./faults.ts";
import { type GuestFactory, IdleGuest } from "./guest/guest.ts";
import { Operator } from "./operator.ts";
import { Routes } from "./routes.ts";
import { type ApiMethod, loadSchema } from "./schema/schema.ts";
import { textOf } from "./schema/check.ts";
import { validate } from "./schema/validate.ts";
import { checkPermission } from "./state/permission.ts";
import { RECORDED_TIMINGS, type Timings } from "./state/timings.ts";
import { World } from "./state/world.ts";
import { furnish, type Site } from "./sites.ts";
import {
  ApiError,
  ConnectionLost,
  notImplemented,
  notModelled,
  parameterError,
  permissionError,
} from "./wire/errors.ts";
import { type ApiReply, errorReply, successReply } from "./wire/reply.ts";
import { type ApiRequest, parseRequest, splitPath } from "./wire/request.ts";

/** What a double is made with. Clock and randomness decide everything that it does by itself. */
export interface DoubleOptions {
  clock: Clock;
  random: Random;
  /** What there is at the beginning. */
  site: Site;
  /** {@link RECORDED_TIMINGS} by default. */
  timings?: Partial<Timings>;
  /** An idle guest with an agent by default. */
  guests?: GuestFactory;
  /** Read from the repository by default; whoever makes many doubles reads it once. */
  schema?: readonly ApiMethod[];
}

const METHODS = ["GET", "POST", "PUT", "DELETE"];

/** Answers requests, with or without a socket before it (`listener.ts`). */
export class ProxmoxDouble {
  /** The state, to look at; what changes it without a request is in `operator`. */
  readonly world: World;
  readonly faults = new Faults();
  readonly operator: Operator;
  readonly #routes: Routes;

  constructor({ clock, random, site, timings, guests, schema = loadSchema() }: DoubleOptions) {
    this.#routes = new Routes(schema);
    this.world = new World({
      clock,
      random,
      timings: { ...RECORDED_TIMINGS, ...timings },
      schema,
      guests: guests ?? (() => new IdleGuest()),
      localNode: site.localNode,
      faultOf: (task) => this.faults.ofTask(task),
    });
    this.operator = new Operator(this.world);
    furnish(this.world, site);
  }

  /** Answers one request. Rejects with {@link ConnectionLost} where a client would see a broken connection. */
  async handle(request: ApiRequest): Promise<ApiReply> {
    this.world.catchUp();
    const lost = await this.faults.strike(request.method, request.path);
    const isHere = this.world.nodes.get(this.world.localNode)?.isOnline === true;
    if (lost === "request" || !isHere) throw new ConnectionLost();
    const reply = await this.#reply(request);
    const [defect] = this.world.tasks.defects;
    if (defect !== undefined) throw defect;
    if (lost === "reply") throw new ConnectionLost();
    return reply;
  }

  /** Stops all tasks and switches all guests off. */
  async close(): Promise<void> {
    await this.world.tasks.stopAll();
    for (const { power } of this.world.vms.values()) power?.guest.off();
  }

  async #reply(request: ApiRequest): Promise<ApiReply> {
    try {
      return successReply(await this.#call(request));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      if (error.status === 401) await this.#pause(this.world.timings.authenticationMs);
      return errorReply(error);
    }
  }

  async #pause(ms: number): Promise<void> {
    if (ms > 0) await this.world.clock.sleep(ms);
    this.world.catchUp();
  }

  async #call(request: ApiRequest): Promise<unknown> {
    const { world } = this;
    if (!METHODS.includes(request.method)) {
      throw new ApiError(501, `method '${request.method}' not available`, { body: "empty" });
    }
    const user = world.access.authenticate(request.headers?.["authorization"]);
    const parsed = parseRequest(request);
    const route = this.#routes.find(parsed.method, parsed.path);
    if (route === undefined) throw notImplemented(request.method, splitPath(request.path).path);
    const { method, work } = route;
    const parameters = parsed.parameters;
    for (const [name, value] of route.parameters) {
      if (parameters.has(name) && textOf(parameters.get(name)) !== value) {
        throw parameterError({
          [name]: "duplicate parameter (already defined in URI) with conflicting values!",
        });
      }
      parameters.set(name, value);
    }
    if (method.allowtoken === 0) {
      throw permissionError(`URI '${parsed.path}' not available with API token, need proper ticket.`);
    }
    checkPermission(method, user, parameters);
    await this.#proxy(method, parameters);
    if (work === undefined) throw notModelled(method.method, method.path);
    return await work({ world, user, values: validate(method, parameters), upload: parsed.upload });
  }

  /** Another node answers, or the privileged daemon of this one: both may be away. */
  async #proxy(method: ApiMethod, parameters: ReadonlyMap<string, unknown>): Promise<void> {
    const { world } = this;
    const name = method.proxyto === undefined ? undefined : parameters.get(method.proxyto);
    const node = name === undefined || name === "localhost" ? undefined : world.node(textOf(name));
    if (node !== undefined && !node.isOnline) {
      await this.#pause(world.timings.proxyMs);
      throw new ApiError(595, "No route to host", { body: "empty" });
    }
    if (method.protected === 1 && this.faults.isDaemonDown) {
      throw new ApiError(595, "Connection refused", { body: "empty" });
    }
  }
}
