/**
 * Packs what people install, after a build: the bundled node and the modules of the library, with only those dependencies that
 * these load. Prints the path of the tarball.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const STAGE = join(ROOT, '.cache/package')

const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
const taken = new Set()
const packages = new Set(JSON.parse(readFileSync(join(ROOT, 'dist/bundle/externals.json'), 'utf8')).map(packageOf))

rmSync(STAGE, { recursive: true, force: true })
for (const path of [
  'dist/main.js',
  'dist/avatar-kv.1',
  'dist/bundle',
  'dist/explorer',
  'config/default.json',
  'README.md',
  'LICENSE',
])
  take(path)
for (const entry of Object.values(manifest.exports)) {
  if (typeof entry !== 'string') for (const path of Object.values(entry)) takeModule(path)
}

const dependencies = Object.entries(manifest.dependencies).filter(([name]) => packages.has(name))
const unknown = [...packages].filter((name) => !(name in manifest.dependencies) && !builtinModules.includes(name))
if (unknown.length > 0) throw new Error(`Not among the dependencies of package.json: ${unknown.join(', ')}`)
for (const key of ['private', 'scripts', 'devDependencies', 'overrides', 'allowScripts']) delete manifest[key]
writeFileSync(
  join(STAGE, 'package.json'),
  `${JSON.stringify({ ...manifest, dependencies: Object.fromEntries(dependencies) }, null, 2)}\n`,
)
const [packed] = JSON.parse(execFileSync('npm', ['pack', '--json'], { cwd: STAGE, encoding: 'utf8' }))
process.stdout.write(`${join(STAGE, packed.filename)}\n`)

function take(path) {
  mkdirSync(dirname(join(STAGE, path)), { recursive: true })
  cpSync(join(ROOT, path), join(STAGE, path), { recursive: true })
}

/** Takes a module of dist/, its types, and all that they import. */
function takeModule(path) {
  const from = relative(ROOT, join(ROOT, path))
  const stem = from.replace(/(\.d)?\.[jt]s$/, '')
  if (taken.has(stem)) return
  taken.add(stem)
  for (const file of readdirSync(join(ROOT, dirname(stem)))) {
    if (!file.startsWith(`${stem.split('/').at(-1)}.`)) continue
    const name = join(dirname(stem), file)
    take(name)
    if (!/\.[jt]s$/.test(name)) continue
    for (const { fileName: target } of ts.preProcessFile(readFileSync(join(ROOT, name), 'utf8')).importedFiles) {
      if (target.startsWith('.')) takeModule(join(dirname(name), target))
      else if (!target.startsWith('node:')) packages.add(packageOf(target))
    }
  }
}

/** `@scope/name/file.js` is in `@scope/name`. */
function packageOf(specifier) {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}
