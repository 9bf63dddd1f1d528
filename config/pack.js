/**
 * Packs what people install, after a build, and prints the paths of the tarballs:
 *
 * - `avatar-kv`: the bundled node with its command and web page, and the modules of the client as well, for programs written before the client
 *   had a package of its own.
 * - `@avatar-kv/client`: the client, the replica, records, states and negentropy, for apps.
 *
 * Each has only the dependencies that its files load.
 */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import ts from 'typescript'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const OUT = join(ROOT, '.cache/package')
const manifest = readJson('package.json')

rmSync(OUT, { recursive: true, force: true })
const {
  private: _private,
  scripts: _scripts,
  devDependencies: _dev,
  overrides: _overrides,
  allowScripts: _allow,
  ...node
} = manifest
pack(node, {
  files: [
    'dist/main.js',
    'dist/avatar-kv.1',
    'dist/bundle',
    'dist/explorer',
    'config/default.json',
    'README.md',
    'LICENSE',
  ],
  loads: readJson('dist/bundle/externals.json'),
})
const { version, license, author, engines } = manifest
pack(
  { ...readJson('config/client/package.json'), version, license, author, engines },
  {
    files: [
      'LICENSE',
      'docs/client.md',
      'docs/replica.md',
      'docs/links.md',
      'docs/protocol.md',
      'docs/api',
      'docs/examples',
    ],
    renamed: { 'config/client/README.md': 'README.md' },
    loads: [],
  },
)

/** Packs files, the modules that the manifest exports, all that those import, and the dependencies that they and `loads` name. */
function pack(description, { files, renamed = {}, loads }) {
  const stage = join(OUT, description.name)
  const packages = new Set(loads.map(packageOf))
  const taken = new Set()
  for (const path of files) take(path)
  for (const [from, to] of Object.entries(renamed)) take(from, to)
  for (const entry of Object.values(description.exports)) {
    if (typeof entry !== 'string') for (const path of Object.values(entry)) takeModule(join(path))
  }
  const unknown = [...packages].filter((name) => !(name in manifest.dependencies) && !builtinModules.includes(name))
  if (unknown.length > 0) throw new Error(`Not among the dependencies of package.json: ${unknown.join(', ')}`)
  const dependencies = Object.fromEntries(Object.entries(manifest.dependencies).filter(([name]) => packages.has(name)))
  writeFileSync(join(stage, 'package.json'), `${JSON.stringify({ ...description, dependencies }, null, 2)}\n`)
  const [packed] = JSON.parse(
    execFileSync('npm', ['pack', '--json', '--pack-destination', OUT], { cwd: stage, encoding: 'utf8' }),
  )
  process.stdout.write(`${join(OUT, packed.filename)}\n`)

  function take(from, to = from) {
    mkdirSync(dirname(join(stage, to)), { recursive: true })
    cpSync(join(ROOT, from), join(stage, to), { recursive: true })
  }

  /** Takes a module of dist/, its types, and all that they import. */
  function takeModule(path) {
    const stem = path.replace(/(\.d)?\.[jt]s$/, '')
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
}

/** `@scope/name/file.js` is in `@scope/name`. */
function packageOf(specifier) {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

function readJson(path) {
  return JSON.parse(readFileSync(join(ROOT, path), 'utf8'))
}
