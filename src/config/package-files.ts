import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

/** `src/config/` and `dist/config/` are both two levels below the package. */
const PACKAGE_ROOT = new URL('../../', import.meta.url)

/** Version of this package, as in its `package.json`. */
export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)(fileURLToPath(new URL('package.json', PACKAGE_ROOT))) as {
    version: string
  }
  return version
}

/** Text of `config/default.json`, which names every configuration key and its default. */
export function defaultConfigText(): string {
  return readFileSync(new URL('config/default.json', PACKAGE_ROOT), 'utf8')
}

/** Folder of the built explorer, beside the built node; absent before a build. */
export function explorerFolder(): string {
  return fileURLToPath(new URL('dist/explorer/', PACKAGE_ROOT))
}
