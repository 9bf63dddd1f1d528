import type { FastifySchemaCompiler } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'

const INTEGER = /^-?\d{1,15}$/

/**
 * Compiles a TypeBox schema into a validator of one part of a request. Queries and paths are text, so there a property that
 * the schema declares as an integer is converted first.
 */
export const validatorCompiler: FastifySchemaCompiler<TSchema> = ({ schema, httpPart }) => {
  const check = Compile(schema)
  const integers = httpPart === 'body' ? [] : integerProperties(schema)
  return (value: unknown) => {
    const converted = integers.length === 0 ? value : withIntegers(value, integers)
    return check.Check(converted) ? { value: converted } : { error: check.Errors(converted) }
  }
}

function integerProperties(schema: TSchema): string[] {
  if (!('properties' in schema) || typeof schema.properties !== 'object' || schema.properties === null) return []
  return Object.entries(schema.properties)
    .filter(([, property]) => property?.type === 'integer')
    .map(([name]) => name)
}

function withIntegers(value: unknown, names: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null) return value
  const converted: Record<string, unknown> = { ...value }
  for (const name of names) {
    const text = converted[name]
    if (typeof text === 'string' && INTEGER.test(text)) converted[name] = Number(text)
  }
  return converted
}
