/**
 * Which part of src/ may import what: the architecture as a table, checked by the linter (a plugin of oxlint.json).
 * What is not listed is forbidden.
 *
 * - `areas`: folders of src/ that the part may import (its own is always allowed).
 * - `types`: folders whose `types.ts` and `errors.ts`, the interfaces between the parts, it may import as well:
 *   `types.ts` with `import type` only.
 * - `packages`: bare imports that it may use; `undefined` means any, `node:` included.
 */
const PURE_PACKAGES = ['@noble/hashes', '@noble/secp256k1', 'canonicalize', 'hash-wasm']

const LAYERS = {
  record: { areas: ['state'], types: [], packages: PURE_PACKAGES },
  state: { areas: ['record'], types: [], packages: PURE_PACKAGES },
  receipt: { areas: ['record', 'state'], types: [], packages: [...PURE_PACKAGES, '@noble/ed25519'] },
  homes: { areas: ['record'], types: [], packages: PURE_PACKAGES },
  snapshot: { areas: ['record', 'state'], types: [], packages: PURE_PACKAGES },
  client: { areas: ['record', 'state', 'snapshot', 'receipt', 'homes'], types: [], packages: PURE_PACKAGES },
  replica: {
    areas: ['record', 'state', 'snapshot', 'client', 'archive'],
    types: [],
    packages: [...PURE_PACKAGES, 'level', 'abstract-level'],
  },
  explorer: {
    areas: ['record', 'state', 'client', 'archive'],
    types: [],
    packages: ['@noble/hashes', 'preact'],
  },
  shares: { areas: [], types: [] },
  verify: { areas: ['record'], types: ['observe'] },
  store: { areas: ['record', 'state', 'sync'], types: ['observe'] },
  sync: {
    areas: ['record', 'shares'],
    types: ['ingest', 'store', 'observe'],
    packages: [...PURE_PACKAGES, 'lru-cache'],
  },
  ingest: { areas: ['record', 'state', 'shares'], types: ['store', 'verify', 'observe'] },
  archive: { areas: ['record', 'state', 'sync', 'shares'], types: ['ingest', 'verify'] },
  backup: { areas: ['record', 'archive'], types: ['store', 'ingest'] },
  hosting: { areas: ['record', 'homes', 'archive', 'shares'], types: ['store', 'ingest', 'sync', 'observe'] },
  migrate: {
    areas: ['record', 'state', 'store', 'sync', 'ingest', 'verify', 'network', 'observe', 'homes', 'archive'],
    types: [],
  },
  network: { areas: ['record', 'observe', 'shares'], types: ['ingest', 'sync'] },
  http: {
    areas: ['record', 'state', 'receipt', 'archive', 'backup', 'shares'],
    types: ['ingest', 'store', 'hosting', 'network', 'observe'],
  },
  observe: { areas: [], types: [] },
  config: { areas: ['shares'], types: [] },
  cli: {
    areas: [
      'record',
      'state',
      'receipt',
      'homes',
      'client',
      'config',
      'observe',
      'verify',
      'snapshot',
      'hosting',
      'migrate',
      'archive',
      'backup',
    ],
    types: ['ingest', 'store', 'network', 'http'],
  },
}

/** Files directly in src/: `node.ts` puts the parts together, `main.ts` checks Node.js and starts the command line. */
const ROOT_FILES = { 'environment.ts': [], 'main.ts': [], 'command-line.ts': ['cli', 'config'] }
/** Files directly in src/ that any part may import, beside those that `import type` may name. */
const ROOT_IMPORTS = {
  'breathe.ts': 'any',
  'data-files.ts': ['cli'],
  'decode-text.ts': 'any',
  'environment.ts': 'any',
  'files.ts': 'any',
  'level-files.ts': 'any',
  'node.ts': ['cli'],
  'data-dir.ts': ['cli'],
  'repair.ts': ['cli'],
  'whole-store.ts': ['cli'],
}

/** Files of pure parts that run in Node alone, with what they may import beside what their part may. */
const NODE_FILES = { 'replica/directory.ts': ['level-files.ts'] }

/** Names that few may import, wherever they are exported from. */
const RESTRICTED_NAMES = {
  mintVerified: {
    from: /(^|\/)record\/verify\.ts$/,
    by: ['verify'],
    why: 'a VerifiedRecord is minted only by verification',
  },
  Store: {
    from: /(^|\/)store\/types\.ts$/,
    by: ['store', 'ingest'],
    why: 'only ingest/ appends; others take a StoreReader',
  },
}

/** Packages that must not be loaded by any part, or by one only. */
const RESTRICTED_PACKAGES = [
  { name: /^elliptic(\/|$)/, by: [], why: 'it accepts high-S signatures' },
  { name: /^secp256k1$/, by: [], why: "its index falls back to elliptic silently; import 'secp256k1/bindings.js'" },
  { name: /^(secp256k1\/|tiny-secp256k1(\/|$))/, by: ['verify'], why: 'native engines belong to verify/' },
  { name: /^(node:)?process$/, by: [], why: 'use the global; process.env is read in config/ only' },
  {
    name: /^(classic-level|level|abstract-level)(\/|$)/,
    by: ['store', 'replica'],
    why: 'the database belongs to store/ and replica/',
  },
]

/** `src/http/v1/routes.ts` -> `{ area: 'http', path: 'http/v1/routes.ts' }`; area `''` for files directly in src/. */
function place(cwd, filename) {
  const path = filename.replaceAll('\\', '/')
  const root = `${cwd.replaceAll('\\', '/')}/src/`
  if (!path.startsWith(root)) return undefined
  const inside = path.slice(root.length)
  const slash = inside.indexOf('/')
  return { area: slash < 0 ? '' : inside.slice(0, slash), path: inside }
}

function resolveInside(from, specifier) {
  const parts = from.split('/').slice(0, -1)
  for (const part of specifier.split('/')) {
    if (part === '..') {
      if (parts.length === 0) return undefined
      parts.pop()
    } else if (part !== '.') parts.push(part)
  }
  return parts.join('/')
}

function packageName(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/')
}

/** Why `here` may not import `specifier`, or undefined if it may. */
function objection(here, specifier, typeOnly) {
  const wanted = specifier.startsWith('.') ? resolveInside(here.path, specifier) : specifier
  if (NODE_FILES[here.path]?.includes(wanted)) return undefined
  if (!specifier.startsWith('.')) {
    for (const rule of RESTRICTED_PACKAGES) {
      if (rule.name.test(specifier) && !rule.by.includes(here.area)) return rule.why
    }
    const allowed = LAYERS[here.area]?.packages
    if (allowed && !allowed.includes(packageName(specifier))) return 'this part is pure and runs in browsers'
    return undefined
  }
  const target = resolveInside(here.path, specifier)
  if (target === undefined) return 'it is outside src/'
  const slash = target.indexOf('/')
  if (slash < 0) {
    const layer = LAYERS[here.area]
    // A part that knows no other parts' types takes nothing from its surroundings at all.
    if (layer?.packages && (!typeOnly || layer.types.length === 0)) return 'this part is pure and runs in browsers'
    if (here.area === '' || typeOnly) return undefined
    const by = ROOT_IMPORTS[target]
    return by === 'any' || by?.includes(here.area)
      ? undefined
      : 'the composition root imports the parts, not the reverse'
  }
  const area = target.slice(0, slash)
  if (area === here.area) return undefined
  if (here.area === '') {
    const areas = ROOT_FILES[here.path]
    return areas === undefined || areas.includes(area)
      ? undefined
      : `${here.path} imports only ${areas.join(', ') || 'nothing'}`
  }
  const layer = LAYERS[here.area]
  if (layer === undefined) return `src/${here.area} is not in the table of config/layers.js`
  if (layer.areas.includes(area)) return undefined
  if (layer.types.includes(area) && target === `${area}/types.ts` && typeOnly) return undefined
  if (layer.types.includes(area) && target === `${area}/errors.ts`) return undefined
  return `src/${here.area} may import ${[...layer.areas, ...layer.types.map((name) => `type ${name}/types.ts`)].join(', ') || 'nothing else'}`
}

const imports = {
  create(context) {
    const here = place(context.cwd, context.filename)
    if (here === undefined) return {}

    function check(node, specifier, typeOnly, names) {
      const why = objection(here, specifier, typeOnly)
      if (why !== undefined) context.report({ node, message: `'${specifier}' must not be imported here: ${why}.` })
      for (const name of names) {
        const rule = RESTRICTED_NAMES[name]
        if (
          rule &&
          here.area !== '' &&
          !rule.by.includes(here.area) &&
          rule.from.test(resolveInside(here.path, specifier) ?? '')
        ) {
          context.report({ node, message: `'${name}' must not be imported here: ${rule.why}.` })
        }
      }
    }

    return {
      ImportDeclaration(node) {
        const all = node.specifiers
        const typeOnly =
          node.importKind === 'type' || (all.length > 0 && all.every((each) => each.importKind === 'type'))
        check(node, node.source.value, typeOnly, namesOf(all, 'imported'))
      },
      ExportNamedDeclaration(node) {
        if (node.source) check(node, node.source.value, node.exportKind === 'type', namesOf(node.specifiers, 'local'))
      },
      ExportAllDeclaration(node) {
        check(node, node.source.value, node.exportKind === 'type', [])
      },
      ImportExpression(node) {
        if (node.source.type === 'Literal') check(node, String(node.source.value), false, [])
        else context.report({ node, message: 'A computed import cannot be checked; name the module.' })
      },
      TSImportType(node) {
        const source = node.source ?? node.argument?.literal ?? node.argument
        if (typeof source?.value === 'string') check(node, source.value, true, [])
      },
      CallExpression(node) {
        const isRequire = node.callee.type === 'Identifier' && node.callee.name === 'require'
        const source = node.arguments[0]
        if (isRequire && source?.type === 'Literal') check(node, String(source.value), false, [])
      },
    }
  },
}

function namesOf(specifiers, key) {
  return specifiers.flatMap((each) => (each[key] ? [each[key].name ?? each[key].value] : []))
}

export default { meta: { name: 'layers' }, rules: { imports } }
