/** What a request carries through the API beside itself. */
import type { Caller, Door, Transport } from "./caller.ts";

/** Hono's environment of every route. */
export interface ApiEnv {
  Bindings: { transport?: Transport };
  Variables: {
    requestId: string;
    door: Door;
    /** Set once the door of a route that is not public has let somebody in. */
    caller?: Caller;
    /** Aborts when the request's deadline passes. */
    signal: AbortSignal;
  };
}
