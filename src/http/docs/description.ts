import type { FastifyDynamicSwaggerOptions } from '@fastify/swagger'
import type { FastifySchema } from 'fastify'

import { ARCHIVE_TYPES } from '../v2/archive-schemas.ts'
import { OPERATOR_PREFIX } from '../lib/private-routes.ts'
import { textOf } from '../lib/schemas.ts'

/** The groups of calls, in the order in which people read them. */
const TAGS = [
  { name: 'Reading', description: 'Open to everyone. Read records, and verify them, instead of trusting a node.' },
  { name: 'Writing', description: 'Needs no account: each record is signed by its avatar.' },
  { name: 'Hosting', description: 'How an owner asks a node to store an avatar, and what the node answers.' },
  { name: 'Node', description: 'Who runs the node, what it stores, and to whom it is connected.' },
  {
    name: 'Operator',
    description: 'Only for the operator, with the content of the file `operator-token` as a bearer token.',
  },
  { name: 'Version 1 (Next.ID)', description: 'The contract of the KV service of Next.ID, for its existing clients.' },
]

/** Returns the head of the OpenAPI description, and what it adds to each route. */
export function descriptionOf(version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'avatar-kv',
        version,
        description:
          'Signed key-value data of avatars. Version 2 is the native interface; version 1 serves unmodified clients of ' +
          'Next.ID. Errors are JSON: `{"code","message"}`; the message says what to do.',
        license: { name: 'MIT', identifier: 'MIT' },
      },
      tags: TAGS,
      components: {
        securitySchemes: {
          operator: {
            type: 'http',
            scheme: 'bearer',
            description: 'The content of the file `operator-token` in the data directory of the node.',
          },
        },
      },
    },
    transform({ schema, url, route }) {
      if (schema.hide === true) return { schema, url }
      if (schema.operationId === undefined)
        throw new Error(`The route ${url} has no operationId. Add one to its schema.`)
      const isPrivate = url.startsWith(OPERATOR_PREFIX)
      const described: FastifySchema = {
        ...schema,
        ...(isPrivate ? { tags: ['Operator'] } : {}),
        ...(route.config?.streamsBody === true ? { body: textOf(ARCHIVE_TYPES, 'The bytes of an archive.') } : {}),
        security: isPrivate ? [{ operator: [] }] : [],
      }
      return { schema: described, url }
    },
  }
}
