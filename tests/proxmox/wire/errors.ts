/** How the server refuses: one class per shape of the answer, each made where the rule is broken. */

/** An answer other than 200. Its message is what the status line says, too. */
export class ApiError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** Per parameter, what is wrong with it. */
  readonly errors: Record<string, string> | undefined;
  /** What the body is: the usual JSON, the message as plain text, or nothing at all. */
  readonly body: "json" | "text" | "empty";

  constructor(
    status: number,
    message: string,
    { errors, body = "json" }: { errors?: Record<string, string>; body?: "json" | "text" | "empty" } = {},
  ) {
    super(message);
    this.status = status;
    this.errors = errors;
    this.body = body;
  }
}

/** 400: parameters that the schema or a check of the call refuses, each with its reason. */
export function parameterError(errors: Record<string, string>): ApiError {
  return new ApiError(400, "Parameter verification failed.", { errors });
}

/** 403: authenticated, but not permitted; `detail` names path and privilege. */
export function permissionError(detail?: string): ApiError {
  return new ApiError(403, `Permission check failed${detail === undefined ? "" : ` (${detail})`}`);
}

/** 500: nearly everything else that the server cannot do. The same error inside a task becomes its exit status. */
export function failure(message: string): ApiError {
  return new ApiError(500, message);
}

/** 501: no such path, or not this method on it. The message ends without a line break, unlike all others. */
export function notImplemented(method: string, path: string): ApiError {
  return new ApiError(501, `Method '${method} ${path}' not implemented`);
}

/** What is there in the real server but not in this double. Nobody should take it for an answer of Proxmox. */
export function notModelled(method: string, path: string): ApiError {
  return new ApiError(501, `The double does not model '${method} ${path}'`);
}

/** The connection breaks instead of an answer: the client cannot know whether the request had its effect. */
export class ConnectionLost extends Error {
  constructor(message = "The connection was closed before an answer came") {
    super(message);
  }
}
