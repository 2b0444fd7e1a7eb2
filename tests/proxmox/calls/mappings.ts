/** Directory mappings, which virtiofs shares are made of. */
import type { DirectoryMapping } from "../state/world.ts";
import { failure } from "../wire/errors.ts";
import type { Call, CallTable } from "./call.ts";

type Answer = Record<string, unknown>;

const SEEN_WITH = ["Mapping.Use", "Mapping.Modify", "Mapping.Audit"];

function describe(id: string, { description, paths }: DirectoryMapping): Answer {
  return {
    id,
    type: "dir",
    map: [...paths].map(([node, path]) => `node=${node},path=${path}`),
    ...description !== undefined && { description },
  };
}

/** With `check-node`, what is wrong with each mapping there. */
function list({ world, user, values }: Call): Answer[] {
  const node = values.text("check-node");
  return [...world.mappings].filter(([id]) => user.mayAny(`/mapping/dir/${id}`, SEEN_WITH)).map(
    ([id, mapping]) => {
      if (node === undefined) return describe(id, mapping);
      const path = mapping.paths.get(node);
      const message = path === undefined
        ? `No mapping for node ${node}.`
        : world.nodes.get(node)?.directories.has(path) === true
        ? undefined
        : `directory ${path} does not exist`;
      const checks = message === undefined
        ? []
        : [{ severity: path === undefined ? "warning" : "error", message }];
      return { ...describe(id, mapping), checks };
    },
  );
}

function find({ world, values }: Call): [string, DirectoryMapping] {
  const id = values.need("id");
  const mapping = world.mappings.get(id);
  if (mapping === undefined) throw failure(`mapping '${id}' not found`);
  return [id, mapping];
}

function pathsOf({ values }: Call): Map<string, string> {
  return new Map(
    values.items("map").map((entry) => {
      const [node = "", path = ""] = ["node", "path"].map((key) =>
        new RegExp(`(?:^|,)${key}=([^,]*)`).exec(entry)?.[1]
      );
      return [node, path];
    }),
  );
}

function create(call: Call): null {
  const { world, values } = call;
  const id = values.need("id");
  if (world.mappings.has(id)) throw failure(`dir ID '${id}' already defined`);
  world.mappings.set(id, { description: values.text("description"), paths: pathsOf(call) });
  return null;
}

function update(call: Call): null {
  const { values } = call;
  const [, mapping] = find(call);
  if (values.has("map")) mapping.paths = pathsOf(call);
  mapping.description = values.list("delete").includes("description")
    ? undefined
    : values.text("description") ?? mapping.description;
  return null;
}

function remove(call: Call): null {
  const { world, values } = call;
  world.mappings.delete(values.need("id"));
  return null;
}

/** Calls about directory mappings. */
export const MAPPINGS: CallTable = {
  "GET /cluster/mapping/dir": list,
  "POST /cluster/mapping/dir": create,
  "GET /cluster/mapping/dir/{id}": (call) => describe(...find(call)),
  "PUT /cluster/mapping/dir/{id}": update,
  "DELETE /cluster/mapping/dir/{id}": remove,
};
