export type EnvironmentVariables = Readonly<Record<string, string | undefined>>

/** The variables of this process. Nothing else reads `process.env`; everybody else gets what they need from here. */
export function environmentVariables(): EnvironmentVariables {
  return process.env
}

/** Names the configuration file, as `--config` does. */
export const CONFIG_VARIABLE = 'AVATAR_KV_CONFIG'
/** Names the node that client commands talk to, as `--node` does. */
export const NODE_VARIABLE = 'AVATAR_KV_NODE'
