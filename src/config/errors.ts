export type ConfigErrorCode = 'unknown_key' | 'bad_value' | 'unreadable_file' | 'bad_file'

/** The configuration is invalid. The message names the key, the value and its source, and says what is expected. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code: ConfigErrorCode

  constructor(code: ConfigErrorCode, message: string) {
    super(message)
    this.code = code
  }
}
