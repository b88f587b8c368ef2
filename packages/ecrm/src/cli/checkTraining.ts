// What would fail a training on its way or at its end is found before it begins.
import { constants } from 'node:fs'
import { access, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { FtError, assertInteger } from '@ft/core'
import type { ReadTable } from './readTable.ts'
import type { Kill, TrainFlags } from './train.ts'

/** @throws FtError `INVALID_ARGUMENT` */
export function checkNumbers({ epochs, batch, every, workers = 1 }: TrainFlags): void {
  const least = { '--epochs': epochs, '--batch': batch, '--every': every, '--workers': workers }
  for (const [argument, value] of Object.entries(least)) assertInteger(value, { where: 'ecrm', argument, min: 1 })
}

/**
 * Sees that every file that is asked for can be written.
 *
 * @throws FtError `IO`
 */
export async function checkFiles({ save, onnx, metrics }: TrainFlags): Promise<void> {
  for (const [flag, path] of Object.entries({ '--save': save, '--onnx': onnx, '--metrics': metrics })) {
    if (path === undefined) continue
    const cannot = (why: string, cause?: unknown): FtError =>
      new FtError('IO', `ecrm: ${flag} ${path} cannot be written: ${why}; name another`, { flag, path }, { cause })
    const there = await stat(path).catch(() => undefined)
    if (there?.isDirectory() === true) throw cannot('it is a folder')
    // All but the model are written beside their place and moved there.
    const target = there !== undefined && flag === '--onnx' ? path : dirname(path)
    try {
      await access(target, constants.W_OK)
    } catch (cause) {
      throw cannot(`${target} is not there or takes no files`, cause)
    }
  }
}

/**
 * Sees that both parts of the data have both classes: the one is to be told from the other.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
export function checkClasses({ train, test }: ReadTable): void {
  for (const [part, { label }] of Object.entries({ training: train, test })) {
    const positives = Array.from(label).filter((one) => one === 1).length
    if (positives > 0 && positives < label.length) continue
    throw new FtError(
      'INVALID_ARGUMENT',
      `ecrm: ${positives} of the ${label.length} ${part} rows have the label that counts as 1, both kinds are needed; ` +
        'look at "positive" in the schema, change --test, or put the rows in another order',
      { part, rows: label.length, positives },
    )
  }
}

/** @throws FtError `INVALID_ARGUMENT` */
export function checkKills(kills: readonly Kill[], { servers, steps }: { servers: number; steps: number }): void {
  for (const { shard, step } of kills) {
    assertInteger(shard, { where: 'ecrm', argument: '--kill shard', min: 0, max: servers - 1 })
    assertInteger(step, { where: 'ecrm', argument: '--kill step', min: 0, max: steps - 1 })
  }
}
