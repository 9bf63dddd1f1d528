import { CodedError } from '../platform/errors.ts'

export type ConfigErrorCode = 'unknown_key' | 'bad_value' | 'unreadable_file' | 'bad_file'

/** The configuration is invalid. The message names the key, the value and its source, and says what is expected. */
export class ConfigError extends CodedError<ConfigErrorCode> {
  override readonly name = 'ConfigError'
}
