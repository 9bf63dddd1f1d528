/**
 * Polyfill of `Promise.withResolvers` (ECMAScript 2024) for Node.js 20: libp2p 3 needs it. Import this file before libp2p. Does
 * nothing if the engine has the method.
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
