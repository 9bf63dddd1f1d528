#!/usr/bin/env node
// Everything else is imported after this check, and this file is plain ES2019, so that an old Node.js says what it lacks
// where it would otherwise print the stack of a syntax error. The version is that of "engines" in package.json.
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)

if (major < 20 || (major === 20 && minor < 19)) {
  process.stderr.write(
    `avatar-kv: Node.js ${process.versions.node} is too old: avatar-kv needs 20.19 or newer. ` +
      'Install a current version from https://nodejs.org, or with your version manager (nvm install 22), and run this again.\n',
  )
  process.exitCode = 1
} else {
  void import('./cli/command-line.ts')
}
