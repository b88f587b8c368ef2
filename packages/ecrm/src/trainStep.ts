// One step of training a DLRM on erasure-coded shards: the package's main flow. Steps 1 to 6 are the trainer's; what a push
// sets off at the shards (the optimizer, the difference, the parity) is in shard/shard.ts and shard/parityRows.ts.
import type { DenseModel } from './dlrm/denseModel.ts'
import { saidTurn } from './dlrm/eventsTurn.ts'
import { distinct, pool, scatterSum } from './dlrm/lookUp.ts'
import type { Batch } from './dlrm/samples.ts'
import type { Scratch } from './dlrm/scratch.ts'
import type { ScoreWindow } from './dlrm/scoreWindow.ts'
import { checkGradients } from './dlrm/soundGradients.ts'
import type { ShardStore } from './store.ts'

export interface StepState {
  readonly model: DenseModel
  readonly store: ShardStore
  /** The push of the step before, still on its way. */
  pushing: Promise<void>
  /** The one before that. */
  before?: Promise<void>
  /** Keeps the dense network and the push that follows, so that another trainer can begin here; left out: nobody does. */
  readonly ahead?:
    ((push: { readonly ids: Uint32Array; readonly gradients: Float32Array }) => Promise<void>) | undefined
  /** Room for what a step needs and nobody keeps; left out: made anew. */
  readonly scratch?: Scratch
  /** Gets what the model predicts of each batch before it learns from it. */
  readonly window?: ScoreWindow | undefined
}

export interface Coming {
  /** Ids of the steps after this one: asked for only while rows are missing. */
  readonly ids?: (() => Uint32Array) | undefined
  /** Called while this step waits for its rows: what the next one needs before it asks for its own. Left out: it may be the last. */
  readonly prepare?: (() => unknown) | undefined
}

/**
 * Trains on one batch.
 *
 * The push is left on its way while the next step reads: a server applies a worker's messages in order, so the next pull
 * sees it, and its way to the parity hides behind the next steps' arithmetic. Whoever ends awaits the last two pushes.
 *
 * Source: ECRM (Liu et al. 2021), section "difference propagation"; DLRM (Naumov et al. 2019).
 *
 * @param coming - of the steps after this one, where they are known
 * @returns mean log loss of the batch before the update
 * @throws FtError `INVALID_ARGUMENT` when loss or gradients are not finite: then neither the dense network nor a row has changed;
 * `UNRECOVERABLE`, `ABORTED`
 */
export async function trainStep(state: StepState, batch: Batch, coming: Coming = {}): Promise<number> {
  const { model, store } = state

  // 1. The batch's distinct rows, from the shards that hold them; a lost row is decoded when it is asked for.
  const room = state.scratch
  const rows = batch.rows ?? distinct(batch.ids, room)
  const pulling = store.pull(rows.ids, room?.('rows', rows.ids.length * store.d))
  if (coming.prepare !== undefined) {
    // The question must be on its way before this thread is busy. The next one then follows on this step's push without delay, and
    // shards, which expect it, tell parity when they have answered.
    // A failure is told below.
    pulling.catch(() => undefined)
    await saidTurn()
    coming.prepare()
  }
  const values = await pulling
  // While this thread computes, shards decode what the next steps ask for.
  if (coming.ids !== undefined) store.expect(coming.ids)

  // 2. Forward: embedding bags, bottom network, dot interaction, top network.
  // 3. Backward: gradients of the dense parameters and of every embedding.
  const pooling = { d: store.d, bags: batch.bags }
  const embeddings = pool(values, rows, pooling, room)
  const gradients = model.gradients({ dense: batch.dense, embeddings }, batch.labels, room)

  // 4. A row named by several samples, or several times by a bag, gets the sum of their gradients. What is not finite is refused whole.
  const ofRows = scatterSum(gradients.embeddings, rows, pooling, room)
  checkGradients({ ...gradients, rows: ofRows })
  state.window?.add(gradients.probabilities, batch.labels)

  // 5. The dense network is small and stays with the trainer; where another one may have to go on, r + 1 shards keep a copy of it
  // and of the push, before anything of the push is sent and after the one before was answered: see keeper.ts.
  model.update(gradients.parameters)
  await state.before
  if (state.ahead !== undefined) {
    await state.pushing
    await state.ahead({ ids: rows.ids, gradients: ofRows })
  }

  // 6. The shards apply the optimizer, and send the difference of row and state, bit by bit, to the parity's servers. Those answer
  // the push of one step with what they say at the next.
  state.before = state.pushing
  const pushesNext = state.ahead === undefined && coming.prepare !== undefined
  state.pushing = store.push(rows.ids, ofRows, { readsNext: true, pushesNext })
  // A failure is told by one of the next two steps, or by whoever awaits the last two pushes.
  state.pushing.catch(() => undefined)
  return gradients.loss
}
