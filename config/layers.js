/**
 * Which part of src/ may import what: the architecture as a table, checked by the linter (a plugin of oxlint.json).
 * What is not listed is forbidden.
 *
 * - `areas`: folders of src/, or single files of them, that the part may import (its own folder is always allowed).
 * - `types`: folders whose `types.ts` and `errors.ts`, the interfaces between the parts, it may import as well:
 *   `types.ts` with `import type` only. A path (`platform/environment`) names one file, for `import type`.
 * - `packages`: bare imports that it may use; `undefined` means any, `node:` included.
 */
const PURE_PACKAGES = ['@noble/hashes', '@noble/secp256k1', 'canonicalize', 'hash-wasm']
/** The files of platform/ that run everywhere. */
const PURE_PLATFORM = ['platform/back-off', 'platform/errors']
/** The files of ingest/ that hand records to the door, for every part through which archives come in. */
const IMPORTING = ['ingest/import-archive', 'ingest/retry']

const LAYERS = {
  platform: { areas: [] },
  observe: { areas: [] },
  shares: { areas: [], types: ['platform/environment'] },
  config: { areas: ['platform', 'record', 'shares'] },
  negentropy: { areas: ['platform/errors'], types: ['platform/environment'], packages: PURE_PACKAGES },
  record: { areas: ['platform/errors'], packages: [...PURE_PACKAGES, '@bitauth/libauth'] },
  state: { areas: ['record'], packages: PURE_PACKAGES },
  receipt: { areas: ['platform/errors', 'record', 'state'], packages: [...PURE_PACKAGES, '@noble/ed25519'] },
  homes: { areas: ['record'], packages: PURE_PACKAGES },
  snapshot: { areas: ['platform/errors', 'record', 'state'], packages: PURE_PACKAGES },
  client: { areas: [...PURE_PLATFORM, 'record', 'state', 'snapshot', 'receipt', 'homes'], packages: PURE_PACKAGES },
  replica: {
    areas: [...PURE_PLATFORM, 'record', 'state', 'snapshot', 'client', 'archive'],
    packages: [...PURE_PACKAGES, 'level', 'abstract-level'],
  },
  links: { areas: [...PURE_PLATFORM, 'record', 'state', 'client'], types: ['replica'], packages: PURE_PACKAGES },
  explorer: {
    areas: [...PURE_PLATFORM, 'record', 'state', 'client', 'archive', 'replica/disk', 'replica/indexed-db'],
    packages: ['@noble/hashes', 'preact', 'uqr'],
  },
  verify: { areas: ['platform', 'record'], types: ['observe'] },
  store: { areas: ['platform', 'record', 'state', 'negentropy'], types: ['observe'] },
  sync: {
    areas: [...PURE_PLATFORM, 'record', 'negentropy', 'shares', 'ingest/retry'],
    types: ['platform/environment', 'ingest', 'store', 'observe'],
    packages: [...PURE_PACKAGES, 'lru-cache'],
  },
  ingest: { areas: ['platform', 'record', 'state', 'archive', 'shares'], types: ['store', 'verify', 'observe'] },
  archive: { areas: ['platform/errors', 'record', 'state'], packages: PURE_PACKAGES },
  backup: {
    areas: ['platform', 'record', 'archive', ...IMPORTING],
    types: ['store', 'ingest'],
  },
  hosting: {
    areas: ['platform', 'record', 'homes', 'archive', 'shares'],
    types: ['store', 'ingest', 'sync', 'observe'],
  },
  network: { areas: ['platform', 'record', 'observe', 'shares'], types: ['ingest', 'sync'] },
  find: {
    areas: ['platform', 'record', 'receipt', 'homes', 'shares'],
    types: ['store', 'sync', 'observe'],
  },
  follow: {
    areas: ['platform', 'record', 'shares'],
    types: ['ingest', 'store', 'sync', 'observe'],
  },
  http: {
    areas: ['platform', 'record', 'state', 'receipt', 'archive', 'backup', 'shares', 'find', ...IMPORTING],
    types: ['ingest', 'store', 'hosting', 'network', 'observe'],
  },
  migrate: {
    areas: [
      ...['platform', 'record', 'state', 'sync', 'network', 'observe', 'homes', 'client', 'receipt'],
      ...['ingest/retry', 'offline/open'],
    ],
    types: ['ingest', 'store'],
  },
  // The composition: it puts the parts together and is imported by the commands alone.
  node: {},
  offline: {},
  cli: {
    areas: [
      ...IMPORTING,
      'platform',
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
      'find/addresses',
      'migrate',
      'archive',
      'backup',
      'node',
      'offline',
    ],
    types: ['ingest', 'store', 'network', 'http'],
  },
}

/** `main.ts`, the only file directly in src/, checks the version of Node.js before it imports anything. */
const MAIN_IMPORTS = ['cli/command-line.ts']

/** Files of pure parts that run only in Node, with what they may import besides what their part may. */
const NODE_FILES = {
  'archive/node.ts': ['node:crypto', 'node:stream', 'node:zlib', 'platform/yield.ts'],
  'links/file-keys.ts': ['node:crypto', 'node:fs/promises', 'node:os', 'node:path'],
  'replica/directory.ts': ['platform/level-files.ts'],
}

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
  { name: /^secp256k1\//, by: ['verify'], why: 'native engines belong to verify/' },
  { name: /^@bitauth\/libauth(\/|$)/, by: ['record'], why: 'the WASM engine is record/wasm-engine.ts' },
  {
    name: /^(node:)?(https?|http2)$/,
    by: ['http', 'hosting', 'network'],
    why: 'requests go through src/client/transport.ts; servers belong to http/ and network/, and the guard of pulls to hosting/',
  },
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
  if (!specifier.startsWith('.')) {
    for (const rule of RESTRICTED_PACKAGES) {
      if (rule.name.test(specifier) && !rule.by.includes(here.area)) return rule.why
    }
    const allowed = LAYERS[here.area]?.packages
    if (NODE_FILES[here.path]?.includes(specifier)) return undefined
    if (allowed && !allowed.includes(packageName(specifier))) return 'this part is pure and runs in browsers'
    return undefined
  }
  const target = resolveInside(here.path, specifier)
  if (target === undefined) return 'it is outside src/'
  if (NODE_FILES[here.path]?.includes(target)) return undefined
  const slash = target.indexOf('/')
  const area = target.slice(0, Math.max(slash, 0))
  if (here.area === '')
    return MAIN_IMPORTS.includes(target) ? undefined : `main.ts imports only ${MAIN_IMPORTS.join(', ')}`
  if (slash < 0) return 'main.ts is where the program begins; nothing imports it'
  if (area === here.area) return undefined
  const layer = LAYERS[here.area]
  if (layer === undefined) return `src/${here.area} is not in the table of config/layers.js`
  // The composition may import every part but the commands.
  if (layer.areas === undefined)
    return area === 'cli' ? 'the commands import the composition, not the reverse' : undefined
  const file = target.replace(/\.ts$/, '')
  if (layer.areas.includes(area) || layer.areas.includes(file)) return undefined
  const types = layer.types ?? []
  if (typeOnly && types.includes(file)) return undefined
  if (types.includes(area) && ((target === `${area}/types.ts` && typeOnly) || target === `${area}/errors.ts`))
    return undefined
  return `src/${here.area} may import ${[...layer.areas, ...types.map((name) => `type ${name}`)].join(', ') || 'nothing else'}`
}

const imports = {
  create(context) {
    const here = place(context.cwd, context.filename)
    if (here === undefined) return {}

    function check(node, specifier, typeOnly, names) {
      const why = objection(here, specifier, typeOnly)
      if (why !== undefined) context.report({ node, message: `'${specifier}' must not be imported here: ${why}.` })
      for (const name of names) {
        const rule = Object.hasOwn(RESTRICTED_NAMES, name) ? RESTRICTED_NAMES[name] : undefined
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

/** Only the client uses the platform's `fetch`; every other file calls the client, or takes a `fetch` from its caller. */
const fetchInClient = {
  create(context) {
    const here = place(context.cwd, context.filename)
    if (here === undefined || here.area === 'client') return {}
    return {
      Program(node) {
        const scope = context.sourceCode.getScope(node)
        const references = [...scope.through, ...(scope.set.get('fetch')?.references ?? [])]
        for (const { identifier, isTypeReference } of references) {
          if (identifier.name !== 'fetch' || identifier.parent.type === 'TSTypeQuery' || isTypeReference === true)
            continue
          context.report({ node: identifier, message: FETCH_MESSAGE })
        }
      },
      MemberExpression(node) {
        const { object, property } = node
        if (object.type !== 'Identifier' || !['globalThis', 'window', 'self'].includes(object.name)) return
        if (property.name === 'fetch' || property.value === 'fetch') context.report({ node, message: FETCH_MESSAGE })
      },
    }
  },
}

const FETCH_MESSAGE = '`fetch` is for src/client, which bounds answers: use client/node-api.ts or client/transport.ts.'

export default { meta: { name: 'layers' }, rules: { imports, fetch: fetchInClient } }
