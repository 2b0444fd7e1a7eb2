/** The calls of the Proxmox VE API, typed, over {@link Transport}. */
import { z } from "zod";
import { JOB_PRIORITY } from "../../core/job.ts";
import type { Asked } from "./answers.ts";
import { encodeCall } from "./encoding.ts";
import type { Endpoint, Params, PathVariables } from "./endpoints.ts";
import { faultOfConnection } from "./faults.ts";
import type { Value } from "./hidden.ts";
import type { Transport } from "./transport.ts";
import { encodeUpload, type Upload } from "./upload.ts";
import { type Upid, upidSchema } from "./upid.ts";

/** One call: where, what, and in which words a Fault speaks of it. */
export type Given<E extends Endpoint> =
  & {
    /** What stands in the braces of the path. */
    at: PathVariables<E>;
    asked: Asked;
    /** Another time limit than the configured one, in milliseconds. */
    timeoutMs?: number;
  }
  & (Record<never, never> extends Params<E> ? { params?: Params<E> } : { params: Params<E> });

/** A call, and what its answer must be. Numbers come as texts at times, so a schema that reads them says `z.coerce`. */
export type Call<E extends Endpoint, T> = Given<E> & { answer: z.ZodType<T> };

/** An answer's data; where it is a part of a list, how many there are in all. */
export interface Part<T> {
  items: T;
  total: number | null;
}

const UPLOAD = "POST /nodes/{node}/storage/{storage}/upload";
const envelopeSchema = z.object({
  data: z.unknown(),
  total: z.coerce.number().int().nonnegative().nullish(),
});

/** The calls. Each throws a Fault, sends once, and believes no answer that is not of the expected shape. */
export class Client {
  /** `priority`: of the job that asks; where requests queue, the lower goes ahead. */
  constructor(
    private readonly transport: Transport,
    private readonly priority: number = JOB_PRIORITY.reconcile,
  ) {}

  /** The same client for a job of this priority. */
  at(priority: number): Client {
    return new Client(this.transport, priority);
  }

  /** Calls `endpoint`, e.g. "GET /nodes/{node}/qemu/{vmid}/config"; the answer's `data`. */
  async call<E extends Endpoint, T>(endpoint: E, call: Call<E, T>, signal: AbortSignal): Promise<T> {
    return (await this.part(endpoint, call, signal)).items;
  }

  /** The same for a list that is read in parts. */
  async part<E extends Endpoint, T>(endpoint: E, call: Call<E, T>, signal: AbortSignal): Promise<Part<T>> {
    const { at, params, asked, timeoutMs } = call;
    const given = valuesOf(params);
    const encoded = encodeCall(endpoint, at, given, asked);
    const request = { ...encoded, contentType: "application/json", params: given, asked, timeoutMs };
    return read(endpoint, call, await this.transport.send(request, this.priority, signal));
  }

  /** Puts a file into a storage of a node; the task that checks it and moves it there has only begun. */
  async upload(
    at: { node: string; storage: string },
    file: Upload,
    asked: Asked,
    signal: AbortSignal,
  ): Promise<Upid> {
    const { method, path, bare } = encodeCall(UPLOAD, at, {}, asked);
    const request = { method, path, bare, asked, ...await encodeUpload(file, asked) };
    const answer = await this.transport.send(request, this.priority, signal);
    return read(UPLOAD, { answer: upidSchema, asked }, answer).items;
  }
}

/** The parameters of a call as they are sent and shown. */
export function valuesOf(params: object | undefined): Readonly<Record<string, Value>> {
  // Whatever proxmox-api calls the types of parameters, they are texts, numbers, booleans and lists of texts.
  return (params ?? {}) as Readonly<Record<string, Value>>;
}

/** The answer, if it is of the expected shape; else it is as if there had been none. */
function read<T>(
  endpoint: Endpoint,
  { answer, asked }: { answer: z.ZodType<T>; asked: Asked },
  body: unknown,
): Part<T> {
  const envelope = envelopeSchema.safeParse(body);
  const data = answer.safeParse(envelope.data?.data);
  if (envelope.success && data.success) return { items: data.data, total: envelope.data.total ?? null };
  const place = (envelope.error ?? data.error)?.issues[0]?.path.join(".") || "data";
  const thrown = new Error(`the answer is not what ${endpoint} answers (${place})`);
  throw faultOfConnection(asked, thrown, { isWrite: !endpoint.startsWith("GET "), isSent: true });
}
