/** What was asked of the API server, and what came back, checked as far as everything relies on it. */
import { z } from "zod";
import { Fault } from "../../core/fault.ts";
import { type Asked, faultOfConnection } from "./faults.ts";
import { describePlace, type MetadataOnly, type Place, type Resource, type Stored } from "./wire.ts";

const objectSchema = z.looseObject({
  metadata: z.looseObject({ name: z.string(), uid: z.string(), resourceVersion: z.string() }),
});
/** A list, or a page of one. */
export const listSchema = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string().default(""), continue: z.string().optional() }),
  items: z.array(objectSchema).nullable().transform((items) => items ?? []),
});

/** A question in words, for faults. */
export function asked(verb: string, resource: Resource, place: Partial<Place>): Asked {
  return { verb, resource, target: describePlace(resource, place), secret: resource === "secrets" };
}

/** Whether a Fault says that the named object itself is not there. */
export function isAbsent(thrown: unknown): boolean {
  return thrown instanceof Fault && thrown.reason === "not-found";
}

/** Whether a Fault says that a precondition of invariant 9 did not hold. */
export function isConflict(thrown: unknown): boolean {
  return thrown instanceof Fault && thrown.reason === "conflict";
}

/** An answer of a shape; anything else is a fault of what stands between WPS and the API server. */
export function checked<T>(schema: z.ZodType<T>, answer: unknown, what: Asked): T {
  const result = schema.safeParse(answer);
  if (result.success) return result.data;
  throw faultOfConnection(
    what,
    new Error(`the answer is no Kubernetes object: ${result.error.issues[0]?.path.join(".")}`),
  );
}

/** An object: the identity that everything relies on is checked; the rest is the API server's own, versioned schema. */
export function asStored<R extends Resource>(answer: unknown): Stored<R> {
  const what: Asked = { verb: "read", resource: "", target: "the API server's answer", secret: false };
  // Beyond metadata the answer's shape is vouched for by the path: one kind of one API version.
  return checked(objectSchema, answer, what) as unknown as Stored<R>;
}

/** An object's metadata. */
export function asMetadata(answer: unknown): MetadataOnly {
  const what: Asked = { verb: "read", resource: "", target: "the API server's answer", secret: false };
  return checked(objectSchema, answer, what) as MetadataOnly;
}
