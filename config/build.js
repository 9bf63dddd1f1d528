/**
 * Builds dist/: the library (tsc) and the explorer (vite) at the same time, then the node in one bundle (vite). With --if-needed only where a source is newer
 * than the last build. Plain ES2019 up to the version check, so that an old Node.js says what it lacks.
 */
import { execFileSync, spawn } from 'child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'fs'
import * as fs from 'fs'
import { join } from 'path'
import { fileURLToPath } from 'url'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
/** What the build reads. */
const SOURCES = ['src', 'config', 'package.json', 'package-lock.json', 'tsconfig.json']
/** What it makes, as far as a start needs it. */
const PRODUCTS = ['dist/main.js', 'dist/explorer/index.html']
/** Its time is when the last build that was finished began. */
const STAMP = join(ROOT, '.cache/built')

checkNode()
if (!process.argv.includes('--if-needed') || isNeeded()) void build()

function checkNode() {
  const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
  const [needMajor, needMinor] = engines.node.replace('>=', '').split('.').map(Number)
  const [major, minor] = process.versions.node.split('.').map(Number)
  if (major > needMajor || (major === needMajor && minor >= needMinor)) return
  console.error(
    `Node.js ${process.versions.node} is too old: avatar-kv needs ${needMajor}.${needMinor} or newer. ` +
      'Install a current version from https://nodejs.org, run npm ci, and then this again.',
  )
  process.exit(1)
}

function isNeeded() {
  if (!existsSync(STAMP) || PRODUCTS.some((path) => !existsSync(join(ROOT, path)))) return true
  return newest(SOURCES.map((path) => join(ROOT, path))) > statSync(STAMP).mtimeMs
}

/** The latest change of files and folders, in ms since 1970; a folder changes when a file comes or goes. */
function newest(paths) {
  let latest = 0
  for (const path of paths) {
    const about = statSync(path)
    latest = Math.max(latest, about.mtimeMs)
    if (about.isDirectory()) latest = Math.max(latest, newest(readdirSync(path).map((name) => join(path, name))))
  }
  return latest
}

async function build() {
  if (!existsSync(join(ROOT, 'node_modules/typescript'))) {
    console.error('The packages that the build needs are not installed. Run npm ci, and then this again.')
    process.exit(1)
  }
  console.error('Building the node and its web page; this takes about half a minute …')
  const began = new Date()
  if (existsSync(STAMP)) unlinkSync(STAMP)
  const done = await Promise.all([
    run('typescript/bin/tsc', '-p', 'tsconfig.json'),
    run('vite/bin/vite.js', 'build', '--config', 'config/vite.explorer.config.ts'),
  ])
  fs.rmSync(join(ROOT, 'dist/bundle'), { recursive: true, force: true })
  done.push(
    !done.includes(false) && (await run('vite/bin/vite.js', 'build', '--config', 'config/vite.bundle.config.ts')),
  )
  if (done.includes(false)) {
    console.error('The build failed; the messages above say why.')
    process.exit(1)
  }
  chmodSync(join(ROOT, 'dist/main.js'), 0o755)
  // Without variables: the manual page names defaults, not what is set here.
  const page = execFileSync(process.execPath, [join(ROOT, 'dist/main.js'), 'man-page'], { env: {} })
  writeFileSync(join(ROOT, 'dist/avatar-kv.1'), page)
  mkdirSync(join(ROOT, '.cache'), { recursive: true })
  writeFileSync(STAMP, '')
  utimesSync(STAMP, began, began)
  console.error(`Built in ${Math.round((Date.now() - began.getTime()) / 1000)} s.`)
}

/** Runs a program of a package; resolves with whether it ended well. */
function run(program, ...args) {
  const child = spawn(process.execPath, [join(ROOT, 'node_modules', program), ...args], { cwd: ROOT, stdio: 'inherit' })
  return new Promise((resolve) => child.once('exit', (code) => resolve(code === 0)))
}
