import type { JsonObject, JsonValue } from '../../record/types.ts'
import { isObject } from './examples.ts'
import { objectsIn, operationsOf } from './finish.ts'
import { html, prose, type Html } from './html.ts'
import { curlOf } from './curl.ts'
import { membersView, typeOf } from './schema-view.ts'

interface PageOptions {
  /** The URL of the node, for commands. */
  readonly node: string
  /** Relative address of the style sheet; undefined if the explorer is not built. */
  readonly styles?: string
}

type Call = ReturnType<typeof operationsOf>[number]

/** Returns the page that shows a finished OpenAPI description to people. It needs no script. */
export function docsPage(description: JsonObject, { node, styles }: PageOptions): string {
  const info = isObject(description['info']) ? description['info'] : {}
  const calls = operationsOf(description)
  const groups = objectsIn(description['tags']).map((tag) => ({
    name: textIn(tag, 'name'),
    about: textIn(tag, 'description'),
    calls: calls.filter(({ operation }) => firstTag(operation) === tag['name']),
  }))
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>HTTP interface – avatar-kv</title>
        ${styles === undefined ? undefined : html`<link rel="stylesheet" href="./${styles}" />`}
      </head>
      <body class="docs">
        <a class="skip" href="#main">Skip to the content</a>
        <header>
          <a class="brand" href="./">avatar-kv</a>
          <nav aria-label="Pages">
            <a href="./docs" aria-current="page">HTTP interface</a><a href="./openapi.json">OpenAPI 3.1</a>
          </nav>
        </header>
        <div class="columns">
          <nav class="contents" aria-label="Calls">
            ${groups.map(
              (group, at) =>
                html`<a class="group" href="#group-${at}">${group.name}</a>
                  <ul>
                    ${group.calls.map((call) => html`<li><a href="#${idOf(call)}">${summaryOf(call)}</a></li>`)}
                  </ul>`,
            )}
          </nav>
          <main id="main" tabindex="-1">
            <h1>HTTP interface</h1>
            <p class="lead">${prose(textIn(info, 'description'))}</p>
            <p>
              Version ${textIn(info, 'version')}. <a href="./openapi.json"><code>openapi.json</code></a> describes the
              same for programs, and for generators of clients. The commands below work in a shell after:
            </p>
            <pre tabindex="0">NODE=${node}</pre>
            ${groups.map(
              (group, at) =>
                html`<section id="group-${at}" aria-label="${group.name}">
                  <h2>${group.name}</h2>
                  <p class="hint">${prose(group.about)}</p>
                  ${group.calls.map((call) => callView(call, description))}
                </section>`,
            )}
          </main>
        </div>
      </body>
    </html> `.text
}

function callView(call: Call, description: JsonObject): Html {
  const { path, method, operation } = call
  const about = textIn(operation, 'description')
  const parameters = objectsIn(operation['parameters'])
  const [body] = mediaOf(operation['requestBody'])
  const responses = Object.entries(isObject(operation['responses']) ? operation['responses'] : {})
  const isPrivate = Array.isArray(operation['security']) && operation['security'].length > 0
  return html`<article id="${idOf(call)}">
    <h3><a href="#${idOf(call)}">${summaryOf(call)}</a></h3>
    <p class="address">
      <span class="method ${method}">${method.toUpperCase()}</span>
      <code>${path}</code>${isPrivate ? html` <span class="private">operator</span>` : undefined}
    </p>
    ${about === '' ? undefined : html`<p>${prose(about)}</p>`}
    <pre tabindex="0">${curlOf(call)}</pre>
    ${
      parameters.length === 0
        ? undefined
        : html`<h4>Parameters</h4>
            <ul class="members">
              ${parameters.map((each) => parameterView(each, description))}
            </ul>`
    }
    ${body === undefined ? undefined : fold(`Body: ${body.type}`, body.media, description)}
    ${responses.map(([status, response]) => {
      const [answer] = mediaOf(response)
      return answer !== undefined && hasFold(status, answer.media)
        ? fold(`Answer: ${status}`, answer.media, description)
        : undefined
    })}
    <ul class="statuses">
      ${responses.map(([status, response]) =>
        hasFold(status, mediaOf(response)[0]?.media)
          ? undefined
          : html`<li><code>${status}</code> ${prose(isObject(response) ? textIn(response, 'description') : '')}</li>`,
      )}
    </ul>
  </article>`
}

/** Whether an answer is shown with an example: errors are all alike. */
function hasFold(status: string, media: JsonObject | undefined): boolean {
  return status.startsWith('2') && media?.['example'] !== undefined
}

function parameterView(parameter: JsonObject, description: JsonObject): Html {
  const { name, schema } = parameter
  const about = textIn(parameter, 'description')
  const optional = parameter['required'] === true ? '' : ', optional'
  return html`<li>
    <code>${String(name)}</code>
    <span class="type">${typeOf(schema, description)}, in the ${textIn(parameter, 'in')}${optional}</span>
    ${about === '' ? undefined : html`<span class="about">${prose(about)}</span>`}
  </li>`
}

/** A body or an answer: an example, and its members. */
function fold(title: string, media: JsonObject, description: JsonObject): Html {
  const { example, schema } = media
  return html`<details>
    <summary>${title}</summary>
    ${example === undefined ? undefined : html`<pre tabindex="0">${JSON.stringify(example, undefined, 2)}</pre>`}
    ${membersView(schema, description)}
  </details>`
}

function mediaOf(holder: JsonValue | undefined) {
  const content = isObject(holder) ? holder['content'] : undefined
  return Object.entries(isObject(content) ? content : {}).flatMap(([type, media]) =>
    isObject(media) ? [{ type, media }] : [],
  )
}

function firstTag({ tags }: JsonObject): JsonValue | undefined {
  return Array.isArray(tags) ? tags[0] : undefined
}

function idOf({ operation }: Call): string {
  return textIn(operation, 'operationId')
}

function summaryOf({ operation }: Call): string {
  return textIn(operation, 'summary')
}

function textIn(object: JsonObject, name: string): string {
  const value = object[name]
  return typeof value === 'string' ? value : ''
}
