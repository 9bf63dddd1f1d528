import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { chromium as playwright, type Browser } from 'playwright-core'

const CACHE = join(process.cwd(), '.cache')
/** Answers of pages under test are waited for by the tests themselves. */
const LAUNCH_TIMEOUT_MS = 60_000

/**
 * A real Chromium: the one inside the package @sparticuz/chromium, unpacked once into `.cache/`, or the one that
 * `CHROMIUM_PATH` names.
 */
export async function launchChromium(): Promise<Browser> {
  const own = process.env['CHROMIUM_PATH']
  const { executable, libraries } = own === undefined ? await unpack() : { executable: own, libraries: undefined }
  const env: Record<string, string> = {}
  for (const [key, value] of Object.entries(process.env)) if (value !== undefined) env[key] = value
  if (libraries !== undefined) env['LD_LIBRARY_PATH'] = libraries
  try {
    return await playwright.launch({
      executablePath: executable,
      env,
      timeout: LAUNCH_TIMEOUT_MS,
      // Containers have neither user namespaces nor a large /dev/shm; the pages are ours.
      chromiumSandbox: false,
      args: ['--disable-dev-shm-usage', '--no-zygote', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'],
    })
  } catch (error) {
    const missing = own === undefined ? missingLibraries(executable, libraries) : ''
    throw new Error(
      `Chromium does not start from ${executable}.${missing} Install the system's (Debian: apt-get install chromium) and ` +
        'set CHROMIUM_PATH=/usr/bin/chromium.',
      { cause: error },
    )
  }
}

interface Unpacked {
  readonly executable: string
  /** Folder of libraries that the system lacks; undefined where it lacks none. */
  readonly libraries: string | undefined
}

/** Other test runs may unpack at the same moment: whoever is first puts the folder in place as a whole. */
async function unpack(): Promise<Unpacked> {
  const path = createRequire(import.meta.url).resolve('@sparticuz/chromium')
  const root = path.slice(0, path.lastIndexOf('@sparticuz/chromium') + '@sparticuz/chromium'.length)
  const { version } = createRequire(import.meta.url)(join(root, 'package.json')) as { version: string }
  const folder = join(CACHE, `chromium-${version}`)
  if (!existsSync(folder)) {
    await mkdir(CACHE, { recursive: true })
    const fresh = await mkdtemp(join(CACHE, 'chromium-new-'))
    await inflateInto(fresh)
    try {
      await rename(fresh, folder)
    } catch (error) {
      if (!existsSync(folder)) throw error
      await rm(fresh, { recursive: true })
    }
  }
  const executable = join(folder, 'chromium')
  const libraries = join(folder, 'al2023', 'lib')
  return { executable, libraries: missingLibraries(executable, undefined) === '' ? undefined : libraries }
}

/** The package unpacks to the temporary folder, and the libraries only where it believes itself in a Lambda. */
async function inflateInto(folder: string): Promise<void> {
  const changed = { TMPDIR: folder, AWS_EXECUTION_ENV: 'AWS_Lambda_nodejs20.x' }
  const before = Object.entries({ ...changed, LD_LIBRARY_PATH: '', FONTCONFIG_PATH: '' }).map(
    ([key]) => [key, process.env[key]] as const,
  )
  Object.assign(process.env, changed)
  try {
    const { default: chromium } = await import('@sparticuz/chromium')
    await chromium.executablePath()
  } finally {
    for (const [key, value] of before) {
      if (value === undefined) delete process.env[key]
      else process.env[key] = value
    }
  }
}

function missingLibraries(executable: string, libraries: string | undefined): string {
  const env = libraries === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries }
  const { stdout } = spawnSync('ldd', [executable], { encoding: 'utf8', env })
  const missing = (stdout ?? '').split('\n').filter((line) => line.includes('not found'))
  return missing.length === 0 ? '' : ` The system lacks ${missing.map((line) => line.trim().split(' ')[0]).join(', ')}.`
}
