/** Parts that load native libraries or many modules. They load when a command needs them, so that the others start quickly. */
import type { Logger } from '../../observe/types.ts'
import type { Environment } from '../../platform/environment.ts'
import type { SignatureEngine } from '../../record/engine.ts'
import type { CommandContext } from './context.ts'

export async function loadEngine(): Promise<SignatureEngine> {
  const { selectEngine } = await import('../../verify/select-engine.ts')
  return await selectEngine()
}

/** The components of a node's part that a command uses. Their log goes nowhere: the command reports errors itself. */
export async function silentComponents({
  environment,
}: Pick<CommandContext, 'environment'>): Promise<{ environment: Environment; logger: Logger }> {
  const { createLogger } = await import('../../observe/logger.ts')
  return { environment, logger: createLogger({ level: 'silent', pretty: false }) }
}
