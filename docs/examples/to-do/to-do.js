/**
 * A to-do list in its owner's data. It connects once, with one signature of the wallet, and then writes with a key of its own.
 * Open it as `?node=https://kv.example.org&node=https://kv.example.net`; it adds `avatar=0x02…` once it is connected.
 */
import { ClientError, createClient, walletSigner } from '@avatar-kv/client'
import { connect, indexedDbKeyStore } from '@avatar-kv/client/links'

const query = new URLSearchParams(location.search)
const nodes = query.has('node') ? query.getAll('node') : ['http://127.0.0.1:4381']
const client = createClient({ nodes })
const asked = { key: 'com.example.todo', label: 'To-do example, in this browser', keyStore: indexedDbKeyStore() }

const [connectForm, addForm, list] = ['#connect', '#add', '#list'].map((name) => document.querySelector(name))
const say = (text) => (document.querySelector('#message').textContent = text)
let app

/** Runs what the person asked for, and says what went wrong. */
async function attempt(work) {
  try {
    await work()
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    say(error.message)
    // The owner has removed the link, in the explorer or with the command line.
    if (error.code === 'not_linked') showForms(false)
  }
}

function showForms(isConnected) {
  connectForm.hidden = isConnected
  addForm.hidden = !isConnected
}

async function open(owner) {
  app = await connect(client, { ...asked, owner })
  query.set('avatar', app.owner)
  history.replaceState(null, '', `?${query}`)
  showForms(true)
  await show()
}

async function show() {
  const value = await app.get()
  // Anyone with the key of this app may have written anything.
  const items = Object.entries(value ?? {}).filter(([, item]) => typeof item?.text === 'string')
  list.replaceChildren(...items.map(([id, item]) => row(id, item)))
  say(`${items.filter(([, { done }]) => done !== true).length} to do, ${items.length} in all.`)
}

function row(id, { text, done }) {
  const line = document.createElement('li')
  const label = document.createElement('label')
  const box = Object.assign(document.createElement('input'), { type: 'checkbox', checked: done === true })
  box.addEventListener('change', () => write([{ [id]: { done: box.checked } }]))
  label.append(box, ` ${text}`)
  const remove = Object.assign(document.createElement('button'), { textContent: '×', ariaLabel: `Remove ${text}` })
  remove.addEventListener('click', () => write([{ [id]: null }]))
  line.append(label, remove)
  return line
}

/** Patches of the list. Nobody is asked. */
const write = (patches) =>
  attempt(async () => {
    say('Saving…')
    await app.batch(patches)
    await show()
  })

connectForm.addEventListener('submit', (event) => {
  event.preventDefault()
  void attempt(async () => {
    if (window.ethereum === undefined) return say('No wallet was found in this browser.')
    say('Look at your wallet.')
    const avatar = connectForm.elements.avatar.value.trim()
    await open(await walletSigner(window.ethereum, avatar === '' ? {} : { avatar }))
  })
})

addForm.addEventListener('submit', (event) => {
  event.preventDefault()
  const lines = addForm.elements.lines.value.split('\n').filter((line) => line.trim() !== '')
  addForm.reset()
  void write(lines.map((text) => ({ [crypto.randomUUID()]: { text, done: false } })))
})

if (query.has('avatar')) {
  // The key of this browser is linked already, unless the owner took that back: no wallet is needed.
  connectForm.elements.avatar.value = query.get('avatar')
  await attempt(() => open(query.get('avatar')))
} else {
  showForms(false)
  say('Not connected yet.')
}
