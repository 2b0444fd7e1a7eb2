/** Finds the method that a request is for, and the work behind it. */
import { ACCESS } from "./calls/access.ts";
import type { CallTable, CallWork } from "./calls/call.ts";
import { FIREWALL_OPTIONS } from "./calls/firewall_options.ts";
import { FIREWALL_RULES } from "./calls/firewall_rules.ts";
import { FIREWALL_SETS } from "./calls/firewall_sets.ts";
import { MAPPINGS } from "./calls/mappings.ts";
import { NODES } from "./calls/nodes.ts";
import { POOLS } from "./calls/pools.ts";
import { RESOURCES } from "./calls/resources.ts";
import { STORAGES } from "./calls/storages.ts";
import { TASKS } from "./calls/tasks.ts";
import { UPLOAD } from "./calls/upload.ts";
import { VM_AGENT } from "./calls/vm_agent.ts";
import { VM_CLONE } from "./calls/vm_clone.ts";
import { VM_CLOUD_INIT } from "./calls/vm_cloudinit.ts";
import { VM_CREATE } from "./calls/vm_create.ts";
import { VM_DESTROY } from "./calls/vm_destroy.ts";
import { VM_MOVE } from "./calls/vm_move.ts";
import { VM_POWER } from "./calls/vm_power.ts";
import { VM_READING } from "./calls/vm_reading.ts";
import { VM_SNAPSHOTS } from "./calls/vm_snapshots.ts";
import { VM_UPDATE } from "./calls/vm_update.ts";
import type { ApiMethod } from "./schema/schema.ts";

const CALLS: CallTable = {
  ...ACCESS,
  ...FIREWALL_OPTIONS,
  ...FIREWALL_RULES,
  ...FIREWALL_SETS,
  ...MAPPINGS,
  ...NODES,
  ...POOLS,
  ...RESOURCES,
  ...STORAGES,
  ...TASKS,
  ...UPLOAD,
  ...VM_AGENT,
  ...VM_CLONE,
  ...VM_CLOUD_INIT,
  ...VM_CREATE,
  ...VM_DESTROY,
  ...VM_MOVE,
  ...VM_POWER,
  ...VM_READING,
  ...VM_SNAPSHOTS,
  ...VM_UPDATE,
};

/** The root's index is not in the schema. */
const ROOT: ApiMethod = { path: "", method: "GET", permissions: { user: "all" } };

/** Parameters that take the rest of a path, slashes included. */
const REST_PARAMETERS = new Set(["{volume}", "{cidr}"]);

/** A method that was found. */
export interface Route {
  method: ApiMethod;
  /** Parameters of the path. */
  parameters: Map<string, string>;
  /** Undefined when the double does not model it. */
  work: CallWork | undefined;
}

interface PathNode {
  children: Map<string, PathNode>;
  /** The child that takes any segment, with the parameter's name. */
  parameter: { name: string; takesRest: boolean; node: PathNode } | undefined;
  methods: Map<string, ApiMethod>;
}

function newNode(): PathNode {
  return { children: new Map(), parameter: undefined, methods: new Map() };
}

/** All methods of a schema, by path. */
export class Routes {
  readonly #root: PathNode = newNode();

  constructor(schema: readonly ApiMethod[]) {
    for (const method of [ROOT, ...schema]) this.#add(method);
    const known = new Set([ROOT, ...schema].map(({ path, method }) => `${method} ${path}`));
    const unknown = Object.keys(CALLS).filter((call) => !known.has(call));
    if (unknown.length > 0) throw new Error(`The schema does not know ${unknown.join(", ")}`);
  }

  /** The method of a request; undefined where the server says that it is not implemented. */
  find(method: string, path: string): Route | undefined {
    const parameters = new Map<string, string>();
    const segments = path.split("/").filter((segment) => segment !== "");
    let node = this.#root;
    for (const [index, segment] of segments.entries()) {
      const child = node.children.get(segment);
      if (child !== undefined) {
        node = child;
        continue;
      }
      if (node.parameter === undefined) return undefined;
      const { name, takesRest, node: next } = node.parameter;
      parameters.set(name, takesRest ? segments.slice(index).join("/") : segment);
      node = next;
      if (takesRest) break;
    }
    const found = node.methods.get(method);
    if (found === undefined) return undefined;
    return { method: found, parameters, work: CALLS[`${method} ${found.path}`] };
  }

  #add(method: ApiMethod): void {
    let node = this.#root;
    for (const segment of method.path.split("/").filter((segment) => segment !== "")) {
      const name = /^\{(.*)\}$/.exec(segment)?.[1];
      if (name === undefined) {
        const child = node.children.get(segment) ?? newNode();
        node.children.set(segment, child);
        node = child;
      } else {
        node.parameter ??= { name, takesRest: REST_PARAMETERS.has(segment), node: newNode() };
        node = node.parameter.node;
      }
    }
    node.methods.set(method.method, method);
  }
}
