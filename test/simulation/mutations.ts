/** One bug, planted into the compiled code: every `find` must be there exactly once. */
export interface Mutation {
  readonly name: string
  readonly changes: readonly { readonly file: string; readonly find: string; readonly replace: string }[]
}

function mutation(name: string, file: string, find: string, replace: string): Mutation {
  return { name, changes: [{ file, find, replace }] }
}

/** Bugs that the simulator must find. */
export const MUTATIONS: readonly Mutation[] = [
  {
    name: 'accept-high-s',
    changes: [
      { file: 'record/signature.js', find: 'if (isHigh(compact)) {', replace: 'if (false) {' },
      {
        file: 'record/verify.js',
        find: 'return judged(engine, claim, engine.verify(signature, digest, publicKey));',
        replace: `{
        const half = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
        const s = BigInt('0x' + Buffer.from(signature.subarray(32)).toString('hex'))
        const low = s <= half ? signature : Uint8Array.from([...signature.subarray(0, 32), ...Buffer.from((half * 2n + 1n - s).toString(16).padStart(64, '0'), 'hex')])
        return judged(engine, claim, engine.verify(low, digest, publicKey));
    }`,
      },
    ],
  },
  mutation('no-signature-check', 'record/verify.js', 'if (isGood)', 'if (true)'),
  mutation(
    'id-over-the-signature',
    'record/verify.js',
    'signature }, idText(digest), body)',
    'signature }, idText(engine.keccak256(Uint8Array.from([...digest, ...signature]))), body)',
  ),
  mutation('any-counter', 'record/members.js', 'if (counter !== expected) {', 'if (false) {'),
  mutation(
    'order-by-arrival',
    'state/order.js',
    'if (a.counter !== b.counter)\n        return a.counter - b.counter;',
    'return 1;',
  ),
  mutation(
    'ties-by-arrival',
    'state/order.js',
    'return a.id < b.id ? -1 : a.id > b.id ? 1 : 0;',
    'return a.id === b.id ? 0 : 1;',
  ),
  mutation(
    'ignore-one-citation',
    'state/avatar-state.js',
    'return pending.names.filter((place) => !isThere(place));',
    'return pending.names.slice(1).filter((place) => !isThere(place));',
  ),
  mutation(
    'false-counters-settle',
    'state/avatar-state.js',
    "held.counter !== place.counter || held.type === 'part'",
    "held.type === 'part'",
  ),
  mutation(
    'cite-what-is-pending',
    'state/avatar-state.js',
    'return this.waiting.get(place.id) === undefined;\n    }\n    #isPart',
    'return true;\n    }\n    #isPart',
  ),
  mutation(
    'parts-of-any-counter',
    'state/avatar-state.js',
    "return held?.type === 'part' && held.counter === counter;",
    "return held?.type === 'part';",
  ),
  mutation(
    'incomplete-snapshot-counts',
    'state/avatar-state.js',
    'if (needs.length === 0)\n            return this.#complete(place, body);',
    'if (needs.length <= 1)\n            return this.#complete(place, { ...body, parts: body.parts.filter((id) => !needs.some((need) => need.id === id)) });',
  ),
  mutation(
    'base-may-fall',
    'state/avatar-state.js',
    'compareCitations(place, this.#base) > 0;',
    'compareCitations(place, this.#base) !== 0;',
  ),
  mutation(
    'no-look-at-pending-records-after-a-base',
    'state/avatar-state.js',
    'this.#showReady([...this.waiting.all()]);',
    '',
  ),
  mutation(
    'no-look-at-pending-records-after-a-patch',
    'state/avatar-state.js',
    'this.#tips.add(place);\n        return this.waiting.waitingFor(place.id);',
    'this.#tips.add(place);\n        return [];',
  ),
  mutation(
    'refuse-beside-the-base',
    'state/avatar-state.js',
    "if (body.counter < (this.#base?.counter ?? 0))\n            return 'superseded';",
    "if (body.counter <= (this.#base?.counter ?? 0))\n            return 'superseded';",
  ),
  mutation(
    'prune-tips-beside-the-base',
    'state/avatar-state.js',
    'if (tip.counter < place.counter || tip.id === before?.id)',
    'if (tip.counter <= place.counter || tip.id === before?.id)',
  ),
  mutation(
    'superseded-unseen-only-below',
    'state/avatar-state.js',
    'filter((tip) => tip.id !== this.#base?.id);',
    'filter((tip) => tip.id !== this.#base?.id && tip.counter < place.counter);',
  ),
  mutation('cut-nothing-under-a-base', 'state/content.js', 'cutCell(cell, stamp);', ''),
  mutation(
    'digest-over-tips-reversed',
    'state/digest.js',
    'tips.forEach((tip, index)',
    '[...tips].reverse().forEach((tip, index)',
  ),
  mutation('skip-fsync', 'store/writer-state.js', 'await batch.write(true);', 'await batch.write(false);'),
  mutation(
    'acknowledge-before-the-commit',
    'store/writer.js',
    'await this.#state.writeOpen(rows, after, batch);\n            }\n        }\n        finally {\n            await rows.close();',
    'void this.#state.writeOpen(rows, after, batch).catch(() => {});\n            }\n        }\n        finally {',
  ),
  mutation(
    'keep-what-could-not-be-written',
    'store/writer.js',
    'for (const avatar of avatars)\n                        this.#state.entries.evict(avatar);',
    '',
  ),
  mutation(
    'store-duplicates',
    'store/avatar-batch.js',
    'if (state.mayBeHeld(record) && this.entry.held(id) !== undefined)',
    'if (false)',
  ),
  mutation('store-duplicates-of-what-waits', 'state/avatar-state.js', 'this.waiting.get(id) !== undefined || ', ''),
  mutation(
    'forget-the-order-index',
    'store/record-rows.js',
    'if (isLive)\n        operations.push(putSealed(keys.orderKey',
    'if (false)\n        operations.push(putSealed(keys.orderKey',
  ),
  mutation('keep-superseded-in-the-order-index', 'store/avatar-batch.js', 'sink.dropLive(item);', ''),
  mutation(
    'tell-nobody-of-superseded',
    'store/avatar-batch.js',
    "changed.push({ sequence: (sequence += 1), kind: 'superseded', avatar, ...place });",
    '',
  ),
  mutation('one-sequence-for-all', 'store/commit.js', 'sequence += changed.length;', 'sequence += 1;'),
  mutation('forget-the-tips-rows', 'store/avatar-entry.js', 'else\n                sink.putTip(this.avatar, tip);', ''),
  mutation('forget-who-waits', 'store/avatar-entry.js', 'sink.putPending(this.avatar, pending);', ';'),
  mutation(
    'forget-deletions',
    'store/level-sink.js',
    'this.operations.push(put(at, sealed));',
    'if (hasValue)\n            this.operations.push(put(at, sealed));',
  ),
  mutation(
    'forget-the-last-sequence',
    'store/writer-state.js',
    'batch.push(totalsOperation(totals));',
    'batch.push(totalsOperation({ ...totals, lastSequence: this.totals.lastSequence }));',
  ),
  mutation(
    'trust-what-the-disk-says',
    'store/seal.js',
    'return sealOf(row) === crc32(content, crc32(key)) ? content : undefined;',
    'return content;',
  ),
  mutation(
    'reject-what-is-refused',
    'network/verdict.js',
    "return { verdict: 'ignore', reason: refused?.code ?? 'nothing_new', records: 0 };",
    "return { verdict: refused === undefined ? 'ignore' : 'reject', reason: 'refused', records: 0 };",
  ),
  mutation(
    'fingerprints-always-agree',
    'negentropy/turn.js',
    'if (mode === FINGERPRINT && sameBytes(payload, await this.#fingerprint(this.#begin, end))) {',
    'if (mode === FINGERPRINT) {',
  ),
  mutation('never-call-again-after-a-failure', 'sync/scheduler.js', 'timers.armAbout(peer, delayMs);', ''),
  mutation(
    'remember-refusals-for-ever',
    'sync/refusals.js',
    'blocks: (key) => isClosed() || restMs(made?.get(key)) > 0,',
    'blocks: (key) => made?.has(key) === true,',
  ),
  mutation(
    'forget-new-records-in-the-page-sums',
    'store/writer-state.js',
    'await this.order.apply(added, removed);',
    'await this.order.apply([], removed);',
  ),
  mutation(
    'forget-superseded-in-the-page-sums',
    'store/writer-state.js',
    'await this.order.apply(added, removed);',
    'await this.order.apply(added, []);',
  ),
  mutation(
    'fetch-all-but-one',
    'sync/pass.js',
    'append(wanted, await tracker.wanted(need));',
    'append(wanted, (await tracker.wanted(need)).slice(1));',
  ),
  mutation(
    'totals-apart-from-a-rebuild',
    'store/row-repair.js',
    "[del(keys.taskKey('u', avatar)), uncountedTotals(state.totals.lastSequence)]",
    "[del(keys.taskKey('u', avatar))]",
  ),
  mutation(
    'prune-what-is-live',
    'store/background-tasks.js',
    'const range = keys.historyRange(avatar, 0, entry.state.base?.counter ?? 0);',
    'const range = keys.historyRange(avatar, 0, (entry.state.base?.counter ?? 0) + 1);',
  ),
  mutation(
    'prune-below-the-head',
    'store/background-tasks.js',
    'const range = keys.historyRange(avatar, 0, entry.state.base?.counter ?? 0);',
    'const range = keys.historyRange(avatar, 0, entry.state.head);',
  ),
  mutation('leave-no-word-to-prune', 'store/avatar-batch.js', 'sink.noteGarbage(avatar);', ''),
  mutation('count-what-was-pruned', 'store/avatar-entry.js', 'this.#keptRecords -= 1;', ''),
  mutation(
    'keep-what-comes-back',
    'store/avatar-batch.js',
    'return isKept && hasRoom ? undefined',
    'return hasRoom ? undefined',
  ),
  mutation(
    'archive-only-what-was-live',
    'store/avatar-batch.js',
    'return isKept && hasRoom ? undefined',
    'return false ? undefined',
  ),
  mutation(
    'call-superseded-a-duplicate',
    'store/commit.js',
    "if (refusal?.status === 'duplicate' && part.isSuperseded(record))",
    'if (false)',
  ),
  mutation('count-superseded-as-live', 'store/avatar-entry.js', 'this.#live.subtract(gone);', ''),
  mutation('leave-superseded-in-the-order-index', 'store/avatar-batch.js', 'made.staleInSyncIndex.push(avatar);', ''),
  mutation(
    'forget-what-was-still-in-the-sync-index',
    'store/level-sink.js',
    'if (this.#db.getSync(key) !== undefined)\n            return;',
    '',
  ),
  mutation(
    'prune-before-the-sync-index',
    'store/compactor.js',
    'if (!this.isSyncIndexExact)\n            await this.removeFromSyncIndex();',
    'if (false)\n            await this.removeFromSyncIndex();',
  ),
  mutation(
    'sync-before-the-sync-index-is-exact',
    'store/writer.js',
    'if (this.compactor.isSyncIndexExact)\n',
    'if (true)\n',
  ),
  mutation(
    'quota-keeps-out-what-frees',
    'store/avatar-batch.js',
    'const isLet = !isPatch && (await quotaExceptions',
    'const isLet = false && (await quotaExceptions',
  ),
  mutation(
    'quota-lets-every-snapshot-in',
    'store/avatar-batch.js',
    'const isLet = !isPatch && (await quotaExceptions.allows(record, bytes, full, { state, additions, unstored }));',
    'const isLet = !isPatch;',
  ),
  mutation(
    'quota-for-nobody',
    'store/avatar-batch.js',
    'if (!isTight)\n            return undefined;',
    'return undefined;',
  ),
  mutation(
    'list-that-takes-all',
    'hosting/hosting.js',
    'return isAccepted(avatar) ? undefined',
    'return true ? undefined',
  ),
  mutation(
    'block-nobody',
    'hosting/hosting.js',
    "if (register.blocked.has(avatar))\n                return refusalOf('blocked', []);",
    '',
  ),
  mutation('list-that-never-changes', 'hosting/hosting.js', 'scope = undefined;', ''),
  mutation(
    'sync-beyond-the-list',
    'hosting/hosting.js',
    "if (mode === 'all')\n                return 'all';",
    "return 'all';",
  ),
  mutation(
    'follow-never-again-after-a-break',
    'follow/follower.js',
    'retryAtMs.set(peer, clock.now() + limits.RETRY_MS);',
    'retryAtMs.set(peer, Infinity);',
  ),
  mutation(
    'follow-all-but-one-avatar',
    'follow/server.js',
    'for (const avatar of list)\n            followers.set',
    'for (const avatar of list.slice(1))\n            followers.set',
  ),
  mutation(
    'follow-the-first-list-for-ever',
    'follow/follower.js',
    'for (const followed of streams.values())\n                void sendList(followed).catch(() => undefined);',
    '',
  ),
  mutation('believe-peers-that-send-nothing', 'follow/doubts.js', 'doubt(peer, avatar);\n            }', '}'),
  mutation('send-followers-nothing-after-the-first', 'follow/server.js', 'follower.isSending = false;', ''),
  mutation('refusals-outlive-a-change', 'sync/refusals.js', 'made?.clear();', ''),
  mutation(
    'let-go-without-forgetting',
    'hosting/hosting.js',
    "if (each.op === 'forget')\n                void deletions.forget(each.avatar);",
    'if (false)\n                void deletions.forget(each.avatar);',
  ),
  mutation(
    'forget-to-go-on-forgetting',
    'store/compactor.js',
    "forgetting: await tasksIn(db, 'd')",
    'forgetting: new Set()',
  ),
  mutation('count-what-was-let-go', 'store/writer.js', 'plus(totals, summary, -1)', 'plus(totals, summary, 0)'),
  mutation(
    'linked-views-depend-on-their-owner-alone',
    'http/answers/dependents.js',
    'for (const avatar of avatars)\n            this.#pathsOf.set(',
    'for (const avatar of [])\n            this.#pathsOf.set(',
  ),
  mutation(
    'a-linked-view-shows-own-members',
    'store/linked-view.js',
    'hides: (key) => hidden.has(textOf(key)),',
    'hides: () => false,',
  ),
]
