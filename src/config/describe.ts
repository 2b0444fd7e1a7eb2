/** The configuration as an operator may see it. */
import type { Config } from "./schema.ts";

/** Stands for a secret. */
export const REDACTED = "[secret]";

/** A configuration without its secrets, safe to print. URLs keep the user's name and lose the password. */
export function describeConfig(config: Config): Config {
  const { api, broker, redis } = config;
  return {
    ...config,
    api: { key: api.key === null ? null : REDACTED },
    broker: broker === null ? null : { ...broker, url: withoutPassword(broker.url) },
    redis: redis === null ? null : { ...redis, url: withoutPassword(redis.url) },
  };
}

/** "amqps://wps:[secret]@broker/spe": a URL whose password, and query (which may hold one), are replaced. */
export function withoutPassword(address: string): string {
  const parsed = URL.parse(address);
  if (parsed === null) return REDACTED;
  const user = parsed.username === "" ? "" : parsed.username;
  const password = parsed.password === "" ? "" : `:${REDACTED}`;
  const login = user === "" && password === "" ? "" : `${user}${password}@`;
  return `${parsed.protocol}//${login}${parsed.host}${parsed.pathname}${
    parsed.search === "" ? "" : `?${REDACTED}`
  }`;
}
