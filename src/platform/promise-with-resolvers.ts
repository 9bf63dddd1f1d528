/**
 * `Promise.withResolvers` (ECMAScript 2024) for Node.js 20, which lacks it: libp2p 3 calls it unasked. Import it before
 * anything of libp2p. Does nothing where the engine has it.
 */
Promise.withResolvers ??= function withResolvers<T>(this: PromiseConstructor): PromiseWithResolvers<T> {
  let resolve!: (value: T | PromiseLike<T>) => void
  let reject!: (reason?: unknown) => void
  const promise = new this<T>((onResolve, onReject) => {
    resolve = onResolve
    reject = onReject
  })
  return { promise, resolve, reject }
}
