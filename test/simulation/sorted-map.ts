interface Branch {
  readonly key: string
  readonly value: Uint8Array
  readonly weight: number
  readonly left: Tree
  readonly right: Tree
}
type Tree = Branch | null

/**
 * A sorted map that never changes: writing makes a new one that shares most of the old (a treap whose shape follows from
 * its keys alone). Keys are bytes as latin-1 text, so that text order is byte order.
 */
export class SortedMap {
  static readonly EMPTY = new SortedMap(null)
  readonly #root: Tree

  private constructor(root: Tree) {
    this.#root = root
  }

  get(key: string): Uint8Array | undefined {
    let tree = this.#root
    while (tree !== null && tree.key !== key) tree = key < tree.key ? tree.left : tree.right
    return tree?.value
  }

  set(key: string, value: Uint8Array): SortedMap {
    return new SortedMap(insert(this.#root, key, value))
  }

  delete(key: string): SortedMap {
    return this.get(key) === undefined ? this : new SortedMap(remove(this.#root, key))
  }

  /** The first entry after `key`, or at it where `inclusive`. */
  after(key: string, inclusive: boolean): readonly [string, Uint8Array] | undefined {
    let found: Tree = null
    for (let tree = this.#root; tree !== null;) {
      const isBeyond = inclusive ? tree.key >= key : tree.key > key
      if (isBeyond) found = tree
      tree = isBeyond ? tree.left : tree.right
    }
    return found === null ? undefined : [found.key, found.value]
  }

  /** The last entry before `key`, or at it where `inclusive`; of all entries where it is undefined. */
  before(key: string | undefined, inclusive: boolean): readonly [string, Uint8Array] | undefined {
    let found: Tree = null
    for (let tree = this.#root; tree !== null;) {
      const isBelow = key === undefined || (inclusive ? tree.key <= key : tree.key < key)
      if (isBelow) found = tree
      tree = isBelow ? tree.right : tree.left
    }
    return found === null ? undefined : [found.key, found.value]
  }

  *entries(): Iterable<readonly [string, Uint8Array]> {
    for (let entry = this.after('', true); entry !== undefined; entry = this.after(entry[0], false)) yield entry
  }
}

function branch(at: Branch, value: Uint8Array, left: Tree, right: Tree): Branch {
  return { key: at.key, value, weight: at.weight, left, right }
}

function insert(tree: Tree, key: string, value: Uint8Array): Branch {
  if (tree === null) return { key, value, weight: weightOf(key), left: null, right: null }
  if (key === tree.key) return branch(tree, value, tree.left, tree.right)
  if (key < tree.key) {
    const left = insert(tree.left, key, value)
    if (left.weight <= tree.weight) return branch(tree, tree.value, left, tree.right)
    return branch(left, left.value, left.left, branch(tree, tree.value, left.right, tree.right))
  }
  const right = insert(tree.right, key, value)
  if (right.weight <= tree.weight) return branch(tree, tree.value, tree.left, right)
  return branch(right, right.value, branch(tree, tree.value, tree.left, right.left), right.right)
}

function remove(tree: Tree, key: string): Tree {
  if (tree === null) return null
  if (key === tree.key) return join(tree.left, tree.right)
  return key < tree.key
    ? branch(tree, tree.value, remove(tree.left, key), tree.right)
    : branch(tree, tree.value, tree.left, remove(tree.right, key))
}

function join(left: Tree, right: Tree): Tree {
  if (left === null) return right
  if (right === null) return left
  if (left.weight > right.weight) return branch(left, left.value, left.left, join(left.right, right))
  return branch(right, right.value, join(left, right.left), right.right)
}

/** FNV-1a, and a last mix so that the shape is balanced. */
function weightOf(key: string): number {
  let hash = 0x811c9dc5
  for (let at = 0; at < key.length; at += 1) hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  return (hash ^ (hash >>> 13)) >>> 0
}
